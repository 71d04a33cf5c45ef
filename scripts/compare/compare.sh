#!/usr/bin/env bash
# Wavezero, a hand-written PyTorch loop and TRL's GRPOTrainer, side by side on the same token ids:
# completions per second of the whole GRPO step (rollout, scoring, backward, optimiser).
#
#   scripts/compare/compare.sh [--venv DIR] [--wavezero FILE] [--threads "1 2"] [--rounds 3]
#                              [--steps 10] [--trl-steps 2] [--tokens FILE] [--only "wavezero pytorch trl"]
#
# --venv DIR   use this virtual environment; made and filled from requirements.txt if it is not there
#              (several GB where pip only offers PyTorch with CUDA). Default: .venv-compare in the project.
# --tokens     token ids (see shapes.py); default: what `wavezero bench --dump-tokens` writes, or
#              synthetic ids when wavezero is left out.
#
# The programs run one after the other, never at once, and take turns for every round, each round in
# another order: a machine that is busy or slow for a while then costs all of them the same. The table
# gives the median of the rounds, the range, and wavezero's ratio. Exit status 1 if a program fails.
#
# From wavezero it asks two things:
#   wavezero bench --dump-tokens FILE          writes the ids of the benchmark's problems
#   wavezero bench --json threads=N            prints an object with "completions_per_s", measured at
#                                              64 problems x 16 completions, 4 layers x 128
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)

venv=$project/.venv-compare wavezero=$project/build/wavezero threads="1 2" rounds=3 steps=10 trl_steps=2
tokens="" only="wavezero pytorch trl"
die() { echo "compare.sh: $*" >&2; exit "${status:-1}"; }
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --venv | --wavezero | --threads | --rounds | --steps | --trl-steps | --tokens | --only)
      [ $# -ge 2 ] || status=2 die "$1 needs a value"
      name=${1#--}; printf -v "${name//-/_}" '%s' "$2"; shift 2 ;;
    *) status=2 die "unknown option '$1' (see --help)" ;;
  esac
done

wants() { case " $only " in *" $1 "*) true ;; *) false ;; esac; }
for program in $only; do
  case $program in wavezero | pytorch | trl) ;; *) status=2 die "--only knows wavezero, pytorch and trl, not '$program'" ;; esac
done
if wants wavezero && [ ! -x "$wavezero" ]; then
  die "no program at $wavezero: build the project first, or name it with --wavezero FILE"
fi
if wants pytorch || wants trl; then
  if [ ! -x "$venv/bin/python" ]; then
    echo "Making $venv from requirements.txt" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --no-cache-dir -r "$here/requirements.txt" >&2 ||
      { rm -rf "$venv"; die "pip could not install $here/requirements.txt"; }
  fi
fi

# OpenMP's spinning threads suffer most from company: on a busy machine the ratios flatter wavezero.
load=$(cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo 0)
if awk -v load="$load" 'BEGIN { exit !(load > 0.5) }'; then
  echo "compare.sh: warning: the machine is busy (load $load): these ratios are not worth reporting" >&2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "$tokens" ] && wants wavezero; then
  tokens=$work/tokens.json
  "$wavezero" bench --dump-tokens "$tokens" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "wavezero bench --dump-tokens failed"; }
fi
token_option=()
[ -z "$tokens" ] || token_option=(--tokens "$tokens")

# run PROGRAM THREADS: prints completions per second.
run() {
  case $1 in
    wavezero)
      "$wavezero" bench --json "threads=$2" >"$work/out" 2>"$work/log" &&
        sed -n 's/.*"completions_per_s": *\([0-9.eE+]*\).*/\1/p' "$work/out" ;;
    pytorch)
      OMP_NUM_THREADS=$2 "$venv/bin/python" "$here/pytorch_grpo.py" --threads "$2" --steps "$steps" \
        "${token_option[@]}" >"$work/out" 2>"$work/log" && sed -n 's/^completions_per_s //p' "$work/out" ;;
    trl)
      OMP_NUM_THREADS=$2 "$venv/bin/python" -W ignore "$here/trl_grpo.py" --threads "$2" --steps "$trl_steps" \
        "${token_option[@]}" >"$work/out" 2>"$work/log" && sed -n 's/^completions_per_s //p' "$work/out" ;;
  esac
}

read -r -a order <<<"$only"
for round in $(seq "$rounds"); do
  for n in $threads; do
    for program in "${order[@]}"; do
      rate=$(run "$program" "$n") || { tail -20 "$work/log" >&2; die "$program with $n thread(s) failed"; }
      [ -n "$rate" ] || { tail -20 "$work/out" >&2; die "$program with $n thread(s) printed no completions_per_s"; }
      echo "$n $program $rate" >>"$work/rates"
      echo "round $round, $n thread(s): $program $rate completions/s" >&2
    done
  done
  order=("${order[@]:1}" "${order[0]}")
done

sort -k1,1n -k2,2 -k3,3g "$work/rates" | awk '
  { key = $1 " " $2; if (!(key in count)) keys[++n] = key; rate[key, ++count[key]] = $3 }
  function median(k, c) { c = count[k]; return (rate[k, int((c + 1) / 2)] + rate[k, int(c / 2) + 1]) / 2 }
  END {
    printf "\n%-8s %-10s %16s   %-20s %s\n", "threads", "program", "completions/s", "range", "wavezero is"
    for (i = 1; i <= n; i++) {
      split(keys[i], part, " "); mine = part[1] " wavezero"
      range = sprintf("%.0f .. %.0f", rate[keys[i], 1], rate[keys[i], count[keys[i]]])
      ratio = (mine in count) && part[2] != "wavezero" ? sprintf("%.2f x", median(mine) / median(keys[i])) : ""
      printf "%-8s %-10s %16.0f   %-20s %s\n", part[1], part[2], median(keys[i]), range, ratio
    }
  }'
model=$(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo 2>/dev/null || true)
echo "machine: ${model:-unknown CPU}, $(nproc) cores, load at the end $(cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo unknown)"
