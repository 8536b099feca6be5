/* SPDX-License-Identifier: MIT */
/*
 * transfer_send: the state on its way out (T1 to T3); yours in lab 2B. This
 * file may stay empty.
 */
#include "pbserver/server.h"
