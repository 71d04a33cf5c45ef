#!/usr/bin/env python3
"""A hand-written GRPO step in PyTorch on the CPU, as good as we know how to make it.

It does the work Wavezero does, by the same savings: the prompt of a problem is computed once in the
rollout and once in training, never once per completion; decoding keeps a key-value cache whose prompt
part is shared by the group; only the head columns the answer grammar admits are computed, in sampling
and in training; Q, K and V are one product, attention is PyTorch's fused kernel, AdamW is
the fused one. float32 throughout. The reward is a vectorised sum rate over random gains, so the time is
the engine's, not the verifier's.

    python3 pytorch_grpo.py --threads 2 [--tokens FILE] [--compile] [--check]
"""

import math
import time

import torch
import torch.nn.functional as F

import shapes


class Model(torch.nn.Module):
    """Llama-shaped decoder over a block of `rows` per problem: hidden is [problems, rows, width]."""

    def __init__(self, a, vocab_size, positions):
        super().__init__()
        self.a = a
        q_width, kv_width = a.heads * a.head_dim, a.kv_heads * a.head_dim
        self.split = [q_width + kv_width, kv_width]

        def weight(*shape, std=0.02):
            return torch.nn.Parameter(torch.randn(*shape) * std)

        self.embedding = weight(vocab_size, a.hidden, std=0.1)
        self.head = weight(vocab_size, a.hidden)
        self.final_norm = torch.nn.Parameter(torch.ones(a.hidden))
        self.layers = torch.nn.ModuleList()
        for _ in range(a.layers):
            layer = torch.nn.Module()
            layer.attention_norm = torch.nn.Parameter(torch.ones(a.hidden))
            layer.qkv = weight(sum(self.split), a.hidden)
            layer.out = weight(a.hidden, q_width)
            layer.mlp_norm = torch.nn.Parameter(torch.ones(a.hidden))
            layer.gate = weight(a.intermediate, a.hidden)
            layer.up = weight(a.intermediate, a.hidden)
            layer.down = weight(a.hidden, a.intermediate)
            self.layers.append(layer)
        frequency = 10000.0 ** (-torch.arange(0, a.head_dim, 2) / a.head_dim)
        angle = torch.arange(positions)[:, None] * frequency
        self.register_buffer("rotation", torch.polar(torch.ones_like(angle), angle), persistent=False)

    def qkv(self, layer, x, position):
        """Rotary angles turn q and k in one complex product (pairs of neighbours: the cheapest form)."""
        b, rows, _ = x.shape
        h = F.rms_norm(x, (self.a.hidden,), layer.attention_norm, 1e-5)
        qk, v = F.linear(h, layer.qkv).split(self.split, dim=-1)
        turned = torch.view_as_complex(qk.view(b, rows, -1, self.a.head_dim // 2, 2))
        turned = torch.view_as_real(turned * self.rotation[position].unsqueeze(1)).flatten(3)
        q, k = turned.transpose(1, 2).split((self.a.heads, self.a.kv_heads), dim=1)
        return q, k, v.view(b, rows, -1, self.a.head_dim).transpose(1, 2)

    def attend(self, q, k, v, **how):
        out = F.scaled_dot_product_attention(q, k, v, enable_gqa=self.a.heads != self.a.kv_heads, **how)
        return out.transpose(1, 2).flatten(2)

    def finish(self, layer, x, attended):
        x = x + F.linear(attended, layer.out)
        h = F.rms_norm(x, (self.a.hidden,), layer.mlp_norm, 1e-5)
        return x + F.linear(F.silu(F.linear(h, layer.gate)) * F.linear(h, layer.up), layer.down)

    def last(self, x):
        return F.rms_norm(x, (self.a.hidden,), self.final_norm, 1e-5)

    def prefill(self, ids):
        """ids [problems, prompt]. Hidden of the last row [problems, width]; keys and values per layer."""
        position = torch.arange(ids.shape[1])
        x, cache = F.embedding(ids, self.embedding), []
        for layer in self.layers:
            q, k, v = self.qkv(layer, x, position)
            cache.append((k, v))
            if layer is self.layers[-1]:  # beyond the last layer's keys, only the last row is wanted
                x = self.finish(layer, x[:, -1:], self.attend(q[:, :, -1:], k, v))
            else:
                x = self.finish(layer, x, self.attend(q, k, v, is_causal=True))
        return self.last(x[:, 0]), cache

    def decode(self, ids, position, cache, mask):
        """One token of every completion: ids [problems, G]. The cache grows by G rows, and the mask
        [G, rows of the cache] lets each completion see the prompt and its own rows."""
        x, position = F.embedding(ids, self.embedding), torch.full((ids.shape[1],), position)
        for i, layer in enumerate(self.layers):
            q, k, v = self.qkv(layer, x, position)
            k, v = torch.cat((cache[i][0], k), dim=2), torch.cat((cache[i][1], v), dim=2)
            cache[i] = (k, v)
            x = self.finish(layer, x, self.attend(q, k, v, attn_mask=mask))
        return self.last(x)

    def train_rows(self, ids, prompt, position, mask):
        """ids [problems, prompt + G * fed]: all rows of a group at once. Hidden of the prompt's last row
        and of the completions' rows, [problems, 1 + G * fed, width]. mask [G * fed, all rows]."""
        x = F.embedding(ids, self.embedding)
        for layer in self.layers:
            q, k, v = self.qkv(layer, x, position)
            tail = self.attend(q[:, :, prompt:], k, v, attn_mask=mask)
            if layer is self.layers[-1]:
                front = self.attend(q[:, :, prompt - 1:prompt], k[:, :, :prompt], v[:, :, :prompt])
                x = x[:, prompt - 1:]
            else:
                front = self.attend(q[:, :, :prompt], k[:, :, :prompt], v[:, :, :prompt], is_causal=True)
            x = self.finish(layer, x, torch.cat((front, tail), dim=1))
        return self.last(x)


class Setting:
    """Index tensors that do not change from step to step."""

    def __init__(self, a, prompt, allowed):
        self.prompt, self.g, self.length = prompt, a.generations, len(allowed)
        self.fed = self.length - 1  # nothing follows the last token
        width = max(len(ids) for ids in allowed)
        # Positions with fewer choices repeat an id; `choice` hides the repeats.
        self.allowed = torch.tensor([ids + [ids[0]] * (width - len(ids)) for ids in allowed])
        self.choice = torch.tensor([[i < len(ids) for i in range(width)] for ids in allowed])
        self.counts = torch.tensor([len(ids) > 1 for ids in allowed]).float()
        self.every_choice = bool(self.choice.all())
        g, fed = self.g, self.fed
        self.position = torch.cat((torch.arange(prompt), prompt + torch.arange(fed).repeat(g)))
        # Completion rows in training, completion by completion; decode rows come step by step.
        sample, t = torch.arange(g).repeat_interleave(fed), torch.arange(fed).repeat(g)
        own = (sample[:, None] == sample) & (t[:, None] >= t)
        self.train_mask = torch.cat((torch.ones(g * fed, prompt, dtype=torch.bool), own), dim=1)
        self.decode_masks = [torch.cat((torch.ones(g, prompt, dtype=torch.bool),
                                        torch.eye(g, dtype=torch.bool).repeat(1, step + 1)), dim=1)
                             for step in range(fed)]

    def log_probabilities(self, model, hidden, first, last):
        """hidden [..., positions, width] for completion positions first..last-1 -> [..., positions, choices]."""
        columns = model.head[self.allowed[first:last]]
        logits = (hidden.unsqueeze(-2) @ columns.transpose(-1, -2)).squeeze(-2)
        if not self.every_choice:
            logits = logits.masked_fill(~self.choice[first:last], -math.inf)
        return torch.log_softmax(logits, dim=-1)


def draw(log_probability, shape):
    """Index of a choice for each uniform number; log_probability broadcasts over `shape`."""
    cumulative = log_probability.exp().cumsum(-1)[..., :-1]
    return (torch.rand(shape).unsqueeze(-1) > cumulative).sum(-1)


@torch.inference_mode()
def rollout(model, s, prompts):
    """prompts [problems, prompt] -> choices [problems, G, length] (indices into `allowed`), their logp."""
    shape = (len(prompts), s.g)
    hidden, cache = model.prefill(prompts)
    log_p = s.log_probabilities(model, hidden[:, None, None], 0, 1)[:, :, 0].expand(*shape, -1)
    choices, logps = [], []
    for t in range(s.length):
        choices.append(draw(log_p, shape))
        logps.append(log_p.gather(-1, choices[-1].unsqueeze(-1)).squeeze(-1))
        if t < s.fed:
            hidden = model.decode(s.allowed[t][choices[-1]], s.prompt + t, cache, s.decode_masks[t])
            log_p = s.log_probabilities(model, hidden.unsqueeze(2), t + 1, t + 2)[:, :, 0]
    return torch.stack(choices, -1), torch.stack(logps, -1)


def policy(model, s, prompts, choices):
    """logp of the choices and entropy, both [problems, G, length], with gradients."""
    b = len(prompts)
    tokens = s.allowed[torch.arange(s.fed), choices[..., :s.fed]]
    ids = torch.cat((prompts, tokens.flatten(1)), dim=1)
    hidden = model.train_rows(ids, s.prompt, s.position, s.train_mask)
    first = s.log_probabilities(model, hidden[:, None, :1], 0, 1).expand(b, s.g, 1, -1)
    rest = s.log_probabilities(model, hidden[:, 1:].view(b, s.g, s.fed, -1), 1, s.length)
    log_p = torch.cat((first, rest), dim=2)
    logp = log_p.gather(-1, choices.unsqueeze(-1)).squeeze(-1)
    safe = log_p if s.every_choice else log_p.masked_fill(~s.choice, 0)
    return logp, -(log_p.exp() * safe).sum(-1)


def sum_rate(gain, power):
    """gain [problems, K, K], power [problems, G, K] -> [problems, G], bit/s/Hz at 0 dB."""
    received = power @ gain.transpose(1, 2)
    wanted = power * gain.diagonal(dim1=1, dim2=2).unsqueeze(1)
    return torch.log2(1 + wanted / (1 + received - wanted)).sum(-1)


def train(model, s, optimizer, prompts, choices, old_logp, rewards, a, policy_of):
    advantages = (rewards - rewards.mean(1, keepdim=True)).unsqueeze(-1)
    logp, entropy = policy_of(model, s, prompts, choices)
    ratio = torch.exp(logp - old_logp)
    surrogate = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
    per_token = (-surrogate - a.entropy_coef * entropy) * s.counts
    loss = per_token.sum() / (s.counts.sum() * rewards.numel())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def check(model, s, prompts):
    """The shared-prompt computations equal the plain one, a sequence at a time."""
    choices, sampled = rollout(model, s, prompts)
    choices = choices.clone()
    trained, _ = policy(model, s, prompts, choices)
    tokens = s.allowed[torch.arange(s.length), choices]
    plain = torch.empty_like(sampled)
    with torch.no_grad():
        for b in range(len(prompts)):
            for g in range(s.g):
                for t in range(s.length):
                    ids = torch.cat((prompts[b], tokens[b, g, :t]))
                    hidden, _ = model.prefill(ids[None])
                    log_p = s.log_probabilities(model, hidden[:, None], t, t + 1)
                    plain[b, g, t] = log_p.flatten()[choices[b, g, t]]
    for name, other in (("rollout", sampled), ("training", trained.detach())):
        error = (other - plain).abs().max().item()
        print(f"check: {name} against one sequence at a time: max |difference of logp| {error:.1e}")
        assert error < 1e-4
    print("check: passed")


def main():
    parser = shapes.parse_arguments(__doc__.splitlines()[0], steps=10, warmup=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile the training pass")
    parser.add_argument("--check", action="store_true", help="compare with an unshared computation and stop")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(a.seed)
    vocab_size, prompts, allowed = shapes.load_tokens(a.tokens)
    s = Setting(a, len(prompts[0]), allowed)
    model = Model(a, vocab_size, s.prompt + s.length)
    if a.check:
        with torch.no_grad():  # peaked, so that a mistake shows
            for p in model.parameters():
                p.mul_(4 if p.dim() > 1 else 1)
        check(model, s, torch.tensor(prompts[:2]))
        return
    optimizer = torch.optim.AdamW(model.parameters(), lr=a.learning_rate, betas=(0.9, 0.95), fused=True)
    policy_of = torch.compile(policy) if a.compile else policy
    links = int(s.counts.sum())
    source, seconds, rollout_seconds = shapes.batches(prompts, a.problems), [], []
    for step in range(a.warmup + a.steps):
        ids = torch.tensor(next(source))
        gain = torch.empty(a.problems, links, links).exponential_()
        start = time.perf_counter()
        choices, old_logp = rollout(model, s, ids)
        choices, old_logp = choices.clone(), old_logp.clone()  # out of inference mode
        middle = time.perf_counter()
        rewards = sum_rate(gain, choices[..., s.counts > 0].float())
        train(model, s, optimizer, ids, choices, old_logp, rewards, a, policy_of)
        if step >= a.warmup:
            seconds.append(time.perf_counter() - start)
            rollout_seconds.append(middle - start)
    shapes.report("pytorch_grpo", a.threads, a.problems * a.generations, seconds,
                  prompt=s.prompt, answer=s.length, parameters=sum(p.numel() for p in model.parameters()),
                  rollout_share=f"{sum(rollout_seconds) / sum(seconds):.2f}")


if __name__ == "__main__":
    main()
