"""gram quantize while the system fails it, kills it, or does half of what it is asked (strace -e inject).

    inject.py GRAM [STRIDE]     every STRIDE-th call of each kind [1]

Whatever happens, the output is absent or whole; a failure is one sentence and leaves nothing behind; a killed
run ends in the same bytes when it is started again, and takes over what was finished.
"""
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

GRAM = sys.argv[1]
STRIDE = int(sys.argv[2]) if len(sys.argv) > 2 else 1
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # it cannot be traced
HIDDEN, FFN, VOCAB = 32, 64, 48


def tensors():
    yield "model.embed_tokens.weight", [VOCAB, HIDDEN]
    layer = "model.layers.0."
    yield layer + "input_layernorm.weight", [HIDDEN]
    for name, rows, cols in [("mlp.down_proj", HIDDEN, FFN), ("mlp.gate_proj", FFN, HIDDEN),
                             ("mlp.up_proj", FFN, HIDDEN)]:
        yield layer + name + ".weight", [rows, cols]
    yield layer + "post_attention_layernorm.weight", [HIDDEN]
    for name in "kqvo":
        yield layer + f"self_attn.{name}_proj.weight", [HIDDEN, HIDDEN]
    yield "model.norm.weight", [HIDDEN]


def make_model(folder):
    """A LLaMA of one layer with random f32 weights, tied."""
    random.seed(4)
    os.mkdir(folder)
    header, data = {}, b""
    for name, shape in tensors():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        piece = struct.pack(f"<{count}f", *(random.gauss(0, 0.1) for _ in range(count)))
        header[name] = {"dtype": "F32", "shape": shape,
                        "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    text = json.dumps(header).encode()
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=HIDDEN,
                  intermediate_size=FFN, num_hidden_layers=1, num_attention_heads=2,
                  num_key_value_heads=2, vocab_size=VOCAB,
                  max_position_embeddings=64, rms_norm_eps=1e-5, hidden_act="silu", tie_word_embeddings=True)
    for name, content in [("config.json", config), ("tokenizer.json", {"model": "not looked into"})]:
        with open(os.path.join(folder, name), "w") as f:
            json.dump(content, f)


def digest(folder):
    """One hash of all names and bytes; None if the folder is not there."""
    if not os.path.isdir(folder):
        return None
    total = hashlib.sha256()
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            total.update(name.encode() + b"\0" + f.read() + b"\0")
    return total.hexdigest()


class Bench:
    def __init__(self, root):
        self.root = root
        self.model, self.out = os.path.join(root, "model"), os.path.join(root, "out")
        self.trace = os.path.join(root, "trace")
        make_model(self.model)
        assert self.run().returncode == 0, "gram quantize fails by itself"
        self.whole = digest(self.out)
        self.clean()
        self.runs = 0

    def clean(self):
        for path in (self.out, self.out + ".partial"):
            shutil.rmtree(path, ignore_errors=True)

    def command(self, *more):
        return [GRAM, "quantize", self.model, "-o", self.out, "-s", "w3a16-g16-asym", "-t", "1", "--json",
                *more]

    def run(self, *more):
        return subprocess.run(self.command(*more), capture_output=True, text=True)

    def injected(self, call, fault, n, *more):
        """Run with a fault at the n-th `call`; also says whether it came to that."""
        self.runs += 1
        result = subprocess.run(
            ["strace", "-f", "-qq", "-o", self.trace, "-e", f"trace={call}",
             "-e", f"inject={call}:{fault}:when={n}", *self.command(*more)], capture_output=True, text=True)
        with open(self.trace, errors="replace") as f:
            trace = f.read()
        hit = "INJECTED" in trace or "SIGKILL" in trace
        # the last line of output, and what the loader does, are not the job's
        streams = [f"{call}({fd}{end}" for fd in "12" for end in ",)"]
        ours = hit and result.returncode != 127 and not any(
            "INJECTED" in line and stream in line for line in trace.splitlines() for stream in streams)
        return result, hit, ours

    def expect(self, condition, what, result):
        if not condition:
            sys.exit(f"{what}\nexit {result.returncode}\n{result.stdout}{result.stderr}"
                     + subprocess.run(["ls", "-lR", self.root], capture_output=True, text=True).stdout)

    def failing(self, call, fault, old=None):
        """The n-th call fails, for every n until there is no n-th."""
        n = 1
        while True:
            self.clean()
            if old:
                shutil.copytree(old, self.out)
            before = digest(self.out)
            result, hit, ours = self.injected(call, fault, n, *(["--force"] if old else []))
            what = f"{call} number {n}: {fault}"
            if not hit:
                self.expect(result.returncode == 0 and digest(self.out) == self.whole,
                            what + " (not reached)", result)
                return n - 1
            if result.returncode == 0:
                self.expect(digest(self.out) == self.whole, what + ": success without the output", result)
            elif ours:
                self.expect(result.returncode == 1 and result.stderr.count("\n") == 1,
                            what + ": not one sentence", result)
                self.expect(digest(self.out) == before, what + ": the output is neither old nor absent",
                            result)
                self.expect(not os.path.exists(self.out + ".partial"), what + ": leftovers", result)
            n += STRIDE

    def unharmed(self, call, fault):
        """The n-th call is interrupted or does less: the same bytes all the same."""
        n = 1
        while True:
            self.clean()
            result, hit, ours = self.injected(call, fault, n)
            if hit and not ours:
                n += STRIDE
                continue
            self.expect(result.returncode == 0 and digest(self.out) == self.whole,
                        f"{call} number {n}: {fault}", result)
            if not hit:
                return n - 1
            n += STRIDE

    def finished_units(self):
        try:
            with open(self.out + ".partial/journal") as f:
                return sum('"tensor"' in line and line.endswith("\n") for line in f)
        except FileNotFoundError:
            return 0

    def killed(self, call):
        """Killed at the n-th call, then started again."""
        n = 1
        while True:
            self.clean()
            result, hit, _ = self.injected(call, "signal=SIGKILL", n)
            if not hit or result.returncode == 0:
                return n - 1
            finished = self.finished_units()
            was_there = digest(self.out)
            self.expect(was_there in (None, self.whole), f"killed at {call} number {n}: half an output",
                        result)
            again = self.run()
            if was_there is None or again.returncode == 0:
                self.expect(again.returncode == 0 and digest(self.out) == self.whole,
                            f"killed at {call} number {n}: other bytes after the second run", again)
                resumed = json.loads(again.stdout)["resumed"]
                self.expect(resumed >= 0.9 * finished, f"{resumed} of {finished} taken over", again)
            self.expect(not os.path.exists(self.out + ".partial"),
                        f"killed at {call} number {n}: leftovers", again)
            n += STRIDE


def main():
    if not shutil.which("strace") or subprocess.run(["strace", "-o", os.devnull, "true"]).returncode != 0:
        print("# skipped: strace is not here or may not trace")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(root)
        for call in ("pwrite64", "fsync", "ftruncate", "renameat2", "mkdirat", "pread64", "close"):
            for error in ("ENOSPC", "EIO"):
                print(f"{call} {error}: {bench.failing(call, 'error=' + error)} calls", flush=True)
        for call in ("pwrite64", "fsync", "renameat2"):
            with tempfile.TemporaryDirectory() as other:
                old = shutil.copytree(bench.model, os.path.join(other, "old"))
                calls = bench.failing(call, "error=ENOSPC", old)
                print(f"{call} over an old output: {calls} calls", flush=True)
        interrupted = ("pwrite64", "pread64", "fsync", "ftruncate", "flock", "renameat2")
        for call, fault in [*((call, "error=EINTR") for call in interrupted), ("pwrite64", "retval=1")]:
            print(f"{call} {fault}: {bench.unharmed(call, fault)} calls", flush=True)
        for call in ("pwrite64", "fsync", "renameat2", "mkdirat", "unlinkat"):
            print(f"{call} killed: {bench.killed(call)} calls", flush=True)
        print(f"{bench.runs} runs")


main()
