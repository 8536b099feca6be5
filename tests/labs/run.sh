#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh LAB: builds the suite of a lab and runs it as the variables of
# `make LAB` say (labs.md lists them). Another MODE is another build, so
# RACE=tsan builds again; helgrind, drd and memcheck run the debug build under
# valgrind, with all programs that live tests start.
set -eu

lab=$1
: "${PBKV_BUILD:?}" "${PBKV_TREE:?}" "${B:?}"

if [ "${RACE:-}" = tsan ] && [ "${PBKV_MODE:-}" != tsan ]; then
    exec "$MAKE" --no-print-directory MODE=tsan CC="$CC" "$lab" RACE=tsan
fi

solution=${SOLUTION:+/$SOLUTION}
program=$B/labs$solution/$lab
targets=$program
if [ -n "$solution" ]; then
    targets="$targets $B/labs$solution/pbserver"
    PBKV_BUILD=$PBKV_BUILD/labs$solution
fi
# shellcheck disable=SC2086
"$MAKE" -s --no-print-directory MODE="$PBKV_MODE" CC="$CC" $targets
export PBKV_BUILD

under=
slow=${SLOW:-1}
case ${RACE:-}${MEMCHECK:+memcheck} in
'' | memcheck[!1]) ;;
tsan)
    slow=10
    if setarch -R true 2>/dev/null; then
        under='setarch -R'
    fi
    export PBKV_TIME_SCALE="${PBKV_TIME_SCALE:-400}"
    ;;
helgrind | drd | memcheck)
    tool=${RACE:-memcheck}
    slow=60
    under="valgrind -q --tool=$tool --error-exitcode=1 --trace-children=yes"
    under="$under --trace-children-skip=*/sh,/bin/*,/usr/bin/*"
    [ "$tool" = memcheck ] ||
        under="$under --suppressions=$PBKV_TREE/tests/valgrind.supp"
    [ "$tool" != memcheck ] ||
        under="$under --leak-check=full --errors-for-leak-kinds=definite"
    # Live tests are patient (tests/time_scale.h).
    export PBKV_TIME_SCALE="${PBKV_TIME_SCALE:-400}"
    ;;
*)
    echo "RACE is ${RACE:-}; it can be helgrind, drd or tsan" >&2
    exit 1
    ;;
esac

set -- --out "$B/lab-runs/$lab" --slow "$slow"
[ -z "${TEST:-}" ] || set -- "$@" --test "$TEST"
[ -z "${SEED:-}" ] || set -- "$@" --seed "$SEED"
[ -z "${REPEAT:-}" ] || set -- "$@" --repeat "$REPEAT"
[ -z "${JOBS:-}" ] || set -- "$@" --jobs "$JOBS"
[ -z "${KIND:-}" ] || set -- "$@" --kind "$KIND"
[ -z "${TRACE:-}" ] || set -- "$@" --trace
[ -z "${LIST:-}" ] || set -- "$@" --list
[ -z "${TAP:-}" ] || set -- "$@" --tap "$TAP"
[ -z "${JUNIT:-}" ] || set -- "$@" --junit "$JUNIT"
[ -z "${GRADESCOPE:-}" ] || set -- "$@" --gradescope "$GRADESCOPE"
[ -z "${CSV:-}" ] || set -- "$@" --csv "$CSV"
if [ -n "${DEBUG:-}" ]; then
    exec gdb --args "$program" "$@" --no-fork
fi
# shellcheck disable=SC2086
exec $under "$program" "$@"
