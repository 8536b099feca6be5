#!/bin/sh
# SPDX-License-Identifier: MIT
#
# handouts.sh [LAB...]: is every lab's handout good? Each is made, with the
# solutions of the labs before it, and built in a folder of its own with all
# warnings as errors. Then:
#
#   - the suite of the lab fails in each of its tests, and every failure says
#     which function, or text, is missing; no test crashes or runs too long;
#   - the suites of the labs before it pass, but for those that run on what is
#     missing: every message is stamped by the clocks of lab 1A, and lab 1B asks
#     the view service of lab 2A and the server of lab 2B;
#   - with the lab's solution copied in, its suite passes, and those.
#
# Objects of given files are taken from this build. Environment: as in run.sh.
set -u

: "${PBKV_TREE:?}" "${PBKV_BUILD:?}"
conf=$PBKV_TREE/handout/labs.conf
mode=${PBKV_MODE:-debug}
built=build/$(basename "$PBKV_BUILD")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
passed=0
failed=0

check() { # SENTENCE COMMAND...
    sentence=$1
    shift
    if "$@" >"$work/output" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $sentence"
        tail -n 20 "$work/output" | sed 's/^/     /'
    fi
}

build() { # SUITE: in the handout
    cd "$work/tree" &&
        ${MAKE:-make} -s MODE="$mode" CC="${CC:-gcc}" programs "$built/labs/$1"
}

# run SUITE [OPTION...]: leaves SUITE.csv and SUITE.log.
run() {
    ran=$1
    shift
    (cd "$work/tree" && PBKV_TREE=$PWD PBKV_BUILD=$PWD/$built \
        "$built/labs/$ran" --jobs 2 --out runs --csv "$work/$ran.csv" \
        "$@") >"$work/$ran.log" 2>&1
}

# All tests are judged failures that say what is missing, each within a second
# (limit: two, for a busy machine).
all_unfinished() { # SUITE
    awk -F, 'NR > 1 && ($8 != "judged" || $11 > 2) {
                 print "not a clean failure:", $3, $8, $11 " s"; bad = 1 }
             END { exit bad || NR < 2 }' "$work/$1.csv" || return 1
    tests=$(($(wc -l <"$work/$1.csv") - 1))
    said=$(awk '/^ *[0-9]+ FAIL/ { said = 0 }
        /not implemented yet: |predict|lab2c_schedule/ && !said {
            said = 1; count++ }
        END { print count + 0 }' "$work/$1.log")
    [ "$said" = "$tests" ] || {
        echo "$said of $tests failures say what is not implemented"
        grep -A 12 -E '^ *[0-9]+ FAIL' "$work/$1.log" | tail -n 200 >&2
        return 1
    }
}

# Suites of earlier labs that run on the files of a lab.
running_on() { # LAB
    case $1 in
    1a) echo lab0 ;;
    2a | 2b) echo lab1b ;;
    esac
}

# What the microscope finds it can also shorten and show.
look_closer() {
    build microscope && cd "$work/tree" || return 1
    for how in find minimise show; do
        "$built/labs/microscope" $how schedule || return 1
    done
    rm schedule
}

try_lab() { # LAB SUITE FILES
    began=$(date +%s)
    rm -rf "$work/tree" "$work/tree.tar.gz"
    check "a handout of lab $1 is made" \
        "$PBKV_TREE/handout/handout.sh" "$1" "$work/tree" previous
    mkdir -p "$work/tree/$built"
    for part in config.mk proto obj; do
        cp -a "$PBKV_BUILD/$part" "$work/tree/$built/"
    done
    check "the handout of lab $1 compiles" build "$2"
    run "$2"
    check "each test of lab $1 fails with a sentence" all_unfinished "$2"
    [ "$1" != 2c ] || check "the microscope works" look_closer
    for before in $earlier; do
        case " $(running_on "$1") " in *" $before "*) continue ;; esac
        check "$before builds in the handout of lab $1" build "$before"
        check "$before passes in the handout of lab $1" run "$before"
    done
    for file in $3; do
        cp "$PBKV_TREE/$file" "$work/tree/$file"
    done
    check "lab $1 compiles with its solution" build "$2"
    check "lab $1 passes with its solution" run "$2"
    tail -n 1 "$work/$2.log"
    for before in $(running_on "$1"); do
        check "$before builds with the solution of lab $1" build "$before"
        check "$before passes with the solution of lab $1" run "$before"
    done
    echo "     handout of lab $1: $(($(date +%s) - began)) s"
}

earlier=
while IFS='|' read -r lab title suite files rest; do
    case $lab in '' | \#*) continue ;; esac
    case " ${*:-$lab} " in
    *" $lab "*) try_lab "$lab" "$suite" "$files" </dev/null ;;
    esac
    earlier="$earlier $suite"
done <"$conf"
: "${title:-}" "${rest:-}"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
