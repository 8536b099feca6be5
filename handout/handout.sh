#!/bin/sh
# SPDX-License-Identifier: MIT
#
# handout.sh LAB OUT [previous]: makes the student tree of a lab in OUT, which
# must not exist or be empty, and OUT.tar.gz. labs.conf says which files are
# whose:
#
#   labs before LAB   skeletons, or with "previous" the solutions
#   LAB itself        skeletons
#   labs after it     stand-ins, where the runtime needs something that works
#                     (handout/standins); otherwise skeletons
#
# One more file is a stand-in everywhere: it would tell how lab 1A is done.
#
# What else belongs to a student's tree is decided by is_given. At the end the
# tree is searched for lines of the solutions that are not in it; one that is
# found fails the run. Given files keep their times, so objects that were built
# from them are good in the new tree.
set -eu

usage() {
    echo "usage: make handout LAB=2b OUT=dir [WITH_PREVIOUS=1]" >&2
    exit 1
}

[ $# -ge 2 ] && [ -n "$1" ] && [ -n "$2" ] || usage
lab=$1
out=$2
previous=${3:-}
tree=$(cd "$(dirname "$0")/.." && pwd)
conf=$tree/handout/labs.conf
grep -q "^$lab|" "$conf" || {
    echo "there is no lab called $lab" >&2
    exit 1
}
if [ -e "$out" ] && [ -n "$(ls -A "$out")" ]; then
    echo "$out is there already" >&2
    exit 1
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

# Lines of labs.conf: "before|own|after" and the fields.
awk -F'|' -v OFS='|' -v lab="$lab" '
    /^#/ || NF < 6 { next }
    $1 == lab { print "own", $0; seen = 1; next }
    { print seen ? "after" : "before", $0 }' "$conf" >"$work/labs"

# The files of this tree; without git, all that is not built.
list_files() {
    cd "$tree"
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1 &&
        [ "$(git rev-parse --show-toplevel)" = "$tree" ]; then
        git ls-files
    else
        find . -type f ! -path './build/*' ! -path './.git/*' | sed 's|^\./||'
    fi
}

# What a student gets besides the files of the labs. Lab 2C's store has a
# planted bug; it is a solution of lab 2B in all other respects.
is_given() {
    case $1 in
    handout/labs.conf | tests/test_purity.sh) return 0 ;;
    docs/protocol.md | docs/using.md | docs/grading.md | docs/man/*) return 0 ;;
    .ci/configure | .ci/deps | .ci/lint) return 0 ;;
    handout/* | docs/* | .ci/*) return 1 ;;
    README.md | CHANGELOG.md | CONTRIBUTING.md) return 1 ;;
    tests/effects.[ch] | clocks/stamp.c) return 1 ;;
    tests/test_* | tests/live_* | tests/demo* | tests/bench/*) return 1 ;;
    tests/fuzz/* | tests/chaos/* | tests/race_* | tests/reports.sh) return 1 ;;
    tests/mutants* | tests/scenarios/*) return 1 ;;
    tests/labs/lab2c.c | tests/labs/microscope*) [ "$lab" = 2c ] ;;
    tests/labs/solutions/member.[ch]) [ "$lab" = 2c ] ;;
    tests/labs/mutants* | tests/labs/solutions/*) return 1 ;;
    tests/labs/planted/* | tests/graded.sh | tests/handouts.sh) return 1 ;;
    tests/labs/grade.sh | tests/labs/sandbox* | tests/labs/report_*) return 1 ;;
    esac
}

put() { # FROM TO: one file of the student's tree
    mkdir -p "$(dirname "$out/$2")"
    cp -p "$1" "$out/$2"
}

skeleton_of() { # PATH WHEN: the file that takes the solution's place
    if [ "$2" = after ] && [ -e "$tree/handout/standins/$1" ]; then
        echo "$tree/handout/standins/$1"
    else
        echo "$tree/handout/skeletons/$1"
    fi
}

: >"$work/replaced"
while IFS='|' read -r when _ _ _ files _; do
    for file in $files; do
        if [ "$when" = before ] && [ -n "$previous" ]; then
            put "$tree/$file" "$file"
        else
            put "$(skeleton_of "$file" "$when")" "$file"
            touch "$out/$file"
            echo "$file" >>"$work/replaced"
        fi
        echo "$file" >>"$work/owned"
    done
done <"$work/labs"
put "$tree/handout/standins/clocks/stamp.c" clocks/stamp.c
touch "$out/clocks/stamp.c"
echo clocks/stamp.c >>"$work/replaced"

list_files | while read -r file; do
    if is_given "$file" && ! grep -qxF "$file" "$work/owned" &&
        [ -f "$tree/$file" ]; then
        put "$tree/$file" "$file"
        echo "$out/$file" >>"$work/given"
    fi
done
for file in unfinished.h unfinished.c; do
    put "$tree/handout/skeletons/node/$file" "node/$file"
done
if [ "$lab" = 2c ]; then
    mkdir -p "$out/tests/labs/planted"
    patch -s -o "$out/tests/labs/planted/replica.c" \
        "$tree/tests/labs/solutions/stopwait/replica.c" \
        "$tree/tests/labs/planted/late_confirmation.patch"
    echo "$out/tests/labs/planted/replica.c" >>"$work/given"
fi

own=$(grep '^own|' "$work/labs")
title=$(echo "$own" | cut -d'|' -f3)
suite=$(echo "$own" | cut -d'|' -f4)
files=$(echo "$own" | cut -d'|' -f5)
if [ -n "$previous" ]; then
    before='are the ones of the labs before this one, complete'
else
    before='of the labs before this one are skeletons, too: put your own there'
fi
sed -e "s|@LAB@|$lab|g" -e "s|@TITLE@|$title|g" -e "s|@SUITE@|$suite|g" \
    -e "s|@BEFORE@|$before|" "$tree/handout/README.md" |
    awk -v files="$files" '
        /^@FILES@$/ { n = split(files, file, " ")
                      for (i = 1; i <= n; i++) print "- `" file[i] "`"
                      next }
        { print }' >"$out/README.md"

# ---- No solution text ------------------------------------------------------

# Lines are compared without what surrounds them; short ones say nothing. A line
# that given code has, too, is no solution, nor is one of interface.txt: there
# are the lines, of declarations and tables, that skeletons share on purpose.
while read -r file; do
    case $file in
    *.[ch] | *.txt) echo "$tree/$file" ;;
    esac
done <"$work/replaced" >"$work/solutions"
if [ "$lab" != 2c ]; then
    find "$tree/tests/labs/solutions" -name '*.[ch]' >>"$work/solutions" || :
fi
{
    echo "$tree/handout/interface.txt"
    grep '\.[ch]$' "$work/given"
} >"$work/code"
find "$out" -type f >"$work/all"
grep -vxF -f "$work/code" "$work/all" >"$work/searched"
while IFS='|' read -r when _ _ _ files _; do # the solutions given on purpose
    [ "$when" = before ] && [ -n "$previous" ] || continue
    for file in $files; do
        echo "$out/$file" >>"$work/code"
        grep -vxF "$out/$file" "$work/searched" >"$work/next" || :
        mv "$work/next" "$work/searched"
    done
done <"$work/labs"
awk -v lists="$work/code $work/solutions $work/searched" '
    function said(line) {
        sub(/^[ \t]*(\/?\*+)?[ \t]*/, "", line)
        sub(/[ \t]*(\*\/)?[;{,\\]?[ \t]*$/, "", line)
        return line
    }
    BEGIN {
        split(lists, list, " ")
        while ((getline file < list[1]) > 0)
            while ((getline line < file) > 0) given[said(line)] = 1
        while ((getline file < list[2]) > 0)
            while ((getline line < file) > 0) {
                text = said(line)
                if (length(text) >= 30 && !(text in given) &&
                    line !~ /^[a-z].*[(,)]$/ && line !~ /^# /) secret[text] = 1
            }
        while ((getline file < list[3]) > 0) {
            number = 0
            while ((getline line < file) > 0) {
                number++
                if (said(line) in secret) {
                    print file ":" number ": " line
                    found++
                }
            }
        }
        for (text in secret) secrets++
        printf "%d lines of solutions looked for, %d found\n",
            secrets, found + 0
        exit found > 0
    }' >"$work/search" || {
    echo "a line of a solution is in the handout:" >&2
    cat "$work/search" >&2
    exit 1
}

(cd "$(dirname "$out")" && tar -czf "$out.tar.gz" "$(basename "$out")")
echo "lab $lab, $title: $(wc -l <"$work/all") files in $out and $out.tar.gz;" \
    "$(cat "$work/search")"
