/* SPDX-License-Identifier: MIT */
/*
 * Tests of the message module: what a stranger's octets can and cannot become.
 * There is one sample of every kind of message, with all fields set; the tests
 * send the samples through the codec, cut them, turn bits over and take away
 * what makes them meaningful.
 *
 * Octets are decoded from blocks of exactly their length, so that the address
 * sanitizer sees a read too far. Random tests print their seed; PBKV_SEED
 * chooses another.
 */
#include <errno.h>
#include <stdint.h>

#include "node/memory.h"
#include "node/message.h"
#include "node/random.h"
#include "tests/suite.h"

/* ---- Samples ---- */

enum { KINDS = 20 };

/* All messages, and what they point at. */
struct samples {
    Pbkv__Body bodies[KINDS];
    size_t count;
    struct view view_value;
    struct view_message view;
    uint8_t digest[DIGEST_SIZE];
    Pbkv__Ping ping;
    Pbkv__GetView get_view;
    Pbkv__ViewReply view_reply;
    Pbkv__OpenSession open_session;
    Pbkv__Get get;
    Pbkv__Put put;
    Pbkv__Append append;
    Pbkv__Scan scan;
    Pbkv__Reply reply;
    Pbkv__SessionOpened session_opened;
    Pbkv__Page page;
    Pbkv__Forward forward;
    Pbkv__ForwardAck forward_ack;
    Pbkv__Chunk chunk;
    Pbkv__ChunkAck chunk_ack;
    Pbkv__Refusal refusal;
    Pbkv__Echo echo;
    Pbkv__EchoReply echo_reply;
    Pbkv__Inspect inspect;
    Pbkv__InspectReply inspect_reply;
    Pbkv__Entry entry;
    Pbkv__Entry *entries[1];
    Pbkv__LogOp ops[2];
    Pbkv__LogOp *op_pointers[2];
    Pbkv__SessionRecord record;
    Pbkv__SessionRecord *records[1];
    Pbkv__Counter counter;
    Pbkv__Counter *counters[1];
    Pbkv__ServerSeen seen;
    Pbkv__ServerSeen *servers[1];
};

static ProtobufCBinaryData octets(const char *text)
{
    return message_octets(text, strlen(text));
}

static Pbkv__Body *add(struct samples *samples, Pbkv__Body__KindCase kind,
                       void *message)
{
    Pbkv__Body *body = &samples->bodies[samples->count++];

    ck_assert_uint_le(samples->count, KINDS);
    pbkv__body__init(body);
    body->kind_case = kind;
    body->ping = message; /* all members of the oneof are pointers */
    return body;
}

static void make_parts(struct samples *s)
{
    s->view_value = (struct view){
        .number = 7,
        .primary = peer_at("host-a:1", 11),
        .backup = peer_at("[::1]:2", 12),
    };
    view_to_message(&s->view_value, &s->view);
    memset(s->digest, 0xab, sizeof(s->digest));
    pbkv__entry__init(&s->entry);
    s->entry.key = octets("key");
    s->entry.value = octets("value");
    s->entry.modified = 5;
    s->entries[0] = &s->entry;
    pbkv__log_op__init(&s->ops[0]);
    s->ops[0].kind = PBKV__KIND__KIND_OPEN;
    s->ops[0].session = 17;
    s->ops[0].status = PBKV__STATUS__OK;
    s->ops[0].evicted = 2;
    pbkv__log_op__init(&s->ops[1]);
    s->ops[1].kind = PBKV__KIND__KIND_APPEND;
    s->ops[1].session = 17;
    s->ops[1].seq = 1;
    s->ops[1].key = octets("key");
    s->ops[1].value = octets("value");
    s->ops[1].status = PBKV__STATUS__OK;
    s->op_pointers[0] = &s->ops[0];
    s->op_pointers[1] = &s->ops[1];
    pbkv__session_record__init(&s->record);
    s->record.id = 3;
    s->record.seq = 4;
    s->record.status = PBKV__STATUS__TOO_LARGE;
    s->record.op = 9;
    s->records[0] = &s->record;
}

static void make_requests(struct samples *s)
{
    pbkv__ping__init(&s->ping);
    s->ping.view = 6;
    add(s, PBKV__BODY__KIND_PING, &s->ping);
    pbkv__get_view__init(&s->get_view);
    add(s, PBKV__BODY__KIND_GET_VIEW, &s->get_view);
    pbkv__open_session__init(&s->open_session);
    s->open_session.call = 1;
    add(s, PBKV__BODY__KIND_OPEN_SESSION, &s->open_session);
    pbkv__get__init(&s->get);
    s->get.call = 2;
    s->get.key = octets("key");
    add(s, PBKV__BODY__KIND_GET, &s->get);
    pbkv__put__init(&s->put);
    s->put.session = 17;
    s->put.seq = 3;
    s->put.key = octets("key");
    s->put.value = octets("value");
    add(s, PBKV__BODY__KIND_PUT, &s->put);
    pbkv__append__init(&s->append);
    s->append.session = 17;
    s->append.seq = 4;
    s->append.key = octets("k\xff\\");
    s->append.value = octets("value");
    add(s, PBKV__BODY__KIND_APPEND, &s->append);
    pbkv__scan__init(&s->scan);
    s->scan.cursor = 100;
    add(s, PBKV__BODY__KIND_SCAN, &s->scan);
}

static void make_answers(struct samples *s)
{
    pbkv__view_reply__init(&s->view_reply);
    s->view_reply.view = &s->view.view;
    s->view_reply.superseded_by = 13;
    add(s, PBKV__BODY__KIND_VIEW_REPLY, &s->view_reply);
    pbkv__reply__init(&s->reply);
    s->reply.call = 5;
    s->reply.status = PBKV__STATUS__WRONG_SERVER;
    s->reply.value = octets("value");
    s->reply.view = &s->view.view;
    add(s, PBKV__BODY__KIND_REPLY, &s->reply);
    pbkv__session_opened__init(&s->session_opened);
    s->session_opened.session = 17;
    add(s, PBKV__BODY__KIND_SESSION_OPENED, &s->session_opened);
    pbkv__page__init(&s->page);
    s->page.n_entries = 1;
    s->page.entries = s->entries;
    s->page.next = 1;
    s->page.total = 2;
    add(s, PBKV__BODY__KIND_PAGE, &s->page);
}

static void make_replication(struct samples *s)
{
    pbkv__forward__init(&s->forward);
    s->forward.view = 7;
    s->forward.first = 17;
    s->forward.round = 8;
    s->forward.n_ops = 2;
    s->forward.ops = s->op_pointers;
    add(s, PBKV__BODY__KIND_FORWARD, &s->forward);
    pbkv__forward_ack__init(&s->forward_ack);
    s->forward_ack.view = 7;
    s->forward_ack.applied = 18;
    s->forward_ack.round = 8;
    add(s, PBKV__BODY__KIND_FORWARD_ACK, &s->forward_ack);
    pbkv__chunk__init(&s->chunk);
    s->chunk.view = 7;
    s->chunk.since = 16;
    s->chunk.transfer = 2;
    s->chunk.n_sessions = 1;
    s->chunk.sessions = s->records;
    s->chunk.n_entries = 1;
    s->chunk.entries = s->entries;
    s->chunk.n_ops = 2;
    s->chunk.ops = s->op_pointers;
    s->chunk.last = true;
    s->chunk.digest = message_octets(s->digest, DIGEST_SIZE);
    s->chunk.total = 4;
    add(s, PBKV__BODY__KIND_CHUNK, &s->chunk);
    pbkv__chunk_ack__init(&s->chunk_ack);
    s->chunk_ack.view = 7;
    s->chunk_ack.received = 4;
    s->chunk_ack.installed = true;
    s->chunk_ack.transfer = 2;
    add(s, PBKV__BODY__KIND_CHUNK_ACK, &s->chunk_ack);
    pbkv__refusal__init(&s->refusal);
    s->refusal.refused = 6;
    s->refusal.known = 7;
    s->refusal.status = PBKV__STATUS__WRONG_VIEW;
    s->refusal.transfer = 2;
    add(s, PBKV__BODY__KIND_REFUSAL, &s->refusal);
}

static void make_observation(struct samples *s)
{
    pbkv__echo__init(&s->echo);
    s->echo.payload = octets("payload");
    add(s, PBKV__BODY__KIND_ECHO, &s->echo);
    pbkv__echo_reply__init(&s->echo_reply);
    s->echo_reply.payload = octets("payload");
    add(s, PBKV__BODY__KIND_ECHO_REPLY, &s->echo_reply);
    pbkv__inspect__init(&s->inspect);
    s->inspect.call = 6;
    add(s, PBKV__BODY__KIND_INSPECT, &s->inspect);
    pbkv__counter__init(&s->counter);
    s->counter.name = octets("view.adopted");
    s->counter.value = 3;
    s->counters[0] = &s->counter;
    pbkv__server_seen__init(&s->seen);
    s->seen.peer = &s->view.primary;
    s->seen.view = 7;
    s->servers[0] = &s->seen;
    pbkv__inspect_reply__init(&s->inspect_reply);
    s->inspect_reply.role = octets("primary");
    s->inspect_reply.view = &s->view.view;
    s->inspect_reply.digest = message_octets(s->digest, DIGEST_SIZE);
    s->inspect_reply.n_counters = 1;
    s->inspect_reply.counters = s->counters;
    s->inspect_reply.n_servers = 1;
    s->inspect_reply.servers = s->servers;
    add(s, PBKV__BODY__KIND_INSPECT_REPLY, &s->inspect_reply);
}

static void make_samples(struct samples *samples)
{
    memset(samples, 0, sizeof(*samples));
    make_parts(samples);
    make_requests(samples);
    make_answers(samples);
    make_replication(samples);
    make_observation(samples);
    ck_assert_uint_eq(samples->count, KINDS);
}

/* Decodes a copy that is exactly as long as it has to be. */
static int decode_exactly(struct arena *arena, const uint8_t *data,
                          size_t length, Pbkv__Body **body)
{
    uint8_t *copy = malloc(length ? length : 1);
    int result;

    ck_assert_ptr_nonnull(copy);
    if (length > 0)
        memcpy(copy, data, length);
    result = message_decode(arena, copy, length, body);
    free(copy);
    return result;
}

/* Returns an encoded Frame with these bodies. */
static struct bytes *frame_around_all(Pbkv__Body **bodies, size_t count)
{
    struct peer from = peer_at("from:1", 1);
    struct peer to = peer_at("to:1", 0);
    Pbkv__Frame frame = PBKV__FRAME__INIT;
    Pbkv__Peer peers[2];
    Pbkv__ClockEntry entries[2];
    Pbkv__ClockEntry *vector[] = {&entries[0], &entries[1]};
    struct bytes *encoded;

    for (size_t i = 0; i < 2; i++) {
        pbkv__clock_entry__init(&entries[i]);
        entries[i].host = octets(i == 0 ? "from-1" : "to-1");
        entries[i].time = 300 + i;
    }
    peer_to_message(&from, &peers[0]);
    peer_to_message(&to, &peers[1]);
    frame.lamport = 12345;
    frame.n_vector = 2;
    frame.vector = vector;
    frame.from = &peers[0];
    frame.to = &peers[1];
    frame.n_bodies = count;
    frame.bodies = bodies;
    encoded = bytes_new_uninitialised(pbkv__frame__get_packed_size(&frame));
    pbkv__frame__pack(&frame, encoded->data);
    return encoded;
}

static struct bytes *frame_around(Pbkv__Body *body)
{
    return frame_around_all(&body, 1);
}

/* ---- There and back ---- */

/* The samples are all the kinds there are in the .proto. */
TEST(there_is_a_sample_of_every_kind)
{
    struct samples samples;
    const ProtobufCMessageDescriptor *body = &pbkv__body__descriptor;

    make_samples(&samples);
    ck_assert_uint_eq(body->n_fields, KINDS);
    for (unsigned i = 0; i < body->n_fields; i++) {
        size_t found = 0;

        for (size_t j = 0; j < KINDS; j++)
            found += samples.bodies[j].kind_case == body->fields[i].id;
        ck_assert_msg(found == 1, "no sample of %s", body->fields[i].name);
    }
}

TEST(every_message_comes_back_as_it_was)
{
    struct samples samples;
    struct arena arena;

    make_samples(&samples);
    arena_init(&arena);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes *sent = message_encode(&samples.bodies[i]);
        struct bytes *again;
        Pbkv__Body *body;

        ck_assert_int_eq(
            decode_exactly(&arena, sent->data, sent->length, &body), 0);
        ck_assert_int_eq(body->kind_case, samples.bodies[i].kind_case);
        again = message_encode(body);
        ck_assert(bytes_equal(sent, again));
        bytes_release(sent);
        bytes_release(again);
    }
    arena_release(&arena);
}

/* Keys and values are octets: zeros and all, and lengths are exact. */
/* A copy says the same, and needs nothing of what it was made of. */
TEST(a_copy_of_every_message_is_its_own)
{
    struct samples samples;
    Pbkv__Body *copies[KINDS];
    struct bytes *before[KINDS];

    make_samples(&samples);
    for (size_t i = 0; i < KINDS; i++) {
        before[i] = message_encode(&samples.bodies[i]);
        copies[i] = message_copy(&samples.bodies[i]);
    }
    memset(&samples, 0xff, sizeof(samples));
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes *after = message_encode(copies[i]);

        ck_assert(bytes_equal(before[i], after));
        bytes_release(after);
        bytes_release(before[i]);
        message_free(copies[i]);
    }
    message_free(NULL);
}

/* Most calls end with one of these, which are not copied like all others. */
TEST(a_copy_of_a_reply_has_its_own_value)
{
    char value[] = "any octets";
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Reply reply = PBKV__REPLY__INIT;
    Pbkv__Body *copy;

    body.kind_case = PBKV__BODY__KIND_REPLY;
    body.reply = &reply;
    reply.call = 7;
    reply.status = PBKV__STATUS__OK;
    reply.value = octets(value);
    copy = message_copy(&body);
    memset(value, 'x', sizeof(value));
    memset(&reply, 0, sizeof(reply));
    ck_assert_int_eq(copy->kind_case, PBKV__BODY__KIND_REPLY);
    ck_assert_uint_eq(copy->reply->call, 7);
    ck_assert_int_eq(copy->reply->status, PBKV__STATUS__OK);
    ck_assert_uint_eq(copy->reply->value.len, 10);
    ck_assert_mem_eq(copy->reply->value.data, "any octets", 10);
    message_free(copy);
}

TEST(octets_of_any_value_come_back)
{
    struct samples samples;
    struct arena arena;
    uint8_t all[256];
    struct bytes *sent;
    Pbkv__Body *body;

    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)i;
    make_samples(&samples);
    samples.put.key = message_octets(all, sizeof(all));
    samples.put.value = message_octets(NULL, 0);
    ck_assert_int_eq(samples.bodies[4].kind_case, PBKV__BODY__KIND_PUT);
    sent = message_encode(&samples.bodies[4]);
    arena_init(&arena);
    ck_assert_int_eq(decode_exactly(&arena, sent->data, sent->length, &body),
                     0);
    ck_assert_uint_eq(body->put->key.len, sizeof(all));
    ck_assert_mem_eq(body->put->key.data, all, sizeof(all));
    ck_assert_uint_eq(body->put->value.len, 0);
    arena_release(&arena);
    bytes_release(sent);
}

static void assert_same_packed(const ProtobufCMessage *a,
                               const ProtobufCMessage *b)
{
    size_t size = protobuf_c_message_get_packed_size(a);
    struct bytes *left = bytes_new_uninitialised(size);
    struct bytes *right;

    ck_assert_uint_eq(protobuf_c_message_get_packed_size(b), size);
    right = bytes_new_uninitialised(size);
    protobuf_c_message_pack(a, left->data);
    protobuf_c_message_pack(b, right->data);
    ck_assert(bytes_equal(left, right));
    bytes_release(left);
    bytes_release(right);
}

TEST(a_frame_comes_back_as_it_was)
{
    struct samples samples;
    struct arena arena;

    make_samples(&samples);
    arena_init(&arena);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes *sent = frame_around(&samples.bodies[i]);
        Pbkv__Frame *frame;

        ck_assert_int_eq(frame_decode(&arena, sent->data, sent->length, &frame),
                         0);
        ck_assert_int_eq(frame->bodies[0]->kind_case,
                         samples.bodies[i].kind_case);
        ck_assert_uint_eq(frame->from->incarnation, 1);
        ck_assert_uint_eq(frame->to->address.len, 4);
        bytes_release(sent);
    }
    arena_release(&arena);
}

/* Decodes a frame and compares all of it with what protobuf-c makes of it.
 * Returns the result. */
static int decode_as_protobuf(struct arena *arena, const struct bytes *sent)
{
    Pbkv__Frame *theirs = pbkv__frame__unpack(NULL, sent->length, sent->data);
    Pbkv__Frame *ours;
    int result = frame_decode(arena, sent->data, sent->length, &ours);

    ck_assert_int_eq(result == -EBADMSG, theirs == NULL);
    ck_assert(result == 0 || result == -EBADMSG || result == -EPROTO);
    if (result == 0)
        assert_same_packed(&ours->base, &theirs->base);
    if (theirs)
        pbkv__frame__free_unpacked(theirs, NULL);
    return result;
}

/* What is read without protobuf-c is what protobuf-c reads: any bit flipped
 * anywhere, both refuse or both decode the same. */
TEST(a_frame_is_read_as_protobuf_would)
{
    struct samples samples;
    struct arena arena;
    uint64_t random = suite_seed();
    size_t accepted = 0;

    make_samples(&samples);
    arena_init(&arena);
    for (size_t i = 0; i < 40000; i++) {
        Pbkv__Body *bodies[] = {&samples.bodies[i % KINDS],
                                &samples.bodies[i / KINDS % KINDS],
                                &samples.bodies[0]};
        struct bytes *sent = frame_around_all(bodies, 1 + i % 3);
        size_t head = sent->length < 80 || i % 2 ? sent->length : 80;

        sent->data[random_next(&random) % head] ^=
            (uint8_t)(1U << (random_next(&random) % 8));
        accepted += decode_as_protobuf(&arena, sent) == 0;
        bytes_release(sent);
    }
    ck_assert_uint_gt(accepted, 1000);
    arena_release(&arena);
}

/* ---- Frequent messages ---- */

enum { FREQUENT = 7, TEXT_MAX = 20000, BATCH_MAX = 40, LIST_MAX = 12 };

static const uint8_t long_text[TEXT_MAX] = "text";

/* Numbers and lengths that take one octet more, or are as long as they get. */
static uint64_t any_number(uint64_t *random)
{
    uint64_t draw = random_next(random);
    unsigned shift = (unsigned)(draw >> 8) % 64;

    switch (draw % 4) {
    case 0: return 0;
    case 1: return (UINT64_C(1) << shift) - 1;
    case 2: return UINT64_C(1) << shift;
    default: return random_next(random) >> shift;
    }
}

/* A number that message_check takes. */
static uint64_t fair_number(uint64_t *random)
{
    return any_number(random) % NUMBER_LIMIT + 1;
}

static ProtobufCBinaryData any_octets(uint64_t *random, size_t limit)
{
    static const size_t lengths[] = {0, 1, 16, 100, 127, 128, 4096, 16383};
    size_t length = lengths[random_next(random) % 8];

    return message_octets(long_text, length < limit ? length : limit);
}

/* A frequent message with fields of any size. */
struct frequent {
    Pbkv__Body body;
    Pbkv__Get get;
    Pbkv__Put put;
    Pbkv__Append append;
    Pbkv__Reply reply;
    Pbkv__Forward forward;
    Pbkv__ForwardAck ack;
    Pbkv__Chunk chunk;
    uint8_t digest[DIGEST_SIZE];
    Pbkv__LogOp ops[BATCH_MAX];
    Pbkv__LogOp *pointers[BATCH_MAX];
    Pbkv__Entry entries[LIST_MAX];
    Pbkv__Entry *entry_pointers[LIST_MAX];
    Pbkv__SessionRecord records[LIST_MAX];
    Pbkv__SessionRecord *record_pointers[LIST_MAX];
};

static void make_operations(struct frequent *f, uint64_t *random)
{
    pbkv__forward__init(&f->forward);
    f->forward.view = fair_number(random);
    f->forward.first = fair_number(random) / 2 + 1;
    f->forward.round = any_number(random) % NUMBER_LIMIT;
    f->forward.n_ops = random_next(random) % BATCH_MAX;
    f->forward.ops = f->pointers;
    for (size_t i = 0; i < f->forward.n_ops; i++) {
        Pbkv__LogOp *op = &f->ops[i];

        pbkv__log_op__init(op);
        op->kind = (Pbkv__Kind)(1 + random_next(random) % 3);
        op->session = f->forward.first + i;
        if (op->kind != PBKV__KIND__KIND_OPEN) {
            op->session = 1 + any_number(random) % op->session;
            op->seq = fair_number(random);
        }
        op->key = any_octets(random, KEY_LIMIT);
        op->value = any_octets(random, VALUE_LIMIT);
        op->status = (Pbkv__Status)(1 + random_next(random) % 11);
        op->evicted = any_number(random);
        f->pointers[i] = op;
    }
}

static void make_records(struct frequent *f, uint64_t *random)
{
    f->chunk.n_sessions = random_next(random) % LIST_MAX;
    f->chunk.sessions = f->record_pointers;
    for (size_t i = 0; i < f->chunk.n_sessions; i++) {
        Pbkv__SessionRecord *record = &f->records[i];

        pbkv__session_record__init(record);
        record->op = 1 + any_number(random) % f->chunk.since;
        record->id = 1 + any_number(random) % record->op;
        record->seq = any_number(random);
        record->status = (Pbkv__Status)(1 + random_next(random) % 11);
        f->record_pointers[i] = record;
    }
}

static void make_entries(struct frequent *f, uint64_t *random)
{
    f->chunk.n_entries = random_next(random) % LIST_MAX;
    f->chunk.entries = f->entry_pointers;
    for (size_t i = 0; i < f->chunk.n_entries; i++) {
        Pbkv__Entry *entry = &f->entries[i];

        pbkv__entry__init(entry);
        entry->key = any_octets(random, KEY_LIMIT);
        entry->value = any_octets(random, VALUE_LIMIT);
        entry->modified = fair_number(random);
        f->entry_pointers[i] = entry;
    }
}

/* Has the operations of the Forward; any of the lists may be empty. */
static void make_chunk(struct frequent *f, uint64_t *random)
{
    pbkv__chunk__init(&f->chunk);
    f->chunk.view = fair_number(random);
    f->chunk.first = any_number(random) % NUMBER_LIMIT;
    f->chunk.since = fair_number(random);
    f->chunk.transfer = fair_number(random);
    f->chunk.total = any_number(random) % NUMBER_LIMIT;
    if (random_next(random) % 2 == 0)
        make_records(f, random);
    if (random_next(random) % 2 == 0)
        make_entries(f, random);
    if (random_next(random) % 2 == 0) {
        f->chunk.n_ops = f->forward.n_ops;
        f->chunk.ops = f->forward.ops;
    }
    memset(f->digest, 0xab, sizeof(f->digest));
    f->chunk.last = random_next(random) % 2 == 0;
    if (f->chunk.last)
        f->chunk.digest = message_octets(f->digest, sizeof(f->digest));
}

static void make_updates(struct frequent *f, uint64_t *random)
{
    pbkv__put__init(&f->put);
    f->put.call = any_number(random);
    f->put.session = any_number(random);
    f->put.seq = any_number(random);
    f->put.key = any_octets(random, TEXT_MAX);
    f->put.value = any_octets(random, TEXT_MAX);
    pbkv__append__init(&f->append);
    f->append.call = any_number(random);
    f->append.session = any_number(random);
    f->append.seq = any_number(random);
    f->append.key = any_octets(random, TEXT_MAX);
    f->append.value = any_octets(random, TEXT_MAX);
}

static void make_frequent(struct frequent *f, unsigned which, uint64_t *random)
{
    static const Pbkv__Body__KindCase kinds[FREQUENT] = {
        PBKV__BODY__KIND_GET,     PBKV__BODY__KIND_PUT,
        PBKV__BODY__KIND_APPEND,  PBKV__BODY__KIND_REPLY,
        PBKV__BODY__KIND_FORWARD, PBKV__BODY__KIND_FORWARD_ACK,
        PBKV__BODY__KIND_CHUNK,
    };
    void *messages[FREQUENT] = {&f->get,     &f->put, &f->append, &f->reply,
                                &f->forward, &f->ack, &f->chunk};

    pbkv__get__init(&f->get);
    f->get.call = any_number(random);
    f->get.key = any_octets(random, TEXT_MAX);
    make_updates(f, random);
    pbkv__reply__init(&f->reply);
    f->reply.call = any_number(random);
    f->reply.status = (Pbkv__Status)(1 + random_next(random) % 11);
    f->reply.value = any_octets(random, TEXT_MAX);
    make_operations(f, random);
    make_chunk(f, random);
    pbkv__forward_ack__init(&f->ack);
    f->ack.view = fair_number(random);
    f->ack.applied = any_number(random);
    f->ack.round = any_number(random);
    pbkv__body__init(&f->body);
    f->body.kind_case = kinds[which];
    f->body.ping = messages[which]; /* all members of the oneof are pointers */
}

static void assert_written_as_protobuf_would(const Pbkv__Body *body)
{
    struct bytes *ours = message_encode(body);
    struct bytes *theirs =
        bytes_new_uninitialised(pbkv__body__get_packed_size(body));

    pbkv__body__pack(body, theirs->data);
    ck_assert(bytes_equal(ours, theirs));
    bytes_release(ours);
    bytes_release(theirs);
}

/* pbkv.proto is what they mean: octet for octet. */
TEST(frequent_messages_are_written_as_protobuf_would)
{
    struct frequent *f = memory_new(sizeof(*f));
    uint64_t random = suite_seed();
    struct arena arena;

    arena_init(&arena);
    for (unsigned i = 0; i < 6000; i++) {
        struct bytes *ours;
        Pbkv__Body *decoded;

        make_frequent(f, i % FREQUENT, &random);
        assert_written_as_protobuf_would(&f->body);
        ours = message_encode(&f->body);
        ck_assert_int_eq(
            decode_exactly(&arena, ours->data, ours->length, &decoded), 0);
        assert_same_packed(&decoded->base, &f->body.base);
        bytes_release(ours);
    }
    arena_release(&arena);
    free(f);
}

/* The length of a message is written after it, in as many octets as it takes.
 */
TEST(lengths_of_every_size_are_written_as_protobuf_would)
{
    Pbkv__Put put = PBKV__PUT__INIT;
    Pbkv__LogOp op = PBKV__LOG_OP__INIT, *ops[] = {&op, &op, &op};
    Pbkv__Forward forward = PBKV__FORWARD__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    op.kind = PBKV__KIND__KIND_PUT;
    op.status = PBKV__STATUS__OK;
    op.session = op.seq = forward.view = forward.first = 1;
    forward.ops = ops;
    for (size_t length = 0; length < 16500; length++) {
        put.value = op.value = message_octets(long_text, length);
        body.kind_case = PBKV__BODY__KIND_PUT;
        body.put = &put;
        assert_written_as_protobuf_would(&body);
        body.kind_case = PBKV__BODY__KIND_FORWARD;
        body.forward = &forward;
        forward.n_ops = 1 + length % 3;
        assert_written_as_protobuf_would(&body);
        op.session = put.call = forward.round =
            1 + (length & 1) * NUMBER_LIMIT / 2;
        forward.first = op.session;
        if (length == 300)
            length = 16200;
    }
}

/* Returns octets with a few of them changed, taken out, or there twice. */
static struct bytes *mutilate(const struct bytes *sent, uint64_t *random)
{
    size_t at = random_next(random) % sent->length;
    size_t end = at + random_next(random) % 8;
    struct bytes *changed;

    end = end < sent->length ? end : sent->length;
    switch (random_next(random) % 3) {
    case 0:
        changed = bytes_new(sent->data, sent->length);
        changed->data[at] = (uint8_t)random_next(random);
        return changed;
    case 1: /* without them */
        changed = bytes_new(sent->data, sent->length - (end - at));
        memcpy(changed->data + at, sent->data + end, sent->length - end);
        return changed;
    default: /* with them twice */
        changed = bytes_new_uninitialised(sent->length + (end - at));
        memcpy(changed->data, sent->data, end);
        memcpy(changed->data + end, sent->data + at, sent->length - at);
        return changed;
    }
}

/* Whoever reads a message refuses the same ones, and takes the same from the
 * others. */
TEST(frequent_messages_are_read_as_protobuf_would)
{
    struct frequent *f = memory_new(sizeof(*f));
    uint64_t random = suite_seed();
    size_t accepted = 0, refused = 0;
    struct arena arena;

    arena_init(&arena);
    for (unsigned i = 0; i < 30000; i++) {
        struct bytes *sent, *changed;
        Pbkv__Body *ours, *theirs;
        int result;

        make_frequent(f, i % FREQUENT, &random);
        sent = message_encode(&f->body);
        changed = mutilate(sent, &random);
        result = decode_exactly(&arena, changed->data, changed->length, &ours);
        theirs = pbkv__body__unpack(NULL, changed->length, changed->data);
        if (!theirs)
            ck_assert_int_eq(result, -EBADMSG);
        else
            ck_assert_int_eq(result, message_check(theirs));
        if (result == 0) {
            assert_same_packed(&ours->base, &theirs->base);
            accepted++;
        } else
            refused++;
        if (theirs)
            pbkv__body__free_unpacked(theirs, NULL);
        bytes_release(changed);
        bytes_release(sent);
    }
    ck_assert_uint_gt(accepted, 3000);
    ck_assert_uint_gt(refused, 3000);
    arena_release(&arena);
    free(f);
}

/* In short messages a change hits tags and lengths, also those of the head. */
TEST(frames_of_frequent_messages_are_read_as_protobuf_would)
{
    static const unsigned numbers[] = {3, 4, 5, 8, 11, 12, 13}; /* of samples */
    struct samples samples;
    uint64_t random = suite_seed();
    size_t accepted = 0;
    struct arena arena;

    make_samples(&samples);
    samples.reply.view = NULL;
    arena_init(&arena);
    for (size_t i = 0; i < 60000; i++) {
        struct bytes *sent = frame_around(&samples.bodies[numbers[i % 7]]);
        struct bytes *changed = mutilate(sent, &random);

        accepted += decode_as_protobuf(&arena, changed) == 0;
        bytes_release(changed);
        bytes_release(sent);
    }
    ck_assert_uint_gt(accepted, 5000);
    arena_release(&arena);
}

/* Octets of a frame stay where they are: it has to stay as long as they do. */
TEST(a_frame_lends_its_octets)
{
    struct samples samples;
    struct bytes *sent;
    struct arena arena;
    Pbkv__Frame *frame;
    const uint8_t *value;

    make_samples(&samples);
    sent = frame_around(&samples.bodies[4]);
    arena_init(&arena);
    ck_assert_int_eq(frame_decode(&arena, sent->data, sent->length, &frame), 0);
    value = frame->bodies[0]->put->value.data;
    ck_assert(value >= sent->data && value < sent->data + sent->length);
    arena_release(&arena);
    bytes_release(sent);
}

/* ---- Frames that are none ---- */

static int decode_frame(const Pbkv__Frame *frame)
{
    struct bytes *sent =
        bytes_new_uninitialised(pbkv__frame__get_packed_size(frame));
    struct arena arena;
    Pbkv__Frame *decoded;
    int result;

    pbkv__frame__pack(frame, sent->data);
    arena_init(&arena);
    result = frame_decode(&arena, sent->data, sent->length, &decoded);
    arena_release(&arena);
    bytes_release(sent);
    return result;
}

TEST(a_frame_needs_a_sender_and_a_body)
{
    struct samples samples;
    struct peer peer = peer_at("from:1", 1);
    Pbkv__Frame frame = PBKV__FRAME__INIT;
    Pbkv__Peer from, nobody = PBKV__PEER__INIT, bad = PBKV__PEER__INIT;
    Pbkv__Body empty = PBKV__BODY__INIT;
    Pbkv__Body *bodies[] = {&empty};

    make_samples(&samples);
    peer_to_message(&peer, &from);
    bad.address = octets("not an address");
    ck_assert_int_eq(decode_frame(&frame), -EPROTO);
    frame.from = &from;
    ck_assert_int_eq(decode_frame(&frame), -EPROTO);
    frame.n_bodies = 1;
    frame.bodies = bodies;
    ck_assert_int_eq(decode_frame(&frame), -EPROTO);
    bodies[0] = &samples.bodies[0];
    ck_assert_int_eq(decode_frame(&frame), 0); /* to nobody in particular */
    frame.from = &nobody;
    ck_assert_int_eq(decode_frame(&frame), -EPROTO);
    frame.from = &bad;
    ck_assert_int_eq(decode_frame(&frame), -EPROTO);
    frame.from = &from;
    frame.to = &bad;
    ck_assert_int_eq(decode_frame(&frame), -EPROTO);
    frame.to = &nobody;
    ck_assert_int_eq(decode_frame(&frame), 0);
}

TEST(a_frame_has_a_few_bodies_and_all_are_checked)
{
    struct samples samples;
    struct peer peer = peer_at("from:1", 1);
    Pbkv__Frame frame = PBKV__FRAME__INIT;
    Pbkv__Peer from;
    Pbkv__Body empty = PBKV__BODY__INIT;
    Pbkv__Body *bodies[FRAME_BODIES_LIMIT + 1];

    make_samples(&samples);
    peer_to_message(&peer, &from);
    frame.from = &from;
    frame.bodies = bodies;
    for (size_t i = 0; i <= FRAME_BODIES_LIMIT; i++)
        bodies[i] = &samples.bodies[i % KINDS];
    frame.n_bodies = FRAME_BODIES_LIMIT;
    ck_assert_int_eq(decode_frame(&frame), 0);
    frame.n_bodies++;
    ck_assert_int_eq(decode_frame(&frame), -EPROTO);
    frame.n_bodies = FRAME_BODIES_LIMIT;
    bodies[FRAME_BODIES_LIMIT - 1] = &empty;
    ck_assert_int_eq(decode_frame(&frame), -EPROTO);
}

TEST(octets_that_are_no_message_are_refused)
{
    static const uint8_t unset[] = {0};
    static const uint8_t cut[] = {0x0a, 0x05, 0x08};
    static const uint8_t group[] = {0x0b, 0x0c};
    static const uint8_t endless[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t unknown[] = {0xf8, 0x7f, 0x01}; /* field 2047 */
    struct arena arena;
    Pbkv__Body *body;

    arena_init(&arena);
    ck_assert_int_eq(decode_exactly(&arena, unset, 0, &body), -EPROTO);
    ck_assert_int_eq(decode_exactly(&arena, unset, 1, &body), -EBADMSG);
    ck_assert_int_eq(decode_exactly(&arena, cut, sizeof(cut), &body), -EBADMSG);
    ck_assert_int_eq(decode_exactly(&arena, group, sizeof(group), &body),
                     -EBADMSG);
    ck_assert_int_eq(decode_exactly(&arena, endless, sizeof(endless), &body),
                     -EBADMSG);
    ck_assert_int_eq(decode_exactly(&arena, unknown, sizeof(unknown), &body),
                     -EPROTO);
    arena_release(&arena);
}

TEST(more_than_the_frame_limit_is_not_even_tried)
{
    uint8_t *data = calloc(1, FRAME_LIMIT + 1);
    struct arena arena;
    Pbkv__Frame *frame;

    ck_assert_ptr_nonnull(data);
    arena_init(&arena);
    ck_assert_int_eq(frame_decode(&arena, data, FRAME_LIMIT + 1, &frame),
                     -E2BIG);
    ck_assert_uint_eq(arena.size, 0);
    ck_assert_int_eq(frame_decode(&arena, data, FRAME_LIMIT, &frame), -EBADMSG);
    arena_release(&arena);
    free(data);
}

/* Every beginning of every message is a message, or refused. */
TEST(truncated_messages_do_no_harm)
{
    struct samples samples;
    struct arena arena;
    size_t refused = 0;

    make_samples(&samples);
    arena_init(&arena);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes *sent = message_encode(&samples.bodies[i]);
        Pbkv__Body *body;

        for (size_t length = 0; length < sent->length; length++)
            refused += decode_exactly(&arena, sent->data, length, &body) < 0;
        bytes_release(sent);
    }
    ck_assert_uint_gt(refused, 500);
    arena_release(&arena);
}

/* What still decodes is meaningful: it can be shown, and encoded again. */
TEST(flipped_bits_do_no_harm)
{
    struct samples samples;
    struct arena arena;
    uint64_t random = suite_seed();
    size_t accepted = 0, refused = 0;

    make_samples(&samples);
    arena_init(&arena);
    for (size_t i = 0; i < 40000; i++) {
        struct bytes *sent = message_encode(&samples.bodies[i % KINDS]);
        Pbkv__Body *body;
        char text[400];

        for (uint64_t flips = 1 + random_next(&random) % 4; flips > 0;
             flips--) {
            if (sent->length > 0)
                sent->data[random_next(&random) % sent->length] ^=
                    (uint8_t)(1U << (random_next(&random) % 8));
        }
        if (decode_exactly(&arena, sent->data, sent->length, &body) == 0) {
            ck_assert_int_eq(message_check(body), 0);
            message_format(body, text, sizeof(text));
            bytes_release(message_encode(body));
            accepted++;
        } else
            refused++;
        bytes_release(sent);
    }
    ck_assert_uint_gt(accepted, 1000);
    ck_assert_uint_gt(refused, 1000);
    arena_release(&arena);
}

/* The same with frames, where runtimes begin. */
TEST(flipped_bits_in_frames_do_no_harm)
{
    struct samples samples;
    struct arena arena;
    uint64_t random = suite_seed();
    size_t accepted = 0;

    make_samples(&samples);
    arena_init(&arena);
    for (size_t i = 0; i < 20000; i++) {
        struct bytes *sent = frame_around(&samples.bodies[i % KINDS]);
        Pbkv__Frame *frame;

        sent->data[random_next(&random) % sent->length] ^=
            (uint8_t)(1U << (random_next(&random) % 8));
        accepted += frame_decode(&arena, sent->data, sent->length, &frame) == 0;
        bytes_release(sent);
    }
    ck_assert_uint_gt(accepted, 100);
    ck_assert_uint_lt(accepted, 20000);
    arena_release(&arena);
}

/* ---- The budget ---- */

/* Makes a Body of one message of a kind that has length octets. */
static struct bytes *body_of(unsigned kind, const uint8_t *data, size_t length)
{
    struct bytes *bytes = bytes_new_uninitialised(length + 8);
    size_t place = 0;
    size_t rest = length;

    ck_assert_uint_lt(kind, 32);
    if (kind > 15) {
        bytes->data[place++] = (uint8_t)(((kind << 3) | 2) | 0x80);
        bytes->data[place++] = (uint8_t)(kind >> 4);
    } else
        bytes->data[place++] = (uint8_t)((kind << 3) | 2);
    for (; rest > 127; rest >>= 7)
        bytes->data[place++] = (uint8_t)(rest | 0x80);
    bytes->data[place++] = (uint8_t)rest;
    memcpy(bytes->data + place, data, length);
    bytes->length = (uint32_t)(place + length);
    return bytes;
}

/* A message of a million empty fields, which would be fifty times its size, is
 * refused for its size, and for nothing else. */
TEST(a_million_empty_fields_are_too_much)
{
    static const unsigned kinds[][2] = {
        {PBKV__BODY__KIND_FORWARD, 4}, /* ops */
        {PBKV__BODY__KIND_CHUNK, 4},   /* sessions */
        {PBKV__BODY__KIND_CHUNK, 5},   /* entries */
        {PBKV__BODY__KIND_CHUNK, 6},   /* ops */
        {PBKV__BODY__KIND_PAGE, 2},    /* entries */
    };
    size_t length = BODY_LIMIT - 16;
    uint8_t *data = memory_new(length);
    struct arena arena;
    Pbkv__Body *body;

    arena_init(&arena);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        /* Half as many, a quarter, … */
        for (size_t size = length; size > 4096; size /= 2) {
            struct bytes *sent;
            int result;

            for (size_t j = 0; j + 1 < size; j += 2) {
                data[j] = (uint8_t)((kinds[i][1] << 3) | 2);
                data[j + 1] = 0;
            }
            sent = body_of(kinds[i][0], data, size & ~(size_t)1);
            result = message_decode(&arena, sent->data, sent->length, &body);
            ck_assert_msg(result == -E2BIG, "%zu octets of %s: %d", size,
                          message_name(kinds[i][0]), result);
            ck_assert_uint_le(arena.used, arena.budget);
            bytes_release(sent);
        }
    }
    arena_release(&arena);
    free(data);
}

/* Memory is in proportion to what was sent. */
TEST(the_budget_is_in_proportion)
{
    struct samples samples;
    struct arena arena;

    make_samples(&samples);
    arena_init(&arena);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes *sent = message_encode(&samples.bodies[i]);
        Pbkv__Body *body;

        ck_assert_int_eq(
            message_decode(&arena, sent->data, sent->length, &body), 0);
        ck_assert_uint_le(arena.used, arena.budget);
        ck_assert_uint_le(arena.budget, 32 * sent->length + 32 * 1024);
        bytes_release(sent);
    }
    arena_release(&arena);
}

/* Encodes and decodes; returns how many octets of memory one octet takes. */
static size_t density(const Pbkv__Body *body)
{
    struct bytes *sent = message_encode(body);
    struct arena arena;
    Pbkv__Body *decoded;
    size_t result;

    arena_init(&arena);
    ck_assert_uint_le(sent->length, BODY_LIMIT);
    ck_assert_int_eq(message_decode(&arena, sent->data, sent->length, &decoded),
                     0);
    result = arena.used / sent->length;
    arena_release(&arena);
    bytes_release(sent);
    return result;
}

/* The densest that servers send: full chunks of the smallest items of one kind
 * (see test_transfer.c for those that a server made). */
TEST(full_chunks_of_small_items_are_within_the_budget)
{
    enum { ITEMS = 16384 };
    struct samples s;
    void **pointers = memory_new(ITEMS * sizeof(*pointers));
    size_t dense[3];

    make_samples(&s);
    s.chunk.n_sessions = s.chunk.n_ops = 0;
    s.entry.key = octets("k");
    s.entry.value = octets("");
    for (size_t i = 0; i < ITEMS; i++)
        pointers[i] = &s.entry;
    s.chunk.n_entries = ITEMS;
    s.chunk.entries = (Pbkv__Entry **)pointers;
    ck_assert_int_eq(s.bodies[13].kind_case, PBKV__BODY__KIND_CHUNK);
    dense[0] = density(&s.bodies[13]);
    for (size_t i = 0; i < ITEMS; i++)
        pointers[i] = &s.record;
    s.chunk.n_entries = 0;
    s.chunk.n_sessions = ITEMS;
    s.chunk.sessions = (Pbkv__SessionRecord **)pointers;
    s.record.seq = 0;
    dense[1] = density(&s.bodies[13]);
    for (size_t i = 0; i < ITEMS; i++)
        pointers[i] = &s.ops[0];
    s.chunk.n_sessions = 0;
    s.chunk.n_ops = ITEMS;
    s.chunk.ops = (Pbkv__LogOp **)pointers;
    s.ops[0].evicted = 0;
    dense[2] = density(&s.bodies[13]);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_gt(dense[i], 5);
        ck_assert_uint_lt(dense[i], 24);
    }
    free(pointers);
}

TEST(a_full_page_and_a_full_forward_are_within_the_budget)
{
    enum { OPS = 4096 };
    struct samples s;
    Pbkv__LogOp *ops = memory_new(OPS * sizeof(*ops));
    Pbkv__LogOp **pointers = memory_new(OPS * sizeof(*pointers));
    Pbkv__Entry *entries[1024];

    make_samples(&s);
    for (size_t i = 0; i < OPS; i++) {
        ops[i] = s.ops[1];
        ops[i].session = 1;
        ops[i].key = octets("");
        ops[i].value = octets("");
        pointers[i] = &ops[i];
    }
    s.forward.n_ops = OPS;
    s.forward.ops = pointers;
    ck_assert_int_eq(s.bodies[11].kind_case, PBKV__BODY__KIND_FORWARD);
    ck_assert_uint_lt(density(&s.bodies[11]), 24);
    s.entry.key = octets("k");
    s.entry.value = octets("");
    for (size_t i = 0; i < 1024; i++)
        entries[i] = &s.entry;
    s.page.n_entries = 1024;
    s.page.entries = entries;
    ck_assert_int_eq(s.bodies[10].kind_case, PBKV__BODY__KIND_PAGE);
    ck_assert_uint_lt(density(&s.bodies[10]), 24);
    free(pointers);
    free(ops);
}

/* An arena is used again, for smaller and greater messages. */
TEST(an_arena_serves_one_message_after_the_other)
{
    struct samples samples;
    struct arena arena;
    struct bytes *large;
    char *value = memory_new(500000);

    make_samples(&samples);
    arena_init(&arena);
    samples.put.value = message_octets(value, 500000);
    large = message_encode(&samples.bodies[4]);
    for (size_t i = 0; i < 3 * KINDS; i++) {
        struct bytes *small = message_encode(&samples.bodies[i % KINDS]);
        const struct bytes *sent = i % 7 == 3 ? large : small;
        Pbkv__Body *body;

        ck_assert_int_eq(
            decode_exactly(&arena, sent->data, sent->length, &body), 0);
        bytes_release(small);
    }
    arena_release(&arena);
    bytes_release(large);
    free(value);
}

/* ---- What means nothing ---- */

/* Each breaks one thing of fresh samples and says which sample it broke. */
typedef Pbkv__Body__KindCase breaker(struct samples *s);

static Pbkv__Body__KindCase no_view_in_view_reply(struct samples *s)
{
    s->view_reply.view = NULL;
    return PBKV__BODY__KIND_VIEW_REPLY;
}
static Pbkv__Body__KindCase numbered_view_without_primary(struct samples *s)
{
    s->view.view.primary = NULL;
    return PBKV__BODY__KIND_VIEW_REPLY;
}
static Pbkv__Body__KindCase view_zero_with_primary(struct samples *s)
{
    s->view.view.number = 0;
    s->view.view.backup = NULL;
    return PBKV__BODY__KIND_VIEW_REPLY;
}
static Pbkv__Body__KindCase view_zero_with_backup(struct samples *s)
{
    s->view.view.number = 0;
    s->view.view.primary = NULL;
    return PBKV__BODY__KIND_VIEW_REPLY;
}
static Pbkv__Body__KindCase backup_at_the_primary(struct samples *s)
{
    s->view.backup.address = s->view.primary.address;
    return PBKV__BODY__KIND_VIEW_REPLY;
}
static Pbkv__Body__KindCase bad_primary_address(struct samples *s)
{
    s->view.primary.address = octets("with blank:1");
    return PBKV__BODY__KIND_VIEW_REPLY;
}
static Pbkv__Body__KindCase bad_backup_address(struct samples *s)
{
    s->view.backup.address = octets("new\nline:1");
    return PBKV__BODY__KIND_VIEW_REPLY;
}
static Pbkv__Body__KindCase long_address(struct samples *s)
{
    static const char text[ADDRESS_MAX + 1] = "x";

    s->view.backup.address = message_octets(text, sizeof(text));
    return PBKV__BODY__KIND_VIEW_REPLY;
}
static Pbkv__Body__KindCase reply_without_status(struct samples *s)
{
    s->reply.status = PBKV__STATUS__STATUS_INVALID;
    return PBKV__BODY__KIND_REPLY;
}
static Pbkv__Body__KindCase reply_of_unknown_status(struct samples *s)
{
    s->reply.status = (Pbkv__Status)12;
    return PBKV__BODY__KIND_REPLY;
}
static Pbkv__Body__KindCase reply_of_negative_status(struct samples *s)
{
    int status = -1;

    memcpy(&s->reply.status, &status, sizeof(status));
    return PBKV__BODY__KIND_REPLY;
}
static Pbkv__Body__KindCase reply_with_bad_view(struct samples *s)
{
    s->view.view.primary = NULL;
    return PBKV__BODY__KIND_REPLY;
}
static Pbkv__Body__KindCase session_zero_opened(struct samples *s)
{
    s->session_opened.session = 0;
    return PBKV__BODY__KIND_SESSION_OPENED;
}
static Pbkv__Body__KindCase page_past_its_end(struct samples *s)
{
    s->page.next = 3;
    return PBKV__BODY__KIND_PAGE;
}
static Pbkv__Body__KindCase page_entry_never_written(struct samples *s)
{
    s->entry.modified = 0;
    return PBKV__BODY__KIND_PAGE;
}
static Pbkv__Body__KindCase forward_of_view_zero(struct samples *s)
{
    s->forward.view = 0;
    return PBKV__BODY__KIND_FORWARD;
}
static Pbkv__Body__KindCase forward_of_op_zero(struct samples *s)
{
    s->forward.first = 0;
    return PBKV__BODY__KIND_FORWARD;
}
static Pbkv__Body__KindCase forward_past_the_last_number(struct samples *s)
{
    s->forward.first = NUMBER_LIMIT + 1;
    return PBKV__BODY__KIND_FORWARD;
}
static Pbkv__Body__KindCase op_of_no_kind(struct samples *s)
{
    s->ops[1].kind = PBKV__KIND__KIND_INVALID;
    return PBKV__BODY__KIND_FORWARD;
}
static Pbkv__Body__KindCase op_of_unknown_kind(struct samples *s)
{
    s->ops[1].kind = (Pbkv__Kind)4;
    return PBKV__BODY__KIND_FORWARD;
}
static Pbkv__Body__KindCase op_without_status(struct samples *s)
{
    s->ops[1].status = PBKV__STATUS__STATUS_INVALID;
    return PBKV__BODY__KIND_FORWARD;
}
static Pbkv__Body__KindCase op_without_session(struct samples *s)
{
    s->ops[1].session = 0;
    return PBKV__BODY__KIND_FORWARD;
}
static Pbkv__Body__KindCase op_without_seq(struct samples *s)
{
    s->ops[1].seq = 0;
    return PBKV__BODY__KIND_FORWARD;
}
static Pbkv__Body__KindCase opening_with_seq(struct samples *s)
{
    s->ops[0].seq = 1;
    return PBKV__BODY__KIND_FORWARD;
}
static Pbkv__Body__KindCase opening_of_another_number(struct samples *s)
{
    s->ops[0].session = 16;
    return PBKV__BODY__KIND_FORWARD;
}
static Pbkv__Body__KindCase op_of_a_later_session(struct samples *s)
{
    s->ops[1].session = 19;
    return PBKV__BODY__KIND_FORWARD;
}

static Pbkv__Body__KindCase view_of_an_impossible_number(struct samples *s)
{
    s->view.view.number = NUMBER_LIMIT + 1;
    return PBKV__BODY__KIND_VIEW_REPLY;
}
static Pbkv__Body__KindCase round_of_an_impossible_number(struct samples *s)
{
    s->forward.round = NUMBER_LIMIT + 1;
    return PBKV__BODY__KIND_FORWARD;
}
static Pbkv__Body__KindCase chunk_since_an_impossible_number(struct samples *s)
{
    s->chunk.since = NUMBER_LIMIT + 1;
    return PBKV__BODY__KIND_CHUNK;
}
static Pbkv__Body__KindCase chunk_of_an_impossible_item(struct samples *s)
{
    s->chunk.first = NUMBER_LIMIT + 1;
    return PBKV__BODY__KIND_CHUNK;
}
static Pbkv__Body__KindCase record_after_the_sessions(struct samples *s)
{
    s->record.op = s->chunk.since + 1;
    return PBKV__BODY__KIND_CHUNK;
}
static Pbkv__Body__KindCase refusal_by_an_impossible_view(struct samples *s)
{
    s->refusal.known = NUMBER_LIMIT + 1;
    return PBKV__BODY__KIND_REFUSAL;
}
static Pbkv__Body__KindCase counter_without_a_name(struct samples *s)
{
    s->counter.name.len = 0;
    return PBKV__BODY__KIND_INSPECT_REPLY;
}

static const char large[VALUE_LIMIT + 1];

static Pbkv__Body__KindCase large_echo(struct samples *s)
{
    s->echo.payload = message_octets(large, VALUE_LIMIT + 1);
    return PBKV__BODY__KIND_ECHO;
}
static Pbkv__Body__KindCase large_echo_reply(struct samples *s)
{
    s->echo_reply.payload = message_octets(large, VALUE_LIMIT + 1);
    return PBKV__BODY__KIND_ECHO_REPLY;
}

static Pbkv__Body__KindCase op_with_large_key(struct samples *s)
{
    s->ops[1].key = message_octets(large, KEY_LIMIT + 1);
    return PBKV__BODY__KIND_FORWARD;
}
static Pbkv__Body__KindCase op_with_large_value(struct samples *s)
{
    s->ops[1].value = message_octets(large, VALUE_LIMIT + 1);
    return PBKV__BODY__KIND_FORWARD;
}
static Pbkv__Body__KindCase ack_of_view_zero(struct samples *s)
{
    s->forward_ack.view = 0;
    return PBKV__BODY__KIND_FORWARD_ACK;
}
static Pbkv__Body__KindCase chunk_of_view_zero(struct samples *s)
{
    s->chunk.view = 0;
    return PBKV__BODY__KIND_CHUNK;
}
static Pbkv__Body__KindCase chunk_of_no_transfer(struct samples *s)
{
    s->chunk.transfer = 0;
    return PBKV__BODY__KIND_CHUNK;
}
static Pbkv__Body__KindCase last_chunk_without_digest(struct samples *s)
{
    s->chunk.digest.len = 0;
    return PBKV__BODY__KIND_CHUNK;
}
static Pbkv__Body__KindCase last_chunk_with_short_digest(struct samples *s)
{
    s->chunk.digest.len = DIGEST_SIZE - 1;
    return PBKV__BODY__KIND_CHUNK;
}
static Pbkv__Body__KindCase record_without_session(struct samples *s)
{
    s->record.id = 0;
    return PBKV__BODY__KIND_CHUNK;
}
static Pbkv__Body__KindCase record_before_its_opening(struct samples *s)
{
    s->record.op = 2;
    return PBKV__BODY__KIND_CHUNK;
}
static Pbkv__Body__KindCase record_without_status(struct samples *s)
{
    s->record.status = PBKV__STATUS__STATUS_INVALID;
    return PBKV__BODY__KIND_CHUNK;
}
static Pbkv__Body__KindCase chunk_entry_never_written(struct samples *s)
{
    s->entry.modified = 0;
    return PBKV__BODY__KIND_CHUNK;
}
static Pbkv__Body__KindCase chunk_entry_with_large_key(struct samples *s)
{
    s->entry.key = message_octets(large, KEY_LIMIT + 1);
    return PBKV__BODY__KIND_CHUNK;
}
static Pbkv__Body__KindCase chunk_entry_with_large_value(struct samples *s)
{
    s->entry.value = message_octets(large, VALUE_LIMIT + 1);
    return PBKV__BODY__KIND_CHUNK;
}
static Pbkv__Body__KindCase chunk_op_of_no_kind(struct samples *s)
{
    s->ops[0].kind = PBKV__KIND__KIND_INVALID;
    return PBKV__BODY__KIND_CHUNK;
}
static Pbkv__Body__KindCase chunk_ack_of_view_zero(struct samples *s)
{
    s->chunk_ack.view = 0;
    return PBKV__BODY__KIND_CHUNK_ACK;
}
static Pbkv__Body__KindCase refusal_of_view_zero(struct samples *s)
{
    s->refusal.refused = 0;
    return PBKV__BODY__KIND_REFUSAL;
}
static Pbkv__Body__KindCase refusal_without_status(struct samples *s)
{
    s->refusal.status = PBKV__STATUS__STATUS_INVALID;
    return PBKV__BODY__KIND_REFUSAL;
}
static Pbkv__Body__KindCase inspection_without_digest(struct samples *s)
{
    s->inspect_reply.digest.len = 0;
    return PBKV__BODY__KIND_INSPECT_REPLY;
}
static Pbkv__Body__KindCase inspection_with_bad_view(struct samples *s)
{
    s->view.view.number = 0;
    return PBKV__BODY__KIND_INSPECT_REPLY;
}
static Pbkv__Body__KindCase server_seen_nowhere(struct samples *s)
{
    s->seen.peer = NULL;
    return PBKV__BODY__KIND_INSPECT_REPLY;
}

#define BREAKER(name)                                                          \
    {                                                                          \
#name, name                                                            \
    }

static const struct {
    const char *name;
    breaker *apply;
} breakers[] = {
    BREAKER(no_view_in_view_reply),
    BREAKER(numbered_view_without_primary),
    BREAKER(view_zero_with_primary),
    BREAKER(view_zero_with_backup),
    BREAKER(backup_at_the_primary),
    BREAKER(bad_primary_address),
    BREAKER(bad_backup_address),
    BREAKER(long_address),
    BREAKER(reply_without_status),
    BREAKER(reply_of_unknown_status),
    BREAKER(reply_of_negative_status),
    BREAKER(reply_with_bad_view),
    BREAKER(session_zero_opened),
    BREAKER(page_past_its_end),
    BREAKER(page_entry_never_written),
    BREAKER(forward_of_view_zero),
    BREAKER(forward_of_op_zero),
    BREAKER(forward_past_the_last_number),
    BREAKER(op_of_no_kind),
    BREAKER(op_of_unknown_kind),
    BREAKER(op_without_status),
    BREAKER(op_without_session),
    BREAKER(op_without_seq),
    BREAKER(opening_with_seq),
    BREAKER(opening_of_another_number),
    BREAKER(op_of_a_later_session),
    BREAKER(op_with_large_key),
    BREAKER(op_with_large_value),
    BREAKER(ack_of_view_zero),
    BREAKER(chunk_of_view_zero),
    BREAKER(chunk_of_no_transfer),
    BREAKER(last_chunk_without_digest),
    BREAKER(last_chunk_with_short_digest),
    BREAKER(record_without_session),
    BREAKER(record_before_its_opening),
    BREAKER(record_without_status),
    BREAKER(chunk_entry_never_written),
    BREAKER(chunk_entry_with_large_key),
    BREAKER(chunk_entry_with_large_value),
    BREAKER(chunk_op_of_no_kind),
    BREAKER(chunk_ack_of_view_zero),
    BREAKER(refusal_of_view_zero),
    BREAKER(refusal_without_status),
    BREAKER(inspection_without_digest),
    BREAKER(inspection_with_bad_view),
    BREAKER(server_seen_nowhere),
    BREAKER(view_of_an_impossible_number),
    BREAKER(round_of_an_impossible_number),
    BREAKER(chunk_since_an_impossible_number),
    BREAKER(chunk_of_an_impossible_item),
    BREAKER(record_after_the_sessions),
    BREAKER(refusal_by_an_impossible_view),
    BREAKER(counter_without_a_name),
    BREAKER(large_echo),
    BREAKER(large_echo_reply),
};

static const Pbkv__Body *sample_of(const struct samples *samples,
                                   Pbkv__Body__KindCase kind)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (samples->bodies[i].kind_case == kind)
            return &samples->bodies[i];
    }
    ck_abort_msg("no sample of %s", message_name(kind));
    return NULL;
}

/* Each is refused by the check, and by the decoder as -EPROTO. */
TEST(messages_that_mean_nothing_are_refused)
{
    for (size_t i = 0; i < sizeof(breakers) / sizeof(breakers[0]); i++) {
        struct samples samples;
        const Pbkv__Body *broken;
        struct bytes *sent;
        struct arena arena;
        Pbkv__Body *body;
        int result;

        make_samples(&samples);
        broken = sample_of(&samples, breakers[i].apply(&samples));
        ck_assert_msg(message_check(broken) == -EPROTO, "%s is accepted",
                      breakers[i].name);
        sent = bytes_new_uninitialised(pbkv__body__get_packed_size(broken));
        pbkv__body__pack(broken, sent->data);
        arena_init(&arena);
        result = decode_exactly(&arena, sent->data, sent->length, &body);
        ck_assert_msg(result == -EPROTO, "%s: %d", breakers[i].name, result);
        arena_release(&arena);
        bytes_release(sent);
    }
}

TEST(a_body_without_a_kind_is_refused)
{
    Pbkv__Body body = PBKV__BODY__INIT;

    ck_assert_int_eq(message_check(NULL), -EPROTO);
    ck_assert_int_eq(message_check(&body), -EPROTO);
    body.kind_case = PBKV__BODY__KIND_PING; /* and no Ping */
    ck_assert_int_eq(message_check(&body), -EPROTO);
}

/* What a view may be absent from, and the smallest of each. */
TEST(the_least_that_means_something_is_accepted)
{
    struct samples s;

    make_samples(&s);
    s.reply.view = NULL;
    s.inspect_reply.view = NULL;
    s.inspect_reply.n_servers = 0;
    s.view.view.backup = NULL;
    s.chunk.last = false;
    s.chunk.digest.len = 0;
    s.chunk.n_sessions = s.chunk.n_entries = s.chunk.n_ops = 0;
    s.forward.n_ops = 0;
    s.forward.first = NUMBER_LIMIT;
    s.page.n_entries = 0;
    for (size_t i = 0; i < KINDS; i++)
        ck_assert_msg(message_check(&s.bodies[i]) == 0, "%s",
                      message_name(s.bodies[i].kind_case));
    s.view.view.number = 0;
    s.view.view.primary = NULL;
    ck_assert_int_eq(message_check(sample_of(&s, PBKV__BODY__KIND_VIEW_REPLY)),
                     0);
}

/* ---- Texts ---- */

TEST(messages_have_the_names_of_the_proto)
{
    ck_assert_str_eq(message_name(PBKV__BODY__KIND_FORWARD_ACK), "forward_ack");
    ck_assert_str_eq(message_name(PBKV__BODY__KIND_PING), "ping");
    ck_assert_str_eq(message_name(PBKV__BODY__KIND_INSPECT_REPLY),
                     "inspect_reply");
    ck_assert_str_eq(message_name(PBKV__BODY__KIND__NOT_SET), "nothing");
    ck_assert_str_eq(message_name((Pbkv__Body__KindCase)4), "nothing");
}

TEST(statuses_have_the_names_of_the_proto)
{
    static const char *const names[] = {
        "STATUS_INVALID",  "OK",          "NO_KEY",
        "WRONG_SERVER",    "WRONG_VIEW",  "STATE_TRANSFER",
        "BACKUP_FAILED",   "OVERLOADED",  "TOO_LARGE",
        "SESSION_EXPIRED", "BAD_REQUEST", "TIMEOUT",
        "STATUS_INVALID",
    };

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ck_assert_str_eq(status_name((Pbkv__Status)i), names[i]);
}

/* Values do not appear, and what was cut ends in a zero: a block of exactly the
 * size is not overrun, whatever the size. */
TEST(a_summary_fits_into_any_size)
{
    struct samples samples;
    char whole[600];

    make_samples(&samples);
    for (size_t i = 0; i < KINDS; i++) {
        const Pbkv__Body *body = &samples.bodies[i];
        size_t length;

        ck_assert_ptr_eq(message_format(body, whole, sizeof(whole)), whole);
        length = strlen(whole);
        ck_assert(strncmp(whole, message_name(body->kind_case),
                          strlen(message_name(body->kind_case))) == 0);
        ck_assert_ptr_null(strstr(whole, "value"));
        ck_assert_ptr_null(strstr(whole, "payload"));
        for (size_t size = 1; size <= length + 2; size++) {
            char *text = malloc(size);

            ck_assert_ptr_nonnull(text);
            memset(text, '#', size);
            message_format(body, text, size);
            ck_assert_uint_lt(strnlen(text, size), size);
            ck_assert(strncmp(text, whole, size - 1) == 0);
            free(text);
        }
    }
}

TEST(a_summary_says_what_matters)
{
    struct samples s;
    char text[400];

    make_samples(&s);
    message_format(sample_of(&s, PBKV__BODY__KIND_FORWARD), text, sizeof(text));
    ck_assert_str_eq(text, "forward view 7 ops 17+2 round 8");
    message_format(sample_of(&s, PBKV__BODY__KIND_CHUNK), text, sizeof(text));
    ck_assert_str_eq(text, "chunk view 7 items 0+4 last");
    message_format(sample_of(&s, PBKV__BODY__KIND_APPEND), text, sizeof(text));
    ck_assert_str_eq(text, "append k\\xff\\x5c (5 octets) session 17 seq 4");
    message_format(sample_of(&s, PBKV__BODY__KIND_REPLY), text, sizeof(text));
    ck_assert_str_eq(text, "reply WRONG_SERVER view 7 primary host-a:1/11 "
                           "backup [::1]:2/12");
    message_format(sample_of(&s, PBKV__BODY__KIND_REFUSAL), text, sizeof(text));
    ck_assert_str_eq(text, "refusal of view 6 known 7 WRONG_VIEW");
}

TEST(a_summary_of_a_frame_counts_what_it_does_not_show)
{
    struct samples s;
    Pbkv__Frame frame = PBKV__FRAME__INIT;
    Pbkv__Body *bodies[3];
    char text[400];

    make_samples(&s);
    for (size_t i = 0; i < 3; i++)
        bodies[i] = &s.bodies[i];
    frame.bodies = bodies;
    frame.n_bodies = 1;
    frame_format(&frame, text, sizeof(text));
    ck_assert_str_eq(text, "ping view 6");
    frame.n_bodies = 3;
    frame_format(&frame, text, sizeof(text));
    ck_assert_str_eq(text, "ping view 6 and 2 more");
    frame_format(&frame, text, strlen("ping view 6 and") + 1);
    ck_assert_str_eq(text, "ping view 6 and");
}

/* Keys are cut to 32 octets and escaped; a key of control characters is the
 * longest that this can become. */
TEST(a_summary_shows_keys_safely)
{
    struct samples s;
    uint8_t key[100];
    char text[400];
    size_t shown = 0;

    memset(key, '\n', sizeof(key));
    make_samples(&s);
    s.get.key = message_octets(key, sizeof(key));
    message_format(sample_of(&s, PBKV__BODY__KIND_GET), text, sizeof(text));
    ck_assert_uint_eq(strlen(text), strlen("get ") + 32 * 4 + 3);
    for (const char *place = text; (place = strstr(place, "\\x0a")); place++)
        shown++;
    ck_assert_uint_eq(shown, 32);
    ck_assert_str_eq(text + strlen(text) - 3, "...");
    s.get.key.len = 32;
    message_format(sample_of(&s, PBKV__BODY__KIND_GET), text, sizeof(text));
    ck_assert_uint_eq(strlen(text), strlen("get ") + 32 * 4);
    s.get.key = message_octets(NULL, 0);
    message_format(sample_of(&s, PBKV__BODY__KIND_GET), text, sizeof(text));
    ck_assert_str_eq(text, "get ");
}

SUITE("message", CASE(there_is_a_sample_of_every_kind),
      CASE(every_message_comes_back_as_it_was),
      CASE(a_copy_of_every_message_is_its_own),
      CASE(a_copy_of_a_reply_has_its_own_value),
      CASE(octets_of_any_value_come_back), CASE(a_frame_comes_back_as_it_was),
      CASE(a_frame_is_read_as_protobuf_would),
      CASE(frequent_messages_are_written_as_protobuf_would),
      CASE(lengths_of_every_size_are_written_as_protobuf_would),
      CASE(frequent_messages_are_read_as_protobuf_would),
      CASE(frames_of_frequent_messages_are_read_as_protobuf_would),
      CASE(a_frame_lends_its_octets), CASE(a_frame_needs_a_sender_and_a_body),
      CASE(a_frame_has_a_few_bodies_and_all_are_checked),
      CASE(a_summary_of_a_frame_counts_what_it_does_not_show),
      CASE(octets_that_are_no_message_are_refused),
      CASE(more_than_the_frame_limit_is_not_even_tried),
      CASE(truncated_messages_do_no_harm), CASE(flipped_bits_do_no_harm),
      CASE(flipped_bits_in_frames_do_no_harm),
      CASE(a_million_empty_fields_are_too_much),
      CASE(the_budget_is_in_proportion),
      CASE(full_chunks_of_small_items_are_within_the_budget),
      CASE(a_full_page_and_a_full_forward_are_within_the_budget),
      CASE(an_arena_serves_one_message_after_the_other),
      CASE(messages_that_mean_nothing_are_refused),
      CASE(a_body_without_a_kind_is_refused),
      CASE(the_least_that_means_something_is_accepted),
      CASE(messages_have_the_names_of_the_proto),
      CASE(statuses_have_the_names_of_the_proto),
      CASE(a_summary_fits_into_any_size), CASE(a_summary_says_what_matters),
      CASE(a_summary_shows_keys_safely))
