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

from cortex.params import FROM_INPUT, FROM_VOCABULARY, Bool, Choice, Float, Int, Text
from cortex.registry import divides, register

Cache = dict[str, Any]

_WIDTH = dict(low=1, high=65_536)
_DROPOUT = dict(low=0.0, high=0.95)

_LEAST_ROOM = 64  # positions of the first cache


def _embeds_the_vocabulary(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    rows, vocabulary = values["num_embeddings"], sizes.get("V")
    if type(rows) is int and vocabulary and rows < vocabulary:
        message = f"num_embeddings={rows} is less than the vocabulary of the data, {vocabulary:,} tokens"
        yield "num_embeddings", message, "set it to auto"


def _reaches_the_sequence(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    if sizes.get("T", 0) > values["max_len"]:
        message = f"max_len={values['max_len']} is shorter than seq_len={sizes['T']} of the data"
        yield "max_len", message, f"set max_len to at least {sizes['T']}, or seq_len to at most {values['max_len']}"


class Dropout(nn.Dropout):
    """torch's dropout, with cheaper random numbers on a CPU: 16 bits a value instead of a draw of 64.

    There the probability is rounded to the nearest 1/65,536 and what is kept is scaled by exactly that, so that the expected
    value is x. The numbers come from torch's global generator one after another, whatever the number of threads.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0 or not x.is_cpu or torch.compiler.is_compiling():
            return super().forward(x)
        kept = round((1 - self.p) * 65_536)
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)  # all 64 bits are random
        bits = words.view(torch.int16)[: x.numel()].view(x.shape)  # from -32,768 to 32,767, as likely each
        noise = torch.lt(bits, kept - 32_768, out=torch.empty_like(x, requires_grad=False))
        return x * noise.mul_(65_536 / kept)


@register(
    role="module",
    family="embedding",
    shape="B T -> B T embedding_dim",
    params={
        "num_embeddings": Int(
            default="auto", low=1, high=10_000_000, auto=FROM_VOCABULARY, help="Number of tokens that have a vector."
        ),
        "embedding_dim": Int(default=128, **_WIDTH, help="Width of the model: numbers that stand for one token."),
        "init_std": Float(
            default=1.0, low=1e-4, high=10.0, help="Standard deviation of the first weights, drawn from a normal distribution."
        ),
        "scale": Float(
            default=1.0,
            low=1e-4,
            high=1000.0,
            help="Factor on what comes out; the square root of embedding_dim where init_std is 1 over it.",
        ),
    },
    check=_embeds_the_vocabulary,
)
class Embedding(nn.Embedding):
    """Looks up a learned vector for each token.

    With init_std 1/sqrt(C) and scale sqrt(C) (Vaswani et al. 2017, section 3.4) the vectors begin at the usual size, but an
    optimizer whose steps have a fixed length, as Adam's have, moves them sqrt(C) times as fast.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, init_std: float, scale: float) -> None:
        super().__init__(num_embeddings, embedding_dim)
        self.scale = scale
        with torch.no_grad():
            self.weight.mul_(init_std)  # torch draws them with a standard deviation of 1

    def forward(self, tokens: Tensor) -> Tensor:
        x = super().forward(tokens)  # (B, T, C)
        return x if self.scale == 1 else x * self.scale  # (B, T, C)


@register(
    role="module",
    family="embedding",
    shape="B T d_model -> B T d_model",
    cached=True,
    params={
        "max_len": Int(default=512, low=1, high=1_000_000, help="Longest sequence, in tokens, that has positions."),
        "d_model": Int(default="auto", **_WIDTH, auto=FROM_INPUT, help="Width of what comes in."),
        "dropout": Float(
            default=0.1, **_DROPOUT, help="Share of values set to 0 at random in training, after the positions are added."
        ),
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
        self.dropout = Dropout(dropout)

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

    def __init__(self, d_model: int, nhead: int, dropout: float) -> None:
        super().__init__()
        self.nhead, self.dropout = nhead, dropout
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        batch, time, width = x.shape
        heads = self.qkv(x).view(batch, time, 3, self.nhead, width // self.nhead)  # (B, T, 3, H, D)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
        if cache is not None:
            k, v = _remember(cache, k, v)  # each (B, H, S + T, D), S of them seen before
        mask, seen = None, k.size(2) - time
        if seen and time > 1:  # row t sees the S positions before and its own up to t
            mask = torch.ones(time, seen + time, dtype=torch.bool, device=x.device).tril(seen)  # (T, S + T)
        y = F.scaled_dot_product_attention(
            q, k, v, mask, self.dropout if self.training else 0.0, is_causal=mask is None and time > 1
        )  # (B, H, T, D)
        return self.out(y.transpose(1, 2).reshape(batch, time, width))  # (B, T, C)


def _remember(cache: Cache, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values of all positions so far, each (B, H, S + T, D), after those of the T new ones are written behind them.

    They live in two tensors with room to spare that double when they are full: a token copies nothing but its own.
    """
    seen = cache.get("length", 0)
    end = cache["length"] = seen + k.size(2)
    for name, new in (("k", k), ("v", v)):
        if name not in cache or end > cache[name].size(2):
            grown = new.new_empty(*new.shape[:2], max(_LEAST_ROOM, 2 * seen, end), new.size(3))  # (B, H, room, D)
            if seen:
                grown[:, :, :seen] = cache[name][:, :, :seen]
            cache[name] = grown
        cache[name][:, :, seen:end] = new
    return cache["k"][:, :, :end], cache["v"][:, :, :end]


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
            default=0.1,
            **_DROPOUT,
            help="Share of values set to 0 at random in training, where each half joins the residual.",
        ),
        "attention_dropout": Float(
            default=0.0,
            **_DROPOUT,
            help="Share of attention weights set to 0 at random in training. On a CPU it leaves the fused kernel: a block "
            "takes 1.1 times as long at 64 tokens, 1.5 times at 256.",
        ),
        "init": Choice(
            default="torch",
            options=("torch", "normal", "zero"),
            help="First weights. torch: its own. normal: a standard deviation of 1 over the square root of the incoming width, "
            "biases 0. zero: the same, but both halves begin by adding nothing.",
        ),
    },
    check=divides("nhead", "d_model"),
)
class GPTBlock(nn.Module):
    """One transformer block of a GPT: causal attention, then a feed-forward network, each added to its input.

    Pre-layer-norm (Radford et al. 2019, section 2.3): x = x + attention(norm(x)); x = x + ffn(norm(x)), with GELU.
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int, dropout: float, attention_dropout: float, init: str
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(d_model)
        self.attention = CausalSelfAttention(d_model, nhead, attention_dropout)
        self.norm2 = nn.LayerNorm(d_model)
        self.linear1 = nn.Linear(d_model, dim_feedforward)
        self.linear2 = nn.Linear(dim_feedforward, d_model)
        self.dropout = Dropout(dropout)
        if init != "torch":
            residual = 0.0 if init == "zero" else 1.0
            _draw(self.attention.qkv, 1.0)
            _draw(self.attention.out, residual)
            _draw(self.linear1, 1.0)
            _draw(self.linear2, residual)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x), cache))  # (B, T, C)
        return x + self.dropout(self.linear2(F.gelu(self.linear1(self.norm2(x)))))  # (B, T, C)


def _draw(linear: nn.Linear, gain: float) -> None:
    """First weights from a normal distribution of standard deviation gain / sqrt(width in), biases 0."""
    nn.init.normal_(linear.weight, std=gain / math.sqrt(linear.in_features))
    nn.init.zeros_(linear.bias)


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
        "tie_to": Text(default="", help="Name of an Embedding whose weights this layer shares; empty for weights of its own."),
    },
)
class Linear(nn.Linear):
    """Multiplies by a learned matrix; before the Loss it turns a vector into one score for each token."""

    def __init__(self, in_features: int, out_features: int, bias: bool, tie_to: str) -> None:
        super().__init__(in_features, out_features, bias)
        self.tie_to = tie_to
