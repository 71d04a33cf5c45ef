#!/bin/sh
# Fuzzes the verifiers of all families (tests/fuzz_verify.c) for SECONDS (60), in a temporary folder, from the references'
# answers to problems of each.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/corpus"
cd "$root"
build() { # NAME SANITIZERS FLAGS..
    name=$1
    sanitizers=$2
    shift 2
    # shellcheck disable=SC2046 # several words are meant
    clang -std=c17 -g -O1 "-fsanitize=$sanitizers" -fno-sanitize-recover=undefined -D_GNU_SOURCE -I. "$@" \
        tests/fuzz_verify.c tasks/*.c rewards/*.c rewards/solvers/*.c engine/core/*.c engine/text/*.c \
        $(pkg-config --cflags --libs libutf8proc hdf5-serial jansson libpcre2-8 libxxhash zlib) -lglpk -pthread -ldl -lm \
        -o "$folder/$name"
}
build fuzz_seeds address,undefined -DWZ_FUZZ_SEEDS
"$folder/fuzz_seeds" "$folder/corpus"
build fuzz_verify fuzzer,address,undefined
"$folder/fuzz_verify" -max_total_time="${1:-60}" -max_len=1200 -timeout=20 "$folder/corpus"
