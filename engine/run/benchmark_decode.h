/* What `wavezero bench --decode` measures: sampling one token for each of many sequences, whose time is that of reading
 * weights and cached keys and values, against the rate at which the same device reads memory. */
#ifndef WZ_RUN_BENCHMARK_DECODE_H
#define WZ_RUN_BENCHMARK_DECODE_H

#include "engine/core/json.h"
#include "engine/run/benchmark.h"

typedef struct wz_decode_lengths {
    int64_t sequences;
    int64_t context; /* keys that a step's rows attend to, on average over the steps */
    /* of each sequence, at least 2: the first is drawn from its prompt's last row, each other one takes a step */
    int64_t tokens;
} wz_decode_lengths;

/* One way to choose the next token. Times are medians of the rounds. */
typedef struct wz_decode_way {
    double prompt_s; /* all prompts */
    double step_s;   /* one token for every sequence; the steps share the drawing of the first tokens */
    double head_bytes, step_bytes; /* that a step must read: of the head; with the layers and the cache */
    double share;                  /* of the memory rate that step_bytes / step_s is */
} wz_decode_way;

typedef struct wz_decode_benchmark {
    char device[WZ_BENCH_DEVICE];
    wz_decode_lengths lengths;
    int64_t rounds, parameters, value_bytes; /* value_bytes: of a weight and of a cached number */
    double layer_bytes, cache_bytes;         /* read in a step */
    double memory_rate; /* of a block as large as a step reads from the whole vocabulary, at most 1 GiB */
    wz_decode_way free, answers; /* from the whole vocabulary; from the few tokens a grammar allows */
} wz_decode_benchmark;

/* `rounds` timed rollouts of each way after one of warm-up: random weights of the configuration's model, random prompts, no
 * prompt shared. WZ_ERR_RESOURCE where it cannot fit. */
wz_status wz_decode_benchmark_run(const wz_config *config, const wz_decode_lengths *lengths, int64_t rounds,
                                  FILE *log, wz_decode_benchmark *out, wz_error *err);
wz_status wz_decode_benchmark_write(const wz_decode_benchmark *benchmark, bool as_json, wz_text *out,
                                    wz_error *err);

#endif
