/* Runs files, and those of folders, through a fuzz target: its corpus as a test, without libFuzzer. A file whose name begins
 * with "good" must be accepted, so that a corpus does not go stale when a format changes. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/file.h"
#include "tests/fuzz.h"

#define LARGEST ((size_t)1 << 24)

static int replay_file(const char *path)
{
    wz_text text = {0};
    wz_error err = {.text = ""};
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    const size_t before = fuzz_accepted;
    if (wz_file_read(path, LARGEST, &text, &err) != WZ_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 0;
    }
    (void)fprintf(stderr, "%s\n", path);                        /* an abort comes with no name of its own */
    uint8_t *exact = malloc(text.length > 0 ? text.length : 1); /* without the text's NUL */
    require(exact != NULL);
    if (text.length > 0)
        memcpy(exact, text.data, text.length);
    (void)LLVMFuzzerTestOneInput(exact, text.length);
    free(exact);
    wz_text_clear(&text);
    if (strncmp(name, "good", 4) == 0 && fuzz_accepted == before) {
        (void)fprintf(stderr, "%s was refused: make it again (tests/make_fuzz_seeds.c)\n", path);
        return 0;
    }
    return 1;
}

/* The number of files, or -1. */
static int replay_folder(const char *folder)
{
    DIR *list = opendir(folder);
    int count = 0;
    for (const struct dirent *entry; list != NULL && count >= 0 && (entry = readdir(list)) != NULL;) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            count = replay_file(path) ? count + 1 : -1;
    }
    if (list != NULL)
        (void)closedir(list);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc && count >= 0; i++) {
        const int more = wz_path_is_directory(argv[i]) ? replay_folder(argv[i])
                         : replay_file(argv[i])        ? 1
                                                       : -1;
        count = more > 0 ? count + more : -1;
    }
    (void)printf("%d files\n", count);
    return count > 0 ? 0 : 1;
}
