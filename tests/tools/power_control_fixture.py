#!/usr/bin/env python3
"""Writes tests/data/numpy_random_seed7.txt and tests/data/power_control_oracle.txt (needs numpy).

numpy itself is the oracle of the MT19937 and Gaussian bits. The oracle of the solvers is plain Python
over all subsets, and WMMSE written as in the code that came with Sun et al. 2018.
Run from anywhere: python3 tests/tools/power_control_fixture.py
"""
import itertools
import math
import pathlib

import numpy as np

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
SEED = 7


def write_numpy():
    lines = [f"# numpy {np.__version__}, numpy.random.seed({SEED}): kind index value"]
    np.random.seed(SEED)
    words = np.random.randint(0, 2**32, size=2000, dtype=np.uint32)
    for i in [*range(16), 622, 623, 624, 625, 1247, 1248, 1999]:
        lines.append(f"word {i} {int(words[i])}")
    np.random.seed(SEED)
    uniform = np.random.random_sample(1000)
    for i in [*range(8), 311, 312, 999]:
        lines.append(f"uniform {i} {float(uniform[i]).hex()}")
    np.random.seed(SEED)
    normal = np.random.randn(100000)
    for i in [*range(32), 999, 9999, 99999]:
        lines.append(f"normal {i} {float(normal[i]).hex()}")
    (DATA / "numpy_random_seed7.txt").write_text("\n".join(lines) + "\n")


def rate(gain, power):
    received = gain @ power + 1.0
    signal = np.diag(gain) * power
    return float(np.sum(np.log2(1 + signal / (received - signal))))


def wmmse(gain):
    links = len(gain)
    h = np.sqrt(np.diag(gain))
    b = np.ones(links)

    def receivers():
        f = h * b / (gain @ b**2 + 1.0)
        return f, 1 / (1 - f * b * h)

    f, w = receivers()
    new = sum(math.log2(x) for x in w)
    for _ in range(100):
        old = new
        for i in range(links):
            b[i] = min(max(w[i] * f[i] * h[i] / sum(w * f**2 * gain[:, i]), 0), 1)
        f, w = receivers()
        new = sum(math.log2(x) for x in w)
        if new - old <= 1e-3:
            break
    return rate(gain, b**2)


def greedy(gain):
    on, best = set(), 0.0
    while True:
        trials = [(rate(gain, np.array([1.0 if k in on | {j} else 0.0 for k in range(len(gain))])), j)
                  for j in range(len(gain)) if j not in on]
        if not trials or max(trials)[0] <= best:
            return best
        best, link = max(trials)
        on.add(link)


def optimum(gain, levels):
    grid = [level / (levels - 1) for level in range(levels)]
    return max(rate(gain, np.array(p)) for p in itertools.product(grid, repeat=len(gain)))


def write_oracle():
    lines = ["# sample links levels  optimum wmmse greedy_adder full strongest   (bit/s/Hz, Sun et al. test set)"]
    for links, levels, samples in [(2, 2, 8), (3, 8, 8), (5, 2, 8), (4, 5, 4), (9, 2, 4)]:
        np.random.seed(SEED)
        for sample in range(samples):
            real = np.random.randn(links, links)
            imaginary = np.random.randn(links, links)
            gain = (real**2 + imaginary**2) / 2
            single = np.zeros(links)
            single[np.argmax(np.diag(gain))] = 1.0
            values = [optimum(gain, levels), wmmse(gain), greedy(gain), rate(gain, np.ones(links)), rate(gain, single)]
            lines.append(f"{sample} {links} {levels} " + " ".join(f"{v:.15g}" for v in values))
    (DATA / "power_control_oracle.txt").write_text("\n".join(lines) + "\n")


write_numpy()
write_oracle()
