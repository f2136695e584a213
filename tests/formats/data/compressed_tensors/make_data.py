#!/usr/bin/env python3
"""Quantizes one small matrix with compressed-tensors itself, for test_compressed_reference.c.

    make_data.py NAME

writes NAME.safetensors and NAME.json (a quantization_config) next to this script. Modules are called as
gram calls their scheme. dense is made with release 0.18.0, which stores codes as a dense bit stream and
is asked for every scheme and for what its own decompression gives; padded with 0.17.1 or older, which
stores 32 // bits codes in each word: of the widths where that is not the same.

The matrix is [13, 40]: both ways to store 3, 5 or 6 bits take the same number of words then, so that only
the version in the configuration tells them apart. One group of it is zero.
"""
import json
import os
import sys

import compressed_tensors
import torch
from compressed_tensors.compressors.base import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationConfig, QuantizationScheme
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors.torch import save_file

GROUP = 20
TOKEN = QuantizationArgs(num_bits=8, strategy="token", dynamic=True)
# name: bits, strategy, symmetric, activations
SCHEMES = {
    "w2a16-g20": (2, "group", True, None),
    "w3a16-g20-asym": (3, "group", False, None),
    "w3a16-channel": (3, "channel", True, None),
    "w4a16-g20": (4, "group", True, None),
    "w4a16-g20-asym": (4, "group", False, None),
    "w5a16-channel-asym": (5, "channel", False, None),
    "w6a16-g20-asym": (6, "group", False, None),
    "w6a16-tensor": (6, "tensor", True, None),
    "w8a16-channel-asym": (8, "channel", False, None),
    "w8a16-tensor-asym": (8, "tensor", False, None),
    "w8a8": (8, "channel", True, TOKEN),
}


def matrix():
    """Zero from column 20 on in row 3, positive alone in row 4."""
    weight = torch.randn(13, 40, generator=torch.Generator().manual_seed(20)) * 0.05
    weight[3, GROUP:] = 0
    weight[4] = weight[4].abs()
    return weight


def ranges(weight, strategy):
    if strategy == "tensor":
        return weight.min().reshape(1), weight.max().reshape(1)
    runs = weight.reshape(len(weight), -1, GROUP if strategy == "group" else weight.shape[1])
    return runs.amin(-1), runs.amax(-1)


def scheme_of(name, bits, strategy, symmetric, activations):
    weights = QuantizationArgs(num_bits=bits, strategy=strategy, symmetric=symmetric,
                               group_size=GROUP if strategy == "group" else None)
    return QuantizationScheme(targets=[name], weights=weights, input_activations=activations,
                              format="int-quantized" if activations else "pack-quantized")


def main(out):
    weight, groups, tensors = matrix(), {}, {}
    for name, (bits, *rest) in SCHEMES.items():
        if out == "padded" and 32 % bits == 0:
            continue
        scheme = groups[name] = scheme_of(name, bits, *rest)
        compressor = BaseCompressor.get_value_from_registry(scheme.format)
        scale, zero = calculate_qparams(*ranges(weight, rest[0]), scheme.weights)
        state = compressor.compress(
            {"weight": weight, "weight_scale": scale, "weight_zero_point": zero}, scheme)
        tensors.update({f"{name}.{part}": t.contiguous() for part, t in state.items()})
        if out == "dense":
            tensors[f"{name}.decompressed"] = compressor.decompress(state, scheme)["weight"]
    if out == "dense":
        tensors["original"] = weight
    here = os.path.dirname(os.path.abspath(__file__))
    save_file(tensors, os.path.join(here, f"{out}.safetensors"))
    config = QuantizationConfig(config_groups=groups, quantization_status="compressed",
                                format="mixed-precision" if out == "dense" else "pack-quantized")
    config = {"version": compressed_tensors.__version__, **config.model_dump(mode="json")}
    with open(os.path.join(here, f"{out}.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1)
        file.write("\n")


main(sys.argv[1])
