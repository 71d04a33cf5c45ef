#include "rewards/tries.h"

#include <math.h>
#include <string.h>

#define LEAD_LENGTH (sizeof WZ_TRY_LEAD - 1)
#define STOP_LENGTH (sizeof WZ_TRY_STOP - 1)

wz_status wz_try_patterns(const wz_problem *problem, wz_prompt_style style, wz_text *first, wz_text *more,
                          wz_error *err)
{
    static const char end_tag[] = "</answer>";
    wz_text answer = {0};
    wz_status status = wz_problem_answer_pattern(problem, style, &answer, err);
    if (status == WZ_OK) {
        const int body = (int)(answer.length - (sizeof end_tag - 1));
        status = wz_text_printf(first, err, WZ_TRY_LEAD "%.*s" WZ_TRY_STOP, body, answer.data);
        if (status == WZ_OK)
            status = wz_text_printf(more, err, "(" WZ_TRY_LEAD "%.*s" WZ_TRY_STOP "|</think>%s<answer>)",
                                    body, answer.data, wz_answer_separator(style));
    }
    wz_text_clear(&answer);
    return status;
}

wz_status wz_try_write(int number, bool is_best, wz_text *out, wz_error *err)
{
    return number < 0 ? wz_text_printf(out, err, " none")
                      : wz_text_printf(out, err, " %d%s", number, is_best ? " best" : "");
}

int wz_try_number(const wz_outcome *outcome, const wz_reference *reference)
{
    const double trivial = reference->best_trivial > 0 ? reference->best_trivial : 1;
    if (!outcome->feasible)
        return -1;
    const double share = fmax(outcome->objective, 0) / (fmax(outcome->objective, 0) + trivial);
    return (int)fmin(round(WZ_TRY_NUMBERS * share), WZ_TRY_NUMBERS - 1);
}

/* The next candidate's body from *at on, and *at after its stop. No word of an answer begins like a lead or a stop. */
static bool next_candidate(const char **at, const char *end, const char **body, size_t *length)
{
    const char *lead = memmem(*at, (size_t)(end - *at), WZ_TRY_LEAD, LEAD_LENGTH);
    if (lead == NULL)
        return false;
    *body = lead + LEAD_LENGTH;
    const char *stop = memmem(*body, (size_t)(end - *body), WZ_TRY_STOP, STOP_LENGTH);
    if (stop == NULL)
        return false;
    *length = (size_t)(stop - *body);
    *at = stop + STOP_LENGTH;
    return true;
}

/* The number that was said after a stop; -1: "none", or nothing yet. */
static int number_said(const char *at, const char *end)
{
    int number = 0;
    if (end - at < 2 || at[0] != ' ' || at[1] < '0' || at[1] > '9')
        return -1;
    for (at++; at < end && *at >= '0' && *at <= '9' && number < WZ_TRY_NUMBERS; at++)
        number = number * 10 + (*at - '0');
    return number;
}

wz_status wz_try_reply(const wz_verifier *verifier, const wz_problem *problem, const wz_reference *reference,
                       wz_prompt_style style, const char *text, size_t length, wz_text *out, bool *is_best,
                       wz_error *err)
{
    const char *at = text, *end = text + length, *body = NULL;
    size_t body_length = 0;
    int highest = -1;
    wz_outcome outcome;
    while (next_candidate(&at, end, &body, &body_length)) {
        const int said = number_said(at, end);
        highest = said > highest ? said : highest;
    }
    if (body == NULL || at != end)
        return wz_fail(err, WZ_ERR_RUNTIME, "%s: asked about a candidate, but the text does not end with one",
                       verifier->task);
    const wz_status status = wz_verify_candidate(verifier, problem, style, body, body_length, &outcome, err);
    if (status != WZ_OK)
        return status;
    const int number = wz_try_number(&outcome, reference);
    *is_best = number > highest;
    return wz_try_write(number, *is_best, out, err);
}

wz_status wz_try_outcomes(const wz_verifier *verifier, const wz_problem *problem, wz_prompt_style style,
                          const char *completion, size_t length, wz_outcome *out, size_t room, size_t *count,
                          wz_error *err)
{
    const char *at = completion, *end = completion + length, *body = NULL;
    size_t body_length = 0;
    wz_status status = WZ_OK;
    *count = 0;
    while (status == WZ_OK && *count < room && next_candidate(&at, end, &body, &body_length))
        status = wz_verify_candidate(verifier, problem, style, body, body_length, &out[(*count)++], err);
    return status;
}
