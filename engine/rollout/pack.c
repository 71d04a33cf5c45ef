#include "engine/rollout/pack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct pack_sizes {
    int64_t rows, longest, group_rows; /* group_rows: most rows of one group */
} pack_sizes;

static pack_sizes sizes_of(const wz_pack_group *groups, int64_t count)
{
    pack_sizes sizes = {0, 1, 0};
    for (int64_t g = 0; g < count; g++) {
        int64_t rows = groups[g].prompt_length + groups[g].rows;
        sizes.rows += rows;
        sizes.longest = groups[g].longest > sizes.longest ? groups[g].longest : sizes.longest;
        sizes.group_rows = rows > sizes.group_rows ? rows : sizes.group_rows;
    }
    return sizes;
}

/* Takes count 32-bit words from the block. */
static void *take(char **at, int64_t count)
{
    void *place = *at;
    *at += (size_t)count * sizeof(int32_t);
    return place;
}

static wz_status allocate(wz_pack *pack, const pack_sizes *sizes, wz_error *err)
{
    const int64_t rows = sizes->rows, c = pack->completions, g = pack->groups, stride = sizes->longest;
    void *block = NULL;
    const int64_t words = 7 * rows + 4 * g + g * sizes->group_rows + 4 * c + 3 * c * stride;
    wz_status status = wz_alloc(&block, (size_t)words * sizeof(int32_t) + (size_t)(c * stride + 2 * c), 1,
                                "a pack's row tables", err);
    if (status != WZ_OK)
        return status;
    char *at = block;
    pack->block = block;
    pack->row_capacity = rows;
    pack->completion_stride = stride;
    pack->row_token = take(&at, rows);
    pack->row_group = take(&at, rows);
    pack->row_completion = take(&at, rows);
    pack->row_index = take(&at, rows);
    pack->row_position = take(&at, rows);
    pack->row_site = take(&at, rows);
    pack->site_row = take(&at, rows);
    pack->prompt_start = take(&at, g);
    pack->prompt_length = take(&at, g);
    pack->group_length = take(&at, g);
    pack->problem = take(&at, g);
    pack->group_rows = take(&at, g * sizes->group_rows);
    pack->completion_row_count = take(&at, c);
    pack->length = take(&at, c);
    pack->think_length = take(&at, c);
    pack->tries = take(&at, c);
    pack->completion_rows = take(&at, c * stride);
    pack->tokens = take(&at, c * stride);
    pack->masks = take(&at, c * stride);
    pack->origins = (uint8_t *)at;
    pack->finished = pack->origins + c * stride;
    pack->think_cut = pack->finished + c;
    pack->segments = (wz_segments){.groups = g,
                                   .completions = c,
                                   .row_group = pack->row_group,
                                   .row_completion = pack->row_completion,
                                   .row_index = pack->row_index,
                                   .row_position = pack->row_position,
                                   .row_site = pack->row_site,
                                   .site_row = pack->site_row,
                                   .prompt_start = pack->prompt_start,
                                   .prompt_length = pack->prompt_length,
                                   .completion_rows = pack->completion_rows,
                                   .completion_stride = stride,
                                   .group_rows = pack->group_rows,
                                   .group_length = pack->group_length,
                                   .group_stride = sizes->group_rows};
    return WZ_OK;
}

static void add_row(wz_pack *pack, int64_t group, int64_t completion, int64_t index, int64_t position,
                    uint32_t token)
{
    const int64_t row = pack->segments.rows++;
    assert(row < pack->row_capacity);
    pack->row_token[row] = (int32_t)token;
    pack->row_group[row] = (int32_t)group;
    pack->row_completion[row] = (int32_t)completion;
    pack->row_index[row] = (int32_t)index;
    pack->row_position[row] = (int32_t)position;
    pack->row_site[row] = -1;
    if (completion >= 0 || index + 1 == pack->prompt_length[group]) {
        pack->row_site[row] = (int32_t)pack->segments.sites;
        pack->site_row[pack->segments.sites++] = (int32_t)row;
    }
    pack->group_rows[group * pack->segments.group_stride + pack->group_length[group]++] = (int32_t)row;
}

wz_status wz_pack_create(const wz_pack_group *groups, int64_t group_count, int64_t generations, wz_pack **out,
                         wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    const pack_sizes sizes = sizes_of(groups, group_count);
    if (sizes.rows > INT32_MAX)
        return wz_fail(err, WZ_ERR_RESOURCE,
                       "a pack of %lld rows is too large: lower per_device_train_batch_size",
                       (long long)sizes.rows);
    wz_status status = wz_alloc(&block, 1, sizeof(wz_pack), "a pack", err);
    if (status != WZ_OK)
        return status;
    wz_pack *pack = block;
    pack->groups = group_count;
    pack->generations = generations;
    pack->completions = group_count * generations;
    status = allocate(pack, &sizes, err);
    uint32_t every = 0;
    if (status == WZ_OK)
        status = wz_pack_add_mask(pack, NULL, 0, &every, err); /* set 0 */
    if (status != WZ_OK) {
        wz_pack_destroy(pack);
        return status;
    }
    for (int64_t g = 0; g < group_count; g++) {
        pack->problem[g] = groups[g].problem;
        pack->prompt_start[g] = (int32_t)pack->segments.rows;
        pack->prompt_length[g] = (int32_t)groups[g].prompt_length;
        for (int64_t i = 0; i < groups[g].prompt_length; i++)
            add_row(pack, g, -1, i, i, groups[g].prompt[i]);
    }
    *out = pack;
    return WZ_OK;
}

void wz_pack_destroy(wz_pack *pack)
{
    if (pack == NULL)
        return;
    free(pack->decisions.site);
    free(pack->decisions.target);
    free(pack->decisions.mask);
    free(pack->decisions.completion);
    free(pack->decisions.place);
    free(pack->decisions.logp);
    free(pack->decisions.entropy);
    free(pack->lessons.site);
    free(pack->lessons.mask);
    free(pack->lessons.completion);
    free(pack->mask_offset);
    free(pack->mask_tokens);
    free(pack->block);
    free(pack);
}

size_t wz_pack_bytes(const wz_pack *pack)
{
    const size_t words = (size_t)(7 * pack->row_capacity + pack->groups * (4 + pack->segments.group_stride) +
                                  pack->completions * (4 + 3 * pack->completion_stride));
    return words * 4 + (size_t)(pack->completions * (pack->completion_stride + 2)) +
           (size_t)(pack->decisions.capacity * 28 + pack->lessons.capacity * 12) +
           (pack->mask_offset_capacity + pack->mask_token_capacity) * 4;
}

void wz_pack_add_row(wz_pack *pack, int64_t completion, uint32_t token)
{
    const int64_t group = completion / pack->generations, index = pack->completion_row_count[completion]++;
    assert(index < pack->completion_stride);
    pack->completion_rows[completion * pack->completion_stride + index] = (int32_t)pack->segments.rows;
    add_row(pack, group, completion, index, pack->prompt_length[group] + index, token);
}

void wz_pack_add_rows(wz_pack *pack, int64_t completion, int32_t count)
{
    for (int32_t i = pack->completion_row_count[completion]; i < count; i++)
        wz_pack_add_row(pack, completion, pack->tokens[completion * pack->completion_stride + i]);
}

#define MASKS_SEARCHED 16

wz_status wz_pack_add_mask(wz_pack *pack, const uint32_t *tokens, uint32_t count, uint32_t *id, wz_error *err)
{
    wz_mask_table *table = &pack->mask_table;
    for (uint32_t back = 1; back <= MASKS_SEARCHED && back < table->count; back++) {
        uint32_t i = table->count - back;
        if (pack->mask_offset[i + 1] - pack->mask_offset[i] == count &&
            (count == 0 ||
             memcmp(pack->mask_tokens + pack->mask_offset[i], tokens, count * sizeof *tokens) == 0)) {
            *id = i;
            return WZ_OK;
        }
    }
    void *offsets = pack->mask_offset, *all = pack->mask_tokens;
    wz_status status = wz_grow(&offsets, &pack->mask_offset_capacity, (size_t)table->count + 2,
                               sizeof(uint32_t), "token sets", err);
    pack->mask_offset = offsets;
    if (status != WZ_OK)
        return status;
    status = wz_grow(&all, &pack->mask_token_capacity, pack->mask_token_count + count + 1, sizeof(uint32_t),
                     "token sets", err);
    pack->mask_tokens = all;
    if (status != WZ_OK)
        return status;
    if (count > 0)
        memcpy(pack->mask_tokens + pack->mask_token_count, tokens, count * sizeof *tokens);
    pack->mask_offset[table->count] = (uint32_t)pack->mask_token_count;
    pack->mask_token_count += count;
    pack->mask_offset[table->count + 1] = (uint32_t)pack->mask_token_count;
    *id = table->count++;
    table->offset = pack->mask_offset;
    table->tokens = pack->mask_tokens;
    return WZ_OK;
}

/* Grows parallel arrays of 4-byte elements together. */
static wz_status grow_columns(void **columns[], size_t column_count, int64_t *capacity, int64_t need,
                              wz_error *err)
{
    if (need <= *capacity)
        return WZ_OK;
    int64_t room = *capacity < 1024 ? 1024 : *capacity * 2;
    for (size_t i = 0; i < column_count; i++) {
        void *grown = realloc(*columns[i], (size_t)room * 4);
        if (grown == NULL)
            return wz_fail(err, WZ_ERR_RESOURCE, "out of memory: %lld decisions of a pack", (long long)room);
        *columns[i] = grown;
    }
    *capacity = room;
    return WZ_OK;
}

wz_status wz_pack_add_decision(wz_pack *pack, int64_t completion, int32_t site, uint32_t token, uint32_t mask,
                               float logp, float entropy, wz_error *err)
{
    wz_decisions *d = &pack->decisions;
    void **columns[7] = {(void **)&d->site,       (void **)&d->target, (void **)&d->mask,
                         (void **)&d->completion, (void **)&d->place,  (void **)&d->logp,
                         (void **)&d->entropy};
    wz_status status = grow_columns(columns, 7, &d->capacity, d->count + 1, err);
    if (status != WZ_OK)
        return status;
    d->site[d->count] = site;
    d->target[d->count] = (int32_t)token;
    d->mask[d->count] = mask;
    d->completion[d->count] = (int32_t)completion;
    d->place[d->count] = pack->length[completion];
    d->logp[d->count] = logp;
    d->entropy[d->count] = entropy;
    d->count++;
    return WZ_OK;
}

wz_status wz_pack_add_lesson(wz_pack *pack, int64_t completion, int32_t site, uint32_t mask, wz_error *err)
{
    wz_lessons *l = &pack->lessons;
    void **columns[3] = {(void **)&l->site, (void **)&l->mask, (void **)&l->completion};
    wz_status status = grow_columns(columns, 3, &l->capacity, l->count + 1, err);
    if (status != WZ_OK)
        return status;
    l->site[l->count] = site;
    l->mask[l->count] = mask;
    l->completion[l->count] = (int32_t)completion;
    l->count++;
    return WZ_OK;
}

wz_status wz_pack_teach(wz_pack *pack, int64_t completion, wz_error *err)
{
    wz_status status = WZ_OK;
    for (int64_t i = 0; status == WZ_OK && i < pack->length[completion]; i++) {
        const uint32_t set = pack->masks[completion * pack->completion_stride + i];
        if (set != 0)
            status = wz_pack_add_lesson(pack, completion, wz_pack_site(pack, completion, i), set, err);
    }
    return status;
}

int32_t wz_pack_site(const wz_pack *pack, int64_t completion, int64_t place)
{
    const int64_t group = completion / pack->generations;
    const int32_t row = place == 0 ? pack->prompt_start[group] + pack->prompt_length[group] - 1
                                   : pack->completion_rows[completion * pack->completion_stride + place - 1];
    return pack->row_site[row];
}

static wz_status allocate_groups(int64_t groups, int64_t entries, wz_groups *out, wz_error *err)
{
    void *block = NULL;
    memset(out, 0, sizeof *out);
    wz_status status = wz_alloc(&block, (size_t)groups + 1, sizeof(int64_t), "group lists", err);
    if (status != WZ_OK)
        return status;
    out->offset = block;
    status = wz_alloc(&block, (size_t)entries, sizeof(int32_t), "group lists", err);
    if (status != WZ_OK) {
        wz_groups_clear(out);
        return status;
    }
    out->index = block;
    out->view = (wz_row_groups){groups, out->offset, out->index};
    return WZ_OK;
}

wz_status wz_pack_row_groups(const wz_pack *pack, wz_groups *out, wz_error *err)
{
    wz_status status = allocate_groups(pack->groups, pack->segments.rows, out, err);
    for (int64_t g = 0; status == WZ_OK && g < pack->groups; g++) {
        memcpy(out->index + out->offset[g], pack->group_rows + g * pack->segments.group_stride,
               (size_t)pack->group_length[g] * sizeof(int32_t));
        out->offset[g + 1] = out->offset[g] + pack->group_length[g];
    }
    return status;
}

wz_status wz_pack_site_groups(const wz_pack *pack, wz_groups *out, wz_error *err)
{
    wz_status status = allocate_groups(pack->groups, pack->segments.sites, out, err);
    for (int64_t g = 0; status == WZ_OK && g < pack->groups; g++) {
        const int32_t *rows = pack->group_rows + g * pack->segments.group_stride;
        out->offset[g + 1] = out->offset[g];
        for (int64_t i = 0; i < pack->group_length[g]; i++)
            if (pack->row_site[rows[i]] >= 0)
                out->index[out->offset[g + 1]++] = pack->row_site[rows[i]];
    }
    return status;
}

wz_status wz_pack_entry_groups(const wz_pack *pack, const int32_t *completion, int64_t count, wz_groups *out,
                               wz_error *err)
{
    wz_status status = allocate_groups(pack->groups, count, out, err);
    if (status != WZ_OK)
        return status;
    /* counting sort by group, stable */
    for (int64_t i = 0; i < count; i++)
        out->offset[completion[i] / pack->generations + 1]++;
    for (int64_t g = 0; g < pack->groups; g++)
        out->offset[g + 1] += out->offset[g];
    for (int64_t i = 0; i < count; i++)
        out->index[out->offset[completion[i] / pack->generations]++] = (int32_t)i;
    for (int64_t g = pack->groups; g > 0; g--)
        out->offset[g] = out->offset[g - 1];
    out->offset[0] = 0;
    return WZ_OK;
}

void wz_groups_clear(wz_groups *groups)
{
    free(groups->offset);
    free(groups->index);
    memset(groups, 0, sizeof *groups);
}
