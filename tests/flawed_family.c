/* Task libraries with one flaw each: FLAW chooses it. */
#include "rewards/library.h"

#if FLAW == 1 /* built for another version of the interface */
const wz_family wavezero_family = {WZ_FAMILY_ABI + 1, sizeof(wz_task), sizeof(wz_verifier), NULL, NULL};
#elif FLAW == 2 /* with another layout of its structures */
const wz_family wavezero_family = {WZ_FAMILY_ABI, sizeof(wz_task) + 8, sizeof(wz_verifier), NULL, NULL};
#elif FLAW == 3 /* nothing in it */
const wz_family wavezero_family = {WZ_FAMILY_ABI, sizeof(wz_task), sizeof(wz_verifier), NULL, NULL};
#elif FLAW == 4 /* functions left out */
static const wz_task_option options[] = {{"size", 2, 1, 4, 1, "size", NULL}};
static const wz_task task = {.name = "flawed", .title = "flawed", .options = options, .option_count = 1};
const wz_family wavezero_family = {WZ_FAMILY_ABI, sizeof(wz_task), sizeof(wz_verifier), &task, NULL};
#elif FLAW == 5 /* no family at all */
extern const int nothing;
const int nothing = 1;
#elif FLAW == 6 /* asks for what the program has not */
void wz_no_such_function(void);
void (*const needed)(void);
void (*const needed)(void) = wz_no_such_function;
#endif
