#!/usr/bin/env python3
"""Writes tests/data/chat_cases.json: prompts that the models' own chat templates make, by jinja2 as transformers runs it.

    venv/bin/python tests/tools/make_chat_fixtures.py llama_cpp_python-*/vendor/llama.cpp/models/templates JINJA.json tests/data

The templates of Qwen2.5, Qwen3 and Llama 3.2 are those that llama.cpp ships; SmolLM2's and Llama 3.0's stand below. Of Llama 3.2 the
two lines with dates are taken out, which is the header of 3.0. JINJA.json holds our own templates by name, as test_chat writes
them to chat_jinja.json in its working directory: of the two messages each must make the same string as the model's (plain:
as its description says), or this ends with the difference. Conversations of several turns are compared too, as far as the models'
templates do not think.
"""
import json
import sys
from pathlib import Path

from jinja2.sandbox import ImmutableSandboxedEnvironment

SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")
DATES = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"

SYSTEMS = ["You solve problems of radio links.", "  Be brief.\n\nNo prose. ", "é\u00a0“quoted” {{ braces }} {% set x %}", ""]
USERS = ["3 radio links, A to C, share one channel.\nReceiver A: -2 dB from A", " \u2003padded\t\n", "x",
         "tags <|im_end|> and <|eot_id|> in a text, <think>too</think>", "line\n\n\nline\n", "\\n 'single' \"double\" \u200b"]


def jinja(template, messages, **more):
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    return env.from_string(template).render(messages=messages, add_generation_prompt=True,
                                            bos_token="<|begin_of_text|>", **more)


def models(folder):
    """Name of ours -> functions of messages that must agree."""
    read = {name: (folder / f"{name}.jinja").read_text(encoding="utf-8")
            for name in ("Qwen-Qwen2.5-7B-Instruct", "Qwen-Qwen3-0.6B", "meta-llama-Llama-3.2-3B-Instruct")}
    qwen3 = read["Qwen-Qwen3-0.6B"]
    return {
        "chatml": [lambda m: jinja(read["Qwen-Qwen2.5-7B-Instruct"], m), lambda m: jinja(SMOLLM2, m)],
        "qwen3": [lambda m: jinja(qwen3, m), lambda m: jinja(qwen3, m, enable_thinking=True)],
        "qwen3_no_thinking": [lambda m: jinja(qwen3, m, enable_thinking=False)],
        "llama3": [lambda m: jinja(LLAMA3, m),
                   lambda m: jinja(read["meta-llama-Llama-3.2-3B-Instruct"], m).replace(DATES, "", 1)],
        "plain": [lambda m: "\n\n".join(x["content"] for x in m) + "\n"],
    }


def agree(name, texts):
    assert len(set(texts)) == 1, f"{name}: {texts}"
    return texts[0]


def main():
    folder, ours, out = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3])
    cases = []
    for name, functions in models(folder).items():
        for system in SYSTEMS:
            for user in USERS:
                messages = [{"role": "user", "content": user}]
                if system:
                    messages.insert(0, {"role": "system", "content": system})
                theirs = functions
                if not system and name == "chatml":  # both insert a system message of their own
                    theirs = [lambda m: f"<|im_start|>user\n{m[0]['content']}<|im_end|>\n<|im_start|>assistant\n"]
                if not system and name == "llama3":  # 3.2 always has one
                    theirs = functions[:1]
                text = agree(name, [f(messages) for f in theirs] + [jinja(ours[name], messages)])
                cases.append({"template": name, "system": system, "user": user, "prompt": text})
        talk = [{"role": "system", "content": "S"}, {"role": "user", "content": "one"},
                {"role": "assistant", "content": "<think>\nwhy\n</think>\n\ntwo" if "qwen3" in name else "two"},
                {"role": "user", "content": "three"}]
        agree(name, [f(talk) for f in functions] + [jinja(ours[name], talk)])
    for thinking in (True, False):  # what a user asks for goes before the name
        messages = [{"role": "user", "content": "x"}]
        agree("enable_thinking", [jinja(t, messages, enable_thinking=thinking)
                                  for t in (ours["qwen3"], ours["qwen3_no_thinking"],
                                            (folder / "Qwen-Qwen3-0.6B.jinja").read_text(encoding="utf-8"))])
    lines = ",\n".join(json.dumps(case, ensure_ascii=True, separators=(",", ":")) for case in cases)
    (out / "chat_cases.json").write_text(f"[\n{lines}\n]\n", encoding="ascii")
    print(f"{len(cases)} prompts")


if __name__ == "__main__":
    main()
