/* A progress bar in MiB for weights that are read or written. */
#ifndef WZ_CLI_BYTE_BAR_H
#define WZ_CLI_BYTE_BAR_H

#include "checkpoints/portable.h"
#include "engine/cli/cli.h"

typedef struct wz_byte_bar {
    wz_progress progress;
    uint64_t done;
} wz_byte_bar;

/* Shows the bar, on a terminal; what is returned counts into it, for as long as it lives. */
wz_byte_count wz_byte_bar_start(wz_byte_bar *bar, const wz_cli *cli, uint64_t total, double now_s);

#endif
