#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The build itself, without building anything: make is asked what it would do.
# Needs a finished build of the programs, libraries and test programs.
set -eu

cd "$PBKV_TREE"
unset MAKEFLAGS MFLAGS MAKELEVEL || true
build=build/${PBKV_BUILD##*/}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
checks=0
failures=0

would_make() {
    "${MAKE:-make}" -n CC="$CC" MODE="$PBKV_MODE" V=1 "$@"
}

judge() { # NAME: whether the last command succeeded
    checks=$((checks + 1))
    if [ "$2" != 0 ]; then
        failures=$((failures + 1))
        echo "$1 failed:"
        cat "$work/out"
    fi
}

# A second make has nothing to do.
status=0
would_make all suites >"$work/out" 2>&1 || status=1
if grep -Ev '^:$' "$work/out"; then
    status=1
fi
judge a_second_make_does_nothing $status

# Touching the messages compiles exactly the objects that include them. Those of
# the labs may be there, too, but are no part of this.
grep -l 'proto/pbkv\.pb-c\.[ch]' $(find "$build/obj" -name '*.d') |
    sed 's/d$/o/' | while read -r object; do
    source=${object#"$build/obj/"}
    case $source in
    proto/*) echo "$object" ;;
    tests/labs/*) ;;
    *) [ ! -f "${source%.o}.c" ] || echo "$object" ;;
    esac
done | sort >"$work/wanted"
would_make -W proto/pbkv.proto all suites >"$work/out" 2>&1 || true
sed -n 's/.* -c -o \([^ ]*\) .*/\1/p' "$work/out" | sort >"$work/got"
status=0
[ -s "$work/wanted" ] || status=1
diff "$work/wanted" "$work/got" >>"$work/out" || status=1
judge touching_the_messages_compiles_who_includes_them $status

# The clocks' arithmetic does not include them, so something stays.
status=0
find "$build/obj" -name '*.o' | grep -vc /tests/labs/ >"$work/out"
[ "$(wc -l <"$work/got")" -lt "$(cat "$work/out")" ] || status=1
judge touching_the_messages_does_not_compile_everything $status

# Nothing is ever compiled without its assertions.
status=0
"${MAKE:-make}" -n CC="$CC" MODE=release V=1 all \
    $(find . -name '*.c' ! -path './build/*' | sed 's|^\./|-W |') \
    >"$work/out" 2>&1 || status=1
grep -q ' -c -o ' "$work/out" || status=1
if grep -e '-DNDEBUG' "$work/out"; then
    status=1
fi
judge assertions_stay_in_a_release $status

echo "$((100 * (checks - failures) / checks))%: Checks: $checks," \
    "Failures: $failures, Errors: 0"
[ "$failures" = 0 ]
