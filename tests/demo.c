/* SPDX-License-Identifier: MIT */
/*
 * demo: shows that the store loses nothing. It starts a view service and three
 * servers on loopback, loads every file of this tree (or of DIR, or the lines
 * of INPUT), kills the primary in the middle of the load and its successor
 * later, starts both again, reads everything back and compares byte by byte.
 *
 * The moments to kill are fractions of the work and not of time: the load stops
 * at a gate, just behind a third and two thirds of the entries, until the kill
 * has happened. So a small input is killed in the middle too.
 *
 * Environment: PBKV_TREE is the tree, PBKV_BUILD has the programs, and DIR or
 * INPUT name something else to load. The exit status is 0 when nothing was
 * lost, 1 when something was or the store did not recover, 2 for a bad input,
 * 130 after Ctrl-C and 141 when nobody reads the output any more. Nothing is
 * left behind in any case (cluster.h).
 *
 * Whoever ends the process holds `ending` and keeps it: the main thread to take
 * everything down, or the thread that waits for signals, to do it early. The
 * other then waits for the end.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/tool_source.h"
#include "node/memory.h"
#include "tests/cluster.h"
#include "tests/demo_work.h"

enum {
    SERVERS = 3,
    KILLS = 2,
    PING_MS = 100,   /* the programs' own default */
    SHOWN_MAX = 10,  /* keys of a kind that are printed */
    NAME_SHOWN = 60, /* octets of a key that are printed */
    BAR_WIDTH = 30,
    ANSWER_MS = 10000, /* how long a failover may take */
    LINES = 10,        /* of progress, when there is no terminal */
    STATUS_LOST = 1,
    STATUS_USAGE = 2,
    STATUS_INTERRUPTED = 130,
    STATUS_UNREAD = 141,
};

struct demo {
    struct cluster *cluster;
    pthread_mutex_t ending;
    struct process *servers[SERVERS];
    struct pbkv *store;

    struct item *items;
    size_t count;
    uint64_t octets;
    size_t left_out;
    enum work_outcome *outcomes;

    struct work *work; /* the pass under way */
    const char *pass;  /* what it is called */
    size_t shown;      /* tenths of it that were printed */
    bool terminal;
    uint64_t began_ms;
    uint64_t operations;
    uint64_t failover_ns[KILLS];
};

/* Shows what was printed. When nobody reads it any more (make demo | head), the
 * demonstration ends without a word. */
static void flush(struct demo *demo)
{
    if (fflush(stdout) == 0 || errno != EPIPE)
        return;
    pthread_mutex_lock(&demo->ending);
    cluster_abandon(demo->cluster, STATUS_UNREAD);
}

/* Prints a line with the time since the start. */
static void __attribute__((format(printf, 2, 3)))
tell(struct demo *demo, const char *format, ...)
{
    uint64_t ms = cluster_now_ms() - demo->began_ms;
    va_list arguments;

    va_start(arguments, format);
    printf("%s%3" PRIu64 ".%03" PRIu64 " s  ", demo->terminal ? "\r\033[K" : "",
           ms / 1000, ms % 1000);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
    flush(demo);
}

/* Ends the demonstration, after a failure. */
static void __attribute__((noreturn)) fail(struct demo *demo, const char *what)
{
    tell(demo, "FAILED: %s", what);
    pthread_mutex_lock(&demo->ending);
    _exit(STATUS_LOST); /* the janitor shows the logs and cleans up */
}

static const char *size_text(uint64_t octets, char text[32])
{
    if (octets < UINT64_C(10) * 1024)
        snprintf(text, 32, "%" PRIu64 " bytes", octets);
    else if (octets < UINT64_C(10) * 1024 * 1024)
        snprintf(text, 32, "%" PRIu64 " KiB", octets / 1024);
    else
        snprintf(text, 32, "%" PRIu64 " MiB", octets / 1024 / 1024);
    return text;
}

/* ---- The input ---------------------------------------------------------- */

static void add_item(struct demo *demo, const struct item *item)
{
    if ((demo->count & (demo->count - 1)) == 0)
        demo->items = memory_resize(
            demo->items, (demo->count ? demo->count * 2 : 1) * sizeof(*item));
    demo->items[demo->count++] = *item;
    demo->octets += item->key_length + item->value_length;
}

static void note_left_out(struct demo *demo, const struct source *source)
{
    if (demo->left_out++ < SHOWN_MAX)
        printf("left out: %s: %s\n", source_name(source),
               source_reason(source));
}

/* Returns an environment variable that is set and not empty, or NULL. */
static const char *setting(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] != '\0' ? value : NULL;
}

/* Reads all entries into memory. Returns an exit status, 0 when all is well. */
static int read_input(struct demo *demo)
{
    const char *directory = setting("DIR"), *file = setting("INPUT");
    const char *tree = setting("PBKV_TREE");
    const char *path = file ? file : directory ? directory : tree ? tree : ".";
    const char *excludes = file || directory ? NULL : "build,.git";
    enum source_result result;
    struct source *source;
    struct item item;
    int error;

    if (file && directory) {
        fprintf(stderr, "demo: DIR and INPUT exclude each other\n");
        return STATUS_USAGE;
    }
    error = source_open(path, excludes, true, &source);
    if (error != 0) {
        fprintf(stderr, "demo: %s: %s\n", path, strerror(-error));
        return STATUS_USAGE;
    }
    while ((result = source_next(source, &item)) != SOURCE_END)
        if (result == SOURCE_ITEM)
            add_item(demo, &item);
        else
            note_left_out(demo, source);
    source_close(source);
    if (demo->left_out > SHOWN_MAX)
        printf("left out: %zu more\n", demo->left_out - SHOWN_MAX);
    demo->outcomes = memory_new((demo->count + 1) * sizeof(*demo->outcomes));
    if (demo->count == 0)
        fprintf(stderr, "demo: %s: nothing to load\n", path);
    return demo->count == 0 ? STATUS_USAGE : 0;
}

/* ---- Progress ----------------------------------------------------------- */

static void show_progress(struct demo *demo)
{
    size_t done = work_done(demo->work);
    size_t filled = done * BAR_WIDTH / demo->count;
    size_t lines = done * LINES / demo->count;

    if (demo->terminal) {
        printf("\r\033[K           %s [%.*s%*s] %zu of %zu", demo->pass,
               (int)filled,
               "==============================", (int)(BAR_WIDTH - filled), "",
               done, demo->count);
        flush(demo);
    } else if (lines > demo->shown) {
        demo->shown = lines;
        tell(demo, "%s: %zu of %zu", demo->pass, done, demo->count);
    }
}

struct milestone {
    struct demo *demo;
    size_t done;
};

static bool condition_done(void *context)
{
    struct milestone *milestone = context;

    show_progress(milestone->demo);
    return work_done(milestone->demo->work) >= milestone->done;
}

/* Waits until so many operations of the pass have ended. */
static void await_done(struct demo *demo, size_t done)
{
    struct milestone milestone = {demo, done};

    while (!cluster_wait(ANSWER_MS, condition_done, &milestone))
        tell(demo, "%s: still at %zu of %zu", demo->pass, work_done(demo->work),
             demo->count);
}

static void begin_pass(struct demo *demo, enum work_kind kind, const char *name)
{
    demo->pass = name;
    demo->shown = 0;
    demo->work = work_start(demo->store, kind, demo->items, demo->count);
}

static void end_pass(struct demo *demo)
{
    work_finish(demo->work, demo->outcomes);
    demo->work = NULL;
    demo->operations += demo->count;
}

/* ---- Servers ------------------------------------------------------------ */

/* Returns the server at an address, or NULL. */
static struct process *server_at(struct demo *demo, const char *address)
{
    for (unsigned i = 0; i < SERVERS; i++)
        if (strcmp(demo->servers[i]->address, address) == 0)
            return demo->servers[i];
    return NULL;
}

static const char *name_at(struct demo *demo, const char *address)
{
    const struct process *server = server_at(demo, address);

    return server ? server->name : address[0] != '\0' ? address : "none";
}

struct pair {
    struct demo *demo;
    struct pbkv_view view;
    struct process *primary;
    struct process *backup;
};

/* The view has a primary and a backup, and both run. */
static bool condition_paired(void *context)
{
    struct pair *pair = context;

    if (!cluster_view(pair->demo->cluster, &pair->view))
        return false;
    pair->primary = server_at(pair->demo, pair->view.primary.address);
    pair->backup = server_at(pair->demo, pair->view.backup.address);
    return pair->primary && pair->primary->pid != 0 && pair->backup &&
           pair->backup->pid != 0;
}

/* Waits until a primary and a backup share the state. */
static struct pair await_pair(struct demo *demo)
{
    struct pair pair = {.demo = demo};

    if (!cluster_wait(ANSWER_MS, condition_paired, &pair))
        fail(demo, "there is no new pair of servers");
    if (!cluster_settles(demo->cluster, pair.primary, pair.backup, &pair.view))
        fail(demo, "the backup does not get the state");
    return pair;
}

static void start_servers(struct demo *demo)
{
    if (!cluster_form(demo->cluster, demo->servers, SERVERS))
        fail(demo, "the servers do not start");
    demo->store = cluster_open(demo->cluster, NULL);
    tell(demo, "view service at %s", cluster_view_address(demo->cluster));
    for (unsigned i = 0; i < SERVERS; i++)
        tell(demo, "%s at %s, process %ld: %s", demo->servers[i]->name,
             demo->servers[i]->address, (long)demo->servers[i]->pid,
             i == 0   ? "primary"
             : i == 1 ? "backup"
                      : "idle");
}

/* Asks the store for one key, until there is an answer. Returns false when
 * there is none. */
static bool store_answers(struct demo *demo)
{
    struct pbkv_value value;
    enum pbkv_status status =
        pbkv_get(demo->store, demo->items[0].key, demo->items[0].key_length,
                 ANSWER_MS, &value);

    pbkv_free(&value);
    if (status == PBKV_OK || status == PBKV_NO_KEY)
        work_note_answer(demo->work);
    demo->operations++;
    return work_answered_after_ns(demo->work) != 0;
}

/* Kills the primary while the load goes on up to gate, waits for the first
 * answer, and starts the server again. */
static void kill_primary(struct demo *demo, unsigned number, size_t gate)
{
    struct pair pair = await_pair(demo);
    size_t under_way;

    work_open_gate(demo->work, gate);
    process_signal(pair.primary, SIGKILL);
    work_note_kill(demo->work);
    under_way = work_under_way(demo->work);
    tell(demo,
         "kill -9 %s, the primary of view %" PRIu64 ", with %zu under way",
         pair.primary->name, pair.view.number, under_way);
    if (!store_answers(demo))
        fail(demo, "no answer after the kill");
    demo->failover_ns[number] = work_answered_after_ns(demo->work);
    tell(demo, "first answer %.0f ms after the kill",
         (double)demo->failover_ns[number] / 1e6);
    process_restart(pair.primary);
    if (!process_is_ready(pair.primary))
        fail(demo, "the server does not start again");
    tell(demo, "%s is back, process %ld, with nothing in memory",
         pair.primary->name, (long)pair.primary->pid);
    pair = await_pair(demo);
    tell(demo, "view %" PRIu64 ": primary %s, backup %s", pair.view.number,
         pair.primary->name, pair.backup->name);
}

/* ---- The steps ---------------------------------------------------------- */

static void load(struct demo *demo)
{
    size_t first = demo->count / 3, second = demo->count * 2 / 3;
    char size[32];

    tell(demo, "loading %zu entries, %s", demo->count,
         size_text(demo->octets, size));
    begin_pass(demo, WORK_PUT, "load");
    work_open_gate(demo->work, first);
    await_done(demo, first);
    kill_primary(demo, 0, second);
    await_done(demo, second);
    kill_primary(demo, 1, demo->count);
    await_done(demo, demo->count);
    end_pass(demo);
}

static void read_back(struct demo *demo)
{
    tell(demo, "reading everything back");
    begin_pass(demo, WORK_COMPARE, "read");
    work_open_gate(demo->work, demo->count);
    await_done(demo, demo->count);
    end_pass(demo);
}

/* Returns how many items had this outcome, and prints the keys of some. */
static size_t print_outcome(const struct demo *demo, enum work_outcome outcome,
                            const char *word)
{
    size_t found = 0;

    for (size_t i = 0; i < demo->count; i++) {
        const struct item *item = &demo->items[i];

        if (demo->outcomes[i] != outcome)
            continue;
        if (found++ < SHOWN_MAX)
            printf("%s: %.*s\n", word,
                   (int)(item->key_length < NAME_SHOWN ? item->key_length
                                                       : NAME_SHOWN),
                   (const char *)item->key);
    }
    if (found > SHOWN_MAX)
        printf("%s: and %zu more\n", word, found - SHOWN_MAX);
    return found;
}

/* ---- The report --------------------------------------------------------- */

/* Copies the address after a word of a line, without the incarnation behind its
 * slash. Returns false when the line has no such word. */
static bool address_after(const char *line, const char *word,
                          char address[PBKV_ADDRESS_SIZE])
{
    const char *at = strstr(line, word);
    size_t length;

    if (!at)
        return false;
    at += strlen(word);
    length = strcspn(at, "/ \n");
    if (length >= PBKV_ADDRESS_SIZE)
        return false;
    memcpy(address, at, length);
    address[length] = '\0';
    return true;
}

/* Prints one view from the detail of a log line "view.changed view N primary
 * ADDRESS/LIFE backup ADDRESS/LIFE". */
static void print_view(struct demo *demo, const char *detail)
{
    static const char word[] = " view ";
    char primary[PBKV_ADDRESS_SIZE], backup[PBKV_ADDRESS_SIZE];

    if (strncmp(detail, word, strlen(word)) == 0 &&
        address_after(detail, " primary ", primary) &&
        address_after(detail, " backup ", backup))
        printf("  view %-3lu primary %-5s backup %s\n",
               strtoul(detail + strlen(word), NULL, 10), name_at(demo, primary),
               name_at(demo, backup));
}

/* Prints the views in order, as the view service has logged them. */
static void print_views(struct demo *demo)
{
    static const char event[] = "view.changed";
    char *log = process_log(cluster_view_service(demo->cluster));
    const char *at = log;

    printf("views\n");
    while ((at = strstr(at, event))) {
        at += strlen(event);
        print_view(demo, at);
    }
    free(log);
}

static void print_digest(struct demo *demo, const char *role,
                         const struct process *server)
{
    struct pbkv_inspection *inspection = cluster_inspect(demo->cluster, server);

    if (!inspection)
        fail(demo, "a server does not tell its digest");
    printf("  %-8s%-4s", role, server->name);
    for (unsigned i = 0; i < PBKV_DIGEST_SIZE; i++)
        printf("%02x", inspection->digest[i]);
    printf("  %" PRIu64 " keys, op %" PRIu64 "\n", inspection->keys,
           inspection->applied);
    pbkv_inspection_free(inspection);
}

/* Compares the states of primary and backup, and prints their digests. Returns
 * whether they are the same. */
static bool print_digests(struct demo *demo)
{
    struct pair pair = await_pair(demo);
    bool same = cluster_agree(demo->cluster, pair.primary, pair.backup);

    printf("digests, %s\n", same ? "equal" : "DIFFERENT");
    print_digest(demo, "primary", pair.primary);
    print_digest(demo, "backup", pair.backup);
    return same;
}

/* Prints the result. Returns the exit status. */
static int report(struct demo *demo, size_t failed_puts)
{
    uint64_t took_ms = cluster_now_ms() - demo->began_ms;
    size_t differing, unread;
    char size[32];
    bool same;

    tell(demo, "done\n");
    differing = print_outcome(demo, WORK_DIFFERS, "lost or different");
    unread = print_outcome(demo, WORK_FAILED, "not read");
    printf("operations %" PRIu64 ", %s in %zu entries, %.1f s\n",
           demo->operations, size_text(demo->octets, size), demo->count,
           (double)took_ms / 1000);
    for (unsigned i = 0; i < KILLS; i++)
        printf("failover %u: %.0f ms from the kill to the first answer\n",
               i + 1, (double)demo->failover_ns[i] / 1e6);
    print_views(demo);
    same = print_digests(demo);
    printf("lost %zu\n", differing + unread);
    flush(demo);
    return differing + unread + failed_puts == 0 && same ? 0 : STATUS_LOST;
}

/* ---- Ctrl-C ------------------------------------------------------------- */

static void *await_signal(void *argument)
{
    struct demo *demo = argument;
    sigset_t wanted;
    int signal;

    sigemptyset(&wanted);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGHUP);
    sigwait(&wanted, &signal);
    pthread_mutex_lock(&demo->ending);
    fprintf(stderr, "\ndemo: interrupted; stopping the servers\n");
    cluster_abandon(demo->cluster, STATUS_INTERRUPTED);
}

/* Makes one thread wait for the signals that everybody else blocks. The cluster
 * has to be there, and no thread yet. */
static void watch_signals(struct demo *demo)
{
    sigset_t blocked;
    pthread_t thread;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    if (pthread_create(&thread, NULL, await_signal, demo) != 0)
        fail(demo, "no thread for signals");
    pthread_detach(thread);
}

/* Checks where temporary files go. Returns an exit status, 0 when all is well.
 */
static int check_temporary(void)
{
    const char *directory = setting("TMPDIR");

    if (!directory || access(directory, W_OK | X_OK) == 0)
        return 0;
    fprintf(stderr, "demo: TMPDIR: %s: %s\n", directory, strerror(errno));
    return STATUS_LOST;
}

/* Takes everything down. From here on a signal changes nothing. */
static void take_down(struct demo *demo)
{
    pthread_mutex_lock(&demo->ending);
    pbkv_close(demo->store);
    cluster_free(demo->cluster);
}

int main(void)
{
    static const struct cluster_options options = {.tcp = true,
                                                   .ping_ms = PING_MS};
    struct demo demo = {.began_ms = cluster_now_ms(),
                        .ending = PTHREAD_MUTEX_INITIALIZER,
                        .terminal = isatty(STDOUT_FILENO) == 1};
    size_t failed_puts;
    int status = check_temporary();

    signal(SIGPIPE, SIG_IGN);
    if (status == 0)
        status = read_input(&demo);
    if (status == 0) {
        demo.cluster = cluster_new(&options);
        watch_signals(&demo);
        start_servers(&demo);
        load(&demo);
        failed_puts = print_outcome(&demo, WORK_FAILED, "not stored");
        read_back(&demo);
        status = report(&demo, failed_puts);
        take_down(&demo);
    }
    for (size_t i = 0; i < demo.count; i++)
        item_release(&demo.items[i]);
    free(demo.items);
    free(demo.outcomes);
    return status;
}
