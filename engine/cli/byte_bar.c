#include "engine/cli/byte_bar.h"

#include <math.h>

#include "engine/core/clock.h"

static void count_bytes(void *user, uint64_t bytes)
{
    wz_byte_bar *bar = user;
    bar->done += bytes;
    wz_progress_update(&bar->progress, (int64_t)(bar->done >> 20), NULL, NAN, NULL, wz_now_s());
}

wz_byte_count wz_byte_bar_start(wz_byte_bar *bar, const wz_cli *cli, uint64_t total, double now_s)
{
    bar->done = 0;
    wz_progress_start(&bar->progress, cli->progress.is_terminal ? cli->log : NULL, &cli->progress, "MiB", 0,
                      (int64_t)(total >> 20), now_s);
    return (wz_byte_count){.add = count_bytes, .user = bar};
}
