/* SPDX-License-Identifier: MIT */
/*
 * Tests of the runtime against peers that are no pbkv: octets by hand over a
 * Unix socket. Whatever such a peer does, it is named and counted, it costs a
 * bounded amount of memory, and others are served as before: after every
 * outrage the test asks for an echo over another connection.
 */
#include <errno.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clocks/lamport.h"
#include "node/memory.h"
#include "node/random.h"
#include "rpc/frame.h"
#include "tests/probe.h"
#include "tests/raw_peer.h"
#include "tests/suite.h"

/* A server, an honest peer of it that is connected, and a dishonest one. */
struct scene {
    char directory[PROBE_PATH_SIZE];
    char address[PROBE_PATH_SIZE + 32];
    struct runner server;
    int honest;
    int fd;
};

static void scene_prepare(struct scene *scene)
{
    directory_make(scene->directory);
    snprintf(scene->address, sizeof(scene->address), "unix:%s/socket",
             scene->directory);
    runner_init(&scene->server, "s", scene->address);
}

static void scene_begin(struct scene *scene)
{
    runner_go(&scene->server);
    scene->honest = raw_dial(&scene->server.self.address);
    scene->fd = raw_dial(&scene->server.self.address);
}

static void scene_make(struct scene *scene)
{
    scene_prepare(scene);
    scene_begin(scene);
}

/* Sends a good frame over a connection and checks the answer. */
static void expect_service(int fd)
{
    struct raw_frame frame = raw_frame_good();
    struct arena arena;
    Pbkv__Frame *reply;

    arena_init(&arena);
    ck_assert(raw_send_frame(fd, &frame));
    reply = raw_receive_frame(fd, &arena);
    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq(reply->bodies[0]->kind_case, PBKV__BODY__KIND_ECHO_REPLY);
    ck_assert_uint_eq(reply->bodies[0]->echo_reply->call, 11);
    ck_assert_uint_eq(reply->bodies[0]->echo_reply->payload.len, frame.payload);
    arena_release(&arena);
}

static void scene_free(struct scene *scene)
{
    expect_service(scene->honest);
    close(scene->honest);
    close(scene->fd);
    runner_end(&scene->server);
    directory_remove(scene->directory);
}

/* Waits for the event, and for the connection to be closed. */
static void expect_closed(struct scene *scene, const char *event)
{
    runner_await(&scene->server, event, 1);
    raw_await_close(scene->fd);
    ck_assert_uint_eq(runner_recorded(&scene->server, event), 1);
    ck_assert_uint_eq(runner_count(&scene->server, "rpc.input_held"), 0);
}

static void send_all(struct scene *scene, const void *octets, size_t size)
{
    ck_assert(raw_send(scene->fd, octets, size));
}

/* ---- Lengths and octets -------------------------------------------------- */

TEST(a_length_of_zero_is_refused)
{
    struct scene scene;

    scene_make(&scene);
    send_all(&scene, "\0\0\0\0", 4);
    expect_closed(&scene, "frame.length");
    scene_free(&scene);
}

TEST(the_greatest_length_is_refused_before_anything_is_allocated)
{
    struct scene scene;

    scene_make(&scene);
    send_all(&scene, "\xff\xff\xff\xff", 4);
    expect_closed(&scene, "frame.length");
    scene_free(&scene);
}

TEST(a_length_that_comes_octet_by_octet_is_refused_as_well)
{
    static const uint8_t head[] = {0x7f, 0, 0, 0};
    struct scene scene;

    scene_make(&scene);
    for (size_t i = 0; i < sizeof(head); i++) {
        send_all(&scene, &head[i], 1);
        runner_count(&scene.server, "rpc.octets_in");
    }
    expect_closed(&scene, "frame.length");
    scene_free(&scene);
}

TEST(garbage_is_refused)
{
    static const uint8_t octets[] = {0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct scene scene;

    scene_make(&scene);
    send_all(&scene, octets, sizeof(octets));
    expect_closed(&scene, "frame.malformed");
    scene_free(&scene);
}

TEST(another_protocol_is_refused)
{
    static const char octets[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct scene scene;

    scene_make(&scene);
    send_all(&scene, octets, sizeof(octets) - 1);
    expect_closed(&scene, "frame.length");
    scene_free(&scene);
}

TEST(a_frame_without_a_message_is_refused)
{
    static const uint8_t octets[] = {0, 0, 0, 2, 0x18, 1};
    struct scene scene;

    scene_make(&scene);
    send_all(&scene, octets, sizeof(octets));
    expect_closed(&scene, "frame.meaningless");
    scene_free(&scene);
}

TEST(a_frame_that_ends_in_the_middle_is_noted)
{
    struct scene scene;
    struct raw_frame frame = raw_frame_good();
    size_t size;
    uint8_t *octets;

    scene_make(&scene);
    octets = raw_frame_pack(&frame, &size);
    send_all(&scene, octets, size - 3);
    shutdown(scene.fd, SHUT_WR);
    expect_closed(&scene, "frame.truncated");
    ck_assert_uint_eq(runner_recorded(&scene.server, "probe.echo"), 0);
    free(octets);
    scene_free(&scene);
}

/* A million empty clock entries in two million octets are over the limit of a
 * frame; half as many are within, and unpack to fifty times their size. */
TEST(half_a_million_empty_fields_exceed_the_budget)
{
    enum { FIELDS = 500000, SIZE = 2 * FIELDS };
    struct scene scene;
    uint8_t *octets = malloc(FRAME_LENGTH_SIZE + SIZE);

    ck_assert_ptr_nonnull(octets);
    octets[0] = 0;
    octets[1] = SIZE >> 16;
    octets[2] = SIZE >> 8 & 0xff;
    octets[3] = SIZE & 0xff;
    for (size_t i = 0; i < FIELDS; i++) {
        octets[FRAME_LENGTH_SIZE + 2 * i] = 4 << 3 | 2;
        octets[FRAME_LENGTH_SIZE + 2 * i + 1] = 0;
    }
    scene_make(&scene);
    send_all(&scene, octets, FRAME_LENGTH_SIZE + SIZE);
    expect_closed(&scene, "frame.budget");
    free(octets);
    scene_free(&scene);
}

/* ---- Pieces -------------------------------------------------------------- */

TEST(a_frame_is_put_together_from_single_octets)
{
    struct scene scene;
    struct raw_frame frame = raw_frame_good();
    size_t size;
    uint8_t *octets = raw_frame_pack(&frame, &size);

    scene_make(&scene);
    for (size_t i = 0; i < size; i++) {
        send_all(&scene, octets + i, 1);
        runner_count(&scene.server, "rpc.octets_in");
    }
    runner_await(&scene.server, "probe.echo", 1);
    free(octets);
    scene_free(&scene);
}

/* Every way to cut three frames in two. */
TEST(frames_are_cut_where_they_end_however_they_arrive)
{
    struct scene scene;
    struct raw_frame frame = raw_frame_good();
    size_t size;
    uint8_t *one = raw_frame_pack(&frame, &size);
    uint8_t *three = malloc(3 * size);
    size_t cuts = 3 * size - 1;

    ck_assert_ptr_nonnull(three);
    for (size_t i = 0; i < 3; i++)
        memcpy(three + i * size, one, size);
    scene_make(&scene);
    for (size_t cut = 1; cut <= cuts; cut++) {
        send_all(&scene, three, cut);
        runner_count(&scene.server, "rpc.octets_in");
        send_all(&scene, three + cut, 3 * size - cut);
        runner_await(&scene.server, "probe.echo", 3 * cut);
    }
    ck_assert_uint_eq(runner_recorded(&scene.server, "probe.echo"), 3 * cuts);
    ck_assert_uint_lt(runner_count(&scene.server, "rpc.input_held"), 4097);
    free(one);
    free(three);
    scene_free(&scene);
}

TEST(many_frames_in_one_piece_are_all_handled)
{
    enum { FRAMES = 5000 };
    struct scene scene;
    struct raw_frame frame = raw_frame_good();
    struct arena arena;
    size_t size;
    uint8_t *one = raw_frame_pack(&frame, &size);
    uint8_t *all = malloc(FRAMES * size);

    ck_assert_ptr_nonnull(all);
    for (size_t i = 0; i < FRAMES; i++)
        memcpy(all + i * size, one, size);
    scene_make(&scene);
    arena_init(&arena);
    send_all(&scene, all, FRAMES * size);
    for (size_t i = 0; i < FRAMES; i++)
        ck_assert_ptr_nonnull(raw_receive_frame(scene.fd, &arena));
    ck_assert_uint_eq(runner_count(&scene.server, "probe.echo"), FRAMES);
    arena_release(&arena);
    free(one);
    free(all);
    scene_free(&scene);
}

/* Octets that are the last of an echo, in a frame and in its answer. */
static uint8_t octet_of(size_t frame, size_t at)
{
    return (uint8_t)(frame + at + (at >> 8));
}

static uint8_t *pack_marked(size_t number, size_t payload, size_t *size)
{
    struct raw_frame frame = raw_frame_good();
    uint8_t *octets;

    frame.payload = payload;
    octets = raw_frame_pack(&frame, size);
    for (size_t i = 0; i < payload; i++)
        octets[*size - payload + i] = octet_of(number, i);
    return octets;
}

static void expect_marked(int fd, size_t number, size_t payload)
{
    uint8_t head[FRAME_LENGTH_SIZE];
    uint8_t *octets;
    size_t size, wrong = 0;

    ck_assert_int_eq(recv(fd, head, sizeof(head), MSG_WAITALL), sizeof(head));
    size = frame_length_read(head);
    ck_assert_uint_gt(size, payload);
    octets = memory_new(size);
    ck_assert_int_eq(recv(fd, octets, size, MSG_WAITALL), (ssize_t)size);
    for (size_t i = 0; i < payload; i++)
        wrong += octets[size - payload + i] != octet_of(number, i);
    ck_assert_uint_eq(wrong, 0);
    free(octets);
}

/* Sends the octets in pieces of any size, each of which is read. */
static void send_pieces(struct scene *scene, const uint8_t *octets, size_t size,
                        uint64_t *random)
{
    size_t sent = 0;

    while (sent < size) {
        size_t piece = 1 + random_next(random) % 200000;

        piece = piece < size - sent ? piece : size - sent;
        send_all(scene, octets + sent, piece);
        sent += piece;
        runner_count(&scene->server, "rpc.octets_in");
    }
}

/* A large frame is finished where it began, and gets the memory of the one
 * before it, whatever their sizes; a short one behind it begins a new read. */
TEST(large_frames_arrive_whole_however_they_are_cut)
{
    static const size_t payloads[] = {300000, 5,     900000, 20000, 100000,
                                      700000, 16000, 250000, 5000,  262144};
    enum { FRAMES = 30, PAYLOADS = 10, SHORT = 7 };
    uint64_t random = 1;
    struct scene scene;

    scene_make(&scene);
    for (size_t i = 0; i < FRAMES; i++) {
        size_t payload = payloads[i % PAYLOADS], size, more;
        uint8_t *octets = pack_marked(i, payload, &size);
        uint8_t *behind = pack_marked(i + 1, SHORT, &more);

        octets = memory_resize(octets, size + more);
        memcpy(octets + size, behind, more);
        send_pieces(&scene, octets, size + more, &random);
        expect_marked(scene.fd, i, payload);
        expect_marked(scene.fd, i + 1, SHORT);
        free(behind);
        free(octets);
    }
    ck_assert_uint_lt(runner_count(&scene.server, "rpc.input_held"), 4097);
    scene_free(&scene);
}

TEST(memory_grows_with_what_arrives_and_not_with_what_is_claimed)
{
    static const uint8_t head[] = {0, 0x10, 0, 0, 0x0a, 0x00};
    struct scene scene;

    scene_make(&scene);
    send_all(&scene, head, sizeof(head));
    while (runner_count(&scene.server, "rpc.octets_in") < sizeof(head))
        ;
    ck_assert_uint_lt(runner_count(&scene.server, "rpc.input_held"), 64);
    scene_free(&scene);
}

TEST(unfinished_frames_over_the_input_limit_close_the_connection)
{
    struct scene scene;
    uint8_t *octets = calloc(1, 200000);

    ck_assert_ptr_nonnull(octets);
    octets[1] = 0x0f;
    scene_prepare(&scene);
    scene.server.config.limits.total_input = 100000;
    scene_begin(&scene);
    (void)raw_send(scene.fd, octets, 200000);
    expect_closed(&scene, "receive.limit");
    free(octets);
    scene_free(&scene);
}

/* Sends the beginning of a frame that claims to be long. */
static void send_beginning(int fd, size_t size)
{
    uint8_t *octets = calloc(1, size);

    ck_assert_ptr_nonnull(octets);
    octets[1] = 0x0f;
    ck_assert(raw_send(fd, octets, size));
    free(octets);
}

/* Waits until the server has read so many octets in all. */
static void await_octets(struct scene *scene, uint64_t count)
{
    while (runner_count(&scene->server, "rpc.octets_in") < count)
        ;
}

TEST(a_frame_that_does_not_grow_closes_the_connection)
{
    struct scene scene;

    scene_prepare(&scene);
    scene.server.config.limits.input_pause_ms = 100;
    scene_begin(&scene);
    send_beginning(scene.fd, 5000);
    expect_closed(&scene, "receive.stalled");
    close(scene.fd);
    scene.fd = raw_dial(&scene.server.self.address);
    send_beginning(scene.fd, 2);
    runner_await(&scene.server, "receive.stalled", 2);
    raw_await_close(scene.fd);
    scene_free(&scene);
}

/* It grows all the time, and is cut at the first look all the same. */
TEST(a_frame_that_is_never_finished_closes_the_connection)
{
    struct scene scene;

    scene_prepare(&scene);
    scene.server.config.limits.input_age_ms = 1;
    scene_begin(&scene);
    send_beginning(scene.fd, 4);
    while (raw_send(scene.fd, "", 1))
        runner_count(&scene.server, "rpc.octets_in");
    expect_closed(&scene, "receive.stalled");
    scene_free(&scene);
}

TEST(a_connection_between_two_frames_is_not_stalled)
{
    struct scene scene;
    int stalled;

    scene_prepare(&scene);
    scene.server.config.limits.input_pause_ms = 50;
    scene_begin(&scene);
    expect_service(scene.fd);
    stalled = raw_dial(&scene.server.self.address);
    send_beginning(stalled, 10);
    runner_await(&scene.server, "receive.stalled", 1);
    expect_service(scene.fd);
    ck_assert_uint_eq(runner_recorded(&scene.server, "receive.stalled"), 1);
    close(stalled);
    scene_free(&scene);
}

/* Accepted connections have three quarters of the input limit. */
enum { INPUT_LIMIT = 40000 };

TEST(the_frame_that_has_not_grown_for_longest_gives_way)
{
    struct scene scene;
    struct raw_frame frame = raw_frame_good();
    struct arena arena;
    size_t size;
    uint8_t *octets;
    int oldest, idlest;

    frame.payload = 6000;
    octets = raw_frame_pack(&frame, &size);
    scene_prepare(&scene);
    scene.server.config.limits.total_input = INPUT_LIMIT;
    scene_begin(&scene);
    arena_init(&arena);
    oldest = raw_dial(&scene.server.self.address);
    idlest = raw_dial(&scene.server.self.address);
    send_beginning(oldest, 10000);
    await_octets(&scene, 10000);
    send_beginning(idlest, 10000);
    await_octets(&scene, 20000);
    ck_assert(raw_send(oldest, "", 1)); /* doubles its memory */
    await_octets(&scene, 20001);
    ck_assert_uint_eq(runner_count(&scene.server, "rpc.input_held"), 30000);
    send_all(&scene, octets, 5000);
    raw_await_close(idlest);
    send_all(&scene, octets + 5000, size - 5000);
    ck_assert_ptr_nonnull(raw_receive_frame(scene.fd, &arena));
    ck_assert_uint_eq(runner_recorded(&scene.server, "receive.limit"), 1);
    ck_assert_uint_eq(runner_count(&scene.server, "rpc.connections"), 3);
    close(oldest);
    close(idlest);
    free(octets);
    arena_release(&arena);
    scene_free(&scene);
}

/* ---- Stamps and addresses ------------------------------------------------ */

/* The frame is refused, after as many good ones on the same connection. */
static void expect_refused_after(const struct raw_frame *frame, size_t good,
                                 const char *event)
{
    struct scene scene;

    scene_make(&scene);
    for (size_t i = 0; i < good; i++)
        expect_service(scene.fd);
    ck_assert(raw_send_frame(scene.fd, frame));
    expect_closed(&scene, event);
    ck_assert_uint_eq(runner_recorded(&scene.server, "probe.echo"), good);
    scene_free(&scene);
}

static void expect_refused_stamp(const struct raw_frame *frame)
{
    expect_refused_after(frame, 0, "frame.stamp");
    expect_refused_after(frame, 2, "frame.stamp");
}

TEST(impossible_stamps_are_refused)
{
    struct raw_frame frame = raw_frame_good();

    frame.lamport = 0;
    expect_refused_stamp(&frame);
    frame.lamport = LAMPORT_MAX + 1;
    expect_refused_stamp(&frame);
    frame = raw_frame_good();
    frame.times[0] = 0;
    expect_refused_stamp(&frame);
    frame = raw_frame_good();
    frame.hosts[0] = NULL;
    expect_refused_stamp(&frame);
    frame = raw_frame_good();
    frame.hosts[0] = "two words";
    expect_refused_stamp(&frame);
    frame = raw_frame_good();
    frame.hosts[1] = frame.hosts[0];
    frame.times[1] = 2;
    expect_refused_stamp(&frame);
}

TEST(a_stamp_that_claims_too_much_of_us_is_counted_and_ignored)
{
    struct scene scene;
    struct raw_frame frame = raw_frame_good();
    char host[64];
    char digits[16] = "";
    size_t at = sizeof(digits) - 1;

    scene_make(&scene);
    for (uint64_t rest = scene.server.self.incarnation; rest > 0; rest /= 36)
        digits[--at] = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % 36];
    snprintf(host, sizeof(host), "s-%s", digits + at);
    frame.hosts[1] = host;
    frame.times[1] = 1000000;
    ck_assert(raw_send_frame(scene.fd, &frame));
    runner_await(&scene.server, "clock.ahead", 1);
    runner_await(&scene.server, "probe.echo", 1);
    scene_free(&scene);
}

TEST(a_frame_from_nowhere_is_refused)
{
    struct scene scene;
    struct raw_frame frame = raw_frame_good();

    scene_make(&scene);
    frame.from = NULL;
    ck_assert(raw_send_frame(scene.fd, &frame));
    expect_closed(&scene, "frame.meaningless");
    close(scene.fd);
    scene.fd = raw_dial(&scene.server.self.address);
    frame.from = "a\nb";
    ck_assert(raw_send_frame(scene.fd, &frame));
    runner_await(&scene.server, "frame.meaningless", 2);
    raw_await_close(scene.fd);
    scene_free(&scene);
}

/* V8 */
TEST(a_frame_for_another_life_is_dropped_and_no_more)
{
    struct scene scene;
    struct raw_frame frame = raw_frame_good();

    scene_make(&scene);
    frame.to_incarnation = scene.server.self.incarnation + 1;
    ck_assert(raw_send_frame(scene.fd, &frame));
    expect_service(scene.fd);
    ck_assert_uint_eq(runner_recorded(&scene.server, "frame.misaddressed"), 1);
    ck_assert_uint_eq(runner_recorded(&scene.server, "probe.echo"), 1);
    scene_free(&scene);
}

TEST(the_newest_connection_of_an_address_gets_the_answers)
{
    struct scene scene;
    int first;

    scene_make(&scene);
    first = scene.fd;
    expect_service(first);
    scene.fd = raw_dial(&scene.server.self.address);
    expect_service(scene.fd);
    expect_service(first);
    close(first);
    expect_service(scene.fd);
    scene_free(&scene);
}

/* ---- Claimed addresses --------------------------------------------------- */

/* A place where a test listens, and what others call it. */
struct place {
    int fd;
    char text[32];
    struct peer peer;
};

static void place_make(struct place *place)
{
    struct sockaddr_in bound = {.sin_family = AF_INET};
    socklen_t length = sizeof(bound);

    place->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bound.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(place->fd, (struct sockaddr *)&bound, length), 0);
    ck_assert_int_eq(listen(place->fd, 8), 0);
    ck_assert_int_eq(getsockname(place->fd, (struct sockaddr *)&bound, &length),
                     0);
    snprintf(place->text, sizeof(place->text), "127.0.0.1:%u",
             (unsigned)ntohs(bound.sin_port));
    place->peer = peer_at(place->text, 0);
}

/* Something to post: a message that the node sends to a peer. */
struct errand {
    struct peer to;
    size_t size; /* of an encoded body that is nothing; 0: an EchoReply */
};

static void run_errand(void *argument, struct node *node, struct env *env)
{
    const struct errand *errand = argument;
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__EchoReply reply = PBKV__ECHO_REPLY__INIT;
    struct bytes *encoded;

    if (node == NULL)
        return;
    body.kind_case = PBKV__BODY__KIND_ECHO_REPLY;
    body.echo_reply = &reply;
    if (errand->size == 0) {
        env_send(env, &errand->to, &body);
        return;
    }
    encoded = bytes_new_uninitialised(errand->size);
    memset(encoded->data, 0, encoded->length);
    env_send_encoded(env, &errand->to, body.kind_case, encoded);
    bytes_release(encoded);
}

/* Sends an echo that claims to come from an address, gets the answer, and
 * closes the connection. */
static void claim_and_leave(struct scene *scene, const char *from)
{
    struct raw_frame frame = raw_frame_good();
    struct arena arena;
    int fd = raw_dial(&scene->server.self.address);

    arena_init(&arena);
    frame.from = from;
    ck_assert(raw_send_frame(fd, &frame));
    ck_assert_ptr_nonnull(raw_receive_frame(fd, &arena));
    arena_release(&arena);
    close(fd);
    while (runner_count(&scene->server, "rpc.connections") > 2)
        ;
}

TEST(an_answer_to_a_claimed_address_never_dials)
{
    struct scene scene;
    struct place place;
    const char *claims[] = {place.text, "localhost:9", "no.such.invalid:9",
                            "unix:/no/such/socket"};

    place_make(&place);
    scene_make(&scene);
    for (uint64_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        struct errand errand = {.to = peer_at(claims[i], 0)};

        claim_and_leave(&scene, claims[i]);
        ck_assert_int_eq(rpc_post(scene.server.rpc, run_errand, &errand), 0);
        runner_await(&scene.server, "send.nowhere", i + 1);
    }
    ck_assert_uint_eq(runner_count(&scene.server, "rpc.dialled"), 0);
    ck_assert_uint_eq(runner_count(&scene.server, "dial.failed"), 0);
    close(place.fd);
    scene_free(&scene);
}

TEST(an_answer_held_back_by_a_fault_does_not_dial_either)
{
    struct scene scene;
    struct place place;
    struct errand errand;
    const char *reason;

    place_make(&place);
    errand = (struct errand){.to = place.peer};
    scene_prepare(&scene);
    ck_assert_int_eq(
        faults_parse("delay=1-2ms", &scene.server.config.faults, &reason), 0);
    scene_begin(&scene);
    ck_assert_int_eq(rpc_post(scene.server.rpc, run_errand, &errand), 0);
    runner_await(&scene.server, "send.nowhere", 1);
    ck_assert_uint_eq(runner_count(&scene.server, "rpc.dialled"), 0);
    close(place.fd);
    scene_free(&scene);
}

TEST(a_request_goes_to_the_address_and_not_to_who_claims_it)
{
    struct scene scene;
    struct place place;
    struct raw_frame frame = raw_frame_good();
    struct arena arena;
    Pbkv__Frame *got;
    int fd;

    place_make(&place);
    scene_make(&scene);
    arena_init(&arena);
    frame.from = place.text;
    ck_assert(raw_send_frame(scene.fd, &frame));
    ck_assert_ptr_nonnull(raw_receive_frame(scene.fd, &arena));
    runner_echo(&scene.server, &place.peer, 1, 1);
    fd = accept(place.fd, NULL, NULL);
    ck_assert_int_ge(fd, 0);
    got = raw_receive_frame(fd, &arena);
    ck_assert_ptr_nonnull(got);
    ck_assert_int_eq(got->bodies[0]->kind_case, PBKV__BODY__KIND_ECHO);
    ck_assert(raw_send_frame(fd, &frame));
    ck_assert_ptr_nonnull(raw_receive_frame(fd, &arena));
    arena_release(&arena);
    close(fd);
    close(place.fd);
    scene_free(&scene);
}

/* ---- Messages that share a frame ------------------------------------------
 */

static Pbkv__Frame *take_frame(int fd, struct arena *arena)
{
    Pbkv__Frame *frame = raw_receive_frame(fd, arena);

    ck_assert_ptr_nonnull(frame);
    return frame;
}

static struct peer introduce(int fd, const char *name);

/* K1, K2: a frame is one event, whatever is in it. */
TEST(messages_of_one_moment_share_frames)
{
    static const size_t shares[] = {FRAME_BODIES_LIMIT, FRAME_BODIES_LIMIT, 6};
    struct scene scene;
    struct peer peer;
    struct arena arena;
    uint64_t lamport = 0;
    uint64_t call = 0;

    scene_make(&scene);
    arena_init(&arena);
    peer = introduce(scene.fd, "client:many");
    runner_echo(&scene.server, &peer, 2 * FRAME_BODIES_LIMIT + 6, 10);
    for (size_t i = 0; i < 3; i++) {
        Pbkv__Frame *frame = take_frame(scene.fd, &arena);

        ck_assert_uint_eq(frame->n_bodies, shares[i]);
        ck_assert(i == 0 || frame->lamport == lamport + 1);
        lamport = frame->lamport;
        for (size_t k = 0; k < frame->n_bodies; k++)
            ck_assert_uint_eq(frame->bodies[k]->echo->call, ++call);
    }
    arena_release(&arena);
    scene_free(&scene);
}

/* Sends two frames in one piece, so that one turn takes both. */
static void send_both(struct scene *scene, const struct raw_frame *first,
                      const struct raw_frame *second)
{
    size_t sizes[2];
    uint8_t *octets[2] = {raw_frame_pack(first, &sizes[0]),
                          raw_frame_pack(second, &sizes[1])};

    octets[0] = memory_resize(octets[0], sizes[0] + sizes[1]);
    memcpy(octets[0] + sizes[0], octets[1], sizes[1]);
    send_all(scene, octets[0], sizes[0] + sizes[1]);
    free(octets[0]);
    free(octets[1]);
}

/* The stamp of a frame covers what its messages may be caused by. To answer an
 * Inspect is no event besides the receipt and the send. */
TEST(a_message_caused_by_a_later_receipt_has_a_later_stamp)
{
    enum { LATE = 100000 };
    struct scene scene;
    struct raw_frame early = raw_frame_good();
    struct raw_frame late;
    struct arena arena;

    scene_make(&scene);
    arena_init(&arena);
    early.inspect = true;
    late = early;
    late.lamport = LATE;
    send_both(&scene, &early, &late);
    ck_assert_uint_lt(take_frame(scene.fd, &arena)->lamport, LATE);
    ck_assert_uint_gt(take_frame(scene.fd, &arena)->lamport, LATE);
    arena_release(&arena);
    scene_free(&scene);
}

static void send_note_send(void *argument, struct node *node, struct env *env)
{
    struct errand errand = *(const struct errand *)argument;

    run_errand(&errand, node, env);
    env_log(env, LOG_LEVEL_DEBUG, "probe.other", "%s", "");
    run_errand(&errand, node, env);
}

TEST(a_message_sent_after_an_event_has_a_later_stamp)
{
    struct scene scene;
    struct errand errand = {0};
    struct arena arena;
    uint64_t lamport;

    scene_make(&scene);
    arena_init(&arena);
    errand.to = introduce(scene.fd, "client:note");
    ck_assert_int_eq(rpc_post(scene.server.rpc, send_note_send, &errand), 0);
    lamport = take_frame(scene.fd, &arena)->lamport;
    ck_assert_uint_eq(take_frame(scene.fd, &arena)->lamport, lamport + 2);
    arena_release(&arena);
    scene_free(&scene);
}

/* Sends three: for anybody, for incarnation 5, and for anybody again. */
static void send_to_lives(void *argument, struct node *node, struct env *env)
{
    struct errand errand = *(const struct errand *)argument;
    struct errand other = errand;

    other.to.incarnation = 5;
    run_errand(&errand, node, env);
    run_errand(&errand, node, env);
    run_errand(&other, node, env);
    run_errand(&errand, node, env);
}

/* V8: a message for one life of a process reaches no other one. */
TEST(messages_for_two_lives_of_a_peer_share_no_frame)
{
    static const size_t shares[] = {2, 1, 1};
    static const uint64_t lives[] = {0, 5, 0};
    struct scene scene;
    struct errand errand = {0};
    struct arena arena;

    scene_make(&scene);
    arena_init(&arena);
    errand.to = introduce(scene.fd, "client:lives");
    ck_assert_int_eq(rpc_post(scene.server.rpc, send_to_lives, &errand), 0);
    for (size_t i = 0; i < 3; i++) {
        Pbkv__Frame *frame = take_frame(scene.fd, &arena);

        ck_assert_uint_eq(frame->n_bodies, shares[i]);
        ck_assert_uint_eq(frame->to->incarnation, lives[i]);
    }
    arena_release(&arena);
    scene_free(&scene);
}

/* Returns how many lines of a file have this text. */
static size_t count_lines(const char *path, const char *text)
{
    FILE *file = fopen(path, "r");
    char line[1024];
    size_t count = 0;

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file))
        count += strstr(line, text) != NULL;
    fclose(file);
    return count;
}

/* K3: what a process that writes a trace sends has a line each; what comes in a
 * frame has one. */
TEST(a_trace_has_a_line_for_every_message_sent)
{
    enum { ECHOES = 10 };
    struct scene scene;
    struct raw_frame frame = raw_frame_good();
    struct peer peer;
    char path[PROBE_PATH_SIZE + 32];
    struct arena arena;

    scene_prepare(&scene);
    snprintf(path, sizeof(path), "%s/trace", scene.directory);
    scene.server.config.trace_path = path;
    scene_begin(&scene);
    arena_init(&arena);
    peer = introduce(scene.fd, "client:traced");
    runner_echo(&scene.server, &peer, ECHOES, 10);
    for (size_t i = 0; i < ECHOES; i++)
        ck_assert_uint_eq(take_frame(scene.fd, &arena)->n_bodies, 1);
    frame.more = 3;
    ck_assert(raw_send_frame(scene.fd, &frame));
    for (size_t i = 0; i < 4; i++)
        take_frame(scene.fd, &arena);
    ck_assert_uint_eq(runner_count(&scene.server, "rpc.messages_in"), 5);
    ck_assert_uint_eq(runner_count(&scene.server, "rpc.frames_in"), 2);
    ck_assert_uint_eq(count_lines(path, " and 3 more"), 1);
    arena_release(&arena);
    scene_free(&scene);
}

TEST(a_message_that_has_a_fate_has_a_frame_of_its_own)
{
    struct scene scene;
    struct peer peer;
    struct arena arena;
    const char *reason;

    scene_prepare(&scene);
    ck_assert_int_eq(
        faults_parse("dup=1", &scene.server.config.faults, &reason), 0);
    scene_begin(&scene);
    arena_init(&arena);
    peer = introduce(scene.fd, "client:twice");
    take_frame(scene.fd, &arena); /* its answer, again */
    runner_echo(&scene.server, &peer, 50, 10);
    for (size_t i = 0; i < 100; i++)
        ck_assert_uint_eq(take_frame(scene.fd, &arena)->n_bodies, 1);
    arena_release(&arena);
    close(scene.honest);
    scene.honest = raw_dial(&scene.server.self.address);
    scene_free(&scene);
}

/* What ends a node ends what comes in the same frame. */
TEST(nothing_of_a_frame_reaches_a_node_that_has_ended)
{
    struct scene scene;
    struct raw_frame frame = raw_frame_good();

    scene_prepare(&scene);
    scene.server.probe->frail = true;
    scene_begin(&scene);
    frame.more = 2;
    ck_assert(raw_send_frame(scene.fd, &frame));
    ck_assert_int_eq(runner_join(&scene.server), -ECANCELED);
    ck_assert_uint_eq(scene.server.probe->echoes, 1);
    close(scene.honest);
    close(scene.fd);
    runner_end(&scene.server);
    directory_remove(scene.directory);
}

/* Messages that join a frame count like others, also while it has room. */
TEST(a_message_over_the_limit_of_output_joins_no_frame)
{
    enum { LIMIT = 60000, SIZE = 1000 };
    struct scene scene;
    struct peer slow;

    scene_prepare(&scene);
    scene.server.config.limits.connection_output = LIMIT;
    scene_begin(&scene);
    slow = introduce(scene.fd, "client:slow");
    while (runner_recorded(&scene.server, "send.overflow") == 0) {
        runner_echo(&scene.server, &slow, 100, SIZE);
        ck_assert_uint_le(runner_count(&scene.server, "rpc.output_held"),
                          LIMIT);
    }
    scene_free(&scene);
}

TEST(a_frame_with_too_many_messages_is_refused)
{
    struct raw_frame frame = raw_frame_good();

    frame.more = FRAME_BODIES_LIMIT;
    expect_refused_after(&frame, 0, "frame.meaningless");
}

/* Counts messages from turn to turn, until there were enough. */
struct watch {
    struct runner *runner;
    sem_t filled;
    sem_t done;
    uint64_t last;
    uint64_t most; /* in one turn */
    uint64_t enough;
    bool refused; /* to look again */
};

static void watch_turn(void *argument, struct node *node, struct env *env)
{
    struct watch *watch = argument;
    uint64_t count = rpc_count(watch->runner->rpc, "rpc.messages_in");

    (void)node;
    (void)env;
    if (count - watch->last > watch->most)
        watch->most = count - watch->last;
    watch->last = count;
    if (count < watch->enough)
        watch->refused = rpc_post(watch->runner->rpc, watch_turn, watch) < 0;
    if (count >= watch->enough || watch->refused)
        sem_post(&watch->done);
}

/* Holds the loop up until much waits to be read, and then watches. */
static void wait_and_watch(void *argument, struct node *node, struct env *env)
{
    struct watch *watch = argument;

    sem_wait(&watch->filled);
    watch_turn(watch, node, env);
}

/* Sends frames of short messages, as many as the system takes while nobody
 * reads, and then has them read. */
static void send_densely(struct scene *scene, struct watch *watch)
{
    enum { FRAMES = 700 };
    struct raw_frame frame = raw_frame_good();
    size_t size;
    uint8_t *octets;
    uint8_t *all;

    frame.payload = 0;
    frame.from = "client:x";
    frame.more = FRAME_BODIES_LIMIT - 1;
    octets = raw_frame_pack(&frame, &size);
    all = memory_new(FRAMES * size);
    for (size_t i = 0; i < FRAMES; i++)
        memcpy(all + i * size, octets, size);
    watch->last = runner_count(&scene->server, "rpc.messages_in");
    ck_assert_int_eq(rpc_post(scene->server.rpc, wait_and_watch, watch), 0);
    watch->enough = watch->last + raw_send_some(scene->fd, all, FRAMES * size) /
                                      size * FRAME_BODIES_LIMIT;
    sem_post(&watch->filled);
    for (int done = 0; done == 0; sem_getvalue(&watch->done, &done))
        recv(scene->fd, all, size, MSG_DONTWAIT);
    sem_wait(&watch->done); /* this is what hands the results over */
    free(octets);
    free(all);
}

/* Also after a while of good conduct. */
TEST(who_packs_messages_densely_gets_no_larger_share_of_a_turn)
{
    enum { SHARE = 10000 };
    struct scene scene;
    struct watch watch = {.runner = &scene.server};

    scene_make(&scene);
    sem_init(&watch.filled, 0, 0);
    sem_init(&watch.done, 0, 0);
    for (size_t i = 0; i < 10; i++)
        expect_service(scene.fd);
    send_densely(&scene, &watch);
    ck_assert(!watch.refused);
    ck_assert_uint_gt(watch.enough, 2 * SHARE);
    ck_assert_uint_lt(watch.most, SHARE);
    sem_destroy(&watch.filled);
    sem_destroy(&watch.done);
    scene_free(&scene);
}

/* Strangers fill what there is for accepted connections, one is closed for
 * another; the unfinished frame of one that was dialled fits, and stays. */
TEST(strangers_leave_input_to_those_whom_we_dialled)
{
    struct scene scene;
    struct place place;
    struct raw_frame frame = raw_frame_good();
    struct arena arena;
    size_t size;
    uint8_t *octets;
    int fd;

    frame.payload = 8000;
    octets = raw_frame_pack(&frame, &size);
    place_make(&place);
    scene_prepare(&scene);
    scene.server.config.limits.total_input = INPUT_LIMIT;
    scene_begin(&scene);
    arena_init(&arena);
    runner_echo(&scene.server, &place.peer, 1, 1);
    fd = accept(place.fd, NULL, NULL);
    ck_assert_int_ge(fd, 0);
    ck_assert_ptr_nonnull(raw_receive_frame(fd, &arena));
    ck_assert(raw_send(fd, octets, 8000));
    await_octets(&scene, 8000);
    send_beginning(scene.fd, 22000);
    await_octets(&scene, 30000);
    ck_assert_uint_eq(runner_count(&scene.server, "rpc.input_held"), 30000);
    send_beginning(scene.honest, 10000);
    raw_await_close(scene.fd);
    ck_assert(raw_send(fd, octets + 8000, size - 8000));
    ck_assert_ptr_nonnull(raw_receive_frame(fd, &arena));
    ck_assert_uint_eq(runner_recorded(&scene.server, "receive.limit"), 1);
    close(scene.honest);
    scene.honest = raw_dial(&scene.server.self.address);
    arena_release(&arena);
    free(octets);
    close(fd);
    close(place.fd);
    scene_free(&scene);
}

/* ---- Limits -------------------------------------------------------------- */

TEST(the_largest_echo_is_answered_and_a_larger_one_refused)
{
    struct scene scene;
    struct raw_frame frame = raw_frame_good();
    struct arena arena;
    Pbkv__Frame *reply;

    scene_make(&scene);
    arena_init(&arena);
    frame.payload = VALUE_LIMIT;
    ck_assert(raw_send_frame(scene.fd, &frame));
    reply = raw_receive_frame(scene.fd, &arena);
    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_eq(reply->bodies[0]->echo_reply->payload.len, VALUE_LIMIT);
    frame.payload = VALUE_LIMIT + 1;
    ck_assert(raw_send_frame(scene.fd, &frame));
    expect_closed(&scene, "frame.meaningless");
    arena_release(&arena);
    scene_free(&scene);
}

TEST(a_message_that_nobody_would_take_is_dropped_and_told)
{
    struct scene scene;
    struct errand largest = {peer_at("client:none", 0), BODY_LIMIT};
    struct errand larger = {peer_at("client:none", 0), BODY_LIMIT + 1};

    scene_make(&scene);
    ck_assert_int_eq(rpc_post(scene.server.rpc, run_errand, &largest), 0);
    runner_await(&scene.server, "send.nowhere", 1);
    ck_assert_uint_eq(runner_recorded(&scene.server, "send.overflow"), 0);
    ck_assert_int_eq(rpc_post(scene.server.rpc, run_errand, &larger), 0);
    runner_await(&scene.server, "send.overflow", 1);
    ck_assert_uint_eq(runner_recorded(&scene.server, "send.nowhere"), 1);
    scene_free(&scene);
}

/* Counts warnings of "send.overflow" on their way to the runner. */
struct overflows {
    struct runner *runner;
    rpc_log_function log;
    unsigned warnings;
};

static void count_overflows(void *context, const struct rpc_log_line *line)
{
    struct overflows *overflows = context;

    if (strcmp(line->event, "send.overflow") == 0 &&
        line->level >= LOG_LEVEL_WARN)
        overflows->warnings++;
    overflows->log(overflows->runner, line);
}

/* Makes the server know who is at the other end of a socket, so that it can
 * send of its own accord. */
static struct peer introduce(int fd, const char *name)
{
    struct raw_frame frame = raw_frame_good();
    struct arena arena;

    frame.from = name;
    arena_init(&arena);
    ck_assert(raw_send_frame(fd, &frame));
    ck_assert_ptr_nonnull(raw_receive_frame(fd, &arena));
    arena_release(&arena);
    return peer_at(name, 0);
}

static void await_no_output(struct scene *scene)
{
    while (runner_count(&scene->server, "rpc.output_held") > 0)
        ;
}

static void take_frames(int fd, uint64_t count)
{
    struct arena arena;

    for (; count > 0; count--) {
        arena_init(&arena);
        ck_assert_ptr_nonnull(raw_receive_frame(fd, &arena));
        arena_release(&arena);
    }
}

TEST(an_overflow_is_a_warning_only_when_it_begins)
{
    struct scene scene;
    struct peer slow;
    struct overflows overflows = {.runner = &scene.server};

    scene_prepare(&scene);
    overflows.log = scene.server.config.on_log;
    scene.server.config.on_log = count_overflows;
    scene.server.config.context = &overflows;
    scene.server.config.limits.connection_output = 1024 * 1024;
    scene_begin(&scene);
    slow = introduce(scene.fd, "client:slow");
    for (unsigned round = 1; round <= 2; round++) {
        uint64_t frames = runner_count(&scene.server, "rpc.frames_out");

        runner_echo(&scene.server, &slow, 100, 100000);
        frames = runner_count(&scene.server, "rpc.frames_out") - frames;
        ck_assert_uint_gt(runner_recorded(&scene.server, "send.overflow"),
                          round * 50);
        ck_assert_uint_eq(overflows.warnings, round);
        take_frames(scene.fd, frames);
        await_no_output(&scene);
    }
    scene_free(&scene);
}

TEST(a_reader_that_does_not_read_costs_bounded_memory)
{
    enum { LIMIT = 1024 * 1024 };
    struct scene scene;
    struct peer slow;

    scene_prepare(&scene);
    scene.server.config.limits.connection_output = LIMIT;
    scene_begin(&scene);
    slow = introduce(scene.fd, "client:slow");
    for (int i = 0; i < 100; i++) {
        runner_echo(&scene.server, &slow, 1, 100000);
        ck_assert_uint_le(runner_count(&scene.server, "rpc.output_held"),
                          LIMIT);
    }
    runner_await(&scene.server, "send.overflow", 50);
    scene_free(&scene);
}

enum { PUSHED = 25600000 }; /* octets, at the most */

/* Sends echoes of so many octets as long as the other side takes them, in one
 * piece, so that the ends of frames and of what is read at once do not agree.
 * Returns how many it took whole. */
static uint64_t push_until_blocked(struct scene *scene, uint32_t payload)
{
    struct raw_frame frame = raw_frame_good();
    struct timeval patience = {0, 20000};
    uint8_t *one, *all;
    size_t size, frames, sent = 0;
    ssize_t count = 1;

    frame.payload = payload;
    one = raw_frame_pack(&frame, &size);
    frames = PUSHED / size;
    all = memory_new(frames * size);
    for (size_t i = 0; i < frames; i++)
        memcpy(all + i * size, one, size);
    setsockopt(scene->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    while (
        sent < frames * size &&
        (count > 0 || runner_recorded(&scene->server, "receive.paused") == 0)) {
        count = send(scene->fd, all + sent, frames * size - sent, MSG_NOSIGNAL);
        sent += count > 0 ? (size_t)count : 0;
    }
    free(all);
    free(one);
    return sent / size;
}

TEST(who_does_not_take_answers_is_not_read_from_and_loses_none)
{
    enum { HELD = 2 * 1024 * 1024 };
    struct scene scene;
    uint64_t frames;

    scene_make(&scene);
    frames = push_until_blocked(&scene, 100000);
    ck_assert_uint_lt(frames, PUSHED / 100000);
    runner_await(&scene.server, "receive.paused", 1);
    ck_assert_uint_le(runner_count(&scene.server, "rpc.output_held"), HELD);
    expect_service(scene.honest);
    take_frames(scene.fd, frames);
    await_no_output(&scene);
    ck_assert_uint_eq(runner_recorded(&scene.server, "send.overflow"), 0);
    scene_free(&scene);
}

/* The frame that is not read to its end meanwhile is not the other side's
 * doing: one of so few octets that a read does not end with it. Somebody else's
 * half a frame tells that the time is over. */
TEST(who_is_not_read_from_does_not_stall)
{
    struct scene scene;
    uint64_t frames;
    int other;

    scene_prepare(&scene);
    scene.server.config.limits.input_pause_ms = time_scaled(300);
    scene_begin(&scene);
    frames = push_until_blocked(&scene, 10000);
    runner_await(&scene.server, "receive.paused", 1);
    ck_assert_uint_gt(runner_count(&scene.server, "rpc.input_held"), 0);
    other = raw_dial(&scene.server.self.address);
    ck_assert(raw_send(other, "\0\0\1", 3));
    raw_await_close(other);
    close(other);
    ck_assert_uint_eq(runner_recorded(&scene.server, "receive.stalled"), 1);
    take_frames(scene.fd, frames);
    scene_free(&scene);
}

TEST(who_goes_away_while_not_read_from_is_noticed)
{
    struct scene scene;

    scene_make(&scene);
    push_until_blocked(&scene, 100000);
    runner_await(&scene.server, "receive.paused", 1);
    shutdown(scene.fd, SHUT_RDWR);
    await_no_output(&scene);
    while (runner_count(&scene.server, "rpc.connections") > 1)
        ;
    scene_free(&scene);
}

enum { READERS = 8 };

/* Connects the readers and pushes `count` echoes of `size` octets to each. */
static void push_to_all(struct scene *scene, const struct peer *readers,
                        unsigned count, size_t size)
{
    for (int i = 0; i < READERS; i++)
        runner_echo(&scene->server, &readers[i], count, size);
}

static void introduce_all(struct scene *scene, int *fds, struct peer *readers)
{
    static const char *const names[READERS] = {
        "client:1", "client:2", "client:3", "client:4",
        "client:5", "client:6", "client:7", "client:8"};

    for (int i = 0; i < READERS; i++) {
        fds[i] = raw_dial(&scene->server.self.address);
        readers[i] = introduce(fds[i], names[i]);
    }
}

TEST(all_readers_together_cost_bounded_memory)
{
    enum { LIMIT = 1024 * 1024 };
    struct scene scene;
    struct peer readers[READERS];
    int fds[READERS];

    scene_prepare(&scene);
    scene.server.config.limits.total_output = LIMIT;
    scene_begin(&scene);
    introduce_all(&scene, fds, readers);
    push_to_all(&scene, readers, 10, 100000);
    ck_assert_uint_le(runner_count(&scene.server, "rpc.output_held"), LIMIT);
    ck_assert_uint_gt(runner_recorded(&scene.server, "send.overflow"), 0);
    for (int i = 0; i < READERS; i++)
        close(fds[i]);
    await_no_output(&scene);
    scene_free(&scene);
}

/* Messages of all sizes, so that no gap is left for a small one to fit in. */
TEST(readers_that_do_not_read_leave_room_for_others)
{
    enum { LIMIT = 1024 * 1024, SIZES = 5, FRAMES = 300 };
    static const size_t sizes[SIZES] = {50000, 5000, 500, 50, 0};
    struct scene scene;
    struct peer readers[READERS];
    int fds[READERS];

    scene_prepare(&scene);
    scene.server.config.limits.total_output = LIMIT;
    scene_begin(&scene);
    introduce_all(&scene, fds, readers);
    for (int size = 0; size < SIZES; size++)
        push_to_all(&scene, readers, FRAMES, sizes[size]);
    ck_assert_uint_le(runner_count(&scene.server, "rpc.output_held"), LIMIT);
    ck_assert_uint_gt(runner_recorded(&scene.server, "send.overflow"), 0);
    expect_service(scene.honest);
    for (int i = 0; i < READERS; i++)
        close(fds[i]);
    scene_free(&scene);
}

TEST(a_peer_that_goes_away_before_its_answers_does_no_harm)
{
    struct scene scene;
    struct raw_frame frame = raw_frame_good();

    scene_make(&scene);
    frame.payload = 300000;
    for (int i = 0; i < 20; i++) {
        int fd = raw_dial(&scene.server.self.address);

        ck_assert(raw_send_frame(fd, &frame));
        ck_assert(raw_send_frame(fd, &frame));
        close(fd);
    }
    while (runner_count(&scene.server, "rpc.connections") > 2)
        ;
    scene_free(&scene);
}

TEST(connections_over_the_limit_are_closed_at_once)
{
    struct scene scene;
    int second;

    scene_prepare(&scene);
    scene.server.config.limits.connections = 2;
    scene_begin(&scene);
    expect_service(scene.honest);
    expect_service(scene.fd);
    second = raw_dial(&scene.server.self.address);
    raw_await_close(second);
    close(second);
    ck_assert_uint_eq(runner_count(&scene.server, "accept.limit"), 1);
    ck_assert_uint_eq(runner_count(&scene.server, "rpc.connections"), 2);
    close(scene.fd);
    while (runner_count(&scene.server, "rpc.connections") > 1)
        ;
    scene.fd = raw_dial(&scene.server.self.address);
    expect_service(scene.fd);
    scene_free(&scene);
}

TEST(without_descriptors_accepting_pauses_and_goes_on)
{
    struct scene scene;
    struct rlimit before, none;
    int fd;
    int lowest;

    scene_make(&scene);
    expect_service(scene.honest);
    expect_service(scene.fd);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    lowest = dup(fd);
    none = before;
    none.rlim_cur = (rlim_t)lowest;
    close(lowest);
    close(fd);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    fd = raw_dial(&scene.server.self.address);
    runner_await(&scene.server, "accept.pause", 1);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(fd);
    fd = raw_dial(&scene.server.self.address);
    expect_service(fd);
    ck_assert_uint_lt(runner_recorded(&scene.server, "accept.pause"), 100);
    close(fd);
    scene_free(&scene);
}

TEST(a_stranger_who_claims_many_addresses_does_not_fill_the_table)
{
    struct scene scene;
    struct raw_frame frame = raw_frame_good();
    struct arena arena;
    char name[32];

    scene_make(&scene);
    arena_init(&arena);
    frame.from = name;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "10.1.2.3:%d", 1000 + i);
        ck_assert(raw_send_frame(scene.fd, &frame));
        ck_assert_ptr_nonnull(raw_receive_frame(scene.fd, &arena));
    }
    ck_assert_uint_eq(runner_count(&scene.server, "rpc.dialled"), 0);
    arena_release(&arena);
    scene_free(&scene);
}

/* ---- Inspect ------------------------------------------------------------- */

static uint64_t find_counter(const Pbkv__InspectReply *reply, const char *name)
{
    for (size_t i = 0; i < reply->n_counters; i++) {
        const ProtobufCBinaryData *octets = &reply->counters[i]->name;

        if (octets->len == strlen(name) &&
            memcmp(octets->data, name, octets->len) == 0)
            return reply->counters[i]->value;
    }
    ck_abort_msg("there is no counter %s", name);
    return 0;
}

TEST(inspect_tells_the_node_and_the_counters)
{
    struct scene scene;
    struct raw_frame frame = raw_frame_good();
    struct arena arena;
    Pbkv__Frame *answer;
    const Pbkv__InspectReply *reply;

    scene_make(&scene);
    arena_init(&arena);
    expect_service(scene.honest);
    frame.inspect = true;
    ck_assert(raw_send_frame(scene.fd, &frame));
    answer = raw_receive_frame(scene.fd, &arena);
    ck_assert_ptr_nonnull(answer);
    ck_assert_int_eq(answer->bodies[0]->kind_case,
                     PBKV__BODY__KIND_INSPECT_REPLY);
    reply = answer->bodies[0]->inspect_reply;
    ck_assert_uint_eq(reply->call, 12);
    ck_assert_mem_eq(reply->role.data, "probe", 5);
    ck_assert_mem_eq(reply->name.data, "s", 1);
    ck_assert_uint_eq(reply->view->number, 7);
    ck_assert_uint_eq(reply->incarnation, scene.server.self.incarnation);
    ck_assert_uint_eq(find_counter(reply, "rpc.connections"), 2);
    ck_assert_uint_eq(find_counter(reply, "rpc.frames_in"), 2);
    ck_assert_uint_eq(find_counter(reply, "rpc.frames_out"), 1);
    ck_assert_uint_eq(find_counter(reply, "probe.echo"), 1);
    ck_assert_uint_gt(find_counter(reply, "rpc.octets_in"), 0);
    arena_release(&arena);
    scene_free(&scene);
}

SUITE("rpc wire", CASE(a_length_of_zero_is_refused),
      CASE(the_greatest_length_is_refused_before_anything_is_allocated),
      CASE(a_length_that_comes_octet_by_octet_is_refused_as_well),
      CASE(garbage_is_refused), CASE(another_protocol_is_refused),
      CASE(a_frame_without_a_message_is_refused),
      CASE(a_frame_that_ends_in_the_middle_is_noted),
      CASE(half_a_million_empty_fields_exceed_the_budget),
      CASE(a_frame_is_put_together_from_single_octets),
      CASE_LIMIT(frames_are_cut_where_they_end_however_they_arrive, 60),
      CASE_LIMIT(many_frames_in_one_piece_are_all_handled, 30),
      CASE(large_frames_arrive_whole_however_they_are_cut),
      CASE(memory_grows_with_what_arrives_and_not_with_what_is_claimed),
      CASE(unfinished_frames_over_the_input_limit_close_the_connection),
      CASE(a_frame_that_does_not_grow_closes_the_connection),
      CASE(a_frame_that_is_never_finished_closes_the_connection),
      CASE(a_connection_between_two_frames_is_not_stalled),
      CASE(the_frame_that_has_not_grown_for_longest_gives_way),
      CASE_LIMIT(impossible_stamps_are_refused, 30),
      CASE(a_stamp_that_claims_too_much_of_us_is_counted_and_ignored),
      CASE(a_frame_from_nowhere_is_refused),
      CASE(a_frame_for_another_life_is_dropped_and_no_more),
      CASE(the_newest_connection_of_an_address_gets_the_answers),
      CASE(an_answer_to_a_claimed_address_never_dials),
      CASE(an_answer_held_back_by_a_fault_does_not_dial_either),
      CASE(a_request_goes_to_the_address_and_not_to_who_claims_it),
      CASE(strangers_leave_input_to_those_whom_we_dialled),
      CASE_LIMIT(the_largest_echo_is_answered_and_a_larger_one_refused, 30),
      CASE(messages_of_one_moment_share_frames),
      CASE(a_message_caused_by_a_later_receipt_has_a_later_stamp),
      CASE(messages_for_two_lives_of_a_peer_share_no_frame),
      CASE(a_message_sent_after_an_event_has_a_later_stamp),
      CASE(a_trace_has_a_line_for_every_message_sent),
      CASE(a_message_that_has_a_fate_has_a_frame_of_its_own),
      CASE(nothing_of_a_frame_reaches_a_node_that_has_ended),
      CASE(a_message_over_the_limit_of_output_joins_no_frame),
      CASE(a_frame_with_too_many_messages_is_refused),
      CASE(who_packs_messages_densely_gets_no_larger_share_of_a_turn),
      CASE(a_message_that_nobody_would_take_is_dropped_and_told),
      CASE_LIMIT(an_overflow_is_a_warning_only_when_it_begins, 30),
      CASE_LIMIT(who_does_not_take_answers_is_not_read_from_and_loses_none, 30),
      CASE_LIMIT(who_is_not_read_from_does_not_stall, 30),
      CASE_LIMIT(who_goes_away_while_not_read_from_is_noticed, 30),
      CASE_LIMIT(a_reader_that_does_not_read_costs_bounded_memory, 30),
      CASE_LIMIT(all_readers_together_cost_bounded_memory, 30),
      CASE_LIMIT(readers_that_do_not_read_leave_room_for_others, 30),
      CASE_LIMIT(a_peer_that_goes_away_before_its_answers_does_no_harm, 30),
      CASE(connections_over_the_limit_are_closed_at_once),
      CASE(without_descriptors_accepting_pauses_and_goes_on),
      CASE(a_stranger_who_claims_many_addresses_does_not_fill_the_table),
      CASE(inspect_tells_the_node_and_the_counters))
