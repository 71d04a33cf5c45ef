#include "engine/run/seen.h"

#include <stdlib.h>
#include <string.h>

#include "engine/run/load.h"
#include "engine/run/snapshot.h"

wz_status wz_training_past_read(const char *path, wz_training_past *out, wz_error *err)
{
    wz_checkpoint *checkpoint = NULL;
    wz_config config;
    *out = (wz_training_past){0};
    wz_status status = wz_checkpoint_open(path, &checkpoint, err);
    if (status == WZ_OK)
        status = wz_config_from_checkpoint(checkpoint, path, false, &config, err);
    if (status == WZ_OK)
        status = wz_config_mixture(&config, &out->mixture, err);
    if (status == WZ_OK) {
        const int64_t steps = wz_checkpoint_step(checkpoint), a_step = config.generation_batch_size /
                                                                       config.num_generations *
                                                                       wz_config_numbers_each(&config);
        out->seed = (uint64_t)config.seed;
        memcpy(out->train_set, config.train_set, sizeof out->train_set);
        if (steps > 0 && a_step > 0) /* numbers are below 2^32 */
            out->problems = steps > (int64_t)UINT32_MAX / a_step ? (int64_t)UINT32_MAX : steps * a_step;
    }
    if (status == WZ_OK && out->train_set[0] != '\0') {
        wz_snapshot state;
        status = wz_snapshot_read(checkpoint, path, &state, err);
        memcpy(out->set_digest, state.set_digest, sizeof out->set_digest);
    }
    wz_checkpoint_close(checkpoint);
    return status;
}

/* An evaluated problem by a hash of its numbers. */
typedef struct key {
    uint64_t hash;
    int64_t place;
} key;

/* FNV-1a. */
static uint64_t hash_of(const wz_problem *problem)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < problem->number_count; i++)
        hash = (hash ^ (uint32_t)problem->numbers[i]) * 0x100000001b3u;
    return hash;
}

static int by_hash(const void *a, const void *b)
{
    const key *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* The first key whose hash is not below this one. */
static int64_t find_first(const key *keys, int64_t count, uint64_t hash)
{
    int64_t low = 0, high = count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (keys[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool same_numbers(const wz_problem *a, const wz_problem *b)
{
    return a->number_count == b->number_count &&
           memcmp(a->numbers, b->numbers, a->number_count * sizeof *a->numbers) == 0;
}

/* Marks the evaluated problems that have the numbers of a problem of training. */
static void mark_same(const wz_problem *trained, const wz_eval_options *o, const wz_problem *problems,
                      const key *keys, uint8_t *flags)
{
    const uint64_t hash = hash_of(trained);
    for (int64_t k = find_first(keys, o->problems, hash); k < o->problems && keys[k].hash == hash; k++)
        if (same_numbers(trained, &problems[keys[k].place]))
            flags[keys[k].place] = 1;
}

static void mark_set(const wz_problem_set *set, const wz_eval_options *o, const wz_problem *problems,
                     const key *keys, uint8_t *flags)
{
    for (size_t g = 0; g < set->group_count; g++)
        for (size_t i = 0; set->groups[g].task == o->task && i < set->groups[g].count; i++)
            mark_same(&set->groups[g].problems[i], o, problems, keys, flags);
}

/* Marks the evaluated problems (count) that are among those of training. */
static wz_status mark(const wz_training_past *past, const wz_eval_options *o, const wz_problem *problems,
                      const key *keys, uint8_t *flags, wz_error *err)
{
    wz_status status = WZ_OK;
    for (int64_t n = 0; status == WZ_OK && n < past->problems; n++) {
        wz_problem trained = {0};
        status =
            wz_problem_generate(o->task, o->values, past->seed, WZ_SPLIT_TRAIN, (uint32_t)n, &trained, err);
        if (status != WZ_OK)
            break;
        mark_same(&trained, o, problems, keys, flags);
        wz_problem_clear(&trained);
    }
    return status;
}

/* set: NULL where training's problems were generated. */
static wz_status compare(const wz_training_past *past, const wz_problem_set *set, const wz_eval_options *o,
                         uint8_t *flags, wz_error *err)
{
    wz_problem *made = NULL;
    void *block = NULL;
    wz_status status =
        wz_alloc(&block, (size_t)o->problems, sizeof(key), "a list of evaluated problems", err);
    if (status == WZ_OK && o->given == NULL)
        status = wz_batch_generate(o->task, o->values, o->seed, o->split, 0, o->problems, &made, err);
    const wz_problem *problems = o->given != NULL ? o->given : made;
    key *keys = block;
    for (int64_t i = 0; status == WZ_OK && i < o->problems; i++)
        keys[i] = (key){hash_of(&problems[i]), i};
    if (status == WZ_OK) {
        qsort(keys, (size_t)o->problems, sizeof *keys, by_hash);
        if (set != NULL)
            mark_set(set, o, problems, keys, flags);
        else
            status = mark(past, o, problems, keys, flags, err);
    }
    for (int64_t i = 0; made != NULL && i < o->problems; i++)
        wz_problem_clear(&made[i]);
    free(made);
    free(block);
    return status;
}

static bool trained_on(const wz_training_past *past, const wz_eval_options *o)
{
    for (size_t p = 0; p < past->mixture.count; p++) {
        const wz_mixture_part *part = &past->mixture.parts[p];
        if (part->task == o->task && wz_task_same_values(o->task, part->values, o->values))
            return past->problems > 0;
    }
    return false;
}

/* The problems of training that were given, as far as they are still there. */
static bool read_set(const wz_training_past *past, wz_problem_set *out)
{
    wz_error ignored = {{0}};
    if (wz_problem_set_read(past->train_set, true, out, &ignored) != WZ_OK)
        return false;
    if (strcmp(out->digest, past->set_digest) == 0)
        return true;
    wz_problem_set_clear(out);
    return false;
}

static wz_status find_seen(const wz_training_past *past, const wz_problem_set *set, wz_eval_options *options,
                           uint8_t **flags, wz_error *err)
{
    void *block = NULL;
    options->seen_state = WZ_SEEN_TOO_MANY;
    if ((set == NULL ? past->problems : (int64_t)set->count) > WZ_SEEN_MOST ||
        options->problems > WZ_SEEN_MOST)
        return WZ_OK;
    wz_status status = wz_alloc(&block, (size_t)options->problems, 1, "marks of problems", err);
    if (status == WZ_OK)
        status = compare(past, set, options, block, err);
    if (status != WZ_OK) {
        free(block);
        return status;
    }
    *flags = block;
    options->seen_state = WZ_SEEN_COUNTED;
    options->seen = *flags;
    return WZ_OK;
}

wz_status wz_find_seen(const wz_training_past *past, wz_eval_options *options, uint8_t **flags, wz_error *err)
{
    wz_problem_set set = {0};
    const bool was_given = past->train_set[0] != '\0';
    *flags = NULL;
    options->seen_state = WZ_SEEN_UNASKED;
    if (!trained_on(past, options) || (was_given && !read_set(past, &set)))
        return WZ_OK;
    const wz_status status = find_seen(past, was_given ? &set : NULL, options, flags, err);
    wz_problem_set_clear(&set);
    return status;
}
