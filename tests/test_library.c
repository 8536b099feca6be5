/* SPDX-License-Identifier: MIT */
/*
 * test_library: pbkv.h on a real loop and real sockets, against a fake server
 * in the same process. The fake is a small node on an rpc of its own: it is
 * view service and primary at once, keeps sessions as a server must, and can be
 * told to fall silent or to forget its sessions.
 *
 * All sockets are in a directory of the test. Nothing sleeps: tests wait for
 * the fake to have received something, or for a call to end. Threads record
 * what they saw and the main thread asserts it.
 */
#include "client/pbkv.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "node/memory.h"
#include "node/message.h"
#include "rpc/rpc.h"
#include "tests/suite.h"
#include "tests/time_scale.h"

enum {
    KEYS_MAX = 256,
    SESSIONS_MAX = 1024,
    PAGE_KEYS = 3, /* of a scan */
    DEADLINE_MS = 8000,
    THREADS = 16,
};

/* ---- The fake server ----------------------------------------------------- */

struct fake_session {
    uint64_t id;
    uint64_t seq;
};

struct stage;

struct fake {
    struct node node;
    struct stage *stage;
    struct view view;
    struct bytes *keys[KEYS_MAX];
    struct bytes *values[KEYS_MAX];
    size_t count;
    struct fake_session sessions[SESSIONS_MAX];
    size_t session_count;
    uint64_t applied;
};

/* What the test tells the fake, and learns from it; outlives it. */
struct stage {
    char directory[64];
    char address[96];
    struct rpc *rpc;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool silent;     /* answer nothing but GetView */
    bool forgetful;  /* forget all sessions, once */
    unsigned heard;  /* requests of clients */
    unsigned viewed; /* GetViews */
};

static struct fake *fake_of(struct node *node)
{
    return (struct fake *)node;
}

static void fake_reply(struct env *env, const struct peer *to, uint64_t call,
                       Pbkv__Status status, const struct bytes *value)
{
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Reply reply = PBKV__REPLY__INIT;

    reply.call = call;
    reply.status = status;
    if (value)
        reply.value = message_bytes(value);
    body.kind_case = PBKV__BODY__KIND_REPLY;
    body.reply = &reply;
    env_send(env, to, &body);
}

/* Returns where a key is, or KEYS_MAX. */
static size_t fake_find(const struct fake *fake, const ProtobufCBinaryData *key)
{
    for (size_t i = 0; i < fake->count; i++) {
        if (fake->keys[i]->length == key->len &&
            (key->len == 0 ||
             memcmp(fake->keys[i]->data, key->data, key->len) == 0))
            return i;
    }
    return KEYS_MAX;
}

static void fake_write(struct fake *fake, const ProtobufCBinaryData *key,
                       const ProtobufCBinaryData *value, bool append)
{
    size_t at = fake_find(fake, key);
    struct bytes *old;

    fake->applied++;
    if (at == KEYS_MAX) {
        at = fake->count++;
        fake->keys[at] = bytes_new(key->data, key->len);
        fake->values[at] = bytes_new(NULL, 0);
    }
    old = fake->values[at];
    fake->values[at] = append ? bytes_concat(old, value->data, value->len)
                              : bytes_new(value->data, value->len);
    bytes_release(old);
}

/* Returns the session's entry, or NULL. */
static struct fake_session *fake_session(struct fake *fake, uint64_t id)
{
    for (size_t i = 0; i < fake->session_count; i++) {
        if (fake->sessions[i].id == id)
            return &fake->sessions[i];
    }
    return NULL;
}

static void fake_update(struct fake *fake, struct env *env,
                        const struct peer *from, const Pbkv__Put *put,
                        bool append)
{
    struct fake_session *session = fake_session(fake, put->session);

    if (!session) {
        fake_reply(env, from, put->call, PBKV__STATUS__SESSION_EXPIRED, NULL);
        return;
    }
    if (put->seq < session->seq)
        return;
    if (put->seq > session->seq)
        fake_write(fake, &put->key, &put->value, append);
    session->seq = put->seq;
    fake_reply(env, from, put->call, PBKV__STATUS__OK, NULL);
}

static void fake_open(struct fake *fake, struct env *env,
                      const struct peer *from, uint64_t call)
{
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__SessionOpened opened = PBKV__SESSION_OPENED__INIT;

    if (fake->session_count == SESSIONS_MAX)
        fake->session_count = 0;
    opened.call = call;
    opened.session = ++fake->applied;
    fake->sessions[fake->session_count++] =
        (struct fake_session){opened.session, 0};
    body.kind_case = PBKV__BODY__KIND_SESSION_OPENED;
    body.session_opened = &opened;
    env_send(env, from, &body);
}

static void fake_scan(struct fake *fake, struct env *env,
                      const struct peer *from, const Pbkv__Scan *scan)
{
    Pbkv__Entry entries[PAGE_KEYS];
    Pbkv__Entry *pointers[PAGE_KEYS];
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Page page = PBKV__PAGE__INIT;
    size_t at = scan->cursor;

    for (; at < fake->count && page.n_entries < PAGE_KEYS; at++) {
        Pbkv__Entry *entry = &entries[page.n_entries];

        pbkv__entry__init(entry);
        entry->key = message_bytes(fake->keys[at]);
        entry->value = message_bytes(fake->values[at]);
        entry->modified = at + 1;
        pointers[page.n_entries++] = entry;
    }
    page.call = scan->call;
    page.entries = pointers;
    page.next = at;
    page.total = fake->count;
    body.kind_case = PBKV__BODY__KIND_PAGE;
    body.page = &page;
    env_send(env, from, &body);
}

static void fake_send_view(struct fake *fake, struct env *env,
                           const struct peer *from)
{
    struct view_message storage;
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__ViewReply reply = PBKV__VIEW_REPLY__INIT;

    view_to_message(&fake->view, &storage);
    reply.view = &storage.view;
    body.kind_case = PBKV__BODY__KIND_VIEW_REPLY;
    body.view_reply = &reply;
    env_send(env, from, &body);
}

/* Counts the message and returns whether to answer it. */
static bool fake_hears(struct fake *fake, const Pbkv__Body *body)
{
    struct stage *stage = fake->stage;
    bool view = body->kind_case == PBKV__BODY__KIND_GET_VIEW;
    bool answer;

    pthread_mutex_lock(&stage->lock);
    if (view)
        stage->viewed++;
    else
        stage->heard++;
    if (stage->forgetful)
        fake->session_count = 0;
    stage->forgetful = false;
    answer = view || !stage->silent;
    pthread_cond_broadcast(&stage->changed);
    pthread_mutex_unlock(&stage->lock);
    return answer;
}

static void fake_on_message(struct node *node, struct env *env,
                            const struct peer *from, const Pbkv__Body *body)
{
    struct fake *fake = fake_of(node);
    size_t at;

    if (!fake_hears(fake, body))
        return;
    switch (body->kind_case) {
    case PBKV__BODY__KIND_GET_VIEW: fake_send_view(fake, env, from); break;
    case PBKV__BODY__KIND_OPEN_SESSION:
        fake_open(fake, env, from, body->open_session->call);
        break;
    case PBKV__BODY__KIND_GET:
        at = fake_find(fake, &body->get->key);
        fake_reply(env, from, body->get->call,
                   at < KEYS_MAX ? PBKV__STATUS__OK : PBKV__STATUS__NO_KEY,
                   at < KEYS_MAX ? fake->values[at] : NULL);
        break;
    case PBKV__BODY__KIND_PUT:
        fake_update(fake, env, from, body->put, false);
        break;
    case PBKV__BODY__KIND_APPEND: {
        Pbkv__Put put = PBKV__PUT__INIT;

        put.call = body->append->call;
        put.session = body->append->session;
        put.seq = body->append->seq;
        put.key = body->append->key;
        put.value = body->append->value;
        fake_update(fake, env, from, &put, true);
        break;
    }
    case PBKV__BODY__KIND_SCAN: fake_scan(fake, env, from, body->scan); break;
    case PBKV__BODY__KIND_ECHO:
        message_answer_echo(env, from, body->echo);
        break;
    default: break;
    }
}

static void fake_on_start(struct node *node, struct env *env)
{
    (void)node;
    (void)env;
}

static void fake_on_timer(struct node *node, struct env *env, unsigned slot)
{
    (void)node;
    (void)env;
    (void)slot;
}

static void fake_check(const struct node *node)
{
    (void)node;
}

static void fake_inspect(const struct node *node, struct inspection *inspection)
{
    const struct fake *fake = (const struct fake *)node;

    inspection->role = "primary";
    inspection->view = fake->view;
    inspection->keys = fake->count;
    inspection->applied = fake->applied;
    inspection->digest.octets[0] = 0xab;
    inspection->server_count = 1;
    inspection->servers[0].peer = fake->view.primary;
    inspection->servers[0].view = fake->view.number;
    inspection->servers[0].missed_cycles = 2;
}

static void fake_release(struct node *node)
{
    struct fake *fake = fake_of(node);

    for (size_t i = 0; i < fake->count; i++) {
        bytes_release(fake->keys[i]);
        bytes_release(fake->values[i]);
    }
    free(fake);
}

static const struct node_type fake_type = {
    .name = "fake",
    .on_start = fake_on_start,
    .on_message = fake_on_message,
    .on_timer = fake_on_timer,
    .release = fake_release,
    .check = fake_check,
    .inspect = fake_inspect,
};

static void *fake_main(void *argument)
{
    rpc_run(argument);
    return NULL;
}

/* ---- The stage ----------------------------------------------------------- */

/* Starts a fake that is the primary of view `number`. Its thread takes no
 * signals. */
static void stage_start_fake(struct stage *stage, uint64_t number)
{
    struct fake *fake = memory_new(sizeof(*fake));
    struct rpc_config config = rpc_config_default();
    const char *reason = "";
    sigset_t all, before;

    fake->node.type = &fake_type;
    fake->stage = stage;
    fake->view.number = number;
    fake->view.primary = peer_at(stage->address, rpc_new_incarnation());
    config.name = "fake";
    config.self = fake->view.primary;
    config.listen = stage->address;
    ck_assert_msg(rpc_new(&config, &fake->node, &stage->rpc, &reason) == 0,
                  "%s", reason);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ck_assert_int_eq(
        pthread_create(&stage->thread, NULL, fake_main, stage->rpc), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stage_stop_fake(struct stage *stage)
{
    rpc_stop(stage->rpc);
    pthread_join(stage->thread, NULL);
    rpc_free(stage->rpc);
    stage->rpc = NULL;
}

/* Makes a directory and, if asked, a fake in it. */
static struct stage *stage_new(bool with_fake)
{
    struct stage *stage = memory_new(sizeof(*stage));

    strcpy(stage->directory, "/tmp/pbkv-library-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(stage->directory));
    snprintf(stage->address, sizeof(stage->address), "unix:%s/fake",
             stage->directory);
    pthread_mutex_init(&stage->lock, NULL);
    pthread_cond_init(&stage->changed, NULL);
    if (with_fake)
        stage_start_fake(stage, 1);
    return stage;
}

static void stage_free(struct stage *stage)
{
    if (stage->rpc)
        stage_stop_fake(stage);
    ck_assert_int_eq(rmdir(stage->directory), 0);
    pthread_cond_destroy(&stage->changed);
    pthread_mutex_destroy(&stage->lock);
    free(stage);
}

static void stage_set_silent(struct stage *stage, bool silent)
{
    pthread_mutex_lock(&stage->lock);
    stage->silent = silent;
    pthread_mutex_unlock(&stage->lock);
}

/* Waits until the fake has received so many requests. */
static void stage_wait_heard(struct stage *stage, unsigned count)
{
    pthread_mutex_lock(&stage->lock);
    while (stage->heard < count)
        pthread_cond_wait(&stage->changed, &stage->lock);
    pthread_mutex_unlock(&stage->lock);
}

static struct pbkv_options options_for(const struct stage *stage)
{
    struct pbkv_options options = {0};

    options.view_service = stage->address;
    options.deadline_ms = time_scaled(DEADLINE_MS);
    return options;
}

static struct pbkv *open_with(const struct pbkv_options *options)
{
    struct pbkv *store = NULL;

    ck_assert_int_eq(pbkv_open(options, &store), PBKV_OK);
    ck_assert_ptr_nonnull(store);
    return store;
}

static struct pbkv *stage_open(const struct stage *stage)
{
    struct pbkv_options options = options_for(stage);

    return open_with(&options);
}

static void assert_value(struct pbkv *store, const char *key,
                         const void *expected, size_t length)
{
    struct pbkv_value value;

    ck_assert_int_eq(pbkv_get(store, key, strlen(key), 0, &value), PBKV_OK);
    ck_assert_uint_eq(value.length, length);
    ck_assert_int_eq(memcmp(value.data, expected, length), 0);
    ck_assert_int_eq(((const char *)value.data)[length], 0);
    pbkv_free(&value);
    ck_assert_ptr_null(value.data);
    pbkv_free(&value);
}

/* ---- Callbacks that count ------------------------------------------------ */

struct tally {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned ended;
    unsigned statuses[PBKV_SYSTEM + 1];
    bool other_thread; /* a callback ran in two different threads */
    pthread_t thread;
};

static struct tally tally_new(void)
{
    return (struct tally){.lock = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER};
}

/* Ends a tally: what lies there next may be another kind of lock. */
static void tally_end(struct tally *tally)
{
    pthread_mutex_destroy(&tally->lock);
    pthread_cond_destroy(&tally->changed);
}

static void tally_note(struct tally *tally, enum pbkv_status status)
{
    pthread_mutex_lock(&tally->lock);
    if (tally->ended++ == 0)
        tally->thread = pthread_self();
    if (!pthread_equal(tally->thread, pthread_self()))
        tally->other_thread = true;
    tally->statuses[status]++;
    pthread_cond_broadcast(&tally->changed);
    pthread_mutex_unlock(&tally->lock);
}

static void on_result(void *context, const struct pbkv_result *result)
{
    tally_note(context, result->status);
}

static void tally_wait(struct tally *tally, unsigned count)
{
    pthread_mutex_lock(&tally->lock);
    while (tally->ended < count)
        pthread_cond_wait(&tally->changed, &tally->lock);
    pthread_mutex_unlock(&tally->lock);
}

/* ---- Blocking calls ------------------------------------------------------ */

TEST(what_was_put_is_read_back_octet_by_octet)
{
    static const char zeros[] = {'a', 0, 'b', 0, 0};
    struct stage *stage = stage_new(true);
    struct pbkv *store = stage_open(stage);

    ck_assert_int_eq(pbkv_put(store, "k", 1, zeros, 5, 0), PBKV_OK);
    assert_value(store, "k", zeros, 5);
    ck_assert_int_eq(pbkv_append(store, "k", 1, "+", 1, 0), PBKV_OK);
    assert_value(store, "k", "a\0b\0\0+", 6);
    ck_assert_int_eq(pbkv_append(store, "new", 3, "x", 1, 0), PBKV_OK);
    assert_value(store, "new", "x", 1);
    ck_assert_int_eq(pbkv_put(store, "empty", 5, NULL, 0, 0), PBKV_OK);
    assert_value(store, "empty", "", 0);
    ck_assert_int_eq(pbkv_put(store, NULL, 0, "no key", 6, 0), PBKV_OK);
    assert_value(store, "", "no key", 6);
    ck_assert_int_eq(pbkv_close(store), PBKV_OK);
    stage_free(stage);
}

TEST(a_key_that_was_never_written_is_no_key)
{
    struct stage *stage = stage_new(true);
    struct pbkv *store = stage_open(stage);
    struct pbkv_value value = {&value, 99};

    ck_assert_int_eq(pbkv_get(store, "k", 1, 0, &value), PBKV_NO_KEY);
    ck_assert_ptr_null(value.data);
    ck_assert_uint_eq(value.length, 0);
    pbkv_close(store);
    stage_free(stage);
}

TEST(the_largest_key_and_value_pass_and_larger_ones_do_not)
{
    struct stage *stage = stage_new(true);
    struct pbkv *store = stage_open(stage);
    char *big = memory_new(PBKV_VALUE_MAX + 1);
    struct pbkv_value value;

    memset(big, 'v', PBKV_VALUE_MAX + 1);
    ck_assert_int_eq(pbkv_put(store, big, PBKV_KEY_MAX, big, PBKV_VALUE_MAX, 0),
                     PBKV_OK);
    ck_assert_int_eq(pbkv_get(store, big, PBKV_KEY_MAX, 0, &value), PBKV_OK);
    ck_assert_uint_eq(value.length, PBKV_VALUE_MAX);
    ck_assert_int_eq(memcmp(value.data, big, PBKV_VALUE_MAX), 0);
    pbkv_free(&value);
    ck_assert_int_eq(pbkv_put(store, big, PBKV_KEY_MAX + 1, "v", 1, 0),
                     PBKV_TOO_LARGE);
    ck_assert_int_eq(pbkv_append(store, "k", 1, big, PBKV_VALUE_MAX + 1, 0),
                     PBKV_TOO_LARGE);
    ck_assert_int_eq(pbkv_get(store, big, SIZE_MAX, 0, &value), PBKV_TOO_LARGE);
    free(big);
    pbkv_close(store);
    stage_free(stage);
}

/* ---- Threads ------------------------------------------------------------- */

struct worker {
    struct pbkv *store;
    pthread_t thread;
    unsigned number;
    unsigned failures;
    enum pbkv_status status;
};

static void *append_and_read(void *argument)
{
    struct worker *worker = argument;
    char key[8], expected[101] = "";
    struct pbkv_value value;

    snprintf(key, sizeof(key), "w%u", worker->number);
    for (size_t i = 0; i < 100; i++) {
        char letter = (char)('a' + i % 26);

        expected[i] = letter;
        if (pbkv_append(worker->store, key, strlen(key), &letter, 1, 0))
            worker->failures++;
        if (pbkv_get(worker->store, key, strlen(key), 0, &value)) {
            worker->failures++;
            continue;
        }
        if (value.length != i + 1 || memcmp(value.data, expected, i + 1) != 0)
            worker->failures++;
        pbkv_free(&value);
    }
    return NULL;
}

static void start_workers(struct worker workers[THREADS], struct pbkv *store,
                          void *(*run)(void *))
{
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = store, .number = i};
        ck_assert_int_eq(
            pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
    }
}

static void join_workers(struct worker workers[THREADS])
{
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
}

static void threads_share_a_handle(const char *faults, uint32_t sessions)
{
    struct stage *stage = stage_new(true);
    struct pbkv_options options = options_for(stage);
    struct worker workers[THREADS];
    struct pbkv *store;

    options.faults = faults;
    options.sessions = sessions;
    options.retry_ms = 30;
    options.deadline_ms = time_scaled(60000);
    store = open_with(&options);
    start_workers(workers, store, append_and_read);
    join_workers(workers);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_uint_eq(workers[i].failures, 0);
    pbkv_close(store);
    stage_free(stage);
}

TEST(sixteen_threads_share_a_handle)
{
    threads_share_a_handle(NULL, 0);
}

/* Updates queue up for the few sessions. */
TEST(sixteen_threads_share_two_sessions)
{
    threads_share_a_handle(NULL, 2);
}

/* C2: each append takes effect once, though messages are lost and doubled */
TEST(on_a_bad_network_every_append_takes_effect_once)
{
    threads_share_a_handle("drop=0.05,dup=0.1,seed=11", 0);
}

TEST(two_handles_do_not_know_of_each_other)
{
    struct stage *stage = stage_new(true);
    struct pbkv *first = stage_open(stage), *second = stage_open(stage);

    ck_assert_int_eq(pbkv_put(first, "k", 1, "1", 1, 0), PBKV_OK);
    ck_assert_int_eq(pbkv_append(second, "k", 1, "2", 1, 0), PBKV_OK);
    assert_value(first, "k", "12", 2);
    pbkv_close(first);
    assert_value(second, "k", "12", 2);
    pbkv_close(second);
    stage_free(stage);
}

/* C1 */
TEST(the_view_service_is_asked_once)
{
    struct stage *stage = stage_new(true);
    struct pbkv *store = stage_open(stage);

    for (unsigned i = 0; i < 50; i++)
        ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
    pbkv_close(store);
    pthread_mutex_lock(&stage->lock);
    ck_assert_uint_eq(stage->viewed, 1);
    ck_assert_uint_eq(stage->heard, 51); /* and one opening of a session */
    pthread_mutex_unlock(&stage->lock);
    stage_free(stage);
}

/* ---- Asynchronous calls -------------------------------------------------- */

TEST(every_asynchronous_call_ends_once_and_in_one_thread)
{
    struct stage *stage = stage_new(true);
    struct pbkv *store = stage_open(stage);
    struct tally tally = tally_new();

    for (unsigned i = 0; i < 1000; i++)
        ck_assert_int_eq(
            pbkv_append_async(store, "k", 1, "x", 1, 0, on_result, &tally),
            PBKV_OK);
    tally_wait(&tally, 1000);
    ck_assert_uint_eq(tally.statuses[PBKV_OK], 1000);
    ck_assert(!tally.other_thread);
    ck_assert(!pthread_equal(tally.thread, pthread_self()));
    pbkv_close(store);
    ck_assert_uint_eq(tally.ended, 1000);
    tally_end(&tally);
    stage_free(stage);
}

struct chain {
    struct pbkv *store;
    struct tally tally;
    unsigned left;
    char last[16];
};

static void on_chain_get(void *context, const struct pbkv_result *result)
{
    struct chain *chain = context;

    if (result->status == PBKV_OK)
        snprintf(chain->last, sizeof(chain->last), "%zu", result->length);
    tally_note(&chain->tally, result->status);
}

static void on_chain(void *context, const struct pbkv_result *result)
{
    struct chain *chain = context;
    enum pbkv_status status = result->status;

    if (status == PBKV_OK && --chain->left > 0)
        status =
            pbkv_append_async(chain->store, "k", 1, "x", 1, 0, on_chain, chain);
    else if (status == PBKV_OK)
        status = pbkv_get_async(chain->store, "k", 1, 0, on_chain_get, chain);
    if (status != PBKV_OK)
        tally_note(&chain->tally, status);
}

TEST(a_callback_can_start_the_next_call)
{
    struct stage *stage = stage_new(true);
    struct chain chain = {
        .store = stage_open(stage), .tally = tally_new(), .left = 100};

    ck_assert_int_eq(
        pbkv_append_async(chain.store, "k", 1, "x", 1, 0, on_chain, &chain),
        PBKV_OK);
    tally_wait(&chain.tally, 1);
    ck_assert_uint_eq(chain.tally.statuses[PBKV_OK], 1);
    ck_assert_str_eq(chain.last, "100");
    pbkv_close(chain.store);
    tally_end(&chain.tally);
    stage_free(stage);
}

/* ---- Handles that share a loop ------------------------------------------- */

enum { SHARERS = 100 };

TEST(a_hundred_handles_share_a_thread)
{
    struct stage *stage = stage_new(true);
    struct pbkv_options options = options_for(stage);
    struct pbkv *stores[SHARERS];
    struct tally tally = tally_new();

    options.sessions = 1; /* the stage has room for all of them */
    ck_assert_int_eq(pbkv_loop_open(&options.loop), PBKV_OK);
    for (unsigned i = 0; i < SHARERS; i++)
        stores[i] = open_with(&options);
    for (unsigned i = 0; i < 10 * SHARERS; i++)
        ck_assert_int_eq(pbkv_append_async(stores[i % SHARERS], "k", 1, "x", 1,
                                           0, on_result, &tally),
                         PBKV_OK);
    tally_wait(&tally, 10 * SHARERS);
    ck_assert_uint_eq(tally.statuses[PBKV_OK], 10 * SHARERS);
    ck_assert(!tally.other_thread);
    ck_assert_int_eq(pbkv_loop_close(options.loop), PBKV_INVALID);
    for (unsigned i = 0; i < SHARERS; i++)
        ck_assert_int_eq(pbkv_close(stores[i]), PBKV_OK);
    ck_assert_int_eq(pbkv_loop_close(options.loop), PBKV_OK);
    tally_end(&tally);
    stage_free(stage);
}

/* The others go on: a handle's end is not the loop's. */
TEST(a_handle_that_shares_a_thread_is_closed_alone)
{
    struct stage *stage = stage_new(true);
    struct pbkv_options options = options_for(stage);
    struct pbkv *first, *second;
    struct tally tally = tally_new();

    ck_assert_int_eq(pbkv_loop_open(&options.loop), PBKV_OK);
    first = open_with(&options);
    second = open_with(&options);
    ck_assert_int_eq(pbkv_put(first, "k", 1, "v", 1, 0), PBKV_OK);
    stage_set_silent(stage, true);
    ck_assert_int_eq(pbkv_get_async(first, "k", 1, 0, on_result, &tally),
                     PBKV_OK);
    ck_assert_int_eq(pbkv_close(first), PBKV_OK);
    ck_assert_uint_eq(tally.statuses[PBKV_CLOSED], 1);
    stage_set_silent(stage, false);
    assert_value(second, "k", "v", 1);
    pbkv_close(second);
    pbkv_loop_close(options.loop);
    tally_end(&tally);
    stage_free(stage);
}

/* A callback of one handle and the other handle of its thread. */
struct errand {
    struct pbkv *other;
    struct tally tally;
    enum pbkv_status get, close, end;
    struct pbkv_loop *loop;
};

static void on_errand(void *context, const struct pbkv_result *result)
{
    struct errand *errand = context;
    struct pbkv_value value;

    tally_note(&errand->tally, result->status);
    errand->get = pbkv_get(errand->other, "k", 1, 0, &value);
    errand->close = pbkv_close(errand->other);
    errand->end = pbkv_loop_close(errand->loop);
    tally_note(&errand->tally, pbkv_get_async(errand->other, "k", 1, 0,
                                              on_result, &errand->tally));
}

TEST(a_callback_can_start_calls_of_another_handle_but_not_wait_for_them)
{
    struct stage *stage = stage_new(true);
    struct pbkv_options options = options_for(stage);
    struct errand errand = {.tally = tally_new()};
    struct pbkv *store;

    ck_assert_int_eq(pbkv_loop_open(&options.loop), PBKV_OK);
    errand.loop = options.loop;
    store = open_with(&options);
    errand.other = open_with(&options);
    ck_assert_int_eq(
        pbkv_put_async(store, "k", 1, "v", 1, 0, on_errand, &errand), PBKV_OK);
    tally_wait(&errand.tally, 3);
    ck_assert_uint_eq(errand.tally.statuses[PBKV_OK], 3);
    ck_assert_int_eq(errand.get, PBKV_WOULD_DEADLOCK);
    ck_assert_int_eq(errand.close, PBKV_WOULD_DEADLOCK);
    ck_assert_int_eq(errand.end, PBKV_WOULD_DEADLOCK);
    pbkv_close(store);
    pbkv_close(errand.other);
    pbkv_loop_close(options.loop);
    tally_end(&errand.tally);
    stage_free(stage);
}

TEST(a_loop_without_handles_is_opened_and_closed)
{
    struct pbkv_loop *loop;

    ck_assert_int_eq(pbkv_loop_open(NULL), PBKV_INVALID);
    ck_assert_int_eq(pbkv_loop_close(NULL), PBKV_OK);
    ck_assert_int_eq(pbkv_loop_open(&loop), PBKV_OK);
    ck_assert_int_eq(pbkv_loop_close(loop), PBKV_OK);
}

struct trespass {
    struct pbkv *store;
    const char *address;
    struct tally tally;
    enum pbkv_status statuses[8];
};

static bool on_no_entry(void *context, const struct pbkv_entry *entry)
{
    (void)context;
    (void)entry;
    return true;
}

static void on_trespass(void *context, const struct pbkv_result *result)
{
    struct trespass *trespass = context;
    struct pbkv *store = trespass->store;
    struct pbkv_value value;
    struct pbkv_view view;
    struct pbkv_inspection *inspection;
    enum pbkv_status *status = trespass->statuses;

    status[0] = pbkv_get(store, "k", 1, 0, &value);
    status[1] = pbkv_put(store, "k", 1, "v", 1, 0);
    status[2] = pbkv_append(store, "k", 1, "v", 1, 0);
    status[3] = pbkv_scan(store, 0, on_no_entry, NULL);
    status[4] = pbkv_view(store, 0, &view);
    status[5] = pbkv_echo(store, trespass->address, "x", 1, 0, &value);
    status[6] = pbkv_inspect(store, trespass->address, 0, &inspection);
    status[7] = pbkv_close(store);
    tally_note(&trespass->tally, result->status);
}

TEST(a_callback_that_would_block_is_refused)
{
    struct stage *stage = stage_new(true);
    struct trespass trespass = {.store = stage_open(stage),
                                .address = stage->address,
                                .tally = tally_new()};

    ck_assert_int_eq(
        pbkv_get_async(trespass.store, "k", 1, 0, on_trespass, &trespass),
        PBKV_OK);
    tally_wait(&trespass.tally, 1);
    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(trespass.statuses[i], PBKV_WOULD_DEADLOCK);
    ck_assert_int_eq(pbkv_put(trespass.store, "k", 1, "v", 1, 0), PBKV_OK);
    pbkv_close(trespass.store);
    tally_end(&trespass.tally);
    stage_free(stage);
}

/* ---- Close --------------------------------------------------------------- */

static void *get_once(void *argument)
{
    struct worker *worker = argument;
    struct pbkv_value value;

    worker->status = pbkv_get(worker->store, "k", 1, 0, &value);
    return NULL;
}

TEST(closing_ends_the_calls_under_way)
{
    struct stage *stage = stage_new(true);
    struct pbkv_options options = options_for(stage);
    struct tally tally = tally_new();
    struct worker workers[THREADS];
    struct pbkv *store;

    options.retry_ms = 60000; /* so that each request comes once */
    store = open_with(&options);
    stage_set_silent(stage, true);
    start_workers(workers, store, get_once);
    for (unsigned i = 0; i < 10; i++)
        ck_assert_int_eq(
            pbkv_put_async(store, "k", 1, "v", 1, 0, on_result, &tally),
            PBKV_OK);
    /* 16 gets, and 10 openings of sessions */
    stage_wait_heard(stage, THREADS + 10);
    ck_assert_int_eq(pbkv_close(store), PBKV_OK);
    join_workers(workers);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(workers[i].status, PBKV_CLOSED);
    ck_assert_uint_eq(tally.statuses[PBKV_CLOSED], 10);
    tally_end(&tally);
    stage_free(stage);
}

TEST(calls_that_were_just_begun_end_when_the_handle_is_closed)
{
    for (unsigned round = 0; round < 30; round++) {
        struct stage *stage = stage_new(round % 2 == 0);
        struct pbkv *store = stage_open(stage);
        struct tally tally = tally_new();

        for (unsigned i = 0; i < 100; i++)
            ck_assert_int_eq(
                pbkv_put_async(store, "k", 1, "v", 1, 0, on_result, &tally),
                PBKV_OK);
        ck_assert_int_eq(pbkv_close(store), PBKV_OK);
        ck_assert_uint_eq(tally.ended, 100);
        ck_assert_uint_eq(tally.statuses[PBKV_OK] + tally.statuses[PBKV_CLOSED],
                          100);
        tally_end(&tally);
        stage_free(stage);
    }
}

static void on_closed(void *context, const struct pbkv_result *result)
{
    struct chain *chain = context;

    tally_note(&chain->tally, result->status);
    tally_note(&chain->tally, pbkv_get_async(chain->store, "k", 1, 0, on_result,
                                             &chain->tally));
}

TEST(a_callback_during_close_can_start_nothing)
{
    struct stage *stage = stage_new(false);
    struct chain chain = {.store = stage_open(stage), .tally = tally_new()};

    ck_assert_int_eq(pbkv_get_async(chain.store, "k", 1, 0, on_closed, &chain),
                     PBKV_OK);
    pbkv_close(chain.store);
    ck_assert_uint_eq(chain.tally.ended, 2);
    ck_assert_uint_eq(chain.tally.statuses[PBKV_CLOSED], 2);
    tally_end(&chain.tally);
    stage_free(stage);
}

static unsigned open_files(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

TEST(open_and_close_leave_no_file_open)
{
    struct stage *stage = stage_new(false);
    unsigned before = open_files();

    for (unsigned i = 0; i < 50; i++)
        ck_assert_int_eq(pbkv_close(stage_open(stage)), PBKV_OK);
    ck_assert_uint_eq(open_files(), before);
    ck_assert_int_eq(pbkv_close(NULL), PBKV_OK);
    stage_free(stage);
}

/* ---- Trouble ------------------------------------------------------------- */

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* C2. The upper bound leaves room for a machine under load. */
static void get_times_out(struct pbkv *store, uint32_t deadline_ms)
{
    uint64_t begun = now_ms(), took;
    struct pbkv_value value;

    ck_assert_int_eq(pbkv_get(store, "k", 1, deadline_ms, &value),
                     PBKV_TIMEOUT);
    took = now_ms() - begun;
    ck_assert_uint_ge(took + 1, deadline_ms); /* clocks are cut to whole ms */
    ck_assert_uint_lt(took, deadline_ms + time_scaled(2000));
}

TEST(with_nobody_there_a_call_ends_at_its_deadline)
{
    struct stage *stage = stage_new(false);
    struct pbkv_options options = options_for(stage);
    struct pbkv *store;

    options.deadline_ms = 60;
    store = open_with(&options);
    get_times_out(store, 1);
    get_times_out(store, 150);
    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_TIMEOUT);
    pbkv_close(store);
    stage_free(stage);
}

TEST(a_silent_server_makes_calls_end_at_their_deadline)
{
    struct stage *stage = stage_new(true);
    struct pbkv *store = stage_open(stage);

    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
    stage_set_silent(stage, true);
    get_times_out(store, 100);
    ck_assert_int_eq(pbkv_put(store, "k", 1, "w", 1, 50), PBKV_TIMEOUT);
    stage_set_silent(stage, false);
    ck_assert_int_eq(pbkv_put(store, "k", 1, "x", 1, 0), PBKV_OK);
    assert_value(store, "k", "x", 1);
    pbkv_close(store);
    stage_free(stage);
}

/* A broken connection raises no SIGPIPE, and the handle finds the next server
 * by itself. */
TEST(a_handle_survives_its_server)
{
    struct stage *stage = stage_new(true);
    struct pbkv_options options = options_for(stage);
    struct pbkv *store;

    options.retry_ms = 20;
    store = open_with(&options);
    signal(SIGPIPE, SIG_DFL);
    for (uint64_t view = 1; view <= 3; view++) {
        ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
        stage_stop_fake(stage);
        ck_assert_int_eq(pbkv_put(store, "k", 1, "w", 1, 60), PBKV_TIMEOUT);
        stage_start_fake(stage, view + 1);
        /* The new server knows nothing of the old one's sessions. */
        while (pbkv_put(store, "k", 1, "x", 1, 0) == PBKV_SESSION_EXPIRED)
            continue;
        assert_value(store, "k", "x", 1);
    }
    pbkv_close(store);
    stage_free(stage);
}

/* P6 */
/* C1: the connection is lost, which is noticed long before silence would be. */
TEST(a_server_in_a_new_life_is_found_without_waiting_for_silence)
{
    struct stage *stage = stage_new(true);
    struct pbkv_options options = options_for(stage);
    struct pbkv *store;

    options.retry_ms = 60000;
    store = open_with(&options);
    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
    stage_stop_fake(stage);
    stage_start_fake(stage, 2);
    ck_assert_int_ne(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_TIMEOUT);
    pbkv_close(store);
    stage_free(stage);
}

TEST(a_forgotten_session_is_replaced_without_notice)
{
    struct stage *stage = stage_new(true);
    struct pbkv *store = stage_open(stage);

    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(pbkv_append(store, "k", 1, "x", 1, 0), PBKV_OK);
        pthread_mutex_lock(&stage->lock);
        stage->forgetful = true;
        pthread_mutex_unlock(&stage->lock);
    }
    assert_value(store, "k", "xxx", 3);
    pbkv_close(store);
    stage_free(stage);
}

TEST(calls_over_the_limit_of_a_handle_are_turned_away)
{
    struct stage *stage = stage_new(false);
    struct pbkv_options options = options_for(stage);
    struct tally tally = tally_new();
    struct pbkv_value value;
    struct pbkv *store;

    options.calls_max = 1;
    store = open_with(&options);
    ck_assert_int_eq(pbkv_get_async(store, "k", 1, 0, on_result, &tally),
                     PBKV_OK);
    ck_assert_int_eq(pbkv_get(store, "k", 1, 0, &value), PBKV_OVERLOADED);
    pbkv_close(store);
    ck_assert_uint_eq(tally.statuses[PBKV_CLOSED], 1);
    tally_end(&tally);
    stage_free(stage);
}

/* The loop thread takes no signal of the process: with SIGUSR1 blocked in the
 * main thread alone, it stays pending instead of ending the process. */
TEST(the_loop_thread_takes_no_signals)
{
    struct stage *stage = stage_new(true);
    struct pbkv *store = stage_open(stage);
    sigset_t set, pending;

    signal(SIGUSR1, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
    sigpending(&pending);
    ck_assert(sigismember(&pending, SIGUSR1));
    pbkv_close(store);
    signal(SIGUSR1, SIG_IGN); /* which discards the pending one */
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    stage_free(stage);
}

TEST(the_callers_signal_mask_is_left_as_it_was)
{
    struct stage *stage = stage_new(false);
    sigset_t before, after;

    pthread_sigmask(SIG_SETMASK, NULL, &before);
    pbkv_close(stage_open(stage));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < 32; number++)
        ck_assert_int_eq(sigismember(&before, number),
                         sigismember(&after, number));
    stage_free(stage);
}

/* What a child of fork() gets; 0 if all is as the manual says. */
static int use_as_child(struct pbkv *store)
{
    struct pbkv_value value;
    struct tally tally = tally_new();

    if (pbkv_get(store, "k", 1, 0, &value) != PBKV_CLOSED)
        return 1;
    if (pbkv_get_async(store, "k", 1, 0, on_result, &tally) != PBKV_CLOSED)
        return 2;
    return pbkv_close(store) == PBKV_CLOSED ? 0 : 3;
}

TEST(after_fork_the_handle_is_the_parents)
{
    struct stage *stage = stage_new(true);
    struct pbkv *store = stage_open(stage);
    int status, ends[2];
    unsigned char result = 99;
    pid_t child;

    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
    ck_assert_int_eq(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        result = (unsigned char)use_as_child(store);
        status = write(ends[1], &result, 1) == 1 ? 0 : 1;
        raise(SIGKILL); /* not exit, at which valgrind would look for leaks */
        _exit(status);
    }
    ck_assert_int_gt(child, 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], &result, 1), 1);
    ck_assert_uint_eq(result, 0);
    close(ends[0]);
    assert_value(store, "k", "v", 1);
    pbkv_close(store);
    stage_free(stage);
}

/* ---- Scan ---------------------------------------------------------------- */

struct listing {
    struct pbkv *store;
    unsigned count;
    unsigned limit;
    unsigned wrong;
};

static bool on_entry(void *context, const struct pbkv_entry *entry)
{
    struct listing *listing = context;
    struct pbkv_value value;
    char key[8];

    snprintf(key, sizeof(key), "k%u", listing->count);
    if (entry->key_length != strlen(key) ||
        memcmp(entry->key, key, entry->key_length) != 0 ||
        entry->value_length != listing->count ||
        entry->modified != listing->count + 1)
        listing->wrong++;
    /* The callback runs in the caller's thread and may block. */
    if (pbkv_get(listing->store, key, strlen(key), 0, &value) != PBKV_OK)
        listing->wrong++;
    pbkv_free(&value);
    return ++listing->count < listing->limit;
}

static void put_ten(struct pbkv *store)
{
    for (unsigned i = 0; i < 10; i++) {
        char key[8];

        snprintf(key, sizeof(key), "k%u", i);
        ck_assert_int_eq(pbkv_put(store, key, strlen(key), "vvvvvvvvvv", i, 0),
                         PBKV_OK);
    }
}

TEST(a_scan_lists_every_key_in_order_or_until_it_is_enough)
{
    struct stage *stage = stage_new(true);
    struct pbkv *store = stage_open(stage);
    struct listing all = {.store = store, .limit = 100};
    struct listing some = {.store = store, .limit = 4};

    ck_assert_int_eq(pbkv_scan(store, 0, on_entry, &all), PBKV_OK);
    ck_assert_uint_eq(all.count, 0);
    put_ten(store);
    ck_assert_int_eq(pbkv_scan(store, 0, on_entry, &all), PBKV_OK);
    ck_assert_uint_eq(all.count, 10);
    ck_assert_uint_eq(all.wrong, 0);
    ck_assert_int_eq(pbkv_scan(store, 0, on_entry, &some), PBKV_OK);
    ck_assert_uint_eq(some.count, 4);
    ck_assert_uint_eq(some.wrong, 0);
    stage_set_silent(stage, true);
    ck_assert_int_eq(pbkv_scan(store, 50, on_entry, &all), PBKV_TIMEOUT);
    pbkv_close(store);
    stage_free(stage);
}

static void *close_it(void *argument)
{
    struct worker *worker = argument;

    worker->status = pbkv_close(worker->store);
    return NULL;
}

/* At the first entry, has the handle closed by another thread, and goes on once
 * that has begun. */
static bool on_first_close(void *context, const struct pbkv_entry *entry)
{
    struct worker *closer = context;
    struct pbkv_value value;

    if (closer->number++ > 0)
        return true;
    if (pthread_create(&closer->thread, NULL, close_it, closer) != 0)
        return false;
    while (pbkv_get(closer->store, entry->key, entry->key_length, 0, &value) !=
           PBKV_CLOSED)
        pbkv_free(&value);
    return true;
}

TEST(closing_waits_for_a_scan_that_is_between_two_pages)
{
    struct stage *stage = stage_new(true);
    struct worker closer = {.store = stage_open(stage), .status = PBKV_SYSTEM};

    for (const char *key = "abcd"; *key != 0; key++)
        ck_assert_int_eq(pbkv_put(closer.store, key, 1, "v", 1, 0), PBKV_OK);
    ck_assert_int_eq(pbkv_scan(closer.store, 0, on_first_close, &closer),
                     PBKV_CLOSED);
    pthread_join(closer.thread, NULL);
    ck_assert_int_eq(closer.status, PBKV_OK);
    ck_assert_uint_eq(closer.number, PAGE_KEYS);
    stage_free(stage);
}

struct pages {
    struct pbkv *store;
    struct tally tally;
    size_t entries;
    size_t pages;
};

static void on_page(void *context, const struct pbkv_page *page)
{
    struct pages *pages = context;
    enum pbkv_status status = page->status;

    pages->entries += page->count;
    pages->pages++;
    if (status == PBKV_OK && page->next < page->total)
        status = pbkv_scan_async(pages->store, page->next, 0, on_page, pages);
    else
        tally_note(&pages->tally, status);
    if (status != PBKV_OK)
        tally_note(&pages->tally, status);
}

TEST(pages_can_be_read_one_by_one)
{
    struct stage *stage = stage_new(true);
    struct pages pages = {.store = stage_open(stage), .tally = tally_new()};

    put_ten(pages.store);
    ck_assert_int_eq(pbkv_scan_async(pages.store, 0, 0, on_page, &pages),
                     PBKV_OK);
    tally_wait(&pages.tally, 1);
    ck_assert_uint_eq(pages.tally.statuses[PBKV_OK], 1);
    ck_assert_uint_eq(pages.entries, 10);
    ck_assert_uint_eq(pages.pages, 4);
    pbkv_close(pages.store);
    tally_end(&pages.tally);
    stage_free(stage);
}

/* ---- Observation --------------------------------------------------------- */

TEST(a_view_is_a_plain_structure)
{
    struct stage *stage = stage_new(true);
    struct pbkv *store = stage_open(stage);
    struct pbkv_view view;

    ck_assert_int_eq(pbkv_view(store, 0, &view), PBKV_OK);
    ck_assert_uint_eq(view.number, 1);
    ck_assert_str_eq(view.primary.address, stage->address);
    ck_assert_uint_gt(view.primary.incarnation, 0);
    ck_assert_str_eq(view.backup.address, "");
    pbkv_close(store);
    stage_free(stage);
}

TEST(an_echo_brings_back_what_was_sent)
{
    struct stage *stage = stage_new(true);
    struct pbkv *store = stage_open(stage);
    struct pbkv_value value;

    ck_assert_int_eq(pbkv_echo(store, stage->address, "a\0b", 3, 0, &value),
                     PBKV_OK);
    ck_assert_uint_eq(value.length, 3);
    ck_assert_mem_eq(value.data, "a\0b", 3);
    pbkv_free(&value);
    ck_assert_int_eq(pbkv_echo(store, stage->address, NULL, 0, 0, &value),
                     PBKV_OK);
    ck_assert_uint_eq(value.length, 0);
    pbkv_free(&value);
    ck_assert_int_eq(pbkv_echo(store, "nowhere", "x", 1, 0, &value),
                     PBKV_INVALID);
    pbkv_close(store);
    stage_free(stage);
}

TEST(an_inspection_tells_what_the_server_said)
{
    struct stage *stage = stage_new(true);
    struct pbkv *store = stage_open(stage);
    struct pbkv_inspection *seen;
    bool named = true;

    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
    ck_assert_int_eq(pbkv_inspect(store, stage->address, 0, &seen), PBKV_OK);
    ck_assert_str_eq(seen->role, "primary");
    ck_assert_int_eq(strncmp(seen->name, "fake", 4), 0);
    ck_assert_uint_eq(seen->view.number, 1);
    ck_assert_uint_eq(seen->keys, 1);
    ck_assert(seen->has_digest);
    ck_assert_uint_eq(seen->digest[0], 0xab);
    ck_assert_uint_eq(seen->server_count, 1);
    ck_assert_str_eq(seen->servers[0].peer.address, stage->address);
    ck_assert_uint_eq(seen->servers[0].missed_cycles, 2);
    for (size_t i = 0; i < seen->counter_count; i++)
        named = named && seen->counters[i].name[0] != '\0';
    ck_assert_uint_gt(seen->counter_count, 0);
    ck_assert(named);
    pbkv_inspection_free(seen);
    pbkv_inspection_free(NULL);
    pbkv_close(store);
    stage_free(stage);
}

/* ---- Options and arguments ----------------------------------------------- */

struct log_seen {
    pthread_mutex_t lock;
    unsigned adopted;
    unsigned debug;
    unsigned open_failed;
    bool complete;
};

static void on_log(void *context, const struct pbkv_log_line *line)
{
    struct log_seen *seen = context;

    pthread_mutex_lock(&seen->lock);
    seen->adopted += strcmp(line->event, "view.adopted") == 0;
    seen->open_failed += strcmp(line->event, "open.failed") == 0;
    seen->debug += line->level == PBKV_LOG_DEBUG;
    seen->complete = line->host[0] != '\0' && line->detail != NULL;
    pthread_mutex_unlock(&seen->lock);
}

TEST(the_log_tells_of_the_view_at_level_info)
{
    struct stage *stage = stage_new(true);
    struct pbkv_options options = options_for(stage);
    struct log_seen seen = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct pbkv *store;

    options.on_log = on_log;
    options.log_context = &seen;
    store = open_with(&options);
    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
    pbkv_close(store);
    ck_assert_uint_eq(seen.adopted, 1);
    ck_assert_uint_eq(seen.debug, 0);
    ck_assert(seen.complete);
    pthread_mutex_destroy(&seen.lock);
    stage_free(stage);
}

static void refused(struct pbkv_options options, enum pbkv_status status)
{
    struct log_seen seen = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct pbkv *store = (struct pbkv *)&seen;

    options.on_log = on_log;
    options.log_context = &seen;
    ck_assert_int_eq(pbkv_open(&options, &store), status);
    ck_assert_ptr_null(store);
    ck_assert_uint_eq(seen.open_failed, 1);
    pthread_mutex_destroy(&seen.lock);
}

TEST(options_that_make_no_sense_are_refused_with_a_reason)
{
    struct stage *stage = stage_new(false);
    struct pbkv_options good = options_for(stage), bad;
    struct pbkv *store;
    char path[128];

    bad = good, bad.view_service = NULL, refused(bad, PBKV_INVALID);
    bad = good, bad.view_service = "", refused(bad, PBKV_INVALID);
    bad = good, bad.view_service = "localhost", refused(bad, PBKV_INVALID);
    bad = good, bad.view_service = "client:1f", refused(bad, PBKV_INVALID);
    bad = good, bad.name = "", refused(bad, PBKV_INVALID);
    bad = good, bad.name = "two words", refused(bad, PBKV_INVALID);
    bad = good, bad.sessions = 1025, refused(bad, PBKV_INVALID);
    bad = good, bad.faults = "drop=2", refused(bad, PBKV_INVALID);
    bad = good, bad.deadline_ms = UINT32_MAX, refused(bad, PBKV_INVALID);
    snprintf(path, sizeof(path), "%s/none/trace", stage->directory);
    errno = 0;
    bad = good, bad.trace_path = path, refused(bad, PBKV_SYSTEM);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(pbkv_open(NULL, &store), PBKV_INVALID);
    ck_assert_int_eq(pbkv_open(&good, NULL), PBKV_INVALID);
    stage_free(stage);
}

TEST(arguments_that_make_no_sense_are_refused)
{
    struct stage *stage = stage_new(false);
    struct pbkv *store = stage_open(stage);
    struct pbkv_inspection *inspection;
    struct pbkv_value value;

    ck_assert_int_eq(pbkv_get(NULL, "k", 1, 0, &value), PBKV_INVALID);
    ck_assert_int_eq(pbkv_get(store, NULL, 1, 0, &value), PBKV_INVALID);
    ck_assert_int_eq(pbkv_get(store, "k", 1, 0, NULL), PBKV_INVALID);
    ck_assert_int_eq(pbkv_get(store, "k", 1, UINT32_MAX, &value), PBKV_INVALID);
    ck_assert_int_eq(pbkv_put(store, "k", 1, NULL, 1, 0), PBKV_INVALID);
    ck_assert_int_eq(pbkv_put_async(store, "k", 1, "v", 1, 0, NULL, NULL),
                     PBKV_INVALID);
    ck_assert_int_eq(pbkv_scan_async(store, 0, 0, NULL, NULL), PBKV_INVALID);
    ck_assert_int_eq(pbkv_scan(store, 0, NULL, NULL), PBKV_INVALID);
    ck_assert_int_eq(pbkv_view(store, 0, NULL), PBKV_INVALID);
    ck_assert_int_eq(pbkv_inspect(store, NULL, 0, &inspection), PBKV_INVALID);
    ck_assert_int_eq(pbkv_inspect(store, "a:0", 0, &inspection), PBKV_INVALID);
    pbkv_close(store);
    stage_free(stage);
}

TEST(a_trace_is_written_and_the_name_is_in_it)
{
    struct stage *stage = stage_new(true);
    struct pbkv_options options = options_for(stage);
    struct pbkv *store;
    char path[128], name[] = "ann", line[64] = "";
    FILE *file;

    snprintf(path, sizeof(path), "%s/trace", stage->directory);
    options.trace_path = path;
    options.name = name;
    store = open_with(&options);
    memset(name, 'z', 3); /* borrowed only until pbkv_open returned */
    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
    pbkv_close(store);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
    ck_assert_int_eq(strncmp(line, "{\"host\":\"ann-", 13), 0);
    fclose(file);
    unlink(path);
    stage_free(stage);
}

TEST(every_status_has_a_text_of_its_own)
{
    for (int i = PBKV_OK; i <= PBKV_SYSTEM; i++) {
        for (int j = PBKV_OK; j < i; j++)
            ck_assert_str_ne(pbkv_status_text((enum pbkv_status)i),
                             pbkv_status_text((enum pbkv_status)j));
    }
    ck_assert_str_eq(pbkv_status_text((enum pbkv_status)(PBKV_SYSTEM + 1)),
                     "unknown status");
}

SUITE("library", CASE(what_was_put_is_read_back_octet_by_octet),
      CASE(a_key_that_was_never_written_is_no_key),
      CASE(the_largest_key_and_value_pass_and_larger_ones_do_not),
      CASE_LIMIT(sixteen_threads_share_a_handle, 60),
      CASE_LIMIT(sixteen_threads_share_two_sessions, 60),
      CASE_LIMIT(on_a_bad_network_every_append_takes_effect_once, 120),
      CASE(two_handles_do_not_know_of_each_other),
      CASE(the_view_service_is_asked_once),
      CASE_LIMIT(every_asynchronous_call_ends_once_and_in_one_thread, 30),
      CASE(a_callback_can_start_the_next_call),
      CASE_LIMIT(a_hundred_handles_share_a_thread, 30),
      CASE(a_handle_that_shares_a_thread_is_closed_alone),
      CASE(a_callback_can_start_calls_of_another_handle_but_not_wait_for_them),
      CASE(a_loop_without_handles_is_opened_and_closed),
      CASE(a_server_in_a_new_life_is_found_without_waiting_for_silence),
      CASE(a_callback_that_would_block_is_refused),
      CASE(closing_ends_the_calls_under_way),
      CASE_LIMIT(calls_that_were_just_begun_end_when_the_handle_is_closed, 30),
      CASE(a_callback_during_close_can_start_nothing),
      CASE(open_and_close_leave_no_file_open),
      CASE(with_nobody_there_a_call_ends_at_its_deadline),
      CASE(a_silent_server_makes_calls_end_at_their_deadline),
      CASE_LIMIT(a_handle_survives_its_server, 30),
      CASE(a_forgotten_session_is_replaced_without_notice),
      CASE(calls_over_the_limit_of_a_handle_are_turned_away),
      CASE(the_loop_thread_takes_no_signals),
      CASE(the_callers_signal_mask_is_left_as_it_was),
      CASE(after_fork_the_handle_is_the_parents),
      CASE(a_scan_lists_every_key_in_order_or_until_it_is_enough),
      CASE(closing_waits_for_a_scan_that_is_between_two_pages),
      CASE(pages_can_be_read_one_by_one), CASE(a_view_is_a_plain_structure),
      CASE(an_echo_brings_back_what_was_sent),
      CASE(an_inspection_tells_what_the_server_said),
      CASE(the_log_tells_of_the_view_at_level_info),
      CASE(options_that_make_no_sense_are_refused_with_a_reason),
      CASE(arguments_that_make_no_sense_are_refused),
      CASE(a_trace_is_written_and_the_name_is_in_it),
      CASE(every_status_has_a_text_of_its_own))
