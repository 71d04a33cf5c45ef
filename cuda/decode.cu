/* A pack's decoding on the device: memory, tables, results. */
#include <stdlib.h>
#include <string.h>

#include "cuda/decode.h"

/* Cuts a block into arrays, or only counts while base is NULL. */
typedef struct decode_cutter {
    char *base;
    size_t bytes;
} decode_cutter;

template <typename T> static void cut(decode_cutter *cutter, T **out, int64_t count)
{
    const size_t at = place(&cutter->bytes, (size_t)count * sizeof(T));
    *out = cutter->base != NULL ? (T *)(cutter->base + at) : NULL;
}

/* What the host fills for each pack; returns its bytes. */
static size_t lay_out_given(decode_cutter *cutter, const decode_room *room, decode_memory *out)
{
    cut(cutter, &out->settings, 1);
    cut(cutter, &out->counts, 1);
    cut(cutter, &out->prompt_start, room->groups);
    cut(cutter, &out->prompt_length, room->groups);
    cut(cutter, &out->start, room->groups);
    cut(cutter, &out->problem, room->groups);
    return cutter->bytes;
}

static size_t lay_out(char *base, const decode_room *room, decode_memory *out)
{
    decode_cutter cutter = {base, 0};
    *out = decode_memory{};
    (void)lay_out_given(&cutter, room, out);
    out->longest = room->longest;
    cut(&cutter, &out->places, room->completions);
    cut(&cutter, &out->first_row, room->completions + 1);
    cut(&cutter, &out->tokens, room->completions * room->longest);
    cut(&cutter, &out->completion_rows, room->completions * room->longest);
    cut(&cutter, &out->token, room->step_rows);
    cut(&cutter, &out->position, room->step_rows);
    cut(&cutter, &out->site, room->completions);
    cut(&cutter, &out->attention_rows, room->step_rows);
    cut(&cutter, &out->items, room->items);
    cut(&cutter, &out->entries, room->completions);
    cut(&cutter, &out->values, room->completions);
    cut(&cutter, &out->record, room->recorded);
    return cutter.bytes;
}

static bool grow_to(int64_t *room, int64_t need)
{
    if (*room >= need)
        return false;
    *room = need;
    return true;
}

/* Room for this; unused parts of a step are zero or what an earlier step left: valid indices, always. */
static bool make_room(cuda_backend *cuda, const decode_room *need)
{
    cuda_decode *decode = cuda->decode;
    decode_room *room = &decode->room;
    bool grows = grow_to(&room->groups, need->groups);
    grows = grow_to(&room->completions, need->completions) || grows;
    grows = grow_to(&room->longest, need->longest) || grows;
    grows = grow_to(&room->recorded, need->recorded) || grows;
    grows = grow_to(&room->step_rows, need->step_rows) || grows;
    grows = grow_to(&room->items, need->items) || grows;
    if (!grows)
        return true;
    decode_memory unused;
    const size_t bytes = lay_out(NULL, room, &unused);
    if (!cuda_grow(cuda, &decode->block, bytes, "decoding")) {
        *room = decode_room{};
        return false;
    }
    (void)lay_out((char *)decode->block.data, room, &decode->memory);
    return CUDA_CHECK(cuda, cudaMemsetAsync(decode->block.data, 0, bytes, cuda->stream), "decoding");
}

static decode_room room_of(int64_t groups, int64_t completions, int64_t longest, int64_t steps,
                           int64_t step_rows, int64_t items_of_group)
{
    return decode_room{groups, completions, longest, steps * completions, step_rows, groups * items_of_group};
}

static bool copy_table(cuda_backend *cuda, decode_cutter *cutter, const void *from, size_t bytes,
                       const void **to)
{
    char *place = NULL;
    cut(cutter, &place, (int64_t)bytes);
    *to = place;
    return place == NULL || bytes == 0 ||
           CUDA_CHECK(cuda, cudaMemcpyAsync(place, from, bytes, cudaMemcpyHostToDevice, cuda->stream),
                      "decoding: what may follow");
}

static bool copy_tables(cuda_backend *cuda, const wz_decode_paths *p, decode_cutter *cutter,
                        decode_tables *out)
{
    const size_t edges = (size_t)p->edges, word = sizeof(int32_t);
    return copy_table(cuda, cutter, p->first, ((size_t)p->choices + 1) * word, (const void **)&out->first) &&
           copy_table(cuda, cutter, p->run, (edges + 1) * word, (const void **)&out->run) &&
           copy_table(cuda, cutter, p->next, edges * word, (const void **)&out->next) &&
           copy_table(cuda, cutter, p->token, edges * word, (const void **)&out->token) &&
           copy_table(cuda, cutter, p->forced, (size_t)p->run[edges] * word, (const void **)&out->forced);
}

/* The paths' tables, unless they are there already. */
static bool give_tables(cuda_backend *cuda, const wz_decode_paths *paths)
{
    cuda_decode *decode = cuda->decode;
    if (paths->choices == 0 || strcmp(decode->tables_digest, paths->digest) == 0)
        return true;
    decode_cutter cutter = {NULL, 0};
    decode->tables_digest[0] = '\0';
    if (!copy_tables(cuda, paths, &cutter, &decode->tables) ||
        !cuda_grow(cuda, &decode->table_block, cutter.bytes, "decoding: what may follow"))
        return false;
    cutter = decode_cutter{(char *)decode->table_block.data, 0};
    if (!copy_tables(cuda, paths, &cutter, &decode->tables))
        return false;
    memcpy(decode->tables_digest, paths->digest, sizeof decode->tables_digest);
    return true;
}

static decode_settings settings_of(const wz_decode *d)
{
    decode_settings s = {};
    s.seed = d->key.seed;
    s.rollout_step = d->key.step;
    s.purpose = d->key.purpose;
    s.end_token_count = (int32_t)d->end_token_count;
    for (size_t i = 0; i < d->end_token_count; i++)
        s.end_tokens[i] = d->end_tokens[i];
    s.groups = (int32_t)d->segments->groups;
    s.generations = (int32_t)d->generations;
    s.completions = (int32_t)(d->segments->groups * d->generations);
    s.prompt_rows = (int32_t)d->prompt_rows;
    s.longest = (int32_t)d->longest;
    s.lessons = (int32_t)d->lessons;
    s.vocab = (int32_t)d->vocab;
    s.largest = d->paths->largest;
    s.chooses = d->paths->choices > 0;
    return s;
}

/* The pack's settings and prompts; completions stand at their beginning. */
static bool give_pack(cuda_backend *cuda, const wz_decode *d)
{
    cuda_decode *decode = cuda->decode;
    const size_t groups = (size_t)d->segments->groups * sizeof(int32_t);
    void *block = NULL;
    wz_error err = {{0}};
    decode_memory given;
    decode_cutter counter = {NULL, 0};
    const size_t bytes = lay_out_given(&counter, &decode->room, &given);
    const wz_status status = wz_alloc(&block, 1, bytes, "decoding", &err);
    if (status != WZ_OK) {
        cuda_fail(cuda, status, &err);
        return false;
    }
    decode_cutter cutter = {(char *)block, 0};
    (void)lay_out_given(&cutter, &decode->room, &given);
    *given.settings = settings_of(d);
    *given.counts = decode_counts{0, (int32_t)d->prompt_rows, 0, 0, 0};
    memcpy(given.prompt_start, d->segments->prompt_start, groups);
    memcpy(given.prompt_length, d->segments->prompt_length, groups);
    memcpy(given.problem, d->problem, groups);
    if (d->start != NULL)
        memcpy(given.start, d->start, groups);
    const bool sent = cuda_send(cuda, decode->block.data, block, bytes, "decoding");
    free(block);
    return sent &&
           CUDA_CHECK(cuda,
                      cudaMemsetAsync(decode->memory.places, 0,
                                      (size_t)decode->pack.completions * sizeof(decode_place), cuda->stream),
                      "decoding");
}

static wz_status make_decode(cuda_backend *cuda, wz_error *err)
{
    void *block = NULL;
    if (cuda->decode != NULL)
        return WZ_OK;
    const wz_status status = wz_alloc(&block, 1, sizeof(cuda_decode), "decoding", err);
    cuda->decode = (cuda_decode *)block;
    return status;
}

static decode_room room_within(const wz_op_bounds *b)
{
    return room_of(b->groups, b->completions, b->decode.longest, b->decode.steps, b->decode.step_rows,
                   item_slots(b->decode.group_rows, cuda_item_rows(&b->attention, FEW_WARPS)));
}

size_t decode_given_bytes(const wz_op_bounds *bounds)
{
    const decode_room room = room_within(bounds);
    decode_cutter counter = {NULL, 0};
    decode_memory unused;
    return lay_out_given(&counter, &room, &unused);
}

/* Words of the tables' arrays; each may end with an unused part. */
static size_t table_bytes(const wz_decode_bounds *b)
{
    return b->choices == 0
               ? 0
               : (size_t)(b->choices + 3 * b->edges + b->forced + 2) * sizeof(int32_t) + (size_t)5 * 256;
}

size_t cuda_decode_bytes(const wz_op_bounds *bounds)
{
    decode_memory unused;
    if (bounds->decode.steps == 0)
        return 0;
    const decode_room room = room_within(bounds);
    return lay_out(NULL, &room, &unused) + table_bytes(&bounds->decode);
}

size_t cuda_decode_taken(const cuda_backend *cuda)
{
    return cuda->decode == NULL ? 0 : cuda->decode->block.bytes + cuda->decode->table_block.bytes;
}

wz_status cuda_decode_reserve(cuda_backend *cuda, const wz_op_bounds *bounds, wz_error *err)
{
    if (bounds->decode.steps == 0)
        return WZ_OK;
    const decode_room room = room_within(bounds);
    const wz_status status = make_decode(cuda, err);
    if (status == WZ_OK && make_room(cuda, &room))
        (void)cuda_grow(cuda, &cuda->decode->table_block, table_bytes(&bounds->decode),
                        "decoding: what may follow");
    return status;
}

static wz_status decode_begin(wz_backend *backend, const wz_decode *d, wz_decode_view *view, wz_error *err)
{
    cuda_backend *cuda = cuda_of(backend);
    const wz_status status = make_decode(cuda, err);
    if (status != WZ_OK)
        return status;
    cuda_decode *decode = cuda->decode;
    decode->pack = decode_pack{
        d->segments->groups,
        d->segments->groups * d->generations,
        d->paths->largest,
        d->paths->choices > 0,
        cuda_item_rows(&d->attention, FEW_WARPS),
        draw_rule{inverse_temperature(d->sampling.temperature), !(d->sampling.temperature > 0.0f)}};
    const decode_room room = room_of(decode->pack.groups, decode->pack.completions, d->longest, d->steps,
                                     d->step_rows, item_slots(d->group_rows, decode->pack.item_rows));
    if (!make_room(cuda, &room) || !give_tables(cuda, d->paths) || !give_pack(cuda, d))
        return backend->ops->sync(backend, err);
    const decode_memory *m = &decode->memory;
    *view = wz_decode_view{m->token, m->position, m->site};
    return WZ_OK;
}

static wz_status fetch_counts(wz_backend *backend, decode_counts *out, wz_error *err)
{
    cuda_backend *cuda = cuda_of(backend);
    *out = decode_counts{};
    (void)cuda_fetch(cuda, out, cuda->decode->memory.counts, sizeof *out, "decoding");
    return backend->ops->sync(backend, err);
}

static wz_status decode_alive(wz_backend *backend, int64_t *count, wz_error *err)
{
    decode_counts counts;
    const wz_status status = fetch_counts(backend, &counts, err);
    *count = counts.requests;
    return status;
}

static wz_status decode_results(wz_backend *backend, wz_sample_result *result, int64_t *rows, wz_error *err)
{
    cuda_backend *cuda = cuda_of(backend);
    decode_counts counts;
    const wz_status status = fetch_counts(backend, &counts, err);
    if (status != WZ_OK)
        return status;
    if (counts.rows_left_over != 0)
        return wz_fail(err, WZ_ERR_RUNTIME, "decoding: %d rows more than a step has room for",
                       (int)counts.rows_left_over);
    *rows = counts.base + counts.rows;
    const int64_t recorded = counts.step > 0 ? (counts.step - 1) * cuda->decode->pack.completions : 0;
    if (recorded > 0)
        (void)cuda_fetch(cuda, result, cuda->decode->memory.record, (size_t)recorded * sizeof *result,
                         "decoding");
    return backend->ops->sync(backend, err);
}

bool cuda_decode_holds(const cuda_backend *cuda, const void *place)
{
    const char *at = (const char *)place;
    const cuda_decode *decode = cuda->decode;
    return decode != NULL && decode->block.data != NULL && at >= (const char *)decode->block.data &&
           at < (const char *)decode->block.data + decode->block.bytes;
}

void cuda_decode_destroy(cuda_backend *cuda)
{
    if (cuda->decode == NULL)
        return;
    decode_drop_graphs(cuda);
    (void)cudaFree(cuda->decode->block.data);
    (void)cudaFree(cuda->decode->table_block.data);
    free(cuda->decode);
}

const wz_decode_ops *cuda_decode_table(void)
{
    static const wz_decode_ops ops = {decode_begin,  decode_run,   decode_forget,
                                      decode_rows,   decode_store, decode_attention,
                                      decode_sample, decode_alive, decode_results};
    return &ops;
}
