/* Families of your own, in a shared object: `task_library: ./mytask.so`.
 *
 * The library defines
 *
 *     const wz_family wavezero_family = {WZ_FAMILY_ABI, sizeof(wz_task), sizeof(wz_verifier), &my_task, &my_verifier};
 *
 * with a wz_task (tasks/task.h) and a wz_verifier (rewards/verifier.h) of the same name, written as the built-in families
 * are; scripts/examples/own_task holds one that is built and trained in the tests. It is compiled against these headers,
 * `cc -shared -fPIC -I INCLUDE -o mytask.so mytask.c`, and may call what they declare: the program provides it. Nothing
 * of the engine is built anew. Functions run in the program's own process: a library is trusted as the program is. */
#ifndef WZ_REWARDS_LIBRARY_H
#define WZ_REWARDS_LIBRARY_H

#include "rewards/verifier.h"

#define WZ_FAMILY_ABI 2u /* raised with every change to the structures a family is made of */
#define WZ_FAMILY_SYMBOL "wavezero_family"

typedef struct wz_family {
    uint32_t abi;
    uint32_t task_size, verifier_size; /* as compiled: another compiler's layout is found out */
    const wz_task *task;
    const wz_verifier *verifier;
} wz_family;

/* Loads a library and adds its family to those that wz_task_find and wz_verifier_find know, for the rest of the process.
 * The same path again changes nothing. Errors (WZ_ERR_USAGE): no such file, no shared object, no family in it, another
 * ABI, an incomplete family, or a name that is taken. */
wz_status wz_family_load(const char *path, wz_error *err);

/* Whether any library is loaded. */
bool wz_family_any(void);

#endif
