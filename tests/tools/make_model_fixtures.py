#!/usr/bin/env python3
"""Writes tests/data/model_{qwen2,qwen3,llama}.h5: what PyTorch says a small decoder computes.

The models are transformers' own Qwen2ForCausalLM, Qwen3ForCausalLM and LlamaForCausalLM with random
float32 weights, evaluated in float64. The token layout mirrors a pack: groups, each one prompt and
several completions of different lengths. Every completion is run here on its own, prompt and all, at
positions 0, 1, ..., so the file knows nothing of shared prompts.

    pip install -r scripts/compare/requirements.txt
    python3 tests/tools/make_model_fixtures.py            # writes beside ../data, deterministic

Layout of a file (C = completions, N = completion tokens in order of completion, then position):

    attribute config          JSON text with the names of a Hugging Face config.json (an HDF5 string of
                              variable length, UTF-8)
    attribute temperature     float64
    attribute made_with       versions of torch and transformers
    weights/NAME              float32, Hugging Face tensor name (no lm_head.weight: tied embeddings)
    pack/prompt_ids           int32, all prompts one after the other
    pack/prompt_offsets       int32 [groups + 1], into prompt_ids
    pack/completion_ids       int32 [N]
    pack/completion_offsets   int32 [C + 1], into completion_ids and every tokens/* array
    pack/completion_group     int32 [C], not decreasing
    masks/offsets             int32 [M + 1], into masks/ids
    masks/ids                 int32, ascending within a mask; mask number m = 1..M holds
                              ids[offsets[m-1] .. offsets[m])
    tokens/mask               int32 [N]: 0 = every token allowed, else a mask number
    tokens/logits             float64 [N, vocab], of the row that predicts the token; raw: neither
                              temperature nor mask applied
    tokens/logp               float64 [N], log softmax(logits / temperature) over the allowed tokens
    tokens/entropy            float64 [N], in nats, of the same distribution
    tokens/logp_weight        float64 [N], w
    tokens/entropy_weight     float64 [N], v
    loss                      float64 scalar, sum over tokens of w * logp + v * entropy
    grads/NAME                float64, d loss / d weight (tied embeddings: the sum of both uses)

transformers computes RMSNorm and the rotary angles in float32 even for a float64 model. Both are
replaced here by the same formulas in float64 (the angles from the formula of the Llama 3.1 release);
the script asserts that the unmodified model agrees to float32 accuracy.
"""

import json
import math
import os
import pathlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import h5py
import numpy as np
import torch
import transformers

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"

COMMON = {"hidden_act": "silu", "num_hidden_layers": 2, "max_position_embeddings": 128}

# Grouped-query attention throughout; sizes that are no multiples of a vector or a tile.
CONFIGS = {
    "qwen2": dict(COMMON, architectures=["Qwen2ForCausalLM"], model_type="qwen2", vocab_size=96,
                  hidden_size=32, intermediate_size=44, num_attention_heads=4, num_key_value_heads=2,
                  rms_norm_eps=1e-6, rope_theta=1000000.0, tie_word_embeddings=True),
    "qwen3": dict(COMMON, architectures=["Qwen3ForCausalLM"], model_type="qwen3", vocab_size=83,
                  hidden_size=24, intermediate_size=40, num_attention_heads=6, num_key_value_heads=2,
                  head_dim=12, attention_bias=False, rms_norm_eps=1e-6, rope_theta=1000000.0,
                  tie_word_embeddings=False),
    # Wavelengths 2 pi 100^(i/4) = 6.3, 19.9, 62.8, 199 against the bounds 32/4 and 32/1: one is kept,
    # one interpolated, two divided by the factor.
    "llama": dict(COMMON, architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=79,
                  hidden_size=32, intermediate_size=48, num_attention_heads=4, num_key_value_heads=1,
                  head_dim=8, attention_bias=False, mlp_bias=False, rms_norm_eps=1e-5, rope_theta=100.0,
                  rope_scaling={"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
                                "high_freq_factor": 4.0, "original_max_position_embeddings": 32},
                  tie_word_embeddings=False),
}
TEMPERATURE = {"qwen2": 1.0, "qwen3": 1.0, "llama": 0.7}

PROMPT_LENGTHS = [9, 1, 34]
COMPLETION_LENGTHS = [[5, 1, 8], [3, 6], [4, 7, 2, 4]]


def build_model(config):
    arguments = {k: v for k, v in config.items() if k not in ("architectures", "model_type")}
    # transformers 5 folds both rope keys of a config.json into one.
    rope = dict(arguments.pop("rope_scaling", None) or {"rope_type": "default"})
    rope["rope_theta"] = arguments.pop("rope_theta")
    cls = getattr(transformers, config["architectures"][0])
    settings = cls.config_class(**arguments, rope_parameters=rope, attn_implementation="sdpa",
                                bos_token_id=None, eos_token_id=None, pad_token_id=None)
    return cls(settings).eval()


def fill_weights(model, rng):
    """Peaked logits: gains above 1 in every linear map. Norm gains differ from 1, biases from 0."""
    for name, parameter in model.named_parameters():
        shape = tuple(parameter.shape)
        if name.endswith("norm.weight"):
            value = 1.0 + 0.3 * rng.standard_normal(shape)
        elif name.endswith("bias"):
            value = 0.3 * rng.standard_normal(shape)
        elif "embed_tokens" in name or "lm_head" in name:
            value = 0.5 * rng.standard_normal(shape)
        else:
            value = 0.25 * rng.standard_normal(shape)
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(value.astype(np.float32)))


def inverse_frequencies(config):
    """float64; the Llama 3.1 rule where the config asks for it."""
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    out = []
    for i in range(0, head_dim, 2):
        f = config["rope_theta"] ** (-i / head_dim)
        s = config.get("rope_scaling")
        if s:
            wavelength = 2 * math.pi / f
            old = s["original_max_position_embeddings"]
            low, high = s["low_freq_factor"], s["high_freq_factor"]
            if wavelength > old / low:
                f /= s["factor"]
            elif wavelength >= old / high:
                smooth = (old / wavelength - low) / (high - low)
                f = (1 - smooth) * f / s["factor"] + smooth * f
        out.append(f)
    return torch.tensor(out, dtype=torch.float64)


def make_float64(model, config):
    """Turns the model's parameters, RMSNorm and rotary angles to float64."""
    frequencies = inverse_frequencies(config)
    rotary = model.model.rotary_emb
    torch.testing.assert_close(rotary.inv_freq.double(), frequencies, rtol=1e-5, atol=0)
    model.double()

    def angles(x, position_ids):
        half = position_ids[..., None].double() * frequencies
        both = torch.cat((half, half), dim=-1)
        return both.cos(), both.sin()

    def norm_forward(self):
        def forward(x):
            return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))
        return forward

    rotary.forward = angles
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = norm_forward(module)


def make_pack(vocab, rng):
    prompts = [rng.integers(0, vocab, n).tolist() for n in PROMPT_LENGTHS]
    completions, groups = [], []
    for group, lengths in enumerate(COMPLETION_LENGTHS):
        for n in lengths:
            completions.append(rng.integers(0, vocab, n).tolist())
            groups.append(group)
    return prompts, completions, groups


def make_masks(targets, vocab, rng):
    """Half of the tokens are restricted: to 1 (forced), 2, 7 or about half of the vocabulary."""
    masks, of_token = [], []
    for t, target in enumerate(targets):
        if t % 2 == 0:
            of_token.append(0)
            continue
        size = (1, 2, 7, vocab // 2)[(t // 2) % 4]
        others = [i for i in rng.permutation(vocab).tolist() if i != target][: size - 1]
        mask = sorted(others + [target])
        if mask not in masks:
            masks.append(mask)
        of_token.append(1 + masks.index(mask))
    return masks, of_token


def completion_logits(model, prompt, completion):
    """The rows that predict the completion's tokens: [len(completion), vocab]."""
    ids = torch.tensor([prompt + completion])
    rows = model(input_ids=ids, use_cache=False).logits[0]
    return rows[len(prompt) - 1: len(prompt) + len(completion) - 1]


def score(logits, target, allowed, temperature):
    scaled = logits / temperature
    if allowed is not None:
        forbidden = torch.ones(len(scaled), dtype=torch.bool)
        forbidden[allowed] = False
        scaled = scaled.masked_fill(forbidden, -math.inf)
    log_probability = torch.log_softmax(scaled, dim=-1)
    kept = log_probability[allowed] if allowed is not None else log_probability
    return log_probability[target], -(kept.exp() * kept).sum()


def offsets(parts):
    return np.cumsum([0] + [len(p) for p in parts]).astype(np.int32)


def flat(parts):
    return np.array([x for p in parts for x in p], dtype=np.int32)


def make(name, adapt=None, file=None):
    """adapt(model, config): puts adapters on the model, returns what evaluates it and the names of its parameters."""
    config, temperature = CONFIGS[name], TEMPERATURE[name]
    rng = np.random.default_rng([20260101, list(CONFIGS).index(name)])
    model = build_model(config)
    fill_weights(model, rng)
    inner, name_of = model, lambda k: k
    if adapt is not None:
        model, name_of = adapt(model, config)
    weights = {name_of(k): p.detach().numpy().copy() for k, p in model.named_parameters()}
    prompts, completions, groups = make_pack(config["vocab_size"], rng)
    targets = flat(completions)
    masks, of_token = make_masks(targets.tolist(), config["vocab_size"], rng)
    w = rng.standard_normal(len(targets)) * (rng.random(len(targets)) > 0.1)
    v = rng.standard_normal(len(targets)) * (rng.random(len(targets)) > 0.3)

    def all_logits():
        return torch.cat([completion_logits(model, prompts[g], c) for g, c in zip(groups, completions)])

    with torch.no_grad():
        unmodified = all_logits()
    make_float64(inner, config)
    logits = all_logits()
    error = (unmodified.double() - logits).abs().max().item()
    assert error < 1e-4, f"{name}: the float64 model differs from the unmodified one by {error}"

    scored = [score(logits[t], int(targets[t]), masks[m - 1] if m else None, temperature)
              for t, m in enumerate(of_token)]
    logp, entropy = torch.stack([s[0] for s in scored]), torch.stack([s[1] for s in scored])
    loss = (torch.from_numpy(w) * logp + torch.from_numpy(v) * entropy).sum()
    loss.backward()

    path = DATA / f"model_{file or name}.h5"
    with h5py.File(path, "w") as out:
        out.attrs["config"] = json.dumps(config)
        out.attrs["temperature"] = temperature
        out.attrs["made_with"] = f"torch {torch.__version__}, transformers {transformers.__version__}"
        for key, value in weights.items():
            out[f"weights/{key}"] = value
        for key, parameter in model.named_parameters():
            if parameter.requires_grad:
                out[f"grads/{name_of(key)}"] = parameter.grad.numpy()
        out["pack/prompt_ids"], out["pack/prompt_offsets"] = flat(prompts), offsets(prompts)
        out["pack/completion_ids"], out["pack/completion_offsets"] = targets, offsets(completions)
        out["pack/completion_group"] = np.array(groups, dtype=np.int32)
        out["masks/ids"], out["masks/offsets"] = flat(masks), offsets(masks)
        out["tokens/mask"] = np.array(of_token, dtype=np.int32)
        out["tokens/logits"] = logits.detach().numpy()
        out["tokens/logp"], out["tokens/entropy"] = logp.detach().numpy(), entropy.detach().numpy()
        out["tokens/logp_weight"], out["tokens/entropy_weight"] = w, v
        out["loss"] = loss.item()
    top = torch.softmax(logits.detach(), -1).max(-1).values
    print(f"{path.name}: {path.stat().st_size} bytes, {len(targets)} tokens, {len(masks)} masks, loss "
          f"{loss.item():.6f}, max |logit| {logits.abs().max().item():.2f}, mean top probability "
          f"{top.mean().item():.2f}, float32 model within {error:.1e}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for fixture in CONFIGS:
        make(fixture)
