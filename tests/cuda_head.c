/* Head sample in the CUDA backend; `cuda_head bf16`: with that working type. In the emulator few requests, since its threads
 * are slow; batches, tiles and chunks are smaller there, too (cuda/head.h). */
#include "tests/backend_head.h"
#include "tests/backend_main.h"

static wz_dtype type = WZ_F32;

#ifdef WZ_TEST_EMULATED
/* The emulator lets the threads of a block take turns in one of these orders. */
static wz_backend *open_backend(int order)
{
    static const char *const orders[] = {"ascending", "descending", "1"};
    ck_assert_int_eq(setenv("CUDA_EMULATOR_ORDER", orders[order - 1], 1), 0);
    return test_backend_of(type, 1);
}

/* Under AddressSanitizer, twenty times slower, each set is met; frequencies and orders are left to other builds. */
#ifdef __SANITIZE_ADDRESS__
static const head_setting setting = {open_backend, 1, 1, 14, 0, false};
#else
static const head_setting setting = {open_backend, 1, 3, 84, 1000, false};
#endif
static const head_setting bf16_setting = {open_backend, 1, 1, 14, 0, true};
#else
static wz_backend *open_backend(int again)
{
    return test_backend_of(type, (size_t)again);
}

static const head_setting setting = {open_backend, 1, 2, HEAD_REQUESTS, 20000, false};
static const head_setting bf16_setting = {open_backend, 1, 2, HEAD_REQUESTS, 20000, false};
#endif

int main(int argc, char **argv)
{
    Suite *suite = suite_create("head sample in CUDA");
    type = argc > 1 && strcmp(argv[1], "bf16") == 0 ? WZ_BF16 : WZ_F32;
    suite_add_tcase(suite, head_cases(type == WZ_BF16 ? &bf16_setting : &setting));
    return backend_main(suite);
}
