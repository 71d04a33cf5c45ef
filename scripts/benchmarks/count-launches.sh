#!/usr/bin/env bash
# Counts what a training step and a decode step of a configuration ask of a GPU: kernel launches, matrix products, copies
# and waits, by name. Needs no GPU: the program with the emulated CUDA backend counts, exactly.
#
#   scripts/benchmarks/count-launches.sh [CONFIG [key=value ...]]      default: scripts/configs/k5-onoff.yaml
#
# The batch is cut to one problem, which changes no count: on a GPU a batch is one pack (1,024 completions). A step's counts
# are those of a run minus those of one that is shorter. The build folder is build, or $WZ_BUILD.
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${WZ_BUILD:-$PWD/build}/tests/wavezero_emulated
case ${1:-} in
    -h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
[ -x "$program" ] || { echo "count-launches.sh: $program is not there: build the tests first" >&2; exit 1; }
config=(scripts/configs/k5-onoff.yaml)
if [ $# -gt 0 ]; then config=("$@"); fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# count NAME ARGUMENT...
count() {
    CUDA_EMULATOR_COUNT=$work/$1 "$program" "${@:2}" device=cuda >"$work/out" 2>"$work/log" ||
        { cat "$work/log" >&2; exit 1; }
}

# difference TITLE SHORT LONG TIMES: what LONG has more than SHORT, divided by TIMES; totals last.
difference() {
    echo "$1"
    awk -F '\t' -v times="$4" '
        NR == FNR { before[$1, $2] = $3; next }
        $2 == "read_all" || $2 == "event" { next } # of the measurement
        { n = ($3 - before[$1, $2]) / times }
        n > 0 { printf "  %-8s %-28s %8.4g\n", $1, $2, n; sum[$1] += n }
        END {
            printf "  launches and products together %14.4g\n", sum["launch"] + sum["product"]
            printf "  and in %g graphs %28.4g\n", sum["graph"], sum["in graph"]
            printf "  copies and fills %28.4g\n  waits %39.4g\n", sum["copy"] + sum["fill"], sum["wait"]
        }' "$work/$2" "$work/$3"
}

for steps in 1 2; do
    count "train$steps" train "${config[@]}" output_dir="$work/run" --overwrite max_steps=$steps \
        generation_batch_size=16 num_generations=16 eval_steps=0 eval_problems=1 save_steps=0 exactness_check_steps=0
done
difference "a training step: rollout, verification, update" train1 train2 1
# two ways to choose (whole vocabulary, answer grammar), each once to warm up and once timed: four steps per token
for tokens in 2 12; do
    count "decode$tokens" bench --decode --steps 1 --sequences 2 --context 40 --tokens $tokens "${config[@]}"
done
difference "a decode step, the mean of one over the whole vocabulary and one under a grammar" decode2 decode12 40
