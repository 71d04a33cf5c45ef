/* The formats that the table in formats.c lists. Private to this room. */
#ifndef WZ_CHECKPOINTS_FORMATS_H
#define WZ_CHECKPOINTS_FORMATS_H

#include "checkpoints/portable.h"

extern const wz_model_format wz_format_gguf;
extern const wz_model_format wz_format_gguf_lora;
extern const wz_model_format wz_format_hf;
extern const wz_model_format wz_format_onnx;
extern const wz_model_format wz_format_peft;
extern const wz_model_format wz_format_safetensors;

#endif
