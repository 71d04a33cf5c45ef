/* Sampling: the scorer's bits, the right distribution, the right kept sets, nobody else's business. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backend_case.h"
#include "tests/backend_head.h"
#include "tests/suite.h"

#define ROWS 150
#define WIDTH 65
#define VOCAB 1100 /* several chunks, the last one short */

/* Hidden rows, a head, token sets, and two requests a row, as two completions that share a prompt's last row. */
typedef struct world {
    wz_backend *be;
    float *hidden, *head;
    wz_mask_table masks;
    uint32_t offset[8], tokens[3 * VOCAB];
    wz_sample_request request[HEAD_REQUESTS];
    wz_sample_result result[HEAD_REQUESTS];
    uint32_t *kept; /* [HEAD_REQUESTS][VOCAB] */
} world;

static world *w;
static const head_setting *setting;

/* A copy that the backend's ops can read; given back by release. */
static wz_tensor place(wz_backend *be, const float *values, int64_t rows, int64_t columns)
{
    const size_t bytes = (size_t)(rows * columns) * sizeof(float);
    void *block = NULL;
    wz_error err = {{0}};
    ck_assert_msg(be->ops->alloc(be, bytes, "a test", &block, &err) == WZ_OK, "%s", err.text);
    be->ops->upload(be, block, values, bytes);
    return (wz_tensor){block, rows, columns, columns, WZ_F32};
}

/* The head with its copy in the working type, if the backend has another than fp32. */
static wz_linear linear_of(wz_backend *be, wz_tensor weight)
{
    wz_linear linear = {.weight = weight};
    if (be->working_type != WZ_F32)
        linear.prepared = backend_prepare(be, &linear);
    return linear;
}

static void clear_linear(wz_backend *be, const wz_linear *linear)
{
    be->ops->release(be, linear->weight.data);
    if (linear->prepared != NULL)
        be->ops->release(be, (void *)linear->prepared);
}

static wz_draw_key draw_key(int64_t i)
{
    return (wz_draw_key){
        .seed = 7, .step = 3, .token = (uint32_t)i, .sample = (uint32_t)(i % 5), .purpose = WZ_PURPOSE_TOOL};
}

/* Sets of 1, 2, 7, 64, 600 and all tokens: every stride-th token. */
static void make_sets(void)
{
    const uint32_t size[7] = {0, 1, 2, 7, 64, 600, VOCAB}, stride[7] = {0, 1, 900, 150, 17, 1, 1};
    uint32_t next = 0;
    for (uint32_t set = 1; set < 7; set++) {
        w->offset[set] = next;
        for (uint32_t i = 0; i < size[set]; i++)
            w->tokens[next++] = (set == 1 ? 37 : 0) + i * stride[set];
        w->offset[set + 1] = next;
    }
    w->masks = (wz_mask_table){7, w->offset, w->tokens};
}

static void round_inputs(void)
{
    for (int64_t i = 0; i < ROWS * WIDTH; i++)
        w->hidden[i] = bf16_nearest(w->hidden[i]);
    for (int64_t i = 0; i < VOCAB * WIDTH; i++)
        w->head[i] = bf16_nearest(w->head[i]);
}

static void setup(void)
{
    w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    w->be = setting->open(setting->machine);
    w->hidden = malloc(sizeof(float) * ROWS * WIDTH);
    w->head = malloc(sizeof(float) * VOCAB * WIDTH);
    w->kept = malloc(sizeof(uint32_t) * HEAD_REQUESTS * VOCAB);
    ck_assert(w->hidden != NULL && w->head != NULL && w->kept != NULL);
    fill_uniform(w->hidden, ROWS * WIDTH, 1);
    fill_uniform(w->head, VOCAB * WIDTH, 2);
    if (w->be->working_type == WZ_BF16) /* numbers that it has: then logits are sums of the same products */
        round_inputs();
    make_sets();
    for (int32_t i = 0; i < setting->requests; i++)
        w->request[i] = (wz_sample_request){i / 2, (uint32_t)(i * 5 % 7), draw_key(i)};
}

static void teardown(void)
{
    w->be->ops->destroy(w->be);
    free(w->hidden);
    free(w->head);
    free(w->kept);
    free(w);
}

static wz_status try_sample(wz_backend *be, const wz_sample_request *request, int64_t requests,
                            const wz_sampling *sampling, wz_sample_result *result, wz_error *err)
{
    wz_tensor hidden = place(be, w->hidden, ROWS, WIDTH), head = place(be, w->head, VOCAB, WIDTH);
    const wz_linear linear = linear_of(be, head);
    const wz_status status = be->ops->head_sample(be, result, w->kept, VOCAB, hidden, &linear, request,
                                                  requests, &w->masks, sampling, err);
    be->ops->release(be, hidden.data);
    clear_linear(be, &linear);
    return status;
}

static void sample(wz_backend *be, const wz_sample_request *request, int64_t requests,
                   const wz_sampling *sampling, wz_sample_result *result)
{
    wz_error err = {{0}};
    ck_assert_msg(try_sample(be, request, requests, sampling, result, &err) == WZ_OK, "%s", err.text);
}

static void score(float *logp, float *entropy, const float *rows, int64_t count, const int32_t *target,
                  const uint32_t *mask, const wz_mask_table *masks, float temperature)
{
    wz_error err = {{0}};
    wz_tensor hidden = place(w->be, rows, count, WIDTH), head = place(w->be, w->head, VOCAB, WIDTH);
    const wz_linear linear = linear_of(w->be, head);
    w->be->ops->head_score_forward(w->be, logp, entropy, hidden, &linear, target, mask, masks, temperature);
    ck_assert_msg(w->be->ops->sync(w->be, &err) == WZ_OK, "%s", err.text);
    w->be->ops->release(w->be, hidden.data);
    clear_linear(w->be, &linear);
}

static const wz_sampling samplings[] = {
    {.temperature = 1.0f, .top_p = 1.0f},
    {.temperature = 0.7f, .top_p = 1.0f},
    {.temperature = 0.0f, .top_p = 1.0f},
    {.temperature = 1.0f, .top_k = 5, .top_p = 1.0f},
    {.temperature = 1.3f, .top_p = 0.8f},
    {.temperature = 1.0f, .top_p = 1.0f, .min_p = 0.1f},
    {.temperature = 1.2f, .top_k = 50, .top_p = 0.9f, .min_p = 0.02f},
    {.temperature = 1.0f, .top_k = 100000, .top_p = 1.0f}, /* on, but cuts nothing */
    {.temperature = 0.0f, .top_k = 5, .top_p = 0.5f},      /* greedy: cuts do not matter */
};
#define SAMPLINGS ((int)(sizeof samplings / sizeof samplings[0]))
#define FIRST_BITS 5 /* of three that are enough for bits alone: one cut, all cuts, a cut of nothing */

static int64_t allowed_count(uint32_t set)
{
    return set == 0 ? VOCAB : (int64_t)w->offset[set + 1] - (int64_t)w->offset[set];
}

static uint32_t allowed_token(uint32_t set, int64_t j)
{
    return set == 0 ? (uint32_t)j : w->tokens[w->offset[set] + (uint32_t)j];
}

/* The sets that scoring replays: the request's own, or, where something was cut, the kept tokens. */
typedef struct replay {
    uint32_t offset[HEAD_REQUESTS + 9], *tokens, mask[HEAD_REQUESTS];
    int32_t target[HEAD_REQUESTS];
    float *hidden; /* one row a request */
    wz_mask_table masks;
} replay;

static void make_replay(replay *r)
{
    const uint32_t base = w->offset[7];
    r->tokens = malloc(sizeof(uint32_t) * (3 * VOCAB + (size_t)HEAD_REQUESTS * VOCAB));
    r->hidden = malloc(sizeof(float) * HEAD_REQUESTS * WIDTH);
    ck_assert(r->tokens != NULL && r->hidden != NULL);
    memcpy(r->offset, w->offset, sizeof w->offset);
    memcpy(r->tokens, w->tokens, base * sizeof(uint32_t));
    r->masks = (wz_mask_table){7, r->offset, r->tokens};
    for (int64_t i = 0; i < setting->requests; i++) {
        const wz_sample_result *result = &w->result[i];
        r->mask[i] = w->request[i].mask;
        r->target[i] = (int32_t)result->token;
        memcpy(r->hidden + i * WIDTH, w->hidden + w->request[i].row * WIDTH, sizeof(float) * WIDTH);
        ck_assert_int_le(result->kept, allowed_count(r->mask[i]));
        if (result->kept == allowed_count(r->mask[i]))
            continue;
        const uint32_t next = r->offset[r->masks.count];
        memcpy(r->tokens + next, w->kept + i * VOCAB, result->kept * sizeof(uint32_t));
        r->mask[i] = r->masks.count++;
        r->offset[r->masks.count] = next + result->kept;
    }
}

static void clear_replay(replay *r)
{
    free(r->tokens);
    free(r->hidden);
}

START_TEST(head_sample_logp_and_entropy_are_the_scorers_bits)
{
    replay r;
    float logp[HEAD_REQUESTS], entropy[HEAD_REQUESTS];
    sample(w->be, w->request, setting->requests, &samplings[_i], w->result);
    make_replay(&r);
    score(logp, entropy, r.hidden, setting->requests, r.target, r.mask, &r.masks, samplings[_i].temperature);
    for (int i = 0; i < setting->requests; i++) {
        ck_assert_msg(memcmp(&logp[i], &w->result[i].logp, 4) == 0,
                      "request %d (set %u): logp %.9g sampled, %.9g scored", i, w->request[i].mask,
                      (double)w->result[i].logp, (double)logp[i]);
        ck_assert_msg(memcmp(&entropy[i], &w->result[i].entropy, 4) == 0,
                      "request %d: entropy %.9g sampled, %.9g scored", i, (double)w->result[i].entropy,
                      (double)entropy[i]);
        ck_assert(w->result[i].logp <= 1e-6f && isfinite(w->result[i].logp));
    }
    clear_replay(&r);
}
END_TEST

static bool same_result(const wz_sample_result *a, const wz_sample_result *b)
{
    return a->token == b->token && a->kept == b->kept && memcmp(&a->logp, &b->logp, 4) == 0 &&
           memcmp(&a->entropy, &b->entropy, 4) == 0;
}

/* The kept set of a request, where it is one; rows of [][VOCAB]. */
static bool same_kept(const wz_sample_request *request, const wz_sample_result *result, const uint32_t *a,
                      const uint32_t *b)
{
    return result->kept == allowed_count(request->mask) || memcmp(a, b, result->kept * sizeof *a) == 0;
}

START_TEST(head_sample_request_alone_or_on_any_machine_gives_the_same_bits)
{
    wz_sample_result one, many[HEAD_REQUESTS];
    const size_t kept_bytes = sizeof(uint32_t) * (size_t)setting->requests * VOCAB;
    uint32_t *kept = malloc(kept_bytes);
    ck_assert_ptr_nonnull(kept);
    sample(w->be, w->request, setting->requests, &samplings[_i], w->result);
    memcpy(kept, w->kept, kept_bytes);
    for (int64_t i = 0; i < setting->requests; i++) {
        sample(w->be, &w->request[i], 1, &samplings[_i], &one);
        ck_assert_msg(same_result(&one, &w->result[i]) &&
                          same_kept(&w->request[i], &one, w->kept, kept + i * VOCAB),
                      "request %lld (set %u) differs alone", (long long)i, w->request[i].mask);
    }
    for (int machine = 1; machine <= setting->machines; machine++) {
        wz_backend *be = setting->open(machine);
        sample(be, w->request, setting->requests, &samplings[_i], many);
        for (int64_t i = 0; i < setting->requests; i++)
            ck_assert_msg(same_result(&many[i], &w->result[i]) &&
                              same_kept(&w->request[i], &many[i], w->kept + i * VOCAB, kept + i * VOCAB),
                          "request %lld differs on machine %d", (long long)i, machine);
        be->ops->destroy(be);
    }
    free(kept);
}
END_TEST

/* Scores among all rows and alone; all sets, the whole vocabulary too. */
START_TEST(head_score_row_is_the_same_among_any_rows)
{
    float logp[ROWS], entropy[ROWS], one_logp = 0, one_entropy = 0;
    uint32_t mask[ROWS];
    int32_t target[ROWS];
    for (int i = 0; i < ROWS; i++) {
        mask[i] = i % 2 == 0 ? 0 : (uint32_t)(i % 7);
        target[i] = (int32_t)allowed_token(mask[i], i * 31 % allowed_count(mask[i]));
    }
    score(logp, entropy, w->hidden, ROWS, target, mask, &w->masks, 0.9f);
    for (int64_t i = 0; i < ROWS; i++) {
        score(&one_logp, &one_entropy, w->hidden + i * WIDTH, 1, target + i, mask + i, &w->masks, 0.9f);
        ck_assert_int_eq(memcmp(&one_logp, &logp[i], 4), 0);
        ck_assert_int_eq(memcmp(&one_entropy, &entropy[i], 4), 0);
    }
}
END_TEST

/* ---- kept sets, from the definitions, in double ---- */

typedef struct entry {
    double logit;
    uint32_t token;
} entry;

static int by_logit(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

static double logit_of(int64_t row, uint32_t token)
{
    double sum = 0.0;
    for (int64_t d = 0; d < WIDTH; d++)
        sum += (double)w->hidden[row * WIDTH + d] * (double)w->head[token * WIDTH + d];
    return sum;
}

/* A set's tokens, best first, and how many are kept: top_k of them; of these the fewest whose probabilities sum to top_p; of
 * these the ones with a probability of at least min_p times the largest. */
static int64_t keep(const wz_sampling *s, int64_t row, uint32_t set, entry *list)
{
    int64_t count = allowed_count(set);
    for (int64_t j = 0; j < count; j++)
        list[j] =
            (entry){logit_of(row, allowed_token(set, j)) / (double)s->temperature, allowed_token(set, j)};
    qsort(list, (size_t)count, sizeof *list, by_logit);
    if (s->top_k > 0 && s->top_k < count)
        count = s->top_k;
    double all = 0.0, sum = 0.0;
    for (int64_t j = 0; j < count; j++)
        all += exp(list[j].logit - list[0].logit);
    int64_t kept = 0;
    while (kept < count && (s->top_p >= 1.0f || sum < (double)s->top_p))
        sum += exp(list[kept++].logit - list[0].logit) / all;
    while (exp(list[kept - 1].logit - list[0].logit) < (double)s->min_p)
        kept--;
    return kept;
}

/* Small integers make every order of additions exact, on every backend, and many logits equal. */
static void fill_integers(int64_t hidden, int64_t head)
{
    for (int64_t i = 0; i < ROWS * WIDTH; i++)
        w->hidden[i] = (float)(random_below((uint32_t)(2 * hidden + 1), 3, (uint64_t)i) - (double)hidden);
    for (int64_t i = 0; i < VOCAB * WIDTH; i++)
        w->head[i] = (float)(random_below((uint32_t)(2 * head + 1), 4, (uint64_t)i) - (double)head);
}

/* Logits as they come; many equal ones; all equal. */
#define FILLS 3

START_TEST(head_sample_kept_set_is_that_of_the_definitions)
{
    const wz_sampling *s = &samplings[_i % SAMPLINGS];
    static entry list[VOCAB];
    if (s->temperature <= 0.0f)
        return;
    if (_i >= SAMPLINGS)
        fill_integers(1, _i < 2 * SAMPLINGS ? 1 : 0);
    sample(w->be, w->request, setting->requests, s, w->result);
    for (int64_t i = 0; i < setting->requests; i++) {
        const uint32_t set = w->request[i].mask;
        bool in_list[VOCAB] = {false}, token_kept = false;
        const int64_t kept = keep(s, w->request[i].row, set, list);
        ck_assert_int_eq(w->result[i].kept, kept);
        for (int64_t j = 0; j < kept; j++)
            in_list[list[j].token] = true;
        ck_assert(in_list[w->result[i].token]);
        for (int64_t j = 0; kept < allowed_count(set) && j < kept; j++) {
            const uint32_t token = w->kept[i * VOCAB + j];
            ASSERT_EACH(in_list[token] && (j == 0 || token > w->kept[i * VOCAB + j - 1]),
                        "request %lld keeps token %u", (long long)i, token);
            token_kept = token_kept || token == w->result[i].token;
        }
        ck_assert(token_kept || kept == allowed_count(set));
    }
}
END_TEST

/* ---- the draw ---- */

/* Every n-th token's logit is one of these in all rows; n = 0: none's. Temperatures: powers of 2, so that logits stay exact. */
static const struct {
    float temperature;
    uint32_t tokens;
    float logits[2];
} noises[] = {
    {1.0f, 0, {0}},
    {0.25f, 0, {0}},
    {4.0f, 0, {0}},
    {1.0f, 2, {NAN, -INFINITY}},
    {1.0f, 400, {INFINITY, NAN}},
    {1.0f, 1, {-INFINITY, NAN}},
};
#define NOISES ((int)(sizeof noises / sizeof noises[0]))

static void place_logits(uint32_t tokens, const float *logits)
{
    for (int64_t row = 0; row < ROWS; row++)
        w->hidden[row * WIDTH] = 1.0f;
    for (uint32_t token = tokens / 2; token < VOCAB; token += tokens)
        w->head[token * WIDTH] = logits[token / tokens % 2];
}

/* The largest logit + Gumbel noise, -log(-log u), with u from the key's words: word t % 4 of draw t / 4 is token t's. In the
 * upper tail u is taken from the other end, u = 1 - v, so that it does not round to 1; v stops at 1 - 2^-24. */
START_TEST(head_sample_token_is_that_of_the_keys_noise)
{
    const wz_sampling s = {.temperature = noises[_i].temperature, .top_p = 1.0f};
    fill_integers(1, 1);
    if (noises[_i].tokens > 0)
        place_logits(noises[_i].tokens, noises[_i].logits);
    sample(w->be, w->request, setting->requests, &s, w->result);
    for (int64_t i = 0; i < setting->requests; i++) {
        const wz_sample_request *request = &w->request[i];
        double most = -INFINITY;
        uint32_t best = allowed_token(request->mask, 0);
        for (int64_t j = 0; j < allowed_count(request->mask); j++) {
            const uint32_t token = allowed_token(request->mask, j);
            uint32_t words[4];
            wz_draw_words(&request->key, token / 4, words);
            const double v = fmin(((double)words[token % 4] + 0.5) / 4294967296.0, 1.0 - 1.0 / 16777216.0);
            const double value = logit_of(request->row, token) / (double)s.temperature - log(-log1p(-v));
            if (value > most) {
                most = value;
                best = token;
            }
        }
        ck_assert_uint_eq(w->result[i].token, best);
    }
}
END_TEST

/* ---- the distribution ---- */

static const struct {
    uint32_t set;
    wz_sampling sampling;
} frequencies[] = {
    {2, {.temperature = 1.0f, .top_p = 1.0f}},
    {3, {.temperature = 1.0f, .top_p = 1.0f}},
    {4, {.temperature = 2.5f, .top_p = 1.0f}},
    {0, {.temperature = 1.0f, .top_p = 1.0f}},
    {0, {.temperature = 3.0f, .top_p = 1.0f}},
    {4, {.temperature = 1.5f, .top_k = 20, .top_p = 0.9f, .min_p = 0.02f}},
};
#define FREQUENCIES ((int)(sizeof frequencies / sizeof frequencies[0]))

/* How often each token was drawn from row 11. */
static void count_draws(uint32_t set, const wz_sampling *sampling, double *seen)
{
    for (int64_t done = 0; done < setting->draws; done += setting->requests) {
        const int64_t left = setting->draws - done,
                      count = left < setting->requests ? left : setting->requests;
        for (int64_t i = 0; i < count; i++)
            w->request[i] = (wz_sample_request){11, set, draw_key(done + i)};
        sample(w->be, w->request, count, sampling, w->result);
        for (int64_t i = 0; i < count; i++)
            seen[w->result[i].token] += 1.0;
    }
}

/* Chi-square of draws against softmax(logits / temperature) over the kept set: a false alarm in a million where z = 4.75 in
 * the Wilson-Hilferty approximation of its quantile; tokens expected under 5 times are counted together. */
START_TEST(head_sample_frequencies_match_the_distribution)
{
    const wz_sampling *s = &frequencies[_i].sampling;
    const uint32_t set = frequencies[_i].set;
    const double draws = (double)setting->draws;
    static entry list[VOCAB];
    double seen[VOCAB] = {0}, sum = 0.0, chi = 0.0, rare = 0.0, rare_seen = 0.0, outside = draws;
    int64_t cells = 0;
    const int64_t count = keep(s, 11, set, list);
    count_draws(set, s, seen);
    for (int64_t j = 0; j < count; j++) {
        sum += exp(list[j].logit);
        outside -= seen[list[j].token];
    }
    ck_assert_double_eq(outside, 0.0);
    for (int64_t j = 0; j < count; j++) {
        const double expected = exp(list[j].logit) / sum * draws, got = seen[list[j].token];
        rare += expected < 5.0 ? expected : 0.0;
        rare_seen += expected < 5.0 ? got : 0.0;
        if (expected >= 5.0) {
            chi += (got - expected) * (got - expected) / expected;
            cells++;
        }
    }
    if (rare >= 5.0) {
        chi += (rare_seen - rare) * (rare_seen - rare) / rare;
        cells++;
    }
    const double freedom = (double)(cells - 1), a = 2.0 / (9.0 * freedom);
    const double limit = freedom * pow(1.0 - a + 4.75 * sqrt(a), 3.0);
    ck_assert_msg(cells > 1 && chi < limit,
                  "set %u at temperature %g: chi-square %.1f over %lld cells, limit %.1f", set,
                  (double)s->temperature, chi, (long long)cells, limit);
}
END_TEST

/* Equal columns of the head: two in one chunk of the vocabulary, in others, and the last two in set 3, multiples of 150. */
START_TEST(head_sample_temperature_zero_ties_go_to_the_lowest_token)
{
    const uint32_t twins[4] = {151, 200, 450, 900};
    const wz_sampling greedy = {.temperature = 0.0f, .top_p = 1.0f};
    wz_sample_result result[2];
    fill_integers(7, 1);
    for (int64_t row = 0; row < ROWS; row++) {
        for (int t = 0; t < 4; t++)
            for (int64_t d = 0; d < WIDTH; d++)
                w->head[twins[t] * WIDTH + d] = 2.0f * w->hidden[row * WIDTH + d];
        const wz_sample_request request[2] = {{(int32_t)row, 0, draw_key(0)}, {(int32_t)row, 3, draw_key(1)}};
        sample(w->be, request, 2, &greedy, result);
        ck_assert_uint_eq(result[0].token, 151);
        ck_assert_uint_eq(result[1].token, 450);
    }
}
END_TEST

#define NAN_ROW 3 /* of two requests, one of them over the whole vocabulary */

START_TEST(head_sample_nan_in_one_row_stays_in_that_row)
{
    wz_sample_result clean[HEAD_REQUESTS];
    sample(w->be, w->request, setting->requests, &samplings[_i], clean);
    w->hidden[NAN_ROW * WIDTH + 3] = NAN;
    sample(w->be, w->request, setting->requests, &samplings[_i], w->result);
    for (int i = 0; i < setting->requests; i++) {
        const uint32_t set = w->request[i].mask;
        bool allowed = false;
        if (w->request[i].row != NAN_ROW) {
            ck_assert(same_result(&clean[i], &w->result[i]));
            continue;
        }
        for (int64_t j = 0; j < allowed_count(set); j++)
            allowed = allowed || allowed_token(set, j) == w->result[i].token;
        ck_assert(isnan(w->result[i].logp) && isnan(w->result[i].entropy) && allowed);
    }
}
END_TEST

START_TEST(head_sample_key_out_of_range_is_an_error)
{
    wz_error err = {{0}};
    const wz_sampling s = {.temperature = 1.0f, .top_p = 1.0f};
    w->request[5].key.token = 1u << 20;
    ck_assert_int_eq(try_sample(w->be, w->request, setting->requests, &s, w->result, &err), WZ_ERR_RUNTIME);
    ck_assert_msg(strstr(err.text, "1048576") != NULL, "%s", err.text);
}
END_TEST

TCase *head_cases(const head_setting *of)
{
    TCase *head = tcase_create("head");
    setting = of;
    tcase_set_timeout(head, 300);
    tcase_add_checked_fixture(head, setup, teardown);
    const int first = of->bits_only ? FIRST_BITS : 0, end = of->bits_only ? FIRST_BITS + 3 : SAMPLINGS;
    tcase_add_loop_test(head, head_sample_logp_and_entropy_are_the_scorers_bits, first, end);
    tcase_add_loop_test(head, head_sample_request_alone_or_on_any_machine_gives_the_same_bits, first, end);
    tcase_add_test(head, head_score_row_is_the_same_among_any_rows);
    tcase_add_loop_test(head, head_sample_nan_in_one_row_stays_in_that_row, first, end);
    if (of->bits_only)
        return head;
    tcase_add_loop_test(head, head_sample_kept_set_is_that_of_the_definitions, 0, FILLS * SAMPLINGS);
    tcase_add_loop_test(head, head_sample_token_is_that_of_the_keys_noise, 0, NOISES);
    if (of->draws > 0)
        tcase_add_loop_test(head, head_sample_frequencies_match_the_distribution, 0, FREQUENCIES);
    tcase_add_test(head, head_sample_temperature_zero_ties_go_to_the_lowest_token);
    tcase_add_test(head, head_sample_key_out_of_range_is_an_error);
    return head;
}
