/* The table behind wz_config, for the files that read, write and explain configurations. */
#ifndef WZ_RUN_CONFIG_SCHEMA_H
#define WZ_RUN_CONFIG_SCHEMA_H

#include "engine/run/config.h"

typedef enum wz_key_type {
    WZ_KEY_HEADING, /* no key: the title of the keys that follow, in the file and the reference */
    WZ_KEY_INTEGER, /* int64_t */
    WZ_KEY_REAL,    /* double */
    WZ_KEY_BOOLEAN, /* bool */
    WZ_KEY_ENUM,    /* int: index into names */
    WZ_KEY_TEXT,    /* char [WZ_PATH_MAX], or [integer_max + 1] where that is set */
    WZ_KEY_LIST, /* char [WZ_LIST_MAX]: items joined by ", ": names, what check_item takes, or else numbers */
    WZ_KEY_TASK  /* const wz_task *: a family by its name; its options follow as task.<option> */
} wz_key_type;

/* One key. A new option is one row and one field of wz_config. */
typedef struct wz_config_key {
    const char *name; /* dotted; keys of one section stand together */
    wz_key_type type;
    size_t offset; /* in wz_config */
    const char *default_text;
    int64_t integer_min, integer_max;
    double real_min, real_max;
    const char *const *names; /* of an enumeration or a list, NULL-terminated */
    bool resume_may_change;
    const char *help;
    wz_status (*check_item)(const char *item,
                            wz_error *err); /* of a list whose items have a form of their own */
} wz_config_key;

extern const wz_config_key wz_config_keys[];
extern const size_t wz_config_key_count;

/* Whether an item of task_mixture is one; of curriculum.stages, as far as that can be told without the tasks. */
wz_status wz_mixture_check_item(const char *item, wz_error *err);
wz_status wz_stage_check_item(const char *item, wz_error *err);
/* One `name=value` of such an item: a part's weight, its curriculum's first size, or an option of its family. */
wz_status wz_mixture_set_option(wz_mixture_part *part, const char *assignment, wz_error *err);
/* Whether what stands before the equals sign of `word` stands once in the item; whose: for the message. */
wz_status wz_mixture_check_once(const char *item, const char *word, const char *whose, wz_error *err);
/* An item of a list of token ids: decimal digits. */
wz_status wz_config_check_id(const char *item, wz_error *err);

/* Part of wz_config_check: options of the loss, the reference, the slices of a rollout and the optimiser. */
wz_status wz_config_check_grpo(const wz_config *config, wz_error *err);
/* Another: of where problems come from. */
wz_status wz_config_check_data(const wz_config *config, wz_error *err);

/* Where a dotted name leads: a row of the table, or an option of the present task (key NULL). */
typedef struct wz_config_place {
    const wz_config_key *key;
    const wz_task_option *option;
    size_t option_index;
} wz_config_place;

#define WZ_CONFIG_NAME_MAX 96 /* bytes of a dotted name, with its terminator */

/* False: nobody knows the name. */
bool wz_config_find(const wz_config *config, const char *name, wz_config_place *place);
/* "unknown key 'x' (did you mean 'y'?)"; returns WZ_ERR_USAGE. */
wz_status wz_config_fail_unknown(const wz_config *config, const char *name, wz_error *err);
/* Whether keys begin with `name` and a dot. */
bool wz_config_is_section(const char *name);

/* Reads a value: strict numbers, true or false, an enumeration's name, text of printable UTF-8, or a list "a, b". The
 * message names the key and what was expected; where it stood is the caller's prefix. */
wz_status wz_config_set(wz_config *config, const wz_config_place *place, const char *value, wz_error *err);
/* Whether that is a value of the key's kind (a number, an enumeration's name), be it in its range or not. */
bool wz_config_is_value(const wz_config_place *place, const char *value);
/* Checks that the present value lies in its range. */
wz_status wz_config_check_range(const wz_config *config, const wz_config_place *place, wz_error *err);
/* Appends the value as YAML that wz_config_set reads back to equal bits. */
wz_status wz_config_format(const wz_config *config, const wz_config_place *place, wz_text *out,
                           wz_error *err);
/* Appends what values are accepted: "a whole number from 1 to 8", "one of a, b". */
wz_status wz_config_describe(const wz_config_place *place, wz_text *out, wz_error *err);
/* Whether two configurations (of the same task, for an option) hold equal values. */
bool wz_config_equal_at(const wz_config *a, const wz_config *b, const wz_config_place *place);

#endif
