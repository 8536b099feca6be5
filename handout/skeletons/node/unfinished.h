/* SPDX-License-Identifier: MIT */
/*
 * unfinished: what a function does that nobody has written yet. It says so and
 * ends the process, so that the test that came here fails at once, with a
 * sentence, and programs do not pretend to work. Take the call out when you
 * write the function. It is given and is here only for the time being: no
 * solution includes it.
 */
#ifndef NODE_UNFINISHED_H
#define NODE_UNFINISHED_H

/* Says "not implemented yet: " and what (a file, a function, a rule) on stderr
 * and ends the process with status 1. */
void __attribute__((noreturn)) unfinished(const char *what);

#endif
