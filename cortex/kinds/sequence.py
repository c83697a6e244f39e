"""The node kinds that draw features out of neighbouring positions. Letters: B batch, T time, C width."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cortex.kinds.common import INCOMING_WIDTH, WIDTH, Cache
from cortex.params import FROM_INPUT, Bool, Choice, Int
from cortex.registry import divides, register


def _groups_fit(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    faults = [fault for width in ("in_channels", "out_channels") for fault in divides("groups", width)(values, sizes)]
    yield from faults[:1]


@register(
    role="module",
    family="sequence",
    shape="B T in_channels -> B T out_channels",
    cached=True,
    causal=lambda values: values["causal"],
    params={
        "in_channels": INCOMING_WIDTH,
        "out_channels": Int(default="auto", **WIDTH, auto=FROM_INPUT, help="Width of what goes out."),
        "kernel_size": Int(default=3, low=1, high=1024, help="Positions that each output is made of."),
        "dilation": Int(default=1, low=1, high=1024, help="Distance of these positions from each other."),
        "groups": Int(
            default=1,
            low=1,
            high=65_536,
            help="Parts that the width is cut into, each convolved by itself; as many as in_channels for a depthwise one. Must "
            "divide in_channels and out_channels.",
        ),
        "bias": Bool(default=True, help="Whether a learned number is added to each output."),
        "causal": Bool(
            default=True,
            help="Whether the positions end with the token itself; else it stands in their middle and sees later ones.",
        ),
    },
    check=_groups_fit,
)
class Conv1d(nn.Module):
    """Makes each token's vector of those of its neighbours, by the same learned weights everywhere (van den Oord et al. 2016).

    As many positions come out as go in; beyond the ends there are zeros.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, dilation: int, groups: int, bias: bool, causal: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel_size, dilation=dilation, groups=groups, bias=bias)
        self.reach, self.causal = (kernel_size - 1) * dilation, causal

    def forward(self, x: Tensor, cache: Cache | None = None, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            x = x * mask.unsqueeze(2)  # what pads a row is as what is beyond its end
        x = x.transpose(1, 2)  # (B, C, T)
        if not self.causal:
            before = self.reach // 2
            return self.conv(F.pad(x, (before, self.reach - before))).transpose(1, 2)  # (B, T, C)
        if cache:
            x = torch.cat((cache["last"], x), 2)  # (B, C, reach + T)
        else:
            x = F.pad(x, (self.reach, 0))  # (B, C, reach + T)
        if cache is not None:
            cache["last"] = x[:, :, x.size(2) - self.reach :]  # (B, C, reach)
        return self.conv(x).transpose(1, 2)  # (B, T, C)


@register(
    role="module",
    family="sequence",
    shape="B T C -> B C",
    causal=False,
    params={
        "kind": Choice(
            default="mean",
            options=("mean", "max", "last", "first"),
            help="Of the vectors of a text: their mean, the largest of each number, the last or the first.",
        ),
    },
)
class Pool(nn.Module):
    """Makes one vector of a whole text, for a label of it; padding does not count."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.kind == "first":
            return x[:, 0]  # (B, C)
        if mask is None:
            return x[:, -1] if self.kind == "last" else x.amax(1) if self.kind == "max" else x.mean(1)  # (B, C)
        if self.kind == "last":
            ends = mask.sum(1).clamp(min=1) - 1  # (B,)
            return x[torch.arange(x.size(0), device=x.device), ends]  # (B, C)
        mask = mask.unsqueeze(2)  # (B, T, 1)
        if self.kind == "max":
            return x.masked_fill(~mask, -math.inf).amax(1)  # (B, C)
        return (x * mask).sum(1) / mask.sum(1).clamp(min=1)  # (B, C)
