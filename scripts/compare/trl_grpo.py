#!/usr/bin/env python3
"""TRL's GRPOTrainer on the CPU at the same shape: how long a step takes there.

The same token ids and batch, a LlamaForCausalLM of the same sizes from its config, TRL's own sampling
(`generate` of transformers) and training step. Ids travel as text through a word-level tokenizer whose
words are the ids' numerals. What is set in TRL's favour: no gradient checkpointing, no dropout, no KL
reference model, no logging, answers of a fixed length, one update and one micro-batch per step, and a
reward that costs nothing. TRL has no answer grammar and scores the whole vocabulary, and it computes a
prompt once per completion: that is what is being compared.

    python3 trl_grpo.py --threads 2 --steps 2 [--tokens FILE]
"""

import os
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import datasets
import tokenizers
import torch
import transformers
import trl

import shapes


def make_tokenizer(vocab_size):
    """Words are ids: "17 4" <-> [17, 4]. Padding and the end have ids of their own behind the vocabulary."""
    words = {str(i): i for i in range(vocab_size)}
    words.update({"<pad>": vocab_size, "<end>": vocab_size + 1})
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<pad>"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="<end>",
                                                unk_token="<pad>", padding_side="left")


def make_model(a, vocab_size, tokenizer):
    config = transformers.LlamaConfig(
        vocab_size=vocab_size + 2, hidden_size=a.hidden, intermediate_size=a.intermediate,
        num_hidden_layers=a.layers, num_attention_heads=a.heads, num_key_value_heads=a.kv_heads,
        head_dim=a.head_dim, max_position_embeddings=256, tie_word_embeddings=False,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    return transformers.LlamaForCausalLM(config)


def reward(completions, **_):
    return [float(len(c) % 7) for c in completions]


class Clock(transformers.TrainerCallback):
    def __init__(self):
        self.seconds, self.start = [], None

    def on_step_begin(self, args, state, control, **_):
        self.start = time.perf_counter()

    def on_step_end(self, args, state, control, **_):
        self.seconds.append(time.perf_counter() - self.start)


def main():
    parser = shapes.parse_arguments(__doc__.splitlines()[0], steps=2, warmup=1)
    parser.add_argument("--micro-batch", type=int, default=1024, metavar="COMPLETIONS",
                        help="per_device_train_batch_size (default %(default)s)")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    vocab_size, prompts, allowed = shapes.load_tokens(a.tokens)
    tokenizer = make_tokenizer(vocab_size)
    completions, steps = a.problems * a.generations, a.warmup + a.steps
    micro_batch = min(a.micro_batch, completions)
    source = shapes.batches(prompts, a.problems * steps)
    data = datasets.Dataset.from_dict({"prompt": [" ".join(map(str, p)) for p in next(source)]})
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = trl.GRPOConfig(
            output_dir=folder, use_cpu=True, bf16=False, fp16=False, gradient_checkpointing=False,
            per_device_train_batch_size=micro_batch,
            gradient_accumulation_steps=completions // micro_batch, num_iterations=1,
            num_generations=a.generations, max_completion_length=len(allowed), max_steps=steps,
            generation_kwargs={"min_new_tokens": len(allowed)}, temperature=1.0, beta=0.0,
            loss_type="dapo", scale_rewards="none", entropy_coef=a.entropy_coef,
            learning_rate=a.learning_rate, adam_beta2=0.95, report_to="none", logging_strategy="no",
            save_strategy="no", disable_tqdm=True, seed=a.seed, dataloader_num_workers=0)
        trainer = trl.GRPOTrainer(model=make_model(a, vocab_size, tokenizer), reward_funcs=reward,
                                  args=arguments, train_dataset=data, processing_class=tokenizer,
                                  callbacks=[clock])
        trainer.train()
    # One optimiser step is one batch of completions, generated and trained on.
    assert len(clock.seconds) == steps, f"{len(clock.seconds)} steps timed, {steps} expected"
    shapes.report("trl_grpo", a.threads, completions, clock.seconds[a.warmup:], prompt=len(prompts[0]),
                  answer=len(allowed), parameters=sum(p.numel() for p in trainer.model.parameters()))


if __name__ == "__main__":
    main()
