#!/usr/bin/env python3
"""A verifier in Python: scores Wavezero's power-control answers from outside.

    wavezero train CONFIG verifier_command="python3 scripts/examples/verifier.py"

It is asked one JSON object a line on its standard input and answers each with one line (rewards/external.h has the
protocol). Put your own model in the place of sum_rate: a link-level simulator, a ray tracer, a MATLAB engine.
"""

import itertools
import json
import math
import sys


def sum_rate(numbers, links, levels, decision):
    """Bit/s/Hz of K links that share one channel; numbers[i * K + j] - 30 is the gain from transmitter j to
    receiver i in dB over the noise."""
    gain = [10 ** ((n - 30) / 10) for n in numbers]
    power = [level / (levels - 1) for level in decision]
    total = 0.0
    for i in range(links):
        heard = sum(gain[i * links + j] * power[j] for j in range(links) if j != i)
        total += math.log2(1 + gain[i * links + i] * power[i] / (1 + heard))
    return total


def answer(question):
    links = int(question["options"]["links"])
    levels = int(question["options"]["levels"])
    numbers = question["numbers"]
    if question["ask"] == "judge":
        return {"objective": sum_rate(numbers, links, levels, question["decision"])}
    if levels**links > 65536:
        return {"error": "too many decisions to try them all"}
    best = max(itertools.product(range(levels), repeat=links), key=lambda d: sum_rate(numbers, links, levels, d))
    return {"objective": sum_rate(numbers, links, levels, best), "kind": "optimum", "decision": list(best)}


for line in sys.stdin:
    question = json.loads(line)
    # the answer says which question it is of; anything else that is printed belongs on standard error
    print(json.dumps({"id": question["id"], **answer(question)}), flush=True)
