"""What scripts/interop-test.sh runs: exported models in the runtimes people use, against our own engine.

    python tests/tools/interop.py WAVEZERO WORK_FOLDER

Tiny random weights of four architectures, scaled so that logits are peaked, and a policy after a real training run. For every
format and type, greedy tokens of the runtime against those of our engine on the weights as they are stored (the file is
imported again), decoding freely; they must agree up to the first token whose two best logits are closer than twice the bound,
and that place is reported. Logits against transformers on the stored weights, relative to the largest: 1e-4 in ONNX Runtime,
which widens weights to f32. llama.cpp (f32 keys and values, no flash attention; from the log-probabilities it gives) rounds
activations, too, to the type it multiplies in: f32 1e-3; f16 has 2^-11, ten of these over the layers, 5e-3; bf16 has 2^-8, and
q8_0 and q4_0 multiply by blocks of 8 bits, 1/254: twenty of these, 8e-2; with
q4_0, whose coarser weights make larger sums here, 0.12 was measured: 0.16.

onnxruntime-genai answers from genai_config.json where it is installed. A policy trained under the answer grammar alone
answers in llama.cpp under the exported grammar. What runtimes say goes to WORK_FOLDER/runtimes.log.
"""
import json
import math
import os
import subprocess
import sys

import numpy as np

PROGRAM, WORK = sys.argv[1], sys.argv[2]
PRESET = os.path.join(os.path.dirname(__file__), "../../scripts/configs/quickstart.yaml")
TYPES = ["f32", "f16", "bf16", "q8_0", "q4_0"]
PROBLEMS, LONGEST = 12, 24
SHAPE = ("model.hidden_size=64 model.intermediate_size=192 model.num_hidden_layers=3 model.head_dim=16 "
         "model.initializer_range=0.25 model.embedding_range=0.6 model.zero_init_head=false "
         "model.smooth_number_embeddings=false model.max_position_embeddings=512 ")
MODELS = {
    "llama": "model.num_attention_heads=4 model.num_key_value_heads=2 model.rope_theta=500000 model.rope_scaling_factor=32",
    "smollm": "model.num_attention_heads=4 model.num_key_value_heads=1 model.tie_word_embeddings=true model.rope_theta=10000",
    "qwen2": "model.model_type=qwen2 model.attention_bias=true model.num_attention_heads=4 model.num_key_value_heads=2 "
             "model.tie_word_embeddings=true",
    "qwen3": "model.model_type=qwen3 model.use_qk_norm=true model.num_attention_heads=4 model.num_key_value_heads=2 "
             "model.head_dim=32",
}
failures = []


def run(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"wavezero {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def check(name, ok, detail):
    print(f"{'ok  ' if ok else 'FAIL'} {name}: {detail}", flush=True)
    if not ok:
        failures.append(name)


def our_answers(checkpoint):
    lines = run("generate", checkpoint, "--count", str(PROBLEMS), "--json", "threads=1", "prompt_style=compact",
                f"max_completion_length={LONGEST}", "task.links=3", "task.levels=8", "task.snr_db=10").splitlines()
    return [json.loads(line) for line in lines]


# ---- runtimes: prompt tokens -> (tokens, logits or log-probabilities of each step, as {token: value}) ----

class Transformers:
    bounds, free_constant, hides_bytes = {}, False, False

    def __init__(self, folder, adapter=None):
        import torch
        from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
        torch.set_num_threads(1)
        self.torch = torch
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        if adapter is not None:
            import peft
            self.model = peft.PeftModel.from_pretrained(self.model, adapter).eval()
        # not AutoTokenizer: for model_type qwen2 transformers 5 takes Qwen2's own pre-tokenizer, whatever the folder says
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)

    def answer(self, prompt, text, ends):
        tokens, steps = [], []
        ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if ids != prompt:
            check("transformers' tokens of a prompt", False, f"{ids}, not {prompt}")
        with self.torch.no_grad():
            while len(tokens) < LONGEST and (not tokens or tokens[-1] not in ends):
                logits = self.model(self.torch.tensor([prompt + tokens])).logits[0, -1].double().numpy()
                steps.append(logits)
                tokens.append(int(logits.argmax()))
        return tokens, steps


class OnnxRuntime:
    bounds, free_constant, hides_bytes = {}, False, False

    def __init__(self, folder):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(folder + "/model.onnx", options)
        config = json.load(open(folder + "/config.json"))
        self.layers, self.heads, self.width = (config["num_hidden_layers"], config["num_key_value_heads"],
                                               config["head_dim"])

    def answer(self, prompt, text, ends):
        past = [np.zeros((1, self.heads, 0, self.width), np.float32)] * (2 * self.layers)
        names = [f"{n}.{k}" for n in range(self.layers) for k in ("key", "value")]
        tokens, steps, given = [], [], list(prompt)
        while len(tokens) < LONGEST and (not tokens or tokens[-1] not in ends):
            total = len(prompt) + len(tokens)
            feed = {"input_ids": np.array([given], np.int64), "attention_mask": np.ones((1, total), np.int64),
                    "position_ids": np.arange(total - len(given), total, dtype=np.int64)[None]}
            feed |= {f"past_key_values.{n}": p for n, p in zip(names, past)}
            logits, *past = self.session.run(["logits"] + [f"present.{n}" for n in names], feed)
            steps.append(logits[0, -1].astype(np.float64))
            tokens.append(int(steps[-1].argmax()))
            given = tokens[-1:]
        return tokens, steps


class Genai:
    """Greedy tokens only: it gives them without their logits."""
    bounds, free_constant, hides_bytes = {}, False, False

    def __init__(self, folder):
        import onnxruntime_genai
        self.genai, self.model = onnxruntime_genai, onnxruntime_genai.Model(folder)

    def answer(self, prompt, text, ends):
        parameters = self.genai.GeneratorParams(self.model)
        parameters.set_search_options(do_sample=False, max_length=len(prompt) + LONGEST)
        generator, tokens = self.genai.Generator(self.model, parameters), []
        generator.append_tokens(prompt)
        while not generator.is_done():
            generator.generate_next_token()
            tokens.append(int(generator.get_next_tokens()[0]))
        return tokens, []


class LlamaCpp:
    bounds, free_constant, hides_bytes = {"f32": 1e-3, "f16": 5e-3, "bf16": 8e-2, "q8_0": 8e-2, "q4_0": 0.16}, True, True

    def __init__(self, folder, adapter=None):
        import xllamacpp as x
        params = x.CommonParams()
        if adapter is not None:
            info = x.CommonAdapterLoraInfo()
            info.path, info.scale = adapter, 1.0
            params.lora_adapters = [info]
        params.model.path = folder + "/model.gguf"
        params.n_ctx, params.n_gpu_layers, params.n_parallel, params.cpuparams.n_threads = 1024, 0, 1, 1
        params.cache_type_k = params.cache_type_v = x.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = x.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.server = x.Server(params)
        self.folder = folder

    def complete(self, text, **more):
        return self.server.handle_completions({"prompt": text, "n_predict": LONGEST, "temperature": 0, "top_k": 1,
                                               "cache_prompt": False, **more})

    def answer(self, prompt, text, ends):
        out = self.complete(text, n_probs=50)
        if out["usage"]["prompt_tokens"] != len(prompt):
            failures.append("llama.cpp's tokens of the prompt")
        content = out["choices"][0]["logprobs"]["content"]
        return ([step["id"] for step in content],
                [{top["id"]: top["logprob"] for top in step["top_logprobs"]} for step in content])


# ---- comparisons ----

def difference(step, reference, by_constant):
    """Largest difference of logits, relative to the largest; by_constant: of log-probabilities (only the likelier half of
    those given, which small ones' rounding does not reach)."""
    largest = np.abs(reference).max()
    if not by_constant:
        return np.abs(step - reference).max() / largest
    logprobs = reference - reference.max() - math.log(np.exp(reference - reference.max()).sum())
    return max(abs(value - logprobs[token]) for token, value in step.items()) / largest


def margin(logits):
    two = np.sort(logits)[-2:]
    return (two[1] - two[0]) / np.abs(logits).max()


def compare(name, runtime, kind, ours, ends, references):
    """references: transformers' steps for the same weights, or None."""
    bound = runtime.bounds.get(kind, 1e-4)
    equal, parted, worst, tried = 0, [], 0.0, 0
    for i, answer in enumerate(ours):
        tokens, steps = runtime.answer(answer["prompt_tokens"], answer["prompt"], ends)
        expected = answer["tokens"]
        if runtime.hides_bytes:
            # llama.cpp's server leaves out tokens that end within a character; the first 256 are bytes
            end = next((p for p, token in enumerate(expected) if 128 <= token < 256), LONGEST)
            tokens, steps, expected = tokens[:end], steps[:end], expected[:end]
        tried += len(expected)
        place = next((p for p, (a, b) in enumerate(zip(tokens, expected)) if a != b), min(len(tokens), len(expected)))
        if references is not None:
            for p in range(min(place + 1, len(steps), len(references[i]))):
                worst = max(worst, difference(steps[p], references[i][p], runtime.free_constant))
        if tokens == expected:
            equal += 1
        elif references is not None and place < len(references[i]):
            parted.append((place, margin(references[i][place])))
        else:
            parted.append((place, float("nan")))
    fine = all(m < 2 * bound for _, m in parted) and (references is None or worst <= bound)
    places = "; ".join(f"token {p}, margin {m:.1e}" for p, m in parted)
    check(name, fine, f"{equal} of {len(ours)} greedy answers equal, {tried} tokens" + (f" ({places})" if parted else "") +
          (f", logits within {worst:.1e}" if references is not None else ""))


def ends_of(folder):
    ids = json.load(open(folder + "/generation_config.json")).get("eos_token_id", [])
    return set(ids if isinstance(ids, list) else [ids])


def export(checkpoint, form, kind, folder):
    out = json.loads(run("export", checkpoint, "--format", form, "--type", kind, "-o", folder, "--eval-problems", "0",
                         "--verify", "--json", "threads=1"))
    check(f"{os.path.basename(folder)} --verify", out["verified"]["tensors"] > 0,
          f"{out['verified']['tensors']} tensors, {out['verified']['equal_problems']}/{out['verified']['problems']} answers")


def reference_steps(checkpoint, folder, ours, ends):
    """transformers' logits on a checkpoint's weights."""
    run("export", checkpoint, "--format", "hf", "-o", folder, "--eval-problems", "0", "threads=1")
    plain = Transformers(folder)
    return [plain.answer(a["prompt_tokens"], a["prompt"], ends)[1] for a in ours]


def try_model(name, checkpoint):
    base = f"{WORK}/{name}"
    export(checkpoint, "hf", "f32", base + "-hf")
    ends = ends_of(base + "-hf")
    plain, ours = Transformers(base + "-hf"), our_answers(checkpoint)
    references = [plain.answer(a["prompt_tokens"], a["prompt"], ends)[1] for a in ours]
    compare(f"{name} hf f32 in transformers", plain, "f32", ours, ends, None)
    for form, runtime in (("onnx", OnnxRuntime), ("gguf", LlamaCpp)):
        for kind in TYPES:
            folder = f"{base}-{form}-{kind}"
            export(checkpoint, form, kind, folder)
            stored = f"{folder}.h5"  # our engine on the weights as the file has them
            run("import", folder, "-o", stored)
            answers = our_answers(stored)
            compare(f"{name} {form} {kind}", runtime(folder), kind, answers, ends,
                    references if kind == "f32" else reference_steps(stored, folder + "-widened", answers, ends))


def try_genai(name):
    """The same tokens from the folder's own genai_config.json, in every type."""
    try:
        import onnxruntime_genai  # noqa: F401
    except ImportError as missing:
        print(f"skipped: {missing}", flush=True)
        return
    for kind in TYPES:
        folder = f"{WORK}/{name}-onnx-{kind}"
        compare(f"{name} {kind} in onnxruntime-genai", Genai(folder), kind, our_answers(folder + ".h5"), set(), None)


def try_grammar():
    """Trained under masks alone, a policy babbles without a grammar; with the exported one it answers as here."""
    folder, place = f"{WORK}/masked", f"{WORK}/masked-gguf"
    run("train", PRESET, f"output_dir={folder}", "max_steps=100", "grammar_coef=0", "device=cpu", "eval_problems=100")
    checkpoint = f"{folder}/checkpoints/step-00000100.h5"
    run("export", checkpoint, "--format", "gguf", "--grammar", "-o", place, "--eval-problems", "0", "threads=1")
    with open(place + "/answer.gbnf") as file:
        grammar = file.read()
    runtime, ours, equal, tokens = LlamaCpp(place), our_answers(checkpoint), 0, 0
    for answer in ours:
        out = runtime.complete(answer["prompt"], grammar=grammar)
        tokens += out["usage"]["completion_tokens"] - len(answer["tokens"])
        # any end token may end it: not all of them are written
        equal += out["choices"][0]["text"].removesuffix("</answer>") == answer["completion"].removesuffix("</answer>")
    check("masked policy under its GBNF grammar in llama.cpp", equal == len(ours) and tokens == 0,
          f"{equal} of {len(ours)} answers equal, {tokens} tokens more than here")


def try_adapters(name):
    """Adapters alone, beside their base in PEFT and llama.cpp, against our policy with them folded in. Scaled so that they change
    what the base answers: untouched, the comparison would pass."""
    base, adapted = f"{WORK}/{name}/checkpoints/step-00000000.h5", f"{WORK}/{name}-adapted"
    run("train", PRESET, f"output_dir={adapted}", f"init_from={base}", "lora_rank=4", "lora_alpha=64", "max_steps=6",
        "learning_rate=0.02", "answer_grammar=false", "grammar_coef=0", "device=cpu", "eval_problems=1",
        "generation_batch_size=64", f"max_completion_length={LONGEST}")
    checkpoint, folder = f"{adapted}/checkpoints/step-00000006.h5", adapted + "-merged"
    for form in ("peft", "gguf-lora"):
        export(checkpoint, form, "f32", f"{adapted}-{form}")
    run("export", checkpoint, "--format", "hf", "-o", folder, "--eval-problems", "0", "threads=1")
    run("import", folder, "-o", folder + ".h5")
    ends, merged, ours = ends_of(folder), Transformers(folder), our_answers(folder + ".h5")
    references = [merged.answer(a["prompt_tokens"], a["prompt"], ends)[1] for a in ours]
    changed = sum(a["tokens"] != b["tokens"] for a, b in zip(ours, our_answers(base)))
    check(f"{name} adapters matter", changed > PROBLEMS // 2, f"{changed} of {PROBLEMS} answers are not the base's")
    compare(f"{name} adapters in peft", Transformers(f"{WORK}/{name}-hf", f"{adapted}-peft"), "f32", ours, ends, references)
    compare(f"{name} adapters in llama.cpp", LlamaCpp(f"{WORK}/{name}-gguf-f32", f"{adapted}-gguf-lora/adapter.gguf"), "f32",
            ours, ends, references)


def score(checkpoint):
    return json.loads(run("eval", checkpoint, "--problems", "500", "--json", "threads=1", "prompt_style=compact",
                          "task.links=3", "task.levels=8", "task.snr_db=10"))["objective_ratio"]["mean"]


def be_quiet():
    """Descriptor 2, which the runtimes' own code writes to, goes to a file; Python's errors stay where they were."""
    import transformers
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    os.dup2(os.open(f"{WORK}/runtimes.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 2)


def main():
    be_quiet()
    for name, keys in MODELS.items():
        run("train", PRESET, f"output_dir={WORK}/{name}", "max_steps=0", "answer_grammar=false", "grammar_coef=0",
            "device=cpu", "eval_problems=1", f"max_completion_length={LONGEST}", *SHAPE.split(), *keys.split())
        try_model(name, f"{WORK}/{name}/checkpoints/step-00000000.h5")
        try_genai(name)
        try_adapters(name)
    try_grammar()
    print("training a policy that keeps to the grammar by itself", flush=True)
    run("train", PRESET, f"output_dir={WORK}/trained", "max_steps=150", "grammar_coef=0.05", "device=cpu",
        "eval_problems=100", "model.intermediate_size=192")
    checkpoint = f"{WORK}/trained/checkpoints/step-00000150.h5"
    try_model("trained", checkpoint)
    try_genai("trained")
    original = score(checkpoint)
    for form in ("gguf", "onnx"):
        for kind in TYPES:
            got = score(f"{WORK}/trained-{form}-{kind}.h5")
            limit = {"f32": 0.0, "f16": 0.005, "bf16": 0.005, "q8_0": 0.005}.get(kind, math.inf)
            check(f"trained {form} {kind} score", abs(got - original) <= limit, f"{got:.4f}, before export {original:.4f}")
    print(f"{len(failures)} failures" + (": " + ", ".join(failures) if failures else ""))
    return 1 if failures else 0


sys.exit(main())
