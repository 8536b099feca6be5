/* SPDX-License-Identifier: MIT */
/*
 * verify: reads traces and reports every broken clock rule. It holds all lines
 * in memory and needs the traces of all hosts to check joins; a receipt whose
 * sender left no trace is counted, not condemned.
 *
 * Per host, in the order of its own entry:
 * - K3: the first line has 1 in the host's own entry and every further line one
 *   more; no two lines of a host have the same entry.
 * - K1: a send or event has the Lamport time of the line before plus 1; a
 *   receipt has max(line before, send) + 1.
 * - K2: a send or event changes no other host's entry; a receipt has exactly
 *   the componentwise maximum of the line before and the send. Exceptions by
 *   K4: the entry of a client may vanish after the line of its receipt, and a
 *   receipt whose clock is full may have dropped entries for new ones.
 * - K3: No line knows more of a host than the host itself ever logged.
 * - K3: A receipt names a line that exists and is a send.
 *
 * A host whose last line is TRACE_FULL did more than its trace shows; what is
 * missing there is not condemned either.
 */
#ifndef CLOCKS_VERIFY_H
#define CLOCKS_VERIFY_H

#include <stddef.h>
#include <stdint.h>

struct verifier;

struct verify_summary {
    uint64_t lines;
    uint64_t hosts;
    uint64_t receipts;         /* lines of kind "receive" */
    uint64_t receipts_matched; /* … whose send line was found and checked */
    uint64_t broken;           /* rules broken: one report each */
};

/* Called once per broken rule, with the rule ("K1", "K2", "K3" or "format"),
 * the file, the line number from 1, and a full sentence. Strings are borrowed.
 */
typedef void (*verify_report)(void *context, const char *rule, const char *file,
                              uint64_t line, const char *sentence);

/* Returns a new verifier for the caller to free. */
struct verifier *verifier_new(void);

/* Adds the lines of a file. Lines that cannot be read are reported as "format"
 * by verifier_run; a last line without an end (the writer was killed) is left
 * out and not reported. Returns 0, or the negative errno of opening or reading.
 */
int verifier_add_file(struct verifier *verifier, const char *path);

/* Checks every rule, calls report for each break, and fills in the summary. */
void verifier_run(struct verifier *verifier, verify_report report,
                  void *context, struct verify_summary *summary);

/* Frees the verifier. NULL is allowed. */
void verifier_free(struct verifier *verifier);

#endif
