#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run_afl.sh FOLDER SECONDS TARGET...: gives AFL++ the targets FOLDER/fuzz_*,
# one after the other, all together for about so many seconds. Prints of each
# what afl-fuzz says: inputs tried, how many in a second, edges reached. What it
# finds is under FOLDER/afl. Exit status 1 when an input crashed or hung.
set -eu

folder=$1
seconds=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
each=$((seconds / $#))
[ "$each" -ge 5 ] || each=5
failed=0

# The settings of the system are not ours to change.
export AFL_SKIP_CPUFREQ=1 AFL_NO_UI=1 AFL_NO_AFFINITY=1
export AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1

value() { # NAME: from fuzzer_stats
    sed -n "s/^$1 *: *//p" "$folder/afl/$target/default/fuzzer_stats"
}

for target; do
    rm -rf "$folder/afl/$target"
    mkdir -p "$folder/afl"
    status=0
    timeout $((each + 120)) afl-fuzz -i "$here/corpus/$target" \
        -o "$folder/afl/$target" -V "$each" -t 5000 \
        "$folder/fuzz_$target" >"$folder/afl/$target.log" 2>&1 || status=$?
    if [ "$status" != 0 ]; then
        echo "$target FAILED (status $status); the end of its log:"
        tail -n 20 "$folder/afl/$target.log"
        failed=1
        continue
    fi
    printf '%-12s %9s inputs %8s per second %5s edges\n' "$target" \
        "$(value execs_done)" "$(value execs_per_sec)" "$(value edges_found)"
    if [ "$(value saved_crashes)" != 0 ] ||
        [ "$(value saved_hangs)" != 0 ]; then
        echo "$target FAILED: see $folder/afl/$target/default"
        failed=1
    fi
done
exit "$failed"
