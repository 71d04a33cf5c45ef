#!/usr/bin/env bash
# From a fresh clone on Debian 12 to a trained policy and its held-out score: installs the libraries, builds, trains a
# small transformer to set the powers of three interfering links, and compares it with the exact optimum and with
# classical algorithms on problems it never saw. About five minutes on two cores.
#
#   scripts/quickstart.sh [key=value ...]     overrides of scripts/configs/quickstart.yaml
#
# The build goes to build/, the run to runs/quickstart (an earlier quickstart there is replaced).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

build=${WZ_BUILD:-build}
run=${WZ_RUN:-runs/quickstart}

say() {
    printf '\n== %s\n' "$1"
}

say "dependencies"
need_packages "${BUILD_PACKAGES[@]}"
echo "all there"

say "build"
mkdir -p "$build"
log=$build/quickstart.log
export CMAKE_GENERATOR=Ninja # a build folder that exists keeps its own
cuda=(-DWZ_CUDA=OFF) # kernels are compiled where there is a GPU to run them, for that one
if architectures=$(gpu_architectures 2>/dev/null); then
    cuda=(-DWZ_CUDA=AUTO "-DCMAKE_CUDA_ARCHITECTURES=$architectures")
fi
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DWZ_TESTS=OFF "${cuda[@]}" >"$log" 2>&1 || { cat "$log"; exit 1; }
cmake --build "$build" --parallel "$(nproc)" >"$log" 2>&1 || { tail -n 40 "$log"; exit 1; }
"$build/wavezero" --version

say "train"
start=$SECONDS
"$build/wavezero" train scripts/configs/quickstart.yaml --overwrite output_dir="$run" "$@"
echo "trained in $((SECONDS - start)) s"

say "evaluate on problems never seen"
policy=$run/checkpoints/best.h5
# Best of 16 draws another policy answer first, so greedy decoding and best-of-k are two evaluations.
"$build/wavezero" eval "$policy" --json >"$run/eval.json"
"$build/wavezero" eval "$policy" --best-of 16 >"$run/best_of.txt"
"$build/wavezero" eval "$policy"
grep 'random best of' "$run/best_of.txt"

# The first "mean" of the object is the policy's: {"objective_ratio": {"mean": 0.98, ...
mean=$(sed -n 's/^{"objective_ratio": {"mean": \([0-9.eE+-]*\),.*/\1/p' "$run/eval.json")
if [ -z "$mean" ]; then
    echo "error: $run/eval.json has no objective_ratio" >&2
    exit 1
fi
echo
LC_ALL=C printf 'objective_ratio %.4f\n' "$mean"
