#!/usr/bin/env python3
"""Writes tests/data/hf/NAME/: tiny models with random weights as transformers saves them, and what it computes from them.

    python3 tests/tools/make_hf_fixtures.py            # writes beside ../data, deterministic

Besides the files of a Hugging Face folder (the tokenizers are copies of tests/data/tokenizer_*.json; the vocabulary of a
model is larger, as Qwen's is), each folder holds

    expected.json     prompt: token ids; greedy: the tokens that follow, each the largest logit of the row before;
                      margin: by how much, of the largest |logit| of the row; rows: whose logits are in expected.f32
                      (row i predicts token i + 1 of prompt + greedy); config, end, bos, pad: what transformers reads
    expected.f32      float32 [len(rows)][vocab_size]

computed in float32 from the weights as they are stored. config.json is written as transformers 5 does (rope_parameters,
dtype), or, with "old", as transformers 4 did (rope_theta, rope_scaling, torch_dtype) and models on the hub have it.
"""

import json
import os
import pathlib
import shutil

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import transformers

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
PROMPT, GREEDY = 20, 16

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}
COMMON = {"intermediate_size": 24, "num_hidden_layers": 2, "max_position_embeddings": 64, "pad_token_id": None}
CHATML = ("{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
          "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
SAMPLING = {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20}

MODELS = {
    # As SmolLM2: Llama, tied, no head_dim in its file.
    "llama_tied": dict(
        cls="LlamaForCausalLM", tokenizer="smollm2", dtype="bfloat16", old=True, template="string", generation={},
        config=dict(COMMON, vocab_size=648, hidden_size=18, num_attention_heads=3, num_key_value_heads=1,
                    rms_norm_eps=1e-5, tie_word_embeddings=True, bos_token_id=638, eos_token_id=639,
                    pad_token_id=639, rope_parameters={"rope_type": "default", "rope_theta": 100000.0})),
    # As Llama 3.2, but untied and in shards. Wavelengths 2 pi 100^(i/2) = 6.3, 63 against the bounds 16/4 and 16/1.
    "llama3": dict(
        cls="LlamaForCausalLM", tokenizer="llama3", dtype="float16", old=False, template="file", shard="20KB",
        generation=dict(SAMPLING, eos_token_id=[677, 678]),
        config=dict(COMMON, vocab_size=680, hidden_size=16, num_attention_heads=4, num_key_value_heads=2,
                    head_dim=4, rms_norm_eps=1e-5, tie_word_embeddings=False, bos_token_id=676, eos_token_id=677,
                    rope_parameters=dict(LLAMA3, rope_theta=100.0))),
    "qwen2": dict(
        cls="Qwen2ForCausalLM", tokenizer="qwen2", dtype="float32", old=True, template="list",
        generation=dict(SAMPLING, eos_token_id=[650, 648], pad_token_id=648, bos_token_id=648),
        config=dict(COMMON, vocab_size=660, hidden_size=12, num_attention_heads=2, num_key_value_heads=1,
                    rms_norm_eps=1e-6, tie_word_embeddings=True, bos_token_id=648, eos_token_id=650,
                    rope_parameters={"rope_type": "default", "rope_theta": 1000000.0})),
    # Heads wider than hidden_size / num_attention_heads.
    "qwen3": dict(
        cls="Qwen3ForCausalLM", tokenizer="qwen2", dtype="bfloat16", old=False, template="file", generation=None,
        config=dict(COMMON, vocab_size=672, hidden_size=16, num_attention_heads=4, num_key_value_heads=2,
                    head_dim=8, rms_norm_eps=1e-6, tie_word_embeddings=False, bos_token_id=648, eos_token_id=650,
                    rope_parameters={"rope_type": "default", "rope_theta": 1000000.0})),
}


def fill_weights(model, rng):
    """Peaked logits: linear maps and the head with gains well above 1. Norms differ from 1, biases from 0."""
    for name, parameter in model.named_parameters():
        shape = tuple(parameter.shape)
        if name.endswith("norm.weight"):
            value = 1.0 + 0.3 * rng.standard_normal(shape)
        elif name.endswith("bias"):
            value = 0.3 * rng.standard_normal(shape)
        elif "embed_tokens" in name or "lm_head" in name:
            value = rng.standard_normal(shape)
        else:
            value = 0.6 * rng.standard_normal(shape)
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(value.astype(np.float32)))


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def make_old(folder):
    """config.json with the keys of transformers 4."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    config["torch_dtype"] = config.pop("dtype")
    config.pop("head_dim", None)
    config.pop("layer_types", None)
    write_json(path, config)


def write_texts(folder, model):
    source = DATA / f"tokenizer_{model['tokenizer']}.json"
    shutil.copy(source, folder / "tokenizer.json")
    names = {int(a["id"]): a["content"] for a in json.loads(source.read_text())["added_tokens"]}
    config = model["config"]
    texts = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64,
             "bos_token": names[config["bos_token_id"]], "eos_token": names[config["eos_token_id"]]}
    if model["template"] == "string":
        texts["chat_template"] = CHATML
    elif model["template"] == "list":
        texts["chat_template"] = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": CHATML}]
    else:
        (folder / "chat_template.jinja").write_text(CHATML)
    write_json(folder / "tokenizer_config.json", texts)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if model["generation"] is not None:
        write_json(folder / "generation_config.json", model["generation"])
    (folder / "README.md").write_text("---\nlicense: apache-2.0\nlibrary_name: transformers\n---\n\nRandom weights.\n")


def expect(folder, rng):
    """What transformers makes of the folder as it lies there."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    vocab = model.config.vocab_size
    ids = rng.integers(0, vocab, PROMPT).tolist()
    greedy = []
    with torch.no_grad():
        for _ in range(GREEDY):
            greedy.append(int(model(torch.tensor([ids + greedy]), use_cache=False).logits[0, -1].argmax()))
        logits = model(torch.tensor([ids + greedy]), use_cache=False).logits[0]
    top = logits[PROMPT - 1:-1].topk(2).values
    margin = ((top[:, 0] - top[:, 1]) / logits[PROMPT - 1:-1].abs().amax(-1)).tolist()
    rows = [PROMPT - 1, PROMPT + GREEDY - 2]
    config = model.config
    end = config.eos_token_id if model.generation_config.eos_token_id is None else model.generation_config.eos_token_id
    write_json(folder / "expected.json", {
        "prompt": ids, "greedy": greedy, "margin": margin, "rows": rows,
        "head_dim": getattr(config, "head_dim", config.hidden_size // config.num_attention_heads),
        "num_key_value_heads": config.num_key_value_heads, "vocab_size": vocab,
        "rope_theta": config.rope_parameters["rope_theta"], "end": end if isinstance(end, list) else [end],
        "made_with": f"torch {torch.__version__}, transformers {transformers.__version__}"})
    logits[rows].numpy().astype("<f4").tofile(folder / "expected.f32")
    print(f"{folder.name}: margins {min(margin):.1e} to {max(margin):.1e}, largest |logit| "
          f"{logits.abs().max().item():.1f}, greedy {greedy}")


def make(name):
    model = MODELS[name]
    folder = DATA / "hf" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(sum(map(ord, name)))
    cls = getattr(transformers, model["cls"])
    made = cls(cls.config_class(**model["config"])).eval()
    fill_weights(made, rng)
    made.to(getattr(torch, model["dtype"])).save_pretrained(folder, max_shard_size=model.get("shard", "5GB"))
    if model["old"]:
        make_old(folder)
    write_texts(folder, model)
    expect(folder, rng)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for fixture in MODELS:
        make(fixture)
