/* The decoder as an ONNX graph: operators and their names, without the weights.
 *
 * Opset 17, standard operators (and MatMulNBits of com.microsoft in quantised exports). Inputs input_ids, attention_mask,
 * position_ids [batch, sequence], past_key_values.N.key and .value [batch, kv heads, past, head_dim]; outputs logits
 * [batch, sequence, vocabulary], present.N.key and .value. Rows are [batch * sequence, width] between attention layers, so
 * that every linear layer is one Gemm over weights as they are stored, [out, in]. */
#ifndef WZ_CHECKPOINTS_ONNX_GRAPH_H
#define WZ_CHECKPOINTS_ONNX_GRAPH_H

#include "checkpoints/number_type.h"
#include "engine/core/protobuf.h"
#include "engine/model/config.h"

/* How a weight is stored in an export of `type`: matrices as that, but for what a Gather reads (the embedding, and a tied
 * head with it), which is f16 instead of q8_0 and q4_0, and rows that blocks of 32 do not fill; vectors f32. */
wz_number_type wz_onnx_stored_type(const char *name, size_t rank, size_t width, wz_number_type type);

/* Appends the fields of a GraphProto that come before the initialisers' (nodes) and after them (inputs, outputs). */
void wz_onnx_write_nodes(const wz_model_config *config, wz_number_type type, wz_message *graph);
void wz_onnx_write_values(const wz_model_config *config, wz_message *graph);

/* Names of tables that nodes read beside the weights: [max_position_embeddings, head_dim / 2] cosines and sines. */
#define WZ_ONNX_COSINES "rope.cosines"
#define WZ_ONNX_SINES "rope.sines"
/* Of a quantised weight NAME: its scales [out, blocks of 32]. */
#define WZ_ONNX_SCALES ".scales"

#endif
