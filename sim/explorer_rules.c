/* SPDX-License-Identifier: MIT */
/*
 * explorer_rules: see explorer_rules.h. Each judgement walks over the nodes and
 * picks those of its kind.
 */
#include "sim/explorer_rules.h"

#include <assert.h>
#include <string.h>

#include "pbserver/server.h"
#include "sim/script.h"
#include "viewservice/view_server.h"

/* ---- Who is who ---- */

static bool is_a(const struct explorer_view *view, uint32_t index,
                 const char *type)
{
    return view->nodes[index] &&
           strcmp(view->nodes[index]->type->name, type) == 0;
}

static const struct server *server_at(const struct explorer_view *view,
                                      uint32_t index)
{
    return is_a(view, index, "kv server")
               ? (const struct server *)view->nodes[index]
               : NULL;
}

static const struct view_record *record_of(const struct explorer_view *view)
{
    return is_a(view, 0, "view service")
               ? &((const struct view_server *)view->nodes[0])->record
               : NULL;
}

/* Calls judge for every ordered pair of servers that are up. */
static const char *for_pairs(const struct explorer_view *view,
                             const char *(*judge)(const struct server *a,
                                                  const struct server *b))
{
    for (uint32_t i = 0; i < view->count; i++) {
        for (uint32_t j = 0; j < view->count; j++) {
            const struct server *a = server_at(view, i);
            const struct server *b = server_at(view, j);
            const char *sentence = i != j && a && b ? judge(a, b) : NULL;

            if (sentence)
                return sentence;
        }
    }
    return NULL;
}

/* ---- Invariants ---- */

static const char *pair_one_primary(const struct server *a,
                                    const struct server *b)
{
    if (a->view.number != b->view.number || a->view.number == 0)
        return NULL;
    if (!view_equal(&a->view, &b->view))
        return "two servers know different views of one number";
    return server_is_primary(a) && server_is_primary(b)
               ? "two servers are primary of one view"
               : NULL;
}

const char *rule_one_primary(const struct explorer_view *view)
{
    return for_pairs(view, pair_one_primary);
}

static const char *pair_same_state(const struct server *a,
                                   const struct server *b)
{
    struct digest left;
    struct digest right;

    if (!a->initialised || !b->initialised ||
        a->view.number != b->view.number || a->state.op != b->state.op)
        return NULL;
    left = state_digest(&a->state);
    right = state_digest(&b->state);
    return digest_equal(&left, &right)
               ? NULL
               : "primary and backup differ at the same op number";
}

const char *rule_same_state(const struct explorer_view *view)
{
    return for_pairs(view, pair_same_state);
}

static const char *pair_committed(const struct server *later,
                                  const struct server *earlier)
{
    bool was_primary = server_is_primary(earlier) && earlier->initialised;

    if (!server_is_serving(later) || !was_primary ||
        later->view.number <= earlier->view.number)
        return NULL;
    return later->state.op < earlier->committed
               ? "a committed operation was lost"
               : NULL;
}

const char *rule_committed_survives(const struct explorer_view *view)
{
    return for_pairs(view, pair_committed);
}

static bool has_twice(const struct bytes *value)
{
    for (uint32_t i = 0; i < value->length; i++) {
        if (memchr(value->data + i + 1, value->data[i], value->length - i - 1))
            return true;
    }
    return false;
}

const char *rule_applied_once(const struct explorer_view *view)
{
    for (uint32_t i = 0; i < view->count; i++) {
        const struct server *server = server_at(view, i);

        for (size_t j = 0; server && j < server->state.kv.count; j++) {
            if (has_twice(kv_at(&server->state.kv, j).value))
                return "an operation took effect twice";
        }
    }
    return NULL;
}

/* Returns the server that is primary of the view service's view and knows it,
 * with the state; or NULL. */
static const struct server *newest_primary(const struct explorer_view *view)
{
    const struct view_record *record = record_of(view);

    for (uint32_t i = 0; record && i < view->count; i++) {
        const struct server *server = server_at(view, i);

        if (server && view_equal(&server->view, &record->view) &&
            server_is_serving(server))
            return server;
    }
    return NULL;
}

static bool is_there(const struct server *server, const struct script_op *op)
{
    const struct bytes *value =
        kv_get(&server->state.kv, op->key, strlen(op->key));

    return value && memchr(value->data, op->value[0], value->length);
}

/* Whether a Put to the same key has begun that was not over when the operation
 * began: then it may stand after it, and replace what it wrote. */
static bool may_be_replaced(const struct explorer_view *view,
                            const struct script *script, uint32_t number)
{
    const struct script_op *op = &script->ops[number];
    uint32_t over = script->notes[number].knowledge;

    for (uint32_t i = 0; i < view->count; i++) {
        const struct script *other = script_of(view->nodes[i]);

        if (!other)
            continue;
        for (uint32_t j = over & 15; j < other->begun; j++) {
            if (other->ops[j].kind == SCRIPT_PUT &&
                !(other == script && j == number) &&
                strcmp(other->ops[j].key, op->key) == 0)
                return true;
        }
        over >>= 4;
    }
    return false;
}

const char *rule_answered_survives(const struct explorer_view *view)
{
    const struct server *primary = newest_primary(view);

    for (uint32_t i = 0; primary && i < view->count; i++) {
        const struct script *script = script_of(view->nodes[i]);

        for (uint32_t j = 0; script && j < script->ended; j++) {
            if (script->ops[j].kind != SCRIPT_GET &&
                script->notes[j].status == PBKV__STATUS__OK &&
                !is_there(primary, &script->ops[j]) &&
                !may_be_replaced(view, script, j))
                return "an answered operation was lost";
        }
    }
    return NULL;
}

const char *rule_linearizable(const struct explorer_view *view)
{
    return script_nodes_are_linearizable(view->nodes, view->count)
               ? NULL
               : "the history is not linearizable";
}

const char *rule_known_views(const struct explorer_view *view)
{
    const struct view_record *record = record_of(view);

    for (uint32_t i = 0; record && i < view->count; i++) {
        const struct server *server = server_at(view, i);

        if (server && server->view.number > record->view.number)
            return "a server knows a view that does not exist";
    }
    return NULL;
}

static const struct server *find_server(const struct explorer_view *view,
                                        const struct peer *peer)
{
    for (uint32_t i = 0; i < view->count; i++) {
        const struct server *server = server_at(view, i);

        if (server && peer_equal(&server->config.self, peer))
            return server;
    }
    return NULL;
}

const char *rule_views_follow(const struct explorer_view *view)
{
    const struct view_record *record = record_of(view);

    for (uint32_t i = 0; record && i < view->count; i++) {
        const struct server *server = server_at(view, i);
        const struct view *old = server ? &server->view : NULL;

        if (!old || old->number == 0 || old->number + 1 != record->view.number)
            continue;
        if (peer_equal(&record->view.primary, &old->primary))
            continue;
        if (!peer_equal(&record->view.primary, &old->backup)) /* V2 */
            return "somebody from outside the view was made primary";
        if (server_is_primary(server) &&
            server->acknowledged < old->number) /* V3 */
            return "the view changed without its acknowledgement";
    }
    return NULL;
}

const char *rule_acknowledged_has_state(const struct explorer_view *view)
{
    const struct view_record *record = record_of(view);
    const struct server *backup;

    if (!record || record->acknowledged < record->view.number)
        return NULL;
    backup = find_server(view, &record->view.backup);
    return backup && !(backup->initialised &&
                       backup->view.number == record->view.number)
               ? "a view was acknowledged whose backup has no state"
               : NULL;
}

/* ---- Aspects: what the rules above look at in a node ---- */

static const struct server *as_server(const struct node *node)
{
    return strcmp(node->type->name, "kv server") == 0
               ? (const struct server *)node
               : NULL;
}

static const struct view_record *as_record(const struct node *node)
{
    return strcmp(node->type->name, "view service") == 0
               ? &((const struct view_server *)node)->record
               : NULL;
}

static void see_standing(const struct server *server, struct sink *sink)
{
    view_describe(&server->view, "view", sink);
    sink_u64(sink, "incarnation", server->config.self.incarnation);
    sink_bool(sink, "initialised", server->initialised);
    sink_bool(sink, "deposed", server->deposed);
}

void aspect_servers(const struct node *node, struct sink *sink)
{
    const struct server *server = as_server(node);

    if (!server)
        return;
    see_standing(server, sink);
    sink_u64(sink, "committed", server->committed);
    state_describe(&server->state, sink);
}

void aspect_answers(const struct node *node, struct sink *sink)
{
    const struct server *server = as_server(node);
    const struct script *script = script_of(node);
    const struct view_record *record = as_record(node);

    if (record)
        view_describe(&record->view, "view", sink);
    if (server) {
        see_standing(server, sink);
        kv_describe(&server->state.kv, sink);
    }
    for (uint32_t i = 0; script && i < script->begun; i++) {
        sink_u64(sink, "knowledge", script->notes[i].knowledge);
        sink_u64(sink, "status", script->notes[i].status);
    }
    sink_u64(sink, "ended", script ? script->ended : 0);
}

void aspect_views(const struct node *node, struct sink *sink)
{
    const struct server *server = as_server(node);
    const struct view_record *record = as_record(node);

    if (server) {
        see_standing(server, sink);
        sink_u64(sink, "acknowledged", server->acknowledged);
    }
    if (record) {
        view_describe(&record->view, "view", sink);
        sink_u64(sink, "acknowledged", record->acknowledged);
    }
}

void aspect_history(const struct node *node, struct sink *sink)
{
    const struct script *script = script_of(node);

    for (uint32_t i = 0; script && i < script->begun; i++) {
        const struct script_note *note = &script->notes[i];

        sink_u64(sink, "knowledge", note->knowledge);
        sink_u64(sink, "status", note->status);
        if (note->value)
            sink_octets(sink, "value", note->value->data, note->value->length);
    }
}

void aspect_view_number(const struct node *node, struct sink *sink)
{
    const struct server *server = as_server(node);
    const struct view_record *record = as_record(node);

    if (server)
        sink_u64(sink, "view", server->view.number);
    if (record)
        sink_u64(sink, "view", record->view.number);
}

void aspect_progress(const struct node *node, struct sink *sink)
{
    const struct server *server = as_server(node);

    if (!server)
        return;
    sink_u64(sink, "op", server->state.op);
    sink_u64(sink, "round", server->round);
    sink_u64(sink, "reads", server->reads.count);
}

/* ---- Goals ---- */

static bool is_ready(const struct explorer_view *view,
                     const struct view_record *record, const struct peer *peer)
{
    const struct server *server = find_server(view, peer);

    return server && server->initialised && !server->out.active &&
           server->view.number == record->view.number;
}

const char *goal_paired(const struct explorer_view *view)
{
    const struct view_record *record = record_of(view);

    if (!record || record->view.number < view->parameter ||
        record->acknowledged < record->view.number)
        return NULL;
    return is_ready(view, record, &record->view.primary) &&
                   is_ready(view, record, &record->view.backup)
               ? "primary and backup have the state"
               : NULL;
}

const char *goal_paired_by_s1(const struct explorer_view *view)
{
    const struct view_record *record = record_of(view);

    return record && strcmp(record->view.primary.address.text, "s1") == 0
               ? goal_paired(view)
               : NULL;
}

const char *goal_view(const struct explorer_view *view)
{
    const struct view_record *record = record_of(view);

    return record && record->view.number == view->parameter
               ? "the view has changed"
               : NULL;
}

const char *goal_taken_over(const struct explorer_view *view)
{
    return newest_primary(view) ? goal_view(view) : NULL;
}

const char *goal_backup_is_down(const struct explorer_view *view)
{
    return !view->nodes[2] ? goal_view(view) : NULL;
}

const char *goal_swapped(const struct explorer_view *view)
{
    const struct view_record *record = record_of(view);

    return record && strcmp(record->view.primary.address.text, "s2") == 0 &&
                   strcmp(record->view.backup.address.text, "s1") == 0
               ? goal_paired(view)
               : NULL;
}

const char *goal_transferring(const struct explorer_view *view)
{
    const struct view_record *record = record_of(view);
    const struct server *primary =
        record ? find_server(view, &record->view.primary) : NULL;

    return primary && record->view.number == view->parameter &&
                   primary->view.number == view->parameter &&
                   primary->out.active
               ? "the state is on its way"
               : NULL;
}

const char *goal_answered(const struct explorer_view *view)
{
    for (uint32_t i = 0; i < view->count; i++) {
        const struct script *script = script_of(view->nodes[i]);

        if (script && script->ended == 0)
            return NULL;
    }
    return "the first operations have ended";
}

const char *goal_under_way(const struct explorer_view *view)
{
    for (uint32_t i = 0; i < view->count; i++) {
        const struct server *server = server_at(view, i);

        if (server && server->state.op >= view->parameter &&
            server_is_serving(server) && server->committed < server->state.op &&
            server->forwarded == server->state.op)
            return "an operation is under way";
    }
    return NULL;
}

/* Whether a server has applied two updates to one key. */
static bool has_two_updates(const struct server *server)
{
    return server->state.kv.count > 0 &&
           kv_at(&server->state.kv, 0).value->length >= 2;
}

const char *goal_two_under_way(const struct explorer_view *view)
{
    bool has_two = false;

    for (uint32_t i = 0; i < view->count; i++) {
        const struct server *server = server_at(view, i);

        if (server && server->state.op == view->parameter &&
            server_is_serving(server))
            has_two = server->committed + 2 <= server->state.op &&
                      server->forwarded == server->state.op &&
                      has_two_updates(server);
        else if (server && server->state.op + 2 > view->parameter)
            return NULL;
    }
    return has_two ? "two operations are under way" : NULL;
}

const char *goal_ended(const struct explorer_view *view)
{
    uint64_t wanted = view->parameter;

    for (uint32_t i = 0; i < view->count; i++) {
        const struct script *script = script_of(view->nodes[i]);

        if (!script)
            continue;
        if (script->ended < (wanted & 15))
            return NULL;
        wanted >>= 4;
    }
    return "these operations have ended";
}

const char *goal_finished(const struct explorer_view *view)
{
    for (uint32_t i = 0; i < view->count; i++) {
        const struct script *script = script_of(view->nodes[i]);

        if (script && script->ended < script->count)
            return NULL;
    }
    return "all operations have ended";
}

/* ---- Prunes ---- */

const char *prune_views(const struct explorer_view *view)
{
    const struct view_record *record = record_of(view);

    return record && record->view.number > view->parameter ? "views" : NULL;
}

const char *prune_ops(const struct explorer_view *view)
{
    for (uint32_t i = 0; i < view->count; i++) {
        const struct server *server = server_at(view, i);

        if (server && server->state.op > view->parameter)
            return "op numbers";
    }
    return NULL;
}

const char *prune_rounds(const struct explorer_view *view)
{
    for (uint32_t i = 0; i < view->count; i++) {
        const struct server *server = server_at(view, i);

        if (server && (server->round > view->parameter ||
                       server->reads.count > view->parameter))
            return "rounds";
    }
    return NULL;
}
