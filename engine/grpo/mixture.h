/* Several families, or sizes of one, in one run. */
#ifndef WZ_GRPO_MIXTURE_H
#define WZ_GRPO_MIXTURE_H

#include "engine/grpo/curriculum.h"
#include "tasks/task.h"

#define WZ_MIXTURE_MAX 16

typedef struct wz_mixture_part {
    const wz_task *task;
    double values[WZ_TASK_MAX_OPTIONS]; /* of the task; the size is the one to grow to */
    double weight;                      /* > 0 */
    int64_t first;                      /* size that a curriculum starts with */
    char name[64]; /* in metrics: the family's, with "_2", ... where it is there already */
} wz_mixture_part;

typedef struct wz_mixture {
    size_t count;
    wz_mixture_part parts[WZ_MIXTURE_MAX];
} wz_mixture;

#define WZ_STAGES_MAX 16

/* A stage of a curriculum: the mixture with what the stage changes of it. A weight may be 0 here, but not all. */
typedef struct wz_stage {
    wz_mixture mixture;
    double threshold; /* as in wz_curriculum_options: what leads on from it */
    int64_t min_steps;
    char text[160]; /* as the configuration has it, for messages; cut where it is longer */
} wz_stage;

typedef struct wz_stages {
    size_t count; /* the last one: the mixture as it is */
    wz_stage list[WZ_STAGES_MAX + 1];
} wz_stages;

/* Which part each of a step's problems (count of them) is of, by systematic sampling: one draw a step, then points at
 * equal distances along the weights. A part's share of every step so is its weight's, to less than one problem, and in
 * the mean exactly; problems of one part stand side by side. A function of (seed, step). */
void wz_mixture_assign(const wz_mixture *mixture, uint64_t seed, uint32_t step, int64_t count, uint8_t *part);

#endif
