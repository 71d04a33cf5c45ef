/* What the tables and JSON of evaluations, comparisons and grids have in common. */
#ifndef WZ_RUN_EVALUATION_TEXT_H
#define WZ_RUN_EVALUATION_TEXT_H

#include "engine/run/evaluate.h"

/* How wide the columns of a table are. */
typedef struct wz_score_columns {
    int name, percent;
    bool valid;  /* a column of the share of valid answers */
    bool timing; /* a column of microseconds per problem */
} wz_score_columns;

/* The value with so many decimals, or "-" where it is no number. Returns out. */
const char *wz_write_finite(double value, int decimals, char out[32]);
/* For the names of an evaluation. */
wz_score_columns wz_score_columns_of(const wz_evaluation *evaluation);
/* What a table's first line adds to the number of problems: "", or that they were answered without a grammar. */
const char *wz_evaluation_how(const wz_evaluation *evaluation);
/* "exact optimum", "upper bound", "best known" */
const char *wz_evaluation_reference_name(const wz_evaluation *evaluation);
wz_status wz_score_write_head(const wz_score_columns *columns, const wz_evaluation *evaluation, wz_text *out,
                              wz_error *err);
/* seconds: per problem; NaN: not known. */
wz_status wz_score_write_row(const wz_score_columns *columns, const char *name, const wz_score *score,
                             double seconds, wz_text *out, wz_error *err);
/* A row whose name ends in a count. */
wz_status wz_score_write_counted(const wz_score_columns *columns, const char *name, double count,
                                 const wz_score *score, double seconds, wz_text *out, wz_error *err);
/* The reference and the baselines, the best trivial one with a star. */
wz_status wz_evaluation_write_baselines(const wz_score_columns *columns, const wz_evaluation *evaluation,
                                        wz_text *out, wz_error *err);
/* Lines below the table: what the star is, and what optimal means where references are not the optimum. */
wz_status wz_evaluation_write_foot(const wz_evaluation *evaluation, wz_text *out, wz_error *err);

/* "name": {mean ratio, interval, ...} */
void wz_score_write_named(wz_json *json, const char *name, const wz_score *score,
                          const char *field_algorithm);
/* {"mean", "ci_low", "ci_high"} under a name. */
void wz_interval_write_named(wz_json *json, const char *name, double mean, double low, double high);
/* "problems", "reference", what exact_optimum is against, "best_trivial", "strongest_algorithm". */
void wz_evaluation_write_reference(wz_json *json, const wz_evaluation *evaluation);
/* "baselines": {...} */
void wz_baselines_write_field(wz_json *json, const wz_evaluation *evaluation);

#endif
