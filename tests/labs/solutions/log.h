/* SPDX-License-Identifier: MIT */
/*
 * log: what a primary has applied and not committed, for those of the other
 * solutions of lab 2B that apply at once. Op number `committed` + 1 is its
 * first entry. A Forward carries entries from a number on; what an
 * acknowledgement covers is answered and dropped.
 */
#ifndef TESTS_LABS_SOLUTIONS_LOG_H
#define TESTS_LABS_SOLUTIONS_LOG_H

#include "tests/labs/solutions/member.h"

enum { LOG_MAX = 256 };

struct log {
    struct request entries[LOG_MAX];
    uint32_t count;
    uint64_t committed;
    uint64_t round; /* that a Forward asks the backup to confirm */
};

/* An opening or an update: applies it and tells the backup; answers a retry
 * again, at once or when it is committed (P6). Takes the request over. */
void log_on_request(struct log *log, struct member *member, struct env *env,
                    struct request *request);

/* Adds a request that has got the next op number, and tells the backup, or
 * commits it when there is none. There must be room. */
void log_add(struct log *log, struct member *member, struct env *env,
             const struct request *request);

/* Everything up to a number is committed: answers it. */
void log_commit(struct log *log, const struct member *member, struct env *env,
                uint64_t number);

/* What is in the log goes on in the next view of the same primary, at once if
 * that has no backup; with nothing in it, it begins at the state. */
void log_go_on(struct log *log, const struct member *member, struct env *env);

/* Refuses everybody in it; sends the operations after number `from`, which may
 * be none. */
void log_refuse(struct log *log, const struct member *member, struct env *env);
void log_forward(const struct log *log, const struct member *member,
                 struct env *env, uint64_t from);

/* Free, share and describe all entries. */
void log_release(struct log *log);
void log_share(const struct log *log);
void log_describe(const struct log *log, struct sink *sink);

/* Asserts that its entries are the newest of the state's operations. */
void log_check(const struct log *log, const struct member *member);

#endif
