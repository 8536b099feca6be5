/* SPDX-License-Identifier: MIT */
/*
 * explorer_rules: what must hold across the nodes of a store, which states are
 * goals, and which are not left. All are judgements for explorer_rule: they
 * find out by its type what a node is, and those that are down are not there.
 */
#ifndef SIM_EXPLORER_RULES_H
#define SIM_EXPLORER_RULES_H

#include "sim/explorer.h"

/* Invariants. */

/* At most one server is primary of one view number, and two servers that know
 * the same number know the same view. */
const char *rule_one_primary(const struct explorer_view *view);

/* The primary and the installed backup of one view have the same state at the
 * same op number. */
const char *rule_same_state(const struct explorer_view *view);

/* Whoever serves in a later view has everything that was committed before. */
const char *rule_committed_survives(const struct explorer_view *view);

/* No update is in a value twice. Needs one-letter values that differ. */
const char *rule_applied_once(const struct explorer_view *view);

/* What a client was told is done is in the state of the newest view's primary,
 * unless a Put may have replaced it. Needs one-letter values that differ. */
const char *rule_answered_survives(const struct explorer_view *view);

/* The clients' histories are linearizable. */
const char *rule_linearizable(const struct explorer_view *view);

/* Nobody knows a view that the view service does not. */
const char *rule_known_views(const struct explorer_view *view);

/* The primary of the next view is one of the view's servers (V2); and when it
 * is the backup, the primary had acknowledged the view (V3). */
const char *rule_views_follow(const struct explorer_view *view);

/* The backup of an acknowledged view has the state (T2). */
const char *rule_acknowledged_has_state(const struct explorer_view *view);

/* Goals. */

/* The view service's view has at least the parameter's number and a backup, is
 * acknowledged, and both servers know it and have the state. */
const char *goal_paired(const struct explorer_view *view);

/* As goal_paired, and s1 is primary: what follows knows who is who. */
const char *goal_paired_by_s1(const struct explorer_view *view);

/* The view service has come to the view of this number. */
const char *goal_view(const struct explorer_view *view);

/* As goal_view, and its primary knows it and serves. */
const char *goal_taken_over(const struct explorer_view *view);

/* As goal_view, and s2, node 2, is down. */
const char *goal_backup_is_down(const struct explorer_view *view);

/* As goal_paired, and s2 is primary and s1 is backup. */
const char *goal_swapped(const struct explorer_view *view);

/* The view has this number, and its primary is sending the state. */
const char *goal_transferring(const struct explorer_view *view);

/* Every client has ended its first operation. */
const char *goal_answered(const struct explorer_view *view);

/* A server has applied and forwarded an operation of this number, and not
 * committed it. */
const char *goal_under_way(const struct explorer_view *view);

/* A primary has come to this op number with two Appends, and has forwarded
 * them; neither has reached another server. */
const char *goal_two_under_way(const struct explorer_view *view);

/* Each client has ended at least as many operations as its four bits of the
 * parameter say. */
const char *goal_ended(const struct explorer_view *view);

/* All clients have ended all operations. */
const char *goal_finished(const struct explorer_view *view);

/* Aspects: what the rules look at in a node (explorer.h). Of servers, for rules
 * about servers alone; of all nodes, for rule_answered_survives; of clients;
 * views and their acknowledgement; the number of the view; op number, round and
 * reads, for the prunes. */
void aspect_servers(const struct node *node, struct sink *sink);
void aspect_answers(const struct node *node, struct sink *sink);
void aspect_history(const struct node *node, struct sink *sink);
void aspect_views(const struct node *node, struct sink *sink);
void aspect_view_number(const struct node *node, struct sink *sink);
void aspect_progress(const struct node *node, struct sink *sink);

/* Prunes: the parameter is exceeded; that of rounds also by the reads that
 * wait. */
const char *prune_views(const struct explorer_view *view);
const char *prune_ops(const struct explorer_view *view);
const char *prune_rounds(const struct explorer_view *view);

#endif
