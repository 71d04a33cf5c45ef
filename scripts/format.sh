#!/usr/bin/env bash
# Checks that every C file is as clang-format leaves it; --fix formats them instead.
set -euo pipefail
cd "$(dirname "$0")/.."

formatter=${CLANG_FORMAT:-clang-format}
mapfile -t files < <(find engine tasks rewards checkpoints tests \( -name '*.c' -o -name '*.h' \) | sort)
if [ "${1:-}" = --fix ]; then
    "$formatter" -i "${files[@]}"
else
    "$formatter" --dry-run --Werror "${files[@]}"
    echo "format: ${#files[@]} files are clean"
fi
