#!/bin/sh
# The comparison in README.md, "Which options to choose": GRPO's options one at a time from the presets' own, 600 steps of
# 16 problems x 16 completions, three seeds; on five links (without grammar_coef), whose completions all have one length, and
# on an assignment with two tries before the answer, whose completions have one of two lengths, as the policy stops or goes on.
#
#   scripts/benchmarks/compare-variants.sh [DIR] [option of sweep ...]
#
# DIR (runs/variants) takes both sweeps. The same command goes on where it was stopped; --dry-run prints what there is.
# WAVEZERO: the program (build/wavezero). 120 runs of 20 to 60 seconds of a core: --jobs $(nproc) takes as many at once.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
wavezero=${WAVEZERO:-$root/build/wavezero}
directory=${1:-runs/variants}
[ $# -eq 0 ] || shift

compare() { # name, preset, options of sweep
  name=$1
  preset=$2
  shift 2
  "$wavezero" sweep "$root/scripts/configs/$preset" --one-at-a-time --output-dir "$directory/$name" \
    seed=1..3 max_steps=600 generation_batch_size=256 eval_steps=150 eval_problems=500 save_steps=200 \
    save_total_limit=1 threads=1 \
    learning_rate=0.001,0.003,0.01 num_generations=8,16,32 num_iterations=1,2,4 scale_rewards=none,group,batch \
    entropy_coef=0,0.03,0.1 entropy_schedule=linear,constant \
    --set "constant entropy 0.03: entropy_coef=0.03 entropy_schedule=constant" \
    --set "adaptive entropy: use_adaptive_entropy=true entropy_coef=0.03 entropy_target=0.2" \
    --set "QK-norm: model.model_type=qwen3 model.use_qk_norm=true" \
    loss_type=dapo,grpo,bnpo,dr_grpo,cispo,sapo \
    "$@"
}

status=0
compare k5 k5-onoff.yaml grammar_coef=0 "$@" || status=$?
[ "$status" -le 1 ] || exit "$status" # stopped, or wrong options; runs that failed are no reason
compare assignment-tries assignment.yaml verifier_tries=2 --metric completions/mean_length "$@" || status=$?
exit "$status"
