/* SPDX-License-Identifier: MIT */
/*
 * scenario: short scripts in the words of the domain, played in an imagined
 * world (sim/world.h). A script says who is there, what clients do, what breaks
 * and what must be seen; one statement a line, `#` begins a comment. Each
 * message takes 1 ms and nothing is left to chance, so a script plays the same
 * way each time. The invariants of sim/invariants.h hold throughout.
 *
 * The view service is called vs and is there from the beginning.
 *
 *   servers s1 s2 s3            names of servers; they do not run yet
 *   clients c1 c2               names of clients
 *   set value 8                 of servers that start later: limits on the
 *                               octets of a value, of the store (`store`), of a
 *                               chunk (`chunk`) and of the log (`log`), and on
 *                               the number of sessions (`sessions`)
 *   start s1 s2                 begins the first life of servers
 *   crash s1 / restart s1       ends a life; begins the next
 *   pause s1 2s                 s1 stops and wakes up believing nothing
 *                               happened
 *   partition s1 | s2 vs        no message passes between the sides
 *   cut s1 -> s2                none passes this way
 *   heal                        all links work again
 *
 *   c1: put x 1 -> ok           does it and waits for the end: ok, the value
 *                               that was read ("" when it is empty), or the
 *                               name of a status
 *   c1: append x 2 ...          begins it and does not wait
 *   c1: -> ok                   waits for the end of what was begun
 *   c1: get x within 1s -> 12   with a deadline other than 5 s
 *
 *   drop next forward s1 -> s2  the next message of this kind this way is lost;
 *                               with a number after `next`, so many are.
 * `every` instead of `next`: all from now on. `any` is any kind or any host
 *   duplicate next put c1 -> s1 … arrives twice
 *   hold next chunk s1 -> s2    … waits until `release`
 *   copy next chunk s1 -> s2    … arrives, and again after `release`
 *   deliver next chunk s1 -> s2 … is left alone by the statements after this
 *   spoil next chunk s1 -> s2   … arrives with a wrong digest
 *   crash before next chunk s1 -> s2   … is not sent: its sender dies
 *   crash after next chunk s1 -> s2    … is the last thing its sender does
 *   release                     what is held goes on its way, in order
 *   pass                        ends all that say `every`
 *
 *   run 500ms                   lets time pass
 *   expect CONDITION            must hold now
 *   until CONDITION             lets time pass, up to 10 s, until it holds
 *
 * Conditions:
 *
 *   view 2 primary s1 backup s2 what the view service says; `no backup`; s1/2
 *                               is the second life of s1
 *   acknowledged 2              the newest view that has been acknowledged
 *   knows s1 2                  the view that s1 has adopted
 *   role s2 backup              primary, backup, idle or down
 *   state s2 / no state s2      s2 has the state of its view, or not
 *   serving s1 / not serving s1 s1 answers clients, or not
 *   value s2 x 12               what s2 has stored, or `nothing`
 *   digest s1 s2                both have the same state
 *   event forward.gap at s2     has happened; `event N …`: N times
 *   never view.uninitialised    has not happened to anybody; or `at s1`
 *   waiting c1                  what c1 has begun has not ended
 *
 * A script whose first statement is `system NAME` is a path that the explorer
 * saved (sim/path_file.h). It is played event by event (sim/replay.h), and the
 * invariants are the system's.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Plays a script, text with a zero at its end. Returns true, or false with
 * "NAME:LINE: what was expected; what is" in failure (size octets with its
 * zero). A statement about the next message that no message ever met is a
 * failure, too: then the script does not tell what happens.
 */
bool scenario_play(const char *name, const char *text, char *failure,
                   size_t size);

#endif
