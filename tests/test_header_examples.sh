#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual in client/pbkv.h: every example in its comments is a complete
# program that compiles without a warning and, once the library is built, links
# with it and runs to its end. The header alone is good C11 and good C++.
#
# An example is what stands between "@example NAME" and "@end".
set -eu

header=$PBKV_TREE/client/pbkv.h
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
checks=0
failures=0

judge() { # NAME COMMAND...
    checks=$((checks + 1))
    name=$1
    shift
    if ! "$@" >"$work/out" 2>&1; then
        failures=$((failures + 1))
        echo "$name failed:"
        cat "$work/out"
    fi
}

awk -v directory="$work" '
    / \* @end/ { close(file); file = ""; next }
    / \* @example / { file = directory "/" $3 ".c"; next }
    file != "" { sub(/^ \*( {5})?/, ""); print > file }
' "$header"

strict='-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror'
for example in "$work"/*.c; do
    name=$(basename "$example" .c)
    # shellcheck disable=SC2086
    judge "the_example_${name}_compiles" ${CC:-cc} -std=c11 $strict \
        -D_POSIX_C_SOURCE=200809L -I"$PBKV_TREE/client" -c \
        -o "$work/$name.o" "$example"
done
judge there_are_at_least_three_examples test "$checks" -ge 3

printf '#include "pbkv.h"\nint main(void) { return 0; }\n' >"$work/alone.c"
cp "$work/alone.c" "$work/alone.cc"
# shellcheck disable=SC2086
judge the_header_alone_is_good_c ${CC:-cc} -std=c11 $strict \
    -I"$PBKV_TREE/client" -fsyntax-only "$work/alone.c"
if command -v c++ >/dev/null; then
    judge the_header_alone_is_good_cxx c++ -std=c++11 -Wall -Wextra \
        -Wpedantic -Werror -I"$PBKV_TREE/client" -fsyntax-only "$work/alone.cc"
fi
judge the_header_includes_only_standard_headers sh -c \
    "! grep -n '^ *# *include' '$header' | grep -v '<std[a-z]*\.h>'"

# With nobody at the address the example fails as it says; it does not crash.
case ${PBKV_MODE:-debug} in
debug | release)
    if [ -f "$PBKV_BUILD/libpbkv.so" ]; then
        # shellcheck disable=SC2086
        judge an_example_links ${CC:-cc} -o "$work/list" "$work/list.o" \
            -L"$PBKV_BUILD" -lpbkv -Wl,-rpath,"$PBKV_BUILD"
        judge an_example_runs_to_its_end sh -c \
            "'$work/list' 'unix:$work/nobody'; test \$? = 1"
    fi
    ;;
esac

echo "100%: Checks: $checks, Failures: $failures, Errors: 0"
[ "$failures" = 0 ]
