#!/usr/bin/env python3
"""Writes tests/data/model_lora_{qwen2,llama}.h5: the decoders of make_model_fixtures.py with peft's low-rank adapters.

The base models, packs and layout are those of that script; besides, weights/ has A and B under the names of PEFT's
adapter files (base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight), random both, and grads/ has their
gradients alone, which peft computes. The attribute config also has PEFT's r, lora_alpha and target_modules.

    python3 tests/tools/make_lora_fixtures.py             # needs peft beside that script's packages; deterministic
"""

import numpy as np
import peft
import torch

import make_model_fixtures as base

ADAPTERS = {
    "llama": dict(r=3, lora_alpha=6, target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj",
                                                     "up_proj", "down_proj"]),
    "qwen2": dict(r=5, lora_alpha=4, target_modules=["v_proj", "q_proj", "up_proj", "down_proj"]),
}


def adapt(model, config):
    adapters = ADAPTERS[config["model_type"]]
    config.update(adapters)
    adapted = peft.get_peft_model(model, peft.LoraConfig(lora_dropout=0.0, bias="none", **adapters))
    rng = np.random.default_rng([20260102, adapters["r"]])
    for name, parameter in adapted.named_parameters():
        if ".lora_" in name:
            value = 0.4 * rng.standard_normal(tuple(parameter.shape))
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(value.astype(np.float32)))

    def name_of(key):
        if ".lora_" in key:
            return key.replace(".default", "")
        return key.removeprefix("base_model.model.").replace(".base_layer", "")

    return adapted.eval(), name_of


if __name__ == "__main__":
    torch.set_num_threads(1)
    for fixture in ADAPTERS:
        base.make(fixture, adapt, f"lora_{fixture}")
