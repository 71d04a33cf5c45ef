#!/bin/sh
# Fuzzes a reader of Hugging Face files, safetensors or hf_config (tests/fuzz_WHICH.c), for SECONDS (60), in a temporary folder:
#     tests/tools/fuzz_hf.sh WHICH [SECONDS]
set -eu
which=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/corpus"
cp "$root/tests/data/fuzz/$which"/* "$folder/corpus/"
if [ "$which" = safetensors ]; then
    cp "$root"/tests/data/hf/llama3/*.safetensors "$root"/tests/data/hf/llama3/*.index.json "$folder/corpus/"
else
    for file in "$root"/tests/data/hf/*/*config.json; do
        cp "$file" "$folder/corpus/$(basename "$(dirname "$file")")-$(basename "$file")"
    done
fi
cd "$root"
# shellcheck disable=SC2046 # several words are meant
clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -D_GNU_SOURCE -DWZ_VERSION='"fuzz"' -I. \
    "tests/fuzz_$which.c" checkpoints/hf_*.c checkpoints/safetensors*.c checkpoints/format_safetensors.c \
    checkpoints/number_type.c checkpoints/portable.c engine/core/*.c engine/text/*.c engine/model/*.c \
    $(pkg-config --cflags --libs libutf8proc hdf5-serial jansson libxxhash zlib libpcre2-8) -pthread -lm -o "$folder/fuzz_$which"
"$folder/fuzz_$which" -max_total_time="${2:-60}" -max_len=16384 -timeout=10 -rss_limit_mb=512 -malloc_limit_mb=64 \
    "$folder/corpus"
