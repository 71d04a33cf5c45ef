#include "rewards/published.h"

#include <math.h>

/* Families in the order of tasks/table.c. Tolerances are half of the last digit and four standard errors of our mean and, where
 * the source's samples are known, of theirs. NaN: what is stated does not suffice to check anything, and the figure counts neither way. */
const wz_published wz_published_figures[] = {
    /* ---- power_control ---- */
    {"power_control", "links=2", "full", WZ_PUBLISHED_RATIO, 0.87, 0.87, 0.016, 4000,
     "planning measurement, number of problems not stated"},
    {"power_control", "links=2", "strongest", WZ_PUBLISHED_RATIO, 0.92, 0.92, 0.013, 4000,
     "planning measurement, number of problems not stated"},
    {"power_control", "links=2 snr_db=10", "full", WZ_PUBLISHED_RATIO, 0.59, 0.59, 0.022, 4000,
     "planning measurement, number of problems not stated"},
    {"power_control", "links=2 snr_db=10", "strongest", WZ_PUBLISHED_RATIO, 0.99, 0.99, 0.0085, 4000,
     "planning measurement, number of problems not stated"},
    {"power_control", "links=5", "random_best_of_16", WZ_PUBLISHED_RATIO, 0.92, 0.92, 0.017, 1000,
     "planning measurement, number of problems not stated"},
    {"power_control", "links=5", "wmmse", WZ_PUBLISHED_MEAN, 2.082, 2.082, 0.14, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=10", "random_best_of_16", WZ_PUBLISHED_RATIO, 0.75, 0.75, 0.02, 1000,
     "planning measurement, number of problems not stated"},
    {"power_control", "links=10", "full", WZ_PUBLISHED_RATIO, 0.49, 0.49, 0.015, 1000,
     "planning measurement, number of problems not stated"},
    {"power_control", "links=10", "greedy_adder", WZ_PUBLISHED_RATIO, 0.99, 0.99, 0.0098, 1000,
     "planning measurement, number of problems not stated"},
    {"power_control", "links=10", "wmmse", WZ_PUBLISHED_RATIO, 0.975, 0.975, 0.006, 1000,
     "planning measurement, number of problems not stated"},
    {"power_control", "links=10", "wmmse", WZ_PUBLISHED_MEAN, 2.792, 2.792, 0.14, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=10", "full", WZ_PUBLISHED_PERCENT, 50, 50, 2.1, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=10", "strongest", WZ_PUBLISHED_PERCENT, 68, 68, 2.6, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=10", "greedy_adder", WZ_PUBLISHED_PERCENT, 101.6, 101.6, 0.99, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=10", "reference", WZ_PUBLISHED_PERCENT, 102.5, 102.5, 0.78, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=10 levels=100", "random", WZ_PUBLISHED_PERCENT, 46, 46, 2.7, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples: uniform powers, here "
     "100 levels"},
    {"power_control", "links=15", "wmmse", WZ_PUBLISHED_MEAN, 3.306, 3.306, 0.14, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=20", "wmmse", WZ_PUBLISHED_MEAN, 3.655, 3.655, 0.14, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=20", "full", WZ_PUBLISHED_PERCENT, 39, 39, 1.6, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=20", "strongest", WZ_PUBLISHED_PERCENT, 59, 59, 2.2, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=20", "greedy_adder", WZ_PUBLISHED_PERCENT, 100.8, 100.8, 1.1, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=20", "reference", WZ_PUBLISHED_PERCENT, 102.5, 102.5, 1.5, 200,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=20 levels=100", "random", WZ_PUBLISHED_PERCENT, 38, 38, 1.8, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples: uniform powers, here "
     "100 levels"},
    {"power_control", "links=25", "wmmse", WZ_PUBLISHED_MEAN, 3.891, 3.891, 0.14, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=30", "wmmse", WZ_PUBLISHED_MEAN, 4.124, 4.124, 0.13, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=30", "full", WZ_PUBLISHED_PERCENT, 35, 35, 1.4, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=30", "strongest", WZ_PUBLISHED_PERCENT, 55, 55, 1.9, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=30", "greedy_adder", WZ_PUBLISHED_PERCENT, 100.4, 100.4, 0.97, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=30", "reference", WZ_PUBLISHED_PERCENT, 102.3, INFINITY, 0.96, 500,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples"},
    {"power_control", "links=30 levels=100", "random", WZ_PUBLISHED_PERCENT, 34, 34, 1.6, 1000,
     "Sun et al. 2018 setting, planning measurement on its first 1,000 test samples: uniform powers, here "
     "100 levels"},
    /* ---- assignment ---- */
    {"assignment", "users=4", "random", WZ_PUBLISHED_RATIO, 0.66, 0.73, 0.025, 1000,
     "planning measurement, 4 to 8 users"},
    {"assignment", "users=8", "random", WZ_PUBLISHED_RATIO, 0.66, 0.73, 0.018, 1000,
     "planning measurement, 4 to 8 users"},
    {"assignment", "users=4", "row_greedy", WZ_PUBLISHED_RATIO, 0.93, 0.93, 0.015, 1000,
     "planning measurement, 4 to 8 users"},
    {"assignment", "users=8", "row_greedy", WZ_PUBLISHED_RATIO, 0.93, 0.93, 0.011, 1000,
     "planning measurement, 4 to 8 users"},
    {"assignment", "users=4", "global_greedy", WZ_PUBLISHED_RATIO, 0.96, 0.96, 0.011, 1000,
     "planning measurement, 4 to 8 users"},
    {"assignment", "users=8", "global_greedy", WZ_PUBLISHED_RATIO, 0.96, 0.96, 0.009, 1000,
     "planning measurement, 4 to 8 users"},
    /* ---- independent_set ---- */
    {"independent_set", "links=12", "greedy", WZ_PUBLISHED_RATIO, 0.95, 0.97, 0.012, 1000,
     "planning measurement, 12 to 20 links; equal weights go to the link of fewer conflicts here, which is "
     "0.006 better than chance"},
    {"independent_set", "links=20", "greedy", WZ_PUBLISHED_RATIO, 0.95, 0.97, 0.013, 1000,
     "planning measurement, 12 to 20 links; equal weights go to the link of fewer conflicts here, which is "
     "0.006 better than chance"},
    {"independent_set", "links=12", "gwmin", WZ_PUBLISHED_RATIO, 0.99, 0.99, 0.008, 1000,
     "planning measurement, 12 to 20 links"},
    {"independent_set", "links=20", "gwmin", WZ_PUBLISHED_RATIO, 0.99, 0.99, 0.009, 1000,
     "planning measurement, 12 to 20 links"},
    /* ---- deadline ---- */
    {"deadline", "packets=8 slots=6", "edf", WZ_PUBLISHED_RATIO, 0.90, 0.90, 0.019, 1000,
     "planning measurement"},
    {"deadline", "packets=8 slots=6", "max_weight", WZ_PUBLISHED_RATIO, 0.87, 0.87, 0.019, 1000,
     "planning measurement"},
    /* ---- water_filling ---- */
    {"water_filling", "channels=8 total=96 snr_db=-5", "uniform", WZ_PUBLISHED_RATIO, 0.71, 0.71, 0.009,
     10000, "planning measurement at -5 and 10 dB; 96 parts, so that an eighth is a whole number of them"},
    {"water_filling", "channels=8 total=96 snr_db=10", "uniform", WZ_PUBLISHED_RATIO, 0.98, 0.98, 0.006,
     10000, "planning measurement at -5 and 10 dB; 96 parts, so that an eighth is a whole number of them"},
    {"water_filling", "channels=8 total=100 snr_db=-5", "proportional", WZ_PUBLISHED_RATIO, 0.94, 0.97, 0.006,
     10000, "planning measurement over -5 to 10 dB; rounded to whole per cent here"},
    {"water_filling", "channels=8 total=100 snr_db=0", "proportional", WZ_PUBLISHED_RATIO, 0.94, 0.97, 0.006,
     10000, "planning measurement over -5 to 10 dB; rounded to whole per cent here"},
    {"water_filling", "channels=8 total=100 snr_db=5", "proportional", WZ_PUBLISHED_RATIO, 0.94, 0.97, 0.006,
     10000, "planning measurement over -5 to 10 dB; rounded to whole per cent here"},
    {"water_filling", "channels=8 total=100 snr_db=10", "proportional", WZ_PUBLISHED_RATIO, 0.94, 0.97, 0.006,
     10000, "planning measurement over -5 to 10 dB; rounded to whole per cent here"},
    /* ---- d2d ---- */
    {"d2d", "links=16", "full", WZ_PUBLISHED_RATIO, 0.66, 0.66, 0.017, 1000,
     "Cui, Shen, Yu 2019 setting, planning measurement on channels that were not rounded"},
    {"d2d", "links=16", "greedy", WZ_PUBLISHED_RATIO, 0.85, 0.85, 0.025, 1000,
     "Cui, Shen, Yu 2019 setting, planning measurement on channels that were not rounded"},
    {"d2d", "links=16", "fplinq", WZ_PUBLISHED_RATIO, 0.964, 0.964, 0.0055, 1000,
     "Cui, Shen, Yu 2019 setting, planning measurement on channels that were not rounded"},
    {"d2d", "links=50", "fplinq", WZ_PUBLISHED_MEAN, 385, 385, 9.4, 500,
     "Cui, Shen, Yu 2019 setting, planning measurement on channels that were not rounded"},
    {"d2d", "links=50", "greedy", WZ_PUBLISHED_PERCENT, 96.3, 96.3, 2.3, 500,
     "Cui, Shen, Yu 2019 setting, planning measurement; whole decibels hide which of two links is the "
     "stronger"},
    {"d2d", "links=50", "fplinq_flip", WZ_PUBLISHED_PERCENT, 105.0, 105.0, 0.63, 500,
     "Cui, Shen, Yu 2019 setting, planning measurement on channels that were not rounded"},
    {"d2d", "links=50", "strongest", WZ_PUBLISHED_PERCENT, 38, 38, 1.4, 500,
     "Cui, Shen, Yu 2019 setting, planning measurement on channels that were not rounded"},
    {"d2d", "links=50", "random", WZ_PUBLISHED_PERCENT, 48, 48, 2.2, 500,
     "Cui, Shen, Yu 2019 setting, planning measurement on channels that were not rounded"},
    {"d2d", "links=50", "full", WZ_PUBLISHED_PERCENT, 55, 55, 1.7, 500,
     "Cui, Shen, Yu 2019 setting, planning measurement on channels that were not rounded"},
    {"d2d", "links=50 field_m=1000 shadowing_db=8 fading=rayleigh gap_db=0", "strongest_half",
     WZ_PUBLISHED_PERCENT, 80, 80, 1.5, 500,
     "Shen et al. 2020 (WCGCN), top-k greedy: not reproduced, since neither k nor the distances are stated; "
     "here half of the links, 2 to 65 m (35% of them give 78, 65% give 86, half at 30 to 70 m 82)"},
    /* ---- max_min ---- */
    {"max_min", "links=3 levels=101", "full", WZ_PUBLISHED_RATIO, 0.43, 0.43, 0.014, 10000,
     "planning measurement, linear SINR; the noise is not stated: here 0.1 of what an interferer is received "
     "with"},
    {"max_min", "links=10 levels=101", "full", WZ_PUBLISHED_RATIO, 0.22, 0.22, 0.012, 10000,
     "planning measurement, linear SINR; the noise is not stated: here 0.1 of what an interferer is received "
     "with"},
    {"max_min", "links=3 levels=101", "inversion", WZ_PUBLISHED_RATIO, 0.47, 0.47, 0.014, 10000,
     "planning measurement, linear SINR; the noise is not stated: here 0.1 of what an interferer is received "
     "with"},
    {"max_min", "links=10 levels=101", "inversion", WZ_PUBLISHED_RATIO, 0.42, 0.42, 0.012, 10000,
     "planning measurement, linear SINR; the noise is not stated: here 0.1 of what an interferer is received "
     "with"},
    /* ---- ofdma ---- */
    {"ofdma", "", "max_cqi", WZ_PUBLISHED_FEASIBLE, 0.06, 0.06, 0.036, 1000, "planning measurement"},
    {"ofdma", "", "pf_greedy", WZ_PUBLISHED_FEASIBLE, 0.63, 0.63, 0.066, 1000,
     "planning measurement; the order of blocks and what a user without a block counts for are not stated"},
    {"ofdma", "", "pf_greedy", WZ_PUBLISHED_RATIO, 0.55, 0.55, 0.06, 1000,
     "planning measurement; the order of blocks and what a user without a block counts for are not stated"},
    /* ---- offloading ---- */
    {"offloading", "users=10", "all_edge", WZ_PUBLISHED_RATIO, 0.897, 0.897, 0.0065, 1000,
     "Huang et al. 2019 setting, planning measurement"},
    {"offloading", "users=10", "two_strongest", WZ_PUBLISHED_RATIO, 0.969, 0.969, 0.0055, 1000,
     "Huang et al. 2019 setting, planning measurement"},
    {"offloading", "users=10", "sorted_thresholds", WZ_PUBLISHED_RATIO, 0.9998, 0.9998, 0.00025, 1000,
     "Huang et al. 2019 setting, planning measurement; here .99999: its number of users is not stated, and "
     "at N = 5 and 10 the best threshold is an optimum in 99% of the problems"},
    {"offloading", "users=10", "trained policy", WZ_PUBLISHED_RATIO, 0.9972, 0.9972, NAN, 0,
     "Huang et al. 2019, what DROO's network reaches: a trained policy's score, which no algorithm here can "
     "measure"},
    /* ---- isac ---- */
    {"isac", "tones=8 total=100", "water_filling", WZ_PUBLISHED_RATIO, 0.015, 0.015, 0.006, 10000,
     "planning measurement; whole per cent here, and responses in twentieths of the best"},
    {"isac", "tones=8 total=100", "mix", WZ_PUBLISHED_RATIO, 0.96, 0.96, 0.012, 10000,
     "planning measurement, two digits, perhaps cut; what the tone is given is not stated: here the least "
     "that is needed"},
    /* ---- beam_hopping ---- */
    {"beam_hopping", "spacing=3", "greedy_pattern", WZ_PUBLISHED_RATIO, 0.9985, 0.9985, 0.0012, 1000,
     "planning measurement, without interference; here neighbours are so far apart that none is left but -30 "
     "dB"},
    /* ---- energy_efficiency ---- */
    {"energy_efficiency", "circuit_percent=100", "full", WZ_PUBLISHED_RATIO, 0.20, 0.20, NAN, 10000,
     "planning measurement; neither gains nor mu, P_c and levels are stated: those here, mu = 3 and P_c = 1 "
     "among them, are of our choosing"},
};

const size_t wz_published_count = sizeof wz_published_figures / sizeof *wz_published_figures;
