/* SPDX-License-Identifier: MIT */
/*
 * effects: carries out what a handler wrote into the env. This is the one place
 * where outgoing frames get their stamps (rules K1 and K2) and where faults
 * act.
 */
#ifndef RPC_EFFECTS_H
#define RPC_EFFECTS_H

#include "rpc/loop.h"

/* Carries out all effects of rpc->env in order and clears it. A FATAL event or
 * a durable record that cannot be written halts the loop, and the effects after
 * it are not carried out (rule V11). */
void effects_carry_out(struct rpc *rpc);

#endif
