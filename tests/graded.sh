#!/bin/sh
# SPDX-License-Identifier: MIT
#
# graded.sh: does a submission get what it earned? A folder of submissions of
# lab 0 is graded: a correct one, as folder and as tarball; an empty one; and
# those that loop, fork, flood, crash, leave early, print results, send signals,
# write files, replace tests, functions or files, or do not compile. Each gets
# the points of the tests that it passes honestly, and no other submission is
# hurt.
#
# Environment: as in run.sh.
set -u

: "${PBKV_TREE:?}" "${PBKV_BUILD:?}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
subs=$work/submissions
checks=0
failures=0

check() { # SENTENCE COMMAND...
    sentence=$1
    shift
    checks=$((checks + 1))
    "$@" >"$work/output" 2>&1 || {
        failures=$((failures + 1))
        echo "FAIL $sentence"
        tail -n 20 "$work/output" | sed 's/^/     /'
    }
}

# bad NAME CODE: a submission whose server does CODE when it gets a message, and
# is correct otherwise. HEAD is put before everything.
bad() {
    mkdir -p "$subs/$1/node"
    CODE=$2 HEAD=${HEAD:-} awk '
        NR == 1 { print ENVIRON["HEAD"]
                  print "#include <signal.h>"; print "#include <stdio.h>"
                  print "#include <stdlib.h>"; print "#include <unistd.h>" }
        { print }
        /^static void server_on_message/ { inside = 1 }
        inside && /^\{/ { print ENVIRON["CODE"]; inside = 0 }' \
        "$PBKV_TREE/node/echo.c" >"$subs/$1/node/echo.c"
    HEAD=
}

gets() { # NAME POINTS
    [ "$(awk -F, -v name="\"$1\"" '$1 == name { print $2 }' \
        "$work/out/grades.csv")" = "$2" ] || {
        grep "$1" "$work/out/grades.csv"
        return 1
    }
}

says() { # NAME TEXT: the report for the student
    grep -q "$2" "$work/out/$1/report.html"
}

mkdir -p "$subs/correct/node" "$subs/empty"
cp "$PBKV_TREE/node/echo.c" "$subs/correct/node/"
(cd "$subs/correct" && tar -czf "$subs/packed.tar.gz" node)
HEAD='#define _DEFAULT_SOURCE
static int zero;'
bad loops 'for (;;) zero = 0;'
bad forks 'for (int i = 0; i < 100; i++) if (fork() == 0) { setsid(); pause(); }
    for (;;) pause();'
bad floods 'for (;;) puts("ok 1 ok 1 ok 1 ok 1 ok 1 ok 1 ok 1 ok 1 ok 1 ok 1");'
bad crashes 'raise(SIGSEGV);'
bad leaves 'exit(0);'
bad prints 'puts("{\"tests\": [{\"name\": \"x\", \"status\": \"passed\"}]}");
    printf("  1 ok    3/3     0.00s\nlab 0: 13 of 13 tests passed\n");
    if (write(3, "passed", 6) < 0)
        puts("ok");
    exit(0);'
bad kills 'kill(getppid(), SIGKILL); exit(0);'
bad grows 'for (;;) { char *m = malloc(1 << 24); if (!m) abort();
        for (int i = 0; i < 1 << 24; i += 4096) m[i] = 1; }'
bad writes "FILE *file = fopen(\"$work/written\", \"w\");
    if (file) fclose(file);
    file = fopen(\"Makefile\", \"w\");
    if (file) fclose(file);
    exit(file != NULL);"
bad broken 'this is not C'
HEAD='void __attribute__((constructor)) early(void);
#include <unistd.h>
void early(void) { _exit(0); }'
bad early ''
HEAD='int memcmp(const void *a, const void *b, unsigned long n);
int memcmp(const void *a, const void *b, unsigned long n)
{ (void)a; (void)b; (void)n; return 0; }'
bad replaces ''
mkdir -p "$subs/edits/node" "$subs/edits/tests/labs" "$subs/linked/node"
cp "$PBKV_TREE/handout/skeletons/node/echo.c" "$subs/edits/node/"
printf 'int main(void)\n{\n    return 0;\n}\n' >"$subs/edits/tests/labs/lab0.c"
cp "$subs/edits/tests/labs/lab0.c" "$subs/edits/tests/labs/runner.c"
printf 'all:\n\ttrue\n' >"$subs/edits/Makefile"
ln -s "$PBKV_TREE/node/echo.c" "$subs/linked/node/echo.c"

began=$(date +%s)
LAB=0 REPEAT=2 JOBS=2 sh "$PBKV_TREE/tests/labs/grade.sh" "$subs" "$work/out" \
    >"$work/log" 2>&1
[ -n "${QUIET:-}" ] || cat "$work/log" "$work/out/grades.csv"
took=$(($(date +%s) - began))

possible=$(awk -F'|' '$1 == "0" { print $6 }' "$PBKV_TREE/handout/labs.conf")
check 'a correct submission gets all points' gets correct "$possible"
check 'so does a tarball of it' gets packed "$possible"
for name in empty edits linked broken early replaces; do
    check "a submission that is $name gets nothing" gets "$name" 0
done
check 'what is missing is said' says empty 'node/echo.c is missing'
check 'tests say what is not implemented' says empty 'not implemented yet'
check 'the compiler is quoted' says broken 'it does not build'
check 'code before main is refused' says early 'outside of main'
check 'a second memcmp is refused' says replaces 'memcmp is defined'
check 'a link is not followed' says linked 'not an ordinary file'
# Tests of the client alone are passed by all of these.
earned=$(awk -F, '$1 == "\"crashes\"" { print $2 }' "$work/out/grades.csv")
check 'the client alone is worth something' test "$earned" -gt 0
check 'the client alone is not worth all' test "$earned" -lt "$possible"
for name in loops forks floods leaves prints grows writes; do
    check "a server that $name costs only its tests" gets "$name" "$earned"
done
check 'killing the runner earns nothing' gets kills 0
check 'nothing is written elsewhere' test ! -e "$work/written"
check 'leaving early is told' says leaves 'left before the test was over'
check 'each has a line' test "$(wc -l <"$work/out/grades.csv")" = 18
check 'reports for Gradescope are written' \
    grep -q '"score": 3' "$work/out/correct/results.json"
check 'nothing is left running' sh -c '! pgrep -u 60001,60002 .'
echo "graded in $took s"
echo "$(((checks - failures) * 100 / checks))%: Checks: $checks," \
    "Failures: $failures, Errors: 0"
echo "$((checks - failures)) passed, $failures failed"
[ "$failures" = 0 ]
