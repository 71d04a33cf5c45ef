#include "engine/run/benchmark_tasks.h"

#include <stdlib.h>
#include <string.h>

#include "engine/core/clock.h"
#include "engine/run/benchmark_training.h"

#define ROUNDS 5
#define STEPS 3

/* ---- problems and verdicts alone ---- */

typedef struct subject {
    const wz_config *config;
    const wz_verifier *verifier;
    wz_problem *problems;
    wz_reference *references;
    wz_text *answers; /* the reference's decision, as a compact completion */
    int64_t count;
} subject;

static void clear_problems(subject *s)
{
    for (int64_t i = 0; i < s->count; i++)
        wz_problem_clear(&s->problems[i]);
}

static wz_status generate(subject *s, wz_error *err)
{
    wz_status status = WZ_OK;
    clear_problems(s);
    for (int64_t i = 0; status == WZ_OK && i < s->count; i++)
        status = wz_problem_generate(s->config->task, s->config->task_values, 1, WZ_SPLIT_TRAIN, (uint32_t)i,
                                     &s->problems[i], err);
    return status;
}

static wz_status print(subject *s, wz_error *err)
{
    wz_text text = {0};
    wz_status status = WZ_OK;
    for (int64_t i = 0; status == WZ_OK && i < s->count; i++) {
        text.length = 0;
        status = wz_problem_print(&s->problems[i], WZ_PROMPT_COMPACT, &text, err);
    }
    wz_text_clear(&text);
    return status;
}

static wz_status refer(subject *s, wz_effort effort, wz_error *err)
{
    wz_status status = WZ_OK;
    for (int64_t i = 0; status == WZ_OK && i < s->count; i++)
        status = wz_reference_find(s->verifier, &s->problems[i], effort, NULL, &s->references[i], err);
    return status;
}

static wz_status refer_training(subject *s, wz_error *err)
{
    return refer(s, WZ_EFFORT_TRAINING, err);
}

static wz_status refer_evaluation(subject *s, wz_error *err)
{
    return refer(s, WZ_EFFORT_EVALUATION, err);
}

static wz_status verify(subject *s, wz_error *err)
{
    wz_status status = WZ_OK;
    wz_verdict verdict;
    for (int64_t i = 0; status == WZ_OK && i < s->count; i++)
        status = wz_verify(s->verifier, &s->problems[i], &s->references[i], WZ_PROMPT_COMPACT,
                           s->answers[i].data, s->answers[i].length, &verdict, err);
    return status;
}

/* Median seconds of `work` per problem. */
static wz_status time_work(subject *s, wz_status (*work)(subject *, wz_error *), double *seconds,
                           wz_error *err)
{
    double rounds[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        const double start = wz_now_s();
        const wz_status status = work(s, err);
        if (status != WZ_OK)
            return status;
        rounds[r] = (wz_now_s() - start) / (double)s->count;
    }
    *seconds = wz_benchmark_median(rounds, ROUNDS);
    return WZ_OK;
}

static wz_reference_kind weakest(const subject *s)
{
    wz_reference_kind kind = WZ_REFERENCE_OPTIMUM;
    for (int64_t i = 0; i < s->count; i++)
        kind = s->references[i].kind > kind ? s->references[i].kind : kind;
    return kind;
}

static wz_status write_answers(subject *s, wz_error *err)
{
    wz_status status = WZ_OK;
    for (int64_t i = 0; status == WZ_OK && i < s->count; i++) {
        unsigned decision[WZ_MAX_SLOTS];
        wz_answer_form form = {0};
        status = wz_reference_find(s->verifier, &s->problems[i], WZ_EFFORT_TRAINING, decision,
                                   &s->references[i], err);
        s->problems[i].task->answer_form(&s->problems[i], &form);
        if (status == WZ_OK)
            status = wz_form_print(&form, WZ_PROMPT_COMPACT, decision, &s->answers[i], err);
        if (status == WZ_OK)
            status = wz_text_printf(&s->answers[i], err, "</answer>");
    }
    return status;
}

static wz_status measure_alone(const wz_config *config, int64_t problems, wz_task_benchmark *out,
                               wz_error *err)
{
    subject s = {.config = config, .verifier = wz_verifier_find(config->task->name), .count = problems};
    void *block = NULL;
    if (s.verifier == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "task %s has no verifier", config->task->name);
    wz_status status =
        wz_alloc(&block, (size_t)problems, sizeof *s.problems + sizeof *s.references + sizeof *s.answers,
                 "a benchmark of tasks", err);
    if (status != WZ_OK)
        return status;
    s.problems = block;
    s.references = (wz_reference *)(s.problems + problems);
    s.answers = (wz_text *)(s.references + problems);
    status = time_work(&s, generate, &out->generate_s, err);
    if (status == WZ_OK)
        status = time_work(&s, print, &out->print_s, err);
    if (status == WZ_OK)
        status = time_work(&s, refer_evaluation, &out->exact_reference_s, err);
    out->evaluation_kind = weakest(&s);
    if (status == WZ_OK)
        status = time_work(&s, refer_training, &out->training_reference_s, err);
    out->training_kind = weakest(&s);
    if (status == WZ_OK)
        status = write_answers(&s, err);
    if (status == WZ_OK)
        status = time_work(&s, verify, &out->verify_s, err);
    for (int64_t i = 0; i < problems; i++)
        wz_text_clear(&s.answers[i]);
    clear_problems(&s);
    free(block);
    return status;
}

/* ---- within a training step ---- */

static wz_status measure_steps(wz_trainer *trainer, wz_task_benchmark *out, wz_error *err)
{
    double steps[STEPS], shares[STEPS];
    wz_status status = WZ_OK;
    for (int i = -1; status == WZ_OK && i < STEPS; i++) {
        wz_step_report report;
        const double start = wz_now_s();
        status = wz_trainer_step(trainer, i + 1, &report, err);
        if (i < 0)
            continue;
        steps[i] = wz_now_s() - start;
        shares[i] = report.verify_s / steps[i];
    }
    out->step_s = wz_benchmark_median(steps, STEPS);
    out->share = wz_benchmark_median(shares, STEPS);
    return status;
}

static wz_status measure_training(const wz_config *config, FILE *log, wz_task_benchmark *out, wz_error *err)
{
    wz_bench bench;
    wz_status status = wz_bench_open(config, log, &bench, err);
    if (status == WZ_OK)
        status = measure_steps(bench.trainer, out, err);
    wz_bench_close(&bench);
    return status;
}

wz_status wz_task_benchmark_run(const wz_config *config, bool all, int64_t problems, FILE *log,
                                wz_task_benchmark **out, size_t *count, wz_error *err)
{
    void *block = NULL;
    size_t families = 1;
    while (all && wz_tasks[families] != NULL)
        families++;
    wz_status status = wz_alloc(&block, families, sizeof **out, "a benchmark of tasks", err);
    wz_task_benchmark *results = block;
    for (size_t i = 0; status == WZ_OK && i < families; i++) {
        wz_config one = *config;
        if (all) {
            one.task = wz_tasks[i];
            wz_task_default_values(one.task, one.task_values);
        }
        results[i].task = one.task;
        status = measure_alone(&one, problems, &results[i], err);
        if (status == WZ_OK)
            status = measure_training(&one, log, &results[i], err);
        if (status != WZ_OK)
            status = wz_fail_prefix(err, status, "%s: ", one.task->name);
    }
    if (status != WZ_OK) {
        free(block);
        block = NULL;
    }
    *out = block;
    *count = families;
    return status;
}

/* ---- output ---- */

static wz_status write_json(const wz_task_benchmark *b, size_t count, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_array(&json);
    for (size_t i = 0; i < count; i++) {
        wz_json_begin_object(&json);
        wz_json_field_string(&json, "task", b[i].task->name);
        wz_json_field_number(&json, "generate_seconds", b[i].generate_s);
        wz_json_field_number(&json, "print_seconds", b[i].print_s);
        wz_json_field_number(&json, "training_reference_seconds", b[i].training_reference_s);
        wz_json_field_string(&json, "training_reference", wz_reference_kind_name(b[i].training_kind));
        wz_json_field_number(&json, "evaluation_reference_seconds", b[i].exact_reference_s);
        wz_json_field_string(&json, "evaluation_reference", wz_reference_kind_name(b[i].evaluation_kind));
        wz_json_field_number(&json, "verify_seconds", b[i].verify_s);
        wz_json_field_number(&json, "step_seconds", b[i].step_s);
        wz_json_field_number(&json, "share_of_step", b[i].share);
        wz_json_end_object(&json);
    }
    wz_json_end_array(&json);
    return wz_json_finish(&json);
}

wz_status wz_task_benchmark_write(const wz_task_benchmark *b, size_t count, bool as_json, wz_text *out,
                                  wz_error *err)
{
    if (as_json)
        return write_json(b, count, out, err);
    wz_status status = wz_text_printf(
        out, err, "%-18s %9s %8s %20s %20s %8s %10s %7s\n%-18s %9s %8s %20s %20s %8s %10s %7s\n", "",
        "generate", "print", "training reference", "evaluation reference", "verify", "step", "share", "task",
        "us", "us", "us", "us", "us", "ms", "");
    for (size_t i = 0; status == WZ_OK && i < count; i++)
        status = wz_text_printf(out, err, "%-18s %9.1f %8.1f %7.1f %-12s %7.1f %-12s %8.2f %10.1f %6.1f%%\n",
                                b[i].task->name, b[i].generate_s * 1e6, b[i].print_s * 1e6,
                                b[i].training_reference_s * 1e6, wz_reference_kind_name(b[i].training_kind),
                                b[i].exact_reference_s * 1e6, wz_reference_kind_name(b[i].evaluation_kind),
                                b[i].verify_s * 1e6, b[i].step_s * 1e3, b[i].share * 100.0);
    if (status == WZ_OK)
        status = wz_text_printf(
            out, err, "share: of a training step's time, problems, prompts, references and verdicts\n");
    return status;
}
