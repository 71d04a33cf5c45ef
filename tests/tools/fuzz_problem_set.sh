#!/bin/sh
# Fuzzes the readers of problem sets, .npy and .npz files (tests/fuzz_problem_set.c) for SECONDS (60), in a temporary folder.
# The corpus begins with the fixtures and with a line of each family that `wavezero tasks list` names, where a program is given:
#     tests/tools/fuzz_problem_set.sh [SECONDS [PROGRAM]]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/corpus"
cp "$root"/tests/data/gains/*.np[yz] "$folder/corpus/"
rm "$folder"/corpus/bomb*
if [ $# -gt 1 ]; then
    for task in $("$2" tasks list | sed -n 's/^\([a-z0-9_]*\):.*/\1/p'); do
        "$2" tasks export "$folder/corpus/$task.jsonl" --problems 1 "task.name=$task" >"$folder/log"
    done
fi
cd "$root"
# shellcheck disable=SC2046 # several words are meant
clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -D_GNU_SOURCE -DWZ_VERSION='"fuzz"' -I. \
    tests/fuzz_problem_set.c engine/core/*.c engine/run/problem_set*.c tasks/*.c rewards/*.c rewards/solvers/*.c \
    $(pkg-config --cflags --libs hdf5-serial jansson libxxhash zlib libutf8proc) -lglpk -lm -pthread -o "$folder/fuzz"
"$folder/fuzz" -max_total_time="${1:-60}" -max_len=4096 -timeout=10 "$folder/corpus"
