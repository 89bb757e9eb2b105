#!/bin/sh
# Turns a file into a C array, so that the binary carries it.
#
#     tools/embed.sh NAME FILE > OUT.h
#
# OUT.h defines `static const unsigned char NAME[]`: the file's bytes and a NUL. Its length is sizeof NAME - 1.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: tools/embed.sh NAME FILE > OUT.h" >&2
    exit 2
fi

printf '/* Made by tools/embed.sh from %s: change that file instead. */\n' "$2"
printf 'static const unsigned char %s[] = {\n' "$1"
od -An -v -tu1 "$2" | sed -e 's/^ *//' -e 's/  */,/g' -e 's/$/,/'
printf '0};\n'
