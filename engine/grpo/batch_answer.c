/* What a completion of a batch decides. */
#include "engine/grpo/batch.h"
#include "rewards/answer.h"

bool wz_batch_read_decision(const wz_batch *batch, int64_t completion, unsigned decision[WZ_MAX_SLOTS],
                            wz_verdict *verdict)
{
    const wz_problem *problem = &batch->problems[completion / batch->generations];
    const wz_text *written = &batch->completions[completion];
    const char *text = written->data != NULL ? written->data : "";
    size_t length = written->length;
    wz_answer_form form = {0};
    wz_answer answer;
    problem->task->answer_form(problem, &form);
    if (wz_thinking_on(&batch->policy->thinking) &&
        !wz_answer_skip_thinking(batch->style, &text, &length, verdict))
        return false;
    return wz_answer_find(batch->style, text, length, &answer, verdict) &&
           wz_answer_read(&form, batch->style, &answer, decision, verdict);
}
