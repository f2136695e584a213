#!/usr/bin/env python3
"""Writes stories of the village of Elderwick: an endless, self-made text with facts in it.

A language model that is to be carried in a repository needs a world small enough for it to know well, and a text
that anyone may have. This grammar is that world: perplexity on it means something, because a fixed map, fixed people
and facts kept through each story make most words predictable to who knows them. Splits never share a seed.

    stories.py --split train --seed 1 --bytes 1000000 > train.txt
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import plots  # noqa: E402
from tale import Dice  # noqa: E402


def stories(split, seed):
    """All stories of a split, without end."""
    index = 0
    while True:
        yield plots.tell(Dice(f"{split}/{seed}/{index}"))
        index += 1


def text(split, seed, size):
    """Whole stories, a blank line between them, at most size bytes."""
    parts, used = [], 0
    for story in stories(split, seed):
        used += len(story.encode()) + 2
        if used > size + 1:
            return "\n\n".join(parts) + "\n"
        parts.append(story)


def main():
    parser = argparse.ArgumentParser(description="write stories of a little world")
    parser.add_argument("--split", choices=["train", "valid", "test", "calib"], default="train")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bytes", type=int, default=100_000)
    args = parser.parse_args()
    sys.stdout.buffer.write(text(args.split, args.seed, args.bytes).encode())


if __name__ == "__main__":
    main()
