#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Is docs/protocol.md true? Every function and test that it names exists, every
# event that the code logs is listed, and every listed event is in the code. And
# the other pages name only files and goals that exist. The last line counts as
# a suite's (tests/run.sh).
set -u
cd "${PBKV_TREE:?}" || exit 1
page=docs/protocol.md
roles='viewservice/view_*.c pbserver/*.c client/client*.c client/pbkv*.c'
roles="$roles rpc/*.c clocks/*.c"
passed=0
failed=0

# check NAME LIST: passes when the list of what is wrong is empty.
check() {
    if [ -z "$2" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$1:"
        echo "$2" | sed 's/^/    /'
    fi
}

# The words in backticks in the given columns of the rules' tables.
cited() {
    awk -F'|' -v column="$1" '/^\| [VPTCK][0-9]+ \|/ { print $column }' $page |
        grep -o '`[a-z_0-9]*`' | tr -d '`' | sort -u
}

missing_functions() {
    for name in $(cited 4); do
        # shellcheck disable=SC2086
        grep -qE "(^|[ *])$name\(" $roles || echo "$name"
    done
}

missing_tests() {
    for name in $(cited 5); do
        grep -qE "TEST\($name\)" tests/*.c || echo "$name"
    done
}

unproved_rules() {
    awk -F'|' '/^\| [VPTCK][0-9]+ \|/ && $5 !~ /`/ { print $2 }' $page
}

logged() {
    # shellcheck disable=SC2086
    cat $roles | grep -oE '"[a-z_]+\.[a-z_]+"' | tr -d '"' |
        grep -vE '^rpc\.|^trace\.full$' | sort -u
}

listed() {
    sed -n 's/^| `\([a-z_]*\.[a-z_]*\)` |.*/\1/p' $page | sort -u
}

unlisted_events() {
    listed >"$work/listed"
    logged | comm -23 - "$work/listed"
}

unlogged_events() {
    logged >"$work/logged"
    listed | comm -23 - "$work/logged"
}

missing_links() {
    for file in README.md CONTRIBUTING.md labs.md docs/*.md; do
        [ -f "$file" ] || continue
        grep -oE '\]\([^)#]+\)' "$file" | tr -d '])(' | while read -r link; do
            case $link in http*) continue ;; esac
            [ -e "$(dirname "$file")/$link" ] || echo "$file: $link"
        done
    done
}

missing_suites() {
    grep -ohE 'TESTS="?[a-z_ ]+' README.md CONTRIBUTING.md labs.md docs/*.md |
        sed 's/TESTS="*//' | tr ' ' '\n' | sort -u | while read -r name; do
        [ -z "$name" ] || [ -f "tests/$name.c" ] || [ -f "tests/$name.sh" ] ||
            echo "$name"
    done
}

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
check 'functions that do not exist' "$(missing_functions)"
check 'tests that do not exist' "$(missing_tests)"
check 'rules without a proving test' "$(unproved_rules)"
check 'events that are not listed' "$(unlisted_events)"
check 'events that nobody logs' "$(unlogged_events)"
check 'links that lead nowhere' "$(missing_links)"
check 'suites that do not exist' "$(missing_suites)"
echo "100%: Checks: $((passed + failed)), Failures: $failed, Errors: 0"
[ "$failed" = 0 ]
