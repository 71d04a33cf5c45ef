"""What both comparison programs share: the setting, the token ids, the timing report.

The setting is on/off power control with five links: a prompt of about 40 tokens (a 5 x 5 table of
gains in dB and its labels), five answer tokens with two allowed ids each, 64 problems x 16 completions
a step, and a Llama-shaped model of 4 layers x 128.

Token file (written by `wavezero bench --dump-tokens FILE`), JSON:
    vocab_size   number of ids
    prompts      list of lists of ids, all of one length; at least one step's worth is best
    allowed      per completion position: the ids the answer grammar admits there
Positions that admit a single id are forced: fed, but neither sampled nor trained; forced positions
after the last free one need no computation at all and are dropped.
"""

import argparse
import json
import random
import statistics
import sys


def parse_arguments(description, steps, warmup):
    p = argparse.ArgumentParser(description=description)
    p.add_argument("--tokens", metavar="FILE", help="token ids as JSON; default: synthetic ids of the same shape")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--steps", type=int, default=steps, help="timed steps (default %(default)s)")
    p.add_argument("--warmup", type=int, default=warmup, help="untimed steps before (default %(default)s)")
    p.add_argument("--problems", type=int, default=64, help="problems a step (default %(default)s)")
    p.add_argument("--generations", type=int, default=16, help="completions a problem (default %(default)s)")
    p.add_argument("--layers", type=int, default=4)
    p.add_argument("--hidden", type=int, default=128)
    p.add_argument("--heads", type=int, default=4)
    p.add_argument("--kv-heads", type=int, default=4)
    p.add_argument("--head-dim", type=int, default=32)
    p.add_argument("--intermediate", type=int, default=344)
    p.add_argument("--learning-rate", type=float, default=1e-3)
    p.add_argument("--entropy-coef", type=float, default=0.05)
    p.add_argument("--seed", type=int, default=0)
    return p


def load_tokens(path):
    """(vocab_size, prompts, allowed) with trailing forced positions dropped."""
    if path is None:
        rng = random.Random(7)
        frame = [1200 + i for i in range(7)]  # sentence and tags
        prompts = []
        for _ in range(64):
            rows = [[1250 + i] + [100 + rng.randrange(45) for _ in range(5)] for i in range(5)]
            prompts.append(frame + [t for row in rows for t in row])
        vocab_size, allowed = 1300, [[100, 101]] * 5
    else:
        with open(path, encoding="utf-8") as f:
            data = json.load(f)
        vocab_size, prompts, allowed = data["vocab_size"], data["prompts"], data["allowed"]
    if len({len(p) for p in prompts}) != 1:
        sys.exit(f"{path}: prompts differ in length; this program times equal prompts only")
    while allowed and len(allowed[-1]) == 1:
        allowed = allowed[:-1]
    if not allowed:
        sys.exit(f"{path}: no position of `allowed` has a choice; nothing to sample")
    return vocab_size, prompts, allowed


def batches(prompts, size):
    """Endless batches of prompts, in order, wrapping round."""
    at = 0
    while True:
        yield [prompts[(at + i) % len(prompts)] for i in range(size)]
        at = (at + size) % len(prompts)


def report(program, threads, completions, seconds, **more):
    """One line for people, one for scripts."""
    median = statistics.median(seconds)
    detail = ", ".join(f"{k} {v}" for k, v in more.items())
    print(f"{program}: {threads} thread(s), {completions} completions a step, median of {len(seconds)} steps "
          f"{median:.4f} s (fastest {min(seconds):.4f} s){', ' + detail if detail else ''}")
    print(f"completions_per_s {completions / median:.1f}")
