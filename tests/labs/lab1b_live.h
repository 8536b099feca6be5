/* SPDX-License-Identifier: MIT */
/*
 * lab1b_live: the real client and the real server, alone in its view, on real
 * sockets: what was acknowledged is there once and in order, whatever became of
 * single messages.
 */
#ifndef TESTS_LABS_LAB1B_LIVE_H
#define TESTS_LABS_LAB1B_LIVE_H

#include "tests/labs/lab.h"

void lab1b_live_clients(struct lab *lab);
void lab1b_live_stopped_server(struct lab *lab);
void lab1b_live_loss(struct lab *lab);

#endif
