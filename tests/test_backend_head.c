/* Head sample on the CPU backend. */
#include "tests/backend_head.h"
#include "tests/backend_main.h"

static wz_backend *open_backend(int threads)
{
    return cpu_backend_with((size_t)threads);
}

int main(void)
{
    static const head_setting setting = {open_backend, 2, 4, HEAD_REQUESTS, 20000, false};
    Suite *suite = suite_create("backend head");
    suite_add_tcase(suite, head_cases(&setting));
    return backend_main(suite);
}
