/* SPDX-License-Identifier: MIT */
/*
 * lab2a_search: the searched tests of lab 2A. Servers that do no more than ping
 * and hand on "the state" live with the student's view service; they crash,
 * their messages are lost, late and doubled.
 */
#ifndef TESTS_LABS_LAB2A_SEARCH_H
#define TESTS_LABS_LAB2A_SEARCH_H

#include "tests/labs/lab.h"

/* Two servers, and with a third one; servers crash and come back. */
void lab2a_search_two(struct lab *lab);
void lab2a_search_three(struct lab *lab);

/* The view service crashes and comes back. */
void lab2a_search_restarts(struct lab *lab);

#endif
