#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The fuzz targets on what was kept: seeds, and every input that once crashed.
# One check for each target. The last line counts as a suite's (tests/run.sh).
set -u

cd "${PBKV_TREE:?}" || exit 1
checks=0
failures=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

for source in tests/fuzz/fuzz_*.c; do
    target=${source#tests/fuzz/fuzz_}
    target=${target%.c}
    set -- "tests/fuzz/corpus/$target"
    [ ! -d "tests/fuzz/regressions/$target" ] ||
        set -- "$@" "tests/fuzz/regressions/$target"
    checks=$((checks + 1))
    if ! "${PBKV_BUILD:?}/fuzz/fuzz_$target" "$@" >"$work/out" 2>&1; then
        failures=$((failures + 1))
        echo "$target failed at the last of these:"
        tail -n 30 "$work/out"
    fi
done

# Every kept input belongs to a target.
checks=$((checks + 1))
for folder in tests/fuzz/corpus/* tests/fuzz/regressions/*; do
    if [ ! -f "tests/fuzz/fuzz_${folder##*/}.c" ]; then
        echo "no target reads $folder"
        failures=1
    fi
done

echo "$((100 * (checks - failures) / checks))%: Checks: $checks," \
    "Failures: $failures, Errors: 0"
[ "$failures" = 0 ]
