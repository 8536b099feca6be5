/* SPDX-License-Identifier: MIT */
/*
 * transfer: what both sides of a transfer share (T1 to T5); yours in lab 2B.
 * This file may stay empty.
 */
#include "pbserver/server.h"
