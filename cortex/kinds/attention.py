"""Attention, and what turns on the place of a token in it: rotary positions, ALiBi, a local window, key/value caches.

Letters: B batch, T time, S positions attended to, C width, H heads, D width of a head.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cortex.kind import Sizes
from cortex.kinds.common import DROPOUT, WIDTH, Cache
from cortex.params import FROM_INPUT, Bool, Float, Int
from cortex.registry import divides, register

_LEAST_ROOM = 64  # positions of the first cache


class CausalSelfAttention(nn.Module):
    """Multi-head attention in which a token sees itself and what came before (Vaswani et al. 2017, section 3.2).

    Args:
        kv_heads: heads of keys and values, each shared by nhead / kv_heads heads of queries (Ainslie et al. 2023); 0: nhead.
        positions: none, rotary or ALiBi.
        window: a token sees itself and the window - 1 tokens before it (Beltagy et al. 2020); 0: all before it.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dropout: float,
        bias: bool = True,
        kv_heads: int = 0,
        positions: str = "none",
        window: int = 0,
    ) -> None:
        super().__init__()
        self.nhead, self.dropout, self.window = nhead, dropout, window
        self.kv_heads, self.rotary = kv_heads or nhead, positions == "rotary"
        self.qkv = nn.Linear(d_model, d_model + 2 * self.kv_heads * (d_model // nhead), bias)
        self.out = nn.Linear(d_model, d_model, bias)
        self.register_buffer("slopes", alibi_slopes(nhead) if positions == "ALiBi" else None, persistent=False)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        q, k, v = self._heads(self.qkv(x))  # (B, H, T, D), (B, kv_heads, T, D) twice
        if self.rotary:
            start = cache.get("length", 0) if cache is not None else 0
            q, k = rotated(q, start), rotated(k, start)
        if cache is not None:
            k, v = remember(cache, k, v)  # each (B, kv_heads, S, D), the T new ones last
        if self.kv_heads != self.nhead:
            k, v = (each.repeat_interleave(self.nhead // self.kv_heads, 1) for each in (k, v))  # each (B, H, S, D)
        bias = None
        if self.window or self.slopes is not None:
            bias = distance_bias(q, k, self.window, self.slopes)  # (T, S) or (H, T, S)
        return self.out(attend(q, k, v, self.dropout if self.training else 0.0, causal=True, mask=bias))  # (B, T, C)

    def _heads(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, time, _ = qkv.shape
        if self.kv_heads == self.nhead:
            heads = qkv.view(batch, time, 3, self.nhead, -1)  # (B, T, 3, H, D)
            return heads.permute(2, 0, 3, 1, 4).unbind(0)
        heads = qkv.view(batch, time, self.nhead + 2 * self.kv_heads, -1).transpose(1, 2)  # (B, H + 2 kv_heads, T, D)
        return heads.split((self.nhead, self.kv_heads, self.kv_heads), 1)


def attend(q: Tensor, k: Tensor, v: Tensor, dropout: float, *, causal: bool = False, mask: Tensor | None = None) -> Tensor:
    """What each query (B, H, T, D) finds among keys and values (B, H, S, D), the heads side by side: (B, T, C).

    Args:
        causal: the queries are the last T of the S positions, and each sees itself and what came before.
        mask: what is seen, instead of that: bool, or added to the scores; of a shape that broadcasts to (B, H, T, S).
    """
    batch, heads, time, width = q.shape
    seen = k.size(2) - time
    if causal and mask is None and seen and time > 1:  # row t sees the positions before and its own up to t
        mask = torch.ones(time, seen + time, dtype=torch.bool, device=q.device).tril(seen)  # (T, S)
    plain = causal and mask is None and time > 1
    y = F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=plain)  # (B, H, T, D)
    return y.transpose(1, 2).reshape(batch, time, heads * width)


def remember(cache: Cache, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values of all positions so far, each (B, H, S, D), after those of the T new ones are written behind them.

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


def rotated(x: Tensor, start: int) -> Tensor:
    """x (B, H, T, D) with each pair of its numbers turned by an angle that grows with the position (Su et al. 2021, eq. 34)."""
    pairs = torch.arange(x.size(-1) // 2, device=x.device)  # (D / 2,)
    places = torch.arange(start, start + x.size(-2), device=x.device).unsqueeze(1)  # (T, 1)
    angle = places * torch.exp(pairs * (-2 * math.log(10_000.0) / x.size(-1)))  # (T, D / 2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    one, other = x[..., 0::2], x[..., 1::2]
    return torch.stack((one * cos - other * sin, one * sin + other * cos), -1).flatten(-2)  # (B, H, T, D)


def alibi_slopes(heads: int) -> Tensor:
    """(H, 1, 1): how fast each head's scores fall with the distance (Press et al. 2022, section 3); where H is no power of 2,
    those of the power below and every other one of the power above, as in the authors' own code."""
    below = 2 ** (heads.bit_length() - 1)
    slopes = [2 ** (-8 * (head + 1) / below) for head in range(below)]
    slopes += [2 ** (-4 * (head + 1) / below) for head in range(0, 2 * (heads - below), 2)]
    return torch.tensor(slopes).view(heads, 1, 1)


def distance_bias(q: Tensor, k: Tensor, window: int, slopes: Tensor | None) -> Tensor:
    """What the distance between the last T of S positions and all of them makes of a causal mask: (T, S) of bool, or with
    slopes (H, T, S) to be added to the scores."""
    keys = torch.arange(k.size(2), device=q.device)  # (S,)
    distance = keys[-q.size(2) :].unsqueeze(1) - keys  # (T, S), below 0 for what comes later
    seen = (distance >= 0) & (distance < window) if window else distance >= 0
    if slopes is None:
        return seen
    return torch.where(seen, -slopes * distance, -math.inf).to(q.dtype)


def _one_sequence(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    yield from divides("num_heads", "embed_dim")(values, sizes)
    letters = sizes.letters if isinstance(sizes, Sizes) else {}
    if values["causal"] and letters.get("T") != letters.get("S"):
        message = f"causal=True counts positions of one sequence, and key is of {letters['S']}, query of {letters['T']}"
        yield "causal", message, "set causal to false, or leave key and value unconnected"


@register(
    role="module",
    family="attention",
    shape="query: B T embed_dim; key=query: B S embed_dim; value=key: B S embed_dim -> B T embed_dim",
    cached=True,
    causal=lambda values: values["causal"],
    params={
        "embed_dim": Int(default="auto", **WIDTH, auto=FROM_INPUT, help="Width of what comes in and goes out."),
        "num_heads": Int(default=4, low=1, high=1024, help="Attention heads. Must divide embed_dim."),
        "causal": Bool(
            default=True, help="Whether a token sees only itself and what came before; false where key is another sequence."
        ),
        "dropout": Float(default=0.0, **DROPOUT, help="Share of attention weights set to 0 at random in training."),
        "bias": Bool(default=True, help="Whether learned numbers are added to queries, keys, values and what comes out."),
    },
    check=_one_sequence,
)
class MultiheadAttention(nn.Module):
    """Each token of query gathers from the tokens of value whose key fits it (Vaswani et al. 2017, section 3.2).

    Where key and value are not connected, query serves all three. There is no residual in it: Add draws one.
    """

    def __init__(self, embed_dim: int, num_heads: int, causal: bool, dropout: float, bias: bool) -> None:
        super().__init__()
        self.num_heads, self.causal, self.dropout = num_heads, causal, dropout
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim, bias)
        self.out = nn.Linear(embed_dim, embed_dim, bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, cache: Cache | None = None, mask: Tensor | None = None
    ) -> Tensor:
        if key is query and value is query:
            q, k, v = map(self._heads, self.qkv(query).chunk(3, -1))  # (B, H, T, D) each
        else:
            q = self._project(query, 0)  # (B, H, T, D)
            k, v = (None, None) if cache and not self.causal else (self._project(key, 1), self._project(value, 2))
        if cache is not None and self.causal:
            k, v = remember(cache, k, v)  # each (B, H, S, D)
        elif cache is not None:  # another sequence, all of it there from the first token on
            if not cache:
                cache.update(k=k, v=v, mask=mask)
            k, v, mask = cache["k"], cache["v"], cache["mask"]
        seen = None if mask is None or self.causal else mask[:, None, None]  # (B, 1, 1, S); behind the end nothing is padded
        y = attend(q, k, v, self.dropout if self.training else 0.0, causal=self.causal, mask=seen)
        return self.out(y)  # (B, T, C)

    def _project(self, x: Tensor, part: int) -> Tensor:
        """Queries, keys or values (part 0, 1, 2) of x alone."""
        bias = None if self.qkv.bias is None else self.qkv.bias.chunk(3)[part]
        return self._heads(F.linear(x, self.qkv.weight.chunk(3)[part], bias))

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), x.size(1), self.num_heads, -1).transpose(1, 2)  # (B, H, T, D)
