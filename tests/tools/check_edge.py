#!/usr/bin/env python3
"""The edge examples on an exported policy: their answers must be those of `wavezero generate`.

    python3 tests/tools/check_edge.py wavezero tiny.yaml scripts/examples/edge/answer.py
    python3 tests/tools/check_edge.py wavezero tiny.yaml scripts/examples/edge/answer.c LLAMA_CPP CC

LLAMA_CPP: a folder with include/, ggml/include/ and libllama.so in lib/, bin/, build/bin/ or build/src/. The policy is trained here,
for a few seconds: enough to answer two sizes of problem in their lengths, decoding freely. Exit status 77: the runtime is not here.
"""
import glob
import json
import os
import subprocess
import sys
import tempfile

PROGRAM, CONFIG, EXAMPLE = map(os.path.abspath, sys.argv[1:4])
SIZES, STEPS = (2, 4), 40
KEYS = [f"max_steps={STEPS}", "grammar_coef=1", "entropy_coef=0.3", "generation_batch_size=256", "eval_problems=1",
        "log_completions_steps=0", "threads=1", "model.zero_init_head=false", "model.initializer_range=0.3"]


def skip(why):
    print("skipped: " + why)
    sys.exit(77)


def run(*arguments, given=None):
    done = subprocess.run(arguments, input=given, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{' '.join(arguments)}: exit {done.returncode}: {done.stderr.strip()}"
    return done.stdout


def compile_example(place, folder, compiler):
    libraries = [lib for sub in ("lib", "build/bin", "build/src", "bin") for lib in glob.glob(f"{folder}/{sub}/libllama.so")]
    header = f"{folder}/include/llama.h"
    if not folder or not libraries or not os.path.exists(header):
        skip(f"no llama.cpp at '{folder}': WZ_LLAMA_CPP names its folder, with include/llama.h and a built libllama.so")
    where = os.path.dirname(os.path.realpath(libraries[0]))
    run(compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", EXAMPLE, "-o", place + "/answer", f"-I{folder}/include",
        f"-I{folder}/ggml/include", f"-L{where}", f"-Wl,-rpath,{where}", "-lllama", "-lggml-base")
    return [place + "/answer"]


def find_python():
    try:
        import xllamacpp  # noqa: F401
    except ImportError as missing:
        skip(str(missing))
    return [sys.executable, EXAMPLE]


def compare(command, place):
    with open(CONFIG) as base, open(place + "/mixture.yaml", "w") as mixture:
        mixture.write(base.read() + "task_mixture:\n" + "".join(f"  - power_control links={n} levels=4 snr_db=10\n" for n in SIZES))
    run(PROGRAM, "train", place + "/mixture.yaml", f"output_dir={place}/run", *KEYS)
    checkpoint = f"{place}/run/checkpoints/step-{STEPS:08d}.h5"
    run(PROGRAM, "export", checkpoint, "--format", "gguf", "-o", place + "/policy", "--eval-problems", "0")
    ours = [json.loads(line) for n in SIZES
            for line in run(PROGRAM, "generate", checkpoint, "--count", "12", "--json", f"task.links={n}", "task.levels=4",
                            "task.snr_db=10").splitlines()]
    theirs = run(*command, place + "/policy/model.gguf", given="".join(a["prompt"] + "\n" for a in ours)).split("\n")[:-1]
    expected = [answer["completion"] for answer in ours]
    assert theirs == expected, list(zip(theirs, expected))
    assert len(set(expected)) >= len(SIZES), set(expected)
    print(f"{len(ours)} answers equal, {len(set(expected))} different ones")


with tempfile.TemporaryDirectory() as place:
    compare(compile_example(place, sys.argv[4], sys.argv[5]) if EXAMPLE.endswith(".c") else find_python(), place)
