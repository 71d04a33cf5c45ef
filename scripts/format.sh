#!/usr/bin/env bash
# Checks that every C, C++ and CUDA file is as clang-format leaves it; --fix formats them instead.
set -euo pipefail
cd "$(dirname "$0")/.."

formatter=${CLANG_FORMAT:-clang-format}
mapfile -t files < <(find engine cuda tasks rewards checkpoints tests \
    \( -name '*.c' -o -name '*.h' -o -name '*.cu' -o -name '*.cpp' \) | sort)
if [ "${1:-}" = --fix ]; then
    "$formatter" -i "${files[@]}"
else
    "$formatter" --dry-run --Werror "${files[@]}"
    echo "format: ${#files[@]} files are clean"
fi
