/* SPDX-License-Identifier: MIT */
/*
 * plan: which faults come when, drawn from a seed: the same seed and length
 * give the same plan. It names the servers concerned by the role that they will
 * have at that time, because that is what makes a fault interesting.
 */
#ifndef TESTS_CHAOS_PLAN_H
#define TESTS_CHAOS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_kind {
    FAULT_KILL,      /* SIGKILL; at the end the server is started again */
    FAULT_STOP,      /* SIGSTOP; at the end SIGCONT */
    FAULT_CUT_OUT,   /* what the server sends does not arrive */
    FAULT_CUT_IN,    /* what is sent to it does not arrive */
    FAULT_CUT_OFF,   /* both, or its link is down */
    FAULT_CUT_PAIR,  /* nothing passes between it and one other server */
    FAULT_CUT_VIEW,  /* nothing passes between it and the view service */
    FAULT_SLOW,      /* everything from and to it takes longer */
    FAULT_VIEW_KILL, /* SIGKILL of the view service; at the end a restart */
    FAULT_VIEW_STOP, /* SIGSTOP of the view service; at the end SIGCONT */
    FAULT_KINDS,
};

enum fault_target { TARGET_PRIMARY, TARGET_BACKUP, TARGET_ANY };

struct fault {
    enum fault_kind kind;
    enum fault_target target;
    uint32_t at_ms; /* from the start */
    uint32_t lasts_ms;
    unsigned server;   /* TARGET_ANY: which one, from 0 */
    unsigned other;    /* FAULT_CUT_PAIR: how many servers further on */
    uint32_t delay_ms; /* FAULT_SLOW */
};

enum { PLAN_FAULTS_TEXT = 64 };

struct plan {
    struct fault *faults;
    size_t count;
    char loss[PLAN_FAULTS_TEXT]; /* --faults of all servers; empty: none */
};

/* Returns the word for a kind. */
const char *fault_name(enum fault_kind kind);

/* Draws a plan whose last fault is over after length_ms. With links_only there
 * are only faults that hosts of their own can have (hosts.h). The caller frees
 * it with plan_release. */
struct plan plan_draw(uint64_t seed, uint32_t length_ms, unsigned servers,
                      bool links_only);
void plan_release(struct plan *plan);

#endif
