#!/usr/bin/env python3
"""Writes tests/data/tokenizer_cut_*.json: real vocabularies, cut down to the tokens that some texts need, and the ids of these
texts. What it needs and where the vocabularies come from: tokenizer_interop.py, beside this file.

    venv/bin/python tests/tools/make_cut_vocabularies.py llama_cpp_python-*/vendor/llama.cpp/models tests/data

A merge is kept where its result is a token of the texts or part of one. Merges that were applied to a text are among
these, and those that were not applied were not under the whole vocabulary either: so the ids are the whole vocabulary's,
numbered anew. The texts are llama.cpp's own, with the ids it expects, and a few of tokenizer_interop.py's, with those of the
`tokenizers` package under the whole vocabulary.
"""
import json
import random
import sys
from pathlib import Path

from tokenizers import Tokenizer, pre_tokenizers

import tokenizer_interop as interop

KINDS = ["gpt-2", "qwen2", "llama-bpe", "starcoder", "deepseek-llm"]
SPECIAL = {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>",
           "<|end_header_id|>", "<|end_of_text|>"}


def texts_and_ids(models, kind, reference):
    base = models / f"ggml-vocab-{kind}.gguf"
    texts = Path(f"{base}.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    lines = Path(f"{base}.out").read_text(encoding="utf-8").split("\n")
    ids = [[int(i) for i in line.split()] for line in lines[:len(texts)]]
    rng = random.Random(20260602)
    more = [text for text in (interop.random_text(rng) for _ in range(60)) if len(text) < 120][:25]
    more += ["<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"]
    return texts + more, ids + [e.ids for e in reference.encode_batch(more, add_special_tokens=False)]


def cut(data, used):
    """The vocabulary's part, numbered anew, and old id -> new id."""
    by_id = {number: token for token, number in data["model"]["vocab"].items()}
    keep = {c for c in pre_tokenizers.ByteLevel.alphabet() if c in data["model"]["vocab"]}
    keep |= {by_id[i] for i in used if i in by_id}
    known = 0
    while len(keep) > known:  # the parts of tokens, their parts, ...
        known = len(keep)
        merges = [pair for pair in data["model"]["merges"] if "".join(pair) in keep]
        keep.update(part for pair in merges for part in pair)
    numbers = sorted(data["model"]["vocab"][token] for token in keep)
    added = [t for t in data["added_tokens"] if t["content"] in SPECIAL or t["id"] in used]
    new = {old: n for n, old in enumerate(sorted(numbers + [t["id"] for t in added]))}
    data["model"]["vocab"] = {by_id[old]: new[old] for old in numbers}
    data["model"]["merges"] = [" ".join(pair) for pair in merges]
    data["added_tokens"] = [t | {"id": new[t["id"]]} for t in added]
    return new


def dump(path, value):
    path.write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="ascii")


def main():
    models, out = Path(sys.argv[1]), Path(sys.argv[2])
    cases = {}
    for kind in KINDS:
        data = interop.tokenizer_json(models / f"ggml-vocab-{kind}.gguf", kind)
        cases["texts"], ids = texts_and_ids(models, kind, Tokenizer.from_str(json.dumps(data)))
        new = cut(data, {i for row in ids for i in row})
        cases[kind] = [[new[i] for i in row] for row in ids]
        dump(out / f"tokenizer_cut_{kind}.json", data)
    lines = ",\n".join(f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in cases.items())
    (out / "tokenizer_cut_cases.json").write_text(f"{{{lines}}}\n", encoding="ascii")


if __name__ == "__main__":
    main()
