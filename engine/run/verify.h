/* Whether a model that was written and read back is the one that was meant. */
#ifndef WZ_RUN_VERIFY_H
#define WZ_RUN_VERIFY_H

#include "checkpoints/portable.h"
#include "engine/grpo/batch.h"
#include "engine/run/config.h"

typedef struct wz_verification {
    size_t tensors;   /* all equal to what was meant, number by number */
    int64_t problems; /* whose prompts both were given */
    double
        logit_difference; /* largest, over the prompts' next tokens, relative to the largest logit; 0: the same bits */
    int64_t tokens;         /* of greedy completions compared */
    int64_t equal_problems; /* of which every token agreed */
    double
        least_margin; /* between the two likeliest tokens where completions part first, relative; NaN: never */
    double ratio, ratio_back; /* mean objective ratio of the answers of both */
} wz_verification;

/* Every tensor of `back` must be what storing the one of `meant` in its type and reading it again gives, bit for bit:
 * WZ_ERR_CORRUPT names the first that is not. */
wz_status wz_verify_tensors(const wz_portable *meant, const wz_portable *back, const char *path,
                            wz_verification *out, wz_error *err);

/* The same of the adapters, of which there may be no others; and their alpha, rank and targets. */
wz_status wz_verify_adapters(const wz_portable *meant, const wz_portable *back, const char *path,
                             wz_verification *out, wz_error *err);

/* Both policies answer the first problems of the test split greedily. */
wz_status wz_verify_answers(wz_policy *meant, wz_policy *back, const wz_config *config, int64_t problems,
                            wz_verification *out, wz_error *err);

#endif
