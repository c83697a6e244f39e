"""The block of a GPT, and the options that later models have in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from cortex.kinds.attention import CausalSelfAttention
from cortex.kinds.common import ACTIVATIONS, DROPOUT, WIDTH, Cache, Dropout, activate, draw
from cortex.params import FROM_INPUT, Bool, Choice, Float, Int
from cortex.registry import divides, register


def _heads_fit(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    yield from divides("nhead", "d_model")(values, sizes)
    heads, shared, width = values["nhead"], values["num_kv_heads"], values["d_model"]
    if shared:
        yield from divides("num_kv_heads", "nhead")(values, sizes)
    if values["positions"] == "rotary" and type(width) is int and width % heads == 0 and width // heads % 2:
        message = f"positions=rotary turns pairs of numbers, and d_model={width} / nhead={heads} = {width // heads} is odd"
        even = [count for count in range(heads, 0, -1) if width % count == 0 and width // count % 2 == 0]
        if even:
            yield "nhead", message, f"try {even[0]}, whose heads are of an even width"
        else:
            yield "positions", message, "choose ALiBi, or an even d_model"


@register(
    role="module",
    family="attention",
    shape="B T d_model -> B T d_model",
    cached=True,
    params={
        "d_model": Int(default="auto", **WIDTH, auto=FROM_INPUT, help="Width of what comes in and goes out."),
        "nhead": Int(default=4, low=1, high=1024, help="Attention heads. Must divide d_model."),
        "dim_feedforward": Int(
            default=512, low=1, high=262_144, help="Hidden width of the feed-forward part; 4 × d_model is usual."
        ),
        "dropout": Float(
            default=0.1,
            **DROPOUT,
            help="Share of values set to 0 at random in training, where each half joins the residual.",
        ),
        "attention_dropout": Float(
            default=0.0,
            **DROPOUT,
            help="Share of attention weights set to 0 at random in training. On a CPU it leaves the fused kernel: a block "
            "takes 1.1 times as long at 64 tokens, 1.5 times at 256.",
        ),
        "init": Choice(
            default="torch",
            options=("torch", "normal", "zero"),
            help="First weights. torch: its own. normal: a standard deviation of 1 over the square root of the incoming width, "
            "biases 0. zero: the same, but both halves begin by adding nothing.",
        ),
        "activation": Choice(
            default="GELU",
            options=(*ACTIVATIONS, "SwiGLU"),
            help="Of the feed-forward part. GPT-2 has tanh-GELU; SwiGLU (Shazeer 2020) has a third matrix.",
        ),
        "norm": Choice(
            default="LayerNorm",
            options=("LayerNorm", "RMSNorm"),
            help="What stands before each half: LayerNorm (Ba et al. 2016) or RMSNorm (Zhang & Sennrich 2019).",
        ),
        "bias": Bool(default=True, help="Whether the matrices and LayerNorms add learned numbers."),
        "positions": Choice(
            default="none",
            options=("none", "rotary", "ALiBi"),
            help="What attention knows of positions: nothing, where they are added to the vectors; angles that queries and "
            "keys are turned by (rotary or RoPE, Su et al. 2021); or scores that fall with the distance (ALiBi, Press et al. "
            "2022).",
        ),
        "attention": Choice(
            default="full",
            options=("full", "window"),
            help="What a token sees: everything before it, or a local window (Beltagy et al. 2020).",
        ),
        "window": Int(
            default=128,
            low=1,
            high=65_536,
            only=("attention", ("window",)),
            help="Tokens of the window, the last of them the token itself.",
        ),
        "num_kv_heads": Int(
            default=0,
            low=0,
            high=1024,
            help="Heads of keys and values, each shared by several heads of queries (Ainslie et al. 2023). Must divide nhead; "
            "0 takes as many as nhead.",
        ),
    },
    check=_heads_fit,
)
class GPTBlock(nn.Module):
    """One transformer block of a GPT: causal attention, then a feed-forward network, each added to its input.

    Pre-layer-norm (Radford et al. 2019, section 2.3): x = x + attention(norm(x)); x = x + ffn(norm(x)).
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int,
        dropout: float,
        attention_dropout: float,
        init: str,
        activation: str,
        norm: str,
        bias: bool,
        positions: str,
        attention: str,
        window: int,
        num_kv_heads: int,
    ) -> None:
        super().__init__()
        self.activation = activation
        window = window if attention == "window" else 0
        self.norm1 = _norm(norm, d_model, bias)
        self.attention = CausalSelfAttention(d_model, nhead, attention_dropout, bias, num_kv_heads, positions, window)
        self.norm2 = _norm(norm, d_model, bias)
        self.linear1 = nn.Linear(d_model, dim_feedforward * (2 if activation == "SwiGLU" else 1), bias)
        self.linear2 = nn.Linear(dim_feedforward, d_model, bias)
        self.dropout = Dropout(dropout)
        if init != "torch":
            residual = 0.0 if init == "zero" else 1.0
            draw(self.attention.qkv, 1.0)
            draw(self.attention.out, residual)
            draw(self.linear1, 1.0)
            draw(self.linear2, residual)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x), cache))  # (B, T, C)
        return x + self.dropout(self.linear2(activate(self.activation, self.linear1(self.norm2(x)))))  # (B, T, C)


def _norm(name: str, width: int, bias: bool) -> nn.Module:
    return nn.RMSNorm(width, eps=1e-6) if name == "RMSNorm" else nn.LayerNorm(width, bias=bias)
