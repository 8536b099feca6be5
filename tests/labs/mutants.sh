#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mutants.sh [NAME...]: do the labs' suites notice a student's mistake? Each
# patch in tests/mutants and tests/labs/mutants makes one mistake; its first
# line says which, and the folder that it changes says whose lab that is. The
# patch is applied to a copy of the tree, the suites are built and run there,
# and the table names the test that caught it, how many did, and in what way:
#
#   judged   a test said what is wrong, in the words of a rule
#   crash    only failed assertions and signals
#   limit    only time limits
#   SURVIVED nobody noticed
#   CUT      a suite did not end in time, and nothing is known
#
# A mistake that no test of its lab judges fails the run (exit status 1).
# Mistakes that only an operator or another lab could see are listed in
# tests/labs/mutants/exceptions with the reason.
#
# Environment: PBKV_BUILD and PBKV_TREE are absolute folders, MODE and CC as for
# make; JOBS is how many are looked at at a time; VERBOSE tells each verdict as
# soon as it is known.
set -u

# labs_of PATCH: the suites that should notice, by the folder it changes.
labs_of() {
    case $(sed -n 's|^+++ b/||p' "$1" | head -n 1) in
    node/echo*) echo lab0 ;;
    clocks/*) echo lab1a ;;
    client/* | pbserver/sessions.c | pbserver/requests.c | pbserver/state.c)
        echo lab1b lab2b
        ;;
    viewservice/*) echo lab2a ;;
    *) echo lab2b ;;
    esac
}

copy_tree() {
    copy_parts "$1" .ci proto clocks node viewservice pbserver client rpc sim \
        tests handout Makefile
}

# judge: from the CSV files of all suites, sets found, way and count.
judge() {
    cat ./*.csv 2>/dev/null | awk -F, '
        $8 == "judged" { judged++; if (!j) j = $1 "." $2 " " $3 }
        $8 == "crash" || $8 == "limit" { other++; if (!o) { o = $1 "." $2 " " $3
                                                            way = $8 } }
        END { if (judged) printf "judged|%d|%s", judged + other, j
              else if (other) printf "%s|%d|%s", way, other, o
              else printf "SURVIVED|0|" }'
}

# look_at NAME PATCH: builds and runs the suites that should notice.
look_at() {
    rm -f ./*.csv
    verdict=${broken:+"BROKEN|0|$broken"}
    [ -n "$broken" ] || for lab in $(labs_of "$2"); do
        if ! make_quietly programs "$OUT/labs/$lab" >build.log 2>&1; then
            verdict="BROKEN|0|$(grep -m 1 error build.log)"
            break
        fi
        PBKV_BUILD=$PWD/$OUT timeout "$LIMIT" "$OUT/labs/$lab" \
            --out runs --csv "$lab.csv" >"$lab.log" 2>&1
        if [ $? = 124 ]; then
            verdict="CUT|0|$lab took more than $LIMIT s"
            break
        fi
    done
    [ -n "$verdict" ] || verdict=$(judge)
    echo "$1|$verdict" >"$RESULTS/$1"
    [ -z "${VERBOSE:-}" ] || echo "$1|$verdict" >&2
}

print_table() {
    printf '%-36s %-9s %5s  %s\n' mistake way tests 'first test'
    for name; do
        cat "$RESULTS/$name" 2>/dev/null || echo "$name|SURVIVED|0|"
    done | awk -F'|' -v list="$PBKV_TREE/tests/labs/mutants/exceptions" '
        BEGIN { while ((getline line < list) > 0) {
                    split(line, word, " "); excepted[word[1]] = 1 } }
        { note = ""
          all++
          if ($2 == "judged") judged++
          else if ($1 in excepted) { note = " (exception)"; passed++ }
          else bad++
          printf "%-36s %-9s %5d  %s%s\n", $1, $2, $3, $4, note }
        END { printf "%d mistakes: %d judged by a rule, %d exceptions, ",
                     all, judged, passed
              printf "%d not judged\n", bad
              exit bad > 0 || all == 0 }'
}

LIMIT=600 # seconds for one suite: many tests may go to their limits
# shellcheck source=tests/mutants_work.sh
. "${PBKV_TREE:?}/tests/mutants_work.sh"
# shellcheck disable=SC2046
[ $# != 0 ] || set -- $(all_mutants "$PBKV_TREE/tests/mutants" \
    "$PBKV_TREE/tests/labs/mutants")
look_at_all "$@"
print_table "$@"
