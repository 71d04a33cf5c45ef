#!/usr/bin/env bash
# How fast a model of 0.5B parameters is imported and exported, beside what the disk does: a Hugging Face folder of
# Qwen2.5-0.5B's shape with random bf16 weights (988 MB), made once, is imported and exported again as a Hugging Face folder
# and as GGUF. dd reads the same file and copies it with an fsync, as import and export end with one, too: through the page cache
# and, where that works, past it.
#
#   scripts/benchmarks/file-rates.sh [FOLDER [ROUNDS]]        default: ./file-rates, 3 rounds; 3.5 GB of space
#
# Every round measures all of it, each from a cold page cache, because disks (virtual ones above all) change by the minute: rates
# are compared within a round, and of all rounds the least, the median and the most are printed. A FOLDER in memory (/dev/shm/x) shows the program without a disk. The program is build/wavezero, or that in
# $WZ_BUILD. The folder stays for the next run; it holds nothing but what can be made again.
set -euo pipefail
case ${1:-} in
    -h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
program=${WZ_BUILD:-$here/../../build}/wavezero
[ -x "$program" ] || { echo "file-rates.sh: $program is not there: build it first" >&2; exit 1; }
program=$(realpath "$program")
folder=${1:-file-rates}
rounds=${2:-3}
mkdir -p "$folder"
cd "$folder"
if [ ! -e model/complete ]; then
    echo "making $PWD/model" >&2
    python3 "$here/make-model-folder.py" model
    touch model/complete
fi
sync
model=model/model.safetensors
bytes=$(stat -c %s "$model")
declare -A seconds cpu

# cold FILE...: takes files that are on the disk out of the page cache.
cold() {
    for file in "$@"; do
        dd of="$file" oflag=nocache conv=notrunc,fdatasync count=0 status=none
    done
}

# measure NAME COMMAND...: seconds of the clock and of processors, one more of each to the lists.
measure() {
    local name=$1 TIMEFORMAT='%R %U %S' spent wall processor
    shift
    spent=$({ time "$@" >out.txt 2>log.txt; } 2>&1) || { cat log.txt >&2; exit 1; }
    read -r wall processor < <(awk '{ print $1, $2 + $3 }' <<<"$spent")
    echo "  $name: $wall s, $processor s of processors" >&2
    seconds[$name]+=" $wall"
    cpu[$name]+=" $processor"
}

# report NAME: a row of the table; of the others' rates, those of the same round.
report() {
    awk -v name="$1" -v wall="${seconds[$1]}" -v processors="${cpu[$1]}" -v read="${seconds[read]}" -v copy="${seconds[copy]}" \
        -v bytes="$bytes" '
        function sort(a, n,    i, j, t) {
            for (i = 2; i <= n; i++)
                for (j = i; j > 1 && a[j - 1] > a[j]; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
        }
        function median(a, n) { return (a[int((n + 1) / 2)] + a[int((n + 2) / 2)]) / 2 }
        BEGIN {
            n = split(wall, s, " "); split(processors, c, " "); split(read, r, " "); split(copy, w, " ")
            for (i = 1; i <= n; i++) { r[i] = 100 * r[i] / s[i]; w[i] = 100 * w[i] / s[i]; s[i] += 0; c[i] += 0 }
            sort(s, n); sort(c, n); sort(r, n); sort(w, n)
            printf "%-12s %5.2f %5.2f %5.2f %7.2f %7.2f   %4.0f %4.0f %4.0f   %4.0f %4.0f %4.0f\n", name, s[1], median(s, n), s[n], \
                bytes / median(s, n) / 1e9, median(c, n), r[1], median(r, n), r[n], w[1], median(w, n), w[n]
        }'
}

past_cache=yes
dd if="$model" of=/dev/null bs=4M count=1 iflag=direct status=none 2>/dev/null || past_cache=no

for ((round = 1; round <= rounds; round++)); do
    echo "round $round of $rounds, load $(cut -d ' ' -f 1 /proc/loadavg)" >&2
    cold "$model"
    measure read dd if="$model" of=/dev/null bs=1M
    cold "$model"
    if [ "$past_cache" = yes ]; then measure read-direct dd if="$model" of=/dev/null bs=4M iflag=direct; fi
    rm -f copy
    cold "$model"
    measure copy dd if="$model" of=copy bs=1M conv=fsync
    rm -f copy
    cold "$model"
    if [ "$past_cache" = yes ]; then
        measure copy-direct dd if="$model" of=copy bs=4M iflag=direct oflag=direct conv=fsync
    fi
    rm -f copy model.h5
    cold "$model"
    measure import "$program" import model -o model.h5
    for format in hf gguf; do
        rm -rf export
        cold model.h5
        measure "export-$format" "$program" export model.h5 --format "$format" --type bf16 --eval-problems 0 -o export
    done
done
rm -rf export model.h5 out.txt log.txt

echo "machine     $(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(df --output=fstype . | tail -1) on $(df --output=source . | tail -1)"
echo "program     $("$program" --version | head -1)"
echo "model       $bytes bytes of bf16 weights; $rounds rounds: least, median, most"
printf '%-12s %17s %7s %7s   %14s   %14s\n' "" "s" "GB/s" "CPU s" "% of read" "% of copy"
for name in read read-direct copy copy-direct import export-hf export-gguf; do
    if [ -n "${seconds[$name]:-}" ]; then report "$name"; fi
done
