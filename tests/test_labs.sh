#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The runner of the labs: what it selects, what it writes, and that a failure,
# a crash and a hang are told as such. The failing programs are suites of three
# lines, built here.
set -u

: "${PBKV_TREE:?}" "${PBKV_BUILD:?}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
checks=0
failures=0

check() { # SENTENCE COMMAND...: the command must succeed
    sentence=$1
    shift
    checks=$((checks + 1))
    if ! "$@" >"$work/output" 2>&1; then
        failures=$((failures + 1))
        echo "test_labs.sh: $sentence"
    fi
}

cat >"$work/three.c" <<'END'
#include <stdlib.h>
#include "tests/labs/lab.h"
static void good(struct lab *lab) { (void)lab; }
static void bad(struct lab *lab) { lab_fail(lab, "s1 <did> \"not\""); }
static void dead(struct lab *lab) { (void)lab; abort(); }
static void hung(struct lab *lab) { while (lab) ; }
static const struct lab_test tests[] = {{"good", good, 1, LAB_UNIT, 5, ""},
    {"bad", bad, 2, LAB_UNIT, 5, "V1"}, {"dead", dead, 3, LAB_LIVE, 5, ""},
    {"hung", hung, 4, LAB_UNIT, 1, ""}};
LAB_SUITE("x", "three", tests)
END
${CC:-cc} -D_POSIX_C_SOURCE=200809L -I"$PBKV_TREE" -o "$work/three" \
    "$work/three.c" "$PBKV_TREE/tests/labs/runner.c" \
    "$PBKV_TREE/tests/labs/results.c" "$PBKV_TREE/tests/labs/markup.c" \
    "$PBKV_TREE/node/memory.c" || exit 1
cd "$work" || exit 1
./three --jobs 4 --out runs --csv a.csv --junit a.xml --tap a.tap \
    --gradescope a.json >log 2>&1
status=$?

says() {
    grep -q "$1" "$2"
}
check 'a suite with failures fails' test $status = 1
check 'the total counts points' says '1 of 4 tests passed, 1 of 10 points' log
check 'a failure is told by its rule' says 'rule V1: s1 <did> "not"' log
check 'a failure can be repeated' says 'replay: make labx TEST=bad SEED=1' log
check 'a failure is judged' says ',bad,unit,V1,0,2,judged,' a.csv
check 'a crash is a crash' says ',dead,live,,0,3,crash,' a.csv
check 'a hang is cut off' says ',hung,unit,,0,4,limit,' a.csv
check 'a hang is told' says 'did not end within its limit of 1 s' log
check 'TAP counts tests' says '^1\.\.4$' a.tap
check 'JUnit is escaped' says 's1 &lt;did&gt; &quot;not&quot;' a.xml
check 'JSON is escaped' says 's1 <did> \\"not\\"' a.json
check 'one good test passes' ./three --out runs --test good
check 'a number selects' ./three --out runs --test 1
check 'a kind selects' sh -c \
    './three --kind live --list | grep -c . | grep -x 1'
check 'nothing selected fails' sh -c '! ./three --out runs --test nobody'
check 'repetitions count' sh -c \
    './three --out runs --test 1 --repeat 7 --jobs 3 | grep "7 of 7 runs"'

echo "$(((checks - failures) * 100 / checks))%: Checks: $checks," \
    "Failures: $failures, Errors: 0"
[ "$failures" = 0 ]
