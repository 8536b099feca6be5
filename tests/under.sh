#!/bin/sh
# SPDX-License-Identifier: MIT
#
# under.sh TOOL NAME...: runs test programs under a tool that sees data races or
# mistakes with memory: memcheck, helgrind or drd (valgrind, with a debug
# build), or what is compiled in (a build with MODE=asan or MODE=tsan). There
# must be no report of anything (tests/reports.sh).
#
# First come the canaries (tests/canary.c): what is wrong with each of them has
# to be reported, with the same options, and nothing about the one that is
# sound. A tool that does not see them proves nothing, so then no test is run.
#
# Environment as for tests/run.sh, whose count of the tests comes before the
# last line: "N passed, N failed", for the canaries and the reading.
set -eu

: "${PBKV_BUILD:?}" "${PBKV_TREE:?}"
tool=$1
shift
reports=$PBKV_BUILD/tests/$tool-reports
PBKV_LOGS=$PBKV_BUILD/tests/$tool-log
LIMIT=${LIMIT:-600}
export PBKV_LOGS LIMIT

# Sets the tool up to leave its reports in a folder, which is emptied.
use() { # FOLDER
    rm -rf "$1"
    mkdir -p "$1"
    common="-s --error-exitcode=99 --log-file=$1/%p --fair-sched=try \
        --child-silent-after-fork=yes \
        --suppressions=$PBKV_TREE/tests/valgrind.supp"
    case $tool in
    memcheck) UNDER="valgrind $common --leak-check=full \
        --show-leak-kinds=all --errors-for-leak-kinds=all" ;;
    helgrind) UNDER="valgrind --tool=helgrind $common" ;;
    drd) UNDER="valgrind --tool=drd $common" ;;
    asan) export ASAN_OPTIONS="log_path=$1/asan:detect_leaks=1:exitcode=99" \
        UBSAN_OPTIONS="log_path=$1/ubsan:print_stacktrace=1" ;;
    tsan) export TSAN_OPTIONS="log_path=$1/tsan:exitcode=99" ;;
    esac
    export UNDER
}

# Under valgrind a program is one process, so that what is left at its end is
# seen, and the dynamic linker is done before there are threads.
UNDER=
case $tool in
memcheck | helgrind | drd) export CK_FORK=no LD_BIND_NOW=1 ;;
tsan) ! setarch -R true 2>/dev/null || layout='setarch -R' ;;
esac

# canary SONG WORDS: its report has to have the words in it.
canary() {
    use "$reports"
    ${layout:-} $UNDER "$PBKV_BUILD/tests/canary" "$1" \
        >"$PBKV_LOGS/canary" 2>&1 || true
    if ! "$PBKV_TREE/tests/reports.sh" "$tool" "$reports" >/dev/null &&
        grep -rq "$2" "$reports" "$PBKV_LOGS/canary"; then
        passed=$((passed + 1))
    else
        echo "$tool does not see the canary that has: $1"
        failed=$((failed + 1))
    fi
}

sound_canary() {
    use "$reports"
    if ${layout:-} $UNDER "$PBKV_BUILD/tests/canary" none &&
        "$PBKV_TREE/tests/reports.sh" "$tool" "$reports"; then
        passed=$((passed + 1))
    else
        echo "$tool reports a canary that is sound"
        failed=$((failed + 1))
    fi
}

passed=0
failed=0
tests= # not empty: run.sh has said what failed
rm -rf "$PBKV_LOGS"
mkdir -p "$PBKV_LOGS"
sound_canary
case $tool in
helgrind)
    canary race 'Possible data race'
    canary callback 'Possible data race'
    canary inversion 'lock order .* violated'
    ;;
drd)
    canary race 'Conflicting .* by thread'
    canary callback 'Conflicting .* by thread'
    ;;
tsan)
    canary race 'ThreadSanitizer: data race'
    canary callback 'ThreadSanitizer: data race'
    canary inversion 'ThreadSanitizer: lock-order-inversion'
    ;;
memcheck)
    canary leak 'definitely lost in loss record'
    canary reachable 'still reachable in loss record'
    canary free 'Invalid read'
    ;;
asan)
    canary leak 'LeakSanitizer: detected memory leaks'
    canary free 'AddressSanitizer: heap-use-after-free'
    canary overflow 'runtime error: signed integer overflow'
    ;;
*)
    echo "under.sh: $tool is none of the tools" >&2
    exit 2
    ;;
esac
echo "$tool: $passed of $((passed + failed)) canaries are as they should be"
if [ "$failed" = 0 ]; then
    use "$reports"
    rm -f "$PBKV_LOGS/canary"
    "$PBKV_TREE/tests/run.sh" "$@" || tests=failed
    if "$PBKV_TREE/tests/reports.sh" "$tool" "$reports"; then
        passed=$((passed + 1))
    else
        failed=1
    fi
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ -z "$tests" ]
