/* SPDX-License-Identifier: MIT */
/*
 * incoming: what a frame goes through between a connection and the node. This
 * is the one place where frames are decoded and clocks are merged, so that no
 * frame reaches a node unchecked and no receipt is without its tick (rules K1
 * to K3).
 */
#ifndef RPC_INCOMING_H
#define RPC_INCOMING_H

#include "rpc/connection.h"

/*
 * Handles one frame of length octets at data. Returns 0, also for a frame that
 * is dropped because it is meant for another life of this process
 * ("frame.misaddressed"); or a negative errno when the frame is not what an
 * honest peer sends ("frame.malformed", "frame.meaningless", "frame.budget",
 * "frame.stamp") and the caller should close the connection.
 */
int incoming_frame(struct connection *connection, const uint8_t *data,
                   size_t length);

#endif
