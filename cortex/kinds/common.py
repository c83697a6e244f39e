"""What several node kinds share: ranges of their settings, checks, dropout, activations, first weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cortex.params import FROM_INPUT, Float, Int
from cortex.registry import register

# What a module keeps of the positions that it has seen.
Cache = dict[str, Any]

WIDTH = dict(low=1, high=65_536)
INCOMING_WIDTH = Int(default="auto", **WIDTH, auto=FROM_INPUT, help="Width of what comes in.")
DROPOUT = dict(low=0.0, high=0.95)

ACTIVATIONS = ("GELU", "tanh-GELU", "ReLU", "SiLU")


def reaches_the_sequence(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    """A check that there are positions enough."""
    if sizes.get("T", 0) > values["max_len"]:
        message = f"max_len={values['max_len']} is shorter than seq_len={sizes['T']} of the data"
        yield "max_len", message, f"set max_len to at least {sizes['T']}, or seq_len to at most {values['max_len']}"


@register(
    role="module",
    family="activation",
    shape="… C -> … C",
    params={"p": Float(default=0.1, **DROPOUT, help="Share of values set to 0 at random in training.")},
)
class Dropout(nn.Dropout):
    """Sets values to 0 at random in training, the others a little larger (Srivastava et al. 2014); else changes nothing.

    torch's dropout, with cheaper random numbers on a CPU: 16 bits a value instead of a draw of 64. There the probability is
    rounded to the nearest 1/65,536 and what is kept is scaled by exactly that, so that the expected value is x. The numbers
    come from torch's global generator one after another, whatever the number of threads.
    """

    def __init__(self, p: float) -> None:
        super().__init__(p)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if not x.is_cpu or torch.compiler.is_compiling():
            return super().forward(x)
        kept = round((1 - self.p) * 65_536)
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)  # all 64 bits are random
        bits = words.view(torch.int16)[: x.numel()].view(x.shape)  # from -32,768 to 32,767, as likely each
        noise = torch.lt(bits, kept - 32_768, out=torch.empty_like(x, requires_grad=False))
        return x * noise.mul_(65_536 / kept)


def activate(name: str, x: Tensor) -> Tensor:
    """The activation of that name: GELU (Hendrycks & Gimpel 2016), by its formula or by the one with tanh, ReLU, SiLU, or
    SwiGLU (Shazeer 2020, eq. 6), which gates one half of x's width by the other and gives half the width."""
    if name == "SwiGLU":
        gate, value = x.chunk(2, -1)
        return F.silu(gate) * value
    if name == "GELU":
        return F.gelu(x)
    if name == "tanh-GELU":
        return F.gelu(x, approximate="tanh")
    return F.relu(x) if name == "ReLU" else F.silu(x)


def draw(linear: nn.Linear, gain: float) -> None:
    """First weights from a normal distribution of standard deviation gain / sqrt(width in), biases 0."""
    nn.init.normal_(linear.weight, std=gain / math.sqrt(linear.in_features))
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
