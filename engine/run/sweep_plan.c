/* The runs of a sweep: their configurations, their folders, and how far they are. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/digest.h"
#include "engine/core/file.h"
#include "engine/run/config_schema.h"
#include "engine/run/environment.h"
#include "engine/run/rundir.h"
#include "engine/run/sweep.h"

#define NAME_BYTES 120 /* of a run's folder: file systems take 255 */

/* ---- configurations ---- */

static wz_status read_base(const char *path, const wz_text *fixed, wz_config *base, wz_error *err)
{
    size_t count = 0;
    for (const char *at = NULL; (at = wz_sweep_next(fixed, at)) != NULL;) {
        if (strncmp(at, "output_dir=", strlen("output_dir=")) == 0)
            return wz_fail(err, WZ_ERR_USAGE,
                           "each run of a sweep has a folder of its own: give --output-dir for them all, not "
                           "output_dir");
        count++;
    }
    const char **overrides = calloc(count + 1, sizeof *overrides);
    if (overrides == NULL)
        return wz_fail(err, WZ_ERR_RESOURCE, "out of memory for a sweep's configuration");
    count = 0;
    for (const char *at = NULL; (at = wz_sweep_next(fixed, at)) != NULL;)
        overrides[count++] = at;
    wz_config_default(base);
    const wz_status status = wz_config_load(base, path, overrides, count, err);
    free(overrides);
    return status;
}

/* A point's configuration, with the base's seed and folder. */
static wz_status point_config(const wz_sweep *sweep, size_t point, wz_config *out, wz_error *err)
{
    const wz_sweep_point *p = &sweep->grid.points[point];
    wz_status status = WZ_OK;
    *out = sweep->base;
    for (const char *at = NULL; status == WZ_OK && (at = wz_sweep_next(&p->assignments, at)) != NULL;)
        status = wz_config_override(out, at, err);
    return status == WZ_OK ? WZ_OK : wz_fail_prefix(err, status, "point '%.96s': ", p->name.data);
}

static int64_t divided_threads(const wz_sweep *sweep, int64_t threads)
{
    if (threads > 0 || sweep->jobs <= 1)
        return threads;
    const int64_t share = wz_cpu_count() / sweep->jobs;
    return share > 1 ? share : 1;
}

wz_status wz_sweep_config(const wz_sweep *sweep, const wz_sweep_run *run, wz_config *out, wz_error *err)
{
    const wz_status status = point_config(sweep, run->point, out, err);
    if (status != WZ_OK)
        return status;
    out->seed = run->seed;
    out->threads = divided_threads(sweep, out->threads);
    memcpy(out->output_dir, run->directory, sizeof out->output_dir);
    return WZ_OK;
}

/* ---- points ---- */

static wz_status digest_point(const wz_sweep *sweep, size_t point, char hex[WZ_DIGEST_HEX], wz_error *err)
{
    wz_config config;
    wz_text text = {0};
    wz_status status = point_config(sweep, point, &config, err);
    if (status == WZ_OK) {
        status = wz_config_check(&config, err);
        if (status != WZ_OK)
            return wz_fail_prefix(err, status, "point '%.96s': ", sweep->grid.points[point].name.data);
        status = wz_config_write(&config, &text, err);
    }
    if (status == WZ_OK)
        wz_digest_bytes(text.data, text.length, hex);
    wz_text_clear(&text);
    return status;
}

static void drop_point(wz_sweep_grid *grid, size_t point)
{
    wz_text_clear(&grid->points[point].name);
    wz_text_clear(&grid->points[point].assignments);
    memmove(&grid->points[point], &grid->points[point + 1],
            (--grid->count - point) * sizeof grid->points[point]);
}

/* Checks all points; of those with equal configurations the first stays. */
static wz_status check_points(wz_sweep *sweep, FILE *log, wz_error *err)
{
    wz_sweep_grid *grid = &sweep->grid;
    char(*digests)[WZ_DIGEST_HEX] = calloc(grid->count, sizeof *digests);
    wz_status status = WZ_OK;
    if (digests == NULL)
        return wz_fail(err, WZ_ERR_RESOURCE, "out of memory for the points of a sweep");
    for (size_t i = 0; status == WZ_OK && i < grid->count;) {
        status = digest_point(sweep, i, digests[i], err);
        size_t same = 0;
        while (status == WZ_OK && same < i && strcmp(digests[same], digests[i]) != 0)
            same++;
        if (status != WZ_OK || same == i) {
            i++;
            continue;
        }
        if (log != NULL)
            (void)fprintf(log, "%s: the same configuration as %s, run once\n", grid->points[i].name.data,
                          grid->points[same].name.data);
        drop_point(grid, i);
    }
    free(digests);
    return status;
}

/* ---- folders ---- */

/* What stands for a byte of a point's name; '_': nothing better. */
static char folder_byte(char byte, bool is_first)
{
    if (byte == '=' || byte == ' ')
        return byte == '=' ? '-' : ',';
    const bool may_begin = isalnum((unsigned char)byte) || byte == '+';
    return may_begin || (!is_first && (byte == '-' || byte == '.')) ? byte : '_';
}

/* "loss_type=grpo num_generations=8" as loss_type-grpo,num_generations-8: nothing that a shell or `report` takes for something
 * else. A digest tells names apart that had to be changed or cut beyond that. */
static void name_folder(const char *point, int64_t seed, char out[NAME_BYTES + 64])
{
    char hex[WZ_DIGEST_HEX];
    size_t used = 0;
    bool is_changed = strlen(point) > NAME_BYTES;
    for (; point[used] != '\0' && used < NAME_BYTES; used++) {
        out[used] = folder_byte(point[used], used == 0);
        is_changed |= out[used] == '_' && point[used] != '_';
    }
    wz_digest_bytes(point, strlen(point), hex);
    (void)snprintf(out + used, NAME_BYTES + 64 - used, "%s%.8s,seed-%lld", is_changed ? "-" : "",
                   is_changed ? hex : "", (long long)seed);
}

static wz_status place_run(const wz_sweep *sweep, wz_sweep_run *run, wz_error *err)
{
    char name[NAME_BYTES + 64];
    name_folder(sweep->grid.points[run->point].name.data, run->seed, name);
    const int length = snprintf(run->directory, sizeof run->directory, "%s/%s", sweep->directory, name);
    if (length < 0 || (size_t)length >= sizeof run->directory)
        return wz_fail(err, WZ_ERR_USAGE, "the path %.200s.../%s is too long (at most %d bytes)",
                       sweep->directory, name, WZ_PATH_MAX - 1);
    run->name = run->directory + length - strlen(name);
    return WZ_OK;
}

static wz_status name_directory(wz_sweep *sweep, const char *directory, wz_error *err)
{
    int length = directory != NULL ? snprintf(sweep->directory, sizeof sweep->directory, "%s", directory)
                                   : snprintf(sweep->directory, sizeof sweep->directory, "%s-sweep",
                                              sweep->base.output_dir);
    while (length > 1 && (size_t)length < sizeof sweep->directory && sweep->directory[length - 1] == '/')
        sweep->directory[--length] = '\0';
    return length > 0 && (size_t)length < sizeof sweep->directory
               ? WZ_OK
               : wz_fail(err, WZ_ERR_USAGE, "the sweep's folder must have 1 to %d bytes", WZ_PATH_MAX - 1);
}

/* ---- runs ---- */

/* The seed of number `which` of each point. */
static wz_status read_seed(const wz_sweep *sweep, size_t which, int64_t *seed, wz_error *err)
{
    char text[64];
    wz_config config = sweep->base;
    const char *at = wz_sweep_next(&sweep->grid.seeds, NULL);
    wz_status status = WZ_OK;
    while (at != NULL && which-- > 0)
        at = wz_sweep_next(&sweep->grid.seeds, at);
    (void)snprintf(text, sizeof text, "seed=%.48s", at != NULL ? at : "");
    if (at != NULL)
        status = wz_config_override(&config, text, err);
    *seed = config.seed;
    return status;
}

static size_t count_seeds(const wz_sweep_grid *grid)
{
    size_t count = 0;
    for (const char *at = NULL; (at = wz_sweep_next(&grid->seeds, at)) != NULL;)
        count++;
    return count > 0 ? count : 1;
}

/* A set may be called what stands for another point. */
static wz_status check_folders(const wz_sweep *sweep, wz_error *err)
{
    for (size_t i = 0; i < sweep->run_count; i += sweep->seeds)
        for (size_t k = 0; k < i; k += sweep->seeds)
            if (strcmp(sweep->runs[i].name, sweep->runs[k].name) == 0)
                return wz_fail(
                    err, WZ_ERR_USAGE,
                    "the points '%.96s' and '%.96s' would share the folder %s: give the set another name",
                    sweep->grid.points[k / sweep->seeds].name.data,
                    sweep->grid.points[i / sweep->seeds].name.data, sweep->runs[i].name);
    return WZ_OK;
}

static wz_status make_runs(wz_sweep *sweep, wz_error *err)
{
    void *block = NULL;
    wz_status status = WZ_OK;
    sweep->seeds = count_seeds(&sweep->grid);
    const size_t count = sweep->grid.count * sweep->seeds; /* at most 10,000 by 10,000 */
    if (count > WZ_SWEEP_POINTS)
        return wz_fail(err, WZ_ERR_USAGE, "%zu points with %zu seeds each are more than %d runs",
                       sweep->grid.count, sweep->seeds, WZ_SWEEP_POINTS);
    status = wz_alloc(&block, count, sizeof *sweep->runs, "the runs of a sweep", err);
    sweep->runs = block;
    sweep->run_count = status == WZ_OK ? count : 0;
    for (size_t r = 0; status == WZ_OK && r < count; r++) {
        wz_sweep_run *run = &sweep->runs[r];
        wz_config config;
        run->point = r / sweep->seeds;
        status = read_seed(sweep, r % sweep->seeds, &run->seed, err);
        if (status == WZ_OK)
            status = place_run(sweep, run, err);
        if (status == WZ_OK)
            status = wz_sweep_config(sweep, run, &config, err);
        if (status == WZ_OK)
            run->max_steps = config.max_steps;
    }
    return status == WZ_OK ? check_folders(sweep, err) : status;
}

wz_status wz_sweep_plan(const char *config_path, const wz_sweep_request *request, const char *directory,
                        int64_t jobs, FILE *log, wz_sweep *out, wz_error *err)
{
    *out = (wz_sweep){.jobs = jobs, .lock = -1};
    wz_status status = wz_sweep_expand(request, &out->grid, err);
    if (status == WZ_OK)
        status = read_base(config_path, &out->grid.fixed, &out->base, err);
    if (status == WZ_OK)
        status = name_directory(out, directory, err);
    if (status == WZ_OK)
        status = check_points(out, log, err);
    return status == WZ_OK ? make_runs(out, err) : status;
}

void wz_sweep_close(wz_sweep *sweep)
{
    wz_sweep_grid_clear(&sweep->grid);
    free(sweep->runs);
    wz_lock_release(sweep->lock);
    *sweep = (wz_sweep){.lock = -1};
}

/* ---- what is there ---- */

/* A key's value in a configuration, for a message. */
static wz_status value_of(const wz_config *config, const char *key, wz_text *out, wz_error *err)
{
    wz_config_place place;
    return wz_config_find(config, key, &place) ? wz_config_format(config, &place, out, err)
                                               : wz_text_printf(out, err, "not there");
}

/* Whether directory/sweep.yaml, where it is, asks for what `now` does. */
static wz_status compare_config(const char *directory, const wz_config *now, wz_error *err)
{
    char path[WZ_PATH_MAX + 32], key[WZ_CONFIG_NAME_MAX];
    wz_config saved;
    wz_text values[2] = {{0}, {0}};
    (void)snprintf(path, sizeof path, "%s/" WZ_SWEEP_CONFIG, directory);
    if (!wz_path_exists(path))
        return WZ_OK;
    wz_config_default(&saved);
    wz_status status = wz_config_read_file(&saved, path, err);
    const char *conflict = status == WZ_OK ? wz_config_resume_conflict(&saved, now) : NULL;
    if (conflict == NULL)
        return status;
    wz_config_place place;
    (void)snprintf(key, sizeof key, "%s%s", wz_config_find(now, conflict, &place) ? "" : "task.", conflict);
    status = value_of(&saved, key, &values[0], err);
    if (status == WZ_OK)
        status = value_of(now, key, &values[1], err);
    if (status == WZ_OK)
        status = wz_fail(
            err, WZ_ERR_USAGE,
            "%s holds a sweep that was begun with %s: %.96s, where this one has %.96s: choose another "
            "--output-dir",
            directory, key, values[0].data, values[1].data);
    wz_text_clear(&values[0]);
    wz_text_clear(&values[1]);
    return status;
}

wz_sweep_state wz_sweep_state_of(const wz_sweep_run *run)
{
    if (!wz_rundir_has_checkpoints(run->directory))
        return WZ_SWEEP_MISSING;
    return wz_rundir_has_checkpoint(run->directory, run->max_steps) ? WZ_SWEEP_COMPLETE : WZ_SWEEP_PARTIAL;
}

static wz_status look_at_run(const wz_sweep *sweep, wz_sweep_run *run, wz_error *err)
{
    char asked[WZ_PATH_MAX + 32];
    wz_config config;
    wz_status status = wz_sweep_config(sweep, run, &config, err);
    if (status == WZ_OK)
        status = compare_config(run->directory, &config, err);
    if (status != WZ_OK)
        return status;
    (void)snprintf(asked, sizeof asked, "%s/" WZ_SWEEP_CONFIG, run->directory);
    run->state = wz_sweep_state_of(run);
    if (run->state != WZ_SWEEP_MISSING && !wz_path_exists(asked))
        return wz_fail(err, WZ_ERR_USAGE,
                       "%s holds a run that is not this sweep's: choose another --output-dir",
                       run->directory);
    run->step = run->state == WZ_SWEEP_COMPLETE ? run->max_steps : 0;
    return WZ_OK;
}

wz_status wz_sweep_look(wz_sweep *sweep, wz_error *err)
{
    wz_status status = compare_config(sweep->directory, &sweep->base, err);
    for (size_t r = 0; status == WZ_OK && r < sweep->run_count; r++)
        status = look_at_run(sweep, &sweep->runs[r], err);
    return status;
}

wz_status wz_sweep_open(wz_sweep *sweep, wz_error *err)
{
    char path[WZ_PATH_MAX + 32];
    wz_text text = {0};
    (void)snprintf(path, sizeof path, "%s/LOCK", sweep->directory);
    wz_status status = wz_directory_create(sweep->directory, err);
    if (status == WZ_OK)
        status = wz_lock_acquire(path, &sweep->lock, err);
    if (status == WZ_OK)
        status = wz_sweep_look(sweep, err);
    (void)snprintf(path, sizeof path, "%s/" WZ_SWEEP_CONFIG, sweep->directory);
    if (status == WZ_OK && !wz_path_exists(path)) {
        status = wz_config_write(&sweep->base, &text, err);
        if (status == WZ_OK)
            status = wz_file_replace(path, text.data, text.length, err);
    }
    wz_text_clear(&text);
    return status;
}
