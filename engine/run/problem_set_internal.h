/* The two kinds of file behind problem_set.h. */
#ifndef WZ_RUN_PROBLEM_SET_INTERNAL_H
#define WZ_RUN_PROBLEM_SET_INTERNAL_H

#include "engine/run/problem_set.h"

typedef struct wz_set_format {
    wz_status (*create)(const char *path, void **state, wz_error *err); /* for writing */
    wz_status (*add)(void *state, const wz_set_entry *entry, wz_error *err);
    wz_status (*finish)(void *state, const char *digest, wz_error *err);
    void (*abandon)(void *state); /* always called last, after finish too */
    wz_status (*open)(const char *path, void **state, wz_error *err);
    /* The next record, good until the next call; *place: how messages name it. */
    wz_status (*next)(void *state, wz_set_record *record, wz_text *place, bool *done, wz_error *err);
    const char *(*stated_digest)(const void *state); /* optional: of the set */
    void (*close)(void *state);
} wz_set_format;

extern const wz_set_format wz_set_json, wz_set_hdf5;

/* Names as they stand in files; -1: unknown. */
extern const char *const wz_set_style_names[2];
int wz_set_find_style(const char *name);
int wz_set_find_split(const char *name);
int wz_set_find_kind(const char *name);
/* The option's value that a name stands for; fails with WZ_ERR_CORRUPT. */
wz_status wz_set_find_value(const wz_task_option *option, const char *name, double *value, wz_error *err);
/* The family of that name, WZ_ERR_CORRUPT with a suggestion. */
wz_status wz_set_find_task(const char *name, const wz_task **out, wz_error *err);

#endif
