#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh FOLDER SECONDS TARGET...: gives libFuzzer the targets FOLDER/fuzz_*,
# two at a time, all together for about so many seconds. Starts from the seeds
# in the tree and from what earlier runs found, which stays in FOLDER/found. One
# line per target: inputs tried, how many in a second, and edges reached. An
# input that crashes stays in FOLDER/crashes, and the line to keep it is
# printed. Exit status 1 when there is one.
set -eu

folder=$1
seconds=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)

# The corpora of a target; some read what other tests have already.
seeds() {
    echo "$here/corpus/$1"
    [ ! -d "$here/regressions/$1" ] || echo "$here/regressions/$1"
    case $1 in
    scenario) echo "$here/../scenarios" ;;
    history) echo "$here/../histories" ;;
    esac
}

# Long inputs for sequences of events, from the beginning.
options() {
    case $1 in
    server | view_server | client) echo "-max_len=1500 -len_control=0" ;;
    scenario) echo "-max_len=1500 -timeout=25" ;;
    esac
}

run_one() {
    target=$1
    found=$folder/found/$target
    log=$folder/$target.log
    status=0
    mkdir -p "$found" "$folder/crashes"
    # shellcheck disable=SC2046
    "$folder/fuzz_$target" -max_total_time="$each" -timeout=10 \
        -rss_limit_mb=1024 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$folder/crashes/$target-" $(options "$target") \
        "$found" $(seeds "$target") >"$log" 2>&1 || status=$?
    awk -v name="$target" '
        / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
        /number_of_executed_units/ { tried = $2 }
        /average_exec_per_sec/ { rate = $2 }
        END { printf "%-12s %9d inputs %8d per second %5d edges\n",
            name, tried, rate, edges }' "$log"
    [ "$status" = 0 ] && return
    echo "$target FAILED (status $status); the end of $log:"
    grep -v '^#[0-9]*.*cov:' "$log" | tail -n 40
    echo "keep the input, under a name that says what was wrong:"
    echo "    mkdir -p $here/regressions/$target"
    kept=$here/regressions/$target/
    sed -n "s|.*Test unit written to \(.*\)|    cp \1 $kept|p" "$log"
    return 1
}

if [ "$1" = --one ]; then
    each=$seconds
    run_one "$2"
    exit
fi

each=$(((seconds * 2 + $# - 1) / $#))
[ "$each" -gt 0 ] || each=1
printf '%s\n' "$@" | xargs -P 2 -n 1 "$0" "$folder" "$each" --one
