#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs into a temporary folder, uses what is there as a stranger would (with
# pkg-config, shared and static, each example of pbkv.h), and uninstalls.
set -eu

cd "$PBKV_TREE"
unset MAKEFLAGS MFLAGS MAKELEVEL || true
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
root=$work/root
prefix=/opt/pbkv
checks=0
failures=0

judge() { # NAME STATUS: prints what the last step said when it failed
    checks=$((checks + 1))
    if [ "$2" != 0 ]; then
        failures=$((failures + 1))
        echo "$1 failed:"
        cat "$work/out"
    fi
}

make_it() {
    "${MAKE:-make}" CC="$CC" MODE="$PBKV_MODE" PREFIX="$prefix" \
        DESTDIR="$root" "$@" >"$work/out" 2>&1
}

packages() {
    PKG_CONFIG_PATH=$root$prefix/lib/pkgconfig \
        PKG_CONFIG_SYSROOT_DIR=$root pkg-config "$@" pbkv
}

status=0
make_it install || status=1
judge make_install $status

status=0
for file in bin/viewservice bin/pbserver bin/pbkv bin/tracecheck \
    lib/libpbkv.a lib/libpbkv.so lib/libpbkv.so.0 lib/libpbkv.so.0.1.0 \
    include/pbkv.h lib/pkgconfig/pbkv.pc share/man/man1/viewservice.1 \
    share/man/man1/pbserver.1 share/man/man1/pbkv.1 \
    share/man/man1/tracecheck.1 share/man/man3/pbkv.3; do
    if [ ! -e "$root$prefix/$file" ]; then
        echo "$file is missing" >>"$work/out"
        status=1
    fi
done
judge everything_is_there $status

status=0
for program in viewservice pbserver pbkv tracecheck; do
    "$root$prefix/bin/$program" --version >"$work/out" 2>&1 || status=1
    grep -q 0.1.0 "$work/out" || status=1
done
judge the_programs_say_their_version $status

# What the header declares is what the libraries show, and nothing else.
tr '\n' ' ' <"$root$prefix/include/pbkv.h" | sed 's|/\*|\n&|g' |
    sed 's|^/\*.*\*/||' | tr -d '\n' | tr ';' '\n' |
    sed -n 's/.*PBKV_API.*[ *]\(pbkv_[a-z_]*\)(.*/\1/p' | sort >"$work/declared"
status=0
[ -s "$work/declared" ] || status=1
nm -D --defined-only "$root$prefix/lib/libpbkv.so" | awk '{ print $3 }' |
    sort >"$work/shown"
diff "$work/declared" "$work/shown" >"$work/out" || status=1
judge the_shared_library_shows_the_header_only $status

status=0
nm -g --defined-only "$root$prefix/lib/libpbkv.a" |
    awk 'NF == 3 { print $3 }' | sort >"$work/shown"
diff "$work/declared" "$work/shown" >"$work/out" || status=1
judge the_static_library_shows_the_header_only $status

case $PBKV_MODE in
asan) extra=-fsanitize=address,undefined ;;
tsan) extra=-fsanitize=thread ;;
cov) extra=--coverage ;;
*) extra= ;;
esac

# Each example between "@example NAME" and "@end" in the header is a program.
mkdir "$work/examples"
awk -v to="$work/examples/" '
    /@end/ { file = "" }
    file { sub(/^ \* ? ? ? ? ?/, ""); print >file }
    /@example / { file = to $3 ".c" }' "$root$prefix/include/pbkv.h"
count=0
for source in "$work"/examples/*.c; do
    [ -f "$source" ] || continue
    count=$((count + 1))
    program=${source%.c}
    flags="-std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror -pthread"
    status=0
    $CC $flags $extra $(packages --cflags) -o "$program" "$source" \
        $(packages --libs) >"$work/out" 2>&1 || status=1
    judge "${program##*/}_with_the_shared_library" $status
    status=0
    $CC $flags $extra $(packages --cflags) -o "$program-static" "$source" \
        $(packages --static --libs | sed 's/-lpbkv/-l:libpbkv.a/') \
        >"$work/out" 2>&1 || status=1
    if readelf -d "$program-static" | grep libpbkv >>"$work/out"; then
        status=1
    fi
    judge "${program##*/}_with_the_static_library" $status
done
status=0
echo "$count examples" >"$work/out"
[ "$count" -gt 0 ] || status=1
judge the_header_has_examples $status

# An example runs; with nobody at its address it says so and fails.
status=0
if [ -x "$work/examples/list" ]; then
    for program in list list-static; do
        result=0
        LD_LIBRARY_PATH=$root$prefix/lib "$work/examples/$program" \
            "unix:$work/nobody" >"$work/out" 2>&1 || result=$?
        [ "$result" = 1 ] || status=1
    done
else
    status=1
fi
judge an_example_runs_and_times_out $status

# A C++ program may use the header, too, if there is a compiler.
if command -v g++ >/dev/null; then
    status=0
    g++ -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ \
        "$root$prefix/include/pbkv.h" >"$work/out" 2>&1 || status=1
    judge the_header_is_cplusplus $status
fi

status=0
make_it uninstall || status=1
find "$root" ! -type d >>"$work/out"
[ -z "$(find "$root" ! -type d)" ] || status=1
judge make_uninstall_leaves_no_file $status

echo "$((100 * (checks - failures) / checks))%: Checks: $checks," \
    "Failures: $failures, Errors: 0"
[ "$failures" = 0 ]
