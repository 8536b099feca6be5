#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh NAME...: runs test programs (build/MODE/tests/NAME) and test scripts
# (tests/NAME.sh) and adds up what Check reports. Two run at a time; those
# called live_ start many processes of their own and run one by one afterwards.
# A program fails as a whole when it crashes, hits the time limit or runs no
# test. The last line is "N passed, N failed"; exit status 1 when one failed or
# none ran.
#
# Environment: PBKV_BUILD and PBKV_TREE are absolute folders; LIMIT is the time
# limit of one program in seconds; UNDER is a command to run programs under,
# such as "valgrind -q"; JOBS is how many run at a time; PBKV_LOGS is a folder;
# PBKV_TIME_SCALE is measured if it is not given.
set -eu

# One program: leaves "passed failed" in the file NAME, its output in NAME.log.
# Counts are this run's own; logs stay for reading.
run_one() {
    name=$1
    log=$PBKV_LOGS/$name.log
    if [ -f "$PBKV_TREE/tests/$name.sh" ]; then
        set -- sh "$PBKV_TREE/tests/$name.sh"
    else
        set -- ${UNDER:-} "$PBKV_BUILD/tests/$name"
    fi
    began=$(date +%s%N)
    status=0
    # timeout makes a group of its own, which who ends this run does not know.
    timeout -k 5 "${LIMIT:-150}" "$@" >"$log" 2>&1 </dev/null &
    limited=$!
    trap 'kill "$limited"; exit 130' INT TERM
    wait "$limited" || status=$?
    trap - INT TERM
    took=$((($(date +%s%N) - began) / 100000000))
    counts=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), '`
        `'Errors: \([0-9]*\)$/\1 \2 \3/p' "$log" | awk '
        { all += $1; bad += $2 + $3 } END { print all + 0, bad + 0 }')
    checks=${counts% *}
    failed=${counts#* }
    word=ok
    if [ "$checks" = 0 ] || { [ "$status" != 0 ] && [ "$failed" = 0 ]; }; then
        failed=$((failed + 1))
        checks=$((checks + 1))
    fi
    [ "$failed" = 0 ] || word=FAIL
    echo "$((checks - failed)) $failed" >"$PBKV_COUNTS/$name"
    printf '%-4s %-26s %3d of %3d checks %4d.%d s\n' "$word" "$name" \
        $((checks - failed)) "$checks" $((took / 10)) $((took % 10))
    if [ "$word" = FAIL ]; then
        [ "$status" != 124 ] || echo "     hit the limit of ${LIMIT:-150} s"
        echo "     exit status $status; the end of $log:"
        grep -v '^[0-9]*%: Checks' "$log" | tail -n 40 | sed 's/^/     /'
    fi
}

if [ "${1:-}" = --one ]; then
    run_one "$2"
    exit
fi

: "${PBKV_BUILD:?}" "${PBKV_TREE:?}"
PBKV_LOGS=${PBKV_LOGS:-$PBKV_BUILD/tests/log}
PBKV_COUNTS=$(mktemp -d)
export PBKV_LOGS PBKV_COUNTS
trap 'rm -rf "$PBKV_COUNTS"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$PBKV_LOGS"

# A busy machine is no failure: the tests' own limits are for an idle one.
export CK_TIMEOUT_MULTIPLIER="${CK_TIMEOUT_MULTIPLIER:-3}"

# ThreadSanitizer needs the layout of memory that it knows.
if [ "${PBKV_MODE:-}" = tsan ] && setarch -R true 2>/dev/null; then
    UNDER="setarch -R ${UNDER:-}"
    export UNDER
fi

# How slow it is here and now, under the tool: tests/time_scale.h.
if [ -z "${PBKV_TIME_SCALE:-}" ]; then
    PBKV_TIME_SCALE=$(timeout -k 5 100 ${UNDER:-} \
        "$PBKV_BUILD/tests/calibrate") || {
        echo "run.sh: tests/calibrate failed" >&2
        echo "0 passed, 1 failed"
        exit 1
    }
    export PBKV_TIME_SCALE
fi
[ "$PBKV_TIME_SCALE" = 100 ] || echo "time scale: $PBKV_TIME_SCALE %"

several=
single=
for name; do
    if [ ! -x "$PBKV_BUILD/tests/$name" ] &&
        [ ! -f "$PBKV_TREE/tests/$name.sh" ]; then
        echo "run.sh: there is no test program $name" >&2
        echo "0 1" >"$PBKV_COUNTS/$name"
        continue
    fi
    case $name in
    live_*) single="$single $name" ;;
    *) several="$several $name" ;;
    esac
done
if [ -n "$several" ]; then
    printf '%s\n' $several | xargs -P "${JOBS:-2}" -n 1 "$0" --one
fi
for name in $single; do
    "$0" --one "$name"
done

cat /dev/null "$PBKV_COUNTS"/* 2>/dev/null | awk '
    { passed += $1; failed += $2 }
    END {
        if (passed + failed == 0)
            print "no test ran"
        print passed + 0 " passed, " failed + 0 " failed"
        exit !(passed > 0 && failed == 0)
    }'
