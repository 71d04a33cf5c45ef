/* A supervised step's parts, shared by supervise.c (what it does) and supervise_batch.c (what it trains on). */
#ifndef WZ_GRPO_SUPERVISE_INTERNAL_H
#define WZ_GRPO_SUPERVISE_INTERNAL_H

#include "engine/grpo/trainer_internal.h"

typedef struct wz_supervised_item {
    wz_ids tokens; /* prompt, then completion */
    int64_t prompt_length;
    uint32_t problem;
    wz_grammar_state start;
} wz_supervised_item;

typedef struct wz_supervised {
    wz_supervised_item *items;
    int64_t count;
    wz_grammar_set *grammar; /* that the completions follow; NULL: none */
} wz_supervised;

/* The pairs of a step: a function of (seed, step). Release with wz_supervised_clear, also on failure. */
wz_status wz_supervised_take(const wz_trainer *trainer, int64_t step, wz_supervised *out, wz_error *err);
void wz_supervised_clear(wz_supervised *batch);

#endif
