/* What the fuzz targets share: fuzz_*.c, one LLVMFuzzerTestOneInput each. With -DWZ_FUZZ=ON (clang) they are libFuzzer programs,
 * run by tests/tools/fuzz.sh; otherwise programs that run files through the target (replay.c), which is how the corpora in
 * tests/data/fuzz are ordinary tests. */
#ifndef WZ_TESTS_FUZZ_H
#define WZ_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Inputs so far that were good: what was read in full. A seed whose name begins with "good" must be one. */
extern size_t fuzz_accepted;

/* Aborts, which is how a target fails. */
void require(bool condition);
/* What a reader owes its caller: a failure leaves a message, and is of this kind or a lack of something. */
void require_told(wz_status status, const wz_error *err);
/* A file in memory by a name that can be opened; close the descriptor. */
int fuzz_hold(const uint8_t *data, size_t size, char path[64]);
/* A folder in memory, this process's own. */
const char *fuzz_folder(void);
/* Writes a file of that folder. */
void fuzz_write(const char *name, const uint8_t *data, size_t size);
/* Cuts "first NUL second"; false: there is no NUL. */
bool fuzz_cut(const uint8_t *data, size_t size, size_t *first);

struct wz_tensor_source;
/* Every tensor can be read, row by row and at once, to the same numbers. */
void fuzz_read_tensors(struct wz_tensor_source *source);

#endif
