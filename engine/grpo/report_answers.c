/* What a step's answers say of the policy beside their rewards: groups without a signal, sizes, variety. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/grpo/report.h"

void wz_report_groups(wz_step_report *report, const wz_batch *batch, const uint8_t *flat)
{
    int64_t dead = 0, solved = 0, failed = 0;
    for (int64_t g = 0; g < batch->groups; g++) {
        int64_t feasible = 0, optimal = 0;
        for (int64_t c = g * batch->generations; c < (g + 1) * batch->generations; c++) {
            feasible += batch->verdicts[c].kind == WZ_VERDICT_FEASIBLE;
            optimal += batch->verdicts[c].is_optimum;
        }
        dead += flat[g] && optimal < batch->generations;
        solved += optimal == batch->generations;
        failed += feasible == 0;
    }
    report->groups_dead = (double)dead / (double)batch->groups;
    report->groups_solved = (double)solved / (double)batch->groups;
    report->groups_failed = (double)failed / (double)batch->groups;
}

static wz_size_report *size_of(wz_step_report *report, size_t part, int64_t size)
{
    for (size_t i = 0; i < report->size_count; i++)
        if (report->sizes[i].part == part && report->sizes[i].size == size)
            return &report->sizes[i];
    if (report->size_count == WZ_SIZES_MAX)
        return NULL;
    report->sizes[report->size_count] = (wz_size_report){.part = part, .size = size};
    return &report->sizes[report->size_count++];
}

void wz_report_sizes(wz_step_report *report, const wz_batch *batch, const uint8_t *part)
{
    for (int64_t g = 0; g < batch->groups; g++) {
        wz_size_report *size = size_of(report, part[g], (int64_t)batch->problems[g].size);
        for (int64_t j = 0; size != NULL && j < batch->generations; j++) {
            size->ratio += batch->verdicts[g * batch->generations + j].ratio;
            size->completions++;
        }
    }
    for (size_t i = 0; i < report->size_count; i++)
        report->sizes[i].ratio /= (double)report->sizes[i].completions;
}

/* ---- variety of answers ---- */

static int ascending(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* How many of these are equal, at most; sorts them. */
static int64_t commonest(uint64_t *digests, int64_t count)
{
    int64_t most = 0, run = 0;
    qsort(digests, (size_t)count, sizeof *digests, ascending);
    for (int64_t i = 0; i < count; i++) {
        run = i > 0 && digests[i] == digests[i - 1] ? run + 1 : 1;
        most = run > most ? run : most;
    }
    return most;
}

/* Of a completion's answer, without the thoughts before it. */
static uint64_t digest_answer(const wz_text *completion)
{
    static const char tag[] = "<answer>";
    const char *text = completion->data != NULL ? completion->data : "";
    const char *end = text + completion->length, *answer = text;
    for (const char *at = text; (at = memmem(at, (size_t)(end - at), tag, sizeof tag - 1)) != NULL;)
        answer = at += sizeof tag - 1;
    return XXH3_64bits(answer, (size_t)(end - answer));
}

/* Of one part of the mixture; false: it has no problem in this step. */
static bool find_shares(const wz_batch *batch, const uint8_t *part, size_t which, uint64_t *work,
                        double *answers, double *references)
{
    int64_t groups = 0, completions = 0;
    for (int64_t g = 0; g < batch->groups; g++)
        if (part[g] == which)
            work[groups++] = XXH3_64bits(batch->best + g * WZ_MAX_SLOTS, WZ_MAX_SLOTS * sizeof *batch->best);
    if (groups == 0)
        return false;
    *references = (double)commonest(work, groups) / (double)groups;
    for (int64_t c = 0; c < batch->groups * batch->generations; c++)
        if (part[c / batch->generations] == which)
            work[completions++] = digest_answer(&batch->completions[c]);
    *answers = (double)commonest(work, completions) / (double)completions;
    return true;
}

void wz_report_answers(wz_step_report *report, const wz_batch *batch, const uint8_t *part, size_t parts,
                       uint64_t *work)
{
    double answers = 0.0, references = 0.0;
    bool is_first = true;
    for (size_t p = 0; p < parts; p++) {
        if (!find_shares(batch, part, p, work, &answers, &references))
            continue;
        if (is_first || answers - references > report->answer_share - report->reference_share) {
            report->answer_share = answers;
            report->reference_share = references;
        }
        is_first = false;
    }
}

/* ---- gradients ---- */

static wz_layer_group group_of(const char *name)
{
    static const struct {
        const char *piece;
        wz_layer_group group;
    } pieces[] = {{"norm", WZ_LAYERS_NORMS}, /* q_norm and k_norm before attention */
                  {"embed", WZ_LAYERS_EMBEDDING},
                  {"lm_head", WZ_LAYERS_HEAD},
                  {"attn", WZ_LAYERS_ATTENTION}};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        if (strstr(name, pieces[i].piece) != NULL)
            return pieces[i].group;
    return WZ_LAYERS_MLP;
}

/* Parameters of one group that stand side by side are summed at once; padding between them is zero. */
void wz_report_gradients(wz_step_report *report, const wz_model *model, double divisor)
{
    double squares[WZ_LAYERS_GROUPS] = {0};
    bool has[WZ_LAYERS_GROUPS] = {0};
    const size_t trained = model->adapter_params > 0 ? model->adapter_params : model->param_count;
    for (size_t i = 0; i < trained;) {
        const wz_layer_group group = group_of(model->params[i].name);
        const int64_t start = model->params[i].offset;
        int64_t end = start;
        for (; i < trained && group_of(model->params[i].name) == group; i++)
            end = model->params[i].offset + model->params[i].count;
        squares[group] +=
            model->backend->ops->sum_squares(model->backend, model->gradients + start, end - start);
        has[group] = true;
    }
    for (int g = 0; g < WZ_LAYERS_GROUPS; g++)
        report->group_grad_norm[g] = has[g] ? sqrt(squares[g]) / divisor : NAN;
}
