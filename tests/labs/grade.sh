#!/bin/sh
# SPDX-License-Identifier: MIT
#
# grade.sh SUBMISSION OUT: grades one submission, a folder or a tarball, or a
# folder of submissions, JOBS at a time. A folder is one submission when it has
# a file that a lab names, at its place or one folder further in.
#
# Each lab of a submission is a part, graded by itself: a copy of this tree,
# with all its solutions, in which only the lab's files are the submission's.
# One that is missing is the skeleton. The part is built and run in a sandbox
# (sandbox_main.c), by a user of its own where this runs as root, and can write
# nothing but its own files. The suite's
# results come through a pipe that only the runner of the suite holds; the tests
# that count are listed by the pristine suite (report_main.c).
#
# Leaves OUT/grades.csv and, for each submission, OUT/NAME/report.html and
# results.json, with what the build and the suites wrote.
#
# Environment: PBKV_TREE, PBKV_BUILD, PBKV_MODE, CC, MAKE as everywhere; LAB are
# the labs to grade, otherwise those of which there is a file; REPEAT, JOBS;
# LIMIT_S (a part), LIMIT_MB (memory of a process).
set -u

: "${PBKV_TREE:?}" "${PBKV_BUILD:?}"
conf=$PBKV_TREE/handout/labs.conf
built=build/$(basename "$PBKV_BUILD")
tools=$PBKV_BUILD/labs
repeat=${REPEAT:-3}
limit=${LIMIT_S:-900}
memory=${LIMIT_MB:-2048}
FILE_MAX=1048576      # octets of a submitted file
TARBALL_MAX=16777216  # octets of a tarball, and of what is in it
export LC_ALL=C

field() { # LAB NUMBER: of labs.conf
    awk -F'|' -v lab="$1" -v n="$2" '$1 == lab { print $n }' "$conf"
}

all_labs() {
    awk -F'|' '!/^#/ && NF >= 6 { print $1 }' "$conf"
}

# ---- What is submitted -----------------------------------------------------

# root_of FOLDER: where the submission's files are: there, or in a folder of it.
root_of() {
    for candidate in "$1" "$1"/*/; do
        for lab in $(all_labs); do
            for file in $(field "$lab" 4); do
                if [ -e "$candidate/$file" ]; then
                    echo "$candidate"
                    return 0
                fi
            done
        done
    done
    return 1
}

# take FROM TO: copies one submitted file, if it is an ordinary one. No part of
# its path is a link.
take() {
    path=$(dirname "$1")
    while [ "$path" != "$source" ] && [ "$path" != / ] && [ "$path" != . ]; do
        [ ! -h "$path" ] || return 1
        path=$(dirname "$path")
    done
    [ -f "$1" ] && [ ! -h "$1" ] || return 1
    [ "$(stat -c %s "$1")" -le $FILE_MAX ] || return 1
    cat "$1" >"$2"
}

# unpack TARBALL FOLDER: ordinary files and folders inside FOLDER only.
unpack() {
    mkdir -p "$2" && [ "$(stat -c %s "$1")" -le $TARBALL_MAX ] || return 1
    timeout 30 tar -tvf "$1" >"$2.list" 2>/dev/null || return 1
    ! grep -q '^[^-d]' "$2.list" || return 1
    ! tar -tf "$1" | grep -qE '^/|(^|/)\.\.(/|$)' || return 1
    [ "$(awk '{ n += $3 } END { print n + 0 }' "$2.list")" -le \
        $TARBALL_MAX ] || return 1
    timeout 30 tar -xf "$1" -C "$2" --no-same-owner --no-same-permissions
}

# ---- One part --------------------------------------------------------------

# An object may not change what is outside of its lab: run before main, take the
# place of a function of the C library or of another file.
# foreign FILES: says what an object does so; nothing is good.
foreign() {
    own=
    for file in $1; do
        case $file in *.c) own="$own $built/obj/${file%.c}.o" ;; esac
    done
    # shellcheck disable=SC2086
    for object in $own; do
        if objdump -h "$object" |
            grep -qE '\.((pre)?init|fini)_array|\.[cd]tors'; then
            echo "$object runs code outside of main"
        fi
        nm "$object" | awk -v file="$object" '$2 == "i" {
            print file " has an indirect function, " $3 }'
    done
    # shellcheck disable=SC2086
    [ -z "$own" ] || nm -g --defined-only $own 2>/dev/null |
        awk 'NF == 3 { print $3 }' | sort -u >own.symbols
    [ -s own.symbols ] || return 0
    comm -12 own.symbols "$base.symbols/$lab" |
        sed 's/.*/& is defined by somebody else/'
}

# remarks FILES: names of functions that no role needs and the files call. This
# costs nothing and is for the instructor to read.
remarks() {
    for file in $1; do
        case $file in *.c) nm -u "$built/obj/${file%.c}.o" ;; esac
    done 2>/dev/null | awk '{ print $2 }' | sort -u |
        grep -xE 'fork|vfork|clone|exec.*|system|popen|_exit|_Exit|kill|raise|'`
            `'syscall|ptrace|process_vm_.*|socket|connect|fopen|'`
            `'open(at)?(64)?|'`
            `'unlink|rename|write|mmap|dlopen|dlsym|setsid|signal|sigaction' |
        tr '\n' ' '
}

sandboxed() { # OUTPUT SECONDS OPTION... -- COMMAND...: in the part's tree
    output=$1
    seconds=$2
    shift 2
    TMPDIR=/dev/shm "$tools/sandbox" --folder "$part" --output "$output" \
        --seconds "$seconds" --user "$user" --memory "$memory" --file 256 \
        --processes 300 "$@"
}

# grade_part LAB: leaves LAB.list, .results, .note, .build and .log in $place.
grade_part() {
    lab=$1
    suite=$(field "$lab" 3)
    files=$(field "$lab" 4)
    part=$area/$lab
    note=$place/$lab.note
    mkdir -p "$part"
    cp -a "$base/." "$part/"
    cp "$base.lists/$lab" "$place/$lab.list"
    : >"$note"
    for file in $files; do
        rm -f "$part/$file"
        if ! take "$source/$file" "$part/$file"; then
            cp "$PBKV_TREE/handout/skeletons/$file" "$part/$file"
            if [ -e "$source/$file" ] || [ -h "$source/$file" ]; then
                echo "$file is not an ordinary file of at most 1 MiB" >>"$note"
            else
                echo "$file is missing" >>"$note"
            fi
        fi
    done
    [ "$user" = 0 ] || chown -R "$user" "$part"
    if ! sandboxed "$place/$lab.build" 300 -- "${MAKE:-make}" -s \
        MODE="${PBKV_MODE:-debug}" CC="${CC:-gcc}" programs \
        "$built/labs/$suite"; then
        { echo "it does not build:"; grep -m 5 -E 'error|undefined|multiple' \
            "$place/$lab.build"; } >>"$note"
        return
    fi
    [ "$user" = 0 ] || chown -R 0 "$part"
    chmod -R a-w,a+rX "$part"
    found=$(cd "$part" && chmod u+w . && foreign "$files")
    if [ -n "$found" ]; then
        printf 'refused:\n%s\n' "$found" >>"$note"
        return
    fi
    used=$(cd "$part" && remarks "$files")
    [ -z "$used" ] || echo "it calls what no role needs: $used" >>"$note"
    mkdir -p "$part/runs" && chmod 777 "$part/runs"
    PBKV_TREE=$part PBKV_BUILD=$part/$built sandboxed "$place/$lab.log" \
        "$((limit + 60))" --results "$place/$lab.results" \
        --writable "$part/runs" -- \
        "$built/labs/$suite" --out runs --repeat "$repeat" --worst \
        --budget "$limit" --gradescope fd:3
    case $? in
    0 | 1) ;;
    124) echo "the suite took too long" >>"$note" ;;
    *) echo "the suite was ended from within" >>"$note" ;;
    esac
}

# ---- One submission --------------------------------------------------------

grade_one() { # SUBMISSION SLOT
    name=$(basename "$1" | tr -c 'A-Za-z0-9._\n-' '_')
    name=${name%.tar*}
    name=${name%.tgz}
    place=$out/$name
    area=$work/$2
    user=0
    [ "$(id -u)" != 0 ] || user=$((60000 + $2))
    rm -rf "$area"
    mkdir -p "$place" "$area"
    source=$1
    began=$(date +%s)
    if [ ! -d "$1" ]; then
        unpack "$1" "$area/unpacked" || echo "it cannot be unpacked" \
            >"$place/refused"
        source=$area/unpacked
    fi
    source=$(root_of "$source") || source=$area/nothing
    source=${source%/}
    labs=${LAB:-}
    if [ -z "$labs" ]; then
        for lab in $(all_labs); do
            for file in $(field "$lab" 4); do
                if [ -e "$source/$file" ] || [ -h "$source/$file" ]; then
                    labs="$labs $lab"
                    break
                fi
            done
        done
    fi
    for lab in ${labs:=$(all_labs)}; do
        grade_part "$lab"
    done
    # shellcheck disable=SC2086
    "$tools/report" "$name" "$place" $labs >"$place/line.csv"
    chmod -R u+w "$area"
    rm -rf "$area"
    echo "$name: $(cut -d, -f2-3 "$place/line.csv" | tr , /) points," \
        "$(($(date +%s) - began)) s"
}

# ---- All of them -----------------------------------------------------------

# The pristine tree that parts are copied from, without the other solutions of
# lab 2B, and what its suites are and define.
make_base() {
    mkdir -p "$base/$built" "$base.lists" "$base.symbols"
    (cd "$PBKV_TREE" && tar -cf - --exclude='*.o.tmp' .ci proto clocks node \
        viewservice pbserver client rpc sim tests Makefile handout) |
        tar -xpf - -C "$base"
    rm -rf "$base/tests/bench" "$base/tests/mutants"
    cp -p "$PBKV_TREE"/handout/skeletons/node/unfinished.[ch] "$base/node/"
    for part in config.mk proto obj; do
        cp -a "$PBKV_BUILD/$part" "$base/$built/"
    done
    "${MAKE:-make}" -s -C "$base" MODE="${PBKV_MODE:-debug}" CC="${CC:-gcc}" \
        programs >/dev/null || return 1
    find "$base/$built" -maxdepth 1 -type l -delete
    for lab in $(all_labs); do
        "$tools/$(field "$lab" 3)" --list >"$base.lists/$lab"
    done
    # Symbols of libraries, then of all objects that are not the lab's.
    ldd "$tools/lab0" | awk '$3 ~ /^\// { print $3 }' |
        xargs nm -D --defined-only 2>/dev/null |
        awk 'NF == 3 { sub(/@.*/, "", $3); print $3 }' \
            >"$base.symbols/libraries"
    (cd "$base/$built/obj" && find . -name '*.o' ! -path './tests/bench/*' \
        ! -path './tests/labs/*/*' ! -name planted.o ! -name libpbkv.o |
        sed 's|^\./||') >"$base.objects"
    for lab in $(all_labs); do
        field "$lab" 4 | tr ' ' '\n' | sed 's/\.c$/.o/' >"$base.own"
        grep -vxF -f "$base.own" "$base.objects" |
            (cd "$base/$built/obj" && xargs nm -g --defined-only 2>/dev/null) |
            awk 'NF == 3 && $3 != "main" { print $3 }' |
            cat - "$base.symbols/libraries" | sort -u >"$base.symbols/$lab"
    done
}

[ $# = 2 ] && [ -e "$1" ] && [ -n "$2" ] || {
    echo "usage: make grade SUBMISSION=dir-or-tarball OUT=dir [REPEAT=3]" >&2
    exit 2
}
submission=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
[ ! -d "$1" ] || submission=$(cd "$1" && pwd)
mkdir -p "$2" && out=$(cd "$2" && pwd) || exit 2
work=$(mktemp -d) || exit 2
chmod 711 "$work"
base=$work/base
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
make_base || exit 2

# A slot takes the next submission that nobody has taken.
grade_slot() { # SLOT SUBMISSION...
    slot=$1
    shift
    for one; do
        if mkdir "$work/taken-$(basename "$one")" 2>/dev/null; then
            count=$(find "$work" -maxdepth 1 -name 'taken-*' | wc -l)
            printf '[%d/%d] ' "$count" $#
            echo "$(basename "$one") begins"
            line=$(grade_one "$one" "$slot")
            echo "        $line"
        fi
    done
}

if [ -d "$submission" ] && ! root_of "$submission" >/dev/null &&
    [ -n "$(ls -A "$submission")" ]; then
    set -- "$submission"/*
elif [ -d "$submission" ] && [ -n "$(ls -A "$submission")" ] &&
    [ "$(root_of "$submission")" != "$submission" ] &&
    [ "$(find "$submission" -mindepth 1 -maxdepth 1 | wc -l)" -gt 1 ]; then
    set -- "$submission"/* # folders of submissions, not one in a folder
else
    set -- "$submission"
fi
slots=
for slot in $(seq "${JOBS:-2}"); do
    grade_slot "$slot" "$@" &
    slots="$slots $!"
done
# shellcheck disable=SC2086
wait $slots
{
    echo "submission,points,of,passed,tests,labs,remarks"
    for one; do
        name=$(basename "$one" | tr -c 'A-Za-z0-9._\n-' '_')
        name=${name%.tar*}
        cat "$out/${name%.tgz}/line.csv"
    done
} >"$out/grades.csv"
echo "$# graded: $out/grades.csv"
