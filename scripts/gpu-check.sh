#!/usr/bin/env bash
# Everything that needs an NVIDIA GPU, in one command, offline: builds for the GPU at hand, runs the tests labelled gpu,
# benchmarks on the GPU and on the CPU, a short training run, and compute-sanitizer on the small cases. A part that fails
# does not stop the others. Needs a driver and a CUDA toolkit (nvcc; compute-sanitizer).
#
#   scripts/gpu-check.sh              all parts
#   scripts/gpu-check.sh tests bench  some: machine, packages, build, tests, bench, train, memcheck, racecheck, initcheck
#   scripts/gpu-check.sh fetch        on a Debian 12 machine with a network: downloads the libraries that a bare machine
#                                     lacks to build-gpu-packages/ (26 MB); on a machine that lacks them, they are used
#                                     from there
#
# All of it is to end within $WZ_GPU_CHECK_S seconds (540): no part gets more than what is left of them. The build folder is
# build-gpu, or $WZ_BUILD; logs are in its gpu-check/, and gpu-check/summary.txt, written anew after every part, is made to
# be pasted into scripts/benchmarks/RECORD.md. Exit status 1 if a part failed or could not run.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
build=${WZ_BUILD:-$PWD/build-gpu}
fetched=$PWD/build-gpu-packages
logs=$build/gpu-check
end=$((SECONDS + ${WZ_GPU_CHECK_S:-540}))
# shellcheck source=scripts/packages.sh
. scripts/packages.sh
unset OPENBLAS_CORETYPE # OpenBLAS is to choose for the CPU's benchmark
PATH=$PATH:/usr/local/cuda/bin

all=(machine packages build tests bench train memcheck racecheck initcheck)
parts=()
for argument in "$@"; do
    case " ${all[*]} fetch " in
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

# within SECONDS COMMAND...: no longer than that, and than what is left for all.
within() {
    local most=$1 left=$((end - SECONDS))
    shift
    if [ "$left" -lt 5 ]; then
        echo "no time left for: $*"
        return 1
    fi
    timeout -k 5 $((most < left ? most : left)) "$@"
    local status=$?
    if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then echo "STOPPED after $((most < left ? most : left)) s: $*"; fi
    return "$status"
}

# cublasLt, which some toolkits lack, from where Python packages have it: its header's folder in cublas_include, empty where
# the compiler finds it by itself; its library's on LD_LIBRARY_PATH.
cublas_include=
use_cublas() {
    local toolkit found
    local -a packages
    toolkit=$(dirname "$(dirname "$(readlink -f "$(command -v nvcc || echo /usr/bin/nvcc)")")")
    read -ra packages < <(python3 -c 'import site; print(*site.getsitepackages())' 2>/dev/null)
    [ ${#packages[@]} -gt 0 ] || return 0
    found=$(find "$toolkit/" /usr/include /usr/local/include "${packages[@]}" -name cublasLt.h -print -quit 2>/dev/null)
    if [[ $found = */nvidia/* ]]; then cublas_include=$(dirname "$found"); fi
    found=$(find "$toolkit/" /usr/lib /usr/local/lib "${packages[@]}" -name 'libcublasLt.so.*' -print -quit 2>/dev/null)
    if [[ $found = */nvidia/* ]]; then
        LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$(dirname "$found")
        export LD_LIBRARY_PATH
    fi
}

part_fetch() {
    need apt-get "fetch on a Debian 12 machine" && fetch_packages "$fetched"
}

part_machine() {
    uname -srm
    sed -n 's/^model name[^:]*: /cpu: /p' /proc/cpuinfo | head -n 1
    echo "cores: $(nproc)"
    need nvidia-smi "install the NVIDIA driver" || return 1
    nvidia-smi --query-gpu=name,compute_cap,memory.total,driver_version,power.limit,clocks.max.sm,clocks.max.mem --format=csv ||
        return 1
    need nvcc "install the CUDA toolkit, or put its bin folder on PATH" || return 1
    nvcc --version | grep release
}

# Where packages were fetched, nothing is asked of a network; part_build uses them.
part_packages() {
    local missing=()
    if ! command -v dpkg-query >/dev/null; then
        echo "no Debian packages on this system: cmake names what is missing"
        return 0
    fi
    mapfile -t missing < <(missing_packages "${BUILD_PACKAGES[@]}" g++ check)
    if [ ${#missing[@]} -gt 0 ] && [ -d "$fetched" ]; then
        echo "not installed: ${missing[*]}; libraries and headers are those in $fetched"
        need cmake "install cmake 3.25 or later" && need ninja "install ninja" && need g++ "install a C++ compiler"
        return
    fi
    export -f need_packages missing_packages
    within 120 bash -c 'need_packages "$@"' bash "${BUILD_PACKAGES[@]}" g++ check ||
        { echo "those of them that are not there could not be installed: the build may fail without \`gpu-check.sh fetch\`"; return 1; }
    echo "all there"
}

# The program and the tests that need a GPU, no others.
part_build() {
    local architectures
    need cmake "install cmake 3.25 or later" && need ninja "install ninja-build" || return 1
    architectures=$(gpu_architectures) || { echo "nvidia-smi names no GPU"; return 1; }
    if [ -d "$fetched" ] && [ -n "$(missing_packages "${BUILD_PACKAGES[@]}" check)" ]; then
        use_packages "$fetched" "$build/packages" || return 1
    fi
    if [ -n "$cublas_include" ]; then
        echo "cublasLt.h from $cublas_include"
        export CUDAFLAGS="${CUDAFLAGS:-} -isystem $cublas_include"
    fi
    # a warning of this machine's compilers is no reason to measure nothing
    within 60 cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DWZ_CUDA=ON -DWZ_WERROR=OFF \
        "-DCMAKE_CUDA_ARCHITECTURES=$architectures" ${cublas_include:+"-DWZ_CUBLASLT_INCLUDE=$cublas_include"} &&
        within 300 cmake --build "$build" -j "$(nproc)" --target wavezero gpu_tests &&
        "$build/wavezero" doctor
}

# A test that skips itself has not run: that counts as failed here.
part_tests() {
    local log=$logs/ctest.txt
    within 240 ctest --test-dir "$build" -L gpu --output-on-failure --no-tests=error 2>&1 | tee "$log"
    [ "${PIPESTATUS[0]}" -eq 0 ] && ! grep -q 'Skipped' "$log"
}

# sanitize TOOL PROGRAM: one process, for the sanitizer to watch; status 77 is a test that skipped itself.
sanitize() {
    need compute-sanitizer "install the toolkit's cuda-sanitizer package" || return 1
    echo "== $1: $2"
    # calls that fail are tested on purpose, and checked by the program
    (cd "$build/tests" && CK_FORK=no WZ_TEST_NO_PROBE=1 within 150 compute-sanitizer --tool "$1" \
        --error-exitcode 99 --report-api-errors no --print-limit 20 "./$2")
}

part_memcheck() {
    local failed=0
    sanitize memcheck test_backend_gpu || failed=1
    sanitize memcheck cuda_head_tiles_gpu || failed=1
    sanitize memcheck cuda_attention_tiles_gpu || failed=1
    CK_RUN_CASE=bits sanitize memcheck test_model_gpu || failed=1
    sanitize memcheck cuda_decode_gpu || failed=1
    return $failed
}

part_racecheck() {
    local failed=0
    sanitize racecheck test_backend_gpu || failed=1
    sanitize racecheck cuda_head_tiles_gpu || failed=1
    return $failed
}

part_initcheck() {
    sanitize initcheck test_backend_gpu
}

# bench SECONDS ARGUMENT...: the command as the record has it, and what it prints.
bench() {
    printf '\n$ wavezero bench %s\n' "${*:2}"
    within "$1" "$build/wavezero" bench "${@:2}"
}

# The commands of scripts/benchmarks/RECORD.md. What has a precision is measured in each that this program has.
part_bench() {
    local failed=0 precision shape
    local -a gpu
    local qwen=scripts/configs/qwen2.5-0.5b-shape.yaml smol=scripts/configs/smollm2-135m-shape.yaml
    bench 40 --steps 10 device=cpu || failed=1
    bench 40 --steps 10 scripts/configs/k5-onoff.yaml device=cpu threads=2 || failed=1
    for precision in bf16 fp32; do
        gpu=(device=cuda "precision=$precision")
        bench 40 --steps 10 "${gpu[@]}" || failed=1
        bench 40 --steps 10 scripts/configs/k5-onoff.yaml "${gpu[@]}" || failed=1
        bench 60 --decode --steps 2 "$qwen" "${gpu[@]}" || failed=1
        bench 60 --sharing --steps 2 --sequences 32 --prompt 512 --completion 128 "$qwen" "${gpu[@]}" || failed=1
        bench 60 --sharing --steps 1 --sequences 32 --prompt 1 --completion 1024 answer_grammar=false "$qwen" \
            "${gpu[@]}" || failed=1
        bench 60 --sharing --steps 1 --sequences 32 --prompt 1 --completion 1024 answer_grammar=false "$smol" \
            "${gpu[@]}" || failed=1
    done
    gpu=(device=cuda precision=bf16 exact=false) # the bars are for these, too
    bench 60 --decode --steps 2 "$qwen" "${gpu[@]}" || failed=1
    for shape in "$qwen" "$smol"; do
        bench 60 --sharing --steps 1 --sequences 32 --prompt 1 --completion 1024 answer_grammar=false "$shape" \
            "${gpu[@]}" || failed=1
    done
    return $failed
}

# train_in PRECISION ARGUMENT...: sampler and trainer are compared in every fifth step; the largest difference must be 0.
train_in() {
    local run=$logs/run-$1-$# start=$SECONDS differences
    within 60 "$build/wavezero" train scripts/configs/quickstart.yaml --overwrite output_dir="$run" device=cuda \
        precision="$1" max_steps=40 eval_steps=40 save_steps=40 exactness_check_steps=5 "${@:2}" || return 1
    echo "40 steps of scripts/configs/quickstart.yaml in $* in $((SECONDS - start)) s"
    cat "$run/env.json"
    differences=$(sed -n 's/.*"sampling\/sampling_logp_difference\/max": \([^,}]*\).*/\1/p' "$run/metrics.jsonl" |
        sort -u | paste -sd ' ')
    echo "largest differences of log-probabilities, sampler to trainer: ${differences:-none was measured}"
    within 60 "$build/wavezero" eval "$run/checkpoints/step-00000040.h5" --problems 500 device=cuda || return 1
    [ "$differences" = 0 ]
}

part_train() {
    local precision failed=0
    for precision in fp32 bf16; do
        train_in "$precision" || failed=1
        train_in "$precision" lora_rank=8 frozen_dtype=bf16 model.zero_init_head=false || failed=1
    done
    return $failed
}

use_cublas
failed=()
results=()
commit=$(git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || echo unknown)

# A section of the record: what ran, then what machine, benchmarks and training printed, and the ends of what failed.
write_summary() {
    local part
    echo "## gpu-check, $(date -u +%Y-%m-%d), commit $commit"
    printf '\n```\n'
    printf '%s\n' "${results[@]}"
    for part in machine bench train; do
        if [ -s "$logs/$part.txt" ] && [[ " ${parts[*]} " = *" $part "* ]]; then
            printf '\n== %s\n' "$part"
            grep -v 's/step' "$logs/$part.txt"
        fi
    done
    for part in "${failed[@]}"; do
        [[ $part =~ ^(machine|bench|train)$ ]] && continue
        printf '\n== %s FAILED, the end of %s\n' "$part" "$logs/$part.txt"
        tail -n 40 "$logs/$part.txt"
    done
    echo '```'
}

for part in "${parts[@]}"; do rm -f "$logs/$part.txt"; done
for part in "${parts[@]}"; do
    printf '\n== %s\n' "$part"
    start=$SECONDS
    if [ $((end - SECONDS)) -lt 5 ]; then
        echo "no time left" | tee "$logs/$part.txt"
        result="NOT RUN"
        failed+=("$part")
    elif "part_$part" >"$logs/$part.txt" 2>&1; then
        result=ok
    else
        result=FAILED
        failed+=("$part")
    fi
    tail -n 15 "$logs/$part.txt"
    results+=("$(printf '%-10s %-7s %5d s' "$part" "$result" $((SECONDS - start)))")
    write_summary >"$summary"
done
printf '\n== done\n'
printf '%s\n' "${results[@]}"
echo "summary: $summary"
[ ${#failed[@]} -eq 0 ]
