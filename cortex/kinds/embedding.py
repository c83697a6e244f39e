"""The node kinds that give vectors: of tokens and of positions. Letters: B batch, T time, C width."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cortex.kinds.common import DROPOUT, INCOMING_WIDTH, WIDTH, Cache, Dropout, reaches_the_sequence
from cortex.params import FROM_VOCABULARY, Float, Int, NodeName, Param
from cortex.registry import register

_PLACES: dict[str, Param] = {
    "max_len": Int(default=512, low=1, high=1_000_000, help="Longest sequence, in tokens, that has positions."),
    "d_model": INCOMING_WIDTH,
}
_DROPOUT = Float(default=0.1, **DROPOUT, help="Share of values set to 0 at random in training, after the positions are added.")


def _embeds_the_vocabulary(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    rows, vocabulary = values["num_embeddings"], sizes.get("V")
    if type(rows) is int and vocabulary and rows < vocabulary:
        message = f"num_embeddings={rows} is less than the vocabulary of the data, {vocabulary:,} tokens"
        yield "num_embeddings", message, "set it to auto"


@register(
    role="module",
    family="embedding",
    shape="B T -> B T embedding_dim",
    params={
        "num_embeddings": Int(
            default="auto", low=1, high=10_000_000, auto=FROM_VOCABULARY, help="Number of tokens that have a vector."
        ),
        "embedding_dim": Int(default=128, **WIDTH, help="Width of the model: numbers that stand for one token."),
        "init_std": Float(
            default=1.0, low=1e-4, high=10.0, help="Standard deviation of the first weights, drawn from a normal distribution."
        ),
        "scale": Float(
            default=1.0,
            low=1e-4,
            high=1000.0,
            help="Factor on what comes out; the square root of embedding_dim where init_std is 1 over it.",
        ),
        "tie_to": NodeName(
            default="", help="Name of a Linear, or of another Embedding, whose weights this one shares; empty for its own."
        ),
    },
    check=_embeds_the_vocabulary,
)
class Embedding(nn.Embedding):
    """Looks up a learned vector for each token.

    With init_std 1/sqrt(C) and scale sqrt(C) (Vaswani et al. 2017, section 3.4) the vectors begin at the usual size, but an
    optimizer whose steps have a fixed length, as Adam's have, moves them sqrt(C) times as fast.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, init_std: float, scale: float, tie_to: str) -> None:
        super().__init__(num_embeddings, embedding_dim)
        self.scale, self.tie_to = scale, tie_to
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
        **_PLACES,
        "dropout": _DROPOUT,
    },
    check=reaches_the_sequence,
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
        start, end = places(x, cache, self.waves.size(0))
        return self.dropout(x + self.waves[start:end])  # (B, T, C)


@register(
    role="module",
    family="embedding",
    shape="B T d_model -> B T d_model",
    cached=True,
    params={
        **_PLACES,
        "init_std": Float(
            default=0.02, low=1e-4, high=10.0, help="Standard deviation of the first weights, drawn from a normal distribution."
        ),
        "dropout": _DROPOUT,
    },
    check=reaches_the_sequence,
)
class LearnedPositionalEmbedding(nn.Module):
    """Adds a learned vector for each place of the sequence (Gehring et al. 2017; Radford et al. 2018)."""

    def __init__(self, max_len: int, d_model: int, init_std: float, dropout: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max_len, d_model))
        nn.init.normal_(self.weight, std=init_std)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        start, end = places(x, cache, self.weight.size(0))
        return self.dropout(x + self.weight[start:end])  # (B, T, C)


def places(x: Tensor, cache: Cache | None, max_len: int) -> tuple[int, int]:
    """The first position of x (B, T, C) and the one after its last; the cache counts on. ValueError past max_len."""
    start = 0 if cache is None else cache.get("length", 0)
    end = start + x.size(1)
    if end > max_len:
        raise ValueError(f"position {end - 1} is past max_len={max_len}")
    if cache is not None:
        cache["length"] = end
    return start, end


@register(role="module", family="source", shape="B T -> B S", params={}, reads="source")
class SourceTokens(nn.Module):
    """Gives the tokens of the source side of Pairs, for an encoder; the data node itself gives those of the target side."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens  # (B, S)
