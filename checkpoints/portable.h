/* A model as other programs keep it: what every format here writes and reads, and what import and export pass on.
 *
 * A format is one file with two functions and a row in formats.c. Tensors go by Hugging Face names and [out, in] layout
 * on this side, whatever a format calls or permutes them, and are read a few rows at a time: a model never lies in memory
 * twice. */
#ifndef WZ_CHECKPOINTS_PORTABLE_H
#define WZ_CHECKPOINTS_PORTABLE_H

#include "checkpoints/number_type.h"
#include "engine/core/block_file.h"
#include "engine/core/memory.h"
#include "engine/core/stop.h"
#include "engine/model/config.h"
#include "engine/text/tokenizer.h"

typedef struct wz_stored_tensor {
    const char *name;    /* Hugging Face's: model.layers.0.self_attn.q_proj.weight */
    wz_number_type type; /* as it is stored */
    size_t rank;         /* 1 or 2 */
    size_t shape[2];     /* [out, in], or [n] */
} wz_stored_tensor;

/* Tensors wherever they lie. */
typedef struct wz_tensor_source {
    const wz_stored_tensor *tensors;
    size_t count;
    /* Rows [first, first + rows) of tensor `index` as fp32; of a vector, its elements. The range is within the tensor. */
    wz_status (*read)(struct wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                      wz_error *err);
    void (*close)(struct wz_tensor_source *self); /* frees self, too */
    /* Rows as `read` gives them, but as they are stored, in tensors[index].type; NULL: as fp32 only. */
    wz_status (*read_stored)(struct wz_tensor_source *self, size_t index, size_t first, size_t rows,
                             void *out, wz_error *err);
    /* These tensors will be read, in this order, each from front to back: a source may read ahead; NULL: it does not. */
    wz_status (*expect)(struct wz_tensor_source *self, const size_t *order, size_t count, wz_error *err);
} wz_tensor_source;

#define WZ_PORTABLE_END_IDS 8

typedef struct wz_portable {
    wz_model_config model;   /* the sizes; what initialises weights is at its default */
    wz_tokenizer *tokenizer; /* NULL: the file has none */
    bool lent_tokenizer;     /* not to be freed with the rest */
    wz_text chat_template;   /* in Jinja, as tokenizer_config.json and GGUF carry it; empty: none */
    int64_t bos_id, pad_id;  /* -1: none */
    uint32_t end_ids[WZ_PORTABLE_END_IDS]; /* any of them ends a completion */
    size_t end_count;
    double temperature,
        top_p; /* generation_config.json: how the model is meant to be sampled; temperature 0: greedily */
    int64_t top_k;
    char name[128];       /* of the model, for humans */
    char base_model[256]; /* what it was trained from; "": random weights */
    char license[128];    /* SPDX name or what the source said; "": unknown */
    wz_tensor_source *tensors;
    /* Low-rank adapters in PEFT's names, which are folded into `tensors` besides; NULL: none. */
    wz_tensor_source *adapters;
    wz_lora_config lora;
    char adapted[256]; /* the model or file that they stand beside; "": unknown */
} wz_portable;

/* Everything empty, ids -1, temperature 1, top_p 1. */
void wz_portable_init(wz_portable *portable);
/* Frees what it holds, tensors included. */
void wz_portable_clear(wz_portable *portable);

/* The index of a tensor in the source; SIZE_MAX: there is none. */
size_t wz_tensor_find(const wz_tensor_source *source, const char *name);
/* Elements of a tensor. */
size_t wz_tensor_elements(const wz_stored_tensor *tensor);
/* Fails, naming the tensor and `path`, unless the source has exactly the tensors of portable->model, in their shapes. A
 * stored lm_head.weight beside tie_word_embeddings is one too many; formats that carry such a copy leave it out. */
wz_status wz_portable_check_tensors(const wz_portable *portable, const char *path, wz_error *err);

/* Fails unless so many tensors could be those of so many layers: what is believed before anything is made for each layer. */
wz_status wz_portable_check_layers(const wz_model_config *config, size_t tensors, const char *path,
                                   wz_error *err);

/* Told of every bytes read or written, in order: for a progress bar; and asked whether to go on. {0}: nobody listens. */
typedef struct wz_byte_count {
    void (*add)(void *user, uint64_t bytes);
    /* of a file that is finished, its digest: optional */
    void (*written)(void *user, const char *path, const char digest[WZ_DIGEST_HEX]);
    void *user;
    wz_stop *stop; /* NULL: nobody asks for it */
} wz_byte_count;
/* For those who write. bytes: NULL for nobody. WZ_STATUS_SIGNAL: they are to stop. */
wz_status wz_byte_count_add(const wz_byte_count *bytes, uint64_t count, wz_error *err);
void wz_byte_count_written(const wz_byte_count *bytes, const wz_block_file *file);

/* All tensors will be read in their order. */
wz_status wz_tensor_expect_all(wz_tensor_source *source, wz_error *err);
/* Rows of a tensor in a type: as they are stored where that is the type, else read as fp32 (into numbers, which holds as many; f32 itself needs none) and
 * rounded. */
wz_status wz_tensor_read_as(wz_tensor_source *source, size_t index, size_t first, size_t rows,
                            wz_number_type type, float *numbers, void *out, wz_error *err);
/* Streams tensor `index` through `take` in blocks of whole rows of at most about a MiB (one row at least): fp32 numbers. */
typedef wz_status (*wz_rows_function)(void *user, const float *numbers, size_t count, wz_error *err);
wz_status wz_tensor_stream(wz_tensor_source *source, size_t index, wz_rows_function take, void *user,
                           wz_error *err);
/* The same with numbers of a type; count: numbers. */
typedef wz_status (*wz_stored_function)(void *user, const void *stored, size_t count, wz_error *err);
wz_status wz_tensor_stream_as(wz_tensor_source *source, size_t index, wz_number_type type,
                              wz_stored_function take, void *user, wz_error *err);

typedef struct wz_model_format {
    const char *name;         /* `--format` */
    const char *title;        /* for humans */
    unsigned types;           /* 1u << wz_number_type of those it can hold */
    const char *file;         /* the file in a folder by which import knows it: "config.json", "model.gguf" */
    const char *const *files; /* names of all that write may make, NULL-terminated */
    bool is_adapters; /* holds the adapters alone: writes and opens those, and import takes it for no model */
    /* Writes its files into a folder that is there and empty. Card, checksums and renaming the folder to its final name are
     * the caller's. `bytes` counts the weights' as they are stored. */
    wz_status (*write)(const wz_portable *model, wz_number_type type, const char *folder,
                       const wz_byte_count *bytes, wz_error *err);
    /* Opens what write made, or another program: a folder, or `file` itself. Names what is not supported before it reads a
     * tensor. *out is defined (and empty) on failure. NULL: is only written. */
    wz_status (*open)(const char *path, wz_portable *out, wz_error *err);
    /* Bytes of tables that write makes beside tensors and tokenizer; NULL: none. */
    uint64_t (*table_bytes)(const wz_model_config *config);
} wz_model_format;

extern const wz_model_format *const wz_model_formats[]; /* NULL-terminated */
/* By `--format` name; NULL: unknown. */
const wz_model_format *wz_model_format_find(const char *name);
/* By what lies at a path: a folder with a format's file in it, or that file, or one that ends like it; NULL: none that can
 * be read. */
const wz_model_format *wz_model_format_at(const char *path);

#endif
