#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mutants.sh [NAME...]: does anybody notice when the roles are wrong? Each patch
# in tests/mutants breaks one rule; its first line says how. The patch is
# applied to a copy of the tree, what depends on it is built, and the simulator
# runs a bounded number of schedules; then the scenarios are played. A mutant
# that neither notices survives, and then the exit status is 1.
#
# Two mutants are looked at at a time, each in a copy of its own. A simulator
# column such as "vicious 17" is the plan and how many schedules of all plans it
# took. The plans and their seeds are below.
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
    mkdir -p "$1/tests/scenarios" "$1/$OUT/tests"
    for folder in .ci proto clocks node viewservice pbserver client rpc sim; do
        cp -a "$PBKV_TREE/$folder" "$1/"
    done
    cp -a "$PBKV_TREE/Makefile" "$1/"
    cp -a "$PBKV_TREE/tests/suite.h" "$PBKV_TREE/tests/test_scenarios.c" \
        "$1/tests/"
    cp -a "$PBKV_TREE"/tests/scenarios/*.txt "$1/tests/scenarios/"
    for part in config.mk proto obj; do
        cp -a "$PBKV_BUILD/$part" "$1/$OUT/"
    done
}

build() {
    "${MAKE:-make}" -s MODE="${PBKV_MODE:-debug}" CC="${CC:-gcc}" \
        "$OUT/sim" "$OUT/tests/test_scenarios"
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

# simulate: sets found, after and violated; runs in the mutant's tree.
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
        found="${plan%:*}"
        after=$((ran + ${seed:-0}))
        violated=$(sentence sim.log)
        [ $status != 124 ] || violated='a schedule does not end'
        return
    done
}

# is_sound: whether nobody notices anything when nothing is broken; otherwise
# the table would mean nothing.
is_sound() {
    for plan in $PLANS; do
        "$PBKV_BUILD/sim" --plan "${plan%:*}" --seeds "1-${plan#*:}" \
            --workload "$(workload_of "$plan")" \
            >"$RESULTS/.sound" 2>&1 || return 1
    done
    "$PBKV_BUILD/tests/test_scenarios" >"$RESULTS/.sound" 2>&1
}

# play: counts the scenarios that notice. When the simulator does not, the first
# of them is the finding, or rather the first about the broken rule.
play() {
    PBKV_TREE=$PWD timeout -k 5 $LIMIT "$OUT/tests/test_scenarios" \
        >scenarios.log 2>&1
    [ $? != 0 ] || return
    grep -E '^tests[^ ]*:[EF]:[a-z0-9_]*\.txt:' scenarios.log >noticed
    scenarios=$(wc -l <noticed)
    [ -z "$found" ] || return
    found='scenario'
    after=-
    rule=$(sed 's/[^A-Z0-9].*//; q' "$patch" | tr VPTC vptc)
    violated=$({ grep ":${rule}_" noticed || cat noticed; } | head -n 1 |
        sed 's/^[^ ]*: //; s|^tests/scenarios/||')
    case $violated in
    *Received\ signal*) violated=$(sentence scenarios.log) ;;
    esac
}

# look_at NAME: one mutant, in the tree of the worker; writes a line of the
# table to the file NAME.
look_at() {
    patch=$PBKV_TREE/tests/mutants/$1.patch
    found=
    after=-
    violated=
    scenarios=0
    began=$(now)
    if ! patch -s -p1 <"$patch" >patch.log 2>&1; then
        violated="the patch does not apply: $(head -n 1 patch.log)"
    elif ! build >build.log 2>&1; then
        violated="it does not build: $(grep -m 1 error build.log)"
    else
        simulate
        play
    fi
    took=$(echo "$(now) $began" | awk '{ printf "%.1f", $1 - $2 }')
    printf '%s|%s|%s|%s|%s|%s\n' "$1" "${found:-SURVIVED}" "$after" \
        "$scenarios" "$took" "$violated" >"$RESULTS/$1"
    patch -s -R -p1 <"$patch" >/dev/null 2>&1 || {
        cp -a "$PBKV_TREE/pbserver" "$PBKV_TREE/viewservice" \
            "$PBKV_TREE/client" .
        touch pbserver/*.c viewservice/*.c client/*.c
    }
}

# The worker: takes names until there are none left, as mkdir lets only one
# have each.
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
    printf '%-34s %-9s %6s %9s %6s  %s\n' mutant found after scenarios \
        seconds violated
    for name; do
        [ -f "$RESULTS/$name" ] || echo "$name|SURVIVED|-|0|0|not looked at"
        [ ! -f "$RESULTS/$name" ] || cat "$RESULTS/$name"
    done | awk -F'|' '
        { printf "%-34s %-9s %6s %9s %6s  %s\n", $1, $2, $3, $4, $5, $6
          all++; survived += $2 == "SURVIVED"
          simulator += $3 != "-"; scenarios += $4 > 0 }
        END { printf "%d mutants: %d found by the simulator, %d by scenarios, ",
                     all, simulator, scenarios
              printf "%d survived\n", survived
              exit survived > 0 || all == 0 }'
}

: "${PBKV_BUILD:?}" "${PBKV_TREE:?}"
OUT=build/$(basename "$PBKV_BUILD")
if [ $# = 0 ]; then
    # shellcheck disable=SC2046
    set -- $(cd "$PBKV_TREE/tests/mutants" && ls | sed -n 's/\.patch$//p')
fi
RESULTS=$(mktemp -d) || exit 1
workers=
trap 'kill $workers 2>/dev/null; rm -rf "$RESULTS"' EXIT
trap 'exit 130' INT TERM
if ! is_sound; then
    echo 'mutants.sh: something is wrong before anything is broken:' >&2
    tail -n 5 "$RESULTS/.sound" >&2
    exit 1
fi
for worker in $(seq "${JOBS:-2}"); do
    work "$RESULTS/tree$worker" "$@" &
    workers="$workers $!"
done
# shellcheck disable=SC2086
wait $workers
print_table "$@"
