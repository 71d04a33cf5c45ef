#!/usr/bin/env bash
# Exports models of all architectures and asks the real runtimes for their answers: transformers, ONNX Runtime,
# onnxruntime-genai, llama.cpp. Installs them into a throw-away virtual environment (WZ_INTEROP_VENV names one
# to keep). Needs a built wavezero.
#
#     scripts/interop-test.sh [WAVEZERO]      (default: build/wavezero)
#
# Exit status 77: the packages cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-build/wavezero}")
[ -x "$program" ] || { echo "no program at $program: build first (scripts/test.sh release, or cmake)" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
venv=${WZ_INTEROP_VENV:-$work/venv}
if [ ! -x "$venv/bin/python" ]; then
    echo "== installing transformers, torch, onnx, onnxruntime, xllamacpp and peft into $venv"
    if ! python3 -m venv "$venv" || ! "$venv/bin/pip" install -q numpy torch transformers onnx onnxruntime xllamacpp gguf \
        onnxruntime-genai peft safetensors tokenizers jinja2; then
        echo "skipped: the Python packages cannot be installed here" >&2
        exit 77
    fi
fi
exec "$venv/bin/python" tests/tools/interop.py "$program" "$work"
