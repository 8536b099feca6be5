/* SPDX-License-Identifier: MIT */
/*
 * lab2c: the student's schedule and explanation of a planted bug, two files in
 * sim/. The schedule is gone through again; the explanation's claims are
 * compared with what happens in that very schedule, so any schedule with a
 * violation is good, and no answer is the right one beforehand.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"
#include "tests/labs/lab.h"
#include "tests/labs/microscope.h"

enum { TEXT_MAX = 256, SHORT_EVENTS = 60 };

/* What explanation.txt says; 0 and "": nothing. */
struct claims {
    char client[32];
    char server[32];
    char stale[32];
    char order[32];
    uint64_t believed;
    uint64_t current;
    size_t write;
    size_t answer;
};

static void path_of(const char *file, char path[TEXT_MAX])
{
    const char *tree = getenv("PBKV_TREE");

    snprintf(path, TEXT_MAX, "%s/sim/lab2c_%s.txt", tree ? tree : ".", file);
}

static const char *replay(struct lab *lab, size_t *events, size_t *spare)
{
    struct microscope *microscope = microscope_new();
    char path[TEXT_MAX];
    const char *sentence;

    path_of("schedule", path);
    sentence = microscope_replay(microscope, path, events, spare);
    LAB_EXPECT(
        lab, !sentence || sentence[0] != '\0',
        "sim/lab2c_schedule.txt is missing or no schedule of this store");
    microscope_free(microscope);
    return sentence;
}

static void is_schedule(struct lab *lab)
{
    struct schedule *schedule = memory_new(sizeof(*schedule));
    size_t events;
    size_t spare;
    char path[TEXT_MAX];

    replay(lab, &events, &spare);
    path_of("schedule", path);
    LAB_EXPECT(lab, microscope_observe(path, schedule),
               "event %zu of the schedule cannot happen there",
               schedule->count + 1);
    free(schedule);
}

static void violates(struct lab *lab)
{
    size_t events;
    size_t spare;

    LAB_EXPECT(lab, replay(lab, &events, &spare),
               "nothing is wrong at the end of the schedule");
}

static void is_minimal(struct lab *lab)
{
    size_t events = 0;
    size_t spare = 0;

    LAB_EXPECT(lab, replay(lab, &events, &spare),
               "nothing is wrong at the end of the schedule");
    LAB_EXPECT(lab, spare == 0,
               "%zu of the schedule's %zu events could be left out one by one, "
               "with the same violation",
               spare, events);
    LAB_EXPECT(lab, events <= SHORT_EVENTS,
               "the schedule has %zu events; %d are enough", events,
               SHORT_EVENTS);
}

/* ---- The explanation ------------------------------------------------------
 */

static void read_claim(struct claims *claims, const char *line)
{
    char key[32] = "";
    char word[32] = "";
    uint64_t number;

    if (sscanf(line, "%31s %31s", key, word) != 2 || key[0] == '#')
        return;
    number = strtoull(word, NULL, 10);
    if (strcmp(key, "client") == 0)
        memcpy(claims->client, word, sizeof(word));
    else if (strcmp(key, "server") == 0)
        memcpy(claims->server, word, sizeof(word));
    else if (strcmp(key, "stale") == 0)
        memcpy(claims->stale, word, sizeof(word));
    else if (strcmp(key, "order") == 0)
        memcpy(claims->order, word, sizeof(word));
    else if (strcmp(key, "believed") == 0)
        claims->believed = number;
    else if (strcmp(key, "current") == 0)
        claims->current = number;
    else if (strcmp(key, "write") == 0)
        claims->write = number;
    else if (strcmp(key, "answer") == 0)
        claims->answer = number;
}

struct explained {
    struct claims claims;
    struct schedule schedule;
    const struct observed *write;
    const struct observed *answer;
};

static struct explained *explain(struct lab *lab)
{
    struct explained *explained = memory_new(sizeof(*explained));
    struct claims *claims = &explained->claims;
    char text[TEXT_MAX];
    FILE *file;

    path_of("schedule", text);
    LAB_EXPECT(
        lab, microscope_observe(text, &explained->schedule),
        "sim/lab2c_schedule.txt is missing or no schedule of this store");
    path_of("explanation", text);
    file = fopen(text, "r");
    LAB_EXPECT(lab, file, "there is no file sim/lab2c_explanation.txt");
    while (fgets(text, sizeof(text), file))
        read_claim(claims, text);
    fclose(file);
    LAB_EXPECT(lab,
               claims->write >= 1 && claims->answer >= 1 &&
                   claims->write <= explained->schedule.count &&
                   claims->answer <= explained->schedule.count,
               "write and answer have to be numbers of events, from 1 to %zu",
               explained->schedule.count);
    explained->write = &explained->schedule.events[claims->write - 1];
    explained->answer = &explained->schedule.events[claims->answer - 1];
    return explained;
}

/* The last answer to a client of the schedule is the one that is wrong. */
static const struct observed *wrong_answer(const struct explained *explained)
{
    const struct observed *last =
        &explained->schedule.events[explained->schedule.count - 1];

    for (size_t i = explained->schedule.count; i-- > 0;) {
        if (explained->schedule.events[i].answers[last->node])
            return &explained->schedule.events[i];
    }
    return NULL;
}

static void names_answer(struct lab *lab)
{
    struct explained *explained = explain(lab);
    const struct claims *claims = &explained->claims;
    const struct observed *wrong = wrong_answer(explained);
    uint32_t client =
        explained->schedule.events[explained->schedule.count - 1].node;

    LAB_EXPECT(lab, wrong, "no client gets an answer at the schedule's end");
    LAB_EXPECT(lab, strcmp(claims->client, microscope_name(client)) == 0,
               "%s is not who gets the wrong answer", claims->client);
    LAB_EXPECT(lab, strcmp(claims->server, microscope_name(wrong->node)) == 0,
               "%s did not give the wrong answer", claims->server);
    LAB_EXPECT(lab, explained->answer == wrong,
               "event %zu is not the one in which the wrong answer is sent",
               claims->answer);
    free(explained);
}

static void names_views(struct lab *lab)
{
    struct explained *explained = explain(lab);
    const struct claims *claims = &explained->claims;
    uint64_t believed = explained->schedule.views[explained->answer->node];

    LAB_EXPECT(lab, claims->believed == believed,
               "the server that gave the wrong answer does not believe in view "
               "%" PRIu64,
               claims->believed);
    LAB_EXPECT(lab, claims->current == explained->schedule.views[0],
               "the view service's view is not %" PRIu64, claims->current);
    free(explained);
}

static void names_message(struct lab *lab)
{
    struct explained *explained = explain(lab);
    const char *kind = message_name(explained->answer->received);

    LAB_EXPECT(lab, strcmp(explained->claims.stale, kind) == 0,
               "it was not a %s that let the server answer",
               explained->claims.stale);
    free(explained);
}

static void names_order(struct lab *lab)
{
    static const char *const words[] = {"before", "after", "equal",
                                        "concurrent"};
    struct explained *explained = explain(lab);
    enum vclock_order order =
        microscope_order(explained->write, explained->answer);

    LAB_EXPECT(
        lab,
        explained->write->node != explained->answer->node &&
            (explained->write->answers[3] || explained->write->answers[4]),
        "in event %zu no other server answers the write that the wrong "
        "answer does not show",
        explained->claims.write);
    LAB_EXPECT(lab, strcmp(explained->claims.order, words[order]) == 0,
               "by their vector clocks, event %zu is not %s event %zu",
               explained->claims.write, explained->claims.order,
               explained->claims.answer);
    LAB_EXPECT(lab, order == VCLOCK_CONCURRENT,
               "a write that happened before the answer is known to who gives "
               "it: look for another");
    free(explained);
}

static const struct lab_test tests[] = {
    {"the_schedule_can_happen", is_schedule, 2, LAB_SEARCHED, 10, ""},
    {"the_schedule_ends_in_a_violation", violates, 4, LAB_SEARCHED, 10, "P4"},
    {"the_schedule_is_minimal", is_minimal, 4, LAB_SEARCHED, 20, ""},
    {"the_explanation_names_the_wrong_answer", names_answer, 4, LAB_UNIT, 10,
     "P4"},
    {"the_explanation_names_the_views", names_views, 3, LAB_UNIT, 10, "P2"},
    {"the_explanation_names_the_message_that_was_believed", names_message, 4,
     LAB_UNIT, 10, "T5"},
    {"the_explanation_names_the_order_of_write_and_answer", names_order, 4,
     LAB_UNIT, 10, "K2"},
};

LAB_SUITE("2c", "under a microscope", tests)
