/* SPDX-License-Identifier: MIT */
/*
 * Tests of the parts of rpc/ that need no loop: addresses, frames, the output
 * queue, counters, and the command line of programs.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clocks/host_clock.h"
#include "node/message.h"
#include "node/random.h"
#include "rpc/address.h"
#include "rpc/counters.h"
#include "rpc/frame.h"
#include "rpc/output.h"
#include "rpc/program.h"
#include "tests/suite.h"

/* ---- Addresses ---------------------------------------------------------- */

static struct address address_of(const char *text)
{
    struct address address;

    ck_assert_int_eq(address_init(&address, text, strlen(text)), 0);
    return address;
}

static bool can_be_dialled(const char *text)
{
    struct address address = address_of(text);

    return address_is_dialable(&address);
}

TEST(good_addresses_can_be_dialled)
{
    ck_assert(can_be_dialled("127.0.0.1:7000"));
    ck_assert(can_be_dialled("localhost:1"));
    ck_assert(can_be_dialled("kv-1.example.org:65535"));
    ck_assert(can_be_dialled("[::1]:80"));
    ck_assert(can_be_dialled("[fe80::1:2]:80"));
    ck_assert(can_be_dialled("unix:/s"));
    ck_assert(can_be_dialled("unix:/run/pbkv/a:b"));
    ck_assert(can_be_dialled("clients:80"));
}

TEST(names_of_clients_and_nonsense_cannot_be_dialled)
{
    static const char *const texts[] = {
        "client:1f", "client:1234", "client:80",     "host",        "host:",
        ":80",       "host:0",      "host:65536",    "host:080",    "host:+80",
        "host:8o",   "host:100000", "::1:80",        "[::1]",       "[::1]80",
        "[]:80",     "[1.2.3.4]:",  "[host]:80",     "[::1%lo]:80", "a:b:80",
        "unix:",     "unix:/",      "unix:relative", "ho/st:80",    "ho[st:80",
        "[::1]:8\\", "h*st:80",     "unix"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        ck_assert_msg(!can_be_dialled(texts[i]), "%s", texts[i]);
}

TEST(an_address_is_taken_apart)
{
    struct address address = address_of("[2001:db8::7]:4711");
    struct address_parts parts;

    ck_assert_int_eq(address_split(&address, &parts), 0);
    ck_assert_int_eq(parts.kind, ADDRESS_INET);
    ck_assert(parts.bracketed);
    ck_assert_str_eq(parts.host, "2001:db8::7");
    ck_assert_uint_eq(parts.port, 4711);
    address = address_of("unix:/tmp/x");
    ck_assert_int_eq(address_split(&address, &parts), 0);
    ck_assert_int_eq(parts.kind, ADDRESS_UNIX);
    ck_assert_str_eq(parts.path, "/tmp/x");
}

TEST(numeric_addresses_are_resolved_exactly)
{
    struct address address = address_of("127.0.0.9:258");
    struct endpoint endpoint;

    ck_assert_int_eq(address_resolve(&address, false, 5, &endpoint), 0);
    ck_assert_int_eq(endpoint.socket.any.sa_family, AF_INET);
    ck_assert_uint_eq(ntohs(endpoint.socket.v4.sin_port), 258);
    ck_assert_uint_eq(ntohl(endpoint.socket.v4.sin_addr.s_addr), 0x7f000009);
    address = address_of("[::1]:258");
    ck_assert_int_eq(address_resolve(&address, true, 0, &endpoint), 0);
    ck_assert_int_eq(endpoint.socket.any.sa_family, AF_INET6);
    ck_assert_uint_eq(ntohs(endpoint.socket.v6.sin6_port), 258);
    address = address_of("unix:/a/b");
    ck_assert_int_eq(address_resolve(&address, false, 0, &endpoint), 0);
    ck_assert_int_eq(endpoint.socket.any.sa_family, AF_UNIX);
    ck_assert_str_eq(endpoint.socket.local.sun_path, "/a/b");
    address = address_of("client:7");
    ck_assert_int_eq(address_resolve(&address, false, 0, &endpoint), -EINVAL);
}

TEST(the_longest_socket_path_fits)
{
    char text[ADDRESS_MAX + 1];
    struct address address;
    struct endpoint endpoint;

    memset(text, 'x', ADDRESS_MAX);
    memcpy(text, "unix:/", strlen("unix:/"));
    text[ADDRESS_MAX] = '\0';
    ck_assert_int_eq(address_init(&address, text, ADDRESS_MAX), 0);
    ck_assert_int_eq(address_resolve(&address, false, 0, &endpoint), 0);
    ck_assert_uint_eq(strlen(endpoint.socket.local.sun_path), ADDRESS_MAX - 5);
}

TEST(a_port_is_replaced)
{
    struct address v4 = address_of("host:0");
    struct address v6 = address_of("[::1]:0");
    struct address local = address_of("unix:/s");
    struct address result;

    ck_assert_int_eq(address_with_port(&v4, 65535, &result), 0);
    ck_assert_str_eq(result.text, "host:65535");
    ck_assert_int_eq(address_with_port(&v6, 9, &result), 0);
    ck_assert_str_eq(result.text, "[::1]:9");
    ck_assert_int_eq(address_with_port(&local, 9, &result), -EINVAL);
}

/* ---- Frames ------------------------------------------------------------- */

/* A frame stamped by a clock that knows `hosts` hosts besides its own. */
struct sample {
    struct host_clock clock;
    struct stamp_storage storage;
    struct packed_stamp packed;
    struct peer from;
    struct peer to;
    Pbkv__Peer from_message;
    Pbkv__Peer to_message;
    Pbkv__Frame frame;
    Pbkv__Body body;
    Pbkv__Echo echo;
    uint8_t *payload;
};

static void sample_make(struct sample *sample, size_t hosts, size_t payload)
{
    host_clock_init(&sample->clock, "sender-1");
    for (size_t i = 0; i < hosts; i++) {
        char host[HOST_NAME_MAX_LENGTH + 1];

        snprintf(host, sizeof(host), "a-rather-long-name-of-a-host-%020zu", i);
        vclock_raise(&sample->clock.vector, host, LAMPORT_MAX - i);
    }
    host_clock_tick(&sample->clock);
    sample->from = peer_at("127.0.0.1:7001", UINT64_MAX);
    sample->to = peer_at("unix:/run/s", 0);
    sample->payload = calloc(1, payload + 1);
    pbkv__peer__init(&sample->from_message);
    pbkv__peer__init(&sample->to_message);
    peer_to_message(&sample->from, &sample->from_message);
    peer_to_message(&sample->to, &sample->to_message);
    pbkv__frame__init(&sample->frame);
    sample->frame.from = &sample->from_message;
    sample->frame.to = &sample->to_message;
    pbkv__body__init(&sample->body);
    pbkv__echo__init(&sample->echo);
    sample->body.kind_case = PBKV__BODY__KIND_ECHO;
    sample->body.echo = &sample->echo;
    sample->echo.call = 3;
    sample->echo.payload = message_octets(sample->payload, payload);
}

/* Compares our packing with protobuf-c's, octet for octet. */
static void expect_same_packing(size_t hosts, size_t payload, size_t bodies)
{
    static uint8_t head[FRAME_HEAD_MAX];
    Pbkv__Body *pointers[FRAME_BODIES_LIMIT];
    struct sample *sample = calloc(1, sizeof(*sample));
    struct outgoing outgoing;
    struct bytes *body;
    uint8_t *ours;
    uint8_t *theirs;
    size_t size;

    sample_make(sample, hosts, payload);
    body = message_encode(&sample->body);
    packed_stamp_update(&sample->packed, &sample->clock);
    frame_pack(&sample->frame, &sample->packed, body, head, &outgoing);
    host_clock_stamp(&sample->clock, &sample->frame, &sample->storage);
    size = frame_size(&outgoing) + (bodies - 1) * frame_addition(body);
    ours = malloc(size);
    frame_write(&outgoing, ours);
    for (size_t i = 1; i < bodies; i++)
        frame_add(ours, body);
    for (size_t i = 0; i < bodies; i++)
        pointers[i] = &sample->body;
    sample->frame.n_bodies = bodies;
    sample->frame.bodies = pointers;
    ck_assert_uint_eq(pbkv__frame__get_packed_size(&sample->frame),
                      size - FRAME_LENGTH_SIZE);
    ck_assert_uint_eq(frame_length_read(ours), size - FRAME_LENGTH_SIZE);
    theirs = malloc(size);
    pbkv__frame__pack(&sample->frame, theirs);
    ck_assert_mem_eq(ours + FRAME_LENGTH_SIZE, theirs,
                     size - FRAME_LENGTH_SIZE);
    bytes_release(body);
    free(sample->payload);
    free(sample);
    free(ours);
    free(theirs);
}

TEST(frames_are_packed_as_protobuf_packs_them)
{
    static const size_t payloads[] = {0,     1,     100,        120, 121,
                                      122,   123,   127,        128, 16370,
                                      16384, 70000, VALUE_LIMIT};

    for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        expect_same_packing(0, payloads[i], 1);
        expect_same_packing(CLOCK_ENTRIES_LIMIT - 1, payloads[i], 1);
        if (payloads[i] < 20000)
            expect_same_packing(2, payloads[i], FRAME_BODIES_LIMIT);
    }
}

/* ---- Output ------------------------------------------------------------- */

/* Takes count octets from the front and checks that they go on counting. */
static void consume(struct output *output, struct segment_pool *pool,
                    size_t count, uint8_t *expected)
{
    enum { VECTORS = 64 };
    struct iovec vectors[VECTORS];
    size_t left = count;
    size_t wrong = 0;
    int used = output_gather(output, vectors, VECTORS);

    for (int i = 0; i < used && left > 0; i++) {
        const uint8_t *octets = vectors[i].iov_base;
        size_t take = vectors[i].iov_len < left ? vectors[i].iov_len : left;

        for (size_t k = 0; k < take; k++)
            wrong += octets[k] != (*expected)++;
        left -= take;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(left, 0);
    output_consume(output, pool, count);
}

/* Adds so many octets, the last part of them lent. */
static void lend(struct output *output, struct segment_pool *pool, size_t size,
                 uint8_t *written)
{
    uint8_t head[40];
    size_t length = size / 2 < sizeof(head) ? size / 2 : sizeof(head);
    struct bytes *body = bytes_new_uninitialised(size - length);

    for (size_t k = 0; k < length; k++)
        head[k] = (*written)++;
    for (size_t k = 0; k < body->length; k++)
        body->data[k] = (*written)++;
    ck_assert(output_lend(output, pool, head, length, body));
    bytes_release(body); /* the output has its own reference */
}

TEST(output_comes_out_as_it_went_in)
{
    struct output output = {0};
    struct segment_pool pool = {0};
    uint64_t random = 5;
    uint8_t written = 0;
    uint8_t expected = 0;

    for (int i = 0; i < 3000; i++) {
        uint32_t size = random_between(&random, 2, i % 50 == 0 ? 40000 : 300);

        if (i % 20 == 0) {
            lend(&output, &pool, size, &written);
        } else {
            uint8_t *room = output_reserve(&output, &pool, size);

            for (uint32_t k = 0; k < size; k++)
                room[k] = written++;
        }
        while (output.octets > 20000)
            consume(&output, &pool,
                    random_between(&random, 1, (uint32_t)output.octets / 2),
                    &expected);
    }
    output_clear(&output, &pool);
    ck_assert_uint_eq(output.octets, 0);
    ck_assert_ptr_null(output.first);
    ck_assert_uint_gt(pool.count, 0);
    ck_assert_uint_le(pool.count, POOL_SEGMENTS);
    segment_pool_release(&pool);
}

/* ---- Counters ----------------------------------------------------------- */

static void note_name(void *context, const char *name, uint64_t value)
{
    char *text = context;

    snprintf(text + strlen(text), 64 - strlen(text), "%s=%llu ", name,
             (unsigned long long)value);
}

TEST(counters_are_visited_in_the_order_of_their_names)
{
    struct counters counters = {0};
    char text[64] = "";

    ck_assert_uint_eq(counters_value(&counters, "b"), 0);
    counters_add(&counters, "b", 2);
    counters_add(&counters, "c.d", 1);
    counters_add(&counters, "a", 40);
    counters_add(&counters, "a", 2);
    ck_assert_uint_eq(counters_value(&counters, "a"), 42);
    ck_assert_uint_eq(counters_count(&counters), 3);
    counters_visit(&counters, note_name, text);
    ck_assert_str_eq(text, "a=42 b=2 c.d=1 ");
    counters_release(&counters);
}

/* ---- Command lines ------------------------------------------------------ */

struct settings {
    const char *listen;
    uint32_t count;
    size_t limit;
    bool fast;
    struct program_runtime runtime;
};

enum { WORDS_MAX = 10, OUTPUT_MAX = 4096 };

/* Reads standard output and error of a function's run back from a file. */
struct capture {
    FILE *file;
    int saved[2];
};

static void capture_begin(struct capture *capture)
{
    capture->file = tmpfile();
    ck_assert_ptr_nonnull(capture->file);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        capture->saved[i] = dup(i + 1);
        ck_assert_int_eq(dup2(fileno(capture->file), i + 1), i + 1);
    }
}

static void capture_end(struct capture *capture, char text[OUTPUT_MAX])
{
    size_t length;

    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        dup2(capture->saved[i], i + 1);
        close(capture->saved[i]);
    }
    rewind(capture->file);
    length = fread(text, 1, OUTPUT_MAX - 1, capture->file);
    text[length] = '\0';
    fclose(capture->file);
}

/* Parses a command line of words between spaces. */
static int parse(const char *line, struct settings *settings, int *operand,
                 char text[OUTPUT_MAX])
{
    const struct program_option options[] = {
        PROGRAM_TEXT_OPTION("listen", "ADDRESS", "where", &settings->listen),
        PROGRAM_U32_OPTION("count", "N", "how many", &settings->count, 2, 90),
        PROGRAM_SIZE_OPTION("limit", "SIZE", "octets", &settings->limit, 1, 0),
        PROGRAM_FLAG_OPTION("fast", "hurry", &settings->fast),
        PROGRAM_RUNTIME_OPTIONS(&settings->runtime)};
    const struct program program = {.name = "sample",
                                    .operands = "COMMAND [WORD]",
                                    .purpose = "A sample.",
                                    .options = options,
                                    .option_count =
                                        sizeof(options) / sizeof(options[0]),
                                    .operands_min = 1,
                                    .operands_max = 2};
    static char copy[256];
    char *words[WORDS_MAX + 1] = {NULL};
    struct capture capture;
    int count = 0;
    int status;

    snprintf(copy, sizeof(copy), "sample %s", line);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        words[count++] = word;
    capture_begin(&capture);
    status = program_parse(&program, count, words, operand);
    capture_end(&capture, text);
    return status;
}

TEST(a_command_line_is_read)
{
    struct settings settings = {.count = 5};
    char text[OUTPUT_MAX];
    int operand = 0;

    ck_assert_int_eq(parse("--listen a:1 --limit=3M --fast run --count",
                           &settings, &operand, text),
                     PROGRAM_GO_ON);
    ck_assert_str_eq(settings.listen, "a:1");
    ck_assert_uint_eq(settings.limit, (size_t)3 * 1024 * 1024);
    ck_assert(settings.fast);
    ck_assert_uint_eq(settings.count, 5);
    ck_assert_int_eq(operand, 5);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(
        parse("--count 90 --count=2 -- --odd", &settings, &operand, text),
        PROGRAM_GO_ON);
    ck_assert_uint_eq(settings.count, 2);
    ck_assert_int_eq(operand, 5);
    ck_assert_int_eq(parse("-", &settings, &operand, text), PROGRAM_GO_ON);
}

TEST(a_mistake_quotes_the_word)
{
    static const char *const lines[][2] = {
        {"--nope x", "'--nope'"},
        {"-x", "'-x'"},
        {"--coun 3 x", "'--coun'"},
        {"--count 1 x", "'1'"},
        {"--count 91 x", "'91'"},
        {"--count 4294967298 x", "'4294967298'"},
        {"--count 5x x", "'5x'"},
        {"--count -5 x", "'-5'"},
        {"--count 5K x", "'5K'"},
        {"--limit 0 x", "'0'"},
        {"--limit K x", "'K'"},
        {"--limit 1KB x", "'1KB'"},
        {"--limit 99999999999999999999 x", "'99999999999999999999'"},
        {"--limit 99999999999G x", "'99999999999G'"},
        {"--fast=1 x", "'1'"},
        {"--listen", "--listen needs"},
        {"a b c", "'c'"},
        {"--fast", "COMMAND"},
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct settings settings = {0};
        char text[OUTPUT_MAX];
        int operand = 0;

        ck_assert_msg(parse(lines[i][0], &settings, &operand, text) ==
                          PROGRAM_USAGE,
                      "accepted: %s", lines[i][0]);
        ck_assert_msg(strstr(text, lines[i][1]) != NULL, "%s: %s", lines[i][0],
                      text);
    }
}

TEST(help_and_version_end_the_program_well)
{
    struct settings settings = {0};
    char text[OUTPUT_MAX];
    int operand = 0;

    ck_assert_int_eq(parse("--help", &settings, &operand, text), 0);
    ck_assert_ptr_nonnull(strstr(text, "usage: sample [OPTION]... COMMAND"));
    ck_assert_ptr_nonnull(strstr(text, "--faults SPEC"));
    ck_assert_int_eq(parse("--version", &settings, &operand, text), 0);
    ck_assert_int_eq(strncmp(text, "sample 0", 8), 0);
}

static int configure(struct program_runtime runtime, struct rpc_config *config)
{
    const struct program program = {.name = "sample", .operands = ""};
    static struct program_log log;
    struct capture capture;
    char text[OUTPUT_MAX];
    int status;

    *config = rpc_config_default();
    program_log_init(&log);
    capture_begin(&capture);
    status = program_configure(&program, &runtime, &log, config);
    capture_end(&capture, text);
    return status;
}

TEST(runtime_flags_become_a_configuration)
{
    struct program_runtime runtime = {0};
    struct rpc_config config;

    ck_assert_int_eq(configure(runtime, &config), PROGRAM_GO_ON);
    ck_assert_int_eq(config.log_level, LOG_LEVEL_INFO);
    ck_assert(config.on_log != NULL && !config.faults.active);
    runtime.log_level = "none";
    ck_assert_int_eq(configure(runtime, &config), PROGRAM_GO_ON);
    ck_assert(config.on_log == NULL);
    runtime.log_level = "warn";
    runtime.faults = "drop=0.5";
    runtime.trace = "t";
    ck_assert_int_eq(configure(runtime, &config), PROGRAM_GO_ON);
    ck_assert_int_eq(config.log_level, LOG_LEVEL_WARN);
    ck_assert(config.faults.active);
    ck_assert_str_eq(config.trace_path, "t");
    runtime.faults = "drop=2";
    ck_assert_int_eq(configure(runtime, &config), PROGRAM_USAGE);
    runtime.faults = NULL;
    runtime.log_level = "loud";
    ck_assert_int_eq(configure(runtime, &config), PROGRAM_USAGE);
}

TEST(a_program_may_open_as_many_descriptors_as_the_system_allows)
{
    struct rlimit before, limit;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = 64;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(program_raise_descriptors(), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, before.rlim_max);
    ck_assert_uint_eq(limit.rlim_max, before.rlim_max);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(a_flood_of_one_event_is_cut_and_counted)
{
    struct rpc_log_line line = {LOG_LEVEL_WARN, "h-1",           3, 17,
                                "a.flood",      "not\nprintable"};
    struct program_log log;
    struct capture capture;
    char text[OUTPUT_MAX];
    unsigned lines = 0;

    program_log_init(&log);
    capture_begin(&capture);
    for (int i = 0; i < 1000; i++)
        program_log_line(&log, &line);
    line.event = "b.other";
    program_log_line(&log, &line);
    program_log_close(&log);
    capture_end(&capture, text);
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    ck_assert_uint_le(lines, 2 * (LOG_LINES_PER_SECOND + 1) + 1);
    ck_assert_ptr_nonnull(
        strstr(text, " warn h-1 view 3 lamport 17 a.flood not?printable\n"));
    ck_assert_ptr_nonnull(strstr(text, "more lines of a.flood were left out"));
    ck_assert_ptr_nonnull(strstr(text, "b.other"));
}

SUITE("rpc parts", CASE(good_addresses_can_be_dialled),
      CASE(names_of_clients_and_nonsense_cannot_be_dialled),
      CASE(an_address_is_taken_apart),
      CASE(numeric_addresses_are_resolved_exactly),
      CASE(the_longest_socket_path_fits), CASE(a_port_is_replaced),
      CASE(frames_are_packed_as_protobuf_packs_them),
      CASE(output_comes_out_as_it_went_in),
      CASE(counters_are_visited_in_the_order_of_their_names),
      CASE(a_command_line_is_read), CASE(a_mistake_quotes_the_word),
      CASE(help_and_version_end_the_program_well),
      CASE(runtime_flags_become_a_configuration),
      CASE(a_program_may_open_as_many_descriptors_as_the_system_allows),
      CASE(a_flood_of_one_event_is_cut_and_counted))
