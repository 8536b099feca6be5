/* SPDX-License-Identifier: MIT */
/*
 * lincheck_cheap: see lincheck_cheap.h. First every read by itself, then the
 * clusters, first each by itself and then in pairs, in the order of their first
 * ends.
 */
#include "sim/lincheck_cheap.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/lincheck.h"

enum { OP_TEXT = 160 };

/* ---- Findings ---- */

static void add_evidence(struct finding *finding, const struct part_op *op)
{
    if (!op)
        return;
    for (size_t i = 0; i < finding->count; i++) {
        if (finding->ops[i] == op->source)
            return;
    }
    assert(finding->count < FINDING_OPS);
    finding->ops[finding->count++] = op->source;
}

/* Says what is wrong: each %s in format is one of these operations. */
static bool blame(struct finding *finding, const struct part_op *culprit,
                  const char *format, const struct part_op *a,
                  const struct part_op *b)
{
    char first[OP_TEXT];
    char second[OP_TEXT];
    const char *at;
    size_t used;

    lincheck_describe(a->source, first, sizeof(first));
    lincheck_describe(b->source, second, sizeof(second));
    at = strstr(format, "%1");
    assert(at);
    used = (size_t)snprintf(finding->sentence, FINDING_TEXT, "%.*s%s",
                            (int)(at - format), format, first);
    format = at + 2;
    at = strstr(format, "%2");
    if (at)
        snprintf(finding->sentence + used, FINDING_TEXT - used, "%.*s%s%s",
                 (int)(at - format), format, second, at + 2);
    else
        snprintf(finding->sentence + used, FINDING_TEXT - used, "%s", format);
    finding->culprit = culprit->source;
    add_evidence(finding, culprit);
    return true;
}

/* ---- Reads by themselves ---- */

static const struct part_op *op_of(const struct part *part, uint32_t token)
{
    return &part->ops[part->tokens[token]->op];
}

/* Returns a write that the value of a read tells of and that began after the
 * read had ended, or NULL when it is not known which one. */
static const struct part_op *later_write(const struct part *part,
                                         const struct part_op *read)
{
    const struct value *value = &part->values[read->observed];
    const struct part_op *found = NULL;
    uint32_t *ends;
    uint32_t *tokens;
    uint32_t count;

    if (value->ways != 1)
        return NULL;
    if (value->root != PART_NONE &&
        part->tokens[value->root]->set_born > read->returned)
        return op_of(part, value->root);
    count = part_pieces(part, read->observed, &ends, &tokens);
    for (uint32_t i = 0; i < count && !found; i++) {
        if (part->tokens[tokens[i]]->append_born > read->returned)
            found = op_of(part, tokens[i]);
    }
    free(ends);
    free(tokens);
    return found;
}

static bool check_read(const struct part *part, const struct part_op *op,
                       struct finding *finding)
{
    const struct value *value = &part->values[op->observed];

    if (value->ways == 0)
        return blame(finding, op, "a value was seen that was never written: %1",
                     op, op);
    if (value->born > op->returned) {
        const struct part_op *write = later_write(part, op);

        add_evidence(finding, write);
        return blame(finding, op,
                     write ? "a value was seen before it was written: %1 ended "
                             "before %2 began"
                           : "a value was seen before it was written: %1",
                     op, write ? write : op);
    }
    if (value->repeated != PART_NONE) {
        const struct part_op *append = op_of(part, value->repeated);

        add_evidence(finding, append);
        return blame(finding, op,
                     "an append was applied twice: %1 is seen twice by %2",
                     append, op);
    }
    return false;
}

static bool must_see(const struct part_op *op)
{
    return op->returned != HISTORY_PENDING &&
           (op->kind == PART_READ || op->kind == PART_CAS);
}

/* ---- Clusters ---- */

#define NO_CLUSTER UINT32_MAX

struct member {
    const struct part_op *op;
    uint32_t cluster;
    uint32_t length; /* of the value after it */
};

struct cluster {
    const struct part_op *root;    /* NULL: the key was absent */
    const struct part_op *longest; /* a read of the longest value, or NULL */
    const struct part_op *first_ended;
    const struct part_op *last_begun;
    bool unread; /* it is one write that no read tells of */
};

struct clusters {
    const struct part *part;
    struct member *members;  /* of each operation */
    struct cluster *items;   /* the first is that of the absent key */
    uint32_t *of_roots;      /* for each token */
    struct member *by_begin; /* members by cluster and invocation */
    struct member *by_end;
    uint32_t count;
    uint32_t member_count;
};

bool cheap_is_clean(const struct part *part)
{
    if (part->has_cas || part->has_refusals || part->has_empty_append)
        return false;
    for (uint32_t i = 0; i < part->count; i++) {
        const struct part_op *op = &part->ops[i];
        const struct value *value = &part->values[op->observed];

        if (op->kind != PART_READ)
            continue;
        if (value->ways != 1)
            return false;
        if (value->root != PART_NONE &&
            part->tokens[value->root]->sets +
                    part->tokens[value->root]->appends !=
                1)
            return false;
    }
    for (uint32_t i = 0; i < part->token_count; i++) {
        const struct token *token = part->tokens[i];

        if (token->range_count > 0 && token->sets + token->appends != 1)
            return false;
    }
    return true;
}

static uint32_t add_cluster(struct clusters *clusters,
                            const struct part_op *root)
{
    clusters->items[clusters->count] = (struct cluster){.root = root};
    return clusters->count++;
}

static uint32_t cluster_of_value(struct clusters *clusters,
                                 const struct value *value)
{
    uint32_t *cluster;

    if (value->root == PART_NONE)
        return 0;
    cluster = &clusters->of_roots[value->root];
    if (*cluster == 0) {
        const struct part_op *root = op_of(clusters->part, value->root);

        *cluster = add_cluster(clusters, root);
        clusters->members[root - clusters->part->ops] =
            (struct member){root, *cluster, root->source->value->length};
    }
    return *cluster;
}

static uint32_t length_of(const struct part *part, const struct part_op *read)
{
    const struct bytes *text = part->values[read->observed].text;

    return text ? text->length : 0;
}

static void place_reads(struct clusters *clusters)
{
    const struct part *part = clusters->part;

    for (uint32_t i = 0; i < part->count; i++) {
        const struct part_op *op = &part->ops[i];
        struct cluster *cluster;
        uint32_t index;

        if (op->kind != PART_READ)
            continue;
        index = cluster_of_value(clusters, &part->values[op->observed]);
        clusters->members[i] = (struct member){op, index, length_of(part, op)};
        cluster = &clusters->items[index];
        if (!cluster->longest ||
            length_of(part, cluster->longest) < length_of(part, op))
            cluster->longest = op;
    }
}

/* Gives the appends that the longest value of a cluster tells of their places.
 * Returns whether one has a place already. */
static bool place_appends(struct clusters *clusters, uint32_t index,
                          struct finding *finding)
{
    const struct cluster *cluster = &clusters->items[index];
    const struct part *part = clusters->part;
    bool twice = false;
    uint32_t *ends;
    uint32_t *tokens;
    uint32_t count;

    count = part_pieces(part, cluster->longest->observed, &ends, &tokens);
    for (uint32_t i = 0; i < count && !twice; i++) {
        const struct part_op *op = op_of(part, tokens[i]);
        struct member *member = &clusters->members[op - part->ops];

        twice = member->cluster != NO_CLUSTER;
        if (twice) {
            add_evidence(finding, op);
            add_evidence(finding, clusters->items[member->cluster].longest);
            blame(finding, cluster->longest,
                  "an append was applied twice: %1 is seen in two values, one "
                  "of them by %2",
                  op, cluster->longest);
        }
        *member = (struct member){op, index, ends[i]};
    }
    free(ends);
    free(tokens);
    return twice;
}

static int compare_numbers(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

/* Whether a read is a stage of the longest read of its cluster. */
static bool is_stage(const struct part *part, const struct cluster *cluster,
                     const struct part_op *read, const uint32_t *ends,
                     uint32_t count)
{
    const struct bytes *text = part->values[read->observed].text;
    const struct bytes *all = part->values[cluster->longest->observed].text;
    uint32_t root = cluster->root ? cluster->root->source->value->length : 0;
    uint32_t length = length_of(part, read);

    if (length == root)
        return true;
    assert(text && all);
    return memcmp(text->data, all->data, length) == 0 &&
           bsearch(&length, ends, count, sizeof(*ends), compare_numbers);
}

/* Whether two reads of a cluster cannot both be true. *at is where its members
 * begin, and then where they end. */
static bool reads_contradict(const struct clusters *clusters, uint32_t index,
                             uint32_t *at, struct finding *finding)
{
    const struct cluster *cluster = &clusters->items[index];
    const struct part *part = clusters->part;
    const struct part_op *other = NULL;
    uint32_t *ends;
    uint32_t *tokens;
    uint32_t count =
        part_pieces(part, cluster->longest->observed, &ends, &tokens);

    for (; *at < clusters->member_count; ++*at) {
        const struct member *member = &clusters->by_begin[*at];

        if (member->cluster != index)
            break;
        if (member->op->kind == PART_READ &&
            !is_stage(part, cluster, member->op, ends, count))
            other = member->op;
    }
    free(ends);
    free(tokens);
    if (!other)
        return false;
    add_evidence(finding, cluster->root);
    add_evidence(finding, cluster->longest);
    return blame(finding, other,
                 "two reads contradict each other: %1 sees appends in another "
                 "order than %2",
                 other, cluster->longest);
}

/* Every write that ended and that no read tells of is a cluster of its own. */
static void place_unread(struct clusters *clusters)
{
    const struct part *part = clusters->part;

    for (uint32_t i = 0; i < part->completed; i++) {
        struct member *member = &clusters->members[i];
        const struct part_op *op = &part->ops[i];

        if (member->cluster != NO_CLUSTER)
            continue;
        *member = (struct member){op, add_cluster(clusters, op),
                                  op->source->value->length};
        clusters->items[member->cluster].unread = true;
    }
}

static int compare_begin(const void *left, const void *right)
{
    const struct member *a = left;
    const struct member *b = right;

    if (a->cluster != b->cluster)
        return a->cluster < b->cluster ? -1 : 1;
    return (a->op->invoked > b->op->invoked) -
           (a->op->invoked < b->op->invoked);
}

static int compare_end(const void *left, const void *right)
{
    const struct member *a = left;
    const struct member *b = right;

    if (a->cluster != b->cluster)
        return a->cluster < b->cluster ? -1 : 1;
    return (a->op->returned > b->op->returned) -
           (a->op->returned < b->op->returned);
}

static void sort_members(struct clusters *clusters)
{
    size_t size = (clusters->part->count + (size_t)1) * sizeof(struct member);

    free(clusters->by_begin);
    free(clusters->by_end);
    clusters->by_begin = memory_new(size);
    clusters->by_end = memory_new(size);
    clusters->member_count = 0;
    for (uint32_t i = 0; i < clusters->part->count; i++) {
        if (clusters->members[i].cluster != NO_CLUSTER)
            clusters->by_begin[clusters->member_count++] = clusters->members[i];
    }
    memcpy(clusters->by_end, clusters->by_begin, size);
    qsort(clusters->by_begin, clusters->member_count, sizeof(struct member),
          compare_begin);
    qsort(clusters->by_end, clusters->member_count, sizeof(struct member),
          compare_end);
}

/* ---- Order within a cluster ---- */

static const struct part_op *shower(const struct cluster *cluster,
                                    const struct part_op *op)
{
    return op->kind == PART_APPEND ? cluster->longest : NULL;
}

static bool blame_order(const struct cluster *cluster,
                        const struct part_op *early, const struct part_op *late,
                        struct finding *finding)
{
    add_evidence(finding, cluster->root);
    add_evidence(finding, early);
    add_evidence(finding, shower(cluster, early));
    add_evidence(finding, shower(cluster, late));
    return blame(finding, late,
                 late->kind == PART_READ
                     ? "stale read: %1 began after %2 had ended, and sees an "
                       "earlier value"
                     : "writes in the wrong order: %1 began after %2 had "
                       "ended, and took effect before it",
                 late, early);
}

/* Goes through the members of all clusters by their beginnings; whatever ended
 * before one began must not have a longer value. */
static bool check_order(const struct clusters *clusters,
                        struct finding *finding)
{
    const struct member *longest = NULL;
    uint32_t ended = 0;

    for (uint32_t i = 0; i < clusters->member_count; i++) {
        const struct member *member = &clusters->by_begin[i];

        if (i > 0 && member->cluster != clusters->by_begin[i - 1].cluster) {
            ended = i;
            longest = NULL;
        }
        while (ended < clusters->member_count &&
               clusters->by_end[ended].cluster == member->cluster &&
               clusters->by_end[ended].op->returned < member->op->invoked) {
            if (!longest || clusters->by_end[ended].length > longest->length)
                longest = &clusters->by_end[ended];
            ended++;
        }
        if (longest && longest->length > member->length)
            return blame_order(&clusters->items[member->cluster], longest->op,
                               member->op, finding);
    }
    return false;
}

/* ---- Order between clusters ---- */

static void find_zones(struct clusters *clusters)
{
    for (uint32_t i = 0; i < clusters->member_count; i++) {
        const struct part_op *op = clusters->by_begin[i].op;
        struct cluster *cluster =
            &clusters->items[clusters->by_begin[i].cluster];

        cluster->last_begun = op;
    }
    for (uint32_t i = clusters->member_count; i-- > 0;)
        clusters->items[clusters->by_end[i].cluster].first_ended =
            clusters->by_end[i].op;
    clusters->items[0].first_ended = NULL;
}

/* Whether something of a cluster ended before an operation began. The absent
 * key's cluster began before everything. */
static bool precedes(const struct cluster *cluster, const struct part_op *op)
{
    return !cluster->root || cluster->first_ended->returned < op->invoked;
}

static int compare_clusters(const void *left, const void *right)
{
    const struct cluster *a = left;
    const struct cluster *b = right;

    if (!a->root || !b->root)
        return (a->root != NULL) - (b->root != NULL);
    return (a->first_ended->returned > b->first_ended->returned) -
           (a->first_ended->returned < b->first_ended->returned);
}

/* One cluster began, another came, and then the first went on. */
static bool blame_clusters(const struct cluster *a, const struct cluster *b,
                           struct finding *finding)
{
    bool swapped = a->root && a->last_begun->invoked < b->last_begun->invoked;
    const struct cluster *old = swapped ? b : a;
    const struct cluster *new = swapped ? a : b;
    const struct part_op *late = old->last_begun;
    const char *format;

    if (new->unread &&new->root->kind == PART_APPEND)
        format = late->kind == PART_READ
                     ? "an acknowledged append was lost: %1 began after %2 had "
                       "ended, and does not see it"
                     : "an acknowledged append was lost: %1 began after %2 had "
                       "ended, and was seen without it";
    else if (late->kind != PART_READ)
        format = "a value that had been replaced was written to: %1 began "
                 "after %2 had ended";
    else
        format = "stale read: %1 began after %2 had ended, and sees a value "
                 "that had been replaced";
    add_evidence(finding, old->root);
    add_evidence(finding, old->first_ended);
    add_evidence(finding, shower(old, late));
    add_evidence(finding, new->root);
    add_evidence(finding, new->last_begun);
    add_evidence(finding, new->first_ended);
    return blame(finding, late, format, late, new->first_ended);
}

static bool check_zones(struct clusters *clusters, struct finding *finding)
{
    uint32_t first = clusters->items[0].last_begun ? 0 : 1;

    qsort(clusters->items + first, clusters->count - first,
          sizeof(*clusters->items), compare_clusters);
    for (uint32_t i = first; i < clusters->count; i++) {
        const struct cluster *a = &clusters->items[i];

        for (uint32_t j = i + 1; j < clusters->count; j++) {
            const struct cluster *b = &clusters->items[j];

            if (!precedes(b, a->last_begun))
                break;
            if (precedes(a, b->last_begun))
                return blame_clusters(a, b, finding);
        }
    }
    return false;
}

/* ---- All of it ---- */

static void clusters_init(struct clusters *clusters, const struct part *part)
{
    memset(clusters, 0, sizeof(*clusters));
    clusters->part = part;
    clusters->members =
        memory_new((part->count + (size_t)1) * sizeof(*clusters->members));
    clusters->items =
        memory_new((part->count + (size_t)1) * sizeof(*clusters->items));
    clusters->of_roots = memory_new((part->token_count + (size_t)1) *
                                    sizeof(*clusters->of_roots));
    for (uint32_t i = 0; i < part->count; i++)
        clusters->members[i].cluster = NO_CLUSTER;
    add_cluster(clusters, NULL);
}

static void clusters_release(struct clusters *clusters)
{
    free(clusters->by_begin);
    free(clusters->by_end);
    free(clusters->of_roots);
    free(clusters->items);
    free(clusters->members);
}

static bool check_clusters(struct clusters *clusters, struct finding *finding)
{
    uint32_t at = 0;

    place_reads(clusters);
    sort_members(clusters);
    for (uint32_t i = 0; i < clusters->count; i++) {
        if (clusters->items[i].longest &&
            (place_appends(clusters, i, finding) ||
             reads_contradict(clusters, i, &at, finding)))
            return true;
    }
    place_unread(clusters);
    sort_members(clusters);
    if (check_order(clusters, finding))
        return true;
    find_zones(clusters);
    return check_zones(clusters, finding);
}

bool cheap_check(const struct part *part, struct finding *finding)
{
    struct clusters clusters;
    bool found;

    memset(finding, 0, sizeof(*finding));
    for (uint32_t i = 0; i < part->count; i++) {
        if (must_see(&part->ops[i]) && check_read(part, &part->ops[i], finding))
            return true;
    }
    if (!cheap_is_clean(part))
        return false;
    clusters_init(&clusters, part);
    found = check_clusters(&clusters, finding);
    clusters_release(&clusters);
    return found;
}
