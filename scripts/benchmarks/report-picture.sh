#!/usr/bin/env bash
# Draws report.png, the picture of a report in README.md: the page's upper part and its held-out evaluation, side by side.
#
#   scripts/benchmarks/report-picture.sh RUN [PICTURE]
#
# With headless Chromium and ImageMagick (Debian: apt-get install chromium imagemagick fonts-dejavu-core). The program is
# build/wavezero, or $WAVEZERO; the picture is report.png beside this script, or PICTURE.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
run=${1:?usage: report-picture.sh RUN [PICTURE]}
picture=${2:-$here/report.png}
wavezero=${WAVEZERO:-$here/../../build/wavezero}
for tool in chromium convert; do
    command -v "$tool" >/dev/null || { echo "report-picture.sh: no $tool; apt-get install chromium imagemagick" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# draw NAME HEIGHT: a picture of the page's upper end, 1,180 pixels wide.
draw() {
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
        --window-size="1180,$2" --screenshot="$work/$1.png" "file://$work/$1.html" >/dev/null 2>&1
}

"$wavezero" report "$run" -o "$work/left.html"
# The same page from its evaluation on.
awk '/<main>/ { print; skip = 1 } /<h2>Held-out evaluation/ { skip = 0 } !skip && !/<main>/' "$work/left.html" >"$work/right.html"
draw left 1192
draw right 1345
convert "$work/left.png" "$work/right.png" -background white -gravity north +append -resize 1800x \
    +dither -colors 128 -strip "PNG8:$picture"
ls -l "$picture"
