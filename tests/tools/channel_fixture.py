"""Path loss, line of sight and noise of TR 38.901 V16 in plain Python, written from the tables and independent of the C code.
Prints what tests/test_channel_cells.c compares with."""
import math


def loss(name, los, d, fc):
    hbs, hut = {"umi": 10, "uma": 25}[name], 1.5
    d3 = math.sqrt(d * d + (hbs - hut) ** 2)
    dbp = 4 * (hbs - 1) * (hut - 1) * fc * 1e9 / 3e8
    if name == "umi":
        near = 32.4 + 21 * math.log10(d3) + 20 * math.log10(fc)
        far = 32.4 + 40 * math.log10(d3) + 20 * math.log10(fc) - 9.5 * math.log10(dbp**2 + (hbs - hut) ** 2)
        nlos = 35.3 * math.log10(d3) + 22.4 + 21.3 * math.log10(fc) - 0.3 * (hut - 1.5)
    else:
        near = 28.0 + 22 * math.log10(d3) + 20 * math.log10(fc)
        far = 28.0 + 40 * math.log10(d3) + 20 * math.log10(fc) - 9 * math.log10(dbp**2 + (hbs - hut) ** 2)
        nlos = 13.54 + 39.08 * math.log10(d3) + 20 * math.log10(fc) - 0.6 * (hut - 1.5)
    los_loss = near if d <= dbp else far
    return los_loss if los else max(los_loss, nlos)


def sight(name, d):
    return 1.0 if d <= 18 else 18 / d + math.exp(-d / {"umi": 36, "uma": 63}[name]) * (1 - 18 / d)


for name in ("umi", "uma"):
    for d, fc in ((10, 3.5), (50, 3.5), (200, 3.5), (400, 3.5), (2000, 0.7), (100, 28)):
        print(f"{{WZ_CELLS_{name.upper()}, {d}, {fc}, {loss(name, True, d, fc):.9f}, {loss(name, False, d, fc):.9f},"
              f" {sight(name, d):.12f}}},")
print(f"noise of 20 MHz, figure 9 dB: {-174 + 10 * math.log10(20e6) + 9:.9f} dBm")
