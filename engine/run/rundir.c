#include "engine/run/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/core/file.h"
#include "engine/core/folder.h"
#include "engine/core/output.h"
#include "engine/run/base.h"
#include "engine/run/events.h"
#include "engine/run/metrics.h"
#include "engine/run/table.h"

#define LOCK_FILE "LOCK"
#define CONFIG_FILE "config.yaml"
#define ENVIRONMENT_FILE "env.json"
#define BEST_NAME "best.h5"

static wz_status join(char out[WZ_PATH_MAX], const char *directory, const char *name, wz_error *err)
{
    int length = snprintf(out, WZ_PATH_MAX, "%s/%s", directory, name);
    if (length < 0 || length >= WZ_PATH_MAX)
        return wz_fail(err, WZ_ERR_USAGE, "the path %.200s.../%s is too long (at most %d bytes)", directory,
                       name, WZ_PATH_MAX - 1);
    return WZ_OK;
}

static bool is_checkpoint_name(const char *name)
{
    const char *digits = name + strlen("step-");
    if (strncmp(name, "step-", strlen("step-")) != 0)
        return false;
    size_t count = strspn(digits, "0123456789");
    return count > 0 && strcmp(digits + count, ".h5") == 0;
}

bool wz_rundir_has_checkpoints(const char *path)
{
    char checkpoints[WZ_PATH_MAX];
    if (join(checkpoints, path, "checkpoints", NULL) != WZ_OK)
        return false;
    DIR *directory = opendir(checkpoints);
    bool found = false;
    for (const struct dirent *item; directory != NULL && !found && (item = readdir(directory)) != NULL;)
        found = is_checkpoint_name(item->d_name);
    if (directory != NULL)
        (void)closedir(directory);
    return found;
}

/* Removes checkpoints, and what an interrupted write left behind. */
static wz_status delete_checkpoints(const wz_rundir *rundir, wz_error *err)
{
    DIR *directory = opendir(rundir->checkpoints);
    wz_status status = WZ_OK;
    if (directory == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "cannot list %s: %s", rundir->checkpoints, strerror(errno));
    for (const struct dirent *item; status == WZ_OK && (item = readdir(directory)) != NULL;) {
        const bool best = strcmp(item->d_name, BEST_NAME) == 0;
        if (!wz_output_is_left(dirfd(directory), item->d_name) && !best && !is_checkpoint_name(item->d_name))
            continue;
        if (unlinkat(dirfd(directory), item->d_name, 0) != 0)
            status = wz_fail(err, WZ_ERR_RUNTIME, "cannot delete %s/%s: %s", rundir->checkpoints,
                             item->d_name, strerror(errno));
    }
    (void)closedir(directory);
    return status;
}

static wz_status name_paths(wz_rundir *rundir, const char *path, wz_error *err)
{
    memset(rundir, 0, sizeof *rundir);
    rundir->lock = -1;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        --length;
    if (length == 0 || length >= WZ_PATH_MAX)
        return wz_fail(err, WZ_ERR_USAGE, "the run directory's path has %zu bytes; it must have 1 to %d",
                       length, WZ_PATH_MAX - 1);
    memcpy(rundir->path, path, length);
    return join(rundir->checkpoints, rundir->path, "checkpoints", err);
}

static wz_status lock(wz_rundir *rundir, wz_error *err)
{
    char path[WZ_PATH_MAX];
    wz_status status = join(path, rundir->path, LOCK_FILE, err);
    return status == WZ_OK ? wz_lock_acquire(path, &rundir->lock, err) : status;
}

wz_status wz_rundir_create(wz_rundir *rundir, const char *path, bool overwrite, wz_error *err)
{
    wz_status status = name_paths(rundir, path, err);
    if (status == WZ_OK)
        status = wz_directory_create(rundir->checkpoints, err);
    if (status == WZ_OK)
        status = lock(rundir, err);
    if (status == WZ_OK && !overwrite && wz_rundir_has_checkpoints(rundir->path))
        status =
            wz_fail(err, WZ_ERR_USAGE,
                    "%s holds checkpoints of an earlier run: go on with it by `wavezero resume %s`, choose "
                    "another output_dir, or replace it with --overwrite",
                    rundir->path, rundir->path);
    if (status == WZ_OK && overwrite)
        status = delete_checkpoints(rundir, err);
    if (status != WZ_OK)
        wz_rundir_close(rundir);
    return status;
}

wz_status wz_rundir_open(wz_rundir *rundir, const char *path, wz_error *err)
{
    wz_status status = name_paths(rundir, path, err);
    if (status == WZ_OK && !wz_path_is_directory(rundir->checkpoints))
        status =
            wz_fail(err, WZ_ERR_USAGE, "%s is no run directory: it has no folder named checkpoints", path);
    if (status == WZ_OK)
        status = lock(rundir, err);
    if (status != WZ_OK)
        wz_rundir_close(rundir);
    return status;
}

void wz_rundir_close(wz_rundir *rundir)
{
    wz_lock_release(rundir->lock);
    rundir->lock = -1;
}

wz_status wz_rundir_file(const wz_rundir *rundir, const char *name, char out[WZ_PATH_MAX], wz_error *err)
{
    return join(out, rundir->path, name, err);
}

wz_status wz_rundir_checkpoint_file(const wz_rundir *rundir, int64_t step, char out[WZ_PATH_MAX],
                                    wz_error *err)
{
    char name[40];
    (void)snprintf(name, sizeof name, "step-%08lld.h5", (long long)step);
    return join(out, rundir->checkpoints, name, err);
}

bool wz_rundir_has_checkpoint(const char *path, int64_t step)
{
    wz_rundir rundir;
    char file[WZ_PATH_MAX];
    return name_paths(&rundir, path, NULL) == WZ_OK &&
           wz_rundir_checkpoint_file(&rundir, step, file, NULL) == WZ_OK && wz_path_exists(file);
}

static bool is_own_checkpoint(const char *name)
{
    return is_checkpoint_name(name) || strcmp(name, BEST_NAME) == 0 || strcmp(name, WZ_BASE_NAME) == 0 ||
           wz_output_is_named_temporary(name);
}

/* Files of a folder of the run's that have names of the run's. */
static wz_status check_folder(const char *path, const char *folder, bool (*is_own)(const char *name),
                              const char *input, wz_error *err)
{
    char directory[WZ_PATH_MAX], file[WZ_PATH_MAX];
    wz_names names = {0};
    wz_status status = join(directory, path, folder, err);
    if (status == WZ_OK && !wz_path_is_directory(directory))
        return WZ_OK;
    if (status == WZ_OK)
        status = wz_folder_list(directory, &names, err);
    for (size_t i = 0; status == WZ_OK && i < names.count; i++) {
        if (!is_own(names.items[i]))
            continue;
        status = join(file, directory, names.items[i], err);
        if (status == WZ_OK)
            status = wz_output_check_input(file, input, err);
    }
    wz_names_clear(&names);
    return status;
}

wz_status wz_rundir_check_input(const char *path, const char *input, wz_error *err)
{
    static const char *const names[] = {LOCK_FILE,       CONFIG_FILE,         ENVIRONMENT_FILE,
                                        WZ_METRICS_FILE, WZ_COMPLETIONS_FILE, WZ_TABLE_FILE};
    char file[WZ_PATH_MAX];
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < sizeof names / sizeof names[0]; i++) {
        status = join(file, path, names[i], err);
        if (status == WZ_OK)
            status = wz_output_check_input(file, input, err);
    }
    if (status == WZ_OK)
        status = check_folder(path, WZ_EVENTS_DIRECTORY, wz_events_is_file, input, err);
    return status == WZ_OK ? check_folder(path, "checkpoints", is_own_checkpoint, input, err) : status;
}

/* Ends the text with a line break, writes it, and frees it. */
static wz_status replace_file(const wz_rundir *rundir, const char *name, wz_text *text, wz_status status,
                              wz_error *err)
{
    char path[WZ_PATH_MAX];
    if (status == WZ_OK && text->length > 0 && text->data[text->length - 1] != '\n')
        status = wz_text_append(text, "\n", 1, err);
    if (status == WZ_OK)
        status = join(path, rundir->path, name, err);
    if (status == WZ_OK)
        status = wz_file_replace(path, text->data, text->length, err);
    wz_text_clear(text);
    return status;
}

wz_status wz_rundir_write_config(const wz_rundir *rundir, const wz_config *config, wz_error *err)
{
    wz_text text = {0};
    wz_status status = wz_config_write(config, &text, err);
    return replace_file(rundir, CONFIG_FILE, &text, status, err);
}

wz_status wz_rundir_write_environment(const wz_rundir *rundir, const wz_environment *environment,
                                      wz_error *err)
{
    wz_text text = {0};
    wz_status status = wz_environment_write_json(environment, &text, err);
    return replace_file(rundir, ENVIRONMENT_FILE, &text, status, err);
}
