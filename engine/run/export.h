/* `wavezero export`: a policy as a folder that other programs run. */
#ifndef WZ_RUN_EXPORT_H
#define WZ_RUN_EXPORT_H

#include "checkpoints/checkpoint.h"
#include "checkpoints/portable.h"
#include "engine/rollout/policy.h"
#include "engine/run/config.h"
#include "engine/run/verify.h"

#define WZ_CHECKSUMS_FILE "checksums.xxh128" /* `xxhsum -c` reads it */
#define WZ_CARD_FILE "README.md"
#define WZ_GRAMMAR_FILE "answer.gbnf"

typedef struct wz_export {
    wz_policy *policy;
    wz_checkpoint *weights; /* to copy them from: the policy has none; NULL: they are the policy's */
    const wz_config *config;
    const char *checkpoint; /* its path, for the card */
    int64_t step;
    const char *environment; /* JSON of where it was trained; "": unknown */
    const wz_model_format *format;
    wz_number_type type;
    const char *folder; /* to make */
    bool overwrite;
    bool grammar;               /* write the answer grammar, too */
    int64_t eval_problems;      /* for the card's table; 0: none */
    const char *name, *license; /* "": as known */
    wz_stop *stop;              /* asked between pieces of work; NULL: nobody */
} wz_export;

/* Bytes of the weights in this type, for a progress bar. */
uint64_t wz_export_bytes(const wz_export *request);
/* Bytes that the whole folder takes on a disk at most. */
wz_status wz_export_need(const wz_export *request, uint64_t *bytes, wz_error *err);
/* Writes the folder whole or not at all: WZ_STATUS_SIGNAL where request->stop asks for it. WZ_ERR_USAGE, before
 * anything is touched, where it would take the place of the checkpoint or of the one that its adapters stand beside. */
wz_status wz_export_run(const wz_export *request, const wz_byte_count *bytes, wz_error *err);
/* Reads the folder back and compares; appends what was compared. */
wz_status wz_export_verify(const wz_export *request, int64_t problems, wz_verification *out, wz_error *err);

/* Whether completions think before they answer: the answer grammar alone does not describe them then. */
bool wz_export_thinks(const wz_export *request);
/* Whether the token `</answer>` ends a completion. A grammar of llama.cpp admits end tokens at its end, and nowhere by their
 * text: it must leave the tag out, or the policy would have to spell it in other tokens first. */
bool wz_export_closes(const wz_export *request);

/* The card, in Markdown with front matter. */
wz_status wz_export_card(const wz_export *request, const wz_portable *model, wz_text *out, wz_error *err);

#endif
