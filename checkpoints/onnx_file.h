/* The ONNX file around the graph: weights in, weights out. */
#ifndef WZ_CHECKPOINTS_ONNX_FILE_H
#define WZ_CHECKPOINTS_ONNX_FILE_H

#include "checkpoints/portable.h"

#define WZ_ONNX_FILE "model.onnx"
#define WZ_ONNX_DATA_FILE "model.onnx.data" /* the weights, where they are too many for one message */

/* Writes WZ_ONNX_FILE into a folder; weights of more than `inline_bytes` stand in WZ_ONNX_DATA_FILE beside. */
wz_status wz_onnx_write(const wz_portable *model, wz_number_type type, const char *folder,
                        uint64_t inline_bytes, const wz_byte_count *bytes, wz_error *err);
/* Of RoPE's tables, which it writes beside the tensors. */
uint64_t wz_onnx_table_bytes(const wz_model_config *config);
/* The most that stands inside: a message has less than 2 GiB. */
#define WZ_ONNX_INLINE_BYTES ((uint64_t)1 << 30)

/* The tensors of such a file as a source, for a model of these sizes. WZ_ERR_CORRUPT where the file is none that wz_onnx_write
 * makes for such a model: another graph, other tables, tensors that lie outside the file. */
wz_status wz_onnx_open(const char *folder, const wz_model_config *config, wz_tensor_source **out,
                       wz_error *err);

/* How the weights of an export's type lie in the file, worked out by both. A row of a matrix in blocks is two: quantised numbers
 * as MatMulNBits reads them, and scales. */
typedef struct wz_onnx_part {
    char name[112];
    int element; /* ONNX's number of the type */
    size_t rank, shape[3];
    uint64_t bytes;
} wz_onnx_part;
/* Fills one or two parts; returns their number. */
size_t wz_onnx_parts(const wz_stored_tensor *tensor, wz_number_type type, wz_onnx_part parts[2]);
/* Between a block as wz_numbers_encode makes it and MatMulNBits' bytes and scale: q8_0 as unsigned numbers around 128, q4_0 as
 * neighbours in a byte, low half first. */
void wz_onnx_pack(wz_number_type type, const unsigned char *block, unsigned char *packed, float *scale);
void wz_onnx_unpack(wz_number_type type, const unsigned char *packed, float scale, float numbers[32]);

#endif
