#!/usr/bin/env python3
"""Writes the tokenizer fixtures in tests/data: small tokenizer.json files of the GPT-2, Qwen2, Llama 3 and
SmolLM2 kind, trained here with the pre-tokenizers, normalisers and post-processors of those models, and the
ids and decoded texts that the `tokenizers` package gives for a mixed corpus.

    python3 -m venv venv && venv/bin/pip install tokenizers==0.23.3
    venv/bin/python tests/tools/make_tokenizer_fixtures.py tests/data BUILTIN.json

BUILTIN.json is the built-in vocabulary as the engine writes it (test_tokenizer writes it to
builtin_tokenizer.json in its working directory).
"""
import json
import random
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

TRAINING = """
Five radio links, A to E, share one channel; each is a transmitter and its own receiver. The power received from
each transmitter at full power, in dB relative to the receiver's noise power, is listed below. Choose transmit powers
so that the sum of the rates is as large as possible. It's a problem we've met, they're hard, I'll try, he'd know.
<think>Let me compare: 12 dB against 7 dB, so link A wins and link B stays off. 10 + 20 = 30, 100 - 25 = 75.</think>
<answer>1 0 1 1 0</answer>
for (int i = 0; i < n; i++) {\n    sum += log2(1 + gain[i][i] * power[i] / noise);\n}\n\n\treturn sum;\n
Les antennes émettent à pleine puissance; où est l'étoile? Über die Brücke fährt ein Zug. Энергия и мощность сигнала.
無線通信の電力制御 问题 信道 功率 한국어 문장 ελληνικά γράμματα \u0627\u0644\u0637\u0627\u0642\u0629
0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 44 64 100 128 200 256 512 999 1000 1024 2048
"""


def train(kind):
    """One tokenizer of a kind, trained on the text above."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=kind == "llama3"))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind in ("gpt2", "smollm2"))
    if kind == "gpt2":
        tokenizer.pre_tokenizer = byte_level
    elif kind == "smollm2":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    else:
        pattern = QWEN if kind == "qwen2" else LLAMA
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False), byte_level])
    if kind == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    in_vocab = ["<|endoftext|>"] if kind in ("gpt2", "smollm2") else []
    tokenizer.train_from_iterator(
        TRAINING.split("\n") + [TRAINING],
        trainers.BpeTrainer(vocab_size=720, min_frequency=1, show_progress=False, special_tokens=in_vocab,
                            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    special = {"gpt2": ["<|endoftext|>"],
               "smollm2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
               "qwen2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
               "llama3": ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]}[kind]
    tokenizer.add_special_tokens(special)
    if kind == "qwen2":
        tokenizer.add_tokens([AddedToken(t, normalized=False) for t in ["<think>", "</think>", "</tool_call>"]])
    if kind == "gpt2":  # found in normalised text, and one the beginning of the other
        tokenizer.add_tokens([AddedToken("<x>", normalized=True), AddedToken("<x><y>", normalized=True)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    if kind == "llama3":
        begin = tokenizer.token_to_id("<|begin_of_text|>")
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A $B",
                                          special_tokens=[("<|begin_of_text|>", begin)])])
    return tokenizer


def whole_pieces(text):
    """Llama 3 has whole words that its merges do not make: give the file some, before the added tokens."""
    data = json.loads(text)
    vocab = data["model"]["vocab"]
    words = ["\u0120wireless", "zqx", "\u0120777"]
    for token in data["added_tokens"]:
        assert token["id"] >= len(vocab)
        token["id"] += len(words)
    for word in words:
        assert word not in vocab
        vocab[word] = len(vocab)
    special = data["post_processor"]["processors"][1]["special_tokens"]["<|begin_of_text|>"]
    special["ids"] = [i + len(words) for i in special["ids"]]
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def old_merges(text):
    """The form of merges before version 0.20: one string with a space."""
    data = json.loads(text)
    data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def corpus():
    rng = random.Random(20250101)
    texts = [
        "", " ", "  ", "   x", "a", " a", "\n", "\n\n", " \n \n a", "a \r\n\r\n  b", "\t\tx\t", "x   ", "tab\u00a0nbsp",
        "It's we've they're I'll he'd I'm can't DON'T IT'S WE'VE \u2019s 'S 'ſ 'lL", "''s''t'", "'r'v'l",
        "0 1 12 123 1234 12345 007 3.14 -17 1e-9 ½ Ⅷ ٣٤ ²³", "a1b22c333d4444", " 10 100 1000 10000",
        " power levels 8 dB plus 30 0 to 44 A 12 30 7 B 4 44 31<answer> 7 0</answer>",
        " power levels 2 dB plus 30 0 to 44 A 31 22 B 0 44<answer> 1 0</answer>",
        " power levels 2 dB plus 30 0 to 44 a A 31 B 22 C 12 b B 44 A 0 C 9 c C 31 A 29 B 30<answer> A b C</answer>",
        " Z z AA aa AZ az BA ba BL bl BM bm abc ABC a.b A1<answer> A b</answer>",
        "<think>why</think><answer>1 0</answer><|endoftext|>", "<answer>  1</answer>\n", "</think></answer", "<thin k>",
        "<x><x><y><x", "<x><y><y>", "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
        "<|begin_of_text|>hi<|eot_id|>", " wireless wireless zqx 777 zq x77 7", "<|endoftext|><|endoftext|>  <|pad|>",
        TRAINING, "Five radio links, A to C, share one channel; each is a transmitter and its own receiver.",
        "e\u0301 é A\u030a Å \u1100\u1161\u11a8 각 \u0041\u0300\u0323 \ufb01 \u212b q\u0307\u0323",
        "a\u0301<x>\u0301b", "\u200b\u200d\u180e\ufeff\u0085x\u2028y\u2029z\u3000w\u1680v\u202fu\u205ft",
        "👩\u200d🚀🇩🇪🏽 𝔘𝔫𝔦 𐍈 \U0010ffff \ue000", "हिन्दी में संकेत ไทย ትግርኛ עברית \u0627\u0644\u0637",
        "if (x) {\n\treturn y;\n}\n\n\n  // end\n", "....... !!! ??? --- ___ ~~~ \"quoted\" (a)[b]{c}", "a/b\\c|d\n/e",
        " " * 70 + "x", "ab" * 60, "9" * 70, "\n" * 9 + " " * 9, "é" * 40,
    ]
    texts.append("".join(chr(c) for c in range(256)))
    # U+0870..U+08FF came with Unicode 14, which the package's normaliser does not know yet.
    texts.append("".join(chr(c) for c in range(0x100, 0x2100, 7) if not 0x870 <= c <= 0x8ff))
    for c in range(0xc2, 0xf5):  # every first byte of UTF-8 with its lowest and highest character
        for tail in ("\u0080", "\u00bf"):
            lead = bytes([c])
            size = 2 if c < 0xe0 else 3 if c < 0xf0 else 4
            middle = tail.encode("latin-1") * (size - 1)
            try:
                texts.append("x" + (lead + middle).decode("utf-8") + "y")
            except UnicodeDecodeError:
                pass
    pools = ["aeinorst", "AZaz", "0123456789", " ", " \n", " \t\r\n", ".,;:!?'\"<>/|-", "éÉüß", "жд", "漢字", "👍",
             "\u0301\u0323", "st re ll ve", "'"]
    for _ in range(260):
        texts.append("".join(rng.choice(rng.choice(pools)) for _ in range(rng.randrange(1, 40))))
    for _ in range(60):
        texts.append("".join(chr(rng.choice([rng.randrange(0x20, 0x250), rng.randrange(0x250, 0xd800),
                                             rng.randrange(0xe000, 0x110000)])) for _ in range(12)))
    return texts


def cases(tokenizer, texts):
    rows = []
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        rows.append({"text": text, "ids": ids, "special": tokenizer.encode(text).ids,
                     "decoded": tokenizer.decode(ids, skip_special_tokens=True)})
        if rows[-1]["special"] == ids or len(rows) > 30:  # the post-processor does not look at the text
            del rows[-1]["special"]
        if rows[-1]["decoded"] == text:
            del rows[-1]["decoded"]
    return rows


def main():
    out, builtin = Path(sys.argv[1]), Path(sys.argv[2])
    files = {kind: train(kind).to_str() for kind in ("gpt2", "qwen2", "llama3", "smollm2")}
    files["llama3"] = whole_pieces(files["llama3"])
    files["gpt2"] = old_merges(files["gpt2"])
    for kind, text in files.items():
        compact = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
        (out / f"tokenizer_{kind}.json").write_text(compact + "\n", encoding="utf-8")
    files["builtin"] = builtin.read_text(encoding="utf-8")
    texts = corpus()
    for kind, text in files.items():
        rows = cases(Tokenizer.from_str(text), texts)
        lines = ",\n".join(json.dumps(row, ensure_ascii=True, separators=(",", ":")) for row in rows)
        (out / f"tokenizer_{kind}_cases.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
