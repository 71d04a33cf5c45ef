/* Decoding that the device drives. Which tokens a completion may take, its forced tokens, the rows of a step and the draws
 * are followed on the device, from tables made beforehand, so that a step asks nothing of the host and can be replayed as
 * a graph. The host learns afterwards what was drawn, and lays the same rows out in the pack (engine/rollout).
 *
 * A pack's decoding: begin; then for each step `rows`, the layers of the model over the step's rows with `attention` and
 * `store` (wz_model_decode_step), the final norm of the sites and `sample`, the last step without rows to sample from; end
 * with `results`. A step's rows are computed in buffers of their own, [0, rows) of them; `store` copies those there are to
 * their places in the pack's activations, which are also the KV cache. */
#ifndef WZ_BACKEND_DECODE_H
#define WZ_BACKEND_DECODE_H

#include "engine/core/digest.h"

/* included by backend.h, after its types */

/* What may follow. A choice is a set of several tokens, each an edge: the token, then the tokens that are forced after it,
 * then the next choice. A start is a choice of one edge, whose token is none. */
typedef struct wz_decode_paths {
    char digest[WZ_DIGEST_HEX]; /* of the contents; empty without choices */
    int32_t choices;            /* 0: every token of the vocabulary may follow, until an end token */
    int32_t edges;
    const int32_t *first;   /* [choices + 1] edges of a choice */
    const uint32_t *token;  /* [edges] ascending within a choice */
    const int32_t *run;     /* [edges + 1] forced[run[e] .. run[e + 1]) */
    const int32_t *next;    /* [edges] choice; -1: the completion has ended */
    const uint32_t *forced; /* [run[edges]] */
    int32_t largest;        /* tokens of the largest choice */
} wz_decode_paths;

typedef struct wz_decode {
    const wz_segments *segments; /* the pack's prompts; no completion has a row yet */
    int64_t generations, prompt_rows;
    const uint32_t *problem; /* [groups] for the draw keys */
    const int32_t *start;    /* [groups] edge; NULL without choices */
    const wz_decode_paths *paths;
    wz_sampling sampling; /* without top-k, top-p, min-p */
    wz_draw_key key;      /* seed, step and purpose */
    int64_t longest;      /* tokens of a completion, at most */
    int64_t lessons;      /* completions of each group whose last tokens are rows, too */
    const uint32_t *end_tokens;
    size_t end_token_count; /* at most WZ_DECODE_ENDS */
    int64_t vocab;
    wz_attention attention;
    /* most of any step: */
    int64_t steps, step_rows, group_rows; /* group_rows: of one group in one step */
} wz_decode;

#define WZ_DECODE_ENDS 9

/* The most of all packs of a run; steps 0: the host drives. */
typedef struct wz_decode_bounds {
    int64_t steps, longest, step_rows, group_rows; /* as in wz_decode */
    int64_t choices, edges, forced, largest;       /* of wz_decode_paths */
} wz_decode_bounds;

/* A step's index arrays, on the device: as arguments of ops they are read there. */
typedef struct wz_decode_view {
    const int32_t *token, *position; /* [step_rows] */
    const int32_t *site;             /* [completions] site of each request's hidden state */
} wz_decode_view;

/* How large a step is at most: rows, rows of one group, completions that ask for a token. */
typedef struct wz_decode_size {
    int64_t rows, group_rows, requests;
} wz_decode_size;

typedef struct wz_stored {
    wz_tensor to, from; /* of one type; `to`: the pack's, whole; `from`: the step's */
    bool at_sites;      /* `to` is indexed by site */
} wz_stored;
#define WZ_STORED 12 /* most of one call */

/* What `rope` would do to q and k of a step's rows; position: the view's. */
typedef struct wz_rotation {
    const int32_t *position;
    const float *table;
    wz_attention attention;
} wz_rotation;

typedef struct wz_decode_ops {
    /* Takes a pack; the view stays valid until the next begin. */
    wz_status (*begin)(wz_backend *backend, const wz_decode *decode, wz_decode_view *view, wz_error *err);
    /* Runs body(context), which calls ops for one step of this size. A step is recorded and replayed where an equal one
     * was run before: equal in size and in `owner`, which stands for all other memory that its ops work on. */
    void (*run)(wz_backend *backend, const wz_decode_size *size, const void *owner,
                void (*body)(void *context), void *context);
    /* The owner's memory is about to change or to go. */
    void (*forget)(wz_backend *backend, const void *owner);
    /* Takes in the tokens drawn last, appends forced ones and lays out the step's rows and requests. */
    void (*rows)(wz_backend *backend, const wz_decode_size *size);
    /* rotation (NULL: none): stored[0] is qkv and is rotated on its way; `from` stays as it is. */
    void (*store)(wz_backend *backend, const wz_stored *stored, int count, const wz_rotation *rotation);
    /* As attention_forward, of the step's rows: out and lse [rows] are the step's, qkv is the pack's. */
    void (*attention)(wz_backend *backend, wz_tensor out, float *lse, wz_tensor qkv,
                      const wz_decode_size *size, const wz_attention *attention);
    /* A token for each request, from hidden[request]: with the arithmetic of head_sample. */
    void (*sample)(wz_backend *backend, wz_tensor hidden, const wz_linear *head, const wz_decode_size *size);
    /* Waits; completions that still decode, after the last `rows`. */
    wz_status (*alive)(wz_backend *backend, int64_t *count, wz_error *err);
    /* Waits; result[step][completion] of the steps that were run (kept is not set; completions that had ended are left
     * undefined), and the rows that exist then. */
    wz_status (*results)(wz_backend *backend, wz_sample_result *result, int64_t *rows, wz_error *err);
} wz_decode_ops;

#endif
