#include "engine/grpo/replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/memory.h"
#include "engine/core/philox.h"

wz_status wz_replay_reserve(wz_replay *replay, size_t capacity, wz_error *err)
{
    void *items = replay->items;
    const wz_status status =
        wz_grow(&items, &replay->capacity, capacity, sizeof *replay->items, "a pool of problems", err);
    replay->items = items;
    return status;
}

void wz_replay_clear(wz_replay *replay)
{
    free(replay->items);
    *replay = (wz_replay){0};
}

double wz_replay_weight(const wz_replay_options *options, double success)
{
    return success >= options->least && success <= options->most ? success * (1.0 - success) : 0.0;
}

/* Whether an item of this success has a place in the pool. */
static bool is_kept(const wz_replay_options *options, double success)
{
    return options->keeps_all || wz_replay_weight(options, success) > 0.0;
}

void wz_replay_age(wz_replay *replay, const wz_replay_options *options, int64_t step)
{
    size_t kept = 0;
    for (size_t i = 0; i < replay->count; i++)
        if (step - replay->items[i].seen <= options->max_age)
            replay->items[kept++] = replay->items[i];
    replay->count = kept;
}

/* The first item whose number is not below this one. */
static size_t place_of(const wz_replay *replay, uint32_t number)
{
    size_t low = 0, high = replay->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (replay->items[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const wz_replay_item *wz_replay_find(const wz_replay *replay, uint32_t number)
{
    const size_t at = place_of(replay, number);
    return at < replay->count && replay->items[at].number == number ? &replay->items[at] : NULL;
}

size_t wz_replay_draw(const wz_replay *replay, const wz_replay_options *options, uint64_t seed, uint32_t step,
                      size_t count, size_t *chosen)
{
    const wz_draw_key key = {.seed = seed, .step = step, .purpose = WZ_PURPOSE_REPLAY};
    uint32_t words[4];
    double sum = 0.0, largest = 0.0, below = 0.0;
    size_t found = 0;
    for (size_t i = 0; i < replay->count; i++) {
        const double weight = wz_replay_weight(options, replay->items[i].success);
        sum += weight;
        largest = fmax(largest, weight);
    }
    if (largest == 0.0)
        return 0;
    if (sum / largest < (double)count)
        count = (size_t)(sum / largest);
    wz_draw_words(&key, 0, words);
    for (size_t i = 0; i < replay->count && found < count; i++) {
        const double weight = wz_replay_weight(options, replay->items[i].success);
        const double point = ((double)found + wz_uniform(words[0])) / (double)count * sum;
        below += weight;
        if (weight > 0.0 && point < below)
            chosen[found++] = i;
    }
    return found;
}

static void remove_at(wz_replay *replay, size_t at)
{
    replay->count--;
    memmove(replay->items + at, replay->items + at + 1, (replay->count - at) * sizeof *replay->items);
}

static void insert_at(wz_replay *replay, size_t at, const wz_replay_item *item)
{
    memmove(replay->items + at + 1, replay->items + at, (replay->count - at) * sizeof *replay->items);
    replay->items[at] = *item;
    replay->count++;
}

/* The item to give up for another. */
static size_t find_least(const wz_replay *replay, const wz_replay_options *options)
{
    size_t least = 0;
    for (size_t i = 1; i < replay->count; i++) {
        const double weight = wz_replay_weight(options, replay->items[i].success),
                     other = wz_replay_weight(options, replay->items[least].success);
        if (weight < other || (weight == other && replay->items[i].seen < replay->items[least].seen))
            least = i;
    }
    return least;
}

void wz_replay_observe(wz_replay *replay, const wz_replay_options *options, const wz_replay_item *item)
{
    size_t at = place_of(replay, item->number);
    if (at < replay->count && replay->items[at].number == item->number) {
        wz_replay_item *known = &replay->items[at];
        known->success = 0.5 * (known->success + item->success);
        known->seen = item->seen;
        if (!is_kept(options, known->success))
            remove_at(replay, at);
        return;
    }
    if (!is_kept(options, item->success))
        return;
    if (replay->count == (size_t)options->capacity) {
        const size_t least = find_least(replay, options);
        if (wz_replay_weight(options, replay->items[least].success) >
            wz_replay_weight(options, item->success))
            return;
        remove_at(replay, least);
        at -= least < at;
    }
    insert_at(replay, at, item);
}

double wz_replay_success(const wz_replay *replay)
{
    double sum = 0.0;
    for (size_t i = 0; i < replay->count; i++)
        sum += replay->items[i].success;
    return sum / (double)replay->count;
}
