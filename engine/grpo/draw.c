/* Which problems a step trains: of which stage or size, of which family, anew or again. Generated problems have numbers that
 * follow from (step, place, attempt); those of a training set come in the order of its epochs. */
#include <stdlib.h>
#include <string.h>

#include "engine/grpo/shuffle.h"
#include "engine/grpo/trainer_internal.h"

/* ---- the curriculum's level ---- */

wz_curriculum_options wz_trainer_curriculum_of(const wz_trainer_options *options, size_t part)
{
    const wz_mixture_part *p = &options->mixture.parts[part];
    wz_curriculum_options levels = options->curriculum;
    levels.first = options->stages != NULL ? 0 : p->first;
    levels.last = options->stages != NULL ? (int64_t)options->stages->count - 1
                                          : (int64_t)p->values[p->task->size_option];
    return levels;
}

size_t wz_trainer_curriculum_count(const wz_trainer_options *options)
{
    return options->stages != NULL ? 1 : options->mixture.count;
}

/* One curriculum leads through stages, which are the whole mixture's; through sizes one for each part. */
void wz_trainer_choose_levels(wz_trainer *trainer, int64_t step)
{
    const wz_trainer_options *o = &trainer->options;
    trainer->now = &o->mixture;
    trainer->stage = 0;
    if (o->stages != NULL) {
        const wz_curriculum_options c = wz_trainer_curriculum_of(o, 0);
        trainer->stage = wz_curriculum_size(&trainer->curricula[0], &c, o->seed, (uint32_t)step, 0);
        trainer->now = &o->stages->list[trainer->stage].mixture;
    }
    for (size_t p = 0; p < o->mixture.count; p++) {
        const wz_curriculum_options c = wz_trainer_curriculum_of(o, p);
        if (o->stages != NULL || !o->curriculum_enabled)
            trainer->sizes[p] = (int64_t)trainer->now->parts[p].values[o->mixture.parts[p].task->size_option];
        else
            trainer->sizes[p] =
                wz_curriculum_size(&trainer->curricula[p], &c, o->seed, (uint32_t)step, (uint32_t)p);
    }
}

/* Options of a part's problems at a level: a stage, or a size. */
static const double *values_at(const wz_trainer_options *o, size_t part, uint8_t level,
                               double room[WZ_TASK_MAX_OPTIONS])
{
    const wz_mixture_part *p = &o->mixture.parts[part];
    if (o->stages != NULL)
        return o->stages->list[level].mixture.parts[part].values;
    memcpy(room, p->values, sizeof p->values);
    room[p->task->size_option] = (double)level;
    return room;
}

/* Each slice gets its share of each part: slot g has what stands at place (g % per_slice) slices + g / per_slice. */
static void assign_parts(wz_trainer *trainer, int64_t step)
{
    const wz_trainer_options *o = &trainer->options;
    const int64_t per_slice = o->problems / o->slices;
    uint8_t *at = trainer->part;
    wz_mixture_assign(trainer->now, o->seed, (uint32_t)step, o->problems, at);
    if (o->slices == 1 || o->mixture.count == 1)
        return;
    memcpy(trainer->flat, at, (size_t)o->problems); /* the step writes it anew */
    for (int64_t g = 0; g < o->problems; g++)
        at[g] = trainer->flat[g % per_slice * o->slices + g / per_slice];
}

/* ---- problems to train again ---- */

bool wz_trainer_has_pool(const wz_trainer_options *o)
{
    return o->replay_fraction > 0.0 || o->replay.keeps_all;
}

/* Spread over the batch, so that each slice and each part gives up its share of places. */
static void place_replays(wz_trainer *trainer, int64_t step)
{
    const wz_trainer_options *o = &trainer->options;
    const int64_t wanted = (int64_t)(o->replay_fraction * (double)o->problems + 0.5);
    wz_replay_age(&trainer->replay, &o->replay, step);
    const int64_t found = (int64_t)wz_replay_draw(&trainer->replay, &o->replay, o->seed, (uint32_t)step,
                                                  (size_t)wanted, trainer->chosen);
    for (int64_t i = 0; i < found; i++) {
        const wz_replay_item *item = &trainer->replay.items[trainer->chosen[i]];
        const int64_t g = (2 * i + 1) * o->problems / (2 * found);
        trainer->part[g] = item->part;
        trainer->slots[g] = (wz_slot){.is_replayed = true, .level = item->level, .number = item->number};
    }
}

void wz_trainer_assign(wz_trainer *trainer, int64_t step)
{
    const wz_trainer_options *o = &trainer->options;
    assign_parts(trainer, step);
    for (int64_t g = 0; g < o->problems; g++)
        trainer->slots[g] =
            (wz_slot){.level = (uint8_t)(o->set != NULL      ? 0
                                         : o->stages != NULL ? trainer->stage
                                                             : trainer->sizes[trainer->part[g]])};
    if (wz_trainer_has_pool(o))
        place_replays(trainer, step);
    trainer->next = trainer->taken;
    trainer->rejected = trainer->unfiltered = trainer->skipped = 0;
}

/* What the step's groups say of their problems, in the batch's order. */
void wz_trainer_observe(wz_trainer *trainer, int64_t step)
{
    const wz_trainer_options *o = &trainer->options;
    for (int64_t g = 0; g < o->problems; g++) {
        const wz_slot *slot = &trainer->slots[g];
        wz_replay_item item = {slot->number, trainer->part[g], slot->level, step, slot->success};
        wz_replay_observe(&trainer->replay, &o->replay, &item);
        if (!slot->is_replaced)
            continue;
        item.number = trainer->batch->problems[g].index;
        item.success = wz_trainer_success(trainer, g);
        wz_replay_observe(&trainer->replay, &o->replay, &item);
    }
}

double wz_trainer_success(const wz_trainer *trainer, int64_t g)
{
    const int64_t generations = trainer->batch->generations;
    int64_t solved = 0;
    for (int64_t j = 0; j < generations; j++)
        solved += trainer->batch->verdicts[g * generations + j].ratio >=
                  trainer->options.success_ratio - 1e-9; /* an optimum's own rounding */
    return (double)solved / (double)generations;
}

/* ---- one problem ---- */

int64_t wz_trainer_numbers_each(const wz_trainer_options *o)
{
    return (o->dynamic_tries + 1) * (o->filter_tries > 0 ? o->filter_tries : 1);
}

/* Whether the share of the reference that the best trivial policy leaves lies within the bounds. */
static wz_status has_headroom(const wz_trainer_options *o, const wz_problem *problem,
                              wz_known_reference *known, bool *out, wz_error *err)
{
    const wz_verifier *verifier = wz_verifier_find(problem->task->name);
    *known = (wz_known_reference){.is_known = true};
    if (verifier == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "task %s has no verifier", problem->task->name);
    const wz_status status =
        wz_reference_find(verifier, problem, WZ_EFFORT_TRAINING, known->decision, &known->reference, err);
    const double headroom = wz_reference_headroom(&known->reference);
    *out = headroom >= o->headroom_min && headroom <= o->headroom_max;
    return status;
}

/* The first of filter_tries problems that the filter lets through, or else the last. */
static wz_status draw_generated(wz_trainer *trainer, int64_t step, int64_t g, int64_t attempt,
                                wz_problem *out, wz_known_reference *known, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    const int64_t tries = o->filter_tries > 0 ? o->filter_tries : 1;
    const size_t part = trainer->part[g];
    double room[WZ_TASK_MAX_OPTIONS];
    const double *values = values_at(o, part, trainer->slots[g].level, room);
    bool passes = o->filter_tries == 0;
    wz_status status = WZ_OK;
    for (int64_t i = 0; i < tries; i++) {
        const int64_t number = ((step * (o->dynamic_tries + 1) + attempt) * tries + i) * o->problems + g;
        status = wz_problem_generate(o->mixture.parts[part].task, values, o->seed, WZ_SPLIT_TRAIN,
                                     (uint32_t)number, out, err);
        if (status == WZ_OK && !passes)
            status = has_headroom(o, out, known, &passes, err);
        if (status != WZ_OK || passes)
            break;
        trainer->rejected++;
        if (i + 1 < tries)
            wz_problem_clear(out);
    }
    trainer->unfiltered += status == WZ_OK && !passes;
    return status;
}

/* The number at a place of the epochs, one after the other. */
static uint32_t number_at(wz_trainer *trainer, int64_t place)
{
    const wz_trainer_options *o = &trainer->options;
    const int64_t count = (int64_t)o->set->count, epoch = place / count;
    if (epoch != trainer->epoch)
        wz_shuffle(o->seed, WZ_PURPOSE_EPOCH, (uint32_t)epoch, trainer->order, o->set->count);
    trainer->epoch = epoch;
    return trainer->order[place % count];
}

/* The set's next problem; those that are known to be solved always, or never, are passed over, but only so many. */
static uint32_t next_of_set(wz_trainer *trainer)
{
    const wz_trainer_options *o = &trainer->options;
    for (int64_t passed = 0;; passed++) {
        const uint32_t number = number_at(trainer, trainer->next++);
        const wz_replay_item *item = wz_replay_find(&trainer->replay, number);
        if (item == NULL || passed == o->skips_max ||
            (item->success >= o->replay.least && item->success <= o->replay.most))
            return number;
        trainer->skipped++;
    }
}

/* A problem that comes twice in a step (again, or at the seam of two epochs) needs samples of its own: they are drawn by the
 * problem's index, which then is beyond the set. */
static uint32_t index_in_step(const wz_trainer *trainer, int64_t g)
{
    uint32_t times = 0;
    for (int64_t other = 0; other < g; other++)
        times += trainer->slots[other].number == trainer->slots[g].number;
    return trainer->slots[g].number + times * (uint32_t)trainer->options.set->count;
}

static wz_status draw_of_set(wz_trainer *trainer, int64_t g, wz_problem *out, wz_known_reference *known,
                             wz_error *err)
{
    wz_slot *slot = &trainer->slots[g];
    const wz_train_set *set = trainer->options.set;
    if (!slot->is_replayed)
        slot->number = next_of_set(trainer);
    trainer->part[g] = set->items[slot->number].part;
    const wz_status status = wz_train_set_take(set, slot->number, out, known, err);
    out->index = index_in_step(trainer, g);
    return status;
}

static wz_status draw_problem(wz_trainer *trainer, int64_t step, int64_t g, int64_t attempt, wz_problem *out,
                              wz_known_reference *known, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    wz_slot *slot = &trainer->slots[g];
    double room[WZ_TASK_MAX_OPTIONS];
    known->is_known = false;
    if (o->set != NULL)
        return draw_of_set(trainer, g, out, known, err);
    if (slot->is_replayed && attempt == 0)
        return wz_problem_generate(o->mixture.parts[trainer->part[g]].task,
                                   values_at(o, trainer->part[g], slot->level, room), o->seed, WZ_SPLIT_TRAIN,
                                   slot->number, out, err);
    const wz_status status = draw_generated(trainer, step, g, attempt, out, known, err);
    if (attempt == 0)
        slot->number = out->index;
    return status;
}

/* ---- a batch ---- */

wz_status wz_trainer_make_batch(const wz_trainer *trainer, wz_problem *problems, int64_t count,
                                wz_batch **out, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    const wz_batch_options options = wz_trainer_batch_options(o, trainer->known);
    return wz_batch_create(trainer->policy, &options, problems, count, out, err);
}

wz_batch_options wz_trainer_batch_options(const wz_trainer_options *o, const wz_known_reference *known)
{
    return (wz_batch_options){.style = o->style,
                              .effort = WZ_EFFORT_TRAINING,
                              .generations = o->generations,
                              .groups_per_pack = o->groups_per_pack,
                              .lessons = o->grammar_coef > 0.0 ? o->grammar_generations : 0,
                              .known = known};
}

wz_status wz_trainer_draw_problems(wz_trainer *trainer, int64_t step, int64_t attempt, const int64_t *slot,
                                   int64_t count, wz_problem **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, (size_t)count, sizeof(wz_problem), "problems", err);
    wz_problem *list = block;
    for (int64_t i = 0; status == WZ_OK && i < count; i++)
        status = draw_problem(trainer, step, slot != NULL ? slot[i] : i, attempt, &list[i],
                              &trainer->known[i], err);
    if (status == WZ_OK) {
        *out = list;
        return WZ_OK;
    }
    for (int64_t i = 0; list != NULL && i < count; i++)
        wz_problem_clear(&list[i]);
    free(list);
    return status;
}

wz_status wz_trainer_begin_batch(wz_trainer *trainer, int64_t step, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    wz_problem *problems = NULL;
    wz_batch_destroy(trainer->batch);
    trainer->batch = NULL;
    wz_status status = wz_trainer_draw_problems(trainer, step, 0, NULL, o->problems, &problems, err);
    if (status == WZ_OK)
        status = wz_trainer_make_batch(trainer, problems, o->problems, &trainer->batch, err);
    return status == WZ_OK ? wz_trainer_reserve_batch(trainer, err) : status;
}
