"""A small LLaMA in plain torch with the semantics of Hugging Face's LlamaForCausalLM, and its file format.

Written out rather than imported, because it trains the model of the repository and writes the reference outputs that
the C engine is held against: the fewer things between the formula and the number, the better the witness.
"""
import json
import math
import os
import struct

import torch
from torch import nn
from torch.nn import functional as F

QUERY_BLOCK = 128  # queries per attention block: later keys are masked anyway, so they are not computed


def make_config(layers, vocab, bos, eos):
    """config.json as transformers writes it."""
    return {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": bos, "eos_token_id": eos, "head_dim": 32, "hidden_act": "silu", "hidden_size": 256,
        "initializer_range": 0.02, "intermediate_size": 640, "max_position_embeddings": 512, "mlp_bias": False,
        "model_type": "llama", "num_attention_heads": 8, "num_hidden_layers": layers, "num_key_value_heads": 2,
        "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 10000.0,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16", "transformers_version": "4.50.0",
        "use_cache": True, "vocab_size": vocab,
    }


class RMSNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        x = x.float()
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


def rope_tables(length, head_dim, theta):
    """cos and sin of every position, the head's halves repeated."""
    frequency = 1.0 / theta ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angle = torch.outer(torch.arange(length, dtype=torch.float32), frequency)
    angle = torch.cat([angle, angle], -1)
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    """Rotary embedding in the head-half layout."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        hidden = c["hidden_size"]
        self.q_proj = nn.Linear(hidden, self.heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(hidden, self.kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(hidden, self.kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.head_dim, hidden, bias=False)

    def split(self, x, heads):
        return x.view(x.shape[0], x.shape[1], heads, self.head_dim).transpose(1, 2)

    def forward(self, x, cos, sin):
        batch, length, _ = x.shape
        q = rotate(self.split(self.q_proj(x), self.heads), cos, sin)
        k = rotate(self.split(self.k_proj(x), self.kv_heads), cos, sin)
        v = self.split(self.v_proj(x), self.kv_heads)
        k, v = (t.repeat_interleave(self.heads // self.kv_heads, dim=1) for t in (k, v))
        blocks = []
        for start in range(0, length, QUERY_BLOCK):
            end = min(start + QUERY_BLOCK, length)
            scores = q[:, :, start:end] @ k[:, :, :end].transpose(2, 3) / math.sqrt(self.head_dim)
            mask = torch.full((end - start, end), float("-inf")).triu(start + 1)
            blocks.append(torch.softmax(scores.float() + mask, -1).to(v.dtype) @ v[:, :, :end])
        return self.o_proj(torch.cat(blocks, 2).transpose(1, 2).reshape(batch, length, -1))


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj = nn.Linear(c["hidden_size"], c["intermediate_size"], bias=False)
        self.up_proj = nn.Linear(c["hidden_size"], c["intermediate_size"], bias=False)
        self.down_proj = nn.Linear(c["intermediate_size"], c["hidden_size"], bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.self_attn, self.mlp = Attention(c), MLP(c)
        self.input_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.post_attention_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])


class Llama(nn.Module):
    """The causal language model; parameter names are those of the hub."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.model = Body(config)
        self.cos, self.sin = rope_tables(config["max_position_embeddings"], config["head_dim"], config["rope_theta"])

    def initialize(self, seed):
        torch.manual_seed(seed)
        depth = math.sqrt(2 * self.config["num_hidden_layers"])
        for name, p in self.named_parameters():
            if p.dim() == 2:
                shrink = depth if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
                nn.init.normal_(p, std=self.config["initializer_range"] / shrink)

    def hidden_states(self, ids):
        """Embedding, then each layer's output, the last one normed: what transformers returns."""
        cos, sin = self.cos[:ids.shape[1]], self.sin[:ids.shape[1]]
        x = self.model.embed_tokens(ids)
        states = [x]
        for layer in self.model.layers:
            x = layer(x, cos, sin)
            states.append(x)
        states[-1] = self.model.norm(x)
        return states

    def forward(self, ids):
        return F.linear(self.hidden_states(ids)[-1], self.model.embed_tokens.weight)


def save_safetensors(path, tensors):
    """Writes bf16 tensors in the safetensors layout: header length, JSON header, data."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in sorted(tensors.items()):
        size = tensor.numel() * 2
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(path + ".part", "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for _, tensor in sorted(tensors.items()):
            file.write(tensor.detach().to(torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes())
    os.replace(path + ".part", path)


def load_safetensors(path):
    """Reads the bf16 tensors of a safetensors file as float32."""
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        flat = torch.frombuffer(data, dtype=torch.bfloat16, count=(end - start) // 2, offset=start)
        tensors[name] = flat.view(entry["shape"]).float()
    return tensors


def load_model(folder):
    """The model of a folder, bf16 weights computed with in float32."""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        model = Llama(json.load(file))
    model.load_state_dict(load_safetensors(os.path.join(folder, "model.safetensors")))
    return model.eval()


@torch.no_grad()
def greedy(model, ids, count):
    """The most likely continuation, token by token."""
    ids = list(ids)
    start = len(ids)
    for _ in range(count):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[start:]


@torch.no_grad()
def perplexity(model, ids, window=512):
    """Windows side by side; every token but the first of each is counted."""
    total, count = 0.0, 0
    for start in range(0, len(ids), window):
        part = torch.tensor(ids[start:start + window])
        if len(part) < 2:
            break
        logits = model(part[None])[0, :-1].float()
        total += F.cross_entropy(logits, part[1:], reduction="none").double().sum().item()
        count += len(part) - 1
    return {"tokens": len(ids), "counted": count, "nll": total / count, "ppl": math.exp(total / count)}
