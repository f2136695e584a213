#!/usr/bin/env python3
"""Writes reference outputs of the repository's model: what the C engine must reproduce.

All numbers are float32 arithmetic on the stored bf16 weights, by llama.py; all token ids come from the encoder of
bpe.py. Neither shares a line with the C code.

    golden.py --model models/hamlet --text models/hamlet-text --out models/hamlet-golden
"""
import argparse
import json
import os
import sys

import numpy
import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bpe  # noqa: E402
import llama  # noqa: E402

LENGTH = 24

TEXTS = [
    "",
    " ",
    "Anna the miller was grinding barley at the mill.",
    '"Where did you rest this morning?" asked Bruno.\n"At the hollow oak," said Clara.\n\nOne Sunday in spring,',
    "I'm sure they'll say it's Anna's, WE'VE SEEN IT'S HERS, and she'd know: don't you?",
    "  two leading spaces,   three inner ones, and trailing ones   ",
    "tabs\tand\t\ttwo tabs, \r\nwindows line\r\n\r\nends\rand a lone return",
    "\n\n\n   \n indented after blank lines \n",
    "1 22 333 4444 55555 666666 7,890.12 3.14159e-10 0x1F",
    "naïve café, Ærøskøbing, Łódź, Straße, İstanbul, cafe\u0301 with a combining accent",
    "Привет, мир! Καλημέρα κόσμε. שלום עולם مرحبا بالعالم",
    "你好，世界。こんにちは世界！ 안녕하세요 세계",
    "🙂 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 👍🏽 and text",
    "x² + y³ = ½ Ⅷ ٣٤٥ १२३ ①②③ numbers that are not ASCII",
    "non-breaking\u00a0space, thin\u2009space, ideographic\u3000space, zero\u200bwidth, next\u0085line, line\u2028separator",
    "null \u0000 bell \u0007 escape \u001b delete \u007f soft\u00adhyphen bom \ufeff end",
    "snake_case CamelCase kebab-case __init__ C++ a->b; if (x != y) { return *p++; } // done",
    "!!! ... --- ??? *** ((())) [[]] {{}} \"\" '' `` ~~ ^^ || \\\\ // @@ ## $$ %% &&",
    "<|begin_of_text|>Once<|end_of_text|><|begin_of_text|> upon <|not_special|> a time",
    "ſ long s: it'ſ, Kelvin K, ligature ﬁ, fullwidth ＡＢＣ１２３, 𝔊𝔬𝔱𝔥𝔦𝔠, \U00010348, \U000e0041, ",
]
PROMPTS = [
    "It was a Tuesday in winter, and",
    "Anna the miller had twelve eggs to sell,",
    '"I speak every language but only after you," said Agnes. "What am I?"\n',
    "Bruno walked from the bakery to the lighthouse, past",
    "Dear Klara,\n",
]


def rows_of_ids(tokenizer, folder):
    """One row from the beginning of a text, with BOS, and one from the middle that crosses a blank line."""
    with open(os.path.join(folder, "calib.txt"), encoding="utf-8") as file:
        stories = file.read().split("\n\n")
    first = [tokenizer.bos] + tokenizer.encode(stories[0])
    tail = tokenizer.encode(stories[1] + "\n\n" + stories[2])
    cut = len(tokenizer.encode(stories[1] + "\n\n")) - LENGTH // 2
    return torch.tensor([first[:LENGTH], tail[cut:cut + LENGTH]])


@torch.no_grad()
def smallest_margin(model, ids, count):
    """How near the second choice ever came on the last count positions: a tie would make a poor reference."""
    logits = model(torch.tensor([ids]))[0, -count - 1:-1]
    top = logits.topk(2, -1).values
    return float((top[:, 0] - top[:, 1]).min())


def greedy_entries(model, tokenizer, count=40):
    entries = []
    for prompt in PROMPTS:
        start = [tokenizer.bos] + tokenizer.encode(prompt)
        ids = llama.greedy(model, start, count)
        entries.append({"prompt": prompt, "prompt_ids": start, "ids": ids, "text": tokenizer.decode(ids),
                        "margin": round(smallest_margin(model, start + ids, count), 4)})
    return entries


def write_entries(path, entries):
    """A JSON list, one entry per line."""
    with open(path, "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(e, ensure_ascii=False) for e in entries) + "\n]\n")


def main():
    parser = argparse.ArgumentParser(description="write reference outputs")
    parser.add_argument("--model", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    os.makedirs(args.out, exist_ok=True)
    tokenizer = bpe.Tokenizer(os.path.join(args.model, "tokenizer.json"))
    model = llama.load_model(args.model)

    def path(name):
        return os.path.join(args.out, name)

    ids = rows_of_ids(tokenizer, args.text)
    with torch.no_grad():
        numpy.save(path("input_ids.npy"), ids.numpy())
        numpy.save(path("logits.npy"), model(ids).numpy())
        numpy.save(path("hidden_states.npy"), torch.stack(model.hidden_states(ids)).numpy())
    write_entries(path("tokens.json"), [{"text": t, "ids": tokenizer.encode(t)} for t in TEXTS])
    entries = greedy_entries(model, tokenizer)
    write_entries(path("greedy.json"), entries)
    with open(os.path.join(args.text, "test.txt"), encoding="utf-8", newline="") as file:
        figures = llama.perplexity(model, [tokenizer.bos] + tokenizer.encode(file.read()))
    bpe.write_json(path("ppl.json"), {"text": "test.txt", "window": 512, **figures})
    print(figures)
    for entry in entries:
        print(entry["margin"], repr(entry["prompt"]), "|", repr(entry["text"]))


if __name__ == "__main__":
    main()
