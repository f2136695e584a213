#!/usr/bin/env python3
"""Trains the model of the repository, from nothing, on stories.py, and writes it as a Hugging Face folder.

The stream: one to four stories make a document, joined by a blank line as in the text files; each document stands
between <|begin_of_text|> and <|end_of_text|>. The state is saved now and then, and the same command resumes it.

    train.py --out models/hamlet --state state.pt
"""
import argparse
import json
import math
import os
import sys
import time

import torch
from torch.nn import functional as F

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bpe  # noqa: E402
import llama  # noqa: E402
from stories import stories  # noqa: E402
from tale import Dice  # noqa: E402

LENGTH = 512


def stream(tokenizer, split, seed, size):
    """A tensor of size token ids: documents one after the other."""
    dice, source, ids = Dice(f"join/{split}/{seed}"), stories(split, seed), []
    while len(ids) < size:
        parts = [next(source) for _ in range(dice.between(1, 4))]
        ids += [tokenizer.bos] + tokenizer.encode("\n\n".join(parts)) + [tokenizer.eos]
    return torch.tensor(ids[:size], dtype=torch.int16)


def learning_rate(step, args):
    """Linear warm-up, then half a cosine down to a twentieth."""
    if step < args.warmup:
        return args.lr * (step + 1) / args.warmup
    progress = (step - args.warmup) / max(1, args.steps - args.warmup)
    return args.lr * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def loss_of(model, batch, bf16):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        logits = model(batch[:, :-1])
    return F.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())


@torch.no_grad()
def valid_loss(model, ids, bf16):
    rows = ids[:len(ids) // LENGTH * LENGTH].view(-1, LENGTH).long()
    return sum(loss_of(model, part, bf16).item() * len(part) for part in rows.split(8)) / len(rows)


def make_optimizer(model, args):
    plain = [p for p in model.parameters() if p.dim() == 1]
    decayed = [p for p in model.parameters() if p.dim() == 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.98), eps=1e-8)


def save_state(path, model, optimizer, step):
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, path + ".part")
    os.replace(path + ".part", path)


def save_folder(model, out):
    """config.json, generation_config.json and model.safetensors; the tokenizer is there already."""
    config = model.config
    bpe.write_json(os.path.join(out, "config.json"), config)
    bpe.write_json(os.path.join(out, "generation_config.json"), {
        "_from_model_config": True, "bos_token_id": config["bos_token_id"], "eos_token_id": config["eos_token_id"],
        "transformers_version": config["transformers_version"]})
    llama.save_safetensors(os.path.join(out, "model.safetensors"), model.state_dict())


def train(model, args, data, valid):
    optimizer = make_optimizer(model, args)
    first = 0
    if os.path.exists(args.state):
        saved = torch.load(args.state)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["step"]
        print(f"resumed at step {first}", flush=True)
    began, running = time.time(), 0.0
    width = args.batch * LENGTH
    for step in range(first, args.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args)
        at = step * width
        # one token more than the rows hold, so that each row also predicts the first token of the next
        batch = torch.stack([data[at + r * LENGTH:at + (r + 1) * LENGTH + 1] for r in range(args.batch)]).long()
        loss = loss_of(model, batch, args.bf16)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        running += loss.item()
        if (step + 1) % args.report == 0:
            rate = (step + 1 - first) * width / (time.time() - began)
            print(f"step {step + 1} train {running / args.report:.4f} valid {valid_loss(model, valid, args.bf16):.4f} "
                  f"{rate:.0f} tokens/s", flush=True)
            running = 0.0
            save_state(args.state, model, optimizer, step + 1)


def report(args, tokenizer):
    """Perplexity of what was written, and a few continuations."""
    model = llama.load_model(args.out)
    if args.test:
        with open(args.test, encoding="utf-8") as file:
            print(json.dumps(llama.perplexity(model, [tokenizer.bos] + tokenizer.encode(file.read()))))
    for prompt in ("One Tuesday in winter,", "Anna the miller", "The riddle was this:"):
        print(prompt, "|", tokenizer.decode(llama.greedy(model, [tokenizer.bos] + tokenizer.encode(prompt), 40)))


def main():
    parser = argparse.ArgumentParser(description="train the model of the repository")
    parser.add_argument("--out", required=True, help="folder with the tokenizer; the model is written there")
    parser.add_argument("--state", required=True, help="file to resume from")
    parser.add_argument("--test", help="text to measure at the end")
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5500)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--warmup", type=int, default=200)
    parser.add_argument("--report", type=int, default=100)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bf16", action="store_true", help="multiply in bf16, for processors with AMX")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tokenizer = bpe.Tokenizer(os.path.join(args.out, "tokenizer.json"))
    size = len(tokenizer.vocab) + len(tokenizer.special)
    model = llama.Llama(llama.make_config(args.layers, size, tokenizer.bos, tokenizer.eos))
    model.initialize(args.seed)
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    data = stream(tokenizer, "train", args.seed, args.steps * args.batch * LENGTH + 1)
    valid = stream(tokenizer, "valid", args.seed, 64 * LENGTH)
    print(f"{len(data)} training tokens", flush=True)
    train(model, args, data, valid)
    save_folder(model, args.out)
    report(args, tokenizer)


if __name__ == "__main__":
    main()
