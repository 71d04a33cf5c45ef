/* One decode step: which rows it has, their attention, and a token for each completion. */
#include "cuda/decode.h"

#define ADVANCE_THREADS 256

/* The sum of what the threads before this one have, and of all. */
static __device__ int32_t sum_before(int32_t mine, int32_t *all)
{
    WZ_SHARED(int32_t, warp_sums, ADVANCE_THREADS / WZ_WARP);
    const int lane = (int)threadIdx.x % WZ_WARP, warp = (int)threadIdx.x / WZ_WARP;
    int32_t sum = mine, before = 0, total = 0;
    for (int lanes = 1; lanes < WZ_WARP; lanes *= 2) {
        const int32_t other = __shfl_up_sync(WZ_ALL_LANES, sum, (unsigned)lanes);
        sum += lane >= lanes ? other : 0;
    }
    if (lane == WZ_WARP - 1)
        warp_sums[warp] = sum;
    __syncthreads();
    for (int w = 0; w < ADVANCE_THREADS / WZ_WARP; w++) {
        before += w < warp ? warp_sums[w] : 0;
        total += warp_sums[w];
    }
    __syncthreads(); /* before the next call writes */
    *all = total;
    return before + sum - mine;
}

static __device__ bool ends(const decode_settings &s, uint32_t token)
{
    for (int i = 0; i < s.end_token_count; i++)
        if (s.end_tokens[i] == token)
            return true;
    return false;
}

/* The edge of a choice that takes a token, which is one of its. */
static __device__ int32_t edge_of(const decode_tables &t, int32_t choice, uint32_t token)
{
    int32_t low = t.first[choice], high = t.first[choice + 1] - 1;
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (t.token[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Takes in the token drawn for a completion, then those forced after it; returns where it stands. */
static __device__ decode_place follow(const decode_memory &m, const decode_tables &t,
                                      const decode_settings &s, int32_t step, int64_t c)
{
    decode_place at = m.places[c];
    uint32_t *tokens = m.tokens + c * m.longest;
    bool ended = false;
    int32_t edge = s.chooses ? m.start[c / s.generations] : 0;
    if (at.choice == DECODE_ENDED)
        return at;
    if (step > 0) {
        const sample_value drawn = m.values[at.request];
        m.record[(int64_t)(step - 1) * s.completions + c] =
            wz_sample_result{drawn.token, drawn.logp, drawn.entropy, 0};
        tokens[at.length++] = drawn.token;
        ended = !s.chooses && ends(s, drawn.token);
        edge = s.chooses ? edge_of(t, at.choice, drawn.token) : 0;
    }
    if (s.chooses) {
        int32_t i = t.run[edge];
        const int32_t end = t.run[edge + 1];
        while (i < end && at.length < s.longest)
            tokens[at.length++] = t.forced[i++];
        at.choice = i < end ? DECODE_ENDED : t.next[edge];
    }
    if (ended || at.length >= s.longest)
        at.choice = DECODE_ENDED;
    return at;
}

/* Tokens of a completion that must be rows. */
static __device__ int32_t rows_needed(const decode_place &at, const decode_settings &s, int64_t c)
{
    const int32_t last = c % s.generations < s.lessons ? at.length - 1 : 0;
    const int32_t need = at.choice != DECODE_ENDED ? at.length : last;
    return need > at.rows ? need : at.rows;
}

/* Lays out token `index` of a completion as row `r` of the step. */
static __device__ void lay_out_row(const decode_memory &m, int64_t c, int32_t index, int32_t r, int32_t base,
                                   int32_t prompt)
{
    m.token[r] = (int32_t)m.tokens[c * m.longest + index];
    m.position[r] = prompt + index;
    m.completion_rows[c * m.longest + index] = base + r;
    m.attention_rows[r] = attention_row{base + r, r, prompt, index + 1, (int32_t)c};
}

/* Asks for a completion's next token. */
static __device__ void lay_out_request(const decode_memory &m, const decode_tables &t,
                                       const decode_settings &s, int64_t c, const decode_place &at)
{
    const int32_t group = (int32_t)(c / s.generations), i = at.request;
    /* sites are the last rows of prompts, then all rows of completions */
    m.site[i] =
        at.length == 0 ? group : m.completion_rows[c * m.longest + at.length - 1] - s.prompt_rows + s.groups;
    const int32_t set = s.chooses ? t.first[at.choice] : 0;
    sample_entry e = {};
    e.key = wz_draw_key{
        s.seed,   s.rollout_step, m.problem[group], (uint32_t)at.length, (uint32_t)(c % s.generations),
        s.purpose};
    e.row = i;
    e.set = set;
    e.first = i * s.largest;
    e.count = s.chooses ? t.first[at.choice + 1] - set : s.vocab;
    e.number = i;
    m.entries[i] = e;
}

/* A group's rows of the step, in items of attention. */
static __device__ void lay_out_items(const decode_memory &m, const decode_settings &s, int64_t slots,
                                     int32_t item_rows)
{
    for (int64_t i = threadIdx.x; i < s.groups * slots; i += ADVANCE_THREADS) {
        const int64_t g = i / slots;
        const int32_t first = m.first_row[g * s.generations] + (int32_t)(i % slots) * item_rows,
                      left = m.first_row[(g + 1) * s.generations] - first,
                      count = left < 0           ? 0
                              : left < item_rows ? left
                                                 : item_rows;
        m.items[i] = attention_item{first, count, m.prompt_start[g], m.prompt_length[g]};
    }
}

/* One block; a thread has some completions that follow one another. */
static __global__ void advance(decode_memory m, decode_tables t, wz_decode_size room, int32_t item_rows)
{
    const decode_settings s = *m.settings;
    const decode_counts before = *m.counts;
    const int64_t each = (s.completions + ADVANCE_THREADS - 1) / ADVANCE_THREADS,
                  c0 = (int64_t)threadIdx.x * each,
                  c1 = c0 + each < s.completions ? c0 + each : s.completions;
    const int32_t base = before.base + before.rows;
    int32_t new_rows = 0, asks = 0, all_rows, all_asks;
    for (int64_t c = c0; c < c1; c++) {
        const decode_place at = follow(m, t, s, before.step, c);
        m.places[c] = at;
        new_rows += rows_needed(at, s, c) - at.rows;
        asks += at.choice != DECODE_ENDED;
    }
    int32_t r = sum_before(new_rows, &all_rows), request = sum_before(asks, &all_asks);
    for (int64_t c = c0; c < c1; c++) {
        decode_place at = m.places[c];
        const int32_t need = rows_needed(at, s, c);
        m.first_row[c] = r;
        for (; at.rows < need; at.rows++, r++)
            if (r < room.rows)
                lay_out_row(m, c, at.rows, r, base, m.prompt_length[c / s.generations]);
        if (at.choice != DECODE_ENDED) {
            at.request = request++;
            if (at.request < room.requests)
                lay_out_request(m, t, s, c, at);
        }
        m.places[c] = at;
    }
    for (int64_t i = all_asks + (int64_t)threadIdx.x; i < room.requests; i += ADVANCE_THREADS) {
        m.entries[i].count = 0;
        m.entries[i].row = m.site[i] = 0;
    }
    if (threadIdx.x == 0) {
        const int32_t too_many =
            (all_rows > room.rows ? all_rows - (int32_t)room.rows : 0) + (all_asks > room.requests);
        m.first_row[s.completions] = all_rows;
        *m.counts =
            decode_counts{before.step + 1, base, all_rows, all_asks, before.rows_left_over + too_many};
    }
    __syncthreads();
    lay_out_items(m, s, item_slots(room.group_rows, item_rows), item_rows);
}

void decode_rows(wz_backend *backend, const wz_decode_size *size)
{
    cuda_backend *cuda = cuda_of(backend);
    const wz_decode_size room = *size;
    WZ_LAUNCH(advance, dim3(1), dim3(ADVANCE_THREADS), 0, cuda->stream, cuda->decode->memory,
              cuda->decode->tables, room, (int32_t)cuda->decode->pack.item_rows);
    CUDA_LAUNCHED(cuda, "decoding, rows", size->rows, size->requests);
}

void decode_attention(wz_backend *backend, wz_tensor out, float *lse, wz_tensor qkv,
                      const wz_decode_size *size, const wz_attention *attention)
{
    const cuda_decode *decode = cuda_of(backend)->decode;
    const decode_memory *m = &decode->memory;
    attention_lists lists = {};
    lists.row_count = size->rows;
    lists.item_count = decode->pack.groups * item_slots(size->group_rows, decode->pack.item_rows);
    lists.rows = m->attention_rows;
    lists.items = m->items;
    lists.completion_rows = m->completion_rows;
    lists.stride = m->longest;
    lists.warps = FEW_WARPS;
    cuda_attend(cuda_of(backend), out, lse, qkv, &lists, attention);
}

/* --- drawing --- */

/* Scratch memory of draws over the whole vocabulary. */
typedef struct draw_places {
    size_t logits, hidden, states, end;
} draw_places;

/* Chunks of a vocabulary, the last one perhaps in part. */
static int64_t chunks_of(int64_t vocab)
{
    return (vocab + CHUNK - 1) / CHUNK;
}

/* Columns whose logits exist at once: more of them where there are fewer rows. */
static int64_t draw_columns(int64_t rows, int64_t vocab)
{
    const int64_t chunks = rows < DRAW_TILE ? DRAW_TILE / rows : 1, all = chunks_of(vocab);
    return (chunks < all ? chunks : all) * CHUNK;
}

/* logits: how many there are at once. */
static draw_places places_of(int64_t rows, int64_t logits, int64_t width, wz_dtype type)
{
    draw_places at = {};
    at.logits = place(&at.end, (size_t)logits * sizeof(float));
    at.hidden = place(&at.end, (size_t)(rows * width) * wz_type_bytes(type));
    at.states = place(&at.end, (size_t)rows * sizeof(sample_state));
    return at;
}

cuda_need cuda_decode_need(const wz_op_bounds *b, wz_dtype type)
{
    const int64_t rows = b->requests < TILE_ROWS ? b->requests : TILE_ROWS, all = rows * chunks_of(b->vocab),
                  most = rows < DRAW_TILE ? DRAW_TILE : rows, chunks = all < most ? all : most;
    const size_t pairs = (size_t)(b->requests * b->decode.largest) * sizeof(float),
                 whole = b->whole ? places_of(rows, chunks * CHUNK, b->hidden, type).end : 0;
    return b->decode.steps == 0 ? cuda_need{0, 0}
                                : cuda_need{pairs > whole ? pairs : whole, decode_given_bytes(b)};
}

/* A choice's tokens are gathered, so that logits exist for those only. */
static void sample_choices(cuda_backend *cuda, wz_tensor hidden, wz_tensor head, int64_t requests)
{
    const cuda_decode *decode = cuda->decode;
    sample_batch batch = {requests, requests * decode->pack.largest, decode->memory.entries,
                          decode->tables.token, NULL};
    batch.logits = (float *)cuda_scratch(cuda, (size_t)batch.pairs * sizeof(float), "decoding");
    if (batch.logits == NULL)
        return;
    draw_sets(cuda, decode->memory.values, &batch, hidden, head, &decode->pack.rule);
    CUDA_LAUNCHED(cuda, "decoding, drawing tokens", requests, batch.pairs);
}

static void sample_vocabulary(cuda_backend *cuda, wz_tensor hidden, wz_tensor head, int64_t requests)
{
    const decode_memory *m = &cuda->decode->memory;
    const int64_t most = requests < TILE_ROWS ? requests : TILE_ROWS, columns = draw_columns(most, head.rows);
    const wz_dtype type = cuda->base.working_type;
    const draw_places at = places_of(most, most * columns, hidden.columns, type);
    char *base = (char *)cuda_scratch(cuda, at.end, "decoding");
    if (base == NULL)
        return;
    for (int64_t first = 0; first < requests; first += TILE_ROWS) {
        const int64_t rows = requests - first < TILE_ROWS ? requests - first : TILE_ROWS;
        const draw_memory memory = {(float *)(base + at.logits),
                                    columns,
                                    {base + at.hidden, rows, hidden.columns, hidden.columns, type},
                                    (sample_state *)(base + at.states)};
        draw_tile(cuda, &memory, m->values + first, m->entries + first, hidden, head,
                  &cuda->decode->pack.rule);
    }
}

void decode_sample(wz_backend *backend, wz_tensor hidden, const wz_linear *head, const wz_decode_size *size)
{
    cuda_backend *cuda = cuda_of(backend);
    if (cuda->decode->pack.chooses)
        sample_choices(cuda, hidden, head->weight, size->requests);
    else
        sample_vocabulary(cuda, hidden, cuda_weight_for(head, backend->working_type), size->requests);
}
