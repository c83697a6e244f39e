"""The node kinds that are torch modules. Letters: B batch, T time, C width, H heads, D width of a head.

A module that mixes or counts positions takes `(x, cache=None)`: `cache` is a dict of its own, empty at first, in which it
keeps what it needs of the positions already seen; `x` then holds only the positions that follow them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cortex.params import FROM_INPUT, FROM_VOCABULARY, Bool, Float, Int
from cortex.registry import divides, register

Cache = dict[str, Any]

_WIDTH = dict(low=1, high=65_536)
_DROPOUT = dict(default=0.1, low=0.0, high=0.95)


def _embeds_the_vocabulary(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    rows, vocabulary = values["num_embeddings"], sizes.get("V")
    if type(rows) is int and vocabulary and rows < vocabulary:
        message = f"num_embeddings={rows} is less than the vocabulary of the data, {vocabulary:,} tokens"
        yield "num_embeddings", message, "set it to auto"


def _reaches_the_sequence(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    if sizes.get("T", 0) > values["max_len"]:
        message = f"max_len={values['max_len']} is shorter than seq_len={sizes['T']} of the data"
        yield "max_len", message, f"set max_len to at least {sizes['T']}, or seq_len to at most {values['max_len']}"


@register(
    role="module",
    family="embedding",
    shape="B T -> B T embedding_dim",
    params={
        "num_embeddings": Int(
            default="auto", low=1, high=10_000_000, auto=FROM_VOCABULARY, help="Number of tokens that have a vector."
        ),
        "embedding_dim": Int(default=128, **_WIDTH, help="Width of the model: numbers that stand for one token."),
    },
    check=_embeds_the_vocabulary,
)
class Embedding(nn.Embedding):
    """Looks up a learned vector for each token."""

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        super().__init__(num_embeddings, embedding_dim)


@register(
    role="module",
    family="embedding",
    shape="B T d_model -> B T d_model",
    cached=True,
    params={
        "max_len": Int(default=512, low=1, high=1_000_000, help="Longest sequence, in tokens, that has positions."),
        "d_model": Int(default="auto", **_WIDTH, auto=FROM_INPUT, help="Width of what comes in."),
        "dropout": Float(**_DROPOUT, help="Share of values set to 0 at random in training, after the positions are added."),
    },
    check=_reaches_the_sequence,
)
class PositionalEncoding(nn.Module):
    """Adds sine and cosine waves so that the model can tell where a token stands.

    Vaswani et al. 2017, section 3.5: PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i+1) = cos of the same angle.
    """

    def __init__(self, max_len: int, d_model: int, dropout: float) -> None:
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)  # (max_len, 1)
        rate = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10_000.0) / d_model))  # (ceil(C/2),)
        waves = torch.zeros(max_len, d_model)  # (max_len, C)
        waves[:, 0::2] = torch.sin(position * rate)
        waves[:, 1::2] = torch.cos(position * rate[: d_model // 2])
        self.register_buffer("waves", waves, persistent=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        start = 0 if cache is None else cache.get("length", 0)
        end = start + x.size(1)
        if end > self.waves.size(0):
            raise ValueError(f"position {end - 1} is past max_len={self.waves.size(0)}")
        if cache is not None:
            cache["length"] = end
        return self.dropout(x + self.waves[start:end])  # (B, T, C)


class CausalSelfAttention(nn.Module):
    """Multi-head attention in which a token sees itself and what came before (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, d_model: int, nhead: int) -> None:
        super().__init__()
        self.nhead = nhead
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        batch, time, width = x.shape
        heads = self.qkv(x).view(batch, time, 3, self.nhead, width // self.nhead)  # (B, T, 3, H, D)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
        mask = None
        if cache is not None:
            if "k" in cache:
                k, v = torch.cat((cache["k"], k), 2), torch.cat((cache["v"], v), 2)  # (B, H, S + T, D)
                seen = k.size(2) - time
                if time > 1:  # row t sees the cached positions and its own up to t
                    mask = torch.ones(time, k.size(2), dtype=torch.bool, device=x.device).tril(seen)  # (T, S + T)
            cache["k"], cache["v"] = k, v
        causal = mask is None and time > 1
        # Dropout on the attention weights is left out: on a CPU it leaves the fused kernel and costs a quarter of the speed.
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)  # (B, H, T, D)
        return self.out(y.transpose(1, 2).reshape(batch, time, width))  # (B, T, C)


@register(
    role="module",
    family="attention",
    shape="B T d_model -> B T d_model",
    cached=True,
    params={
        "d_model": Int(default="auto", **_WIDTH, auto=FROM_INPUT, help="Width of what comes in and goes out."),
        "nhead": Int(default=4, low=1, high=1024, help="Attention heads. Must divide d_model."),
        "dim_feedforward": Int(
            default=512, low=1, high=262_144, help="Hidden width of the feed-forward part; 4 × d_model is usual."
        ),
        "dropout": Float(
            **_DROPOUT, help="Share of values set to 0 at random in training, where each half joins the residual."
        ),
    },
    check=divides("nhead", "d_model"),
)
class GPTBlock(nn.Module):
    """One transformer block of a GPT: causal attention, then a feed-forward network, each added to its input.

    Pre-layer-norm (Radford et al. 2019, section 2.3): x = x + attention(norm(x)); x = x + ffn(norm(x)), with GELU.
    """

    def __init__(self, d_model: int, nhead: int, dim_feedforward: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(d_model)
        self.attention = CausalSelfAttention(d_model, nhead)
        self.norm2 = nn.LayerNorm(d_model)
        self.linear1 = nn.Linear(d_model, dim_feedforward)
        self.linear2 = nn.Linear(dim_feedforward, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x), cache))  # (B, T, C)
        return x + self.dropout(self.linear2(F.gelu(self.linear1(self.norm2(x)))))  # (B, T, C)


@register(
    role="module",
    family="norm",
    shape="B T normalized_shape -> B T normalized_shape",
    params={
        "normalized_shape": Int(default="auto", **_WIDTH, auto=FROM_INPUT, help="Width of what comes in."),
        "eps": Float(default=1e-5, low=1e-12, high=0.1, help="Added to the variance, so that nothing is divided by 0."),
    },
)
class LayerNorm(nn.LayerNorm):
    """Scales each token's vector to mean 0 and variance 1, then by learned weights (Ba et al. 2016)."""

    def __init__(self, normalized_shape: int, eps: float) -> None:
        super().__init__(normalized_shape, eps=eps)


@register(
    role="module",
    family="linear",
    shape="B T in_features -> B T out_features",
    params={
        "in_features": Int(default="auto", **_WIDTH, auto=FROM_INPUT, help="Width of what comes in."),
        "out_features": Int(
            default="auto",
            low=1,
            high=10_000_000,
            auto=FROM_VOCABULARY,
            help="Width of what goes out; before a Loss, one score a token.",
        ),
        "bias": Bool(default=True, help="Whether a learned number is added to each output."),
    },
)
class Linear(nn.Linear):
    """Multiplies by a learned matrix; before the Loss it turns a vector into one score for each token."""

    def __init__(self, in_features: int, out_features: int, bias: bool) -> None:
        super().__init__(in_features, out_features, bias)
