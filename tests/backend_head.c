/* Sampling: the scorer's bits, the right distribution, the right kept sets, nobody else's business. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backend_case.h"
#include "tests/backend_main.h"

#define ROWS 150
#define WIDTH 65
#define VOCAB 1100 /* three chunks of 512, the last one short */
#define REQUESTS 300

/* Hidden rows, a head, token sets, and two requests a row, as two completions that share a prompt's last row. */
typedef struct world {
    wz_backend *be;
    float *hidden, *head;
    wz_mask_table masks;
    uint32_t offset[8], tokens[3 * VOCAB];
    wz_sample_request request[REQUESTS];
    wz_sample_result result[REQUESTS];
    uint32_t *kept; /* [REQUESTS][VOCAB] */
} world;

static world *w;

static wz_tensor matrix(float *data, int64_t rows, int64_t columns)
{
    return (wz_tensor){data, rows, columns, columns, WZ_F32};
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

static void setup(void)
{
    w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    w->be = cpu_backend_with(2);
    w->hidden = malloc(sizeof(float) * ROWS * WIDTH);
    w->head = malloc(sizeof(float) * VOCAB * WIDTH);
    w->kept = malloc(sizeof(uint32_t) * REQUESTS * VOCAB);
    ck_assert(w->hidden != NULL && w->head != NULL && w->kept != NULL);
    fill_uniform(w->hidden, ROWS * WIDTH, 1);
    fill_uniform(w->head, VOCAB * WIDTH, 2);
    make_sets();
    for (int32_t i = 0; i < REQUESTS; i++)
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

static void sample(wz_backend *be, const wz_sample_request *request, int64_t requests,
                   const wz_sampling *sampling, wz_sample_result *result)
{
    wz_error err = {{0}};
    wz_status status =
        be->ops->head_sample(be, result, w->kept, VOCAB, matrix(w->hidden, ROWS, WIDTH),
                             matrix(w->head, VOCAB, WIDTH), request, requests, &w->masks, sampling, &err);
    ck_assert_msg(status == WZ_OK, "%s", err.text);
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
    uint32_t offset[REQUESTS + 9], *tokens, mask[REQUESTS];
    int32_t target[REQUESTS];
    float *hidden; /* one row a request */
    wz_mask_table masks;
} replay;

static void make_replay(replay *r)
{
    const uint32_t base = w->offset[7];
    r->tokens = malloc(sizeof(uint32_t) * (3 * VOCAB + (size_t)REQUESTS * VOCAB));
    r->hidden = malloc(sizeof(float) * REQUESTS * WIDTH);
    ck_assert(r->tokens != NULL && r->hidden != NULL);
    memcpy(r->offset, w->offset, sizeof w->offset);
    memcpy(r->tokens, w->tokens, base * sizeof(uint32_t));
    r->masks = (wz_mask_table){7, r->offset, r->tokens};
    for (int64_t i = 0; i < REQUESTS; i++) {
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
    float logp[REQUESTS], entropy[REQUESTS];
    sample(w->be, w->request, REQUESTS, &samplings[_i], w->result);
    make_replay(&r);
    w->be->ops->head_score_forward(w->be, logp, entropy, matrix(r.hidden, REQUESTS, WIDTH),
                                   matrix(w->head, VOCAB, WIDTH), r.target, r.mask, &r.masks,
                                   samplings[_i].temperature);
    for (int i = 0; i < REQUESTS; i++) {
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

START_TEST(head_sample_request_alone_or_on_any_threads_gives_the_same_bits)
{
    wz_sample_result one, many[REQUESTS];
    sample(w->be, w->request, REQUESTS, &samplings[_i], w->result);
    for (int i = 0; i < REQUESTS; i++) {
        sample(w->be, &w->request[i], 1, &samplings[_i], &one);
        ck_assert_msg(same_result(&one, &w->result[i]), "request %d (set %u) differs alone", i,
                      w->request[i].mask);
    }
    for (size_t threads = 1; threads <= 4; threads++) {
        wz_backend *be = cpu_backend_with(threads);
        sample(be, w->request, REQUESTS, &samplings[_i], many);
        for (int i = 0; i < REQUESTS; i++)
            ck_assert_msg(same_result(&many[i], &w->result[i]), "request %d differs on %zu threads", i,
                          threads);
        be->ops->destroy(be);
    }
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
    w->be->ops->head_score_forward(w->be, logp, entropy, matrix(w->hidden, ROWS, WIDTH),
                                   matrix(w->head, VOCAB, WIDTH), target, mask, &w->masks, 0.9f);
    for (int64_t i = 0; i < ROWS; i++) {
        w->be->ops->head_score_forward(w->be, &one_logp, &one_entropy,
                                       matrix(w->hidden + i * WIDTH, 1, WIDTH), matrix(w->head, VOCAB, WIDTH),
                                       target + i, mask + i, &w->masks, 0.9f);
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
    const double x = ((const entry *)a)->logit, y = ((const entry *)b)->logit;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Best first: top_k of them; of these the fewest whose probabilities sum to top_p; of these the ones with a probability
 * of at least min_p times the largest. */
static int64_t keep(const wz_sampling *s, entry *list, int64_t count)
{
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

START_TEST(head_sample_kept_set_is_that_of_the_definitions)
{
    const wz_sampling *s = &samplings[_i];
    static entry list[VOCAB];
    if (s->temperature <= 0.0f)
        return;
    sample(w->be, w->request, REQUESTS, s, w->result);
    for (int64_t i = 0; i < REQUESTS; i++) {
        const uint32_t set = w->request[i].mask;
        bool in_list[VOCAB] = {false}, token_kept = false;
        for (int64_t j = 0; j < allowed_count(set); j++) {
            double logit = 0.0;
            const uint32_t token = allowed_token(set, j);
            for (int64_t d = 0; d < WIDTH; d++)
                logit +=
                    (double)w->hidden[w->request[i].row * WIDTH + d] * (double)w->head[token * WIDTH + d];
            list[j] = (entry){logit / (double)s->temperature, token};
        }
        const int64_t kept = keep(s, list, allowed_count(set));
        ck_assert_int_eq(w->result[i].kept, kept);
        for (int64_t j = 0; j < kept; j++)
            in_list[list[j].token] = true;
        ck_assert(in_list[w->result[i].token]);
        for (int64_t j = 0; kept < allowed_count(set) && j < kept; j++) {
            const uint32_t token = w->kept[i * VOCAB + j];
            ck_assert(in_list[token] && (j == 0 || token > w->kept[i * VOCAB + j - 1]));
            token_kept = token_kept || token == w->result[i].token;
        }
        ck_assert(token_kept || kept == allowed_count(set));
    }
}
END_TEST

/* ---- the distribution ---- */

/* Chi-square of draws against softmax(logits / temperature): a false alarm in a million where z = 4.75 in the
 * Wilson-Hilferty approximation of its quantile; tokens expected under 5 times are counted together. */
static void check_frequencies(uint32_t set, float temperature)
{
    enum { DRAWS = 20000 };
    const int64_t count = allowed_count(set);
    wz_sample_request *request = malloc(sizeof *request * DRAWS);
    wz_sample_result *result = malloc(sizeof *result * DRAWS);
    static double p[VOCAB], seen[VOCAB];
    double sum = 0.0, chi = 0.0, rare = 0.0, rare_seen = 0.0;
    int64_t cells = 0;
    ck_assert(request != NULL && result != NULL);
    memset(seen, 0, sizeof seen);
    for (int64_t i = 0; i < DRAWS; i++)
        request[i] = (wz_sample_request){11, set, draw_key(i)};
    sample(w->be, request, DRAWS, &(wz_sampling){.temperature = temperature, .top_p = 1.0f}, result);
    for (int64_t i = 0; i < DRAWS; i++)
        seen[result[i].token] += 1.0;
    for (int64_t j = 0; j < count; j++) {
        double logit = 0.0;
        for (int64_t d = 0; d < WIDTH; d++)
            logit += (double)w->hidden[11 * WIDTH + d] * (double)w->head[allowed_token(set, j) * WIDTH + d];
        sum += p[j] = exp(logit / (double)temperature);
    }
    for (int64_t j = 0; j < count; j++) {
        const double expected = p[j] / sum * DRAWS, got = seen[allowed_token(set, j)];
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
    ck_assert_msg(chi < limit, "set %u at temperature %g: chi-square %.1f over %lld cells, limit %.1f", set,
                  (double)temperature, chi, (long long)cells, limit);
    free(request);
    free(result);
}

START_TEST(head_sample_frequencies_match_the_softmax)
{
    check_frequencies(2, 1.0f);
    check_frequencies(3, 1.0f);
    check_frequencies(4, 2.5f);
    check_frequencies(0, 1.0f);
    check_frequencies(0, 3.0f);
}
END_TEST

/* Three equal columns of the head; in another chunk of the vocabulary, in the same, and in a small set. Small integers
 * make every order of additions exact: equal columns are equal logits wherever sgemm computes them. */
START_TEST(head_sample_temperature_zero_ties_go_to_the_lowest_token)
{
    const uint32_t twins[3] = {151, 450,
                               1050}; /* 450 and 1050 lie in set 3 (multiples of 150), 151 does not */
    const wz_sampling greedy = {.temperature = 0.0f, .top_p = 1.0f};
    wz_sample_result result[2];
    for (int64_t i = 0; i < ROWS * WIDTH; i++)
        w->hidden[i] = (float)((int)random_below(15, 3, (uint64_t)i) - 7);
    for (int64_t i = 0; i < VOCAB * WIDTH; i++)
        w->head[i] = (float)((int)random_below(3, 4, (uint64_t)i) - 1);
    for (int64_t row = 0; row < ROWS; row++) {
        for (int t = 0; t < 3; t++)
            for (int64_t d = 0; d < WIDTH; d++)
                w->head[twins[t] * WIDTH + d] = 2.0f * w->hidden[row * WIDTH + d];
        const wz_sample_request request[2] = {{(int32_t)row, 0, draw_key(0)}, {(int32_t)row, 3, draw_key(1)}};
        sample(w->be, request, 2, &greedy, result);
        ck_assert_uint_eq(result[0].token, 151);
        ck_assert_uint_eq(result[1].token, 450);
    }
}
END_TEST

START_TEST(head_sample_nan_in_one_row_stays_in_that_row)
{
    wz_sample_result clean[REQUESTS];
    sample(w->be, w->request, REQUESTS, &samplings[_i], clean);
    w->hidden[70 * WIDTH + 3] = NAN;
    sample(w->be, w->request, REQUESTS, &samplings[_i], w->result);
    for (int i = 0; i < REQUESTS; i++) {
        const uint32_t set = w->request[i].mask;
        bool allowed = false;
        if (w->request[i].row != 70) {
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
    ck_assert_int_eq(w->be->ops->head_sample(w->be, w->result, NULL, 0, matrix(w->hidden, ROWS, WIDTH),
                                             matrix(w->head, VOCAB, WIDTH), w->request, REQUESTS, &w->masks,
                                             &s, &err),
                     WZ_ERR_RUNTIME);
    ck_assert_msg(strstr(err.text, "1048576") != NULL, "%s", err.text);
}
END_TEST

static Suite *head_suite(void)
{
    Suite *suite = suite_create("backend head");
    TCase *head = tcase_create("head");
    tcase_set_timeout(head, 120);
    tcase_add_checked_fixture(head, setup, teardown);
    tcase_add_loop_test(head, head_sample_logp_and_entropy_are_the_scorers_bits, 0, SAMPLINGS);
    tcase_add_loop_test(head, head_sample_request_alone_or_on_any_threads_gives_the_same_bits, 0, SAMPLINGS);
    tcase_add_test(head, head_score_row_is_the_same_among_any_rows);
    tcase_add_loop_test(head, head_sample_kept_set_is_that_of_the_definitions, 0, SAMPLINGS);
    tcase_add_test(head, head_sample_frequencies_match_the_softmax);
    tcase_add_test(head, head_sample_temperature_zero_ties_go_to_the_lowest_token);
    tcase_add_loop_test(head, head_sample_nan_in_one_row_stays_in_that_row, 0, SAMPLINGS);
    tcase_add_test(head, head_sample_key_out_of_range_is_an_error);
    suite_add_tcase(suite, head);
    return suite;
}

int main(void)
{
    return backend_main(head_suite());
}
