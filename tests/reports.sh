#!/bin/sh
# SPDX-License-Identifier: MIT
#
# reports.sh TOOL DIRECTORY: reads the reports that a tool left, prints which
# suppressions were used, and fails unless there is nothing else in them.
#
# valgrind (memcheck, helgrind, drd) leaves one file for every process. Each has
# to be complete, without errors and, of memcheck, without a block in use at the
# end, reachable or not. The only suppressions are ours, which may name nothing
# but libevent as the first frame, and two of valgrind's own, for what the C
# library does inside its locks and while it makes a thread.
# Sanitizers leave a file only when they have something to report; but UBSan
# with AddressSanitizer writes to the standard error of the program, which ends
# at once. So its words must not be in the logs, in the folder PBKV_LOGS.
set -eu
export LC_ALL=C

tool=$1
directory=$2
ours=$(dirname "$0")/valgrind.supp
status=0

fail() {
    echo "$tool: $1"
    status=1
}

# The end of a report's first finding is enough to know where to look.
show() {
    grep -v 'used_suppression' "$1" | sed -n '1,60s/^/    /p'
}

read_valgrind() {
    for file in "$directory"/*; do
        [ -f "$file" ] || break
        read=$((read + 1))
        if ! grep -q 'ERROR SUMMARY: 0 errors' "$file"; then
            fail "$file has errors or is not complete"
            show "$file"
        fi
        if [ "$tool" = memcheck ] &&
            ! grep -q 'in use at exit: 0 bytes in 0 blocks' "$file"; then
            fail "$file has blocks that were never freed"
        fi
    done
    [ "$read" -gt 0 ] || fail "there is no report in $directory"
}

# Ours has entries of three lines: a name, a kind, and libevent on top.
check_ours() {
    awk '/^#/ || /^$/ { next }
        /^\{/ { line = 0; next }
        /^\}/ { if (line != 3) bad = 1; next }
        { line++ }
        line == 3 && $1 != "obj:*/libevent*-2.1.so*" { bad = 1 }
        END { exit bad }' "$ours" ||
        fail "$ours suppresses more than accesses by libevent"
}

used_suppressions() {
    cat "$directory"/* 2>/dev/null | awk '/used_suppression:/ {
            sub(/:[0-9]+$/, "", $5); count[$4 " " $5] += $3 }
        END { for (name in count) print count[name], name }' | sort -k 2
}

read_suppressions() {
    check_ours
    used=$(used_suppressions)
    [ -n "$used" ] || return 0
    printf '%s\n' "$used" | sed "s/^/$tool: suppressed /"
    foreign=$(printf '%s\n' "$used" | awk -v ours="$(basename "$ours")" '
        $3 ~ /\/default\.supp$/ && ($2 == "helgrind-glibc2X-005" ||
            $2 == "drd-libpthread-pthread_create") { next }
        $3 ~ ("(^|/)" ours "$") { next }
        { print }')
    [ -z "$foreign" ] || fail "these suppressions are not allowed: $foreign"
}

read_sanitizer() {
    for file in "$directory"/*; do
        [ -f "$file" ] || break
        fail "$file reports:"
        show "$file"
    done
}

read_logs() {
    grep -rlF 'runtime error: ' "${PBKV_LOGS:?}" >"$directory.ubsan" || true
    while read -r file; do
        fail "$file has a report of UBSan:"
        grep -F -A 8 'runtime error: ' "$file" | sed -n '1,60s/^/    /p'
    done <"$directory.ubsan"
    rm -f "$directory.ubsan"
}

read=0
case $tool in
memcheck | helgrind | drd)
    read_valgrind
    read_suppressions
    ;;
asan)
    read_sanitizer
    read_logs
    ;;
tsan) read_sanitizer ;;
*) fail "nobody knows how to read its reports" ;;
esac
exit "$status"
