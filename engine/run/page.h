/* `wavezero report`: runs as one HTML page that stands by itself: no scripts, nothing from elsewhere, well-formed XML. */
#ifndef WZ_RUN_PAGE_H
#define WZ_RUN_PAGE_H

#include <stdio.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"

#define WZ_PAGE_RUNS 64

typedef struct wz_page_options {
    FILE *log;                    /* messages; NULL: none */
    bool evaluates;               /* of one run: its best checkpoint answers held-out problems */
    int64_t problems;             /* of that evaluation; of each part of a mixture */
    const char *const *overrides; /* key=value for the evaluation: threads=2, task_library=... */
    size_t override_count;
} wz_page_options;

/* Appends the page of one run, or a comparison of several. */
wz_status wz_page_write(const char *const *runs, size_t count, const wz_page_options *options, wz_text *out,
                        wz_error *err);

#endif
