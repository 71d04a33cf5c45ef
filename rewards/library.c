#include "rewards/library.h"

#include <ctype.h>
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_LENGTH 512

/* Libraries are never unloaded: problems may outlive whoever asked for them. */
static char loaded[WZ_MAX_ADDED_TASKS][PATH_LENGTH];
static size_t loaded_count;

static bool is_name(const char *name)
{
    size_t length = 0;
    if (name == NULL)
        return false;
    while (isalnum((unsigned char)name[length]) || name[length] == '_')
        length++;
    return length > 0 && length < 48 && name[length] == '\0';
}

/* What is missing or out of bounds; NULL: nothing. */
static const char *flaw_of_task(const wz_task *task)
{
    if (task == NULL || !is_name(task->name) || task->title == NULL)
        return "a task with a name of letters, digits and _ and a title";
    if (task->options == NULL || task->option_count == 0 || task->option_count > WZ_TASK_MAX_OPTIONS ||
        task->size_option >= task->option_count)
        return "1 to 16 options, one of them the size";
    if (task->options[task->size_option].minimum < 1 || task->options[task->size_option].maximum > 255)
        return "a size within 1 to 255";
    for (size_t o = 0; o < task->option_count; o++)
        if (!is_name(task->options[o].name) || strcmp(task->options[o].name, "name") == 0 ||
            strcmp(task->options[o].name, "weight") == 0 || strcmp(task->options[o].name, "start") == 0 ||
            task->options[o].help == NULL)
            return "options with names (not name, weight or start) and help";
    if (task->stream >= 4096)
        return "a stream below 4096";
    if (task->number_count == NULL || task->payload_bytes == NULL || task->draw == NULL ||
        task->check_numbers == NULL || task->derive == NULL || task->print_compact == NULL ||
        task->print_full == NULL || task->answer_form == NULL)
        return "number_count, payload_bytes, draw, check_numbers, derive, print_compact, print_full and "
               "answer_form";
    return NULL;
}

static const char *flaw_of_verifier(const wz_verifier *verifier, const wz_task *task)
{
    bool has_field = false;
    if (verifier == NULL || verifier->task == NULL || strcmp(verifier->task, task->name) != 0)
        return "a verifier of the task's name";
    if (verifier->judge == NULL || verifier->solve == NULL)
        return "judge and solve";
    if (verifier->baselines == NULL || verifier->baseline_count == 0 ||
        verifier->baseline_count > WZ_MAX_BASELINES)
        return "1 to 16 baselines";
    for (size_t b = 0; b < verifier->baseline_count; b++) {
        const wz_baseline *baseline = &verifier->baselines[b];
        const bool is_random = baseline->kind == WZ_BASELINE_RANDOM;
        if (!is_name(baseline->name) || (is_random != (baseline->decide == NULL && baseline->solve == NULL)))
            return "baselines with names, each with one function (random ones with none)";
        has_field |=
            verifier->field_algorithm != NULL && strcmp(baseline->name, verifier->field_algorithm) == 0;
    }
    return has_field ? NULL : "a field_algorithm among the baselines";
}

static wz_status check(const char *path, const wz_family *family, wz_error *err)
{
    if (family->abi != WZ_FAMILY_ABI || family->task_size != sizeof(wz_task) ||
        family->verifier_size != sizeof(wz_verifier))
        return wz_fail(err, WZ_ERR_USAGE,
                       "%s: built for version %u of the task interface (structures of %u and %u bytes), this "
                       "program has version %u (%zu and %zu): compile it with this program's headers",
                       path, family->abi, family->task_size, family->verifier_size, WZ_FAMILY_ABI,
                       sizeof(wz_task), sizeof(wz_verifier));
    const char *missing = flaw_of_task(family->task);
    if (missing == NULL)
        missing = flaw_of_verifier(family->verifier, family->task);
    if (missing != NULL)
        return wz_fail(err, WZ_ERR_USAGE, "%s: the family in it lacks %s", path, missing);
    if (wz_task_find(family->task->name) != NULL)
        return wz_fail(err, WZ_ERR_USAGE, "%s: there is a task called %s already", path, family->task->name);
    return WZ_OK;
}

/* The loader maps what a library's header promises and dies (SIGBUS) where the file ends before that. What is no ELF file
 * of this machine is left to it: it refuses that with words. */
static bool is_cut_short(const char *path)
{
    ElfW(Ehdr) header;
    struct stat about;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    bool is_short = false;
    if (fstat(fileno(file), &about) == 0 && fread(&header, sizeof header, 1, file) == 1 &&
        memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_phentsize == sizeof(ElfW(Phdr)) &&
        fseeko(file, (off_t)header.e_phoff, SEEK_SET) == 0) {
        const uint64_t size = (uint64_t)about.st_size;
        for (unsigned i = 0; !is_short && i < header.e_phnum; i++) {
            ElfW(Phdr) segment;
            is_short = fread(&segment, sizeof segment, 1, file) != 1 ||
                       (segment.p_type == PT_LOAD &&
                        (segment.p_offset > size || segment.p_filesz > size - segment.p_offset));
        }
    }
    (void)fclose(file);
    return is_short;
}

bool wz_family_any(void)
{
    return loaded_count > 0;
}

wz_status wz_family_load(const char *path, wz_error *err)
{
    for (size_t i = 0; i < loaded_count; i++)
        if (strcmp(loaded[i], path) == 0)
            return WZ_OK;
    if (loaded_count == WZ_MAX_ADDED_TASKS || strlen(path) >= PATH_LENGTH)
        return wz_fail(err, WZ_ERR_USAGE, "%s: at most %d task libraries, with paths below %d bytes", path,
                       WZ_MAX_ADDED_TASKS, PATH_LENGTH);
    /* a bare name would be looked for among the system's libraries */
    char here[PATH_LENGTH + 2];
    (void)snprintf(here, sizeof here, "%s%s", strchr(path, '/') == NULL ? "./" : "", path);
    if (is_cut_short(here))
        return wz_fail(err, WZ_ERR_USAGE, "task_library: %s: the file is cut short: build or copy it again",
                       path);
    void *library = dlopen(here, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return wz_fail(err, WZ_ERR_USAGE, "task_library: %s", dlerror());
    const wz_family *family = dlsym(library, WZ_FAMILY_SYMBOL);
    wz_status status = WZ_ERR_USAGE;
    if (family == NULL)
        (void)wz_fail(err, status, "%s: no symbol %s (see rewards/library.h)", path, WZ_FAMILY_SYMBOL);
    else
        status = check(path, family, err);
    if (family == NULL || status != WZ_OK) {
        (void)dlclose(library);
        return status;
    }
    wz_task_add(family->task);
    wz_verifier_add(family->verifier);
    (void)snprintf(loaded[loaded_count++], PATH_LENGTH, "%s", path);
    return WZ_OK;
}
