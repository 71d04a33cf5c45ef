/* An ONNX file as it is read: first what its messages hold (onnx_read.c), then whether that is an export of the model
 * (onnx_match.c). Private to the two. */
#ifndef WZ_CHECKPOINTS_ONNX_SOURCE_H
#define WZ_CHECKPOINTS_ONNX_SOURCE_H

#include "checkpoints/onnx_file.h"
#include "engine/model/model.h"

/* An initialiser found in the file. */
typedef struct wz_onnx_found {
    wz_onnx_part part;
    uint64_t at;   /* of its numbers */
    bool external; /* in the data file */
} wz_onnx_found;

typedef struct wz_onnx_source {
    wz_tensor_source base;
    char *path;
    int files[2]; /* model.onnx, model.onnx.data; -1: there is none */
    uint64_t sizes[2];
    wz_model_config config;
    wz_onnx_found *list;                       /* after wz_onnx_match: in order of their names */
    size_t list_count, list_capacity, matched; /* matched: those that a weight or a table is made of */
    wz_text rest;                              /* the graph without its initialisers */
    wz_param *params;
    wz_stored_tensor *tensors;
    size_t (*places)[2]; /* of each tensor's parts in the list */
    void *stored;
    size_t capacity;
} wz_onnx_source;

/* WZ_ERR_CORRUPT, with the file's name. */
wz_status wz_onnx_fail(const wz_onnx_source *source, const char *what, wz_error *err);
/* Fills params, tensors and places: exactly the initialisers and the graph of an export of a model of these sizes, or
 * WZ_ERR_CORRUPT. */
wz_status wz_onnx_match(wz_onnx_source *source, wz_error *err);

#endif
