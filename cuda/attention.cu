/* Packed attention, forward: softmax(q k^T / sqrt(head_dim)) v over a row's visible keys, by the running maximum and sum
 * of Dao et al. 2022. */
#include <math.h>
#include <stdlib.h>

#include "cuda/attention.h"

static void list_row(const wz_segments *s, int32_t row, bool at_sites, attention_row *out)
{
    out->row = row;
    out->result = at_sites ? s->row_site[row] : row;
    out->completion = s->row_completion[row];
    out->prompt = out->completion < 0 ? s->row_index[row] + 1 : s->prompt_length[s->row_group[row]];
    out->own = out->completion < 0 ? 0 : s->row_index[row] + 1;
}

/* Group by group, rows ascending; an item never has rows of two groups. */
static void list_rows(const wz_segments *s, int64_t row0, int64_t row1, bool at_sites, attention_row *rows,
                      attention_item *items, attention_lists *out)
{
    for (int64_t g = 0; g < s->groups; g++) {
        attention_item *item = NULL;
        for (int64_t i = 0; i < s->group_length[g]; i++) {
            const int32_t row = s->group_rows[g * s->group_stride + i];
            if (row < row0 || row >= row1 || (at_sites && s->row_site[row] < 0))
                continue;
            if (item == NULL || item->count == ITEM_ROWS) {
                item = &items[out->item_count++];
                *item = attention_item{(int32_t)out->row_count, 0, s->prompt_start[g], 0};
            }
            attention_row *at = &rows[out->row_count++];
            list_row(s, row, at_sites, at);
            item->count++;
            item->longest = at->prompt > item->longest ? at->prompt : item->longest;
        }
    }
}

bool cuda_attention_lists(cuda_backend *cuda, const wz_segments *segments, int64_t row0, int64_t row1,
                          bool at_sites, attention_lists *out)
{
    const int64_t most_rows = row1 - row0, most_items = most_rows / ITEM_ROWS + segments->groups + 1;
    const int64_t own = segments->completions * segments->completion_stride;
    void *rows = NULL, *items = NULL;
    wz_error err = {{0}};
    *out = attention_lists{};
    out->stride = segments->completion_stride;
    wz_status status = wz_alloc(&rows, (size_t)most_rows, sizeof(attention_row), "attention's rows", &err);
    if (status == WZ_OK)
        status = wz_alloc(&items, (size_t)most_items, sizeof(attention_item), "attention's rows", &err);
    if (status != WZ_OK) {
        cuda_fail(cuda, status, &err);
    } else {
        list_rows(segments, row0, row1, at_sites, (attention_row *)rows, (attention_item *)items, out);
        const size_t bytes = (size_t)out->row_count * sizeof(attention_row) +
                             (size_t)out->item_count * sizeof(attention_item) + (size_t)own * sizeof(int32_t);
        if (cuda_stage_room(cuda, bytes + 3 * 256, "attention's rows")) {
            out->rows = cuda_stage(cuda, (const attention_row *)rows, out->row_count, "attention's rows");
            out->items = cuda_stage(cuda, (const attention_item *)items, out->item_count, "attention's rows");
            out->completion_rows = cuda_stage(cuda, segments->completion_rows, own, "attention's rows");
        }
    }
    free(rows);
    free(items);
    return out->rows != NULL && out->items != NULL && (own == 0 || out->completion_rows != NULL);
}

/* A row's running softmax: largest score so far, sum of exp(score - largest), and that sum weighted with values. */
typedef struct running_row {
    float largest, sum, value[CHUNKS];
} running_row;

/* Takes up to 32 keys more: lane j has the score of key j. V(j, d): feature d of key j's value. */
template <typename V>
static __device__ void add_keys(running_row *r, float score, int count, int64_t head_dim, const V &value)
{
    const int lane = (int)threadIdx.x;
    const float seen = lane < count ? score : -INFINITY;
    const float largest = fmaxf(r->largest, warp_max(seen));
    const float before = expf(r->largest - largest), p = lane < count ? expf(seen - largest) : 0.0f;
    r->sum = r->sum * before + warp_sum(p);
    WZ_UNROLL
    for (int c = 0; c < CHUNKS; c++)
        r->value[c] *= before;
    add_weighted(r->value, p, count, head_dim, value);
    r->largest = largest;
}

/* A block has up to ITEM_ROWS of an item's queries: those of one row that share keys and values (grouped-query attention)
 * stand side by side, so that where a group has few rows, as in decoding, keys and values are still read once. Shared: keys
 * and values [KEYS][head_dim + 1], queries [ITEM_ROWS][head_dim]. */
static size_t forward_bytes(int64_t head_dim)
{
    return (size_t)(2 * KEYS * (head_dim + 1) + ITEM_ROWS * head_dim) * sizeof(float);
}

template <typename T>
static __global__ void attention_forward(matrix<T> out, float *lse, matrix<T> qkv, attention_lists lists,
                                         attention_shape shape)
{
    WZ_DYNAMIC_SHARED(shared);
    const int64_t hd = shape.head_dim, kv = blockIdx.y;
    const attention_item item = lists.items[blockIdx.x];
    const int per_kv = (int)shape.per_kv, first = (int)blockIdx.z * ITEM_ROWS,
              left = item.count * per_kv - first, count = left < ITEM_ROWS ? left : ITEM_ROWS;
    const int lane = (int)threadIdx.x, thread = (int)threadIdx.y * WZ_WARP + lane;
    const auto keys = shared + 0, values = shared + KEYS * (hd + 1), queries = values + KEYS * (hd + 1);
    running_row running[ROWS_PER_WARP];
    if (count <= 0)
        return;
    for (int64_t e = thread; e < ITEM_ROWS * hd; e += WARPS * WZ_WARP) {
        const int query = first + (int)(e / hd);
        queries[e] = e / hd < count ? query_of(qkv, shape, lists.rows[item.first + query / per_kv].row,
                                               kv * per_kv + query % per_kv)[e % hd]
                                    : 0.0f;
    }
    WZ_UNROLL
    for (int r = 0; r < ROWS_PER_WARP; r++) {
        running[r].largest = -INFINITY;
        running[r].sum = 0.0f;
        WZ_UNROLL
        for (int c = 0; c < CHUNKS; c++)
            running[r].value[c] = 0.0f;
    }
    for (int base = 0; base < item.longest; base += KEYS) {
        __syncthreads();
        load_tile(keys, values, qkv, shape, item.start, base, item.longest, kv, thread);
        __syncthreads();
        float score[ROWS_PER_WARP] = {0};
        for (int64_t d = 0; d < hd; d++) {
            const float key = keys[lane * (hd + 1) + d];
            WZ_UNROLL
            for (int r = 0; r < ROWS_PER_WARP; r++)
                score[r] = fmaf(queries[((int)threadIdx.y * ROWS_PER_WARP + r) * hd + d], key, score[r]);
        }
        WZ_UNROLL
        for (int r = 0; r < ROWS_PER_WARP; r++) {
            const int place = (int)threadIdx.y * ROWS_PER_WARP + r;
            const int seen =
                place < count ? lists.rows[item.first + (first + place) / per_kv].prompt - base : 0;
            if (seen > 0)
                add_keys(&running[r], score[r] * shape.scale, seen < KEYS ? seen : KEYS, hd,
                         tile_reader<decltype(values)>{values, hd + 1});
        }
    }
    __syncthreads(); /* queries are there even if the prompt is empty */
    WZ_UNROLL
    for (int r = 0; r < ROWS_PER_WARP; r++) {
        const int place = (int)threadIdx.y * ROWS_PER_WARP + r;
        if (place >= count)
            continue;
        const attention_row row = lists.rows[item.first + (first + place) / per_kv];
        const int64_t h = kv * per_kv + (first + place) % per_kv;
        const int32_t *own = lists.completion_rows + (row.own > 0 ? row.completion * lists.stride : 0);
        for (int base = 0; base < row.own; base += KEYS) {
            const int seen = row.own - base < KEYS ? row.own - base : KEYS;
            float score = 0.0f;
            if (lane < seen) {
                const T *key = key_of(qkv, shape, own[base + lane], kv);
                for (int64_t d = 0; d < hd; d++)
                    score = fmaf(queries[place * hd + d], key[d], score);
            }
            add_keys(&running[r], score * shape.scale, seen, hd,
                     own_reader<T>{qkv, own + base, (shape.heads + shape.kv_heads + kv) * hd});
        }
        T *to = row_of(out, row.result) + h * hd;
        WZ_UNROLL
        for (int c = 0; c < CHUNKS; c++)
            if (c * WZ_WARP + lane < hd)
                to[c * WZ_WARP + lane] = running[r].value[c] / running[r].sum;
        if (lse != NULL && lane == 0)
            lse[row.result * shape.heads + h] = running[r].largest + logf(running[r].sum);
    }
}

void cuda_attend(cuda_backend *cuda, wz_tensor out, float *lse, wz_tensor qkv, const attention_lists *lists,
                 const wz_attention *attention)
{
    const size_t bytes = forward_bytes(attention->head_dim);
    const attention_lists rows = *lists;
    const attention_shape shape = shape_of(attention);
    const dim3 grid((unsigned)rows.item_count, (unsigned)attention->kv_heads,
                    (unsigned)(attention->heads / attention->kv_heads));
    if (rows.row_count == 0)
        return;
    with_type(qkv.type, [&](auto element) {
        using T = decltype(element);
        if (!cuda_allow_shared(cuda, attention_forward<T>, bytes, "attention forward"))
            return;
        WZ_LAUNCH(attention_forward<T>, grid, dim3(WZ_WARP, WARPS), bytes, cuda->stream, matrix_of<T>(out),
                  lse, matrix_of<T>(qkv), rows, shape);
        CUDA_LAUNCHED(cuda, "attention forward", out.rows, out.columns);
    });
}

void cuda_attention_forward(wz_backend *backend, wz_tensor out, float *lse, wz_tensor qkv,
                            const wz_segments *segments, int64_t row0, int64_t row1, bool at_sites,
                            const wz_attention *attention)
{
    cuda_backend *cuda = cuda_of(backend);
    attention_lists lists;
    if (cuda_attention_lists(cuda, segments, row0, row1, at_sites, &lists))
        cuda_attend(cuda, out, lse, qkv, &lists, attention);
}
