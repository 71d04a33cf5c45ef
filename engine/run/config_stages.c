/* curriculum.stages: "links=3 snr_db=10 threshold=0.9, links=5, ofdma.weight=0"; colons may stand for the spaces. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/config_schema.h"

static const char separators[] = " :";

wz_status wz_stage_check_item(const char *item, wz_error *err)
{
    char text[WZ_LIST_MAX], *rest = NULL;
    (void)snprintf(text, sizeof text, "%s", item);
    if (strpbrk(item, "[]{}") != NULL)
        return wz_fail(err, WZ_ERR_USAGE,
                       "'%.64s': a stage is written without brackets, and on a command line the list, too: "
                       "curriculum.stages=\"links=3, links=5 snr_db=10\"",
                       item);
    for (char *word = strtok_r(text, separators, &rest); word != NULL;
         word = strtok_r(NULL, separators, &rest)) {
        const char *equals = strchr(word, '=');
        if (equals == NULL || equals == word || equals[1] == '\0')
            return wz_fail(err, WZ_ERR_USAGE, "'%.64s' is no option=value", word);
    }
    return WZ_OK;
}

static bool has_option(const wz_task *task, const char *word)
{
    const size_t length = strcspn(word, "=");
    for (size_t o = 0; o < task->option_count; o++)
        if (strncmp(task->options[o].name, word, length) == 0 && task->options[o].name[length] == '\0')
            return true;
    return false;
}

/* "ofdma.weight=2": of the part of that name. */
static wz_status set_of_part(wz_mixture *mixture, const char *word, const char *dot, wz_error *err)
{
    const size_t length = (size_t)(dot - word);
    for (size_t p = 0; p < mixture->count; p++) {
        wz_mixture_part *part = &mixture->parts[p];
        if (strncmp(part->name, word, length) != 0 || part->name[length] != '\0')
            continue;
        if (strcmp(dot, ".weight=0") == 0) {
            part->weight = 0.0;
            return WZ_OK;
        }
        return wz_mixture_set_option(part, dot + 1, err);
    }
    return wz_fail(err, WZ_ERR_USAGE, "'%.64s': no task of the run is called '%.*s'", word,
                   (int)(length < 48 ? length : 48), word);
}

/* "snr_db=10": of each part whose family has the option. */
static wz_status set_of_all(wz_mixture *mixture, const char *word, wz_error *err)
{
    wz_status status = WZ_OK;
    size_t found = 0;
    if (strncmp(word, "weight=", 7) == 0 || strncmp(word, "start=", 6) == 0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "'%.64s': a stage has neither; a task's share is written TASK.weight=W, and a size as "
                       "its option, links=3 say",
                       word);
    for (size_t p = 0; status == WZ_OK && p < mixture->count; p++)
        if (has_option(mixture->parts[p].task, word)) {
            status = wz_mixture_set_option(&mixture->parts[p], word, err);
            found++;
        }
    if (status == WZ_OK && found == 0) /* its message suggests a name */
        status = wz_mixture_set_option(&mixture->parts[0], word, err);
    return status;
}

static wz_status set_word(wz_stage *stage, const char *word, wz_error *err)
{
    const size_t name = strcspn(word, "=");
    const char *dot = memchr(word, '.', name);
    char *end = NULL;
    if (strncmp(word, "threshold=", 10) == 0) {
        stage->threshold = strtod(word + 10, &end);
        return *end == '\0' && stage->threshold >= 0.0 && stage->threshold <= 1.0
                   ? WZ_OK
                   : wz_fail(err, WZ_ERR_USAGE, "'%.64s': a threshold is a number from 0 to 1", word);
    }
    if (strncmp(word, "min_steps=", 10) == 0) {
        stage->min_steps = strtoll(word + 10, &end, 10);
        return *end == '\0' && strlen(word) < 20 && stage->min_steps >= 0
                   ? WZ_OK
                   : wz_fail(err, WZ_ERR_USAGE, "'%.64s': steps are a whole number from 0 on", word);
    }
    return dot != NULL ? set_of_part(&stage->mixture, word, dot, err)
                       : set_of_all(&stage->mixture, word, err);
}

static wz_status read_stage(const char *item, wz_stage *stage, wz_error *err)
{
    char text[WZ_LIST_MAX], *rest = NULL;
    double weights = 0.0;
    wz_status status = WZ_OK;
    (void)snprintf(text, sizeof text, "%s", item);
    (void)snprintf(stage->text, sizeof stage->text, "%.159s", item);
    for (char *word = strtok_r(text, separators, &rest); status == WZ_OK && word != NULL;
         word = strtok_r(NULL, separators, &rest)) {
        status = wz_mixture_check_once(item, word, "in this stage", err);
        if (status == WZ_OK)
            status = set_word(stage, word, err);
    }
    for (size_t p = 0; status == WZ_OK && p < stage->mixture.count; p++) {
        weights += stage->mixture.parts[p].weight;
        status = wz_task_check_values(stage->mixture.parts[p].task, stage->mixture.parts[p].values, err);
    }
    if (status == WZ_OK && weights == 0.0)
        status = wz_fail(err, WZ_ERR_USAGE, "no task has a weight above 0");
    return status;
}

/* The smallest size of any stage: metrics by size begin there. */
static void find_first_sizes(const wz_stages *stages, wz_mixture *mixture)
{
    for (size_t p = 0; p < mixture->count; p++)
        for (size_t s = 0; s < stages->count; s++) {
            const wz_mixture_part *part = &stages->list[s].mixture.parts[p];
            const int64_t size = (int64_t)part->values[part->task->size_option];
            mixture->parts[p].first =
                s == 0 || size < mixture->parts[p].first ? size : mixture->parts[p].first;
        }
}

static wz_status read_stages(const wz_config *config, const wz_mixture *mixture, wz_stages *out,
                             wz_error *err)
{
    const wz_stage plain = {.mixture = *mixture,
                            .threshold = config->curriculum_threshold,
                            .min_steps = config->curriculum_min_steps};
    char item[WZ_LIST_MAX];
    for (const char *at = config->curriculum_stages; wz_config_next_item(&at, item);) {
        if (out->count == WZ_STAGES_MAX)
            return wz_fail(err, WZ_ERR_USAGE, "curriculum.stages lists more than %d stages", WZ_STAGES_MAX);
        out->list[out->count] = plain;
        const wz_status status = read_stage(item, &out->list[out->count++], err);
        if (status != WZ_OK)
            return wz_fail_prefix(err, status, "curriculum.stages: stage %zu: ", out->count);
    }
    out->list[out->count] = plain;
    (void)snprintf(out->list[out->count++].text, sizeof plain.text, "the run's own options");
    return WZ_OK;
}

wz_status wz_config_stages(const wz_config *config, wz_mixture *mixture, wz_stages **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    if (config->curriculum_stages[0] == '\0')
        return WZ_OK;
    wz_status status = wz_alloc(&block, 1, sizeof(wz_stages), "the stages of a curriculum", err);
    if (status == WZ_OK)
        status = read_stages(config, mixture, block, err);
    if (status != WZ_OK) {
        free(block);
        return status;
    }
    *out = block;
    find_first_sizes(*out, mixture);
    return WZ_OK;
}
