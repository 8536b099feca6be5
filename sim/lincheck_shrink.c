/* SPDX-License-Identifier: MIT */
/*
 * lincheck_shrink: see lincheck_shrink.h. The set of operations that are left
 * is an array of pointers, in the order of invocation.
 */
#include "sim/lincheck_shrink.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/lincheck_search.h"

enum {
    TRIALS_MAX = 2000,
    REASON_TEXT = 2048,
    OP_TEXT = 1024,
    SHOWN_MAX = 12, /* operations in a reason */
};

struct shrinking {
    const struct history_op **ops;
    size_t count;
    uint64_t until; /* what happens later is not known */
    bool no_absence;
    const struct lincheck_limits *limits;
    uint32_t trials;
    const struct history_op *culprit;
};

static bool fails(struct shrinking *shrinking,
                  const struct history_op *const *ops, size_t count,
                  uint64_t until)
{
    struct part *part = part_new(ops, count, until, shrinking->no_absence);
    struct search_result result = search_part(part, shrinking->limits);

    search_release(&result);
    part_free(part);
    shrinking->trials++;
    return result.verdict == LINCHECK_VIOLATION;
}

static bool is_over(const struct shrinking *shrinking)
{
    return shrinking->trials >= TRIALS_MAX ||
           (shrinking->limits && shrinking->limits->expired &&
            shrinking->limits->expired(shrinking->limits->context));
}

/* ---- The first end that fails ---- */

static int compare_ends(const void *left, const void *right)
{
    const struct history_op *a = *(const struct history_op *const *)left;
    const struct history_op *b = *(const struct history_op *const *)right;

    return (a->returned > b->returned) - (a->returned < b->returned);
}

static size_t collect_ended(const struct shrinking *shrinking,
                            const struct history_op **ended)
{
    size_t count = 0;

    for (size_t i = 0; i < shrinking->count; i++) {
        if (shrinking->ops[i]->returned != HISTORY_PENDING &&
            shrinking->ops[i]->result != HISTORY_FAILED)
            ended[count++] = shrinking->ops[i];
    }
    qsort(ended, count, sizeof(*ended), compare_ends);
    return count;
}

/* Finds the moment by bisection, and forgets what comes later. */
static void find_moment(struct shrinking *shrinking)
{
    const struct history_op **ended =
        memory_new((shrinking->count + 1) * sizeof(*ended));
    size_t high = collect_ended(shrinking, ended);
    size_t low = 0;

    assert(high > 0);
    high--;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (fails(shrinking, shrinking->ops, shrinking->count,
                  ended[middle]->returned))
            high = middle;
        else
            low = middle + 1;
    }
    shrinking->until = ended[high]->returned;
    free(ended);
}

/* Finds what ended at the moment: without its answer the rest does not fail. */
static void find_culprit(struct shrinking *shrinking)
{
    for (size_t i = 0; i < shrinking->count && !shrinking->culprit; i++) {
        if (shrinking->ops[i]->returned == shrinking->until &&
            shrinking->ops[i]->result != HISTORY_FAILED)
            shrinking->culprit = shrinking->ops[i];
    }
    assert(shrinking->culprit);
}

/* ---- Leaving out ---- */

/* Whether a write leads to a value that nobody observes. */
static bool is_without_effect(const struct part_op *op)
{
    return op->dead || (op->kind == PART_CAS && op->state == STATE_DEAD);
}

/* Marks what can be left out now. A refusal may need any write. */
static void mark_removable(const struct shrinking *shrinking, bool *removable)
{
    struct part *part = part_new(shrinking->ops, shrinking->count,
                                 shrinking->until, shrinking->no_absence);

    for (size_t i = 0; i < shrinking->count; i++)
        removable[i] = true; /* what is no part of the part */
    for (uint32_t i = 0; i < part->count; i++) {
        const struct part_op *op = &part->ops[i];
        size_t at = 0;

        while (shrinking->ops[at] != op->source)
            at++;
        removable[at] = op->kind == PART_READ || op->kind == PART_REFUSED ||
                        (is_without_effect(op) && !part->has_refusals);
    }
    part_free(part);
}

/* Leaves out up to `most` removable operations, beginning at *at, if the rest
 * still fails. Moves *at behind what was tried. */
static bool leave_out(struct shrinking *shrinking, bool *removable, size_t *at,
                      size_t most)
{
    const struct history_op **rest =
        memory_new((shrinking->count + 1) * sizeof(*rest));
    bool *rest_removable = memory_new(shrinking->count + 1);
    size_t count = *at, left_out = 0, end = *at;
    bool good;

    memcpy(rest, shrinking->ops, count * sizeof(*rest));
    memcpy(rest_removable, removable, count);
    for (; end < shrinking->count; end++) {
        if (removable[end] && left_out < most) {
            left_out++;
            continue;
        }
        rest[count] = shrinking->ops[end];
        rest_removable[count++] = removable[end];
    }
    good = left_out > 0 && fails(shrinking, rest, count, shrinking->until);
    if (good) {
        memcpy(shrinking->ops, rest, count * sizeof(*rest));
        memcpy(removable, rest_removable, count);
        shrinking->count = count;
    }
    free(rest);
    free(rest_removable);
    return good;
}

/* Goes once over all operations with pieces of one size. */
static bool sweep(struct shrinking *shrinking, bool *removable, size_t size)
{
    bool changed = false;
    size_t at = 0;

    while (at < shrinking->count && !is_over(shrinking)) {
        if (leave_out(shrinking, removable, &at, size)) {
            changed = true;
            continue;
        }
        for (size_t passed = 0; at < shrinking->count && passed < size; at++)
            passed += removable[at];
    }
    return changed;
}

static bool shrink_once(struct shrinking *shrinking)
{
    bool *removable = memory_new(shrinking->count + 1);
    bool changed = false;

    mark_removable(shrinking, removable);
    for (size_t size = shrinking->count; size > 0; size /= 2)
        changed |= sweep(shrinking, removable, size);
    free(removable);
    return changed;
}

/* ---- Why ---- */

/* Returns what a value becomes by an operation; the caller owns it. */
static struct bytes *value_after(struct bytes *value,
                                 const struct history_op *op)
{
    if (op->kind == HISTORY_GET || op->result == HISTORY_REFUSED)
        return bytes_share(value);
    if (op->kind == HISTORY_APPEND && value)
        return bytes_concat(value, op->value->data, op->value->length);
    return bytes_share(op->value);
}

/* Appends to a text, and cuts it where it does not fit. */
static void say(char *text, const char *what)
{
    size_t used = strlen(text);

    snprintf(text + used, REASON_TEXT - used, "%s", what);
}

static void say_op(char *text, const struct history_op *op)
{
    char what[OP_TEXT];

    lincheck_describe(op, what, sizeof(what));
    say(text, what);
}

/* Says what the culprit would have found at each of its possible moments in an
 * order of the others. */
static void say_values(char *text, const struct shrinking *shrinking,
                       const struct part *part,
                       const struct search_result *found)
{
    const struct history_op *culprit = shrinking->culprit;
    struct bytes *value = NULL;
    uint32_t earliest = 0;
    bool first = true;

    for (uint32_t i = 0; i < found->ordered; i++) {
        if (part->ops[found->order[i]].returned < culprit->invoked)
            earliest = i + 1;
    }
    for (uint32_t i = 0; i <= found->ordered; i++) {
        struct bytes *next;
        char what[OP_TEXT];

        if (i >= earliest) {
            say(text, first ? "" : " or ");
            say(text, lincheck_value_text(value, what));
            first = false;
        }
        if (i == found->ordered)
            break;
        next = value_after(value, part->ops[found->order[i]].source);
        bytes_release(value);
        value = next;
    }
    bytes_release(value);
}

/* Puts the others into an order, as if the culprit had not been answered. */
static char *explain(const struct shrinking *shrinking)
{
    const struct history_op *culprit = shrinking->culprit;
    struct part *part = part_new(shrinking->ops, shrinking->count,
                                 shrinking->until - 1, shrinking->no_absence);
    struct search_result found = search_part(part, shrinking->limits);
    char text[REASON_TEXT] = "without it the others fit";

    for (uint32_t i = 0; i < found.ordered && i < SHOWN_MAX; i++) {
        say(text, i == 0 ? " in the order: " : "; ");
        say_op(text, part->ops[found.order[i]].source);
    }
    if (found.ordered > SHOWN_MAX)
        say(text, "; and so on");
    if (culprit->kind == HISTORY_GET || culprit->kind == HISTORY_CAS) {
        say(text, ". At its time the value was then ");
        say_values(text, shrinking, part, &found);
    } else {
        say(text, ". Wherever it comes among them, one of them is wrong");
    }
    search_release(&found);
    part_free(part);
    return found.verdict == LINCHECK_LINEARIZABLE ? memory_copy_text(text)
                                                  : NULL;
}

struct failure shrink_failure(const struct history_op *const *ops, size_t count,
                              bool no_absence,
                              const struct lincheck_limits *limits)
{
    struct shrinking shrinking = {
        .ops = memory_new((count + 1) * sizeof(*shrinking.ops)),
        .count = count,
        .no_absence = no_absence,
        .limits = limits,
    };

    memcpy(shrinking.ops, ops, count * sizeof(*ops));
    do {
        find_moment(&shrinking);
    } while (shrink_once(&shrinking) && !is_over(&shrinking));
    find_moment(&shrinking);
    find_culprit(&shrinking);
    return (struct failure){shrinking.ops, shrinking.count, shrinking.culprit,
                            explain(&shrinking)};
}

void failure_release(struct failure *failure)
{
    free(failure->ops);
    free(failure->reason);
}
