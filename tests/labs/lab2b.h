/* SPDX-License-Identifier: MIT */
/*
 * lab2b: the tests of lab 2B by subject. lab2b.c has the table that gives them
 * names and points; each takes the lab, makes a store, and ends it.
 */
#ifndef TESTS_LABS_LAB2B_H
#define TESTS_LABS_LAB2B_H

#include "tests/labs/store.h"

/* Returns a store that has come to view 2 with s1 and s2; the same with s3 idle
 * beside them. The caller frees it. */
struct store *lab2b_pair(struct lab *lab, unsigned clients);
struct store *lab2b_trio(struct lab *lab, unsigned clients);

/* A server dies, and the view comes to these two. */
void lab2b_fail_over(struct store *store, int dead, int primary, int backup);

/* Cuts s1, the primary, off from the view service and from s2. */
void lab2b_cut_off_s1(struct store *store);

/* A client gets a key; what it is told, or that it is told nothing, is for
 * store_judge. */
void lab2b_look(struct store *store, int client, const char *key);

/* Fails if two servers do not come to the same state, by their inspections. */
void lab2b_expect_same(struct store *store, struct lab *lab, int one,
                       int other);

/* Sends the last message of a kind that a client sent before mark once more, to
 * this server: a copy that was long on its way. */
void lab2b_repeat(struct store *store, struct lab *lab, size_t mark,
                  Pbkv__Body__KindCase kind, int client, int server);

/* ---- lab2b_replication.c --------------------------------------------------
 */

void lab2b_alone(struct lab *lab);
void lab2b_pair_answers(struct lab *lab);
void lab2b_backup_refuses(struct lab *lab);
void lab2b_idle_refuses(struct lab *lab);
void lab2b_view_never_goes_down(struct lab *lab);
void lab2b_other_view_refused(struct lab *lab);
void lab2b_update_awaits_backup(struct lab *lab);
void lab2b_update_awaits_acknowledgement(struct lab *lab);
void lab2b_read_awaits_backup(struct lab *lab);
void lab2b_read_of_uncommitted(struct lab *lab);
void lab2b_read_overtakes_update(struct lab *lab);
void lab2b_lost_forwards(struct lab *lab);
void lab2b_doubled_forwards(struct lab *lab);
void lab2b_late_forwards(struct lab *lab);
void lab2b_old_acknowledgement(struct lab *lab);
void lab2b_doubled_requests(struct lab *lab);
void lab2b_lost_replies(struct lab *lab);
void lab2b_retry_after_failover(struct lab *lab);
void lab2b_retry_after_two_failovers(struct lab *lab);
void lab2b_late_duplicate(struct lab *lab);
void lab2b_late_duplicate_after_failover(struct lab *lab);
void lab2b_evicted_session(struct lab *lab);
void lab2b_too_large(struct lab *lab);
void lab2b_old_primary_before_writes(struct lab *lab);
void lab2b_old_primary_after_writes(struct lab *lab);
void lab2b_deposed_by_refusal(struct lab *lab);
void lab2b_earlier_confirmation(struct lab *lab);
void lab2b_deposed_refuses(struct lab *lab);
void lab2b_forward_of_old_primary(struct lab *lab);
void lab2b_stale_confirmation(struct lab *lab);

/* ---- lab2b_transfer.c -----------------------------------------------------
 */

void lab2b_backup_takes_over(struct lab *lab);
void lab2b_one_after_the_other(struct lab *lab);
void lab2b_dead_backup(struct lab *lab);
void lab2b_idle_replaces_backup(struct lab *lab);
void lab2b_restarted_primary(struct lab *lab);
void lab2b_both_restarted(struct lab *lab);
void lab2b_told_primary_without_state(struct lab *lab);
void lab2b_view_service_away(struct lab *lab);
void lab2b_view_service_requests(struct lab *lab);
void lab2b_transfer_keys(struct lab *lab);
void lab2b_transfer_sessions(struct lab *lab);
void lab2b_not_acknowledged_early(struct lab *lab);
void lab2b_not_acknowledged_unchecked(struct lab *lab);
void lab2b_part_is_not_installed(struct lab *lab);
void lab2b_clients_in_transfer(struct lab *lab);
void lab2b_transfer_under_load(struct lab *lab);
void lab2b_state_is_checked(struct lab *lab);
void lab2b_transfer_sent_again(struct lab *lab);
void lab2b_state_shrinks(struct lab *lab);
void lab2b_earlier_transfer(struct lab *lab);
void lab2b_lost_chunks(struct lab *lab);
void lab2b_doubled_chunks(struct lab *lab);
void lab2b_late_chunks(struct lab *lab);
void lab2b_chunks_of_old_view(struct lab *lab);
void lab2b_old_chunk_acknowledgements(struct lab *lab);
void lab2b_backup_dies_in_transfer(struct lab *lab);
void lab2b_other_backup_in_transfer(struct lab *lab);
void lab2b_state_is_replaced(struct lab *lab);
void lab2b_messages_bounded(struct lab *lab);
void lab2b_frames_bounded(struct lab *lab);
void lab2b_memory_bounded(struct lab *lab);
void lab2b_progress(struct lab *lab);

/* ---- lab2b_storms.c -------------------------------------------------------
 */

void lab2b_storm_crashes(struct lab *lab);
void lab2b_storm_crashes_and_loss(struct lab *lab);
void lab2b_storm_loss(struct lab *lab);
void lab2b_storm_partitions(struct lab *lab);
void lab2b_storm_view_service(struct lab *lab);
void lab2b_storm_transfers(struct lab *lab);
void lab2b_storm_sessions(struct lab *lab);
void lab2b_stamps(struct lab *lab);

/* Fails if the traces break a rule of the clocks, or prove nothing. */
void lab2b_verify_traces(struct lab *lab, const char *const *paths,
                         size_t count);

/* ---- lab2b_search.c -------------------------------------------------------
 */

void lab2b_search_one_client(struct lab *lab);
void lab2b_search_two_clients(struct lab *lab);
void lab2b_search_failover(struct lab *lab);
void lab2b_search_transfer(struct lab *lab);

/* ---- lab2b_live.c ---------------------------------------------------------
 */

void lab2b_live_failover(struct lab *lab);
void lab2b_live_restarts(struct lab *lab);
void lab2b_live_loss(struct lab *lab);
void lab2b_live_stopped_primary(struct lab *lab);
void lab2b_live_stamps(struct lab *lab);

#endif
