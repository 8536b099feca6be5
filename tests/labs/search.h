/* SPDX-License-Identifier: MIT */
/*
 * search: what the searched tests share. A test makes an explorer of the
 * student's role and of its neighbours, says what is searched for, and has
 * these go to a situation and look around there. A violation fails the test
 * with the shortest schedule that was found.
 */
#ifndef TESTS_LABS_SEARCH_H
#define TESTS_LABS_SEARCH_H

#include "sim/explorer.h"
#include "tests/labs/lab.h"

/* What a node tells about itself; of the view service, a view of number 0 when
 * it is down. */
struct inspection search_inspect(const struct node *node);

/* Whether the primary of the view service's view has acknowledged it: it has
 * pinged its number (V3). */
bool search_is_acknowledged(const struct inspection *service);

/* A goal and a prune, for explorer_rule: the view service has come to the view
 * of the parameter's number; it is past it. */
const char *search_goal_view(const struct explorer_view *view);
const char *search_prune_views(const struct explorer_view *view);

/* Goes to the nearest state of the first goal and begins there; forget: what is
 * on the way is lost. Fails the test if there is no such state among many. */
void search_go_to(struct lab *lab, struct explorer *explorer,
                  struct explorer_search *how, bool forget);

/* Looks at states breadth first, then, with all timers, at random walks from
 * the test's seed. A slow build looks at less. */
void search_look(struct lab *lab, struct explorer *explorer,
                 struct explorer_search *how, uint64_t states, uint64_t walks);

#endif
