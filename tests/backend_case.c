#include "tests/backend_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"

#define SENTINEL 12352.0f /* which bf16 has, too */
#define PRIOR 0.25f       /* what ADDED gradients start from */
#define STEP 1e-5

void fill_uniform(float *values, int64_t count, uint32_t what)
{
    for (int64_t i = 0; i < count; i++) {
        uint32_t words[4];
        wz_draw_init_words(99, WZ_PURPOSE_TOOL, what, (uint64_t)i, words);
        values[i] = (float)(2.0 * wz_uniform(words[0]) - 1.0);
    }
}

uint32_t random_below(uint32_t limit, uint32_t what, uint64_t index)
{
    uint32_t words[4];
    wz_draw_init_words(98, WZ_PURPOSE_TOOL, what, index, words);
    return (uint32_t)(wz_uniform(words[0]) * limit);
}

void case_name(const op_case *test, char *out, size_t size)
{
    const shape *s = &test->shape;
    (void)snprintf(
        out, size,
        "%s rows=%lld in=%lld out=%lld pad=%lld groups=%lld heads=%lld/%lld head_dim=%lld vocab=%lld "
        "masks=%d%s%s%s%s%s%s",
        test->op->name, (long long)s->rows, (long long)s->in, (long long)s->out, (long long)s->pad,
        (long long)s->groups, (long long)s->heads, (long long)s->kv_heads, (long long)s->head_dim,
        (long long)s->vocab, (int)s->masks, s->bias ? " bias" : "", s->residual ? " residual" : "",
        s->aliased ? " aliased" : "", s->gathered ? " gathered" : "", s->type == WZ_BF16 ? " bf16" : "",
        s->frozen_type == WZ_BF16 ? " frozen bf16" : "");
}

static void *zeroed(int64_t count, size_t size)
{
    void *block = calloc((size_t)count + 1, size);
    ck_assert_ptr_nonnull(block);
    return block;
}

float *backend_place(wz_backend *be, const float *values, int64_t count)
{
    void *block = NULL;
    wz_error err = {{0}};
    const size_t bytes = (size_t)count * sizeof(float);
    ck_assert_msg(be->ops->alloc(be, bytes, "a test", &block, &err) == WZ_OK, "%s", err.text);
    be->ops->upload(be, block, values, bytes);
    return block;
}

float *backend_fetch(wz_backend *be, const float *from, int64_t count)
{
    float *out = zeroed(count, sizeof(float));
    wz_error err = {{0}};
    ck_assert_msg(be->ops->sync(be, &err) == WZ_OK, "%s", err.text);
    be->ops->download(be, out, from, (size_t)count * sizeof(float));
    return out;
}

float bf16_nearest(float x)
{
    int exponent = 0;
    const double fraction = frexp((double)x, &exponent); /* of eight bits, so that 256 times it is whole */
    return (float)ldexp(nearbyint(256.0 * fraction) / 256.0, exponent);
}

void *backend_prepare(wz_backend *be, const wz_linear *linear)
{
    void *copy = NULL;
    wz_error err = {{0}};
    const size_t bytes = be->ops->prepared_bytes(be, linear);
    if (bytes == 0)
        return NULL;
    ck_assert_msg(be->ops->alloc(be, bytes, "prepared weights", &copy, &err) == WZ_OK, "%s", err.text);
    be->ops->prepare(be, copy, linear);
    return copy;
}

float *uniform_numbers(int64_t count, uint32_t what, wz_dtype type)
{
    float *values = zeroed(count, sizeof(float));
    fill_uniform(values, count, what);
    for (int64_t i = 0; type == WZ_BF16 && i < count; i++)
        values[i] = bf16_nearest(values[i]);
    return values;
}

/* bf16 is the upper half of a float. */
void encode_numbers(void *to, const float *values, int64_t count, wz_dtype type)
{
    if (type == WZ_F32)
        memcpy(to, values, (size_t)count * sizeof(float));
    for (int64_t i = 0; type == WZ_BF16 && i < count; i++) {
        uint32_t bits = 0;
        memcpy(&bits, &values[i], sizeof bits);
        ((uint16_t *)to)[i] = (uint16_t)(bits >> 16);
    }
}

void decode_numbers(float *to, const void *values, int64_t count, wz_dtype type)
{
    if (type == WZ_F32)
        memcpy(to, values, (size_t)count * sizeof(float));
    for (int64_t i = 0; type == WZ_BF16 && i < count; i++) {
        const uint32_t bits = (uint32_t)((const uint16_t *)values)[i] << 16;
        memcpy(&to[i], &bits, sizeof bits);
    }
}

static int64_t stride_of(const bench *b, size_t f)
{
    return b->fields[f].columns + (b->fields[f].packed ? 0 : b->s->pad);
}

static size_t bytes_of(const bench *b, size_t f, wz_dtype type)
{
    return (size_t)(b->fields[f].rows * stride_of(b, f)) * wz_type_bytes(type);
}

/* Uneven, interleaved groups; some may be empty. */
static void make_groups(bench *b)
{
    const int64_t n = b->s->groups > 0 ? b->s->groups : 1, rows = b->s->rows;
    b->group_offset = zeroed(n + 1, sizeof(int64_t));
    b->group_index = zeroed(rows, sizeof(int32_t));
    b->row_group = zeroed(rows, sizeof(int32_t));
    for (int64_t r = 0; r < rows; r++)
        b->row_group[r] = (int32_t)((r * r + r / 3) % n);
    int64_t next = 0;
    for (int64_t g = 0; g < n; g++) {
        for (int32_t r = 0; r < rows; r++)
            if (b->row_group[r] == g)
                b->group_index[next++] = r;
        b->group_offset[g + 1] = next;
    }
    b->groups = (wz_row_groups){n, b->group_offset, b->group_index};
    b->part = b->groups;
}

/* Sets of 1, 2, 7, 17 and about half of the tokens. */
static void make_masks(bench *b)
{
    const int64_t vocab = b->s->vocab;
    const int64_t size[6] = {0, 1, 2, 7, 17, (vocab + 1) / 2};
    b->mask_offset = zeroed(7, sizeof(uint32_t));
    b->mask_tokens = zeroed(6 * vocab, sizeof(uint32_t));
    uint32_t next = 0;
    for (uint32_t set = 1; set < 6; set++) {
        int64_t need = size[set] < vocab ? size[set] : vocab;
        b->mask_offset[set] = next;
        for (int64_t t = 0; t < vocab; t++) /* selection sampling: each set of `need` tokens equally likely */
            if ((int64_t)random_below((uint32_t)(vocab - t), 50 + set, (uint64_t)t) < need) {
                b->mask_tokens[next++] = (uint32_t)t;
                need--;
            }
        b->mask_offset[set + 1] = next;
    }
    b->masks = (wz_mask_table){6, b->mask_offset, b->mask_tokens};
}

/* Rows, tokens and sets of each row; two rows of a group may gather the same input row, rows of two groups never. */
static void make_indices(bench *b)
{
    const shape *s = b->s;
    b->token = zeroed(s->rows, sizeof(int32_t));
    b->target = zeroed(s->rows, sizeof(int32_t));
    b->gather = zeroed(s->rows, sizeof(int32_t));
    b->mask = zeroed(s->rows, sizeof(uint32_t));
    for (int64_t i = 0; i < s->rows; i++) {
        b->token[i] = s->vocab > 0 ? (int32_t)random_below((uint32_t)s->vocab, 1, (uint64_t)i) : 0;
        b->gather[i] = b->row_group[i] + (int32_t)(b->groups.groups * ((i / 2) % 3));
        b->target[i] = b->token[i];
        b->mask[i] = s->masks == WHOLE || (s->masks == MIXED && i % 3 == 0) ? 0 : 1 + (uint32_t)(i % 5);
        if (s->vocab > 0 && b->mask[i] > 0) {
            const uint32_t begin = b->mask_offset[b->mask[i]], end = b->mask_offset[b->mask[i] + 1];
            b->target[i] = (int32_t)b->mask_tokens[begin + random_below(end - begin, 2, (uint64_t)i)];
        }
    }
}

/* Completions of a group of unequal length, decoded in lockstep: their rows interleave. */
static void make_pack(bench *b)
{
    const shape *s = b->s;
    wz_pack_group groups[4] = {{0}};
    uint32_t prompt[64] = {0};
    int64_t count = 0, longest = 0;
    wz_error err;
    for (; count < 4 && s->prompt[count] > 0; count++) {
        groups[count] = (wz_pack_group){(uint32_t)count, prompt, s->prompt[count], 1, 0};
        for (int j = 0; j < 3; j++) {
            const int64_t length = s->completion[count][j];
            groups[count].rows += length;
            groups[count].longest = length > groups[count].longest ? length : groups[count].longest;
            longest = length > longest ? length : longest;
        }
    }
    ck_assert_int_eq(wz_pack_create(groups, count, 3, &b->pack, &err), WZ_OK);
    for (int64_t step = 0; step < longest; step++)
        for (int64_t c = 0; c < 3 * count; c++)
            if (step < s->completion[c / 3][c % 3])
                wz_pack_add_row(b->pack, c, 0);
    ck_assert_int_eq(b->pack->segments.rows, s->rows);
    ck_assert_int_eq(wz_pack_row_groups(b->pack, &b->pack_groups, &err), WZ_OK);
}

/* Where the field's numbers live. */
static void *allocate(const bench *b, size_t f, wz_dtype type)
{
    void *block = NULL;
    wz_error err = {{0}};
    const size_t bytes = bytes_of(b, f, type);
    if (b->fields[f].on_host)
        return zeroed((int64_t)bytes, 1);
    ck_assert_msg(b->be->ops->alloc(b->be, bytes, "a test", &block, &err) == WZ_OK, "%s", err.text);
    return block;
}

static void release(const bench *b, size_t f, void *block)
{
    if (b->fields[f].on_host)
        free(block);
    else
        b->be->ops->release(b->be, block);
}

static void copy_in(const bench *b, size_t f, void *to, const float *all, wz_dtype type)
{
    const size_t bytes = bytes_of(b, f, type);
    void *encoded = zeroed((int64_t)bytes, 1);
    encode_numbers(encoded, all, b->fields[f].rows * stride_of(b, f), type);
    if (b->fields[f].on_host)
        memcpy(to, encoded, bytes);
    else
        b->be->ops->upload(b->be, to, encoded, bytes);
    free(encoded);
}

void bench_create(bench *b, const op_case *test, wz_backend *be)
{
    memset(b, 0, sizeof *b);
    b->test = test;
    b->s = &test->shape;
    b->be = be;
    make_groups(b);
    if (b->s->vocab > 0)
        make_masks(b);
    make_indices(b);
    if (b->s->prompt[0] > 0)
        make_pack(b);
    b->field_count = test->op->fields(b->s, b->fields);
    for (size_t f = 0; f < b->field_count; f++) {
        const field *at = &b->fields[f];
        b->host[f] = uniform_numbers(at->rows * at->columns, 100 + (uint32_t)f,
                                     at->type == WZ_F32 ? b->s->type : at->type);
        b->value[f] = allocate(b, f, at->type);
        b->gradient[f] = allocate(b, f, at->gradient_type);
    }
    bench_reset(b);
}

void bench_destroy(bench *b)
{
    for (size_t f = 0; f < b->field_count; f++) {
        release(b, f, b->value[f]);
        release(b, f, b->gradient[f]);
        free(b->host[f]);
    }
    void *const blocks[] = {b->group_offset, b->group_index, b->row_group,   b->token,      b->target,
                            b->gather,       b->mask,        b->mask_offset, b->mask_tokens};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        free(blocks[i]);
    if (b->pack != NULL)
        wz_groups_clear(&b->pack_groups);
    wz_pack_destroy(b->pack);
}

/* rows from the host, or all `fill` where rows is NULL; the padding is SENTINEL */
static void place(const bench *b, size_t f, void *to, wz_dtype type, const float *rows, float fill)
{
    const int64_t stride = stride_of(b, f), columns = b->fields[f].columns;
    float *all = zeroed(b->fields[f].rows * stride, sizeof(float));
    for (int64_t i = 0; i < b->fields[f].rows; i++)
        for (int64_t j = 0; j < stride; j++)
            all[i * stride + j] = j >= columns ? SENTINEL : rows == NULL ? fill : rows[i * columns + j];
    copy_in(b, f, to, all, type);
    free(all);
}

void bench_reset(bench *b)
{
    for (size_t f = 0; f < b->field_count; f++) {
        const field *at = &b->fields[f];
        place(b, f, b->value[f], at->type, at->output ? NULL : b->host[f], NAN);
        place(b, f, b->gradient[f], at->gradient_type, at->output ? b->host[f] : NULL,
              at->gradient == ADDED ? PRIOR : NAN);
    }
    b->part = b->groups;
    b->resumed = false;
}

wz_tensor bench_tensor(const bench *b, size_t f)
{
    const field *at = &b->fields[f];
    return (wz_tensor){at->rows > 0 ? b->value[f] : NULL, at->rows, at->columns, stride_of(b, f), at->type};
}

wz_tensor bench_gradient(const bench *b, size_t f)
{
    wz_tensor tensor = bench_tensor(b, f);
    tensor.data = tensor.data != NULL ? b->gradient[f] : NULL;
    tensor.type = b->fields[f].gradient_type;
    return tensor;
}

void bench_copy(const bench *b, void *to, const void *from, size_t f)
{
    const size_t bytes = bytes_of(b, f, b->fields[f].type);
    void *all = zeroed((int64_t)bytes, 1);
    b->be->ops->download(b->be, all, from, bytes);
    b->be->ops->upload(b->be, to, all, bytes);
    free(all);
}

float *bench_fetch(const bench *b, size_t f, bool gradient)
{
    const int64_t stride = stride_of(b, f), columns = b->fields[f].columns, rows = b->fields[f].rows;
    const wz_dtype type = gradient ? b->fields[f].gradient_type : b->fields[f].type;
    void *encoded = zeroed(rows * stride, sizeof(float));
    float *all = zeroed(rows * stride, sizeof(float)), *out = zeroed(rows * columns, sizeof(float));
    wz_error err = {{0}};
    ck_assert_msg(b->be->ops->sync(b->be, &err) == WZ_OK, "%s", err.text);
    const void *from = gradient ? b->gradient[f] : b->value[f];
    if (b->fields[f].on_host)
        memcpy(encoded, from, bytes_of(b, f, type));
    else
        b->be->ops->download(b->be, encoded, from, bytes_of(b, f, type));
    decode_numbers(all, encoded, rows * stride, type);
    free(encoded);
    for (int64_t i = 0; i < rows; i++) {
        memcpy(out + i * columns, all + i * stride, (size_t)columns * sizeof(float));
        for (int64_t j = columns; j < stride; j++)
            ASSERT_EACH(all[i * stride + j] == SENTINEL, "%s: wrote into the padding of %s",
                        b->test->op->name, b->fields[f].name);
    }
    free(all);
    return out;
}

size_t bench_bytes(const bench *b, size_t f)
{
    return (size_t)(b->fields[f].rows * b->fields[f].columns) * sizeof(float);
}

wz_attention bench_attention(const bench *b)
{
    return (wz_attention){b->s->heads, b->s->kv_heads, b->s->head_dim,
                          (float)(1.0 / sqrt((double)b->s->head_dim))};
}

/* The formula in double, its derivatives, and their sums of absolute values. */
typedef struct exact {
    double *at[MAX_FIELDS];                       /* values; of outputs too */
    double *plus[MAX_FIELDS], *minus[MAX_FIELDS]; /* outputs of a changed input */
    double *reach[MAX_FIELDS];                    /* of an output: sum_j |J_kj x_j| */
    double *slope[MAX_FIELDS];                    /* of an input: sum_k dy_k J_kj */
    double largest[MAX_FIELDS];                   /* of an input: max_j sum_k |dy_k J_kj| */
} exact;

static void evaluate(const bench *b, exact *e, double *const out[MAX_FIELDS])
{
    double *at[MAX_FIELDS] = {0};
    for (size_t f = 0; f < b->field_count; f++)
        at[f] = b->fields[f].output ? out[f] : e->at[f];
    b->test->op->reference(b, at);
}

static void differentiate(const bench *b, exact *e, size_t f, int64_t j)
{
    const double x = e->at[f][j];
    double slope = 0.0, sum = 0.0;
    e->at[f][j] = x + STEP;
    evaluate(b, e, e->plus);
    e->at[f][j] = x - STEP;
    evaluate(b, e, e->minus);
    e->at[f][j] = x;
    for (size_t o = 0; o < b->field_count; o++) {
        const field *out = &b->fields[o];
        for (int64_t k = 0; out->output && k < out->rows * out->columns; k++) {
            const double derivative = (e->plus[o][k] - e->minus[o][k]) / (2.0 * STEP);
            const double dy = out->kept ? 0.0 : (double)b->host[o][k];
            e->reach[o][k] += fabs(derivative * x);
            slope += dy * derivative;
            sum += fabs(dy * derivative);
        }
    }
    e->slope[f][j] = slope;
    e->largest[f] = sum > e->largest[f] ? sum : e->largest[f];
}

static void exact_create(const bench *b, exact *e)
{
    memset(e, 0, sizeof *e);
    for (size_t f = 0; f < b->field_count; f++) {
        const int64_t count = b->fields[f].rows * b->fields[f].columns;
        double **arrays[] = {&e->at[f], &e->plus[f], &e->minus[f], &e->reach[f], &e->slope[f]};
        for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
            *arrays[i] = zeroed(count, sizeof(double));
        for (int64_t j = 0; j < count; j++)
            e->at[f][j] = (double)b->host[f][j];
    }
    evaluate(b, e, e->at);
    for (size_t f = 0; f < b->field_count; f++)
        for (int64_t j = 0; !b->fields[f].output && j < b->fields[f].rows * b->fields[f].columns; j++)
            differentiate(b, e, f, j);
}

static void exact_destroy(const bench *b, exact *e)
{
    for (size_t f = 0; f < b->field_count; f++) {
        free(e->at[f]);
        free(e->plus[f]);
        free(e->minus[f]);
        free(e->reach[f]);
        free(e->slope[f]);
    }
}

static void check_element(const bench *b, size_t f, const char *what, int64_t i, double got, double expected,
                          double bound)
{
    if (fabs(got - expected) <= bound) /* false for NaN */
        return;
    char name[256];
    case_name(b->test, name, sizeof name);
    ck_abort_msg("%s: %s %s[%lld][%lld] is %.9g, expected %.9g within %.2g", name, what, b->fields[f].name,
                 (long long)(i / b->fields[f].columns), (long long)(i % b->fields[f].columns), got, expected,
                 bound);
}

/* The bound of a result that is known to within `bound` before it is written. */
static double written_bound(wz_dtype type, double bound, double value)
{
    return type == WZ_BF16 ? bound + BF16_ROUNDOFF * (fabs(value) + bound) : bound;
}

/* What roundings on the way add to the error, for all elements of a field: see the header. Free with free(). */
static double *inner_roundings(const bench *b, const exact *e, size_t f)
{
    double *inner = zeroed(b->fields[f].rows * b->fields[f].columns, sizeof(double));
    if (b->s->type == WZ_BF16 && b->test->op->inner != NULL)
        b->test->op->inner(b, e->at, f, inner);
    return inner;
}

static void check_forward(bench *b, const exact *e, double rounding, double unit)
{
    b->test->op->forward(b);
    for (size_t f = 0; f < b->field_count; f++) {
        if (!b->fields[f].output)
            continue;
        double *inner = inner_roundings(b, e, f);
        float *got = bench_fetch(b, f, false);
        for (int64_t k = 0; k < b->fields[f].rows * b->fields[f].columns; k++) {
            const double expected = e->at[f][k], bound = rounding * (unit + fabs(expected) + e->reach[f][k]) +
                                                         BF16_ROUNDOFF * inner[k];
            check_element(b, f, "output", k, (double)got[k], expected,
                          written_bound(b->fields[f].type, bound, expected));
        }
        free(got);
        free(inner);
    }
}

static void check_backward(bench *b, const exact *e, double rounding, double unit)
{
    b->test->op->backward(b);
    for (size_t f = 0; f < b->field_count; f++) {
        if (b->fields[f].gradient == NO_GRADIENT)
            continue;
        const double prior = b->fields[f].gradient == ADDED ? (double)PRIOR : 0.0;
        const double bound = 4.0 * rounding * ((unit > 1.0 ? unit : 1.0) * e->largest[f] + prior);
        const int64_t count = b->fields[f].rows * b->fields[f].columns;
        double *inner = inner_roundings(b, e, f);
        float *got = bench_fetch(b, f, true);
        for (int64_t j = 0; j < count; j++) {
            const double expected = prior + e->slope[f][j];
            check_element(
                b, f, "gradient of", j, (double)got[j], expected,
                written_bound(b->fields[f].gradient_type, bound + BF16_ROUNDOFF * inner[j], expected));
        }
        free(got);
        free(inner);
    }
}

void case_check(const op_case *test, wz_backend *be, const char *const *orders)
{
    bench b;
    exact e;
    bench_create(&b, test, be);
    exact_create(&b, &e);
    const double rounding = UNIT_ROUNDOFF * (double)test->op->terms(b.s);
    const double unit = test->op->unit != NULL ? test->op->unit(b.s) : 0.0;
    for (; *orders != NULL; orders++) {
        setenv("CUDA_EMULATOR_ORDER", *orders, 1);
        bench_reset(&b);
        check_forward(&b, &e, rounding, unit);
        if (test->op->backward != NULL)
            check_backward(&b, &e, rounding, unit);
    }
    exact_destroy(&b, &e);
    bench_destroy(&b);
}
