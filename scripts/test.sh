#!/usr/bin/env bash
# Builds and tests everything. Without arguments all parts run, in this order:
#
#   release     gcc, and nvcc where it is, Release, warnings are errors; all tests in parallel
#   sanitize    AddressSanitizer and UndefinedBehaviorSanitizer, all tests
#   portable    gcc without -march=native: any x86-64; the backend's and the model's tests
#   clang       clang, warnings are errors (build only)
#   cuda        the release build with the CUDA backend (where nvcc is); tests that need a GPU (where there is one)
#   tidy        clang-tidy
#   format      clang-format
#   shell       shellcheck
#
#   scripts/test.sh                 all
#   scripts/test.sh release tidy    some
#   scripts/test.sh --quick         release without the slow tests, format
#
# Build folders are build-test/<part>, or below $WZ_BUILD. The last lines are ctest's summary of the release tests.
set -euo pipefail
cd "$(dirname "$0")/.."
source=$PWD
build=${WZ_BUILD:-$source/build-test}
jobs=$(nproc)
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

parts=()
filter=()
for argument in "$@"; do
    case $argument in
        --quick) parts+=(release format) filter=(-LE slow) ;;
        release | sanitize | portable | clang | cuda | tidy | format | shell) parts+=("$argument") ;;
        -h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        *) echo "test.sh: unknown part '$argument'; --help lists them" >&2; exit 2 ;;
    esac
done
if [ ${#parts[@]} -eq 0 ]; then
    parts=(release sanitize portable clang cuda tidy format shell)
fi
mkdir -p "$build"
summary=$build/summary.txt
: >"$summary"

has() {
    local part
    for part in "${parts[@]}"; do
        if [ "$part" = "$1" ]; then
            return 0
        fi
    done
    return 1
}

say() {
    printf '\n== %s (%d s)\n' "$1" "$SECONDS"
}

# configure_and_build NAME OPTION...
configure_and_build() {
    cmake -S "$source" -B "$build/$1" -G Ninja -DWZ_WERROR=ON "${@:2}" >"$build/$1.configure.log" ||
        { cat "$build/$1.configure.log"; return 1; }
    cmake --build "$build/$1" -j "$jobs" >"$build/$1.build.log" || { tail -n 60 "$build/$1.build.log"; return 1; }
}

# Tests of a build folder; what failed is printed in full.
run_tests() {
    ctest --test-dir "$build/$1" -j "$jobs" --output-on-failure --no-tests=error "${@:2}"
}

test_release() {
    configure_and_build release -DCMAKE_BUILD_TYPE=Release || return 1
    run_tests release "${filter[@]}" 2>&1 | tee "$build/release.log"
    local status=${PIPESTATUS[0]}
    sed -n '/tests passed/,$p' "$build/release.log" >"$summary"
    return "$status"
}

# Allocation failures, code under other kernel families, head sampling in other orders and emulated comparisons bit for
# bit are covered by the release tests.
test_sanitize() {
    configure_and_build sanitize -DCMAKE_BUILD_TYPE=RelWithDebInfo -DWZ_SANITIZE=ON -DWZ_CUDA=OFF &&
        run_tests sanitize -E '_(Haswell|SkylakeX|Sandybridge)$|^test_(promises|backend(_norm|_attention)?_rows)_emulated|^cuda_head_bf16'
}

# A binary for any processor of the family: other vectors, the same arithmetic.
test_portable() {
    configure_and_build portable -DCMAKE_BUILD_TYPE=Release -DWZ_NATIVE=OFF -DWZ_CUDA=OFF &&
        run_tests portable -R '^test_(vec|backend|backend_promises|backend(_norm|_attention)?_rows|model)$'
}

test_clang() {
    configure_and_build clang -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
        -DWZ_CUDA=OFF
}

# The release build, which has the CUDA backend wherever nvcc is: every kernel for every architecture we name, warnings are
# errors. Running the kernels without a GPU is the emulated tests' part (tests/cuda_emulator); here the tests labelled gpu
# run, or say why they cannot, and the program must start on machines without any CUDA.
test_cuda() {
    local program=$build/release/wavezero
    if ! command -v nvcc >/dev/null && [ ! -x /usr/local/cuda/bin/nvcc ]; then
        echo "SKIPPED: no nvcc on this machine, the kernels were not compiled for a GPU"
        return 0
    fi
    configure_and_build release -DCMAKE_BUILD_TYPE=Release -DWZ_CUDA=ON || return 1
    grep 'CUDA backend' "$build/release.configure.log"
    if ldd "$program" | grep -E 'libcuda|libcublas'; then
        echo "the program does not start without these"
        return 1
    fi
    "$program" doctor | grep '^gpu ' && run_tests release -L gpu -V
}

# The checks are those of .clang-tidy; the compile commands are clang's own.
test_tidy() {
    cmake -S "$source" -B "$build/tidy" -G Ninja -DCMAKE_C_COMPILER=clang -DWZ_TESTS=OFF -DWZ_CUDA=OFF \
        -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >/dev/null || return 1
    local log=$build/tidy.log
    if find engine cuda tasks rewards checkpoints -name '*.c' -print0 |
        xargs -0 -n 4 -P "$jobs" clang-tidy -p "$build/tidy" --quiet --warnings-as-errors='*' >"$log" 2>&1; then
        echo "clang-tidy: clean"
    else
        grep -E 'warning:|error:' "$log" || cat "$log"
        return 1
    fi
}

test_format() {
    scripts/format.sh
}

test_shell() {
    find scripts tests .ci -type f \( -name '*.sh' -o -path '.ci/run' \) -print0 | xargs -0 shellcheck -x &&
        echo "shellcheck: clean"
}

packages=("${BUILD_PACKAGES[@]}" check)
if has release || has sanitize || has portable || has clang || has tidy; then packages+=(g++); fi
if has clang || has tidy; then packages+=(clang); fi
if has tidy; then packages+=(clang-tidy); fi
if has format; then packages+=(clang-format); fi
if has shell; then packages+=(shellcheck); fi
need_packages "${packages[@]}"

failed=()
for part in "${parts[@]}"; do
    say "$part"
    "test_$part" || failed+=("$part")
done

say "done"
if [ ${#failed[@]} -gt 0 ]; then
    echo "FAILED: ${failed[*]}"
else
    echo "passed: ${parts[*]}"
fi
cat "$summary"
[ ${#failed[@]} -eq 0 ]
