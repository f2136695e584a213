#!/usr/bin/env python3
"""Holds the perplexity of each scheme at the best kernel level against that of the scalar specification.

usage: levels.py GRAM SHARED [TIMES]

Models are quantized to each scheme that their sizes allow; both levels see the same tokens, TIMES [1] as
many as listed below, and must agree within 0.1 %. Prints one line a measurement. Exit status: 0 all hold,
1 one does not, 77 the shared folder is not there.
"""
import json
import os
import subprocess
import sys
import tempfile

LIMIT = 1e-3
MODELS = {  # tokens, schemes
    "stories260K": (4096, ("w8a8", "w8a16", "w4a16-channel", "w3a16-channel", "ternary")),
    "stories3M": (512, ("w8a8", "w8a16", "w4a16-g64", "w4a16-g32-asym", "w3a16-g64", "w2a16-g64", "nf4",
                        "nf4-dq", "fp4", "ternary")),
}


def perplexity(gram, model, data, tokens, *level):
    done = subprocess.run([gram, "eval", model, "--text", f"{data}/text/tinystories_test.txt", "--max-tokens",
                           str(tokens), "--json", "--quiet", *level], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["ppl"]


def hold_scheme(gram, data, name, scheme, tokens):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, scheme)
        subprocess.run([gram, "quantize", f"{data}/models/{name}", "-o", out, "-s", scheme, "--quiet"],
                       check=True)
        best, ref = perplexity(gram, out, data, tokens), perplexity(gram, out, data, tokens, "--cpu", "ref")
    off = best / ref - 1
    good = abs(off) <= LIMIT
    print(f"{'ok  ' if good else 'FAIL'} {name:12} {scheme:14} ppl {best:.5f} scalar {ref:.5f} ({off:+.1e})",
          flush=True)
    return good


def main():
    gram, shared = sys.argv[1:3]
    times = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    data = os.path.join(shared, "data")
    if not os.path.exists(os.path.join(data, "reference.json")):
        print("# skipped: the shared data are not there")
        return 77
    good = True
    for name, (tokens, schemes) in MODELS.items():
        for scheme in schemes:
            good &= hold_scheme(gram, data, name, scheme, times * tokens)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
