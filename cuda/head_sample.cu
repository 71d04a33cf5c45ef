/* Head sample: the same logits as head score, then Gumbel-max (temperature 0: argmax).
 *
 * Small sets: a warp has a request. The whole vocabulary: tiles and chunks, as in head_vocab.cu. With top-k, top-p or min-p
 * the logits of a batch of requests are kept, at most as many as a tile and a chunk have (one request may have more); the
 * kept set is chosen, and from there on it is a small set, so that scoring the recorded set later repeats the
 * arithmetic. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/head_sample.h"

#define BATCH_PAIRS ((int64_t)TILE_ROWS * CHUNK)

/* The caller's arrays, and the host's own. */
typedef struct sample_call {
    cuda_backend *cuda;
    wz_sample_result *result;
    uint32_t *kept_tokens;
    int64_t kept_stride;
    wz_tensor hidden, head, working_head; /* working_head: as products over the whole vocabulary read it */
    const wz_sampling *sampling;
    const wz_mask_table *masks;
    const wz_sample_request *request;
    draw_rule rule;
    bool cuts;
    void *block;
    sample_entry *small, *whole; /* requests by kind */
    int64_t smalls, wholes;
    sample_entry *kept; /* of one batch, as are all below */
    sample_cut *cut;
    sample_value *values;
    uint32_t *tokens;
} sample_call;

/* Elements from row to row of the logits that cuts over the whole vocabulary are made on: rows begin on 16 bytes. */
static int64_t logits_stride(int64_t vocab)
{
    return (vocab + 3) / 4 * 4;
}

/* Requests over the whole vocabulary whose logits are kept at once. */
static int64_t whole_rows(int64_t vocab)
{
    const int64_t rows = BATCH_PAIRS / logits_stride(vocab);
    return rows < 1 ? 1 : rows < TILE_ROWS ? rows : TILE_ROWS;
}

/* The most pairs of a batch. */
static int64_t pairs_room(const sample_call *c, int64_t requests)
{
    int64_t all = 0, most = BATCH_PAIRS;
    for (int64_t i = 0; i < requests; i++) {
        const int64_t pairs = c->request[i].mask != 0 ? set_size(c->masks, c->request[i].mask)
                              : c->cuts               ? logits_stride(c->head.rows)
                                                      : 0;
        all += pairs;
        most = pairs > most ? pairs : most;
    }
    return all < most ? all : most;
}

static wz_status make_lists(sample_call *c, int64_t requests, wz_error *err)
{
    const size_t each = 2 * sizeof(sample_entry) + sizeof(sample_cut) + sizeof(sample_value);
    const wz_status status =
        wz_alloc(&c->block, (size_t)requests * each + (size_t)pairs_room(c, requests) * sizeof(uint32_t), 1,
                 "head sample", err);
    if (status != WZ_OK)
        return status;
    c->small = (sample_entry *)c->block;
    c->kept = c->small + requests;
    c->cut = (sample_cut *)(c->kept + requests);
    c->values = (sample_value *)(c->cut + requests);
    c->tokens = (uint32_t *)(c->values + requests);
    for (int64_t i = 0; i < requests; i++)
        c->smalls += c->request[i].mask != 0;
    c->whole = c->small + c->smalls;
    sample_entry *small = c->small;
    for (int64_t i = 0; i < requests; i++) {
        const wz_sample_request *request = &c->request[i];
        const bool whole = request->mask == 0;
        const int64_t count = whole ? c->head.rows : set_size(c->masks, request->mask);
        *(whole ? &c->whole[c->wholes++] : small++) =
            sample_entry{request->key, request->row, 0, 0, (int32_t)count, (int32_t)i};
    }
    return WZ_OK;
}

/* A batch's memory on the device. */
typedef struct batch_memory {
    float *logits;        /* [pairs] */
    uint32_t *kept;       /* [pairs] */
    wz_tensor hidden;     /* [rows][width] */
    sample_state *states; /* [rows] */
    sample_cut *cuts;     /* [rows] */
    sample_value *values; /* [rows] */
} batch_memory;

typedef struct memory_places {
    size_t logits, kept, hidden, states, cuts, values, end;
} memory_places;

static memory_places places_of(int64_t rows, int64_t pairs, int64_t width, wz_dtype type)
{
    const size_t n = (size_t)rows, p = (size_t)pairs;
    memory_places at = {};
    at.logits = place(&at.end, p * sizeof(float));
    at.kept = place(&at.end, p * sizeof(uint32_t));
    at.hidden = place(&at.end, n * (size_t)width * wz_type_bytes(type));
    at.states = place(&at.end, n * sizeof(sample_state));
    at.cuts = place(&at.end, n * sizeof(sample_cut));
    at.values = place(&at.end, n * sizeof(sample_value));
    return at;
}

static bool make_memory(const sample_call *c, int64_t rows, int64_t pairs, batch_memory *out)
{
    const int64_t width = c->hidden.columns;
    const wz_dtype type = c->cuda->base.working_type;
    const memory_places at = places_of(rows, pairs, width, type);
    char *base = (char *)cuda_scratch(c->cuda, at.end, "head sample");
    if (base == NULL)
        return false;
    *out = batch_memory{(float *)(base + at.logits),
                        (uint32_t *)(base + at.kept),
                        {base + at.hidden, rows, width, width, type},
                        (sample_state *)(base + at.states),
                        (sample_cut *)(base + at.cuts),
                        (sample_value *)(base + at.values)};
    return true;
}

static size_t batch_room(int64_t rows, int64_t pairs)
{
    return (size_t)rows * 2 * sizeof(sample_entry) + (size_t)pairs * sizeof(uint32_t) + 3 * 256;
}

int64_t cuda_head_chunk(const wz_op_bounds *b)
{
    return b->whole || b->table > 0 ? CHUNK : 0;
}

int64_t cuda_head_stride(const wz_op_bounds *b)
{
    const int64_t stride = b->whole && b->cuts ? logits_stride(b->vocab) : 0, chunk = cuda_head_chunk(b);
    return stride > chunk ? stride : chunk;
}

cuda_need cuda_head_sample_need(const wz_op_bounds *b, wz_dtype type)
{
    const int64_t most = b->set > BATCH_PAIRS ? b->set : BATCH_PAIRS, all = b->requests * b->set,
                  pairs = all < most ? all : most, tile = b->requests < TILE_ROWS ? b->requests : TILE_ROWS,
                  cut = b->requests < whole_rows(b->vocab) ? b->requests : whole_rows(b->vocab);
    const size_t bytes[] = {places_of(b->requests, pairs, b->hidden, type).end,
                            b->whole ? places_of(cut, cut * logits_stride(b->vocab), b->hidden, type).end
                                     : 0, /* with cuts */
                            b->whole ? places_of(tile, tile * CHUNK, b->hidden, type).end : 0};
    cuda_need need = {0, batch_room(b->requests, pairs)};
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++)
        need.scratch = bytes[i] > need.scratch ? bytes[i] : need.scratch;
    return need;
}

/* A batch's lists on the device, with room for another list of entries. */
static bool stage_batch(const sample_call *c, const sample_entry *entries, const uint32_t *tokens,
                        sample_batch *b)
{
    const int64_t pairs = tokens != NULL ? b->pairs : 0;
    cuda_piece piece[] = {{entries, (size_t)b->rows * sizeof *entries, NULL},
                          {tokens, (size_t)pairs * sizeof *tokens, NULL}};
    if (!cuda_stage_room(c->cuda, batch_room(b->rows, pairs), "head sample") ||
        !cuda_stage_pieces(c->cuda, piece, 2, "head sample"))
        return false;
    b->entries = (const sample_entry *)piece[0].device;
    b->tokens = (const uint32_t *)piece[1].device;
    return true;
}

/* Copies values to the caller's results. */
static bool fetch(const sample_call *c, const sample_value *values, const sample_entry *entries, int64_t rows)
{
    if (!CUDA_LAUNCHED(c->cuda, "head sample", rows, c->head.rows) ||
        !cuda_fetch(c->cuda, c->values, values, (size_t)rows * sizeof *values, "head sample"))
        return false;
    for (int64_t i = 0; i < rows; i++)
        if (entries[i].count > 0)
            c->result[entries[i].number] = wz_sample_result{c->values[i].token, c->values[i].logp,
                                                            c->values[i].entropy, (uint32_t)entries[i].count};
    return true;
}

/* Samples from the batch's pairs; entries: the host's. */
static bool draw(const sample_call *c, const batch_memory *m, const sample_batch *b,
                 const sample_entry *entries)
{
    draw_sets(c->cuda, m->values, b, c->hidden, c->head, &c->rule);
    return fetch(c, m->values, entries, b->rows);
}

/* Cuts the batch, whose logits are known, and samples from what is left. An entry over the whole vocabulary that loses
 * nothing is not sampled: its arithmetic is that of the whole vocabulary. c->kept then counts 0 for it. */
static bool cut_and_draw(const sample_call *c, const batch_memory *m, const sample_batch *b,
                         const sample_entry *entries)
{
    int64_t pairs = 0;
    if (!find_cuts(c->cuda, m->cuts, b, c->sampling) ||
        !cuda_fetch(c->cuda, c->cut, m->cuts, (size_t)b->rows * sizeof *c->cut, "head sample"))
        return false;
    for (int64_t i = 0; i < b->rows; i++) {
        const bool nothing_lost = b->tokens == NULL && c->cut[i].kept == entries[i].count;
        c->kept[i] = entries[i];
        c->kept[i].set = c->kept[i].first = (int32_t)pairs;
        c->kept[i].count = nothing_lost ? 0 : c->cut[i].kept;
        pairs += c->kept[i].count;
    }
    const sample_batch left = {b->rows, pairs, cuda_stage(c->cuda, c->kept, b->rows, "head sample"), m->kept,
                               m->logits};
    if (left.entries == NULL || !take_kept(c->cuda, m->kept, left.entries, m->cuts, b) ||
        !cuda_fetch(c->cuda, c->tokens, m->kept, (size_t)pairs * sizeof(uint32_t), "head sample"))
        return false;
    for (int64_t i = 0; i < b->rows; i++)
        if (c->kept[i].count < entries[i].count)
            memcpy(c->kept_tokens + entries[i].number * c->kept_stride, c->tokens + c->kept[i].first,
                   (size_t)c->kept[i].count * sizeof(uint32_t));
    return draw(c, m, &left, c->kept);
}

/* The next batch of small sets: lays out its pairs. */
static sample_batch next_batch(const sample_call *c, int64_t first)
{
    sample_batch b = {};
    for (; first + b.rows < c->smalls; b.rows++) {
        sample_entry *e = &c->small[first + b.rows];
        if (b.rows > 0 && b.pairs + e->count > BATCH_PAIRS)
            break;
        e->set = e->first = (int32_t)b.pairs;
        memcpy(c->tokens + b.pairs, c->masks->tokens + c->masks->offset[c->request[e->number].mask],
               (size_t)e->count * sizeof(uint32_t));
        b.pairs += e->count;
    }
    return b;
}

static bool sample_small(const sample_call *c)
{
    batch_memory m;
    for (int64_t first = 0; first < c->smalls;) {
        sample_batch b = next_batch(c, first);
        const sample_entry *entries = c->small + first;
        if (!make_memory(c, b.rows, b.pairs, &m) || !stage_batch(c, entries, c->tokens, &b))
            return false;
        b.logits = m.logits;
        if (c->cuts)
            gather_batch(c->cuda, &b, c->hidden, c->head);
        if (!(c->cuts ? cut_and_draw(c, &m, &b, entries) : draw(c, &m, &b, entries)))
            return false;
        first += b.rows;
    }
    return true;
}

/* Leaves in c->whole the requests that lose nothing. */
static bool cut_whole(sample_call *c)
{
    const int64_t count = c->wholes, stride = logits_stride(c->head.rows), most = whole_rows(c->head.rows);
    batch_memory m;
    c->wholes = 0;
    for (int64_t first = 0; first < count; first += most) {
        const int64_t left = count - first, rows = left < most ? left : most;
        sample_entry *entries = c->whole + first;
        sample_batch b = {rows, rows * stride, NULL, NULL, NULL};
        for (int64_t r = 0; r < rows; r++)
            entries[r].first = (int32_t)(r * stride);
        if (!make_memory(c, b.rows, b.pairs, &m) || !stage_batch(c, entries, NULL, &b))
            return false;
        b.logits = m.logits;
        gather_tile(c->cuda, m.hidden, c->hidden, b.entries);
        head_logits(c->cuda, m.logits, stride, m.hidden, c->working_head, 0, c->head.rows);
        if (!cut_and_draw(c, &m, &b, entries))
            return false;
        for (int64_t r = 0; r < rows; r++)
            if (c->kept[r].count == 0)
                c->whole[c->wholes++] = entries[r];
    }
    return true;
}

static bool sample_whole(const sample_call *c)
{
    batch_memory m;
    for (int64_t first = 0; first < c->wholes; first += TILE_ROWS) {
        const int64_t left = c->wholes - first, rows = left < TILE_ROWS ? left : TILE_ROWS;
        const sample_entry *entries = c->whole + first;
        sample_batch b = {rows, 0, NULL, NULL, NULL};
        if (!make_memory(c, rows, rows * CHUNK, &m) || !stage_batch(c, entries, NULL, &b))
            return false;
        const draw_memory memory = {m.logits, CHUNK, m.hidden, m.states};
        draw_tile(c->cuda, &memory, m.values, b.entries, c->hidden, c->working_head, &c->rule);
        if (!fetch(c, m.values, entries, rows))
            return false;
    }
    return true;
}

wz_status cuda_head_sample(wz_backend *backend, wz_sample_result *result, uint32_t *kept_tokens,
                           int64_t kept_stride, wz_tensor hidden, const wz_linear *head,
                           const wz_sample_request *request, int64_t requests, const wz_mask_table *masks,
                           const wz_sampling *sampling, wz_error *err)
{
    sample_call c = {};
    c.cuda = cuda_of(backend);
    c.result = result;
    c.kept_tokens = kept_tokens;
    c.kept_stride = kept_stride;
    c.hidden = hidden;
    c.head = head->weight;
    c.working_head = cuda_weight_for(head, backend->working_type);
    c.sampling = sampling;
    c.masks = masks;
    c.request = request;
    c.rule = draw_rule{inverse_temperature(sampling->temperature), !(sampling->temperature > 0.0f)};
    c.cuts = sampling_cuts(sampling);
    wz_status status = check_draw_keys(request, requests, err);
    if (status == WZ_OK && requests > 0)
        status = make_lists(&c, requests, err);
    if (status != WZ_OK)
        return status;
    if (sample_small(&c) && (!c.cuts || cut_whole(&c)))
        (void)sample_whole(&c);
    free(c.block);
    return backend->ops->sync(backend, err);
}
