/* SPDX-License-Identifier: MIT */
/*
 * strike: what field.h says is done to processes and links. Faults overlap, so
 * a server may be stopped or cut off by two of them: it goes on when both are
 * over. What is down or stopped already is not killed.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/chaos/field_state.h"
#include "tests/chaos/hosts.h"

/* ---- Who ---------------------------------------------------------------- */

static unsigned number_of(const struct field *field,
                          const struct process *server)
{
    unsigned number = 0;

    while (field->servers[number] != server)
        number++;
    return number;
}

static unsigned host_of(const struct field *field,
                        const struct process *process)
{
    return process == field->view_service
               ? (unsigned)VIEW_HOST
               : FIRST_SERVER + number_of(field, process);
}

/* Asks the view service for the view, and remembers it. Returns NULL when it
 * does not answer, for whatever reason. */
static struct pbkv_inspection *look(struct field *field)
{
    struct pbkv_inspection *seen = NULL;

    if (field->view_service->pid != 0 && field->stops[VIEW_HOST] == 0)
        seen = field_inspect(field, field->view_service);
    if (seen)
        field->view = seen->view;
    return seen;
}

static struct process *choose_victim(struct field *field,
                                     const struct fault *fault)
{
    struct process *victim = NULL;

    pbkv_inspection_free(look(field));
    if (fault->target == TARGET_PRIMARY)
        victim = field_server_at(field, field->view.primary.address);
    else if (fault->target == TARGET_BACKUP)
        victim = field_server_at(field, field->view.backup.address);
    return victim ? victim : field->servers[fault->server];
}

static const char *role_of(const struct field *field,
                           const struct process *server)
{
    if (strcmp(field->view.primary.address, server->address) == 0)
        return "primary";
    return strcmp(field->view.backup.address, server->address) == 0 ? "backup"
                                                                    : "idle";
}

/* ---- Stopping and killing ----------------------------------------------- */

static void stop(struct field *field, struct process *process)
{
    if (field->stops[host_of(field, process)]++ == 0)
        process_signal(process, SIGSTOP);
}

static void resume(struct field *field, struct process *process)
{
    if (--field->stops[host_of(field, process)] == 0 && process->pid != 0)
        process_signal(process, SIGCONT);
}

/* Returns whether a peer is the present life of a server that runs, and is not
 * the victim. */
static bool can_go_on(struct field *field, const struct pbkv_peer *peer,
                      const struct process *victim)
{
    const struct process *server = field_server_at(field, peer->address);

    return server && server != victim && server->pid != 0 &&
           peer->incarnation >= field->born[number_of(field, server)];
}

/* Returns whether the state survives the victim, which stands still. */
static bool is_dispensable(struct field *field, const struct process *victim)
{
    struct pbkv_inspection *seen = look(field);
    bool fair = false;

    if (seen) {
        fair = can_go_on(field, &seen->view.primary, victim);
        if (strcmp(seen->view.primary.address, victim->address) == 0)
            fair = field_is_acknowledged(seen) &&
                   can_go_on(field, &seen->view.backup, victim);
    }
    pbkv_inspection_free(seen);
    return fair;
}

/* Kills a server if that is fair; see field.h. */
static bool kill_fairly(struct field *field, struct process *victim,
                        char sentence[FIELD_SENTENCE])
{
    unsigned host = host_of(field, victim);
    bool fair;

    if (victim->pid == 0 || field->stops[host] > 0 || field->downs[host] > 0) {
        snprintf(sentence, FIELD_SENTENCE, "(%s is down already)",
                 victim->name);
        return false;
    }
    process_signal(victim, SIGSTOP);
    if (field->proxy)
        proxy_forget(field->proxy, host);
    pbkv_inspection_free(look(field)); /* what has arrived is dealt with */
    fair = is_dispensable(field, victim);
    snprintf(sentence, FIELD_SENTENCE,
             fair ? "kill -9 %s (%s)"
                  : "(%s, %s, is spared: perhaps nobody else has the state)",
             victim->name, role_of(field, victim));
    process_signal(victim, fair ? SIGKILL : SIGCONT);
    return fair;
}

/* Returns what incarnations are made of: microseconds since 1970. */
static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool restart(struct field *field, struct process *process)
{
    unsigned host = host_of(field, process);

    if (host >= FIRST_SERVER)
        field->born[host - FIRST_SERVER] = now_us();
    process_restart(process);
    if (field->proxy)
        proxy_set_process(field->proxy, host, process->pid);
    return process_is_ready(process);
}

static bool strike_process(struct field *field, const struct fault *fault,
                           struct process *victim,
                           char sentence[FIELD_SENTENCE])
{
    if (fault->kind == FAULT_KILL)
        return kill_fairly(field, victim, sentence);
    if (victim->pid == 0 || (fault->kind == FAULT_VIEW_KILL &&
                             field->stops[host_of(field, victim)] > 0)) {
        snprintf(sentence, FIELD_SENTENCE, "(%s is down already)",
                 victim->name);
        return false;
    }
    if (fault->kind == FAULT_VIEW_KILL) {
        process_signal(victim, SIGKILL);
        if (field->proxy)
            proxy_forget(field->proxy, VIEW_HOST);
        snprintf(sentence, FIELD_SENTENCE, "kill -9 the view service");
        return true;
    }
    stop(field, victim);
    if (victim == field->view_service)
        snprintf(sentence, FIELD_SENTENCE, "stop the view service");
    else
        snprintf(sentence, FIELD_SENTENCE, "stop %s (%s)", victim->name,
                 role_of(field, victim));
    return true;
}

/* ---- The network -------------------------------------------------------- */

static void set_way(struct field *field, unsigned from, unsigned to, bool cut)
{
    if (cut)
        proxy_cut(field->proxy, from, to);
    else
        proxy_join(field->proxy, from, to);
}

/* Cuts (or joins) what goes from and to a host, and everybody else. */
static void set_around(struct field *field, unsigned host, bool out, bool in,
                       bool cut)
{
    for (unsigned other = 0; other < FIRST_SERVER + field->options.servers;
         other++) {
        if (other != host && out)
            set_way(field, host, other, cut);
        if (other != host && in)
            set_way(field, other, host, cut);
    }
}

static void set_both_ways(struct field *field, unsigned one, unsigned other,
                          bool cut)
{
    set_way(field, one, other, cut);
    set_way(field, other, one, cut);
}

static void set_delay(struct field *field, unsigned host, uint32_t ms)
{
    for (unsigned other = 0; other < FIRST_SERVER + field->options.servers;
         other++) {
        proxy_delay(field->proxy, host, other, ms);
        proxy_delay(field->proxy, other, host, ms);
    }
}

/* Takes the link of a host down once more, or takes one of these back. */
static void set_link(struct field *field, unsigned host, bool cut)
{
    unsigned *downs = &field->downs[host];

    *downs += cut ? 1U : -1U;
    if (*downs == (cut ? 1 : 0))
        hosts_set_link(host - FIRST_SERVER + 1, !cut);
}

/* Does what a fault of the network does, or undoes it. */
static void set_network(struct field *field, const struct fault *fault,
                        const struct strike *strike, bool on)
{
    unsigned host = host_of(field, strike->victim);

    if (!field->proxy) {
        set_link(field, host, on);
        return;
    }
    switch (fault->kind) {
    case FAULT_CUT_OUT: set_around(field, host, true, false, on); break;
    case FAULT_CUT_IN: set_around(field, host, false, true, on); break;
    case FAULT_CUT_OFF: set_around(field, host, true, true, on); break;
    case FAULT_CUT_PAIR:
        set_both_ways(field, host, host_of(field, strike->other), on);
        break;
    case FAULT_CUT_VIEW: set_both_ways(field, host, VIEW_HOST, on); break;
    case FAULT_SLOW: set_delay(field, host, on ? fault->delay_ms : 0); break;
    default: break;
    }
}

static void strike_network(struct field *field, const struct fault *fault,
                           struct strike *strike, char sentence[FIELD_SENTENCE])
{
    unsigned number = number_of(field, strike->victim);
    char more[CLUSTER_NAME_SIZE + 8] = "";

    strike->other =
        field->servers[(number + fault->other) % field->options.servers];
    if (fault->kind == FAULT_CUT_PAIR)
        snprintf(more, sizeof(more), " and %s", strike->other->name);
    if (fault->kind == FAULT_SLOW)
        snprintf(more, sizeof(more), " by %u ms", (unsigned)fault->delay_ms);
    snprintf(sentence, FIELD_SENTENCE, "%s %s (%s)%s", fault_name(fault->kind),
             strike->victim->name, role_of(field, strike->victim), more);
    set_network(field, fault, strike, true);
}

/* ---- Both --------------------------------------------------------------- */

static bool is_of_network(enum fault_kind kind)
{
    return kind >= FAULT_CUT_OUT && kind <= FAULT_SLOW;
}

bool field_strike(struct field *field, const struct fault *fault,
                  struct strike *strike, char sentence[FIELD_SENTENCE])
{
    if (fault->kind == FAULT_VIEW_KILL || fault->kind == FAULT_VIEW_STOP)
        strike->victim = field->view_service;
    else
        strike->victim = choose_victim(field, fault);
    if (!is_of_network(fault->kind))
        return strike_process(field, fault, strike->victim, sentence);
    strike_network(field, fault, strike, sentence);
    return true;
}

bool field_mend(struct field *field, const struct fault *fault,
                const struct strike *strike, char sentence[FIELD_SENTENCE])
{
    bool killed = fault->kind == FAULT_KILL || fault->kind == FAULT_VIEW_KILL;

    snprintf(sentence, FIELD_SENTENCE, "%s %s%s%s",
             killed                       ? "restart"
             : is_of_network(fault->kind) ? "over:"
                                          : "continue",
             is_of_network(fault->kind) ? fault_name(fault->kind) : "",
             is_of_network(fault->kind) ? " " : "", strike->victim->name);
    if (killed)
        return restart(field, strike->victim);
    if (is_of_network(fault->kind))
        set_network(field, fault, strike, false);
    else
        resume(field, strike->victim);
    return true;
}
