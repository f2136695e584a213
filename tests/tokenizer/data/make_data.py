#!/usr/bin/env python3
"""Writes the small tokenizers beside it and the seeds of the fuzz corpora. Nothing here is trained."""
import json, os, struct

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = os.path.join(HERE, "..", "..", "fuzz", "corpus")


def byte_characters():
    """GPT-2's bytes_to_unicode()."""
    plain = list(range(0x21, 0x7F)) + list(range(0xA1, 0xAD)) + list(range(0xAE, 0x100))
    rest = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(rest)}}


def added(i, content, **flags):
    return {"id": i, "content": content, "special": True, "normalized": False, "lstrip": False,
            "rstrip": False, "single_word": False, **flags}


def byte_level():
    """Byte-level BPE in the style of Llama 3."""
    tokens = list(byte_characters().values())
    merges = ["h e", "l l", "he ll", "hell o", "\u0120 w", "o r", "\u0120w or", "l d", "\u0120wor ld", "\u00c3 \u00a9"]
    tokens += [m.replace(" ", "") for m in merges]
    vocab = {t: i for i, t in enumerate(tokens)}
    n = len(vocab)
    split = ("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
             "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [added(n, "<|begin|>"), added(n + 1, "<|end|>"),
                             added(n + 2, "<mask>", lstrip=True), added(n + 3, "tool", special=False, single_word=True)],
            "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": split}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]},
            "post_processor": {"type": "Sequence", "processors": [
                {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False},
                {"type": "TemplateProcessing",
                 "single": [{"SpecialToken": {"id": "<|begin|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                            {"SpecialToken": {"id": "<|end|>", "type_id": 0}}],
                 "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                 "special_tokens": {"<|begin|>": {"id": "<|begin|>", "ids": [n], "tokens": ["<|begin|>"]},
                                    "<|end|>": {"id": "<|end|>", "ids": [n + 1], "tokens": ["<|end|>"]}}}]},
            "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True},
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
                      "vocab": vocab, "merges": merges}}


def byte_fallback():
    """BPE in the style of Llama 2: a normalizer writes spaces as U+2581, bytes stand for unknown characters."""
    tokens = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)] + list("\u2581abcde\u00e9")
    merges = [["\u2581", "a"], ["b", "c"], ["\u2581a", "bc"], ["\u2581", "b"], ["d", "e"], ["\u2581", "\u2581"]]
    tokens += [a + b for a, b in merges]
    return {"version": "1.0",
            "added_tokens": [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")],
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "\u2581"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
            "pre_tokenizer": None,
            "post_processor": {"type": "TemplateProcessing",
                               "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                               "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                               "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"},
                {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True,
                      "ignore_merges": False, "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges}}


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def sentencepiece(pieces, trainer, normalizer):
    out = b""
    for text, score, kind in pieces:
        out += field(1, field(1, text.encode()) + field(2, float(score)) + field(3, kind))
    out += field(2, b"".join(field(k, v) for k, v in trainer.items()))
    return out + field(3, b"".join(field(k, v) for k, v in normalizer.items()))


def small_sentencepiece():
    """NORMAL 1, UNKNOWN 2, CONTROL 3, USER_DEFINED 4. 'xy' can form although x is no piece; 'ab' and 'bb' tie."""
    pieces = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("<tool>", 0, 4), ("\u2581", -1, 1), ("a", -2, 1), ("b", -3, 1),
              ("ab", -0.5, 1), ("bb", -0.5, 1), ("\u2581a", -9, 1), ("y", -4, 1), ("xy", -5, 1)]
    return sentencepiece(pieces, {3: 2, 4: len(pieces)}, {1: b"identity", 3: 1, 4: 1, 5: 1})


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def text_of(tokenizer):
    return json.dumps(tokenizer, ensure_ascii=True, indent=None, separators=(",", ":")).encode() + b"\n"


def main():
    level, fallback, piece = byte_level(), byte_fallback(), small_sentencepiece()
    write(os.path.join(HERE, "byte_level", "tokenizer.json"), text_of(level))
    write(os.path.join(HERE, "byte_fallback", "tokenizer.json"), text_of(fallback))
    write(os.path.join(HERE, "sentencepiece", "tokenizer.model"), piece)
    write(os.path.join(CORPUS, "tokenizer_json", "byte_level"), text_of(level))
    write(os.path.join(CORPUS, "tokenizer_json", "byte_fallback"), text_of(fallback))
    write(os.path.join(CORPUS, "tokenizer_json", "metaspace"), text_of(
        {"normalizer": {"type": "NFKC"}, "pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "first"},
         "decoder": {"type": "Metaspace"}, "added_tokens": [],
         "model": {"type": "BPE", "unk_token": "u", "vocab": {"u": 0, "\u2581": 1, "a": 2, "\u2581a": 3}, "merges": ["\u2581 a"]}}))
    write(os.path.join(CORPUS, "tokenizer_sentencepiece", "small"), piece)
    write(os.path.join(CORPUS, "tokenizer_sentencepiece", "unknown_fields"), piece + field(200, 7) + field(201, b"xyz") + b"\xd9\x0c" + bytes(8))
    for name, pattern, text in [("gpt2", "'s|'t| ?\\p{L}+| ?\\p{N}+|\\s+(?!\\S)|\\s+", "it's 42  \n x"),
                                ("nested", " ?[^(\\s|[.,!?])]+", "a b, c"), ("group", "(?:ab)+|x{2,4}+", "ababxxxxx")]:
        write(os.path.join(CORPUS, "tokenizer_pattern", name), pattern.encode() + b"\0" + text.encode())


if __name__ == "__main__":
    main()
