#!/usr/bin/env python3
"""Writes tests/data/model_sft.h5: what PyTorch says the supervised loss of given completions and its gradients are.

A Qwen2 decoder with tied embeddings as in make_model_fixtures.py, in float64. Each prompt has one completion; the loss is
torch.nn.functional.cross_entropy over all completion tokens of the batch, among the whole vocabulary, with its default
reduction, the mean; likeliest is the share of tokens that have the largest logit. The file is laid out as that script's, where what is not needed here is zero.

    python3 tests/tools/make_sft_fixture.py               # needs that script's packages; deterministic
"""

import json

import h5py
import numpy as np
import torch
import transformers

import make_model_fixtures as base

PROMPT_LENGTHS = [9, 1, 17, 4]
COMPLETION_LENGTHS = [5, 8, 1, 3]


def complete(model, prompt, length, vocab, rng):
    """Every third token is the likeliest, by more than rounding; the others are random."""
    out = []
    for place in range(length):
        token = int(rng.integers(0, vocab))
        if place % 3 == 0:
            best = base.completion_logits(model, prompt, out + [token])[-1].topk(2)
            assert best.values[0] - best.values[1] > 1e-2
            token = int(best.indices[0])
        out.append(token)
    return out


def main():
    config = base.CONFIGS["qwen2"]
    rng = np.random.default_rng([20260103])
    model = base.build_model(config)
    base.fill_weights(model, rng)
    weights = {k: p.detach().numpy().copy() for k, p in model.named_parameters()}
    prompts = [rng.integers(0, config["vocab_size"], n).tolist() for n in PROMPT_LENGTHS]
    base.make_float64(model, config)
    completions = [complete(model, p, n, config["vocab_size"], rng) for p, n in zip(prompts, COMPLETION_LENGTHS)]
    targets = base.flat(completions)
    logits = torch.cat([base.completion_logits(model, p, c) for p, c in zip(prompts, completions)])
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(targets).long())
    loss.backward()
    likeliest = (logits.argmax(-1).numpy() == targets).mean()

    path = base.DATA / "model_sft.h5"
    with h5py.File(path, "w") as out:
        out.attrs["config"] = json.dumps(config)
        out.attrs["temperature"] = 1.0
        out.attrs["made_with"] = f"torch {torch.__version__}, transformers {transformers.__version__}"
        for key, value in weights.items():
            out[f"weights/{key}"] = value
        for key, parameter in model.named_parameters():
            out[f"grads/{key}"] = parameter.grad.numpy()
        zeros = np.zeros(len(targets))
        out["pack/prompt_ids"], out["pack/prompt_offsets"] = base.flat(prompts), base.offsets(prompts)
        out["pack/completion_ids"], out["pack/completion_offsets"] = targets, base.offsets(completions)
        out["pack/completion_group"] = np.arange(len(prompts), dtype=np.int32)
        out["masks/ids"], out["masks/offsets"] = np.zeros(1, np.int32), np.zeros(1, np.int32)
        out["tokens/mask"] = zeros.astype(np.int32)
        out["tokens/logits"] = logits.detach().numpy()
        out["tokens/logp"], out["tokens/entropy"] = zeros, zeros
        out["tokens/logp_weight"], out["tokens/entropy_weight"] = zeros, zeros
        out["loss"], out["likeliest"] = loss.item(), likeliest
    print(f"{path.name}: {path.stat().st_size} bytes, {len(targets)} tokens, loss {loss.item():.6f}, "
          f"share of likeliest {likeliest:.3f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
