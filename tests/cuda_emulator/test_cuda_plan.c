/* The memory plan of a model too large for the emulator: that of scripts/configs/qwen2.5-0.5b-shape.yaml with adapters, on a
 * GPU of 12 GB. The plan's arithmetic is the backend's own, but nothing is allocated. Tiles of ops are smaller in the emulator
 * (cuda/head.h, cuda/gemm_trial.cu), and cublasLt takes no memory there: 0.5 GB are left for the difference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/cuda.h"
#include "engine/run/load.h"
#include "engine/run/run.h"
#include "tests/suite.h"

#define GPU_BYTES 12e9
#define LEFT_BYTES 0.5e9

/* Of the file: what bf16 may store, and the rest (norms; biases of q, k and v). */
enum { VOCAB = 151936, HIDDEN = 896, LAYERS = 24, INNER = 4864, QKV = 14 * 64 + 2 * 2 * 64, RANK = 16 };
#define MATRICES                                                                                             \
    ((double)VOCAB * HIDDEN + (double)LAYERS * HIDDEN * ((double)QKV + HIDDEN + 3.0 * (double)INNER))
#define VECTORS ((double)HIDDEN + (double)LAYERS * (2.0 * HIDDEN + QKV))
/* r (in + out) of q, k, v, o, gate, up, down */
#define ADAPTERS                                                                                             \
    ((double)LAYERS * RANK *                                                                                 \
     (2.0 * (HIDDEN + HIDDEN) + 2.0 * (HIDDEN + 128.0) + 3.0 * ((double)HIDDEN + INNER)))

static char nothing; /* what memory is said to be */

static wz_status no_alloc(wz_backend *backend, size_t bytes, const char *what, void **out, wz_error *err)
{
    (void)backend, (void)bytes, (void)what, (void)err;
    *out = &nothing;
    return WZ_OK;
}

static void no_release(wz_backend *backend, void *block)
{
    (void)backend, (void)block;
}

static void no_upload(wz_backend *backend, void *to, const void *host, size_t bytes)
{
    (void)backend, (void)to, (void)host, (void)bytes;
}

static void configure(wz_config *config, const char *precision, const char *frozen)
{
    static const char *const common[] = {"device=cuda",  "lora_rank=16",           "lora_alpha=32",
                                         "max_steps=10", "num_generations=8",      "generation_batch_size=32",
                                         "eval_steps=0", "exactness_check_steps=1"};
    char types[2][64];
    wz_error err = {{0}};
    wz_config_default(config);
    ck_assert_msg(wz_config_read_file(config, WZ_TEST_SHAPE, &err) == WZ_OK, "%s", err.text);
    (void)snprintf(types[0], sizeof types[0], "precision=%s", precision);
    (void)snprintf(types[1], sizeof types[1], "frozen_dtype=%s", frozen);
    for (size_t i = 0; i < sizeof common / sizeof common[0] + 2; i++)
        ck_assert_msg(wz_config_override(config, i < 2 ? types[i] : common[i - 2], &err) == WZ_OK, "%s",
                      err.text);
    ck_assert_msg(wz_config_check(config, &err) == WZ_OK, "%s", err.text);
}

static int64_t plan_positions; /* of the last plan's RoPE table */

/* The plan, and its table in *table. */
static wz_memory_plan plan_of(const char *precision, const char *frozen, wz_text *table)
{
    static wz_config config;
    wz_error err = {{0}};
    wz_backend *be = NULL;
    wz_model *model = NULL;
    wz_tokenizer *tokenizer = NULL;
    wz_policy *policy = NULL;
    wz_mixture mixture;
    wz_trainer_options options;
    wz_memory_plan plan;
    configure(&config, precision, frozen);
    const wz_cuda_options cuda = {.exact = true,
                                  .precision = strcmp(precision, "bf16") == 0 ? WZ_BF16 : WZ_F32};
    ck_assert_msg(wz_backend_cuda_create(&cuda, &be, &err) == WZ_OK, "%s", err.text);
    const wz_backend_ops *own = be->ops;
    wz_backend_ops ops = *own;
    ops.alloc = no_alloc;
    ops.release = no_release;
    ops.upload = no_upload;
    be->ops = &ops;
    const wz_model_config shape = wz_config_model(&config);
    plan_positions = shape.max_position_embeddings;
    ck_assert_msg(wz_tokenizer_create_builtin(&tokenizer, &err) == WZ_OK, "%s", err.text);
    ck_assert_msg(wz_model_create(&shape, be, true, &model, &err) == WZ_OK, "%s", err.text);
    ck_assert_msg(wz_policy_make(&config, model, tokenizer, &policy, &err) == WZ_OK, "%s", err.text);
    ck_assert_msg(wz_config_mixture(&config, &mixture, &err) == WZ_OK, "%s", err.text);
    wz_run_trainer_options(&config, &mixture, 1, &options);
    ck_assert_msg(wz_run_plan_memory(policy, &config, false, &options, &plan, table, &err) == WZ_OK, "%s",
                  err.text);
    wz_policy_destroy(policy);
    be->ops = own;
    be->ops->destroy(be);
    return plan;
}

static bool near(double bytes, double expected)
{
    return bytes >= expected && bytes < expected + 2e6; /* views begin on 64 bytes, copies on 256 */
}

START_TEST(qwen_05b_with_adapters_fits_12_gb)
{
    static const char *const precisions[] = {"fp32", "bf16"};
    const bool is_bf16 = _i == 1;
    wz_memory_plan plan[2];
    wz_text table[2] = {{0}, {0}};
    plan[0] = plan_of(precisions[_i], "fp32", &table[0]);
    plan[1] = plan_of(precisions[_i], "bf16", &table[1]);
    /* weights, rope's table, four arrays of adapters; the copies of what is not stored in bf16 */
    const double rest = 4.0 * (VECTORS + 4.0 * ADAPTERS) + 4.0 * 64.0 * (double)plan_positions +
                        (is_bf16 ? 2.0 * (ADAPTERS + (double)LAYERS * QKV) : 0.0);
    ck_assert(near((double)plan[0].model, rest + MATRICES * (is_bf16 ? 6.0 : 4.0)));
    ck_assert(near((double)plan[1].model, rest + MATRICES * 2.0));
    /* gate and up, the largest of those that are multiplied as a whole */
    ck_assert_uint_eq(plan[0].widened, 0);
    ck_assert_uint_eq(plan[1].widened, is_bf16 ? 0 : sizeof(float) * 2 * INNER * HIDDEN);
    ck_assert(is_bf16 || strstr(table[1].data, "   33.2 of it for one frozen matrix in fp32\n") != NULL);
    for (int i = 0; i < 2; i++) {
        ck_assert_msg((double)wz_memory_plan_total(&plan[i]) + LEFT_BYTES <= GPU_BYTES, "%s", table[i].data);
        (void)printf("precision %s\n%s", precisions[_i], table[i].data);
        wz_text_clear(&table[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_plan");
    TCase *tests = tcase_create("all");
    (void)setenv("CUDA_EMULATOR_MEMORY", "12000000000", 1);
    tcase_add_loop_test(tests, qwen_05b_with_adapters_fits_12_gb, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
