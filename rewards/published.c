#include "rewards/published.h"

const wz_published wz_published_figures[] = {
    /* ---- power_control ---- */
    {"power_control", "links=5", "random_best_of_16", WZ_PUBLISHED_RATIO, 0.92, 0.92, 0.02, 1000,
     "planning measurement at 0 dB"},
    {"power_control", "links=10", "full", WZ_PUBLISHED_PERCENT, 50, 50, 2, 1000,
     "Sun et al. 2018 setting, planning measurement"},
    {"power_control", "links=10", "random", WZ_PUBLISHED_PERCENT, 46, 46, 2, 1000,
     "Sun et al. 2018 setting, planning measurement"},
    {"power_control", "links=10", "strongest", WZ_PUBLISHED_PERCENT, 68, 68, 2, 1000,
     "Sun et al. 2018 setting, planning measurement"},
    {"power_control", "links=10", "greedy_adder", WZ_PUBLISHED_PERCENT, 101.6, 101.6, 0.6, 1000,
     "Sun et al. 2018 setting, planning measurement"},
    {"power_control", "links=10", "reference", WZ_PUBLISHED_PERCENT, 102.5, 102.5, 0.6, 1000,
     "Sun et al. 2018 setting, planning measurement"},
    {"power_control", "links=10", "wmmse", WZ_PUBLISHED_RATIO, 0.975, 0.975, 0.005, 1000,
     "planning measurement"},
    /* ---- offloading ---- */
    {"offloading", "users=10", "all_edge", WZ_PUBLISHED_RATIO, 0.897, 0.897, 0.0065, 1000,
     "Huang et al. 2019 setting, planning measurement"},
    {"offloading", "users=10", "two_strongest", WZ_PUBLISHED_RATIO, 0.969, 0.969, 0.0055, 1000,
     "Huang et al. 2019 setting, planning measurement"},
    {"offloading", "users=10", "sorted_thresholds", WZ_PUBLISHED_RATIO, 0.9998, 0.9998, 0.00025, 1000,
     "Huang et al. 2019 setting, planning measurement; here .99999: its number of users is not stated, and "
     "at N = 5 and 10 "
     "the best threshold is an optimum in 99% of the problems"},
    /* Huang et al. train a network to .9972 of the optimum: a policy's score, for which there is no baseline. */
    /* ---- beam_hopping ---- */
    {"beam_hopping", "spacing=3", "greedy_pattern", WZ_PUBLISHED_RATIO, 0.9985, 0.9985, 0.0012, 1000,
     "planning measurement, without interference; here neighbours are so far apart that none is left but -30 "
     "dB"},
    /* ---- ofdma ---- */
    {"ofdma", "", "max_cqi", WZ_PUBLISHED_FEASIBLE, 0.06, 0.06, 0.036, 1000, "planning measurement"},
    {"ofdma", "", "pf_greedy", WZ_PUBLISHED_FEASIBLE, 0.63, 0.63, 0.066, 1000,
     "planning measurement; the order of blocks and what a user without a block counts for are not stated"},
    {"ofdma", "", "pf_greedy", WZ_PUBLISHED_RATIO, 0.55, 0.55, 0.06, 1000,
     "planning measurement; the order of blocks and what a user without a block counts for are not stated"},
};

const size_t wz_published_count = sizeof wz_published_figures / sizeof *wz_published_figures;
