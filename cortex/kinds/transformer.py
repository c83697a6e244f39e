"""Transformer layers and stacks as Vaswani et al. (2017) have them: an encoder, and a decoder that looks at a memory.

Letters: B batch, T time, S positions of the memory, C width.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from cortex.kinds.attention import MultiheadAttention
from cortex.kinds.common import ACTIVATIONS, DROPOUT, WIDTH, Cache, Dropout, activate
from cortex.params import FROM_INPUT, Bool, Choice, Float, Int, Param
from cortex.registry import divides, register

_LAYER: dict[str, Param] = {
    "d_model": Int(default="auto", **WIDTH, auto=FROM_INPUT, help="Width of what comes in and goes out."),
    "nhead": Int(default=4, low=1, high=1024, help="Attention heads. Must divide d_model."),
    "dim_feedforward": Int(
        default=512, low=1, high=262_144, help="Hidden width of the feed-forward part; 4 × d_model is usual."
    ),
    "dropout": Float(
        default=0.1, **DROPOUT, help="Share of values set to 0 at random in training, where each part joins the residual."
    ),
    "activation": Choice(default="ReLU", options=ACTIVATIONS, help="Of the feed-forward part."),
    "norm_first": Bool(
        default=True,
        help="Whether the LayerNorms stand before each part, which trains without warm-up (Xiong et al. 2020), or behind the "
        "residual as in the first Transformer.",
    ),
}
_CAUSAL = Bool(default=False, help="Whether a token sees only itself and what came before.")
_LAYERS = Int(default=2, low=1, high=128, help="Number of layers, one behind the other.")
_NORM = Bool(default=True, help="Whether a LayerNorm follows the last layer, as norm_first wants it.")


class _Layer(nn.Module):
    """The feed-forward network of a layer, whose `dropout` stands where it joins the residual."""

    def _add_feed_forward(self, d_model: int, dim_feedforward: int, activation: str) -> None:
        self.activation = activation
        self.linear1 = nn.Linear(d_model, dim_feedforward)
        self.linear2 = nn.Linear(dim_feedforward, d_model)

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.linear2(activate(self.activation, self.linear1(x))))  # (B, T, C)


@register(
    role="module",
    family="attention",
    shape="B T d_model -> B T d_model",
    cached=True,
    causal=lambda values: values["causal"],
    params={**_LAYER, "causal": _CAUSAL},
    check=divides("nhead", "d_model"),
)
class TransformerEncoderLayer(_Layer):
    """Attention over the whole sequence, then a feed-forward network, each added to its input (Vaswani et al. 2017)."""

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int, dropout: float, activation: str, norm_first: bool, causal: bool
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiheadAttention(d_model, nhead, causal, 0.0, True)
        self._add_feed_forward(d_model, dim_feedforward, activation)
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, cache: Cache | None = None, mask: Tensor | None = None) -> Tensor:
        if self.norm_first:
            y = self.norm1(x)  # (B, T, C)
            x = x + self.dropout(self.self_attn(y, y, y, cache, mask))  # (B, T, C)
            return x + self._feed_forward(self.norm2(x))  # (B, T, C)
        x = self.norm1(x + self.dropout(self.self_attn(x, x, x, cache, mask)))  # (B, T, C)
        return self.norm2(x + self._feed_forward(x))  # (B, T, C)


@register(
    role="module",
    family="attention",
    shape="B T d_model -> B T d_model",
    cached=True,
    causal=lambda values: values["causal"],
    params={"num_layers": _LAYERS, **_LAYER, "causal": _CAUSAL, "norm": _NORM},
    check=divides("nhead", "d_model"),
)
class TransformerEncoder(nn.Module):
    """TransformerEncoderLayers one behind the other; with causal they are the blocks of a GPT (Vaswani et al. 2017)."""

    def __init__(
        self,
        num_layers: int,
        d_model: int,
        nhead: int,
        dim_feedforward: int,
        dropout: float,
        activation: str,
        norm_first: bool,
        causal: bool,
        norm: bool,
    ) -> None:
        super().__init__()
        layer = (d_model, nhead, dim_feedforward, dropout, activation, norm_first, causal)
        self.layers = nn.ModuleList(TransformerEncoderLayer(*layer) for _ in range(num_layers))
        self.norm = nn.LayerNorm(d_model) if norm else nn.Identity()

    def forward(self, x: Tensor, cache: Cache | None = None, mask: Tensor | None = None) -> Tensor:
        for number, layer in enumerate(self.layers):
            x = layer(x, part_of(cache, str(number)), mask)  # (B, T, C)
        return self.norm(x)  # (B, T, C)


@register(
    role="module",
    family="attention",
    shape="tgt: B T d_model; memory: B S d_model -> B T d_model",
    cached=True,
    whole=("memory",),
    params=_LAYER,
    check=divides("nhead", "d_model"),
)
class TransformerDecoderLayer(_Layer):
    """Causal attention over tgt, attention over memory, then a feed-forward network, each added to its input.

    Vaswani et al. 2017, section 3.1; memory is what an encoder made of another sequence.
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int, dropout: float, activation: str, norm_first: bool
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiheadAttention(d_model, nhead, True, 0.0, True)
        self.multihead_attn = MultiheadAttention(d_model, nhead, False, 0.0, True)
        self._add_feed_forward(d_model, dim_feedforward, activation)
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.norm3 = nn.LayerNorm(d_model)
        self.dropout = Dropout(dropout)

    def forward(self, tgt: Tensor, memory: Tensor, cache: Cache | None = None, memory_mask: Tensor | None = None) -> Tensor:
        own, other = part_of(cache, "tgt"), part_of(cache, "memory")
        x = tgt  # (B, T, C)
        if self.norm_first:
            y = self.norm1(x)  # (B, T, C)
            x = x + self.dropout(self.self_attn(y, y, y, own))  # (B, T, C)
            x = x + self.dropout(self.multihead_attn(self.norm2(x), memory, memory, other, memory_mask))  # (B, T, C)
            return x + self._feed_forward(self.norm3(x))  # (B, T, C)
        x = self.norm1(x + self.dropout(self.self_attn(x, x, x, own)))  # (B, T, C)
        x = self.norm2(x + self.dropout(self.multihead_attn(x, memory, memory, other, memory_mask)))  # (B, T, C)
        return self.norm3(x + self._feed_forward(x))  # (B, T, C)


@register(
    role="module",
    family="attention",
    shape="tgt: B T d_model; memory: B S d_model -> B T d_model",
    cached=True,
    whole=("memory",),
    params={"num_layers": _LAYERS, **_LAYER, "norm": _NORM},
    check=divides("nhead", "d_model"),
)
class TransformerDecoder(nn.Module):
    """TransformerDecoderLayers one behind the other, all of which look at the same memory (Vaswani et al. 2017)."""

    def __init__(
        self,
        num_layers: int,
        d_model: int,
        nhead: int,
        dim_feedforward: int,
        dropout: float,
        activation: str,
        norm_first: bool,
        norm: bool,
    ) -> None:
        super().__init__()
        layer = (d_model, nhead, dim_feedforward, dropout, activation, norm_first)
        self.layers = nn.ModuleList(TransformerDecoderLayer(*layer) for _ in range(num_layers))
        self.norm = nn.LayerNorm(d_model) if norm else nn.Identity()

    def forward(self, tgt: Tensor, memory: Tensor, cache: Cache | None = None, memory_mask: Tensor | None = None) -> Tensor:
        x = tgt  # (B, T, C)
        for number, layer in enumerate(self.layers):
            x = layer(x, memory, part_of(cache, str(number)), memory_mask)  # (B, T, C)
        return self.norm(x)  # (B, T, C)


def part_of(cache: Cache | None, name: str) -> dict[str, Any] | None:
    """The cache of a part; None where there is no cache."""
    return None if cache is None else cache.setdefault(name, {})
