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
     "0.006 better "
     "than chance"},
    {"independent_set", "links=20", "greedy", WZ_PUBLISHED_RATIO, 0.95, 0.97, 0.013, 1000,
     "planning measurement, 12 to 20 links; equal weights go to the link of fewer conflicts here, which is "
     "0.006 better "
     "than chance"},
    {"independent_set", "links=12", "gwmin", WZ_PUBLISHED_RATIO, 0.99, 0.99, 0.008, 1000,
     "planning measurement, 12 to 20 links"},
    {"independent_set", "links=20", "gwmin", WZ_PUBLISHED_RATIO, 0.99, 0.99, 0.009, 1000,
     "planning measurement, 12 to 20 links"},

    /* ---- deadline ---- */
    {"deadline", "packets=8 slots=6", "edf", WZ_PUBLISHED_RATIO, 0.90, 0.90, 0.019, 1000,
     "planning measurement"},
    {"deadline", "packets=8 slots=6", "max_weight", WZ_PUBLISHED_RATIO, 0.87, 0.87, 0.019, 1000,
     "planning measurement"},
};

const size_t wz_published_count = sizeof wz_published_figures / sizeof *wz_published_figures;
