#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Shows that purity.sh can fail: each case is one small module with one impurity
# and the words that the finding must have. The last case is pure.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
checks=0
failures=0

compile() { # FILE: reads the source, puts it and its object under $work
    mkdir -p "$work/tree/${1%/*}" "$work/obj/${1%/*}"
    cat >"$work/tree/$1.c"
    ${CC:-gcc} -std=c11 -O1 -fPIC -I"$work/tree" -c \
        -o "$work/obj/$1.o" "$work/tree/$1.c"
}

judge() { # NAME WORDS: runs purity.sh; no words: it has to be content
    status=0
    "$here/purity.sh" "$work/tree" "$work/obj" >"$work/out" 2>&1 || status=$?
    checks=$((checks + 1))
    if [ -n "$2" ] && [ "$status" = 1 ] && grep -qF "$2" "$work/out"; then
        :
    elif [ -z "$2" ] && [ "$status" = 0 ]; then
        :
    else
        failures=$((failures + 1))
        echo "$1: status $status, wanted: ${2:-no finding}"
        cat "$work/out"
    fi
    rm -rf "$work/tree" "$work/obj"
}

compile pbserver/a <<'C'
#include <time.h>
long a(void);
long a(void) { return (long)time(0); }
C
judge a_role_that_reads_the_time 'pbserver/a.o: uses time'

compile pbserver/a <<'C'
int a(void);
int a(void) { static int count; return ++count; }
C
judge a_role_with_a_counter_of_its_own 'can be changed (.bss)'

compile pbserver/a <<'C'
extern int level;
int level = 3;
C
judge a_role_with_a_global_variable 'level can be changed (.data)'

compile viewservice/a <<'C'
int kv_put(void);
int view_server(void);
int view_server(void) { return kv_put(); }
C
compile pbserver/kv <<'C'
int kv_put(void);
int kv_put(void) { return 1; }
C
judge a_role_that_calls_another_role 'viewservice/a.o: uses kv_put of pbserver'

compile node/a <<'C'
int kv_put(void);
int node(void);
int node(void) { return kv_put(); }
C
compile pbserver/kv <<'C'
int kv_put(void);
int kv_put(void) { return 1; }
C
judge a_contract_that_calls_a_role 'node/a.o: uses kv_put of pbserver'

compile client/a <<'C'
#include <stdio.h>
int a(void);
int a(void) { return 1; }
C
judge a_role_that_includes_stdio 'client/a.c: includes <stdio.h>'

compile rpc/rpc </dev/null
echo 'int rpc_new(void);' >"$work/tree/rpc/rpc.h"
compile client/a <<'C'
#include "rpc/rpc.h"
int a(void);
int a(void) { return 1; }
C
judge a_role_that_includes_the_runtime 'client/a.c: includes rpc/rpc.h'

mkdir -p "$work/tree" "$work/obj"
judge nothing_to_examine 'nothing was proved'

compile proto/p <<'C'
int p(void);
int p(void) { return 1; }
C
compile pbserver/main <<'C'
#include <stdio.h>
int main(void) { return puts("programs may print"); }
C
compile pbserver/a <<'C'
#include <string.h>
int p(void);
static const char *const names[] = {"a", "b"};
int a(const char *text);
int a(const char *text) { return strcmp(names[p()], text); }
C
judge a_pure_role ''

echo "$((100 * (checks - failures) / checks))%: Checks: $checks," \
    "Failures: $failures, Errors: 0"
[ "$failures" = 0 ]
