/* What attention's kernels are told of a segment table: query rows in the order in which blocks take them, and the keys whose
 * gradients a block has. */
#include <stdlib.h>

#include "cuda/attention.h"

static const char what[] = "attention's rows";

/* Few prompts leave processors idle: then the rows that see a prompt's keys are shared out among blocks, as many as give about
 * this many blocks, with at least so many rows each. */
#define BLOCKS_WANTED 256
#define MOST_PARTS 16
#if defined(__CUDACC__)
#define LEAST_ROWS 64
#else
#define LEAST_ROWS 4 /* the emulator's packs are small */
#endif

/* Of completions: rows, the next one of the group (-1: none), and where in the list their rows begin and end. Of groups:
 * first completion (-1: none), and where their rows begin and end. */
typedef struct range_places {
    int32_t *length, *next, *begin, *end;
    int32_t *first, *group_begin, *group_end;
} range_places;

typedef struct host_lists {
    attention_row *rows;
    int32_t *rank; /* [rows] how many of the group's rows come before, listed or not */
    attention_item *items;
    attention_keys *keys;
    attention_sum *sums;
    range_places at;
} host_lists;

static int64_t most_items(int64_t rows, int64_t groups, int64_t item_rows)
{
    return rows / item_rows + groups;
}

static int64_t most_keys(int64_t rows, int64_t groups, int64_t completions)
{
    return rows / KEYS_AT_ONCE + groups + completions + BLOCKS_WANTED;
}

static int64_t parts_of_prompts(const wz_segments *s, int64_t kv_heads)
{
    int64_t blocks = 0;
    for (int64_t g = 0; g < s->groups; g++)
        blocks += (s->prompt_length[g] + KEYS_AT_ONCE - 1) / KEYS_AT_ONCE * kv_heads;
    const int64_t parts = blocks > 0 ? BLOCKS_WANTED / blocks : 1;
    return parts < 1 ? 1 : parts < MOST_PARTS ? parts : MOST_PARTS;
}

/* Completions of each group in ascending order, and their rows. */
static void find_completions(const wz_segments *s, const range_places *at)
{
    for (int64_t g = 0; g < s->groups; g++)
        at->first[g] = -1;
    for (int64_t c = 0; c < s->completions; c++)
        at->length[c] = 0;
    for (int64_t row = 0; row < s->rows; row++)
        if (s->row_completion[row] >= 0)
            at->length[s->row_completion[row]] = s->row_index[row] + 1;
    for (int64_t c = s->completions - 1; c >= 0; c--)
        if (at->length[c] > 0) {
            int32_t *first = &at->first[s->row_group[s->completion_rows[c * s->completion_stride]]];
            at->next[c] = *first;
            *first = (int32_t)c;
        }
}

static void list_row(const wz_segments *s, const attention_range *range, int64_t row, int32_t rank,
                     host_lists *host, attention_lists *out)
{
    if (row < range->row0 || row >= range->row1 || (range->at_sites && s->row_site[row] < 0))
        return;
    host->rank[out->row_count] = rank;
    attention_row *to = &host->rows[out->row_count++];
    to->row = (int32_t)row;
    to->result = range->at_sites ? s->row_site[row] : (int32_t)row;
    to->completion = s->row_completion[row];
    to->prompt = to->completion < 0 ? s->row_index[row] + 1 : s->prompt_length[s->row_group[row]];
    to->own = to->completion < 0 ? 0 : s->row_index[row] + 1;
}

/* A group's prompt, then its completions one by one, each ascending. */
static void list_group(const wz_segments *s, const attention_range *range, int64_t g, host_lists *host,
                       attention_lists *out)
{
    const range_places *at = &host->at;
    int32_t rank = 0;
    at->group_begin[g] = (int32_t)out->row_count;
    for (int64_t i = 0; i < s->prompt_length[g]; i++)
        list_row(s, range, s->prompt_start[g] + i, rank++, host, out);
    for (int64_t c = at->first[g]; c >= 0; c = at->next[c]) {
        at->begin[c] = (int32_t)out->row_count;
        for (int64_t i = 0; i < at->length[c]; i++)
            list_row(s, range, s->completion_rows[c * s->completion_stride + i], rank++, host, out);
        at->end[c] = (int32_t)out->row_count;
    }
    at->group_end[g] = (int32_t)out->row_count;
}

/* An item never has rows of two groups. */
static void cut_items(const wz_segments *s, int64_t item_rows, host_lists *host, attention_lists *out)
{
    for (int64_t g = 0; g < s->groups; g++)
        for (int32_t first = host->at.group_begin[g]; first < host->at.group_end[g];
             first += (int32_t)item_rows) {
            const int32_t left = host->at.group_end[g] - first;
            attention_item *item = &host->items[out->item_count++];
            *item =
                attention_item{first, left < item_rows ? left : (int32_t)item_rows, s->prompt_start[g], 0};
            for (int32_t i = first; i < first + item->count; i++)
                item->longest = host->rows[i].prompt > item->longest ? host->rows[i].prompt : item->longest;
        }
}

/* Rows [begin, end) of the list see some of the keys: they go to one block, or to several whose sums are added. The cut goes by
 * all of the group's rows, of which there are `all`, so that it is the same whichever are listed. */
static void share_rows(attention_keys keys, int32_t begin, int32_t end, int64_t all, int64_t most_parts,
                       host_lists *host, attention_lists *out)
{
    const int64_t rows = all - keys.base, of_rows = (rows + LEAST_ROWS - 1) / LEAST_ROWS,
                  parts = of_rows < most_parts ? of_rows : most_parts;
    keys.first = begin;
    keys.count = end - begin;
    keys.partial = -1;
    if (parts <= 1) {
        host->keys[out->keys_count++] = keys;
        return;
    }
    host->sums[out->sum_count++] =
        attention_sum{(int32_t)out->partials, (int32_t)parts, keys.start, keys.base, keys.length};
    for (int64_t i = 0; i < parts; i++) {
        keys.first = begin;
        while (begin < end && host->rank[begin] < keys.base + rows * (i + 1) / parts)
            begin++;
        keys.count = begin - keys.first;
        keys.partial = (int32_t)out->partials++;
        host->keys[out->keys_count++] = keys;
    }
}

/* The keys of a prompt (completion -1) or of a completion; rows that see keys in order of how many they see, then others that
 * see all, are [begin, end) of the list. */
static void list_keys(attention_keys keys, int32_t begin, int32_t end, int64_t all, int64_t most_parts,
                      host_lists *host, attention_lists *out)
{
    for (keys.base = 0; keys.base < keys.length; keys.base += KEYS_AT_ONCE) {
        while (begin < end &&
               (keys.completion < 0 ? host->rows[begin].prompt : host->rows[begin].own) <= keys.base)
            begin++;
        share_rows(keys, begin, end, all, most_parts, host, out);
    }
}

/* Prompts first: more rows see them, so that their blocks take longest. */
static void list_all_keys(const wz_segments *s, int64_t kv_heads, host_lists *host, attention_lists *out)
{
    const range_places *at = &host->at;
    const int64_t parts = parts_of_prompts(s, kv_heads);
    for (int64_t g = 0; g < s->groups; g++)
        list_keys(attention_keys{0, 0, s->prompt_start[g], -1, 0, s->prompt_length[g], -1},
                  at->group_begin[g], at->group_end[g], s->group_length[g], parts, host, out);
    for (int64_t c = 0; c < s->completions; c++)
        list_keys(attention_keys{0, 0, 0, (int32_t)c, 0, at->length[c], -1}, at->begin[c], at->end[c],
                  at->length[c], 1, host, out);
}

/* All lists on the host. */
static wz_status make_lists(const wz_segments *s, const attention_range *range, const wz_attention *attention,
                            void **block, host_lists *host, attention_lists *out, wz_error *err)
{
    const int64_t most = range->row1 - range->row0, c = s->completions, g = s->groups,
                  items = most_items(most, g, 1), keys = range->with_keys ? most_keys(most, g, c) : 0,
                  sums = range->with_keys ? BLOCKS_WANTED : 0,
                  per_kv = attention->heads / attention->kv_heads;
    const size_t bytes = (size_t)most * (sizeof(attention_row) + sizeof(int32_t)) +
                         (size_t)items * sizeof(attention_item) + (size_t)keys * sizeof(attention_keys) +
                         (size_t)sums * sizeof(attention_sum) + (size_t)(4 * c + 3 * g) * sizeof(int32_t);
    const wz_status status = wz_alloc(block, bytes, 1, what, err);
    if (status != WZ_OK)
        return status;
    host->rows = (attention_row *)*block;
    host->items = (attention_item *)(host->rows + most);
    host->keys = (attention_keys *)(host->items + items);
    host->sums = (attention_sum *)(host->keys + keys);
    int32_t *numbers = (int32_t *)(host->sums + sums);
    host->rank = numbers + 4 * c + 3 * g;
    host->at = range_places{numbers,         numbers + c,         numbers + 2 * c,        numbers + 3 * c,
                            numbers + 4 * c, numbers + 4 * c + g, numbers + 4 * c + 2 * g};
    find_completions(s, &host->at);
    for (int64_t i = 0; i < g; i++)
        list_group(s, range, i, host, out);
    out->warps = range->with_keys || out->row_count * per_kv > 2 * SIDE * g ? MANY_WARPS : FEW_WARPS;
    cut_items(s, cuda_item_rows(attention, out->warps), host, out);
    if (range->with_keys)
        list_all_keys(s, attention->kv_heads, host, out);
    return WZ_OK;
}

/* Of the lists; completions' rows are a source. */
static size_t room_for(int64_t rows, int64_t items, int64_t keys, int64_t sums)
{
    return cuda_whole_steps((size_t)rows * sizeof(attention_row)) +
           cuda_whole_steps((size_t)items * sizeof(attention_item)) +
           cuda_whole_steps((size_t)keys * sizeof(attention_keys)) +
           cuda_whole_steps((size_t)sums * sizeof(attention_sum));
}

/* What the lists are made from; and what that takes of the ring. */
static cuda_recipe recipe_of(const wz_segments *s, const attention_range *range,
                             const wz_attention *attention)
{
    const size_t word = sizeof(int32_t), rows = (size_t)s->rows * word, groups = (size_t)s->groups * word;
    return cuda_recipe{CUDA_ATTENTION,
                       {s->rows, s->groups, s->completions, s->completion_stride, range->row0, range->row1,
                        range->at_sites, range->with_keys, attention->heads, attention->kv_heads},
                       {{s->row_group, rows},
                        {s->row_completion, rows},
                        {s->row_index, rows},
                        {s->row_site, range->at_sites ? rows : 0},
                        {s->prompt_start, groups},
                        {s->prompt_length, groups},
                        {s->group_length, range->with_keys ? groups : 0},
                        {s->completion_rows, (size_t)(s->completions * s->completion_stride) * word}}};
}

static size_t sources_room(int64_t rows, int64_t groups, int64_t own)
{
    const size_t word = sizeof(int32_t);
    return 4 * cuda_whole_steps((size_t)rows * word) + 3 * cuda_whole_steps((size_t)groups * word) +
           cuda_whole_steps((size_t)own * word);
}

static bool stage_lists(cuda_backend *cuda, const wz_segments *s, const host_lists *host,
                        attention_lists *out)
{
    const int64_t own = s->completions * s->completion_stride;
    cuda_piece piece[] = {{host->rows, (size_t)out->row_count * sizeof(attention_row), NULL},
                          {host->items, (size_t)out->item_count * sizeof(attention_item), NULL},
                          {host->keys, (size_t)out->keys_count * sizeof(attention_keys), NULL},
                          {host->sums, (size_t)out->sum_count * sizeof(attention_sum), NULL}};
    const size_t room = room_for(out->row_count, out->item_count, out->keys_count, out->sum_count) +
                        cuda_whole_steps((size_t)own * sizeof(int32_t));
    if (!cuda_stage_room(cuda, room, what) || !cuda_stage_pieces(cuda, piece, 4, what))
        return false;
    out->rows = (const attention_row *)piece[0].device;
    out->items = (const attention_item *)piece[1].device;
    out->keys = (const attention_keys *)piece[2].device;
    out->sums = (const attention_sum *)piece[3].device;
    out->completion_rows = cuda_stage(cuda, s->completion_rows, own, what);
    return own == 0 || out->completion_rows != NULL;
}

/* Once for all layers of a pass. */
bool cuda_attention_lists(cuda_backend *cuda, const wz_segments *s, const attention_range *range,
                          const wz_attention *attention, attention_lists *out)
{
    return cuda_once(cuda, recipe_of(s, range, attention), out, [&] {
        void *block = NULL;
        host_lists host;
        wz_error err = {{0}};
        *out = attention_lists{};
        out->stride = s->completion_stride;
        const wz_status status = make_lists(s, range, attention, &block, &host, out, &err);
        if (status != WZ_OK)
            cuda_fail(cuda, status, &err);
        const bool ok = status == WZ_OK && stage_lists(cuda, s, &host, out);
        free(block);
        return ok;
    });
}

cuda_need cuda_attention_need(const wz_op_bounds *b)
{
    if (b->attention.kv_heads == 0)
        return cuda_need{0, 0};
    const int64_t items = most_items(b->rows, b->groups, cuda_item_rows(&b->attention, FEW_WARPS)),
                  keys = most_keys(b->rows, b->groups, b->completions);
    return cuda_need{
        cuda_attention_backward_bytes(&b->attention, b->rows, BLOCKS_WANTED / b->attention.kv_heads),
        room_for(b->rows, items, keys, BLOCKS_WANTED) +
            sources_room(b->rows, b->groups, b->completions * b->completion_stride)};
}
