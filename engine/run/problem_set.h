/* Problem sets: frozen problems in a file, to be compared on years later and elsewhere.
 *
 * A set holds problems of any families. Each is stated in full: family and options, the whole numbers that it is made of,
 * its prompt, and what is known of it. A reader believes none of that: it makes the problem anew from options and numbers,
 * and refuses what it does not find again, naming file and line.
 *
 * JSON lines, one problem a line:
 *     {"task": "power_control", "options": {"links": 3, "levels": 8, "snr_db": 10}, "split": "test", "index": 0, "seed": 1,
 *      "numbers": [43, ...], "prompt_style": "compact", "prompt": "...", "reference": 5.1, "reference_kind": "optimum",
 *      "decision": [7, 0, 3], "decision_objective": 5.1, "best_trivial": 4.2, "text_version": 3, "digest": "..."}
 * split, index and seed name the draws that the problem was made from: a reader draws it again. Of numbers of a user's
 * own seed is null, split and index are mere names, "rows": [2, 1, 3] says which row of the user's table, from 1, each part
 * of the problem is, "clipped": n how many of the table's numbers the prompt could not print as they were.
 *
 * digest is XXH3-128 of the problem without its prose, written "power_control 3 links=3 levels=8 snr_db=10: 43 ...":
 * family, text version, options in the family's order (but such as came later, where they are at their defaults), numbers; numbers as in the line; of a user's own "; rows 2 1 3;
 * clipped 0" follows. Split, index and seed it leaves out: drawing anew verifies these. The digest of a set is that of
 * its problems' digests, each behind a line break's place: "<digest>\n<digest>\n...". */
#ifndef WZ_RUN_PROBLEM_SET_H
#define WZ_RUN_PROBLEM_SET_H

#include "engine/core/digest.h"
#include "engine/core/json.h"
#include "rewards/verifier.h"

#define WZ_SET_LINE_MAX ((size_t)4 << 20) /* bytes; 64 links in full sentences take 0.1 MB */
#define WZ_SET_GROUPS_MAX 4096            /* families and options in one set */
#define WZ_SET_NO_SEED (-1)

/* A problem with all that a set says of it. */
typedef struct wz_set_entry {
    wz_problem problem;
    int64_t seed; /* WZ_SET_NO_SEED: a user's own numbers */
    wz_prompt_style style;
    wz_text prompt;
    wz_reference reference;
    unsigned decision[WZ_MAX_SLOTS]; /* the best known */
    size_t decision_count;
    char digest[WZ_DIGEST_HEX];
} wz_set_entry;

/* Takes the problem over, also on failure, and adds what is to be said of it. */
wz_status wz_set_entry_make(wz_problem *problem, int64_t seed, wz_prompt_style style, wz_set_entry *out,
                            wz_error *err);
void wz_set_entry_clear(wz_set_entry *entry);

/* What a file says of a problem, as it was read: nothing of it is believed. Texts and arrays are borrowed. */
typedef struct wz_set_record {
    const wz_task *task;
    double values[WZ_TASK_MAX_OPTIONS];
    wz_split split;
    uint32_t index;
    int64_t seed, clipped, text_version;
    wz_prompt_style style;
    const int32_t *numbers;
    size_t number_count;
    const char *prompt;
    wz_reference reference;
    const int32_t *decision;
    size_t decision_count;
    const int32_t *rows; /* from 1; NULL: none stated */
    size_t row_count;
    const char *digest;
} wz_set_record;

/* The entry that a record states, made anew and compared. WZ_ERR_CORRUPT, without the place, where they differ: a digest,
 * prompt or text version that is not this build's; numbers that seed, split and index do not draw; a decision that is infeasible or not worth what is stated; an optimum
 * or best trivial answer off by more than 1e-9, or an upper bound by more than WZ_FEASIBILITY_TOLERANCE, relative. A best
 * known reference is any feasible decision's. */
wz_status wz_set_entry_check(const wz_set_record *record, wz_set_entry *out, wz_error *err);

/* Appends "power_control links=3 levels=8": the size, and options that are not at their defaults. */
wz_status wz_set_write_options(const wz_task *task, const double *values, wz_text *out, wz_error *err);

/* ---- files: JSON lines, or HDF5 where the name ends in .h5 or .hdf5 ---- */

typedef struct wz_set_writer wz_set_writer;
/* The file appears, whole, when it is finished; destroy before that leaves nothing behind. */
wz_status wz_set_writer_create(const char *path, wz_set_writer **out, wz_error *err);
wz_status wz_set_writer_add(wz_set_writer *writer, const wz_set_entry *entry, wz_error *err);
wz_status wz_set_writer_finish(wz_set_writer *writer, char digest[WZ_DIGEST_HEX], wz_error *err);
void wz_set_writer_destroy(wz_set_writer *writer);

typedef struct wz_set_reader wz_set_reader;
wz_status wz_set_reader_create(const char *path, wz_set_reader **out, wz_error *err);
/* The next entry, checked, in the order in which they were added; *done at the end, when out is left alone. */
wz_status wz_set_reader_next(wz_set_reader *reader, wz_set_entry *out, bool *done, wz_error *err);
/* Of the entries so far; at the end, the set's. */
void wz_set_reader_digest(const wz_set_reader *reader, char digest[WZ_DIGEST_HEX]);
void wz_set_reader_destroy(wz_set_reader *reader);

/* Whether a file is a problem set and no table of channels: its first character is "{", or it is an HDF5 file that says so.
 * WZ_ERR_USAGE for what is no regular file. */
wz_status wz_problem_set_recognise(const char *path, bool *is_set, wz_error *err);

/* ---- whole sets ---- */

/* The problems of one family with the same options, in the file's order. */
typedef struct wz_set_group {
    const wz_task *task;
    double values[WZ_TASK_MAX_OPTIONS];
    wz_problem *problems; /* [count]; NULL where only a summary was asked for */
    size_t count, capacity;
    wz_reference_kind kind; /* the weakest of its references */
    size_t own;             /* problems that are a user's own numbers: nothing can say where they come from */
} wz_set_group;

typedef struct wz_problem_set {
    wz_set_group *groups; /* in order of first appearance */
    size_t group_count, group_capacity;
    size_t count; /* of all problems */
    char digest[WZ_DIGEST_HEX];
} wz_problem_set;

/* Reads and checks a set; keep: its problems too, not only the summary. An empty one is WZ_ERR_CORRUPT. */
wz_status wz_problem_set_read(const char *path, bool keep, wz_problem_set *out, wz_error *err);
void wz_problem_set_clear(wz_problem_set *set);

#endif
