/* SPDX-License-Identifier: MIT */
/*
 * calibrate: measures how slow this machine is now, under the tool that it is
 * run under, and prints the time scale in percent (time_scale.h). The measure
 * is a piece of what the tests do: clients in threads of their own work on a
 * whole store in this process, so it feels what slows down threads, sockets and
 * memory alike. The store's timers are slow meanwhile.
 *
 * The scale is such that a call takes a twentieth of the time after which a
 * silent server is dead (200 ms at 100 %): with THREADS calls under way at once
 * it takes THREADS / CALLS of the whole. An idle machine without a tool needs
 * about an eighth of UNSCALED_MS.
 */
#include <stdio.h>
#include <stdlib.h>

#include "rpc/loop.h"
#include "tests/clients.h"
#include "tests/hosts.h"
#include "tests/time_scale.h"

enum {
    THREADS = 8,
    CALLS = 320,
    UNSCALED_MS = 200 / 20 * CALLS / THREADS,
    PATIENT = 2000, /* scale of the timers meanwhile, in percent */
};

int main(void)
{
    static const struct hosts_options options = {.servers = 2,
                                                 .scale_percent = PATIENT};
    static const struct clients_plan plan = {.threads = THREADS,
                                             .handles = 2,
                                             .keys = 4,
                                             .operations = CALLS / THREADS};
    struct hosts *hosts = hosts_new(&options);
    struct clients *clients;
    uint64_t began, scale;

    if (!hosts)
        return EXIT_FAILURE;
    began = rpc_now_ms();
    clients = clients_start(hosts, &plan);
    clients_finish(clients);
    scale = (rpc_now_ms() - began) * TIME_SCALE_MIN / UNSCALED_MS;
    clients_free(clients);
    hosts_free(hosts);
    if (scale < TIME_SCALE_MIN)
        scale = TIME_SCALE_MIN;
    if (scale > TIME_SCALE_MAX)
        scale = TIME_SCALE_MAX;
    printf("%u\n", (unsigned)scale);
    return EXIT_SUCCESS;
}
