/* SPDX-License-Identifier: MIT */
/*
 * Tests of the runtime against peers that are no pbkv: octets by hand over a
 * Unix socket. Whatever such a peer does, it is named and counted, it costs a
 * bounded amount of memory, and others are served as before: after every
 * outrage the test asks for an echo over another connection.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clocks/lamport.h"
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
    ck_assert_int_eq(reply->body->kind_case, PBKV__BODY__KIND_ECHO_REPLY);
    ck_assert_uint_eq(reply->body->echo_reply->call, 11);
    ck_assert_uint_eq(reply->body->echo_reply->payload.len, frame.payload);
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

/* ---- Stamps and addresses ------------------------------------------------ */

static void expect_refused_stamp(const struct raw_frame *frame)
{
    struct scene scene;

    scene_make(&scene);
    ck_assert(raw_send_frame(scene.fd, frame));
    expect_closed(&scene, "frame.stamp");
    ck_assert_uint_eq(runner_recorded(&scene.server, "probe.echo"), 0);
    scene_free(&scene);
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

/* ---- Limits -------------------------------------------------------------- */

TEST(a_reader_that_does_not_read_costs_bounded_memory)
{
    enum { LIMIT = 1024 * 1024 };
    struct scene scene;
    struct raw_frame frame = raw_frame_good();

    scene_prepare(&scene);
    scene.server.config.limits.connection_output = LIMIT;
    scene_begin(&scene);
    frame.from = "client:slow";
    frame.payload = 100000;
    for (int i = 0; i < 100; i++) {
        ck_assert(raw_send_frame(scene.fd, &frame));
        ck_assert_uint_le(runner_count(&scene.server, "rpc.output_held"),
                          LIMIT);
    }
    runner_await(&scene.server, "send.overflow", 50);
    scene_free(&scene);
}

TEST(all_readers_together_cost_bounded_memory)
{
    enum { LIMIT = 1024 * 1024, PEERS = 8 };
    static const char *const names[PEERS] = {"client:1", "client:2", "client:3",
                                             "client:4", "client:5", "client:6",
                                             "client:7", "client:8"};
    struct scene scene;
    struct raw_frame frame = raw_frame_good();
    int fds[PEERS];

    scene_prepare(&scene);
    scene.server.config.limits.total_output = LIMIT;
    scene_begin(&scene);
    frame.payload = 100000;
    for (int i = 0; i < PEERS; i++) {
        fds[i] = raw_dial(&scene.server.self.address);
        frame.from = names[i];
        for (int k = 0; k < 10; k++)
            ck_assert(raw_send_frame(fds[i], &frame));
    }
    runner_await(&scene.server, "probe.echo", UINT64_C(10) * PEERS);
    ck_assert_uint_gt(runner_recorded(&scene.server, "send.overflow"), 0);
    ck_assert_uint_le(runner_count(&scene.server, "rpc.output_held"), LIMIT);
    for (int i = 0; i < PEERS; i++)
        close(fds[i]);
    while (runner_count(&scene.server, "rpc.output_held") > 0)
        ;
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
    ck_assert_int_eq(answer->body->kind_case, PBKV__BODY__KIND_INSPECT_REPLY);
    reply = answer->body->inspect_reply;
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
      CASE(memory_grows_with_what_arrives_and_not_with_what_is_claimed),
      CASE(unfinished_frames_over_the_input_limit_close_the_connection),
      CASE_LIMIT(impossible_stamps_are_refused, 30),
      CASE(a_stamp_that_claims_too_much_of_us_is_counted_and_ignored),
      CASE(a_frame_from_nowhere_is_refused),
      CASE(a_frame_for_another_life_is_dropped_and_no_more),
      CASE(the_newest_connection_of_an_address_gets_the_answers),
      CASE_LIMIT(a_reader_that_does_not_read_costs_bounded_memory, 30),
      CASE_LIMIT(all_readers_together_cost_bounded_memory, 30),
      CASE_LIMIT(a_peer_that_goes_away_before_its_answers_does_no_harm, 30),
      CASE(connections_over_the_limit_are_closed_at_once),
      CASE(without_descriptors_accepting_pauses_and_goes_on),
      CASE(a_stranger_who_claims_many_addresses_does_not_fill_the_table),
      CASE(inspect_tells_the_node_and_the_counters))
