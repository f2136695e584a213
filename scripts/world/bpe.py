#!/usr/bin/env python3
"""Trains a byte-level BPE tokenizer and writes it as Hugging Face's tokenizer.json; encodes with it.

The format is the one that Llama 3 uses, because that is what the models of the hub look like. The code is the plain
algorithm without any tokenizer library, so that its encoder can serve as an independent witness in tests.

    bpe.py --text train.txt --vocab 2048 --out models/hamlet
"""
import argparse
import collections
import json
import os

import regex

SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
BOS, EOS = "<|begin_of_text|>", "<|end_of_text|>"


def byte_alphabet():
    """GPT-2's printable stand-in for each byte, in GPT-2's order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    alphabet = {b: chr(b) for b in printable}
    alphabet.update({b: chr(256 + i) for i, b in enumerate(others)})
    return alphabet


ALPHABET = byte_alphabet()


def pieces(text):
    """The pre-tokens of a text, written in the byte alphabet."""
    for match in regex.finditer(SPLIT, text):
        yield "".join(ALPHABET[b] for b in match.group().encode())


def merged(symbols, pair):
    """The symbols with every occurrence of the pair joined, from the left."""
    result, i = [], 0
    while i < len(symbols):
        if i + 1 < len(symbols) and (symbols[i], symbols[i + 1]) == pair:
            result.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            result.append(symbols[i])
            i += 1
    return result


def train(text, size):
    """The merges that take the byte alphabet to the given vocabulary size, most frequent pair first."""
    words = [(list(word), count) for word, count in sorted(collections.Counter(pieces(text)).items())]
    vocab, merges = list(ALPHABET.values()), []
    while len(vocab) < size:
        pairs = collections.Counter()
        for symbols, count in words:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += count
        best = max(pairs, key=lambda p: (pairs[p], p))
        words = [(merged(s, best) if best[0] in s else s, count) for s, count in words]
        merges.append(best)
        vocab.append(best[0] + best[1])
    return vocab, merges


class Tokenizer:
    """Encoder and decoder read from a tokenizer.json."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        self.vocab = data["model"]["vocab"]
        self.rank = {tuple(m.split(" ")): i for i, m in enumerate(data["model"]["merges"])}
        self.special = {t["content"]: t["id"] for t in data["added_tokens"]}
        self.bos, self.eos = self.special[BOS], self.special[EOS]
        self.bytes = {c: b for b, c in ALPHABET.items()}
        self.names = {i: c for c, i in self.vocab.items()}
        self.cache = {}

    def encode_piece(self, piece):
        symbols = list(piece)
        while len(symbols) > 1:
            pair = min(zip(symbols, symbols[1:]), key=lambda p: self.rank.get(p, 1 << 30))
            if pair not in self.rank:
                break
            symbols = merged(symbols, pair)
        return [self.vocab[s] for s in symbols]

    def encode(self, text):
        """Token ids of a plain text, without BOS; special tokens in it are recognized."""
        ids = []
        for part in regex.split("(" + "|".join(regex.escape(s) for s in self.special) + ")", text):
            if part in self.special:
                ids.append(self.special[part])
                continue
            for piece in pieces(part):
                if piece not in self.cache:
                    self.cache[piece] = self.encode_piece(piece)
                ids += self.cache[piece]
        return ids

    def decode(self, ids):
        plain = "".join(self.names[i] for i in ids if i in self.names)
        return bytes(self.bytes[c] for c in plain).decode("utf-8", "replace")


def special_token(token_id, content):
    return {"id": token_id, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True}


def post_processor(bos_id):
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}

    def special(kind):
        return {"SpecialToken": {"id": BOS, "type_id": kind}}

    def sequence(name, kind):
        return {"Sequence": {"id": name, "type_id": kind}}

    template = {"type": "TemplateProcessing", "single": [special(0), sequence("A", 0)],
                "pair": [special(0), sequence("A", 0), special(1), sequence("B", 1)],
                "special_tokens": {BOS: {"id": BOS, "ids": [bos_id], "tokens": [BOS]}}}
    return {"type": "Sequence", "processors": [byte_level, template]}


def tokenizer_json(vocab, merges):
    """The whole of tokenizer.json as a dictionary."""
    bos_id = len(vocab)
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [special_token(bos_id, BOS), special_token(bos_id + 1, EOS)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]},
        "post_processor": post_processor(bos_id),
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {token: i for i, token in enumerate(vocab)},
                  "merges": [f"{a} {b}" for a, b in merges]},
    }


def tokenizer_config(bos_id, length):
    added = {str(bos_id + i): {k: v for k, v in special_token(bos_id + i, t).items() if k != "id"}
             for i, t in enumerate((BOS, EOS))}
    return {"added_tokens_decoder": added, "bos_token": BOS, "clean_up_tokenization_spaces": False, "eos_token": EOS,
            "extra_special_tokens": {}, "model_input_names": ["input_ids", "attention_mask"],
            "model_max_length": length, "tokenizer_class": "PreTrainedTokenizerFast"}


def write_json(path, data):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False, indent=2)
        file.write("\n")


def main():
    parser = argparse.ArgumentParser(description="train a byte-level BPE tokenizer")
    parser.add_argument("--text", required=True)
    parser.add_argument("--vocab", type=int, default=2048)
    parser.add_argument("--length", type=int, default=512, help="longest input of the model")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    with open(args.text, encoding="utf-8") as file:
        vocab, merges = train(file.read(), args.vocab - 2)
    os.makedirs(args.out, exist_ok=True)
    write_json(os.path.join(args.out, "tokenizer.json"), tokenizer_json(vocab, merges))
    write_json(os.path.join(args.out, "tokenizer_config.json"), tokenizer_config(len(vocab), args.length))
    write_json(os.path.join(args.out, "special_tokens_map.json"),
               {"bos_token": {k: v for k, v in special_token(0, BOS).items() if k not in ("id", "special")},
                "eos_token": {k: v for k, v in special_token(0, EOS).items() if k not in ("id", "special")}})
    print(f"{len(vocab) + 2} tokens, {len(merges)} merges")


if __name__ == "__main__":
    main()
