#!/bin/sh
# Fuzzes the YAML reader and the overrides (tests/fuzz_config.c) for SECONDS (60), in a temporary folder.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/corpus"
cp "$root"/tests/data/config/*.yaml "$folder/corpus/"
cd "$root"
# shellcheck disable=SC2046 # several words are meant
clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -D_GNU_SOURCE -DWZ_VERSION='"fuzz"' -I. \
    tests/fuzz_config.c engine/core/*.c engine/model/config.c engine/text/*.c engine/run/config*.c tasks/*.c rewards/*.c rewards/solvers/*.c \
    $(pkg-config --cflags --libs yaml-0.1 libutf8proc libpcre2-8 hdf5-serial jansson libxxhash zlib) -lglpk -pthread -lm -o "$folder/fuzz_config"
"$folder/fuzz_config" -max_total_time="${1:-60}" -max_len=2048 -timeout=10 "$folder/corpus"
