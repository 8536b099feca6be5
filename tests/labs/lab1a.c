/* SPDX-License-Identifier: MIT */
/*
 * lab1a: Lamport and vector clocks. The clocks are judged against an oracle of
 * its own that knows only what happened: arrays of counters for an execution
 * that the test has drawn itself (struct execution).
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "clocks/host_clock.h"
#include "clocks/trace.h"
#include "clocks/verify.h"
#include "node/memory.h"
#include "node/message.h"
#include "node/random.h"
#include "tests/cluster.h"
#include "tests/labs/lab.h"

/* ---- Lamport clocks -------------------------------------------------------
 */

static void lamport_ticks(struct lab *lab)
{
    struct lamport clock = {0};

    for (uint64_t i = 1; i <= 5; i++) {
        uint64_t time = lamport_tick(&clock);

        LAB_EXPECT(lab, time == i && clock.time == i,
                   "tick %" PRIu64 " gave the time %" PRIu64, i, time);
    }
}

static void lamport_receives(struct lab *lab)
{
    static const uint64_t cases[][3] = {
        {0, 1, 2}, {5, 1, 6}, {5, 5, 6}, {5, 9, 10}, {1, 100, 101}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lamport clock = {cases[i][0]};
        uint64_t time = lamport_receive(&clock, cases[i][1]);

        LAB_EXPECT(lab, time == cases[i][2] && clock.time == cases[i][2],
                   "a clock at %" PRIu64 " received the stamp %" PRIu64
                   " and shows %" PRIu64 " instead of %" PRIu64,
                   cases[i][0], cases[i][1], time, cases[i][2]);
    }
}

static void lamport_stops(struct lab *lab)
{
    struct lamport clock = {LAMPORT_MAX - 1};

    lamport_tick(&clock);
    lamport_tick(&clock);
    LAB_EXPECT(lab, clock.time == LAMPORT_MAX,
               "a clock went past the greatest time, or did not reach it");
    lamport_receive(&clock, UINT64_MAX);
    LAB_EXPECT(lab, clock.time == LAMPORT_MAX,
               "a received stamp took a clock past the greatest time");
}

/* ---- Vector clocks --------------------------------------------------------
 */

static void vector_ticks(struct lab *lab)
{
    struct vclock clock;

    vclock_init(&clock, "p1");
    LAB_EXPECT(lab, vclock_time(&clock, "p1") == 0,
               "a new clock does not begin at 0");
    for (uint64_t i = 1; i <= 2; i++)
        LAB_EXPECT(lab, vclock_tick(&clock) == i,
                   "tick %" PRIu64 " does not return its number", i);
    LAB_EXPECT(
        lab, vclock_time(&clock, "p1") == 2 && vclock_time(&clock, "p2") == 0,
        "after two ticks of p1 the clock shows p1=%" PRIu64 " p2=%" PRIu64,
        vclock_time(&clock, "p1"), vclock_time(&clock, "p2"));
}

static void vector_raises(struct lab *lab)
{
    struct vclock clock;

    vclock_init(&clock, "p1");
    vclock_tick(&clock);
    vclock_raise(&clock, "p2", 5);
    vclock_raise(&clock, "p2", 3);
    LAB_EXPECT(lab, vclock_time(&clock, "p2") == 5,
               "p2 was raised to 5 and then to 3, and shows %" PRIu64,
               vclock_time(&clock, "p2"));
    vclock_raise(&clock, "p2", 6);
    LAB_EXPECT(lab, vclock_time(&clock, "p2") == 6,
               "p2 was raised from 5 to 6, and shows %" PRIu64,
               vclock_time(&clock, "p2"));
    vclock_raise(&clock, "p1", 100);
    LAB_EXPECT(lab, vclock_time(&clock, "p1") == 1,
               "somebody else knows more about p1 than p1 itself");
}

static void vector_merges(struct lab *lab)
{
    struct vclock one;
    struct vclock other;

    vclock_init(&one, "p1");
    vclock_init(&other, "p2");
    vclock_tick(&one);
    vclock_tick(&other);
    vclock_raise(&one, "p3", 4);
    vclock_raise(&one, "p4", 9);
    vclock_raise(&other, "p3", 7);
    vclock_raise(&other, "p4", 2);
    vclock_merge(&one, &other);
    LAB_EXPECT(lab,
               vclock_time(&one, "p1") == 1 && vclock_time(&one, "p2") == 1 &&
                   vclock_time(&one, "p3") == 7 && vclock_time(&one, "p4") == 9,
               "the merge of {p1=1 p3=4 p4=9} and {p2=1 p3=7 p4=2} is "
               "p1=%" PRIu64 " p2=%" PRIu64 " p3=%" PRIu64 " p4=%" PRIu64,
               vclock_time(&one, "p1"), vclock_time(&one, "p2"),
               vclock_time(&one, "p3"), vclock_time(&one, "p4"));
}

static void expect_order(struct lab *lab, const struct vclock *a,
                         const struct vclock *b, enum vclock_order expected,
                         const char *what)
{
    static const char *const names[] = {"before", "after", "equal",
                                        "concurrent"};
    enum vclock_order order = vclock_compare(a, b);

    LAB_EXPECT(lab, order == expected, "%s compare as %s and are %s", what,
               names[order], names[expected]);
}

static void vector_compares(struct lab *lab)
{
    struct vclock a;
    struct vclock b;

    vclock_init(&a, "p1");
    vclock_init(&b, "p2");
    expect_order(lab, &a, &b, VCLOCK_EQUAL, "two clocks without events");
    vclock_tick(&a);
    expect_order(lab, &a, &b, VCLOCK_AFTER, "{p1=1} and {}");
    expect_order(lab, &b, &a, VCLOCK_BEFORE, "{} and {p1=1}");
    vclock_tick(&b);
    expect_order(lab, &a, &b, VCLOCK_CONCURRENT, "{p1=1} and {p2=1}");
    vclock_merge(&b, &a);
    expect_order(lab, &a, &b, VCLOCK_BEFORE, "{p1=1} and {p1=1 p2=1}");
    expect_order(lab, &b, &a, VCLOCK_AFTER, "{p1=1 p2=1} and {p1=1}");
    vclock_raise(&a, "p2", 1);
    expect_order(lab, &a, &b, VCLOCK_EQUAL, "{p1=1 p2=1} and the same");
    vclock_tick(&a);
    vclock_tick(&b);
    expect_order(lab, &a, &b, VCLOCK_CONCURRENT, "{p1=2 p2=1} and {p1=1 p2=2}");
}

static void vector_is_bounded(struct lab *lab)
{
    struct vclock clock;
    char name[16];

    vclock_init(&clock, "owner");
    for (int i = 0; i < 200; i++) {
        vclock_tick(&clock);
        snprintf(name, sizeof(name), "p%d", i);
        vclock_raise(&clock, name, 1);
        vclock_raise(&clock, "busy", (uint64_t)i + 1);
        LAB_EXPECT(lab, clock.count <= CLOCK_ENTRIES_LIMIT,
                   "a clock has %zu entries", clock.count);
        LAB_EXPECT(lab, vclock_time(&clock, name) == 1,
                   "an entry that was just raised is gone");
    }
    LAB_EXPECT(lab, vclock_time(&clock, "owner") == 200,
               "a full clock has dropped its owner's entry");
    LAB_EXPECT(lab, vclock_time(&clock, "busy") == 200,
               "a full clock dropped an entry that changes all the time and "
               "kept one that stood still");
    vclock_forget(&clock, "busy");
    vclock_forget(&clock, "owner");
    LAB_EXPECT(lab,
               vclock_time(&clock, "busy") == 0 &&
                   vclock_time(&clock, "owner") == 200,
               "forgetting drops what was named, but never the owner");
}

/* ---- Stamps ---------------------------------------------------------------
 */

/* A frame with the stamp of a clock. */
struct stamped {
    Pbkv__Frame frame;
    struct stamp_storage storage;
    struct host_clock clock; /* as it was: the frame points into it */
};

static void stamp(struct stamped *stamped, struct host_clock *clock)
{
    host_clock_tick(clock);
    stamped->clock = *clock;
    pbkv__frame__init(&stamped->frame);
    host_clock_stamp(&stamped->clock, &stamped->frame, &stamped->storage);
}

static void host_clock_moves(struct lab *lab)
{
    struct host_clock one;
    struct host_clock other;
    struct stamped message;

    host_clock_init(&one, "p1");
    host_clock_init(&other, "p2");
    for (int i = 0; i < 6; i++)
        host_clock_tick(&one);
    stamp(&message, &one);
    LAB_EXPECT(lab,
               message.frame.lamport == 7 && message.frame.n_vector == 1 &&
                   message.frame.vector[0]->time == 7,
               "the seventh event of p1 is a send, and its stamp is not 7");
    host_clock_receive(&other, &message.frame, false);
    LAB_EXPECT(lab, other.lamport.time == 8,
               "p2 received the Lamport time 7 and shows %" PRIu64
               " instead of 8: is the clock updated on receipt?",
               other.lamport.time);
    LAB_EXPECT(lab,
               vclock_time(&other.vector, "p2") == 1 &&
                   vclock_time(&other.vector, "p1") == 7,
               "p2 received {p1=7} and shows p1=%" PRIu64 " p2=%" PRIu64,
               vclock_time(&other.vector, "p1"),
               vclock_time(&other.vector, "p2"));
}

static void replies_are_later(struct lab *lab)
{
    struct host_clock client;
    struct host_clock server;
    struct stamped request;
    struct stamped reply;

    host_clock_init(&client, "p1");
    host_clock_init(&server, "p2");
    for (int i = 0; i < 9; i++)
        host_clock_tick(&client);
    stamp(&request, &client);
    host_clock_receive(&server, &request.frame, false);
    stamp(&reply, &server);
    LAB_EXPECT(lab, reply.frame.lamport > request.frame.lamport,
               "the reply has the Lamport time %" PRIu64
               " and the request %" PRIu64,
               reply.frame.lamport, request.frame.lamport);
    host_clock_receive(&client, &reply.frame, false);
    LAB_EXPECT(lab, client.lamport.time > reply.frame.lamport,
               "a reply was received before it was sent, by Lamport's time");
    LAB_EXPECT(lab,
               vclock_compare(&reply.clock.vector, &client.vector) ==
                   VCLOCK_BEFORE,
               "the sending of a reply is not before its receipt, by the "
               "vector clocks");
}

static void clients_pass(struct lab *lab)
{
    struct host_clock client;
    struct host_clock server;
    struct stamped message;

    host_clock_init(&server, "s1");
    for (int i = 0; i < 100; i++) {
        char name[16];

        snprintf(name, sizeof(name), "client-%d", i);
        host_clock_init(&client, name);
        stamp(&message, &client);
        host_clock_receive(&server, &message.frame, true);
        LAB_EXPECT(lab, vclock_time(&server.vector, name) == 1,
                   "the line of a receipt does not name the client");
        host_clock_tick(&server);
        LAB_EXPECT(lab, vclock_time(&server.vector, name) == 0,
                   "a client's entry is still in the server's clock one event "
                   "after its receipt");
    }
    LAB_EXPECT(lab, server.vector.count == 1,
               "100 clients left %zu entries in a server's clock",
               server.vector.count);
}

static void lies_are_ignored(struct lab *lab)
{
    struct host_clock server;
    struct host_clock liar;
    struct stamped message;

    host_clock_init(&server, "s1");
    host_clock_init(&liar, "s2");
    host_clock_tick(&server);
    vclock_raise(&liar.vector, "s1", 50);
    stamp(&message, &liar);
    LAB_EXPECT(lab, !host_clock_receive(&server, &message.frame, false),
               "a stamp claims 50 events of s1, which had 1, and passes as "
               "honest");
    LAB_EXPECT(lab, vclock_time(&server.vector, "s1") == 2,
               "s1 believes somebody else about its own events");
}

static void expect_check(struct lab *lab, const Pbkv__Frame *frame, int result,
                         const char *what)
{
    LAB_EXPECT(lab, host_clock_check_stamp(frame) == result, "%s is %s", what,
               result == 0 ? "refused" : "accepted");
}

static void bad_stamps(struct lab *lab)
{
    struct host_clock clock;
    struct stamped message;
    Pbkv__ClockEntry twice;

    host_clock_init(&clock, "s1");
    vclock_raise(&clock.vector, "s2", 3);
    stamp(&message, &clock);
    expect_check(lab, &message.frame, 0, "a good stamp");
    twice = *message.frame.vector[1];
    twice.host = message.frame.vector[0]->host;
    message.frame.vector[1] = &twice;
    expect_check(lab, &message.frame, -EPROTO, "a host that comes twice");
    stamp(&message, &clock);
    message.frame.vector[1]->time = 0;
    expect_check(lab, &message.frame, -EPROTO, "the time 0");
    message.frame.vector[1]->time = LAMPORT_MAX + 1;
    expect_check(lab, &message.frame, -EPROTO, "a time over the limit");
    stamp(&message, &clock);
    message.frame.lamport = 0;
    expect_check(lab, &message.frame, -EPROTO, "the Lamport time 0");
    message.frame.lamport = LAMPORT_MAX + 1;
    expect_check(lab, &message.frame, -EPROTO, "a Lamport time over the limit");
    stamp(&message, &clock);
    message.frame.vector[1]->host = message_octets("a b", 3);
    expect_check(lab, &message.frame, -EPROTO, "a name with a blank");
    stamp(&message, &clock);
    message.frame.n_vector = 0;
    expect_check(lab, &message.frame, -EPROTO, "a stamp without entries");
}

/* ---- Executions -----------------------------------------------------------
 */

enum { HOSTS = 4, EVENTS = 120 };

/* What an event knows, by the oracle: the number of events of each host. */
struct oracle_event {
    uint64_t lamport;
    uint64_t known[HOSTS];
    struct host_clock clock; /* of the student */
};

struct execution {
    struct host_clock clocks[HOSTS];
    uint64_t lamport[HOSTS];
    uint64_t known[HOSTS][HOSTS];
    struct oracle_event events[EVENTS];
    struct stamped *way[HOSTS]; /* a message that is on its way to a host */
    struct oracle_event sent[HOSTS];
};

static void note_event(struct execution *execution, int host, size_t index)
{
    struct oracle_event *event = &execution->events[index];

    event->lamport = execution->lamport[host];
    memcpy(event->known, execution->known[host], sizeof(event->known));
    event->clock = execution->clocks[host];
}

static void send_to(struct execution *execution, int host, int to, size_t index)
{
    struct stamped *message = memory_new(sizeof(*message));

    free(execution->way[to]);
    execution->lamport[host]++;
    execution->known[host][host]++;
    stamp(message, &execution->clocks[host]);
    note_event(execution, host, index);
    execution->way[to] = message;
    execution->sent[to] = execution->events[index];
}

static void receive_at(struct execution *execution, int host, size_t index)
{
    const struct oracle_event *sent = &execution->sent[host];

    execution->known[host][host]++;
    if (sent->lamport > execution->lamport[host])
        execution->lamport[host] = sent->lamport;
    execution->lamport[host]++;
    for (int i = 0; i < HOSTS; i++) {
        if (sent->known[i] > execution->known[host][i])
            execution->known[host][i] = sent->known[i];
    }
    host_clock_receive(&execution->clocks[host], &execution->way[host]->frame,
                       false);
    free(execution->way[host]);
    execution->way[host] = NULL;
    note_event(execution, host, index);
}

static void draw_event(struct execution *execution, uint64_t *random,
                       size_t index)
{
    int host = (int)random_between(random, 0, HOSTS - 1);
    int to = (int)random_between(random, 0, HOSTS - 1);

    if (execution->way[host] && random_between(random, 0, 1) == 0)
        receive_at(execution, host, index);
    else if (to != host)
        send_to(execution, host, to, index);
    else {
        execution->lamport[host]++;
        execution->known[host][host]++;
        host_clock_tick(&execution->clocks[host]);
        note_event(execution, host, index);
    }
}

static enum vclock_order order_of(const struct oracle_event *a,
                                  const struct oracle_event *b)
{
    bool less = false;
    bool more = false;

    for (int i = 0; i < HOSTS; i++) {
        less |= a->known[i] < b->known[i];
        more |= a->known[i] > b->known[i];
    }
    if (less && more)
        return VCLOCK_CONCURRENT;
    return less ? VCLOCK_BEFORE : more ? VCLOCK_AFTER : VCLOCK_EQUAL;
}

static void judge_pair(struct lab *lab, const struct execution *execution,
                       size_t a, size_t b)
{
    static const char *const names[] = {"before", "after", "equal",
                                        "concurrent"};
    const struct oracle_event *one = &execution->events[a];
    const struct oracle_event *other = &execution->events[b];
    enum vclock_order truth = order_of(one, other);
    enum vclock_order order =
        vclock_compare(&one->clock.vector, &other->clock.vector);

    LAB_EXPECT(lab, order == truth,
               "event %zu of the execution compares to event %zu as %s, and "
               "the truth is %s",
               a + 1, b + 1, names[order], names[truth]);
    LAB_EXPECT(lab,
               truth != VCLOCK_BEFORE ||
                   one->clock.lamport.time < other->clock.lamport.time,
               "event %zu happened before event %zu and its Lamport time is "
               "not less",
               a + 1, b + 1);
}

static void executions(struct lab *lab)
{
    for (uint64_t run = 0; run < 20; run++) {
        struct execution *execution = memory_new(sizeof(*execution));
        uint64_t random = lab->seed * 100 + run;

        for (int i = 0; i < HOSTS; i++) {
            char name[8];

            snprintf(name, sizeof(name), "p%d", i + 1);
            host_clock_init(&execution->clocks[i], name);
        }
        for (size_t i = 0; i < EVENTS; i++) {
            draw_event(execution, &random, i);
            LAB_EXPECT(lab,
                       execution->events[i].clock.lamport.time ==
                           execution->events[i].lamport,
                       "event %zu has the Lamport time %" PRIu64
                       " and not %" PRIu64,
                       i + 1, execution->events[i].clock.lamport.time,
                       execution->events[i].lamport);
        }
        for (size_t a = 0; a < EVENTS; a++) {
            for (size_t b = 0; b < EVENTS; b++)
                judge_pair(lab, execution, a, b);
        }
        for (int i = 0; i < HOSTS; i++)
            free(execution->way[i]);
        free(execution);
    }
}

/* ---- Predictions ----------------------------------------------------------
 */

enum { PREDICTED = 11, TEXT_MAX = 256, LETTERS = 26 };

/* The execution of labs.md: host, and the event whose message is received. */
static const struct {
    char name;
    int host;
    char received;
} story[PREDICTED] = {{'a', 0, 0},   {'b', 0, 0}, {'c', 0, 0},  {'e', 1, 0},
                      {'f', 1, 'b'}, {'g', 1, 0}, {'h', 2, 0},  {'i', 2, 0},
                      {'j', 2, 'g'}, {'k', 2, 0}, {'d', 0, 'k'}};

static void play_story(struct oracle_event events[LETTERS])
{
    uint64_t lamport[3] = {0};
    uint64_t known[3][HOSTS] = {{0}};

    for (int i = 0; i < PREDICTED; i++) {
        int host = story[i].host;
        struct oracle_event *event = &events[story[i].name - 'a'];

        known[host][host]++;
        if (story[i].received) {
            const struct oracle_event *sent = &events[story[i].received - 'a'];

            if (sent->lamport > lamport[host])
                lamport[host] = sent->lamport;
            for (int j = 0; j < HOSTS; j++) {
                if (sent->known[j] > known[host][j])
                    known[host][j] = sent->known[j];
            }
        }
        event->lamport = ++lamport[host];
        memcpy(event->known, known[host], sizeof(event->known));
    }
}

struct predictions {
    struct lab *lab;
    struct oracle_event events[LETTERS];
    unsigned clocks; /* events predicted, as bits */
    unsigned pairs;
    unsigned misleading;
};

static void judge_clock(struct predictions *predictions, char name,
                        const char *text)
{
    const struct oracle_event *event = &predictions->events[name - 'a'];
    uint64_t lamport = 0;
    uint64_t known[HOSTS] = {0};
    const char *at = strstr(text, "vector");

    sscanf(text, "lamport %" SCNu64, &lamport);
    while (at && (at = strchr(at, 'p'))) {
        unsigned host;
        uint64_t time;

        if (sscanf(at, "p%u=%" SCNu64, &host, &time) == 2 && host >= 1 &&
            host <= 3)
            known[host - 1] = time;
        at++;
    }
    LAB_EXPECT(predictions->lab, lamport == event->lamport,
               "the Lamport time of event %c is not %" PRIu64, name, lamport);
    LAB_EXPECT(predictions->lab,
               memcmp(known, event->known, sizeof(known)) == 0,
               "the vector clock of event %c is not p1=%" PRIu64 " p2=%" PRIu64
               " p3=%" PRIu64,
               name, known[0], known[1], known[2]);
    predictions->clocks |= 1u << (name - 'a');
}

static void judge_line(struct predictions *predictions, const char *line)
{
    static const char *const words[] = {"before", "after", "equal",
                                        "concurrent"};
    const struct oracle_event *events = predictions->events;
    char a, b;
    char word[16] = "";

    if (line[0] >= 'a' && line[0] <= 'k' &&
        strncmp(line + 1, " lamport", 8) == 0)
        judge_clock(predictions, line[0], line + 2);
    else if (sscanf(line, "misleading %c %c", &a, &b) == 2 && a >= 'a' &&
             a <= 'k' && b >= 'a' && b <= 'k') {
        LAB_EXPECT(predictions->lab,
                   order_of(&events[a - 'a'], &events[b - 'a']) ==
                           VCLOCK_CONCURRENT &&
                       events[a - 'a'].lamport < events[b - 'a'].lamport,
                   "%c and %c do not mislead: either one happened before the "
                   "other, or the first has not the lower Lamport time",
                   a, b);
        predictions->misleading++;
    } else if (sscanf(line, "%c %c %15s", &a, &b, word) == 3 && a >= 'a' &&
               a <= 'k' && b >= 'a' && b <= 'k') {
        enum vclock_order truth = order_of(&events[a - 'a'], &events[b - 'a']);

        LAB_EXPECT(predictions->lab, strcmp(word, words[truth]) == 0,
                   "%c is not %s %c", a, word, b);
        predictions->pairs++;
    }
}

static struct predictions read_predictions(struct lab *lab)
{
    struct predictions predictions = {.lab = lab};
    const char *tree = getenv("PBKV_TREE");
    char text[TEXT_MAX];
    FILE *file;

    play_story(predictions.events);
    snprintf(text, sizeof(text), "%s/clocks/predictions.txt",
             tree ? tree : ".");
    file = fopen(text, "r");
    LAB_EXPECT(lab, file, "there is no file clocks/predictions.txt");
    while (fgets(text, sizeof(text), file))
        judge_line(&predictions, text);
    fclose(file);
    return predictions;
}

static void predicted_clocks(struct lab *lab)
{
    struct predictions predictions = read_predictions(lab);

    for (int i = 0; i < PREDICTED; i++)
        LAB_EXPECT(lab, predictions.clocks >> i & 1,
                   "clocks/predictions.txt says nothing about event %c",
                   'a' + i);
}

static void predicted_pairs(struct lab *lab)
{
    struct predictions predictions = read_predictions(lab);

    LAB_EXPECT(lab, predictions.pairs >= 6,
               "clocks/predictions.txt has %u pairs of 6", predictions.pairs);
    LAB_EXPECT(lab, predictions.misleading > 0,
               "clocks/predictions.txt names no pair that misleads");
}

/* ---- Live -----------------------------------------------------------------
 */

static void on_broken(void *context, const char *rule, const char *file,
                      uint64_t line, const char *sentence)
{
    lab_fail(context, "line %" PRIu64 " of the trace %s breaks %s: %s", line,
             strrchr(file, '/') ? strrchr(file, '/') + 1 : file, rule,
             sentence);
}

/* The programs of lab 0 stamp their frames with these clocks. */
static void live_traces(struct lab *lab)
{
    static const struct cluster_options options = {0};
    struct cluster *cluster = cluster_new(&options);
    struct verifier *verifier = verifier_new();
    struct verify_summary summary;
    char address[CLUSTER_PATH_SIZE + 8] = "unix:";
    char traces[2][CLUSTER_PATH_SIZE];
    const char *serve[] = {"--listen", address, "--trace", traces[0], NULL};
    const char *ask[] = {"--to",    address,   "--count", "20",
                         "--trace", traces[1], NULL};
    struct process *server;
    struct process *client;

    cluster_path(cluster, "echo", address + strlen(address));
    cluster_path(cluster, "server.trace", traces[0]);
    cluster_path(cluster, "client.trace", traces[1]);
    server = process_start(cluster, "echo", "server", serve);
    LAB_EXPECT(lab, process_is_ready(server), "the echo server does not start");
    client = process_start(cluster, "echo", "client", ask);
    LAB_EXPECT(lab, process_wait(client, CLUSTER_WAIT_MS) == 0,
               "the echo client did not end with success");
    process_signal(server, SIGTERM);
    process_wait(server, CLUSTER_WAIT_MS);
    for (int i = 0; i < 2; i++)
        LAB_EXPECT(lab, verifier_add_file(verifier, traces[i]) == 0,
                   "there is no trace");
    verifier_run(verifier, on_broken, lab, &summary);
    LAB_EXPECT(lab, summary.receipts_matched >= 40,
               "the traces have %" PRIu64 " receipts that can be checked, and "
               "40 are due",
               summary.receipts_matched);
    verifier_free(verifier);
    cluster_free(cluster);
}

static const struct lab_test tests[] = {
    {"a_lamport_clock_counts_events", lamport_ticks, 2, LAB_UNIT, 5, "K1"},
    {"a_receipt_is_later_than_the_send_and_the_event_before", lamport_receives,
     4, LAB_UNIT, 5, "K1"},
    {"a_lamport_clock_stops_at_the_greatest_time", lamport_stops, 1, LAB_UNIT,
     5, "K1"},
    {"a_vector_clock_counts_its_owners_events", vector_ticks, 2, LAB_UNIT, 5,
     "K2"},
    {"raising_takes_the_maximum_and_leaves_the_owner_alone", vector_raises, 3,
     LAB_UNIT, 5, "K2"},
    {"merging_takes_the_maximum_of_every_entry", vector_merges, 4, LAB_UNIT, 5,
     "K2"},
    {"comparing_tells_before_after_equal_and_concurrent", vector_compares, 4,
     LAB_UNIT, 5, "K2"},
    {"a_vector_clock_is_bounded_and_keeps_its_owner", vector_is_bounded, 3,
     LAB_UNIT, 5, "K4"},
    {"a_receipt_moves_both_clocks", host_clock_moves, 4, LAB_UNIT, 5, "K1 K2"},
    {"a_reply_is_later_than_its_request", replies_are_later, 4, LAB_UNIT, 5,
     "K1 K2"},
    {"clients_leave_nothing_in_a_servers_clock", clients_pass, 3, LAB_UNIT, 5,
     "K4"},
    {"a_lie_about_the_own_clock_is_ignored", lies_are_ignored, 2, LAB_UNIT, 5,
     "K2"},
    {"an_impossible_stamp_is_refused", bad_stamps, 3, LAB_UNIT, 5, "K4"},
    {"clocks_agree_with_happened_before_in_random_executions", executions, 6,
     LAB_SIMULATED, 20, "K1 K2"},
    {"the_predicted_clocks_are_right", predicted_clocks, 4, LAB_UNIT, 5,
     "K1 K2"},
    {"the_predicted_order_is_right", predicted_pairs, 4, LAB_UNIT, 5, "K2"},
    {"live_traces_break_no_rule", live_traces, 4, LAB_LIVE, 20, "K1 K2 K3"},
};

LAB_SUITE("1a", "clocks", tests)
