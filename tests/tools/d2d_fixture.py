"""Device-to-device path loss and FPLinQ in plain Python, written from the published formulas and independent of the C code.
Prints what tests/test_d2d.c compares with: loss at a few distances, and for small tables of whole decibels the links that FPLinQ
turns on, as a string of 0 and 1."""
import math


def loss_db(d):
    wavelength = 2.998e8 / 2.4e9
    reach = 4 * 1.5**2 / wavelength
    there = abs(20 * math.log10(wavelength**2 / (8 * math.pi * 1.5**2)))
    return there + 6 + 20 * math.log10(d / reach) * (1 + (d > reach))


def table(number, links):
    """Whole dB from a linear congruential generator (Knuth's MMIX): direct 60..89, others 20..79."""
    state = number + 1
    rows = []
    for i in range(links):
        row = []
        for j in range(links):
            state = (6364136223846793005 * state + 1442695040888963407) % 2**64
            row.append(60 + (state >> 33) % 30 if i == j else 20 + (state >> 33) % 60)
        rows.append(row)
    return rows


def fplinq(gain):
    k = len(gain)
    x = [1.0] * k
    for _ in range(100):
        cross = [1 + sum(gain[i][j] * x[j] for j in range(k) if j != i) for i in range(k)]
        z = [gain[i][i] * x[i] / cross[i] for i in range(k)]
        y = [math.sqrt((1 + z[i]) * gain[i][i] * x[i]) / (cross[i] + gain[i][i] * x[i]) for i in range(k)]
        x = [
            min(1, (y[i] * math.sqrt((1 + z[i]) * gain[i][i]) / sum(gain[j][i] * y[j] ** 2 for j in range(k))) ** 2)
            if y[i] > 0
            else 0.0
            for i in range(k)
        ]
    return "".join("1" if math.sqrt(v) > 0.5 else "0" for v in x)


for d in (1, 2, 50, 72, 73, 500):
    print(f"{d} m: {loss_db(d):.10f} dB")
for number in range(12):
    links = 3 + number
    gain = [[10 ** (v / 10) for v in row] for row in table(number, links)]
    print(f'{links} links: "{fplinq(gain)}"')
