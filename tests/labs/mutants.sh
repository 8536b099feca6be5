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
    mkdir -p "$1/$OUT"
    for part in .ci proto clocks node viewservice pbserver client rpc sim \
        tests handout Makefile; do
        [ ! -e "$PBKV_TREE/$part" ] || cp -a "$PBKV_TREE/$part" "$1/"
    done
    for part in config.mk proto obj; do
        cp -a "$PBKV_BUILD/$part" "$1/$OUT/"
    done
}

make_quietly() {
    "${MAKE:-make}" -s MODE="${PBKV_MODE:-debug}" CC="${CC:-gcc}" "$@"
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

look_at() {
    patch=$(find "$PBKV_TREE/tests/mutants" "$PBKV_TREE/tests/labs/mutants" \
        -name "$1.patch" | head -n 1)
    rm -f ./*.csv
    if ! patch -s -F0 -p1 <"$patch" >patch.log 2>&1; then
        verdict="BROKEN|0|the patch does not apply"
    else
        verdict=
        for lab in $(labs_of "$patch"); do
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
    fi
    echo "$1|$verdict" >"$RESULTS/$1"
    [ -z "${VERBOSE:-}" ] || echo "$1|$verdict" >&2
    for file in $(sed -n 's|^+++ b/||p' "$patch"); do
        cp "$PBKV_TREE/$file" "$file"
    done
}

work() {
    copy_tree "$1"
    cd "$1" || exit 1
    shift
    for name; do
        if mkdir "$RESULTS/.$name" 2>/dev/null; then
            look_at "$name"
        fi
    done
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

: "${PBKV_BUILD:?}" "${PBKV_TREE:?}"
LIMIT=600 # seconds for one suite: many tests may go to their limits
OUT=build/$(basename "$PBKV_BUILD")
if [ $# = 0 ]; then
    # shellcheck disable=SC2046
    set -- $(ls "$PBKV_TREE/tests/mutants" "$PBKV_TREE/tests/labs/mutants" |
        sed -n 's/\.patch$//p')
fi
RESULTS=$(mktemp -d) || exit 1
workers=
trap 'kill $workers 2>/dev/null; rm -rf "$RESULTS"' EXIT
trap 'exit 130' INT TERM
for worker in $(seq "${JOBS:-2}"); do
    work "$RESULTS/tree$worker" "$@" &
    workers="$workers $!"
done
# shellcheck disable=SC2086
wait $workers
print_table "$@"
