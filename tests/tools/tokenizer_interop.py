#!/usr/bin/env python3
"""Real vocabularies: our encoder against the `tokenizers` package and llama.cpp's expected ids.

    python3 -m venv venv && venv/bin/pip install tokenizers==0.23.3 gguf==0.19.0 jinja2==3.1.6
    venv/bin/pip download --no-deps --no-binary :all: llama-cpp-python==0.3.36 && tar xzf llama_cpp_python-*.tar.gz
    venv/bin/python tests/tools/tokenizer_interop.py BUILD/tests/encode_filter llama_cpp_python-*/vendor/llama.cpp/models

The vocabularies ggml-vocab-*.gguf become tokenizer.json files with the pre-tokenizers of the models they come from. Then
  1. the texts of their .inp files must get the ids of their .out files;
  2. a mixed corpus of over 10,000 texts and some MB must get the ids that `tokenizers` gives;
  3. random bytes, which `tokenizers` does not take, must come back when decoded (encode_filter ends otherwise).
Prints a line for each vocabulary; exit status 1 where anything differs.
"""
import json
import random
import struct
import subprocess
import sys
import sysconfig
import tempfile
import unicodedata
from pathlib import Path

import gguf
from tokenizers import Tokenizer

QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
DEEPSEEK_LETTERS = (
    "\\s?[A-Za-z\xb5\xc0-\xd6\xd8-\xf6\xf8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377"
    "\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556"
    "\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00"
    "-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-"
    "\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102"
    "\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-"
    "\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-"
    "\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-"
    "\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-"
    "\U000118df\U0001e900-\U0001e943]+")
DEEPSEEK_MARKS = "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"
HAN_AND_HANGUL = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"


def split(pattern):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def byte_level(use_regex):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


DIGITS = {"type": "Digits", "individual_digits": True}
# name of the vocabulary -> (normaliser is NFC, steps of the pre-tokenizer, ignore_merges)
KINDS = {
    "gpt-2": (False, [byte_level(True)], False),
    "qwen2": (True, [split(QWEN), byte_level(False)], False),
    "llama-bpe": (False, [split(LLAMA3), byte_level(False)], True),
    "starcoder": (False, [DIGITS, byte_level(True)], False),  # SmolLM2's steps
    "refact": (False, [DIGITS, byte_level(True)], False),
    "deepseek-llm": (False, [split("[\r\n]"), split(DEEPSEEK_LETTERS), split(DEEPSEEK_MARKS),
                             split("\\s+$"), split(HAN_AND_HANGUL), DIGITS, byte_level(False)], False),
    "deepseek-coder": (False, [split("[\r\n]"), split("\\s?\\p{L}+"), split("\\s?\\p{P}+"),
                               split(HAN_AND_HANGUL), DIGITS, byte_level(False)], False),
}


def tokenizer_json(path, kind):
    """The tokenizer.json of a GGUF vocabulary."""
    nfc, steps, ignore_merges = KINDS[kind]
    fields = gguf.GGUFReader(str(path)).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    merges = [merge.split(" ") for merge in fields["tokenizer.ggml.merges"].contents()]
    vocab, added = {}, []
    first_after = 1 + max(n for n, t in enumerate(types) if t == gguf.TokenType.NORMAL)
    for number, (token, kind_of_token) in enumerate(zip(tokens, types)):
        if kind_of_token == gguf.TokenType.NORMAL:
            vocab[token] = number
        elif not token.startswith("[PAD"):  # rows that a conversion filled up
            added.append({"id": number, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": kind_of_token == gguf.TokenType.CONTROL})
            if number < first_after:  # `tokenizers` numbers those that are not in the vocabulary itself
                vocab[token] = number
    merges = [pair for pair in merges if len(pair) == 2 and all(t in vocab for t in (*pair, "".join(pair)))]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": {"type": "NFC"} if nfc else None,
            "pre_tokenizer": steps[0] if len(steps) == 1 else {"type": "Sequence", "pretokenizers": steps},
            "post_processor": None, "decoder": byte_level(True),
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                      "ignore_merges": ignore_merges, "vocab": vocab, "merges": merges}}


def encode(program, path, texts):
    """Ids of texts (bytes) by encode_filter."""
    framed = b"".join(struct.pack("=I", len(t)) + t for t in texts)
    done = subprocess.run([program, path], input=framed, stdout=subprocess.PIPE, check=True)
    out, at = [], 0
    for _ in texts:
        count, = struct.unpack_from("=I", done.stdout, at)
        out.append(list(struct.unpack_from(f"={count}I", done.stdout, at + 4)))
        at += 4 + 4 * count
    assert at == len(done.stdout)
    return out


def missing_bytes(vocab):
    """Bytes without a token: some vocabularies lack those that UTF-8 does not have."""
    printable = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]  # the byte-level alphabet
    others = [byte for byte in range(256) if byte not in printable]
    key = {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return bytes(byte for byte in range(256) if key[byte] not in vocab)


# ---- corpus ----

RANGES = [(0x20, 0x7f), (0xa0, 0x180), (0x300, 0x370), (0x370, 0x400), (0x400, 0x530), (0x530, 0x590), (0x590, 0x600),
          (0x600, 0x700), (0x900, 0x980), (0xb80, 0xc00), (0xe00, 0xe80), (0x1100, 0x1200), (0x1e00, 0x2000),
          (0x2000, 0x2070), (0x2190, 0x2400), (0x3000, 0x3100), (0x3400, 0x3500), (0x4e00, 0x9fa5), (0xac00, 0xd7a4),
          (0xf900, 0xfb00), (0xfb00, 0xfe00), (0xff00, 0xfff0), (0x1d400, 0x1d800), (0x1f300, 0x1f700),
          (0x20000, 0x20100), (0x10000, 0x10100), (0xe000, 0xe010), (0x10fff0, 0x10fffe)]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\r", "\u00a0", "\u2003", "\u3000", "\u2028", "\u0085", "\u180e",
          "\u200b", "\v", "\f", "\x1c", "\x00"]
BITS = ["'s", "'S", "'ſ", "'re", "'LL", "’t", "don't", "I'VE", "'", "''", "->", "=>", "://", "!!!", "...", "\\n", "${", "}}",
        "e\u0301", "o\u0323\u0302", "\u1112\u1161\u11ab", "\u0915\u093c", "\ufb01", "\u212b", "\u1e9b\u0323", "👩\u200d🚀", "🇩🇪",
        "👍🏽", "\ufeff", "x²", "½", "Ⅷ", "①", "٣٤", "९", "1234567890", "3.14159", "0x7f", "1,000", "-7 dB", "<think>", "</think>",
        "<answer>", "</answer>", "<|im_start|>user\n", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>",
        "<|begin_of_text|>", "<|im_end", "|>", "<", "[PAD151937]", "<｜end▁of▁sentence｜>"]


def random_text(rng):
    out = []
    for _ in range(rng.randrange(1, 40)):
        shape = rng.random()
        if shape < 0.35:
            low, high = rng.choice(RANGES)
            out.append("".join(chr(rng.randrange(low, high)) for _ in range(rng.randrange(1, 9))))
        elif shape < 0.6:
            out.append(rng.choice(SPACES) * rng.choice([1, 1, 1, 2, 5]))
        elif shape < 0.85:
            out.append(rng.choice(BITS))
        else:
            out.append("".join(rng.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ")
                               for _ in range(rng.randrange(1, 30))))
    return "".join(out)


def corpus():
    """Random mixtures, program text, and every assigned character that Python knows, between letters."""
    rng = random.Random(20260601)
    texts = [random_text(rng) for _ in range(12000)]
    library = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(library.glob("*.py"))[:120] + sorted((library / "encodings").glob("*.py"))[:40]:
        source = path.read_text(encoding="utf-8", errors="replace")
        texts += [source[at:at + 4000] for at in range(0, len(source), 4000)]
    texts += [" " * n + "x" for n in range(1, 200)] + ["\n" * n + " y" for n in range(1, 60)] + ["ab" * 3000, "9" * 999]
    return [t for t in texts if t]


def characters(version):
    """Characters of this Unicode version or older, each between letters."""
    for code in [*range(0xd800), *range(0xe000, 0x110000)]:
        known = version.category(chr(code)) != "Cn"
        if known and not 0xf0000 <= code < 0x10fff0 and not 0xe010 <= code < 0xf8f0:
            yield code


def differing(program, path, reference, texts):
    ours = encode(program, path, [t.encode() for t in texts])
    theirs = [e.ids for e in reference.encode_batch(texts, add_special_tokens=False)]
    return [i for i in range(len(texts)) if ours[i] != theirs[i]]


def check_expected(program, path, models, kind):
    """llama.cpp's own texts and ids: how many there are, and those that differ."""
    base = models / f"ggml-vocab-{kind}.gguf"
    texts = Path(f"{base}.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    lines = Path(f"{base}.out").read_text(encoding="utf-8").split("\n")
    expected = [[int(i) for i in line.split()] for line in lines[:len(texts)]]
    ours = encode(program, path, [t.encode() for t in texts])
    return len(texts), [texts[i] for i in range(len(texts)) if ours[i] != expected[i]]


def check(program, models, kind, texts, folder):
    """One vocabulary; the number of differences."""
    path = Path(folder) / f"{kind}.json"
    data = tokenizer_json(models / f"ggml-vocab-{kind}.gguf", kind)
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    reference = Tokenizer.from_file(str(path))
    count, wrong = check_expected(program, path, models, kind)
    bad = differing(program, path, reference, texts)
    codes = list(characters(unicodedata))
    odd = [codes[i] for i in differing(program, path, reference, [f"a{chr(c)}b {chr(c)}1" for c in codes])]
    rng = random.Random(7)
    missing = missing_bytes(data["model"]["vocab"])
    noise = [rng.randbytes(rng.randrange(1, 300)).translate(None, missing) for _ in range(5000)]
    encode(program, path, noise)
    print(f"{kind}: {count - len(wrong)} of {count} texts of llama.cpp; {len(texts) - len(bad)} of {len(texts)} texts, "
          f"{sum(len(t.encode()) for t in texts)} bytes; {len(codes) - len(odd)} of {len(codes)} characters of Unicode "
          f"{unicodedata.unidata_version}; {len(noise)} random byte strings", flush=True)
    for text in wrong[:5]:
        print(f"  llama.cpp's {text!r}")
    for i in bad[:5]:
        print(f"  {texts[i]!r}")
    if odd:
        print("  characters:", " ".join(f"U+{c:04X}" for c in odd[:40]), "..." if len(odd) > 40 else "")
    return len(wrong) + len(bad) + len(odd)


def main():
    program, models = sys.argv[1], Path(sys.argv[2])
    kinds = sys.argv[3:] or list(KINDS)
    texts = corpus()
    with tempfile.TemporaryDirectory() as folder:
        return 1 if sum(check(program, models, kind, texts, folder) for kind in kinds) else 0


if __name__ == "__main__":
    sys.exit(main())
