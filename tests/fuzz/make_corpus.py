#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets safetensors, index and json: small files that each show one thing.

    tests/fuzz/make_corpus.py [FOLDER]     default: corpus/ beside this script
"""
import json
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def safetensors(header, data=b"", length=None):
    if not isinstance(header, bytes):
        header = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors_seeds():
    sizes = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I64": 8,
             "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1}
    dtypes, at = {}, 0
    for name, size in sizes.items():
        dtypes[name] = entry(name, [1], at, at + size)
        at += size
    yield "no_tensors", safetensors({})
    yield "matrix", safetensors({"w": entry("F32", [2, 2], 0, 16)}, bytes(range(16)))
    yield "metadata", safetensors({"__metadata__": {"format": "pt"}, "w": entry("I8", [3], 0, 3)}, b"abc")
    yield "metadata_null", safetensors(b'{"__metadata__":null}')
    yield "every_dtype", safetensors(dtypes, bytes(at))
    yield "scalar_and_empty", safetensors({"s": entry("F16", [], 0, 2), "e": entry("F32", [0, 9], 2, 2)}, b"xy")
    yield "rank_8", safetensors({"r": entry("U8", [1] * 7 + [2], 0, 2)}, b"xy")
    yield "four_bits", safetensors({"q": entry("F4", [4], 0, 2)}, b"xy")
    yield "escaped_names", safetensors(rb'{"\u00e9\ud834\udd1e\n\"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}', b"x")
    yield "reordered", safetensors({"b": entry("U8", [1], 1, 2), "a": entry("U8", [1], 0, 1)}, b"xy")
    yield "padded", safetensors(b'\n\t {"a":{"shape":[1],"data_offsets":[0,1],"dtype":"U8","later":[{}]}}   ', b"x")
    yield "overlap", safetensors({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 1, 3)}, b"xyz")
    yield "hole", safetensors({"a": entry("U8", [1], 0, 1), "b": entry("U8", [1], 2, 3)}, b"xyz")
    yield "huge_shape", safetensors({"a": entry("F32", [2**31, 2**31, 2**31], 0, 0)})
    yield "negative", safetensors({"a": entry("F32", [-1, -1], -4, 0)})
    yield "twice", safetensors(b'{"a":{"dtype":"U8","dtype":"U8"},"a":{}}')
    yield "past_the_end", safetensors({}, length=1 << 40)
    yield "long_names", safetensors({"n" * 300 + str(i): entry("U8", [0], 0, 0) for i in range(4)})


def index_seeds():
    def index(weight_map, **rest):
        return json.dumps({"metadata": {"total_size": 8}, "weight_map": weight_map, **rest}).encode()
    yield "two_shards", index({"a": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"})
    yield "one", b'{"weight_map":{"a":"m"}}'
    yield "unicode", index({"\u00e9": "\U0001d11e.safetensors"})
    yield "empty_map", index({})
    yield "parent", index({"a": "../x"})
    yield "absolute", index({"a": "/x"})
    yield "backslash", index({"a": "..\\x"})
    yield "nul", index({"a": "x\0y"})
    yield "dots", index({"a": ".", "b": "..", "c": "..."})
    yield "number", index({"a": 1})
    yield "list", index([])
    yield "more_keys", index({"a": "x"}, extra=[{"deep": [None, True, -1.5e3]}])
    yield "twice", b'{"weight_map":{"a":"x","a":"x"},"weight_map":{}}'


def json_seeds():
    texts = {
        "values": '[null,true,false,0,-0,1.5,-2e+10,3E-2,"",[],{}]',
        "strings": r'["\"\\\/\b\f\n\r\t","\u0041\u00e9\ud834\udd1e","' + "\u20ac\U0001f600" + '"]',
        "nested": "[" * 40 + '{"a":[{}]}' + "]" * 40,
        "object": '{"a":1,"b":{"a":[1,2,{"c":null}]},"":""}',
        "spaces": " \t\r\n{ \"a\" : [ 1 , 2 ] }\n",
        "integers": "[9223372036854775807,-9223372036854775808,9223372036854775808]",
        "reals": "[1e308,1e309,1e-400,0.1,123456789012345678901234567890.5]",
        "twice": '{"a":1,"a":2}',
        "nul_key": r'{"a\u0000":"\u0000"}',
        "lone_surrogates": r'["\ud800","\udc00x"]',
        "scalar": "-12.5e3",
        "cut": '{"a":[1,"b',
        "commas": "[1,,2,]",
        "number_forms": "[01,1.,.5,+1,-,1e]",
        "comment": "[1] // no",
        "deep": "[" * 130,
    }
    for name, text in texts.items():
        yield name, text.encode()
    yield "bad_utf8", b'["\xff\xc0\x80\xed\xa0\x80"]'
    yield "mark", b"\xef\xbb\xbf[]"
    yield "nul_behind_a_number", b"-922\0"  # once read as a number by the tree
    yield "control", b'["\x01\n"]'


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "corpus")
    for target, seeds in (("safetensors", safetensors_seeds), ("index", index_seeds), ("json", json_seeds)):
        os.makedirs(os.path.join(root, target), exist_ok=True)
        for name, data in seeds():
            with open(os.path.join(root, target, name), "wb") as out:
                out.write(data)


main()
