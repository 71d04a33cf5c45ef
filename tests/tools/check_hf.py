#!/usr/bin/env python3
"""Loads a Hugging Face folder with transformers, as a user would, and fails where anything is not as it should be.

    check_hf.py FOLDER... [--like FOLDER] [--complete FILE] [--tokens N] [--dtype float32]

- AutoConfig, AutoTokenizer, AutoModelForCausalLM and GenerationConfig load without a warning; no tensor is missing, left
  over or made up; the weights have the type that config.json names.
- Encoding with AutoTokenizer equals encoding with tokenizer.json itself; special tokens are known by name; a chat template,
  where there is one, renders.
- --like: every tensor equals the other folder's, rounded to this folder's type (bit for bit); configurations agree in what
  changes the computation; logits differ by at most 1e-4 of the largest where the types are the same.
- --complete: a JSON Lines file of {"prompt": text} or {"ids": [...]}; prints one line each with the greedy completion:
  {"prompt", "ids", "tokens", "text"}, the end token included where one came.

Exit status 0: all held; 1: not, and stderr says what.
"""

import argparse
import json
import logging
import os
import sys
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers

SIZES = ("model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
         "num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "rope_parameters", "tie_word_embeddings",
         "hidden_act")


def require(condition, message):
    if not condition:
        sys.exit(f"check_hf: {message}")


class Messages(logging.Handler):
    """Everything that transformers says at level warning or above."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


def load(folder, dtype="auto"):
    messages = Messages()
    logging.getLogger("transformers").addHandler(messages)
    transformers.utils.logging.disable_progress_bar()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model, info = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    logging.getLogger("transformers").removeHandler(messages)
    said = messages.texts + [str(w.message) for w in caught]
    require(not said, f"{folder}: transformers warns: {said}")
    for kind, names in info.items():
        require(not names, f"{folder}: {kind}: {names}")
    return model.eval(), tokenizer


def check_type(folder, model):
    config = json.load(open(os.path.join(folder, "config.json"), encoding="utf-8"))
    named = config.get("dtype") or config.get("torch_dtype")
    for name, parameter in model.named_parameters():
        require(str(parameter.dtype) == f"torch.{named}", f"{name} is {parameter.dtype}, config.json says {named}")


def check_tokenizer(folder, tokenizer):
    import tokenizers

    own = tokenizers.Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    texts = ["power 1 2 3\n", "Hello, wörld! 12345 日本語 \U0001f600", "  a\t\n\n b ", "<think>x</think>", ""]
    texts += list(tokenizer.all_special_tokens)
    for text in texts:
        require(tokenizer(text)["input_ids"] == own.encode(text).ids, f"AutoTokenizer and tokenizer.json differ on {text!r}")
    require(tokenizer.eos_token is not None, "the tokenizer has no eos_token")
    if tokenizer.chat_template:
        text = tokenizer.apply_chat_template([{"role": "user", "content": "17 links"}], tokenize=False,
                                             add_generation_prompt=True)
        require("17 links" in text, f"the chat template renders {text!r}")


def plain(value):
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def check_like(model, folder, other):
    theirs, _ = load(other)
    for key in SIZES:
        mine, want = plain(getattr(model.config, key, None)), plain(getattr(theirs.config, key, None))
        require(mine == want, f"config.{key} is {mine}, {other} has {want}")
    left, right = model.state_dict(), theirs.state_dict()
    require(left.keys() == right.keys(), f"tensors differ: {sorted(left.keys() ^ right.keys())}")
    for name, tensor in left.items():
        require(torch.equal(tensor, right[name].to(tensor.dtype)), f"{name} of {folder} is not {other}'s, rounded")
    same = next(model.parameters()).dtype == next(theirs.parameters()).dtype
    ids = torch.randint(0, model.config.vocab_size, (1, 24), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        a, b = model.float()(ids).logits, theirs.float()(ids).logits
    error = ((a - b).abs().max() / b.abs().max()).item()
    require(not same or error <= 1e-4, f"logits differ by {error:.1e} of the largest")
    return error


def complete(model, tokenizer, path, tokens):
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    for line in open(path, encoding="utf-8"):
        entry = json.loads(line)
        ids = entry.get("ids") or tokenizer(entry["prompt"])["input_ids"]
        with torch.no_grad():
            out = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                                 max_new_tokens=tokens, do_sample=False, temperature=None, top_p=None, top_k=None,
                                 pad_token_id=ends[0] if ends[0] is not None else 0)
        new = out[0, len(ids):].tolist()
        kept = [t for t in new if t not in ends]
        print(json.dumps({"prompt": entry.get("prompt"), "ids": ids, "tokens": new, "text": tokenizer.decode(kept)}))


def check(folder, arguments):
    model, tokenizer = load(folder)
    check_type(folder, model)
    check_tokenizer(folder, tokenizer)
    said = f"{folder}: loads as {type(model).__name__}, {next(model.parameters()).dtype}"
    if arguments.like:
        said += f"; like {arguments.like}, logits within {check_like(model, folder, arguments.like):.1e}"
    if arguments.complete:
        if arguments.dtype != "auto" or arguments.like:
            model, tokenizer = load(folder, arguments.dtype)
        complete(model, tokenizer, arguments.complete, arguments.tokens)
    print(said, file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--like", metavar="FOLDER")
    parser.add_argument("--complete", metavar="FILE")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--dtype", default="auto", help="to compute in, for --complete")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for folder in arguments.folders:
        check(folder, arguments)


if __name__ == "__main__":
    main()
