/* Head sample in the CUDA backend's kernels, compiled for the CPU by the emulator. Few requests, since its threads are slow;
 * batches, tiles and chunks are smaller there, too (cuda/head.h). */
#include <stdlib.h>

#include "cuda/cuda.h"
#include "tests/backend_head.h"

#if defined(                                                                                                 \
    __SANITIZE_ADDRESS__) /* twenty times slower: each set is met, frequencies are left to other builds */
#define REQUESTS 14
#define DRAWS 0
#else
#define REQUESTS 84
#define DRAWS 1000
#endif

/* The emulator lets the threads of a block take turns in one of these orders. */
static wz_backend *open_backend(int order)
{
    static const char *const orders[] = {"ascending", "descending", "1"};
    wz_backend *be = NULL;
    wz_error err = {{0}};
    ck_assert_int_eq(setenv("CUDA_EMULATOR_ORDER", orders[order - 1], 1), 0);
    ck_assert_msg(wz_backend_cuda_create(&be, &err) == WZ_OK, "%s", err.text);
    return be;
}

int main(void)
{
    static const head_setting setting = {open_backend, 1, 3, REQUESTS, DRAWS};
    Suite *suite = suite_create("cuda_head_emulated");
    suite_add_tcase(suite, head_cases(&setting));
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
