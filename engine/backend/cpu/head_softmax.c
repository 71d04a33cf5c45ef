/* Softmax pieces, and logits of a few tokens or of the whole vocabulary. */
#include "engine/backend/cpu/head.h"

#include <math.h>
#include <string.h>

void softmax_begin(softmax_state *state)
{
    *state = (softmax_state){-INFINITY, 0.0f, 0.0f};
}

void softmax_add(softmax_state *state, float *logits, int64_t count, float scale)
{
    const int64_t padded = round_lanes(count);
    for (int64_t i = count; i < padded; i++)
        logits[i] = -INFINITY;
    v16 most = v16_set(-INFINITY);
    for (int64_t i = 0; i < padded; i += WZ_LANES) {
        v16 l = v16_load(logits + i) * v16_set(scale);
        v16_store(logits + i, l);
        most = v16_max(most, l);
    }
    float largest = v16_largest(most);
    if (!(largest > state->largest))
        largest = state->largest;
    v16 sum = {0}, weighted = {0};
    for (int64_t i = 0; i < padded; i += WZ_LANES) {
        v16 l = v16_load(logits + i);
        v16 e = v16_exp(l - v16_set(largest));
        sum = sum + e;
        weighted = weighted + v16_select(e > v16_set(0.0f), l * e, v16_set(0.0f)); /* -inf * 0 counts as 0 */
    }
    float rescale = state->largest == -INFINITY ? 0.0f : scalar_exp(state->largest - largest);
    state->sum = state->sum * rescale + v16_sum(sum);
    state->weighted = state->weighted * rescale + v16_sum(weighted);
    state->largest = largest;
}

void softmax_end(const softmax_state *state, float *lse, float *entropy)
{
    *lse = state->largest + logf(state->sum);
    *entropy = *lse - state->weighted / state->sum;
}

void softmax_gradient(float *logits, int64_t count, float scale, float lse, float entropy, float dlogp,
                      float dentropy, int64_t target)
{
    const v16 s = v16_set(scale), shift = v16_set(lse), h = v16_set(entropy);
    const v16 dl = v16_set(-dlogp), dh = v16_set(-dentropy);
    for (int64_t i = 0; i < count; i += WZ_LANES) {
        int64_t n = count - i;
        v16 l = v16_load_n(logits + i, n);
        v16 p = v16_exp(l - shift);
        v16_store_n(logits + i, s * p * v16_fma(dh, l - shift + h, dl), n);
    }
    if (target >= 0)
        logits[target] += scale * dlogp;
}

/* dot() of a row that is widened on the way. */
static float dot_halves(const uint16_t *a, const float *b, int64_t n)
{
    v16 sum = {0};
    int64_t i = 0;
    for (; i + WZ_LANES <= n; i += WZ_LANES)
        sum = v16_fma(v16_widen(a + i), v16_load(b + i), sum);
    if (i < n) {
        uint16_t last[WZ_LANES] = {0};
        memcpy(last, a + i, (size_t)(n - i) * sizeof last[0]);
        sum = v16_fma(v16_widen(last), v16_load_n(b + i, n - i), sum);
    }
    return v16_sum(sum);
}

#define PIECE 256 /* of a row, widened at once */

void add_head_row(float *y, float a, wz_tensor head, uint32_t token)
{
    float piece[PIECE];
    const uint16_t *halves = (const uint16_t *)head.data + (int64_t)token * head.stride;
    if (head.type == WZ_F32) {
        axpy(y, a, row_of(head, token), head.columns);
        return;
    }
    for (int64_t i = 0; i < head.columns; i += PIECE) {
        const int64_t n = head.columns - i < PIECE ? head.columns - i : PIECE;
        widen_floats(piece, halves + i, n);
        axpy(y + i, a, piece, n);
    }
}

void gather_logits(float *logits, const float *hidden, wz_tensor head, const uint32_t *tokens, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        logits[i] = head.type == WZ_F32 ? dot(row_of(head, tokens[i]), hidden, head.columns)
                                        : dot_halves((const uint16_t *)head.data + tokens[i] * head.stride,
                                                     hidden, head.columns);
}

int64_t largest_set(const wz_mask_table *masks)
{
    int64_t most = 0;
    for (uint32_t i = 1; i < masks->count; i++)
        most = set_size(masks, i) > most ? set_size(masks, i) : most;
    return most;
}

bool vocab_walk_begin(vocab_walk *walk, cpu_backend *cpu, wz_tensor hidden, wz_tensor head)
{
    *walk = (vocab_walk){.cpu = cpu, .hidden = hidden, .head = head};
    walk->chunks = (head.rows + VOCAB_CHUNK - 1) / VOCAB_CHUNK;
    const int64_t width[2] = {head.rows < VOCAB_CHUNK ? head.rows : VOCAB_CHUNK,
                              head.rows - (walk->chunks - 1) * VOCAB_CHUNK};
    return gemm_plan_for(cpu, hidden.columns, width[0], GEMM_TRANSPOSED, WZ_F32, &walk->plan[0]) &&
           gemm_plan_for(cpu, hidden.columns, width[1], GEMM_TRANSPOSED, WZ_F32, &walk->plan[1]);
}

int64_t vocab_walk_floats(wz_tensor head)
{
    return TILE_MAX * (head.columns + VOCAB_CHUNK) +
           (head.type == WZ_F32 ? 0 : VOCAB_CHUNK * round_lanes(head.columns));
}

gemm_operand vocab_walk_chunk(const vocab_walk *walk, const float *logits, int64_t chunk)
{
    if (walk->head.type == WZ_F32)
        return (gemm_operand){row_of(walk->head, chunk * VOCAB_CHUNK), walk->head.stride, WZ_F32};
    return (gemm_operand){logits + TILE_MAX * VOCAB_CHUNK, walk->head.columns, WZ_F32};
}

static void widen_chunk(const vocab_walk *walk, float *to, int64_t chunk, int64_t rows)
{
    const wz_tensor head = walk->head;
    for (int64_t i = 0; i < rows; i++)
        (void)widened_row(head, chunk * VOCAB_CHUNK + i, to + i * head.columns);
}

void vocab_walk_gather(const vocab_walk *walk, float *tile, const int32_t *index, int64_t rows)
{
    const int64_t width = walk->hidden.columns;
    for (int64_t i = 0; i < rows; i++)
        memcpy(tile + i * width, row_of(walk->hidden, index[i]), (size_t)width * sizeof(float));
    memset(tile + rows * width, 0, (size_t)((TILE_MAX - rows) * width) * sizeof(float));
}

int64_t vocab_walk_logits(const vocab_walk *walk, float *logits, const float *tile, int64_t rows,
                          int64_t chunk)
{
    const gemm_plan *plan = &walk->plan[chunk == walk->chunks - 1];
    const gemm_operand head = vocab_walk_chunk(walk, logits, chunk);
    if (walk->head.type != WZ_F32)
        widen_chunk(walk, logits + TILE_MAX * VOCAB_CHUNK, chunk, plan->out);
    for (int64_t row = 0; row < rows; row += plan->tile)
        gemm_rows(plan, gemm_height(plan, rows - row), tile + row * plan->in, plan->in, head, NULL, false,
                  logits + row * VOCAB_CHUNK, VOCAB_CHUNK);
    return plan->out;
}
