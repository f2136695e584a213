#!/usr/bin/env python3
"""Holds `gram eval` and `gram run` against what transformers measured on real models.

usage: references.py GRAM SHARED

Perplexity of whole texts must be within 0.1 % and count the same tokens; greedy continuations must be the
same ids. Prints one line a measurement. Exit status: 0 all hold, 1 one does not, 77 the shared folder is
not there.
"""
import json
import os
import subprocess
import sys

LIMIT = 1e-3


def gram_json(*arguments):
    done = subprocess.run(arguments, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def hold_perplexity(gram, data, name, text, want):
    got = gram_json(gram, "eval", f"{data}/models/{name}", "--text", f"{data}/text/{text}", "--json",
                    "--quiet")
    off = got["ppl"] / want["ppl"] - 1
    good = abs(off) <= LIMIT and got["tokens"] == want["counted"]
    print(f"{'ok  ' if good else 'FAIL'} {name:18} {text:26} ppl {got['ppl']:.5f} reference "
          f"{want['ppl']:.5f} ({off:+.1e}), {got['tokens']} tokens of {want['counted']}", flush=True)
    return good


def hold_continuation(gram, data, name, want):
    got = gram_json(gram, "run", f"{data}/models/{name}", want["prompt"], "-n", "40", "--json",
                    "--quiet")
    ids = [i for i in want["new_ids"] if i != 2]
    good = got["ids"][:len(ids)] == ids
    print(f"{'ok  ' if good else 'FAIL'} {name:18} greedy: {got['text'][:60]!r}", flush=True)
    if not good:
        print(f"     got {got['ids']}\n     not {ids}")
    return good


def main():
    gram, shared = sys.argv[1:]
    data = os.path.join(shared, "data")
    if not os.path.exists(os.path.join(data, "reference.json")):
        print("# skipped: the shared data are not there")
        return 77
    with open(os.path.join(data, "reference.json"), encoding="utf-8") as file:
        models = json.load(file)["models"]
    good = True
    for name, model in models.items():
        for want in model.get("greedy", []):
            good &= hold_continuation(gram, data, name, want)
        for text, want in model["ppl"].items():
            good &= hold_perplexity(gram, data, name, text, want)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
