/* The model card of an export: what the policy is, how well it does, how to ask it, and how it was trained. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/file.h"
#include "engine/run/environment.h"
#include "engine/run/evaluate.h"
#include "engine/run/export.h"
#include "engine/run/portable.h"

/* Untaught, or not taught for long enough, a policy that decodes freely writes to the length limit. A few problems show that as
 * well as many, and in small batches, between which a request to stop is noticed. */
#define FIRST_PROBLEMS 50
#define FIRST_BATCH 8
#define KEEPS 0.99        /* share of valid free answers from which a policy keeps to its grammar */
#define KEEPS_IN_PART 0.5 /* and from which it does so in part */

/* What was measured for the card. */
typedef struct measured {
    double score, free_score, free_valid; /* mean ratios; share of valid answers */
    int64_t free_problems;                /* 0: nothing was decoded freely */
} measured;

static const char *or_else(const char *text, const char *otherwise)
{
    return text[0] != '\0' ? text : otherwise;
}

/* A scalar of the front matter, in quotes where YAML would read it as something else. */
static wz_status write_scalar(const char *key, const char *value, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(out, err, "%s: \"", key);
    for (const char *c = value; status == WZ_OK && *c != '\0'; c++)
        if ((unsigned char)*c >= 0x20)
            status = wz_text_printf(out, err, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
    return status == WZ_OK ? wz_text_append(out, "\"\n", 2, err) : status;
}

static wz_status write_front_matter(const wz_export *r, const wz_portable *model, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(out, err, "---\n");
    if (status == WZ_OK && model->license[0] != '\0')
        status = write_scalar("license", model->license, out, err);
    if (status == WZ_OK && model->base_model[0] != '\0')
        status = write_scalar("base_model", model->base_model, out, err);
    return status == WZ_OK ? wz_text_printf(out, err,
                                            "pipeline_tag: text-generation\n"
                                            "tags: [wavezero, grpo, wireless, %s]\n---\n\n",
                                            r->config->task->name)
                           : status;
}

static const char *demonstrations(const wz_export *r)
{
    return r->config->sft_file[0] != '\0' ? "completions from a file" : "the answers of reference solvers";
}

/* What was done to which weights: reinforcement learning, supervision before it, or nothing. */
static wz_status write_history(const wz_export *r, const wz_portable *model, wz_text *out, wz_error *err)
{
    static const char random[] = "random weights";
    const char *origin = or_else(model->base_model, or_else(r->config->init_from, random));
    const long long supervised = r->config->sft_steps < r->step ? r->config->sft_steps : r->step;
    if (r->step == 0)
        return wz_text_printf(out, err, "%s%s, of which Wavezero has trained nothing.\n\n",
                              strcmp(origin, random) == 0 ? "" : "the weights are those of ", origin);
    if (supervised == r->step)
        return wz_text_printf(
            out, err, "trained by supervised learning with Wavezero from %s for %lld steps, by %s.\n\n",
            origin, supervised, demonstrations(r));
    wz_status status = wz_text_printf(
        out, err,
        "trained by reinforcement learning with Wavezero's GRPO from %s for %lld steps; answers were scored "
        "by a verifier against a reference optimum, and ",
        origin, (long long)r->step - supervised);
    if (status != WZ_OK || supervised == 0)
        return status == WZ_OK ? wz_text_printf(out, err, "no demonstrations were used.\n\n") : status;
    return wz_text_printf(out, err, "%lld steps before these were supervised, by %s.\n\n", supervised,
                          demonstrations(r));
}

/* Where in its run the weights were taken: best.h5 may be far from the end. */
static wz_status write_step(const wz_export *r, wz_text *out, wz_error *err)
{
    const char *slash = strrchr(r->checkpoint, '/'), *file = slash != NULL ? slash + 1 : r->checkpoint;
    if (r->step == 0 || r->step >= r->config->max_steps)
        return WZ_OK;
    return wz_text_printf(
        out, err, "The weights are those after step %lld of the %lld that the run was set to%s.\n\n",
        (long long)r->step, (long long)r->config->max_steps,
        strcmp(file, "best.h5") == 0
            ? ": `best.h5` keeps the step of the best held-out score, the first of equal ones"
            : "");
}

static wz_status write_summary(const wz_export *r, const wz_portable *model, wz_text *out, wz_error *err)
{
    char name[sizeof model->name + 64];
    (void)snprintf(name, sizeof name, "%s%s", model->name[0] != '\0' ? model->name : r->config->task->name,
                   model->name[0] != '\0' ? "" : " policy");
    const char *digest = r->policy->base_digest;
    wz_status status = wz_text_printf(
        out, err, "# %s\n\nA %s policy of %lld parameters for wireless optimisation (%s: %s); ", name,
        wz_model_type_names[model->model.model_type], (long long)wz_model_parameter_count(r->policy->model),
        r->config->task->name, r->config->task->title);
    if (status == WZ_OK)
        status = write_history(r, model, out, err);
    if (status == WZ_OK)
        status = write_step(r, out, err);
    if (status == WZ_OK)
        status = wz_text_printf(out, err, "Licence: %s. Format: %s, type %s.\n\n",
                                or_else(model->license, "unknown (give one with --license)"),
                                r->format->title, wz_number_type_names[r->type]);
    if (status != WZ_OK || !r->format->is_adapters)
        return status;
    return wz_text_printf(
        out, err, "These are adapters alone (rank %lld, alpha %g): load them beside %s%s%s.\n\n",
        (long long)model->lora.rank, model->lora.alpha,
        or_else(model->adapted, "the weights that they were trained on"),
        digest[0] != '\0' ? ", a model whose weights have in Wavezero the digest " : "", digest);
}

/* ---- how well it does ---- */

static wz_status evaluate(const wz_export *r, wz_policy *policy, int64_t problems, int64_t batch,
                          bool baselines, wz_evaluation *evaluation, wz_error *err)
{
    const wz_eval_options options = {.task = r->config->task,
                                     .values = r->config->task_values,
                                     .style = (wz_prompt_style)r->config->prompt_style,
                                     .seed = (uint64_t)r->config->seed,
                                     .split = WZ_SPLIT_TEST,
                                     .problems = problems,
                                     .batch_size = batch,
                                     .sampling = {.temperature = 0.0f, .top_p = 1.0f},
                                     .samples = 1,
                                     .baselines = baselines,
                                     .max_completion_length = r->config->max_completion_length,
                                     .stop = r->stop};
    return wz_evaluate(policy, &options, NULL, NULL, evaluation, err);
}

static wz_status write_table(const wz_evaluation *evaluation, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_append(out, "```\n", 4, err);
    if (status == WZ_OK)
        status = wz_evaluation_write_table(evaluation, out, err);
    return status == WZ_OK ? wz_text_append(out, "```\n\n", 5, err) : status;
}

/* As a runtime without a grammar decodes; all problems only if one of the first is answered. */
static wz_status write_free_evaluation(const wz_export *r, measured *m, wz_text *out, wz_error *err)
{
    wz_error why = {{0}};
    if (wz_policy_check_free(r->policy, &why) != WZ_OK)
        return wz_text_printf(out, err, "Decoding freely was not measured: %s.\n\n", why.text);
    wz_policy policy = wz_policy_without_grammar(r->policy);
    wz_evaluation evaluation;
    int64_t problems = r->eval_problems < FIRST_PROBLEMS ? r->eval_problems : FIRST_PROBLEMS;
    wz_status status = evaluate(r, &policy, problems, FIRST_BATCH, false, &evaluation, err);
    if (status == WZ_OK && evaluation.policy.valid > 0 && problems < r->eval_problems) {
        problems = r->eval_problems;
        status = evaluate(r, &policy, problems, r->config->eval_batch_size, false, &evaluation, err);
    }
    if (status != WZ_OK)
        return status;
    *m = (measured){m->score, evaluation.policy.mean, evaluation.policy.valid, problems};
    status = wz_text_printf(out, err, "The same, decoding freely, as a runtime without a grammar does:\n\n");
    return status == WZ_OK ? write_table(&evaluation, out, err) : status;
}

/* As trained, and, where that is under a grammar, decoding freely. */
static wz_status write_evaluation(const wz_export *r, measured *m, wz_text *out, wz_error *err)
{
    wz_evaluation evaluation;
    if (r->eval_problems == 0)
        return WZ_OK;
    const bool has_grammar = r->policy->grammar != NULL;
    wz_status status =
        evaluate(r, r->policy, r->eval_problems, r->config->eval_batch_size, true, &evaluation, err);
    if (status != WZ_OK)
        return status;
    m->score = evaluation.policy.mean;
    status =
        wz_text_printf(out, err,
                       "## Held-out score\n\n%lld problems of the test split (seed %lld), greedy%s, of the "
                       "weights before they were rounded to %s:\n\n",
                       (long long)r->eval_problems, (long long)r->config->seed,
                       has_grammar ? ", under the answer grammar" : "", wz_number_type_names[r->type]);
    if (status == WZ_OK)
        status = write_table(&evaluation, out, err);
    return status == WZ_OK && has_grammar ? write_free_evaluation(r, m, out, err) : status;
}

/* ---- how to ask ---- */

/* What a completion has before its answer. */
static const char *describe_thinking(const wz_export *r)
{
    if (wz_thinking_on(&r->policy->thinking))
        return "The completion thinks (up to `thinking_budget` tokens, or `verifier_tries` candidates that "
               "are each "
               "told what they are worth, see below) and closes that with `</think>`; what follows the "
               "`<answer>` "
               "after it";
    if (!wz_export_thinks(r))
        return "The completion";
    return r->policy->chat.kind == WZ_CHAT_QWEN3_NO_THINKING
               ? "The completion opens `<answer>`; what follows that"
               : "The completion thinks and closes that with `</think>`; what follows the `<answer>` after "
                 "it";
}

/* What to do where the policy needs its grammar. */
static wz_status advise_grammar(const wz_export *r, wz_text *out, wz_error *err)
{
    const char *training = r->config->grammar_coef > 0.0 ? "train for longer, or with more `grammar_coef`"
                                                         : "train with `grammar_coef` above 0";
    if (wz_export_thinks(r))
        return wz_text_printf(out, err,
                              " A runtime that does not append the tags and constrain the answer, where "
                              "`<answer>` begins, gets others than here; %s.",
                              training);
    return wz_text_printf(
        out, err, " Give the runtime the grammar (%s), or %s.",
        r->grammar ? "`" WZ_GRAMMAR_FILE "`" : "`wavezero export --grammar` writes it as GBNF", training);
}

/* How the policy does without its grammar, by what was measured. */
static wz_status describe_decoding(const wz_export *r, const measured *m, wz_text *out, wz_error *err)
{
    if (r->policy->grammar == NULL)
        return wz_text_printf(out, err, "The policy was trained to decode freely.\n\n");
    wz_status status = wz_text_printf(out, err, "%s",
                                      r->step == 0 ? "The policy was asked under this grammar."
                                      : r->config->grammar_coef > 0
                                          ? "The policy was trained under this grammar and taught it "
                                            "(`grammar_coef`)."
                                          : "The policy was trained under this grammar alone.");
    if (status == WZ_OK && m->free_problems == 0)
        status = wz_text_printf(out, err, " Whether it keeps to it decoding freely was not measured.");
    else if (status == WZ_OK)
        status = wz_text_printf(
            out, err,
            " Decoding freely it %s: of %lld answers %.1f%% are valid, and they score %.4f (under the "
            "grammar %.4f).",
            m->free_valid >= KEEPS           ? "keeps to it"
            : m->free_valid >= KEEPS_IN_PART ? "keeps to it in part"
                                             : "does not keep to it",
            (long long)m->free_problems, 100.0 * m->free_valid, m->free_score, m->score);
    if (status == WZ_OK && (m->free_problems == 0 || m->free_valid < KEEPS))
        status = advise_grammar(r, out, err);
    return status == WZ_OK ? wz_text_append(out, "\n\n", 2, err) : status;
}

/* A begin token that the tokenizer puts before every text must not be doubled, nor be missing. */
static wz_status write_begin(const wz_export *r, const wz_text *prompt, wz_text *out, wz_error *err)
{
    wz_ids ids = {0};
    size_t length = 0;
    wz_status status = wz_tokenizer_encode(r->policy->tokenizer, "", 0, true, &ids, err);
    const char *begin = status == WZ_OK && ids.length > 0
                            ? wz_tokenizer_token_bytes(r->policy->tokenizer, ids.data[0], &length)
                            : NULL;
    if (begin != NULL && length <= prompt->length && memcmp(prompt->data, begin, length) == 0)
        status = wz_text_printf(
            out, err,
            "It begins with %.*s already: encode it without special tokens "
            "(`add_special_tokens=False` in transformers, `add_special` false in llama.cpp), or "
            "leave that token out where the runtime adds it.\n\n",
            (int)length, begin);
    else if (begin != NULL)
        status = wz_text_printf(
            out, err,
            "The tokenizer puts %.*s before it; onnxruntime-genai's does so where it is asked to "
            "(`tokenizer.update_options(add_special_tokens=\"true\")`), which no file can do.\n\n",
            (int)length, begin);
    wz_ids_clear(&ids);
    return status;
}

static wz_status write_usage(const wz_export *r, const measured *m, wz_text *out, wz_error *err)
{
    wz_problem problem = {0};
    wz_text printed = {0}, prompt = {0}, pattern = {0};
    const wz_chat *chat = &r->policy->chat;
    const wz_prompt_style style = (wz_prompt_style)r->config->prompt_style;
    wz_status status = wz_problem_generate(r->config->task, r->config->task_values, (uint64_t)r->config->seed,
                                           WZ_SPLIT_TEST, 0, &problem, err);
    if (status == WZ_OK)
        status = (wz_thinking_on(&r->policy->thinking) ? wz_problem_print_to_think
                                                       : wz_problem_print)(&problem, style, &printed, err);
    if (status == WZ_OK)
        status = wz_chat_prompt(chat, &printed, &prompt, err);
    if (status == WZ_OK)
        status = wz_problem_answer_pattern(&problem, style, &pattern, err);
    if (status == WZ_OK)
        status = wz_text_printf(out, err,
                                "## Asking it\n\nGreedy decoding, the prompt as it stands here, %s; the "
                                "completion ends with any of "
                                "the model's end tokens. A prompt of this task:\n\n```\n%s\n```\n\n",
                                chat->kind == WZ_CHAT_NONE
                                    ? "without a chat template"
                                    : "which holds the chat template's frame and the answer's beginning",
                                prompt.data);
    if (status == WZ_OK)
        status = write_begin(r, &prompt, out, err);
    if (status == WZ_OK)
        status = wz_text_printf(out, err, "%s is a string of this regular expression:\n\n```\n%s\n```\n\n",
                                describe_thinking(r), pattern.data);
    if (status == WZ_OK)
        status = describe_decoding(r, m, out, err);
    if (status == WZ_OK && r->grammar && wz_export_closes(r))
        status =
            wz_text_printf(out, err,
                           "In `%s` the closing `</answer>` is left out: it is an end token, which llama.cpp "
                           "takes, like the others, where the grammar is complete.\n\n",
                           WZ_GRAMMAR_FILE);
    wz_problem_clear(&problem);
    wz_text_clear(&printed);
    wz_text_clear(&prompt);
    wz_text_clear(&pattern);
    return status;
}

/* ---- how it was trained ---- */

static wz_status write_training(const wz_export *r, wz_text *out, wz_error *err)
{
    wz_text yaml = {0};
    wz_status status = wz_config_write(r->config, &yaml, err);
    if (status == WZ_OK)
        status = wz_text_printf(out, err,
                                "## Training\n\nStep %lld of `%s`, exported by Wavezero %s (%s). Wavezero "
                                "repeats the run from this configuration:\n\n```yaml\n%s```\n",
                                (long long)r->step, r->checkpoint, WZ_VERSION,
                                or_else(wz_build_commit(), "no commit recorded"), yaml.data);
    if (status == WZ_OK && r->environment[0] != '\0')
        status = wz_text_printf(out, err, "\nWhere it ran:\n\n```json\n%s\n```\n", r->environment);
    wz_text_clear(&yaml);
    return status;
}

wz_status wz_export_card(const wz_export *r, const wz_portable *model, wz_text *out, wz_error *err)
{
    measured m = {0};
    wz_status status = write_front_matter(r, model, out, err);
    if (status == WZ_OK)
        status = write_summary(r, model, out, err);
    if (status == WZ_OK)
        status = write_evaluation(r, &m, out, err);
    if (status == WZ_OK)
        status = write_usage(r, &m, out, err);
    if (status == WZ_OK)
        status = write_training(r, out, err);
    return status == WZ_OK
               ? wz_text_printf(out, err,
                                "\nCheck the files with `xxhsum -c %s` (Debian's package xxhash).\n",
                                WZ_CHECKSUMS_FILE)
               : status;
}
