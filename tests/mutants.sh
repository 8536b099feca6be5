#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mutants.sh [NAME...]: does anybody notice when the roles are wrong? Each patch
# in tests/mutants breaks one rule; its first line says how. The patch is
# applied to a copy of the tree, what depends on it is built, the simulator runs
# a bounded number of schedules, the explorer searches the system that the
# patch's line `explorer:` names, if there is one, and the scenarios are played.
# A mutant that none of them notices survives, and then the exit status is 1; so
# it is when the explorer does not find what the patch says it does.
#
# Two mutants are looked at at a time, each in a copy of its own. In the table,
# `schedules` counts those of all plans up to the one that found it (the plans
# with their seeds are below), `states` those of the stage that found it. Each
# finding is told: what is violated, as its instrument names it.
#
# Environment: PBKV_BUILD and PBKV_TREE are absolute folders, MODE and CC as for
# make; JOBS is how many are looked at at a time.
set -u

PLANS=${PLANS:-vicious:150 crowded:20 lossy:20 shuffled:3 swarm:30}
LIMIT=40 # seconds for one run; longer is a hang

# now: seconds, with tenths.
now() {
    date +%s.%N
}

# copy_tree TO: what the build of sim and test_scenarios needs.
copy_tree() {
    copy_parts "$1" .ci proto clocks node viewservice pbserver client rpc sim \
        Makefile
    mkdir -p "$1/tests/scenarios" "$1/$OUT/tests"
    cp -a "$PBKV_TREE/tests/suite.h" "$PBKV_TREE"/tests/time_scale.[ch] \
        "$PBKV_TREE/tests/test_scenarios.c" "$1/tests/"
    cp -a "$PBKV_TREE"/tests/scenarios/*.txt "$1/tests/scenarios/"
}

build() {
    make_quietly "$OUT/sim" "$OUT/explore" "$OUT/tests/test_scenarios"
}

# The first line in which a log tells what is violated, without the seed; a
# failed assertion tells more than the signal after it.
sentence() {
    { grep -m 1 'Assertion' "$1" || grep -m 1 '^seed [0-9]*: ' "$1"; } |
        sed -e 's/^seed [0-9]*: //' -e 's/^[^ ]*sim: //' \
            -e 's/^[^ ]*test_scenarios: //'
}

# workload_of PLAN:COUNT: a swarm draws what clients do, too.
workload_of() {
    case $1 in
    swarm:*) echo swarm ;;
    *) echo hot ;;
    esac
}

# simulate: sets plan, schedules and violated; runs in the mutant's tree.
simulate() {
    ran=0
    for plan in $PLANS; do
        timeout -k 5 $LIMIT "$OUT/sim" --plan "${plan%:*}" --jobs 1 \
            --workload "$(workload_of "$plan")" \
            --seeds "1-${plan#*:}" >sim.log 2>&1
        status=$?
        if [ $status = 0 ]; then
            ran=$((ran + ${plan#*:}))
            continue
        fi
        seed=$(sed -n 's/^seed \([0-9]*\): .*/\1/p' sim.log | head -n 1)
        simulator="${plan%:*}"
        schedules=$((ran + ${seed:-0}))
        violated="simulator: $(sentence sim.log)"
        [ $status != 124 ] || violated='simulator: a schedule does not end'
        return
    done
}

# search PROGRAM SYSTEM: searches one system. Succeeds when nothing is violated;
# a limit is no violation.
search() {
    timeout -k 5 $LIMIT "$1" --threads 1 --seconds 20 "$2" >explore.log 2>&1
    [ $? != 124 ] && ! grep -q '^VIOLATED: ' explore.log
}

# systems NAME...: the systems that patches name.
systems() {
    for name; do
        sed -n '2s/^explorer: //p' "$PBKV_TREE/tests/mutants/$name.patch"
    done | sort -u
}

# explore NAME: sets explorer, states and violated.
explore() {
    system=$(systems "$1")
    [ -n "$system" ] || return
    explorer=MISSED
    search "$OUT/explore" "$system" && return
    explorer=$system
    states=$(awk '$1 == "states" { print $2; exit }' explore.log)
    violated="${violated:+$violated; }explorer: $(sed -n \
        's/^VIOLATED: //p' explore.log)"
}

# is_sound: whether nobody notices anything when nothing is broken; otherwise
# the table would mean nothing.
is_sound() {
    for plan in $PLANS; do
        "$PBKV_BUILD/sim" --plan "${plan%:*}" --seeds "1-${plan#*:}" \
            --workload "$(workload_of "$plan")" \
            >"$RESULTS/.sound" 2>&1 || return 1
    done
    for system in $(systems "$@"); do
        (cd "$RESULTS" && search "$PBKV_BUILD/explore" "$system") || {
            cp "$RESULTS/explore.log" "$RESULTS/.sound"
            return 1
        }
    done
    "$PBKV_BUILD/tests/test_scenarios" >"$RESULTS/.sound" 2>&1
}

# play PATCH: counts the scenarios that notice. When nobody else does, the first
# of them is the finding, or rather the first about the broken rule.
play() {
    PBKV_TREE=$PWD timeout -k 5 $LIMIT "$OUT/tests/test_scenarios" \
        >scenarios.log 2>&1
    [ $? != 0 ] || return
    grep -E '^tests[^ ]*:[EF]:[a-z0-9_]*\.txt:' scenarios.log >noticed
    scenarios=$(wc -l <noticed)
    [ -z "$violated" ] || return
    rule=$(sed 's/[^A-Z0-9].*//; q' "$1" | tr VPTC vptc)
    violated=$({ grep ":${rule}_" noticed || cat noticed; } | head -n 1 |
        sed 's/^[^ ]*: //; s|^tests/scenarios/||')
    case $violated in
    *Received\ signal*) violated=$(sentence scenarios.log) ;;
    esac
    violated="scenario: $violated"
}

# look_at NAME PATCH: one mutant; writes a line of the table.
look_at() {
    simulator=-
    schedules=-
    explorer=-
    states=-
    violated=
    scenarios=0
    began=$(now)
    if [ -n "$broken" ]; then
        violated=$broken
    elif ! build >build.log 2>&1; then
        violated="it does not build: $(grep -m 1 error build.log)"
    else
        simulate
        explore "$1"
        play "$2"
    fi
    took=$(echo "$(now) $began" | awk '{ printf "%.1f", $1 - $2 }')
    printf '%s|%s|%s|%s|%s|%s|%s|%s\n' "$1" "$simulator" "$schedules" \
        "$explorer" "$states" "$scenarios" "$took" "$violated" >"$RESULTS/$1"
}

print_table() {
    line='%-33s %-9s %9s %-17s %8s %9s %7s  %s\n'
    # shellcheck disable=SC2059
    printf "$line" mutant simulator schedules explorer states scenarios \
        seconds violated
    for name; do
        [ -f "$RESULTS/$name" ] || echo "$name|-|-|-|-|0|0|not looked at"
        [ ! -f "$RESULTS/$name" ] || cat "$RESULTS/$name"
    done | awk -F'|' -v line="$line" '
        { missed += $4 == "MISSED"
          found = $2 != "-" || ($4 != "-" && $4 != "MISSED") || $6 > 0
          printf line, $1, $2, $3, $4, $5, $6, $7, (found ? "" : "SURVIVED ") $8
          all++; survived += !found
          simulator += $2 != "-"; scenarios += $6 > 0
          explorer += $4 != "-" && $4 != "MISSED" }
        END { printf "%d mutants: %d found by the simulator, ", all, simulator
              printf "%d by the explorer, %d by scenarios, ", explorer,
                     scenarios
              printf "%d survived\n", survived
              exit survived > 0 || missed > 0 || all == 0 }'
}

# shellcheck source=tests/mutants_work.sh
. "${PBKV_TREE:?}/tests/mutants_work.sh"
# shellcheck disable=SC2046
[ $# != 0 ] || set -- $(all_mutants "$PBKV_TREE/tests/mutants")
if ! is_sound "$@"; then
    echo 'mutants.sh: something is wrong before anything is broken:' >&2
    tail -n 5 "$RESULTS/.sound" >&2
    exit 1
fi
look_at_all "$@"
print_table "$@"
