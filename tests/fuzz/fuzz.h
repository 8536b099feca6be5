/* SPDX-License-Identifier: MIT */
/*
 * fuzz: one harness for three drivers. Each fuzz_*.c has one target, the
 * function below, and whoever links it decides where the octets come from:
 *
 * - libFuzzer (make fuzz, clang) invents them and follows the edges reached;
 * - AFL++ (make fuzz-afl) gives them to replay.c on standard input;
 * - replay.c with files or folders as arguments tries what was kept: the seeds
 *   in corpus/ and every input that once crashed in regressions/. make test
 *   does that with any compiler.
 *
 * A target fails by crashing: an assertion, a sanitizer, the target's own.
 *
 * The targets for roles decode octets into a sequence of events, so that few
 * octets reach deep states; dice.h has how.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Tries one input. Always returns 0; what is wrong ends the process. The octets
 * are borrowed. The name is libFuzzer's. */
int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t length);

#endif
