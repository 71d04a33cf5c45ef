/* Thinking before the answer: where a free part ends, what tries consist of, what carries loss; and that configurations which
 * cannot work are refused. */
#include <math.h>

#include "engine/grpo/update.h"
#include "engine/run/try_scores.h"
#include "rewards/reward.h"
#include "rewards/tries.h"
#include "tests/policy_fixture.h"
#include "tests/program.h"
#include "tests/suite.h"

static const uint32_t *tokens_of(const wz_pack *pack, int64_t c)
{
    return pack->tokens + c * pack->completion_stride;
}

static uint8_t origin(const wz_pack *pack, int64_t c, int32_t place)
{
    return pack->origins[c * pack->completion_stride + place];
}

/* The text of a completion's first tokens. */
static void text_of(const wz_pack *pack, int64_t c, int32_t count, wz_text *out)
{
    out->length = 0;
    OK(wz_text_append(out, "", 0, &f.err));
    OK(wz_tokenizer_decode(f.policy->tokenizer, tokens_of(pack, c), (size_t)count, true, out, &f.err));
}

/* ---- a free part ---- */

/* A vocabulary in which "</think>" takes two tokens, which uniform sampling finds soon enough; encoding, which cuts before
 * and after letters, writes it with three. */
static void write_tokenizer(const char *path)
{
    static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDE0123456789<>/\n.,()^|:;-'+=*\"";
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    (void)fprintf(
        file,
        "{\"version\":\"1.0\",\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":{\"type\":"
        "\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},"
        "\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
        "\"trim_offsets\":true,\"use_regex\":true},\"model\":{\"type\":\"BPE\",\"vocab\":{\"\\u0120\":0");
    int id = 1;
    for (const char *b = bytes; *b != '\0'; b++)
        if (*b == '\n')
            (void)fprintf(file, ",\"\\u010a\":%d", id++);
        else
            (void)fprintf(file, ",\"%s%c\":%d", *b == '"' ? "\\" : "", *b, id++);
    static const char *const made[] = {"th", "thi", "thin", "think", "</", "</think"};
    for (size_t i = 0; i < 6; i++)
        (void)fprintf(file, ",\"%s\":%d", made[i], id++);
    (void)fprintf(file, "},\"merges\":[[\"t\",\"h\"],[\"th\",\"i\"],[\"thi\",\"n\"],[\"thin\",\"k\"],[\"<\","
                        "\"/\"],[\"</\",\"think\"]]}}");
    ck_assert_int_eq(fclose(file), 0);
}

/* What ends a free part, found in its text token by token. */
typedef struct ending {
    int32_t length;
    bool closed, text_ended;
} ending;

static ending find_ending(const wz_pack *pack, int64_t c, int32_t budget)
{
    ending e = {0, false, false};
    wz_text text = {0};
    const int64_t end = wz_tokenizer_end_id(f.policy->tokenizer);
    while (e.length < budget && !e.closed && !e.text_ended) {
        e.text_ended = (int64_t)tokens_of(pack, c)[e.length] == end;
        text_of(pack, c, ++e.length, &text);
        e.closed = strstr(text.data, "</think>") != NULL;
    }
    wz_text_clear(&text);
    return e;
}

/* After a free part of that length: the tags, appended, and the answer. */
static void check_frame(const rolled *r, int64_t c, const ending *e, const char *opening)
{
    const wz_pack *pack = r->batch->packs[0];
    wz_text all = {0}, part = {0};
    text_of(pack, c, pack->length[c], &all);
    text_of(pack, c, e->length, &part);
    for (int32_t i = 0; i < e->length; i++) {
        ck_assert_int_eq(origin(pack, c, i), WZ_ORIGIN_SAMPLED);
        ck_assert_uint_eq(pack->masks[c * pack->completion_stride + i], 0);
    }
    char expected[64];
    const int frame = snprintf(expected, sizeof expected, "%s%s", e->closed ? "" : "</think>", opening);
    ck_assert_int_eq(strncmp(all.data + part.length, expected, (size_t)frame), 0);
    int32_t place = e->length;
    for (size_t at = part.length; at < part.length + (size_t)frame; place++) {
        size_t length = 0;
        ck_assert_int_eq(origin(pack, c, place), WZ_ORIGIN_FORCED);
        (void)wz_tokenizer_token_bytes(f.policy->tokenizer, tokens_of(pack, c)[place], &length);
        at += length;
    }
    ck_assert_int_eq(r->batch->verdicts[c].kind, WZ_VERDICT_FEASIBLE);
    ck_assert_int_eq(pack->finished[c], 1);
    /* the answer re-encodes to itself */
    const char *answer = all.data + part.length + frame;
    wz_ids ids = {0};
    OK(wz_tokenizer_encode(f.policy->tokenizer, answer, strlen(answer), false, &ids, &f.err));
    ck_assert_uint_eq(ids.length, (size_t)(pack->length[c] - place));
    ck_assert_mem_eq(ids.data, tokens_of(pack, c) + place, ids.length * sizeof *ids.data);
    wz_ids_clear(&ids);
    wz_text_clear(&all);
    wz_text_clear(&part);
}

/* Uniform draws of the built-in vocabulary's 1,600 tokens, and of 67. */
static const struct {
    const char *keys, *opening;
    int32_t budget;
} vocabularies[] = {{"thinking_budget=40", "<answer>", 40},
                    {"thinking_budget=40 prompt_style=full", "\n<answer>", 40},
                    {"thinking_budget=100", "<answer>", 100}};

START_TEST(thinking_ends_where_its_text_says_or_with_its_budget)
{
    temporary where;
    char keys[640], path[560] = "";
    temporary_create(&where);
    if (_i == 2) {
        (void)snprintf(path, sizeof path, "tokenizer_file=%s", temporary_path(&where, "tokenizer.json"));
        write_tokenizer(temporary_path(&where, "tokenizer.json"));
    }
    (void)snprintf(keys, sizeof keys, "%s model.zero_init_head=true %s", vocabularies[_i].keys, path);
    make_policy(keys);
    rolled r = roll(0, 8, 32, 8, 0, plain);
    OK(wz_batch_verify(r.batch, &f.err));
    const wz_pack *pack = r.batch->packs[0];
    int64_t closed = 0, cut = 0, ended = 0, tokens = 0;
    wz_thought_scores scores = {0};
    for (int64_t c = 0; c < pack->completions; c++) {
        const ending e = find_ending(pack, c, vocabularies[_i].budget);
        ck_assert_int_eq(pack->think_length[c], e.length);
        ck_assert_int_eq(pack->think_cut[c], !e.closed && !e.text_ended);
        tokens += e.length;
        closed += e.closed;
        cut += !e.closed && !e.text_ended;
        ended += e.text_ended;
        if (!e.text_ended) {
            check_frame(&r, c, &e, vocabularies[_i].opening);
            continue;
        }
        ck_assert_int_eq(pack->length[c], e.length);
        ck_assert_int_eq(pack->finished[c], 1);
        ck_assert_int_eq(r.batch->verdicts[c].kind, WZ_VERDICT_NO_ANSWER);
    }
    wz_thought_add(&scores, r.batch); /* what evaluations print of them */
    wz_thought_finish(&scores, pack->completions);
    ck_assert_double_eq_tol(scores.tokens, (double)tokens / (double)pack->completions, 1e-12);
    ck_assert_double_eq_tol(scores.cut, (double)cut / (double)pack->completions, 1e-12);
    ck_assert_int_gt(cut, 0);
    ck_assert_int_gt(closed, 0);
    ck_assert_int_eq(ended > 0, _i != 2); /* the small vocabulary has no end of text */
    ck_assert_int_le(pack->segments.rows, pack->row_capacity);
    drop_rolled(&r);
    drop_policy();
    temporary_remove(&where);
}
END_TEST

/* Without a grammar only a spent budget appends anything. */
START_TEST(thinking_without_grammar_is_closed_at_its_budget)
{
    make_policy("thinking_budget=5 answer_grammar=false max_completion_length=12");
    rolled r = roll(0, 4, 8, 4, 0, plain);
    const wz_pack *pack = r.batch->packs[0];
    const wz_ids *close = &f.policy->thinking.close;
    int64_t cut = 0;
    for (int64_t c = 0; c < pack->completions; c++) {
        int32_t appended = 0;
        for (int32_t i = 0; i < pack->length[c]; i++)
            appended += origin(pack, c, i) != WZ_ORIGIN_SAMPLED;
        ck_assert_int_eq(appended, pack->think_cut[c] ? (int32_t)close->length : 0);
        if (pack->think_cut[c])
            ck_assert_mem_eq(tokens_of(pack, c) + 5, close->data, close->length * sizeof *close->data);
        cut += pack->think_cut[c];
    }
    ck_assert_int_gt(cut, 0);
    drop_rolled(&r);
    drop_policy();
}
END_TEST

/* ---- tries ---- */

#define TRIES 4

/* The reply to a candidate " A b c", from its verdict alone. */
static int expected_number(const wz_batch *batch, int64_t c, const char *body, size_t length)
{
    const int64_t g = c / batch->generations;
    const wz_reference *reference = &batch->references[g];
    wz_text answer = {0};
    wz_verdict verdict;
    OK(wz_text_printf(&answer, &f.err, "%.*s</answer>", (int)length, body));
    OK(wz_verify(batch->verifiers[g], &batch->problems[g], reference, WZ_PROMPT_COMPACT, answer.data,
                 answer.length, &verdict, &f.err));
    wz_text_clear(&answer);
    ck_assert_int_eq(verdict.kind, WZ_VERDICT_FEASIBLE);
    const double f0 = reference->best_trivial;
    return (int)fmin(floor(1000.0 * verdict.objective / (verdict.objective + f0) + 0.5), 999.0);
}

/* Reads the frame word by word; the candidates it tried. */
static int check_tries_text(const wz_batch *batch, int64_t c, const char *text)
{
    const char *bodies[TRIES];
    size_t lengths[TRIES];
    int count = 0, highest = -1;
    while (strncmp(text, " try", 4) == 0) {
        char reply[32];
        ck_assert_int_lt(count, TRIES);
        bodies[count] = text + 4;
        lengths[count] = (size_t)(strstr(text, " score") - bodies[count]);
        const int number = expected_number(batch, c, bodies[count], lengths[count]);
        const int length =
            snprintf(reply, sizeof reply, " score %d%s", number, number > highest ? " best" : "");
        text = bodies[count] + lengths[count];
        ck_assert_int_eq(strncmp(text, reply, (size_t)length), 0);
        text += length;
        highest = number > highest ? number : highest;
        for (int j = 0; j < count; j++)
            ck_assert(lengths[j] != lengths[count] || memcmp(bodies[j], bodies[count], lengths[j]) != 0);
        count++;
    }
    ck_assert_int_gt(count, 0);
    ck_assert_int_eq(strncmp(text, "</think><answer>", 16), 0);
    text += 16;
    int repeated = 0;
    const bool chooses = f.config.verifier_answer == WZ_VERIFIER_ANSWER_CHOSEN;
    for (int j = 0; j < count; j++) /* else the best one */
        repeated += (chooses || expected_number(batch, c, bodies[j], lengths[j]) == highest) &&
                    strncmp(text, bodies[j], lengths[j]) == 0 && strcmp(text + lengths[j], "</answer>") == 0;
    ck_assert_int_eq(repeated, 1);
    return count;
}

/* links 2 on/off has 4 answers: the last of 4 tries has nothing left to choose. */
static const char *const problems[] = {"task.links=3 task.levels=3 verifier_answer=chosen",
                                       "task.links=2 task.levels=2 verifier_answer=chosen",
                                       "task.links=4 task.levels=2"};

START_TEST(tries_are_new_candidates_with_their_worth_and_one_is_the_answer)
{
    char keys[128];
    (void)snprintf(keys, sizeof keys, "verifier_tries=4 %s", problems[_i]);
    make_policy(keys);
    rolled r = roll(0, 8, 8, 8, 0, plain);
    OK(wz_batch_verify(r.batch, &f.err));
    const wz_pack *pack = r.batch->packs[0];
    int64_t early = 0, all = 0;
    for (int64_t c = 0; c < pack->completions; c++) {
        const wz_text *text = &r.batch->completions[c];
        wz_ids ids = {0};
        const int count = check_tries_text(r.batch, c, text->data);
        ck_assert_int_eq(pack->tries[c], count);
        ck_assert_int_eq(r.batch->verdicts[c].kind, WZ_VERDICT_FEASIBLE);
        early += count < TRIES;
        all += count == TRIES;
        /* the whole completion is the tokenizer's own encoding of its text */
        OK(wz_tokenizer_encode(f.policy->tokenizer, text->data, text->length, false, &ids, &f.err));
        ck_assert_uint_eq(ids.length, (size_t)pack->length[c]);
        ck_assert_mem_eq(ids.data, tokens_of(pack, c), ids.length * sizeof *ids.data);
        wz_ids_clear(&ids);
    }
    ck_assert_int_gt(early, 0);
    ck_assert_int_gt(all, 0);
    ck_assert_int_le(pack->segments.rows, pack->row_capacity);
    drop_rolled(&r);
    drop_policy();
}
END_TEST

/* Sampled tokens are the decisions, and inserted ones are none; nor are they taught. */
START_TEST(inserted_tokens_carry_no_loss)
{
    make_policy("verifier_tries=3 task.links=3 task.levels=2");
    rolled r = roll(0, 3, 4, 3, 2, plain);
    wz_pack *pack = r.batch->packs[0];
    const wz_model *model = f.policy->model;
    int64_t sampled = 0, inserted = 0, taught = 0;
    for (int64_t c = 0; c < pack->completions; c++)
        for (int32_t i = 0; i < pack->length[c]; i++) {
            sampled += origin(pack, c, i) == WZ_ORIGIN_SAMPLED;
            inserted += origin(pack, c, i) == WZ_ORIGIN_INSERTED;
            taught += origin(pack, c, i) != WZ_ORIGIN_INSERTED && c % 4 < 2;
        }
    ck_assert_int_gt(inserted, 0);
    ck_assert_int_eq(pack->decisions.count, sampled);
    ck_assert_int_eq(pack->lessons.count, taught);
    for (int64_t i = 0; i < pack->decisions.count; i++)
        ck_assert_int_eq(origin(pack, pack->decisions.completion[i], pack->decisions.place[i]),
                         WZ_ORIGIN_SAMPLED);
    /* The head's gradient of the loss without lessons: rows of tokens that no decision allowed, all numbers among them, are
     * exactly 0; those of what was chosen from are not. */
    const wz_loss_options loss = {
        .type = WZ_LOSS_DAPO, .epsilon = 0.2, .epsilon_high = 0.2, .entropy_coef = 0.05};
    double advantage[12];
    for (int c = 0; c < 12; c++)
        advantage[c] = c % 2 == 0 ? 1.0 : -1.0;
    const wz_loss_totals totals = {.completions = 12, .tokens = pack->decisions.count, .micro_batches = 1};
    wz_apart apart;
    wz_backward *backward = NULL;
    wz_pack_scores scores = {0};
    OK(wz_apart_create(model, false, &apart, &f.err));
    OK(wz_backward_create(model, wz_batch_rows(r.batch), &backward, &f.err));
    f.backend->ops->fill_zero(f.backend, model->gradients, (size_t)model->floats * sizeof(float));
    wz_apart_zero(&apart);
    const wz_pack_update update = {.model = model,
                                   .apart = &apart,
                                   .activations = r.activations,
                                   .backward = backward,
                                   .pack = pack,
                                   .temperature = 1.0f,
                                   .loss = &loss,
                                   .totals = &totals,
                                   .advantage = advantage};
    OK(wz_pack_gradients(&update, &scores, &f.err));
    wz_apart_join(&apart);
    uint8_t *allowed = calloc((size_t)model->config.vocab_size, 1);
    ck_assert_ptr_nonnull(allowed);
    for (int64_t i = 0; i < pack->decisions.count; i++)
        for (uint32_t k = 0; k < set_size(pack, pack->decisions.mask[i]); k++)
            allowed[pack->mask_tokens[pack->mask_offset[pack->decisions.mask[i]] + k]] = 1;
    const wz_linear head = wz_model_head(model);
    const float *gradient = model->gradients + ((const float *)head.weight.data - model->weights);
    for (int64_t t = 0; t < model->config.vocab_size; t++) {
        double norm = 0.0;
        for (int64_t k = 0; k < model->config.hidden_size; k++)
            norm += fabs((double)gradient[t * model->config.hidden_size + k]);
        ASSERT_EACH((norm > 0.0) == (allowed[t] == 1), "token %lld: %g", (long long)t, norm);
    }
    free(allowed);
    wz_pack_scores_clear(&scores);
    wz_backward_destroy(backward);
    wz_apart_clear(&apart);
    drop_rolled(&r);
    drop_policy();
}
END_TEST

/* By hand, with f0 = 2: 1000 f / (f + 2); and where no trivial policy is worth anything, f0 = 1. */
START_TEST(try_number_is_the_share_against_the_best_trivial_policy)
{
    static const struct {
        double objective, trivial;
        int number;
    } cases[] = {{2, 2, 500}, {0, 2, 0},   {6, 2, 750},     {1e9, 2, 999},
                 {3, 0, 750}, {1, 2, 333}, {2.004, 2, 500}, {2.005, 2, 501}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const wz_outcome outcome = {.feasible = true, .objective = cases[i].objective};
        const wz_reference reference = {.objective = 7, .best_trivial = cases[i].trivial};
        ck_assert_int_eq(wz_try_number(&outcome, &reference), cases[i].number);
    }
    const wz_outcome infeasible = {.feasible = false};
    const wz_reference reference = {.objective = 7, .best_trivial = 2};
    ck_assert_int_eq(wz_try_number(&infeasible, &reference), -1);
}
END_TEST

/* ---- verdicts, rewards, configurations ---- */

START_TEST(verdict_is_of_what_follows_the_thinking)
{
    static const struct {
        wz_prompt_style style;
        const char *text;
        wz_verdict_kind kind;
    } cases[] = {
        {WZ_PROMPT_COMPACT, "hm</think><answer> A b</answer>", WZ_VERDICT_FEASIBLE},
        {WZ_PROMPT_COMPACT, "<answer> a a</answer></think><answer> A b</answer>", WZ_VERDICT_FEASIBLE},
        {WZ_PROMPT_COMPACT, "hm</think> <answer> A b</answer>", WZ_VERDICT_NO_ANSWER},
        {WZ_PROMPT_COMPACT, "hm<answer> A b</answer>", WZ_VERDICT_NO_ANSWER},
        {WZ_PROMPT_COMPACT, "hm</think> A b</answer>", WZ_VERDICT_NO_ANSWER},
        {WZ_PROMPT_COMPACT, "</think><answer> A b</answer></think>", WZ_VERDICT_TRAILING_TEXT},
        {WZ_PROMPT_COMPACT, "</think><answer> A b</answer><answer>", WZ_VERDICT_MANY_ANSWERS},
        {WZ_PROMPT_COMPACT, "", WZ_VERDICT_NO_ANSWER},
        {WZ_PROMPT_FULL, "hm</think>\n<answer> 0 1</answer>", WZ_VERDICT_FEASIBLE},
        {WZ_PROMPT_FULL, "<answer>0 0</answer></think>so <answer>1, 0</answer>\n", WZ_VERDICT_FEASIBLE},
        {WZ_PROMPT_FULL, "<answer>1 0</answer>", WZ_VERDICT_NO_ANSWER},
    };
    double values[WZ_TASK_MAX_OPTIONS];
    const wz_task *task = wz_task_find("power_control");
    wz_problem problem;
    wz_reference reference;
    memset(&f, 0, sizeof f);
    wz_task_default_values(task, values);
    values[task->size_option] = 2;
    OK(wz_problem_generate(task, values, 1, WZ_SPLIT_TEST, 0, &problem, &f.err));
    const wz_verifier *verifier = wz_verifier_find("power_control");
    OK(wz_reference_find(verifier, &problem, WZ_EFFORT_TRAINING, NULL, &reference, &f.err));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wz_verdict verdict;
        OK(wz_verify_thought(verifier, &problem, &reference, cases[i].style, cases[i].text,
                             strlen(cases[i].text), &verdict, &f.err));
        ck_assert_msg(verdict.kind == cases[i].kind, "\"%s\": %s", cases[i].text, verdict.reason);
    }
    wz_problem_clear(&problem);
}
END_TEST

/* Yu et al. 2025, eq. 13, with L = 20 and a buffer of 8: 0 up to 12, then a line to -1 at 20. */
START_TEST(overlong_penalty_is_a_line_over_the_buffer)
{
    const wz_reward_options line = {
        .max_completion_length = 20, .overlong_buffer = 8, .overlong_penalty = 1.0};
    const wz_reward_options none = {.max_completion_length = 20, .overlong_penalty = 1.0};
    ck_assert_double_eq(wz_reward_overlong(&line, 1), 0.0);
    ck_assert_double_eq(wz_reward_overlong(&line, 12), 0.0);
    ck_assert_double_eq(wz_reward_overlong(&line, 14), -0.25);
    ck_assert_double_eq(wz_reward_overlong(&line, 19), -0.875);
    ck_assert_double_eq(wz_reward_overlong(&line, 20), -1.0);
    ck_assert_double_eq(wz_reward_overlong(&line, 25), -1.0);
    ck_assert_double_eq(wz_reward_overlong(&none, 20), 0.0);
}
END_TEST

static program p;

static void make_place(void)
{
    program_create(&p);
}

static void remove_place(void)
{
    program_destroy(&p);
}

START_TEST(train_refuses_thinking_that_cannot_work)
{
    static const struct {
        const char *keys, *text;
    } cases[] = {
        {"thinking_budget=4 verifier_tries=2", "thinking_budget (4) and verifier_tries (2) are both set"},
        {"verifier_tries=2 answer_grammar=false", "set answer_grammar: true"},
        {"thinking_budget=512", "leaves no room for an answer"},
        {"thinking_budget=14 max_completion_length=16", "leaves no room for an answer"},
        {"verifier_tries=4 max_completion_length=20", "more than max_completion_length (20)"},
        {"overlong_buffer=512", "overlong_buffer (512) must be less"},
        {"prompt_style=full", "set thinking_budget"},
        {"verifier_tries=17", "verifier_tries"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        program_fail(&p, 2, cases[i].text, "train " TINY " output_dir=@/run%zu %s", i, cases[i].keys);
}
END_TEST

#ifndef WZ_SANITIZED
/* Killed at a file operation in the middle, then resumed. */
START_TEST(resume_with_thinking_gives_the_whole_run)
{
    static const char *const ways[] = {
        "thinking_budget=4 max_completion_length=16 overlong_buffer=6 overlong_penalty=0.1",
        "verifier_tries=2"};
    char *environment[] = {"WZ_FAULT_CALL=rename", "WZ_FAULT_AT=4", "WZ_FAULT_KILL=1",
                           "LD_PRELOAD=" WZ_FAULT_PRELOAD, NULL};
    program_succeed(&p, "train " TINY " output_dir=@/whole %s", ways[_i]);
    p.environment = environment;
    ck_assert_int_eq(program_run(&p, "train " TINY " output_dir=@/killed %s", ways[_i]), 1000 + SIGKILL);
    p.environment = NULL;
    program_succeed(&p, "resume @/killed");
    assert_same_run(&p, "whole", "killed", TINY_STEPS);
}
END_TEST
#endif

START_TEST(train_logs_what_thinking_took)
{
    static const char *const names[] = {"completions/think_length", "completions/think_clipped_ratio",
                                        "rewards/overlong/mean"};
    wz_text rows = {0};
    program_succeed(&p, "train " TINY " output_dir=@/run max_steps=1 eval_steps=0 thinking_budget=5 "
                        "max_completion_length=16 overlong_buffer=8 overlong_penalty=2");
    read_rows(temporary_path(&p.where, "run/metrics.jsonl"), &rows);
    *strchr(rows.data, '\n') = '\0';
    json_t *row = json_loads(rows.data, 0, NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(json_is_number(json_object_get(row, names[i])), "no %s in %s", names[i], rows.data);
    /* 5 thoughts, 2 tags, 4 switches and a tag: 12 tokens are 4 of 8 over, at twice the weight, where nothing closed early */
    const double cut = json_number_value(json_object_get(row, names[1])),
                 overlong = json_number_value(json_object_get(row, names[2]));
    ck_assert_double_gt(cut, 0.9);
    ck_assert_double_le(overlong, -cut * 2.0 * 4.0 / 8.0 + 1e-12);
    ck_assert_double_ge(overlong, -2.0 * 4.0 / 8.0 - 1e-12);
    json_decref(row);
    wz_text_clear(&rows);
}
END_TEST

START_TEST(eval_prints_the_score_by_tries)
{
    program_succeed(&p, "train " TINY " output_dir=@/run max_steps=2 eval_steps=0 verifier_tries=3");
    program_succeed(&p, "eval @/run/checkpoints/step-00000002.h5 --problems 50 --json");
    json_t *json = json_loads(p.out, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(json != NULL, "no JSON: %s", p.out);
    const json_t *tries = json_object_get(json, "tries"), *best = json_object_get(tries, "best_of");
    const double answer =
        json_number_value(json_object_get(json_object_get(json, "objective_ratio"), "mean"));
    double before = 0.0;
    ck_assert_int_eq(json_integer_value(json_object_get(tries, "most")), 3);
    ck_assert_uint_eq(json_array_size(best), 3);
    ck_assert_uint_eq(json_array_size(json_object_get(tries, "random_best_of")), 3);
    for (size_t k = 0; k < 3; k++) {
        const json_t *ratio = json_object_get(json_array_get(best, k), "objective_ratio");
        ck_assert_double_ge(json_number_value(json_object_get(ratio, "mean")), before);
        before = json_number_value(json_object_get(ratio, "mean"));
    }
    ck_assert_double_le(answer, before); /* one of the candidates */
    json_decref(json);
    /* a checkpoint may be given other tries */
    program_succeed(&p, "eval @/run/checkpoints/step-00000002.h5 --problems 20 verifier_tries=1");
    ck_assert_ptr_nonnull(strstr(p.out, "tried, best of 1"));
    ck_assert_ptr_null(strstr(p.out, "tried, best of 2"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("thinking");
    TCase *tests = tcase_create("thinking"), *runs = tcase_create("runs");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, thinking_ends_where_its_text_says_or_with_its_budget, 0, 3);
    tcase_add_test(tests, thinking_without_grammar_is_closed_at_its_budget);
    tcase_add_loop_test(tests, tries_are_new_candidates_with_their_worth_and_one_is_the_answer, 0, 3);
    tcase_add_test(tests, inserted_tokens_carry_no_loss);
    tcase_add_test(tests, try_number_is_the_share_against_the_best_trivial_policy);
    tcase_add_test(tests, verdict_is_of_what_follows_the_thinking);
    tcase_add_test(tests, overlong_penalty_is_a_line_over_the_buffer);
    tcase_set_timeout(runs, 120);
    tcase_add_checked_fixture(runs, make_place, remove_place);
    tcase_add_test(runs, train_refuses_thinking_that_cannot_work);
#ifndef WZ_SANITIZED
    tcase_add_loop_test(runs, resume_with_thinking_gives_the_whole_run, 0, 2);
#endif
    tcase_add_test(runs, train_logs_what_thinking_took);
    tcase_add_test(runs, eval_prints_the_score_by_tries);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, runs);
    return run_suite(suite);
}
