#!/bin/sh
# Fuzzes a target, tests/fuzz_TARGET.c, for SECONDS (60) with AddressSanitizer and UndefinedBehaviorSanitizer; needs clang:
#     tests/tools/fuzz.sh TARGET [SECONDS [libFuzzer's options]]
# The build folder is BUILD (build/fuzz). What is found goes to BUILD/TARGET: the corpus as it grew, and crash-*, oom-*,
# timeout-*, which belong into tests/data/fuzz/TARGET once mended. No input takes more than MEMORY MiB at once.
set -eu
target=$1
seconds=${2:-60}
if [ $# -gt 2 ]; then shift 2; else shift $#; fi
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-$root/build/fuzz}
cmake -S "$root" -B "$build" -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DWZ_FUZZ=ON -DWZ_SANITIZE=ON \
    -DWZ_CUDA=OFF >/dev/null
log=$build/build.log
if ! cmake --build "$build" --target "fuzz_$target" make_verify_seeds -j "${JOBS:-2}" >"$log"; then
    tail -n 40 "$log"
    exit 1
fi
mkdir -p "$build/$target/corpus" "$build/$target/seeds"
cd "$build/$target"
if [ "$target" = verify ]; then
    "$build/tests/make_verify_seeds" seeds
else
    set -- "-seed_inputs=@$build/tests/fuzz_$target.seeds" "$@"
fi
exec "$build/tests/fuzz_$target" -fork=0 -max_total_time="$seconds" -max_len=32768 -timeout=10 -rss_limit_mb=1024 \
    -malloc_limit_mb="${MEMORY:-64}" "$@" corpus seeds
