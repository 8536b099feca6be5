/* SPDX-License-Identifier: MIT */
/*
 * lab2a_live: the view service's program on a real socket, with servers that
 * are nothing but frames.
 */
#ifndef TESTS_LABS_LAB2A_LIVE_H
#define TESTS_LABS_LAB2A_LIVE_H

#include "tests/labs/lab.h"

/* Two servers ping; the program is killed and started again in between. */
void lab2a_live_view_service(struct lab *lab);

#endif
