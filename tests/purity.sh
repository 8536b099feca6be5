#!/bin/sh
# SPDX-License-Identifier: MIT
#
# purity.sh TREE OBJECTS [ALLOW]: proves that roles are functions of their state
# and an event. From the object files under OBJECTS:
#
#   - no object of a listed module leaves a symbol undefined that is neither on
#     the allow-list nor defined in a module it may depend on;
#   - so no role uses a role, a runtime, a clock, a socket or a file;
#   - no object, of the runtime and the programs neither, defines data that can
#     be changed.
#
# From the sources under TREE: includes go in the same directions.
#
# One line per finding; exit status 1 when there is one.
set -eu

tree=$1
objects=$2
allow=${3:-$(dirname "$0")/purity.allow}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

# Facts, one per line: "object FILE SYMBOL KIND SECTION", "include FILE HEADER".
{
    find "$objects" -name '*.o' ! -path '*/tests/*' ! -name 'libpbkv.o'
    for module in $(sed -n 's/^module \([^:]*\):.*/\1/p' "$allow"); do
        if [ -d "$tree/$module" ]; then
            find "$tree/$module" -name '*.[ch]'
        fi
    done
} | sort >"$work/files"

grep '\.o$' "$work/files" | while read -r object; do
    case $object in
    *.pb-c.o) ;;
    *) # an object whose source is gone proves nothing
        source=${object#"$objects"/}
        [ -e "$tree/${source%.o}.c" ] || continue
        ;;
    esac
    nm -f sysv "$object" | awk -F'|' -v file="${object#"$objects"/}" '
        NF == 7 && $1 !~ /^Name/ {
            gsub(/ /, "")
            print "object", file, $1, $3, $7
        }'
done >"$work/facts"

grep '\.[ch]$' "$work/files" | while read -r source; do
    sed -n 's/^ *# *include *\([<"][^>"]*\)[>"].*/\1/p' "$source" |
        sed "s|^|include ${source#"$tree"/} |"
done >>"$work/facts"

awk '
function pattern(glob) {
    gsub(/[.]/, "[.]", glob)
    gsub(/[*]/, ".*", glob)
    return "^" glob "$"
}
function module_of(file) { sub(/\/.*/, "", file); return file }
function stem(file) { sub(/([.]pb-c)?[.][cho]$/, "", file); return file }
function is_outside(file,    i) {
    for (i = 1; i <= outside_count; i++)
        if (stem(file) ~ outside[i])
            return 1
    return 0
}
# Whether a line of this sort in the allow-list covers what the file uses.
function is_allowed(sort, file, what,    i) {
    for (i = 1; i <= count[sort]; i++)
        if ((scope[sort, i] == "*" ||
             stem(file) ~ pattern(scope[sort, i]) ||
             module_of(file) == scope[sort, i]) && what ~ name[sort, i])
            return 1
    return 0
}
function found(file, text) { print "purity: " file ": " text; findings++ }

FNR == NR && /^(#|$)/ { next }
FNR == NR && $1 == "module" {
    sub(/:$/, "", $2)
    is_module[$2] = 1
    depends[$2, $2] = 1
    for (i = 3; i <= NF; i++)
        depends[$2, $i] = 1
    next
}
FNR == NR && $1 == "outside" { outside[++outside_count] = pattern($2); next }
FNR == NR {
    for (i = 3; i <= NF; i++) {
        scope[$1, ++count[$1]] = $2
        name[$1, count[$1]] = pattern($i)
    }
    next
}

$1 == "object" && ($5 ~ /^[.](data|bss|tdata|tbss)/ || $5 ~ /COM/) &&
    $5 !~ /^[.]data[.]rel[.]ro/ && $3 !~ /^[.]/ &&
    !is_allowed("global", $2, $3) {
    found($2, "the object " $3 " can be changed (" $5 ")")
}
!(module_of($2) in is_module) || is_outside($2) { next }
$1 == "object" && !seen[$2]++ { examined++ }
$1 == "object" && $5 == "*UND*" {
    symbol = $3
    if (symbol ~ /^__.*_chk$/) {
        sub(/^__/, "", symbol)
        sub(/_chk$/, "", symbol)
    }
    user[++uses] = $2
    used[uses] = symbol
    next
}
$1 == "object" && $4 ~ /^[A-Z]$/ { home[$3] = home[$3] " " module_of($2) }

$1 == "include" {
    header = substr($3, 2)
    module = module_of($2)
    if (header ~ /[.]pb-c[.]h$/ || (module == "client" && header == "pbkv.h"))
        next
    if ($3 ~ /^"/) {
        if (!((module, module_of(header)) in depends))
            found($2, "includes " header " of another module")
    } else if (!is_allowed("header", $2, header)) {
        found($2, "includes <" header ">")
    }
}

END {
    for (i = 1; i <= uses; i++) {
        module = module_of(user[i])
        good = is_allowed("symbol", user[i], used[i])
        n = split(home[used[i]], homes, " ")
        for (h = 1; h <= n; h++)
            if ((module, homes[h]) in depends)
                good = 1
        if (!good)
            found(user[i], "uses " used[i] (n ? " of " homes[1] : ""))
    }
    if (!examined)
        found("no objects", "nothing was proved")
    if (findings) {
        print "purity: " findings " findings in " examined " objects"
        exit 1
    }
    print "purity: " examined " objects use only what they may"
}' "$allow" "$work/facts"
