# SPDX-License-Identifier: MIT
#
# mutants_work.sh: what the two programs that look at mutants share, read by
# both (tests/mutants.sh, tests/labs/mutants.sh). JOBS workers, each with a copy
# of the tree of its own, take names until there are none left; a patch is
# applied to the copy, what look_at says of it goes to the file $RESULTS/NAME,
# and the files that the patch changes are put back.
#
# Who reads this has functions copy_tree FOLDER and look_at NAME PATCH, which is
# called in the copy with the patch applied, or with the reason why it is not in
# $broken; and calls look_at_all.

: "${PBKV_BUILD:?}" "${PBKV_TREE:?}"
# shellcheck disable=SC2034
OUT=build/$(basename "$PBKV_BUILD")
RESULTS=$(mktemp -d) || exit 1
workers=
trap 'kill $workers 2>/dev/null; rm -rf "$RESULTS"' EXIT
trap 'exit 130' INT TERM

# all_mutants FOLDER...: the names of their patches.
all_mutants() {
    ls "$@" | sed -n 's/\.patch$//p'
}

patch_named() {
    find "$PBKV_TREE/tests/mutants" "$PBKV_TREE/tests/labs/mutants" \
        -name "$1.patch" | head -n 1
}

# make_quietly TARGET...: in a copy.
make_quietly() {
    "${MAKE:-make}" -s MODE="${PBKV_MODE:-debug}" CC="${CC:-gcc}" "$@"
}

# copy_parts FOLDER PART...: copies parts of the tree, and what has been built.
copy_parts() {
    to=$1
    shift
    mkdir -p "$to/$OUT"
    for part; do
        cp -a "$PBKV_TREE/$part" "$to/"
    done
    for part in config.mk proto obj; do
        cp -a "$PBKV_BUILD/$part" "$to/$OUT/"
    done
}

# Files that are put back are newer than their objects.
try_patch() { # NAME
    patch=$(patch_named "$1")
    broken=
    patch -s -F0 -p1 <"$patch" >patch.log 2>&1 ||
        broken="the patch does not apply: $(head -n 1 patch.log)"
    look_at "$1" "$patch"
    for file in $(sed -n 's|^+++ b/||p' "$patch"); do
        cp "$PBKV_TREE/$file" "$file"
    done
}

work() { # FOLDER NAME...: mkdir lets only one worker have each
    copy_tree "$1"
    cd "$1" || exit 1
    shift
    for name; do
        if mkdir "$RESULTS/.$name" 2>/dev/null; then
            try_patch "$name"
        fi
    done
}

look_at_all() { # NAME...
    for worker in $(seq "${JOBS:-2}"); do
        work "$RESULTS/tree$worker" "$@" &
        workers="$workers $!"
    done
    # shellcheck disable=SC2086
    wait $workers
}
