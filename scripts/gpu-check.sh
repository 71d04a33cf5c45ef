#!/usr/bin/env bash
# Everything that needs an NVIDIA GPU, in one command, offline: builds for the GPU at hand, runs the tests labelled gpu,
# compute-sanitizer on the small cases, benchmarks on the GPU and on the CPU, and a short training run. A part that fails
# does not stop the others. Needs a driver and a CUDA toolkit (nvcc; compute-sanitizer).
#
#   scripts/gpu-check.sh              all parts
#   scripts/gpu-check.sh tests bench  some: machine, packages, build, tests, memcheck, racecheck, initcheck, bench, train
#
# The build folder is build-gpu, or $WZ_BUILD; logs are in its gpu-check/, and gpu-check/summary.txt is made to be pasted
# into a record of benchmarks. Exit status 1 if a part failed or could not run.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
build=${WZ_BUILD:-$PWD/build-gpu}
logs=$build/gpu-check
# shellcheck source=scripts/packages.sh
. scripts/packages.sh
unset OPENBLAS_CORETYPE # OpenBLAS is to choose for the CPU's benchmark
PATH=$PATH:/usr/local/cuda/bin

all=(machine packages build tests memcheck racecheck initcheck bench train)
parts=()
for argument in "$@"; do
    case " ${all[*]} " in
        *" $argument "*) parts+=("$argument") ;;
        *) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; [ "$argument" = --help ]; exit $((2 * $?)) ;;
    esac
done
if [ ${#parts[@]} -eq 0 ]; then
    parts=("${all[@]}")
fi
mkdir -p "$logs" || exit 1
summary=$logs/summary.txt

# A command that must be there.
need() {
    command -v "$1" >/dev/null || { echo "$1 was not found: $2"; return 1; }
}

part_machine() {
    uname -srm
    sed -n 's/^model name[^:]*: /cpu: /p' /proc/cpuinfo | head -n 1
    need nvidia-smi "install the NVIDIA driver" || return 1
    nvidia-smi --query-gpu=name,compute_cap,memory.total,driver_version,power.limit,clocks.max.sm --format=csv ||
        return 1
    need nvcc "install the CUDA toolkit, or put its bin folder on PATH" || return 1
    nvcc --version | grep release
}

part_packages() {
    if ! command -v dpkg-query >/dev/null; then
        echo "no Debian packages on this system: cmake names what is missing"
        return 0
    fi
    need_packages "${BUILD_PACKAGES[@]}" g++ check ||
        { echo "those of them that are not there could not be installed: the build may fail"; return 1; }
    echo "all there"
}

part_build() {
    local architectures
    need cmake "install cmake 3.25 or later" && need ninja "install ninja-build" || return 1
    architectures=$(gpu_architectures) || { echo "nvidia-smi names no GPU"; return 1; }
    cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DWZ_CUDA=ON \
        "-DCMAKE_CUDA_ARCHITECTURES=$architectures" &&
        cmake --build "$build" -j "$(nproc)" &&
        "$build/wavezero" doctor
}

# A test that skips itself has not run: that counts as failed here.
part_tests() {
    local log=$logs/ctest.txt
    ctest --test-dir "$build" -L gpu --output-on-failure --no-tests=error 2>&1 | tee "$log"
    [ "${PIPESTATUS[0]}" -eq 0 ] && ! grep -q 'Skipped' "$log"
}

# sanitize TOOL PROGRAM: one process, for the sanitizer to watch; status 77 is a test that skipped itself.
sanitize() {
    need compute-sanitizer "install the toolkit's cuda-sanitizer package" || return 1
    echo "== $1: $2"
    (cd "$build/tests" && CK_FORK=no timeout 1800 compute-sanitizer --tool "$1" --error-exitcode 99 --print-limit 20 "./$2")
}

part_memcheck() {
    local failed=0
    sanitize memcheck test_backend_gpu || failed=1
    CK_RUN_CASE=bits sanitize memcheck test_model_gpu || failed=1
    return $failed
}

part_racecheck() {
    sanitize racecheck test_backend_gpu
}

part_initcheck() {
    sanitize initcheck test_backend_gpu
}

part_bench() {
    local device failed=0
    for device in cuda cpu; do
        echo "== wavezero bench device=$device"
        timeout 900 "$build/wavezero" bench --steps 10 "device=$device" || failed=1
    done
    return $failed
}

# Sampler and trainer are compared in every fifth step; the largest difference must be 0.
part_train() {
    local run=$logs/run start=$SECONDS differences
    timeout 900 "$build/wavezero" train scripts/configs/quickstart.yaml --overwrite output_dir="$run" device=cuda \
        max_steps=40 eval_steps=40 save_steps=40 exactness_check_steps=5 || return 1
    echo "40 steps of scripts/configs/quickstart.yaml in $((SECONDS - start)) s"
    cat "$run/env.json"
    differences=$(sed -n 's/.*"sampling\/sampling_logp_difference\/max": \([^,}]*\).*/\1/p' "$run/metrics.jsonl" |
        sort -u | paste -sd ' ')
    echo "largest differences of log-probabilities, sampler to trainer: ${differences:-none was measured}"
    timeout 900 "$build/wavezero" eval "$run/checkpoints/step-00000040.h5" --problems 500 device=cuda || return 1
    [ "$differences" = 0 ]
}

failed=()
results=()
for part in "${parts[@]}"; do
    printf '\n== %s\n' "$part"
    start=$SECONDS
    if "part_$part" >"$logs/$part.txt" 2>&1; then
        result=ok
    else
        result=FAILED
        failed+=("$part")
    fi
    tail -n 15 "$logs/$part.txt"
    results+=("$(printf '%-10s %-7s %5d s' "$part" "$result" $((SECONDS - start)))")
done

{
    echo "gpu-check, $(date -u +%Y-%m-%d), commit $(git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || echo unknown)"
    printf '%s\n' "${results[@]}"
    for part in machine bench train; do
        if [[ " ${parts[*]} " = *" $part "* ]]; then
            printf '\n== %s\n' "$part"
            grep -v 's/step' "$logs/$part.txt"
        fi
    done
    for part in "${failed[@]}"; do
        [[ $part =~ ^(machine|bench|train)$ ]] && continue
        printf '\n== %s FAILED, the end of %s\n' "$part" "$logs/$part.txt"
        tail -n 40 "$logs/$part.txt"
    done
} >"$summary"
printf '\n== done\n'
printf '%s\n' "${results[@]}"
echo "summary: $summary"
[ ${#failed[@]} -eq 0 ]
