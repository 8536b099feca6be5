/* SPDX-License-Identifier: MIT */
/*
 * faults: see faults.h. The text after --faults is a list of name=value parts.
 * A name may come once. Drawing a fate always uses the same number of random
 * words whatever comes out, so that two runs with one seed stay in step even
 * when their settings differ.
 */
#include "rpc/faults.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/random.h"

enum { PART_MAX = 64, DELAY_LIMIT_MS = 60000, DEFAULT_SEED = 1 };

static const char *const UNKNOWN = "--faults knows drop, dup, delay and seed";
static const char *const TWICE = "--faults names the same fault twice";
static const char *const PROBABILITY =
    "drop and dup are probabilities from 0 to 1";
static const char *const DELAY = "delay is MAXms or MIN-MAXms, at most 60000ms";
static const char *const SEED = "seed is a decimal number below 2^64";

struct faults faults_none(void)
{
    return (struct faults){.seed = DEFAULT_SEED, .state = DEFAULT_SEED};
}

static bool parse_probability(const char *text, double *value)
{
    if (*text != '.' && (*text < '0' || *text > '9'))
        return false;
    if (text[strspn(text, "0123456789.")] != '\0')
        return false;
    char *end = NULL;
    *value = strtod(text, &end);
    return *end == '\0' && *value <= 1.0;
}

/* Reads a decimal number and moves text behind it. */
static bool parse_number(const char **text, uint64_t limit, uint64_t *value)
{
    if (**text < '0' || **text > '9')
        return false;
    uint64_t sum = 0;
    for (; **text >= '0' && **text <= '9'; ++*text) {
        uint64_t digit = (uint64_t)(**text - '0');
        if (sum > (limit - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

static bool parse_delay(const char *text, struct faults *faults)
{
    uint64_t low = 0;
    uint64_t high = 0;
    if (!parse_number(&text, DELAY_LIMIT_MS, &high))
        return false;
    if (*text == '-') {
        ++text;
        low = high;
        if (!parse_number(&text, DELAY_LIMIT_MS, &high) || low > high)
            return false;
    }
    faults->delay_min_ms = (uint32_t)low;
    faults->delay_max_ms = (uint32_t)high;
    return strcmp(text, "ms") == 0;
}

static bool parse_seed(const char *text, uint64_t *seed)
{
    return parse_number(&text, UINT64_MAX, seed) && *text == '\0';
}

/* Reads one part; returns NULL or what is wrong with it. */
static const char *parse_part(char *part, struct faults *faults,
                              unsigned *given)
{
    static const char *const names[] = {"drop", "dup", "delay", "seed"};
    char *value = strchr(part, '=');
    if (value == NULL)
        return UNKNOWN;
    *value++ = '\0';
    unsigned which = 0;
    while (which < 4 && strcmp(part, names[which]) != 0)
        ++which;
    if (which == 4)
        return UNKNOWN;
    if ((*given & 1u << which) != 0)
        return TWICE;
    *given |= 1u << which;
    switch (which) {
    case 0: return parse_probability(value, &faults->drop) ? NULL : PROBABILITY;
    case 1: return parse_probability(value, &faults->dup) ? NULL : PROBABILITY;
    case 2: return parse_delay(value, faults) ? NULL : DELAY;
    default: return parse_seed(value, &faults->seed) ? NULL : SEED;
    }
}

int faults_parse(const char *text, struct faults *faults, const char **reason)
{
    struct faults parsed = faults_none();
    unsigned given = 0;
    const char *wrong = *text == '\0' ? UNKNOWN : NULL;
    while (wrong == NULL) {
        char part[PART_MAX];
        size_t length = strcspn(text, ",");
        if (length >= sizeof(part)) {
            wrong = UNKNOWN;
            break;
        }
        memcpy(part, text, length);
        part[length] = '\0';
        wrong = parse_part(part, &parsed, &given);
        if (text[length] == '\0')
            break;
        text += length + 1;
    }
    if (wrong != NULL) {
        *reason = wrong;
        return -EINVAL;
    }
    parsed.active = true;
    parsed.state = parsed.seed;
    *faults = parsed;
    return 0;
}

struct fate faults_draw(struct faults *faults)
{
    assert(faults->active);
    struct fate fate = {.copies = 1};
    bool dropped = random_fraction(&faults->state) < faults->drop;
    bool doubled = random_fraction(&faults->state) < faults->dup;
    for (unsigned i = 0; i < 2; ++i)
        fate.delay_ms[i] = random_between(&faults->state, faults->delay_min_ms,
                                          faults->delay_max_ms);
    if (doubled)
        fate.copies = 2;
    if (dropped)
        fate.copies = 0;
    assert(fate.copies <= 2);
    return fate;
}
