/* What a sweep runs, from its command line: text alone, no configuration is known here.
 *
 *   key=a,b,c       the key's values, one after the other
 *   key=0..3        whole numbers from 0 to 3; ranges and values mix: 0..3,8
 *   key="a, b"      one value, which holds commas; key=[a, b],[c]: two lists. Quotes and brackets around a value are taken off
 *   key=value       one value: set in every point
 *   NAME: key=value key=value      (a set) several keys that change together, under a name
 *
 * Keys with several values, and the sets, are the grid's axes; `seed` is none: every point is run with each seed. */
#ifndef WZ_RUN_SWEEP_GRID_H
#define WZ_RUN_SWEEP_GRID_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"
#include "engine/run/sweep_values.h"

#define WZ_SWEEP_BASELINE "baseline"

typedef struct wz_sweep_request {
    const char *const *arguments; /* key=values */
    size_t argument_count;
    const char *const *sets; /* "NAME: key=value key=value" */
    size_t set_count;
    bool one_at_a_time; /* not all combinations: each axis alone, from the configuration's own point */
} wz_sweep_request;

typedef struct wz_sweep_point {
    wz_text name;        /* "loss_type=grpo num_generations=8", a set's name, or "baseline" */
    wz_text assignments; /* "key=value", each with its terminator, beside those that all points share */
    bool is_named;       /* by a set: the name does not tell its assignments */
} wz_sweep_point;

typedef struct wz_sweep_grid {
    wz_sweep_point *points; /* the last key given varies fastest; with one_at_a_time the baseline is first */
    size_t count, capacity;
    wz_text fixed; /* assignments that all points share */
    wz_text seeds; /* values of seed, each with its terminator; empty: the configuration's own */
    wz_text keys;  /* that vary, each with its terminator; seed aside */
} wz_sweep_grid;

/* Points that are alike in their text appear once. WZ_ERR_USAGE: an argument that is none, a key given twice, sets that share
 * a name, or too many points. Initialises *out in every case; free with wz_sweep_grid_clear. */
wz_status wz_sweep_expand(const wz_sweep_request *request, wz_sweep_grid *out, wz_error *err);
void wz_sweep_grid_clear(wz_sweep_grid *grid);

#endif
