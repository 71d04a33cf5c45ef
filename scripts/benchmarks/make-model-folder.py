#!/usr/bin/env python3
"""Writes a Hugging Face folder of Qwen2.5-0.5B's shape, with random bf16 weights and a tokenizer of its size: for file-rates.sh.

    scripts/benchmarks/make-model-folder.py FOLDER [LAYERS]         default: 24 layers, 988 MB; deterministic

The tokenizer is the tests' small one with random merges up to 151,643 tokens. Needs nothing but Python.
"""

import json
import pathlib
import random
import struct
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent / "tests/data/hf/qwen2"
VOCABULARY, TOKENS, HIDDEN, MIDDLE, HEADS, KV_HEADS, HEAD = 151936, 151643, 896, 4864, 14, 2, 64


def shapes(layers):
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for i in range(layers):
        layer = f"model.layers.{i}."
        for name, rows in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            yield f"{layer}self_attn.{name}_proj.weight", (rows * HEAD, HIDDEN)
            yield f"{layer}self_attn.{name}_proj.bias", (rows * HEAD,)
        yield layer + "self_attn.o_proj.weight", (HIDDEN, HEADS * HEAD)
        yield layer + "mlp.gate_proj.weight", (MIDDLE, HIDDEN)
        yield layer + "mlp.up_proj.weight", (MIDDLE, HIDDEN)
        yield layer + "mlp.down_proj.weight", (HIDDEN, MIDDLE)
        yield layer + "input_layernorm.weight", (HIDDEN,)
        yield layer + "post_attention_layernorm.weight", (HIDDEN,)
    yield "model.norm.weight", (HIDDEN,)


def write_weights(path, layers, draw):
    """Little-endian bf16: random mantissas, signs and the low exponent bits; magnitudes of 2^-9 to 2^-5."""
    upper = bytes((byte & 0x81) | 0x3C for byte in range(256))
    header, place = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes(layers):
        bytes_here = 2 * shape[0] * (shape[1] if len(shape) == 2 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [place, place + bytes_here]}
        place += bytes_here
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        while place > 0:
            block = bytearray(draw.randbytes(min(place, 1 << 24)))
            block[1::2] = block[1::2].translate(upper)
            file.write(block)
            place -= len(block)


def write_tokenizer(path, draw):
    tokenizer = json.loads((SOURCE / "tokenizer.json").read_text())
    vocabulary, merges = tokenizer["model"]["vocab"], tokenizer["model"]["merges"]
    names = list(vocabulary)
    while len(names) < TOKENS:
        left, right = draw.choice(names), draw.choice(names)
        if len(left + right) <= 16 and left + right not in vocabulary:
            vocabulary[left + right] = len(names)
            names.append(left + right)
            merges.append([left, right])
    for i, token in enumerate(tokenizer["added_tokens"]):
        token["id"] = TOKENS + i
    path.write_text(json.dumps(tokenizer, ensure_ascii=False))


def main():
    folder, layers = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 24
    draw = random.Random(1)
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((SOURCE / "config.json").read_text())
    config.update(hidden_size=HIDDEN, intermediate_size=MIDDLE, num_hidden_layers=layers, num_attention_heads=HEADS,
                  num_key_value_heads=KV_HEADS, vocab_size=VOCABULARY, max_position_embeddings=32768,
                  torch_dtype="bfloat16", bos_token_id=TOKENS, eos_token_id=TOKENS + 2)
    generation = {"eos_token_id": [TOKENS + 2, TOKENS], "bos_token_id": TOKENS, "pad_token_id": TOKENS}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text(json.dumps(generation))
    write_tokenizer(folder / "tokenizer.json", draw)
    write_weights(folder / "model.safetensors", layers, draw)


main()
