#!/usr/bin/env python3
"""Reads a run's event files with TensorBoard's own reader: every figure of metrics.jsonl is there, once for each step, also
after a resume that trained some steps again. Exit status 77: TensorBoard is not installed.

    python3 tests/tools/check_events.py build/wavezero tests/data/config/tiny.yaml
"""
import glob
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

program, config = map(os.path.abspath, sys.argv[1:3])


def single(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def read(run):
    reader = EventAccumulator(run + "/tb", size_guidance={"scalars": 0, "tensors": 0})
    reader.Reload()
    return reader


def expected(run):
    """{name: {step: value}}; lists are numbered."""
    figures = {}
    with open(run + "/metrics.jsonl") as rows:
        for row in map(json.loads, rows):
            step = row.pop("step")
            for name, value in row.items():
                if isinstance(value, str):
                    continue
                many = {f"{name}/{i + 1}": v for i, v in enumerate(value)} if isinstance(value, list) else {name: value}
                for key, number in many.items():
                    if number is not None:
                        figures.setdefault(key, {})[step] = single(number)
    return figures


def check(run):
    reader, figures = read(run), expected(run)
    assert set(reader.Tags()["scalars"]) == set(figures), set(reader.Tags()["scalars"]) ^ set(figures)
    for name, known in figures.items():
        events = reader.Scalars(name)
        steps = [event.step for event in events]
        assert steps == sorted(known), (name, steps)
        for event in events:
            assert event.value == known[event.step] or math.isnan(event.value), (name, event)
    for tag in ("completions", "config"):
        assert reader.Tensors(tag)[0].tensor_proto.string_val[0], tag
    return len(figures), len(reader.Scalars("loss"))


with tempfile.TemporaryDirectory() as place:
    run = place + "/run"

    def wavezero(*arguments):
        subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    wavezero("train", config, "output_dir=" + run)
    print("%d names, %d steps" % check(run))
    # As if killed after the last save but one: those steps are trained again.
    os.remove(sorted(glob.glob(run + "/checkpoints/step-*.h5"))[-1])
    wavezero("resume", run)
    assert len(glob.glob(run + "/tb/*tfevents*")) == 2
    print("%d names, %d steps after a resume" % check(run))
