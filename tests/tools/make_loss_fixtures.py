#!/usr/bin/env python3
"""Writes tests/data/loss_cases.json: GRPO losses with their derivatives, and group advantages.

The formulas are written out below over padded float64 tensors; torch autograd differentiates them.
Wherever TRL has the variant, TRL's own GRPOTrainer._compute_loss is called on the same numbers and must
agree in value and in gradient, else the script stops ("trl": true marks those cases).

    pip install -r scripts/compare/requirements.txt
    python3 tests/tools/make_loss_fixtures.py             # writes beside ../data, deterministic

{"loss_cases": [...], "advantage_cases": [...], "adaptive_cases": [...]}

A loss case is one optimiser batch (C completions, N tokens in order of completion, then position):
    name
    config          every key is always there:
        loss_type   grpo | dapo | bnpo | dr_grpo | cispo | sapo
        importance_sampling_level   token | sequence (GSPO)
        epsilon, epsilon_high       clip range; for cispo epsilon_high is the cap on the ratio itself
        delta       null or a second upper bound on the ratio, outside the clip
        dual_clip   null or c: for a negative advantage the policy term is at most c |A|
        sapo_temperature_pos, sapo_temperature_neg
        beta, kl_estimator (k1 | k2 | k3), use_bias_correction_kl
        entropy_coef, top_entropy_quantile, max_completion_length
    micro_batches   [completions in each], in order; their sum is C
    lengths         [C] tokens of each completion, counted or not
    advantages      [C]
    logp, old_logp, ref_logp, entropy   [N]
    mask            [N] 1: the token counts
    loss            of the whole optimiser batch
    dloss_dlogp, dloss_dentropy   [N]; exactly 0 where the mask is 0
    metrics         means over the counted tokens of the batch: kl, entropy, clip_low, clip_high
                    (clip_low: A < 0 and ratio < 1 - epsilon; clip_high: A > 0 and ratio > 1 +
                    epsilon_high, resp. > epsilon_high for cispo; null for sapo). Sequence level:
                    the ratio is the sequence's.

Every input is a float32 number, so that an engine which stores them so loses nothing.

Conventions, where sources leave a choice:
  - per-token loss = policy term + beta * kl - entropy_coef * entropy, then aggregated (TRL instead
    averages the entropy bonus over tokens, whatever the loss type);
  - denominators span the whole optimiser batch, except bnpo: the plain mean over micro-batches of each
    one's mean over counted tokens; an empty mean is 0;
  - grpo and sapo: a completion with no counted token adds 0 but is a completion;
  - a ratio exactly at the edge of the clip is not clipped: its gradient flows;
  - sequence level: log ratio averaged over the counted tokens, and the gradient reaches each of them;
  - top_entropy_quantile q: the policy and entropy terms of a token stay if its entropy is >= the (1 - q)
    quantile (linear interpolation) over the counted tokens of the batch; denominators do not change.

An advantage case: rewards [groups][G], scale_rewards (group | batch | none), leave_one_out (bool, with
none), advantages [groups][G], zero_std [groups] (1: equal rewards, no signal). Standard deviations have
Bessel's correction and get 1e-4 added; batch takes the raw rewards of all groups. Rewards that differ by
rounding only are equal: the advantages are 0.

An adaptive case is TRL's own controller of the entropy bonus (use_adaptive_entropy), update after update:
coef (at the start), minimum, maximum, delta, target, entropies [updates] (mean over the tokens of each),
applied [updates] (the coefficient that update's loss had), coefs [updates] (the one it left behind).
"""

import collections
import json
import pathlib
import statistics
import types

import numpy as np
import torch

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"

DEFAULTS = {"loss_type": "dapo", "importance_sampling_level": "token", "epsilon": 0.2, "epsilon_high": 0.2,
            "delta": None, "dual_clip": None, "sapo_temperature_pos": 1.0, "sapo_temperature_neg": 1.05,
            "beta": 0.0, "kl_estimator": "k3", "use_bias_correction_kl": False, "entropy_coef": 0.0,
            "top_entropy_quantile": 1.0, "max_completion_length": 16}


# ---- formulas: everything is [C, T] padded, mask 0 in the padding ------------------------------------

def ratios(c, logp, old, mask):
    log_ratio = (logp - old) * mask
    if c["importance_sampling_level"] == "sequence":
        log_ratio = log_ratio.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
        log_ratio = log_ratio.expand_as(logp)
    return log_ratio.exp()


def policy_term(c, rho, a, logp):
    if c["loss_type"] == "cispo":
        return -rho.clamp(max=c["epsilon_high"]).detach() * a * logp
    if c["loss_type"] == "sapo":
        tau = torch.where(a >= 0, c["sapo_temperature_pos"], c["sapo_temperature_neg"])
        return -4 / tau * torch.sigmoid(tau * (rho - 1)) * a
    clipped = rho.clamp(1 - c["epsilon"], 1 + c["epsilon_high"])
    if c["delta"] is not None:
        rho = rho.clamp(max=c["delta"])
    term = -torch.minimum(rho * a, clipped * a)
    if c["dual_clip"] is not None:
        term = torch.where(a < 0, torch.minimum(term, -c["dual_clip"] * a), term)
    return term


def kl_term(c, logp, ref, rho):
    k1 = logp - ref
    kl = {"k1": k1, "k2": k1 ** 2 / 2, "k3": torch.exp(-k1) + k1 - 1}[c["kl_estimator"]]
    return kl * rho if c["use_bias_correction_kl"] else kl


def aggregate(c, per_token, mask, micro_batches):
    total = per_token * mask
    if c["loss_type"] in ("grpo", "sapo"):
        return (total.sum(1) / mask.sum(1).clamp(min=1)).mean()
    if c["loss_type"] in ("dapo", "cispo"):
        return total.sum() / mask.sum().clamp(min=1)
    if c["loss_type"] == "dr_grpo":
        return total.sum() / (len(mask) * c["max_completion_length"])
    parts = zip(total.split(micro_batches), mask.split(micro_batches))
    return torch.stack([t.sum() / m.sum().clamp(min=1) for t, m in parts]).mean()


def loss_and_metrics(c, p, micro_batches):
    rho = ratios(c, p["logp"], p["old_logp"], p["mask"])
    a = p["advantages"][:, None].expand_as(rho)
    keep = p["mask"]
    if c["top_entropy_quantile"] < 1 and keep.sum() > 0:
        bound = torch.quantile(p["entropy"].detach()[keep > 0], 1 - c["top_entropy_quantile"])
        keep = keep * (p["entropy"].detach() >= bound)
    kl = kl_term(c, p["logp"], p["ref_logp"], rho)
    per_token = keep * (policy_term(c, rho, a, p["logp"]) - c["entropy_coef"] * p["entropy"])
    loss = aggregate(c, per_token + c["beta"] * kl, p["mask"], micro_batches)

    def mean(x):
        return ((x * p["mask"]).sum() / p["mask"].sum().clamp(min=1)).item()

    high = c["epsilon_high"] if c["loss_type"] == "cispo" else 1 + c["epsilon_high"]
    clips = {"clip_low": mean((a < 0) & (rho < 1 - c["epsilon"])), "clip_high": mean((a > 0) & (rho > high))}
    if c["loss_type"] == "sapo":
        clips = {"clip_low": None, "clip_high": None}
    if c["loss_type"] == "cispo":
        clips["clip_low"] = 0.0
    return loss, {"kl": mean(kl), "entropy": mean(p["entropy"]), **clips}


# ---- the same batch through TRL -----------------------------------------------------------------------

def trl_agrees_with(c, case):
    """Whether TRL computes this case by the same rule."""
    entropy_is_token_mean = c["loss_type"] == "bnpo" or (c["loss_type"] in ("dapo", "cispo")
                                                         and len(case["micro_batches"]) == 1)
    return (c["dual_clip"] is None and c["kl_estimator"] == "k3"
            and (c["entropy_coef"] == 0 or (entropy_is_token_mean and c["top_entropy_quantile"] == 1))
            and (c["top_entropy_quantile"] == 1 or len(case["micro_batches"]) == 1)
            and (len(set(case["micro_batches"])) == 1 or c["loss_type"] in ("dapo", "cispo", "bnpo"))
            and c["loss_type"] in ("grpo", "dapo", "bnpo", "dr_grpo", "cispo", "sapo"))


def trl_loss(c, p, micro_batches):
    from trl import GRPOTrainer

    same = types.SimpleNamespace(gather=lambda x: x, reduce=lambda x, reduction=None: x, num_processes=1,
                                 gather_for_metrics=lambda x: x, sync_gradients=True,
                                 pad_across_processes=lambda x, dim, pad_index: x)
    steps = len(micro_batches)
    args = types.SimpleNamespace(delta=c["delta"], use_bias_correction_kl=c["use_bias_correction_kl"],
                                 sapo_temperature_pos=c["sapo_temperature_pos"],
                                 sapo_temperature_neg=c["sapo_temperature_neg"], steps_per_generation=steps)
    stub = types.SimpleNamespace(
        accelerator=same, args=args, aux_loss_enabled=False, beta=c["beta"], epsilon_low=c["epsilon"],
        epsilon_high=c["epsilon_high"], importance_sampling_level=c["importance_sampling_level"],
        loss_type=c["loss_type"], max_completion_length=c["max_completion_length"], use_vllm=False,
        off_policy_mask_threshold=None, top_entropy_quantile=c["top_entropy_quantile"],
        current_gradient_accumulation_steps=steps, model=types.SimpleNamespace(training=True),
        vllm_importance_sampling_correction=False, use_adaptive_entropy=False,
        entropy_coef=c["entropy_coef"], _entropy_bonus_enabled=c["entropy_coef"] != 0,
        _metrics={"train": collections.defaultdict(list)})
    stub.get_high_entropy_mask = types.MethodType(GRPOTrainer.get_high_entropy_mask, stub)
    total, at = 0.0, 0
    for size in micro_batches:
        part = {k: v[at:at + size] for k, v in p.items()}
        at += size
        stub._get_per_token_logps_and_entropies = (
            lambda *a, part=part, **k: (part["logp"], part["entropy"], None))
        no_prompt = torch.zeros(size, 0)
        total = total + GRPOTrainer._compute_loss(stub, None, {
            "prompt_ids": no_prompt, "prompt_mask": no_prompt, "completion_ids": part["mask"],
            "completion_mask": part["mask"], "advantages": part["advantages"],
            "old_per_token_logps": part["old_logp"], "ref_per_token_logps": part["ref_logp"],
            "num_items_in_batch": p["mask"].sum()})
    return total


# ---- from case to expected numbers --------------------------------------------------------------------

TOKEN_ARRAYS = ("logp", "old_logp", "ref_logp", "entropy", "mask")


def padded(case):
    lengths, width = case["lengths"], max(case["lengths"])
    starts = np.cumsum([0] + lengths)
    out = {"advantages": torch.tensor(case["advantages"], dtype=torch.float64)}
    for key in TOKEN_ARRAYS:
        rows = [case[key][s:s + n] + [0.0] * (width - n) for s, n in zip(starts, lengths)]
        out[key] = torch.tensor(rows, dtype=torch.float64)
    out["logp"].requires_grad_()
    out["entropy"].requires_grad_()
    return out


def unpadded(case, tensor):
    return [x for row, n in zip(tensor.tolist(), case["lengths"]) for x in row[:n]]


def solve(case):
    c = case["config"]
    p = padded(case)
    loss, case["metrics"] = loss_and_metrics(c, p, case["micro_batches"])
    gradients = torch.autograd.grad(loss, (p["logp"], p["entropy"]), allow_unused=True)
    gradients = [torch.zeros_like(p["logp"]) if g is None else g for g in gradients]
    for g in gradients:
        assert not g[p["mask"] == 0].any(), case["name"]
    case["trl"] = trl_agrees_with(c, case)
    if case["trl"]:
        other = trl_loss(c, p, case["micro_batches"])
        other_gradients = torch.autograd.grad(other, (p["logp"], p["entropy"]), allow_unused=True)
        torch.testing.assert_close(other, loss, rtol=1e-12, atol=1e-14)
        for mine, theirs in zip(gradients, other_gradients):
            theirs = torch.zeros_like(mine) if theirs is None else theirs
            torch.testing.assert_close(theirs, mine, rtol=1e-12, atol=1e-14)
    case["loss"] = loss.item() + 0.0
    case["dloss_dlogp"] = [x + 0.0 for x in unpadded(case, gradients[0])]
    case["dloss_dentropy"] = [x + 0.0 for x in unpadded(case, gradients[1])]
    return case


def on_grid(x, steps):
    """Rounded to multiples of 1/steps, a power of two: exact in float32, short in decimal."""
    return [round(v * steps) / steps for v in np.asarray(x).tolist()]


def random_case(name, rng, lengths, micro_batches=None, drift=0.25, uncounted=0.25, **config):
    n = sum(lengths)
    logp = on_grid(-rng.exponential(1.0, n), 4096)
    case = {"name": name, "config": dict(DEFAULTS, **config),
            "micro_batches": micro_batches or [len(lengths)], "lengths": list(lengths),
            "advantages": on_grid(rng.standard_normal(len(lengths)), 256), "logp": logp,
            "old_logp": on_grid(np.array(logp) - drift * rng.standard_normal(n), 4096),
            "ref_logp": on_grid(np.array(logp) - 0.5 * rng.standard_normal(n), 4096),
            "entropy": on_grid(rng.uniform(0, 3, n), 4096),
            "mask": [int(x) for x in rng.random(n) >= uncounted]}
    # A forced token (one choice) has logp 0 and entropy 0; other uncounted ones keep arbitrary numbers.
    for t in range(n):
        if not case["mask"][t] and rng.random() < 0.5:
            case["logp"][t] = case["old_logp"][t] = case["ref_logp"][t] = case["entropy"][t] = 0.0
    return case


UNEQUAL = [3, 1, 6, 4, 2, 5, 4, 7]


def plain_cases(rng):
    for loss_type in ("grpo", "dapo", "bnpo", "dr_grpo"):
        yield random_case(f"{loss_type}_unequal_lengths", rng, UNEQUAL, loss_type=loss_type)
        yield random_case(f"{loss_type}_clip_high_kl_entropy", rng, UNEQUAL, loss_type=loss_type,
                          epsilon_high=0.28, beta=0.04, entropy_coef=0.05)
        yield random_case(f"{loss_type}_micro_batches", rng, UNEQUAL, [4, 4], loss_type=loss_type, beta=0.1)
        yield random_case(f"{loss_type}_unequal_micro_batches_entropy", rng, UNEQUAL, [1, 5, 2],
                          loss_type=loss_type, entropy_coef=0.01, epsilon_high=0.3)
        yield random_case(f"{loss_type}_on_policy", rng, [5] * 4, drift=0.0, uncounted=0.0,
                          loss_type=loss_type, entropy_coef=0.1)


def edge_cases(rng):
    for loss_type in ("grpo", "dapo", "bnpo", "dr_grpo"):
        case = random_case(f"{loss_type}_zero_advantages", rng, [2, 4, 3], loss_type=loss_type)
        case["advantages"] = [0.0] * 3
        yield case
        case = random_case(f"{loss_type}_zero_advantages_kl_entropy", rng, [2, 4, 3], loss_type=loss_type,
                           beta=0.2, entropy_coef=0.05)
        case["advantages"] = [0.0] * 3
        yield case
        yield random_case(f"{loss_type}_one_completion", rng, [6], loss_type=loss_type, entropy_coef=0.02)
        yield random_case(f"{loss_type}_one_token", rng, [1], uncounted=0.0, loss_type=loss_type)
        case = random_case(f"{loss_type}_completion_without_counted_token", rng, [3, 4, 2], [2, 1],
                           loss_type=loss_type, beta=0.1, entropy_coef=0.1)
        case["mask"] = [0, 0, 0, 1, 0, 1, 1, 0, 0]
        yield case
        case = random_case(f"{loss_type}_no_counted_token", rng, [3, 2], loss_type=loss_type, beta=0.1,
                           entropy_coef=0.1)
        case["mask"] = [0] * 5
        yield case
        # Both signs of the advantage, ratio 1 exactly and one grid step to either side. With epsilon 0
        # a ratio of exactly 1 stands on both edges.
        case = random_case(f"{loss_type}_ratio_at_clip_edge", rng, [3, 3], uncounted=0.0,
                           loss_type=loss_type, epsilon=0.0, epsilon_high=0.0)
        case["advantages"] = [1.5, -0.75]
        case["old_logp"] = [x + d for x, d in zip(case["logp"], [0, 2 ** -12, -2 ** -12] * 2)]
        yield case
        # log 1.2 = .18232, log .8 = -.22314: one grid step inside and outside of either edge.
        case = random_case(f"{loss_type}_ratio_around_clip_edges", rng, [4, 4], uncounted=0.0,
                           loss_type=loss_type)
        case["advantages"] = [1.0, -1.0]
        steps = [746, 747, -913, -914]
        case["old_logp"] = [x - s / 4096 for x, s in zip(case["logp"], steps * 2)]
        yield case


def variant_cases(rng):
    high = {"drift": 0.8}
    yield random_case("cispo_default_cap", rng, UNEQUAL, drift=1.2, loss_type="cispo", epsilon_high=5.0)
    yield random_case("cispo_low_cap_kl_entropy", rng, UNEQUAL, [3, 5], **high, loss_type="cispo",
                      epsilon_high=1.25, beta=0.05, entropy_coef=0.02)
    yield random_case("cispo_one_micro_batch_entropy", rng, UNEQUAL, **high, loss_type="cispo",
                      epsilon_high=2.0, entropy_coef=0.02)
    yield random_case("sapo", rng, UNEQUAL, **high, loss_type="sapo")
    yield random_case("sapo_temperatures_kl", rng, UNEQUAL, [4, 4], **high, loss_type="sapo",
                      sapo_temperature_pos=0.7, sapo_temperature_neg=1.6, beta=0.1)
    yield random_case("sapo_entropy", rng, UNEQUAL, loss_type="sapo", entropy_coef=0.05)
    for loss_type in ("grpo", "dapo", "bnpo", "dr_grpo"):
        yield random_case(f"gspo_{loss_type}", rng, UNEQUAL, drift=0.001, loss_type=loss_type,
                          importance_sampling_level="sequence", epsilon=3e-4, epsilon_high=4e-4)
        yield random_case(f"gspo_{loss_type}_kl_entropy", rng, UNEQUAL, [3, 3, 2], drift=0.2,
                          loss_type=loss_type, importance_sampling_level="sequence", epsilon=0.05,
                          epsilon_high=0.1, beta=0.05, entropy_coef=0.03)
    yield random_case("gspo_sapo", rng, UNEQUAL, drift=0.5, loss_type="sapo",
                      importance_sampling_level="sequence")
    yield random_case("gspo_cispo", rng, UNEQUAL, drift=0.5, loss_type="cispo", epsilon_high=1.1,
                      importance_sampling_level="sequence")
    yield random_case("delta", rng, UNEQUAL, **high, delta=1.5)
    yield random_case("delta_inside_clip", rng, UNEQUAL, **high, loss_type="grpo", delta=1.1)
    yield random_case("dual_clip", rng, UNEQUAL, drift=1.2, dual_clip=3.0)
    yield random_case("dual_clip_grpo_kl_entropy", rng, UNEQUAL, drift=1.2, loss_type="grpo", dual_clip=2.0,
                      beta=0.1, entropy_coef=0.02)
    for estimator in ("k1", "k2", "k3"):
        yield random_case(f"kl_{estimator}", rng, [3, 5, 2], kl_estimator=estimator, beta=0.3)
        yield random_case(f"kl_{estimator}_bias_correction", rng, [3, 5, 2], kl_estimator=estimator, beta=0.3,
                          use_bias_correction_kl=True)
    yield random_case("gspo_bias_correction_kl", rng, UNEQUAL, loss_type="grpo", beta=0.3,
                      importance_sampling_level="sequence", use_bias_correction_kl=True)
    yield random_case("top_entropy_quantile", rng, UNEQUAL, top_entropy_quantile=0.2, beta=0.1)
    yield random_case("top_entropy_quantile_micro_batches_entropy", rng, UNEQUAL, [2, 6], loss_type="grpo",
                      top_entropy_quantile=0.5, entropy_coef=0.1)


EDGE_VARIANTS = {
    "cispo": dict(loss_type="cispo", epsilon_high=2.0),
    "sapo": dict(loss_type="sapo"),
    "gspo": dict(loss_type="grpo", importance_sampling_level="sequence", epsilon=0.01, epsilon_high=0.02),
    "gspo_dapo": dict(loss_type="dapo", importance_sampling_level="sequence", epsilon=0.01,
                      epsilon_high=0.02),
    "delta": dict(loss_type="dapo", delta=1.5),
    "dual_clip": dict(loss_type="dr_grpo", dual_clip=1.5),
    "top_entropy": dict(loss_type="dapo", top_entropy_quantile=0.3),
    "k1_bias_correction": dict(loss_type="bnpo", kl_estimator="k1", use_bias_correction_kl=True, beta=0.3)}


def variant_edge_cases(rng):
    for name, config in EDGE_VARIANTS.items():
        case = random_case(f"{name}_zero_advantages", rng, [2, 4, 3], **config)
        case["advantages"] = [0.0] * 3
        yield case
        yield random_case(f"{name}_one_completion", rng, [6], **{"beta": 0.1, **config})
        yield random_case(f"{name}_one_token", rng, [1], uncounted=0.0, **config)
        case = random_case(f"{name}_completion_without_counted_token", rng, [3, 4, 2], [2, 1],
                           **{"beta": 0.1, **config}, entropy_coef=0.1)
        case["mask"] = [0, 0, 0, 1, 0, 1, 1, 0, 0]
        yield case
        case = random_case(f"{name}_no_counted_token", rng, [3, 2], **{"beta": 0.1, **config},
                           entropy_coef=0.1)
        case["mask"] = [0] * 5
        yield case
        # Ratios around every edge there is: 1 +- epsilon, the caps 1.5 and 2, one grid step to either side;
        # log 1.2 = .18232, log .8 = -.22314, log 1.5 = .40547, log 2 = .69315; and exactly 1.
        steps = [0, 746, 747, -913, -914, 1660, 1661, 2839, 2840]
        case = random_case(f"{name}_ratio_around_edges", rng, [9, 9], uncounted=0.0, drift=0.0, **config)
        case["advantages"] = [1.0, -1.0]
        case["old_logp"] = [x - s / 4096 for x, s in zip(case["logp"], steps * 2)]
        yield case
        # Sequence level: mean log ratios around log 1.02 = .0198026 and log .99 = -.0100503.
        case = random_case(f"{name}_sequence_ratio_around_edges", rng, [2] * 8, uncounted=0.0, **config)
        case["advantages"] = [1.0, -1.0] * 4
        case["old_logp"] = [x - (s + d) / 4096 for s, x, d in
                            zip(np.repeat([81, 81, 82, 82, -41, -41, -42, -42], 2).tolist(), case["logp"],
                                [500, -500] * 8)]
        yield case


def combined_cases(rng):
    """Options together, at random."""
    for i in range(16):
        loss_type = ("grpo", "dapo", "bnpo", "dr_grpo", "cispo", "sapo")[i % 6]
        clips = loss_type not in ("cispo", "sapo")
        yield random_case(
            f"combined_{i}", rng, rng.integers(1, 7, 6).tolist(), [[6], [2, 4], [3, 3], [1, 2, 3]][i % 4],
            drift=0.6, loss_type=loss_type, importance_sampling_level=("token", "sequence")[i // 3 % 2],
            epsilon=0.1, epsilon_high=1.5 if loss_type == "cispo" else 0.25,
            delta=1.4 if clips and i % 4 == 0 else None, dual_clip=1.8 if clips and i % 4 == 2 else None,
            beta=(0.0, 0.07, 0.2)[i % 3], kl_estimator=("k1", "k2", "k3")[i // 2 % 3],
            use_bias_correction_kl=bool(i // 4 % 2), entropy_coef=(0.0, 0.03)[i // 5 % 2],
            top_entropy_quantile=(1.0, 0.4)[i // 7 % 2])


# ---- the entropy bonus's controller -----------------------------------------------------------------

def adaptive_case(rng, target, coef, delta):
    """TRL's _compute_loss over 40 updates of two micro-batches whose entropy wanders about the target."""
    from trl import GRPOTrainer

    case = {"coef": coef, "minimum": 0.0, "maximum": 0.03, "delta": delta, "target": target, "entropies": [],
            "applied": [], "coefs": []}
    same = types.SimpleNamespace(gather=lambda x: x, reduce=lambda x, reduction=None: x, num_processes=1)
    stub = types.SimpleNamespace(
        accelerator=same, aux_loss_enabled=False, beta=0.0, epsilon_low=0.2, epsilon_high=0.2,
        importance_sampling_level="token", loss_type="dapo", max_completion_length=16, use_vllm=False,
        off_policy_mask_threshold=None, top_entropy_quantile=1.0, current_gradient_accumulation_steps=2,
        model=types.SimpleNamespace(training=True), vllm_importance_sampling_correction=False,
        use_adaptive_entropy=True, entropy_coef=coef, _entropy_bonus_enabled=True,
        _entropy_window_stats=None, _last_world_entropy=float("inf"),
        args=types.SimpleNamespace(delta=None, steps_per_generation=2, entropy_target=target,
                                   entropy_coef_delta=delta, entropy_coef_min=0.0, entropy_coef_max=0.03),
        _metrics={"train": collections.defaultdict(list)})
    mask, level = torch.ones(2, 3), target
    for _ in range(40):
        level = max(level + 0.1 * rng.standard_normal(), 0.01)
        slopes, values = 0.0, []
        for last in (False, True):
            same.sync_gradients = last
            entropy = torch.tensor(on_grid(level * rng.uniform(0.5, 1.5, 6), 4096)).view(2, 3)
            entropy.requires_grad_()
            stub._get_per_token_logps_and_entropies = lambda *a, e=entropy, **k: (e * 0, e, None)
            loss = GRPOTrainer._compute_loss(stub, None, {
                "prompt_ids": torch.zeros(2, 0), "prompt_mask": torch.zeros(2, 0), "completion_ids": mask,
                "completion_mask": mask, "advantages": torch.zeros(2), "num_items_in_batch": 2 * mask.sum()})
            slopes -= torch.autograd.grad(loss, entropy)[0].sum().item()
            values += entropy.flatten().tolist()
        case["entropies"].append(statistics.fmean(values))
        case["applied"].append(slopes)
        case["coefs"].append(stub.entropy_coef)
    return case


# ---- advantages -----------------------------------------------------------------------------------------

def equal_up_to_rounding(values):
    return max(values) - min(values) <= 1e-12 * max(1.0, max(abs(v) for v in values))


def advantages(rewards, scale_rewards, leave_one_out):
    def deviation(values):
        return statistics.stdev(values) if len(values) > 1 and not equal_up_to_rounding(values) else 0.0

    batch = deviation([r for group in rewards for r in group])
    out, zero = [], []
    for group in rewards:
        mean, g = statistics.fmean(group), len(group)
        zero.append(int(equal_up_to_rounding(group)))
        scale = {"group": 1 / (deviation(group) + 1e-4), "batch": 1 / (batch + 1e-4),
                 "none": g / (g - 1) if leave_one_out and g > 1 else 1.0}[scale_rewards]
        out.append([0.0 if zero[-1] else (r - mean) * scale for r in group])
    return out, zero


def advantage_cases(rng):
    noise = [0.3, 0.1 + 0.2, 0.7 - 0.4, 1 - 0.7]  # all "0.3", apart by rounding
    sets = {"two_groups": [[0.5, 1.0, 0.25, 0.75], [0.9, 0.9, 0.9, 0.1]],
            "one_group_equal": [[0.6, 0.6, 0.6], [0.1, 0.2, 0.9]],
            "all_equal": [[1.0] * 4, [1.0] * 4],
            "groups_equal_inside_only": [[1.0] * 4, [0.0] * 4],
            "equal_up_to_rounding": [noise, [0.0, 1.0, 0.0, 1.0]],
            "one_completion": [[0.7], [0.2]],
            "two_completions": [[0.0, 1.0], [0.4, 0.5], [-3.0, 2.0]],
            "all_zero": [[0.0] * 3],
            "random_16": [on_grid(rng.random(16), 4096) for _ in range(3)]}
    for name, rewards in sets.items():
        for scale, leave_one_out in (("group", False), ("batch", False), ("none", False), ("none", True)):
            a, zero = advantages(rewards, scale, leave_one_out)
            yield {"name": f"{name}_{'leave_one_out' if leave_one_out else scale}", "scale_rewards": scale,
                   "leave_one_out": leave_one_out, "rewards": rewards, "advantages": a, "zero_std": zero}


def lines(cases):
    return ",\n".join(json.dumps(c, allow_nan=False) for c in cases)


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)  # else torch.where makes float32 of Python numbers
    random = np.random.default_rng(20260102)
    cases = [solve(c) for make in (plain_cases, edge_cases, variant_cases) for c in make(random)]
    groups = list(advantage_cases(random))
    cases += [solve(c) for make in (variant_edge_cases, combined_cases) for c in make(random)]
    adaptive = [adaptive_case(random, *at) for at in ((0.2, 0.005, 0.005), (1.0, 0.0, 0.01))]
    path = DATA / "loss_cases.json"
    path.write_text(f'{{"loss_cases": [\n{lines(cases)}\n],\n"advantage_cases": [\n{lines(groups)}\n],\n'
                    f'"adaptive_cases": [\n{lines(adaptive)}\n]}}\n')
    print(f"{path.name}: {path.stat().st_size} bytes, {len(cases)} loss cases ({sum(c['trl'] for c in cases)} "
          f"confirmed by TRL), {len(groups)} advantage cases, {len(adaptive)} adaptive cases")
