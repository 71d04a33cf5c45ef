/* Pairs to learn from, as users write them. */
#ifndef WZ_RUN_PAIRS_FILE_H
#define WZ_RUN_PAIRS_FILE_H

#include "engine/grpo/supervise.h"

#define WZ_PAIRS_LINE_MAX (1 << 20) /* bytes of a line, its break included */

/* JSON lines: each an object of the strings "prompt" and "completion", and nothing else. WZ_ERR_CORRUPT names path, line and
 * reason. out: {0}; free with wz_pairs_clear, also on failure. */
wz_status wz_pairs_read(const char *path, const wz_policy *policy, wz_pairs *out, wz_error *err);

#endif
