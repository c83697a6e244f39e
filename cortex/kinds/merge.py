"""The node kinds that make one value of several: residual connections, gates, features side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cortex.params import Choice
from cortex.registry import register
from cortex.shapes import Dim, Shape, agree, is_tokens, shape_text


@register(role="merge", family="merge", shape="in*16: … C -> … C", params={})
class Add(nn.Module):
    """The sum of what comes in, number by number: with the input of a layer as one of them, a residual connection."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, *values: Tensor) -> Tensor:
        total = values[0]
        for value in values[1:]:
            total = total + value
        return total


@register(role="merge", family="merge", shape="in*16: … C -> … C", params={})
class Multiply(nn.Module):
    """The product of what comes in, number by number: with a Sigmoid before one of them, a gate."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, *values: Tensor) -> Tensor:
        product = values[0]
        for value in values[1:]:
            product = product * value
        return product


def _joined(values: Mapping[str, Any], given: Sequence[tuple[str, Shape]]) -> Shape:
    place = -1 if values["dim"] == "width" else 1
    (first, shape), *others = given
    if place == 1 and len(shape) < 3:
        raise ValueError(f"dim=time joins sequences, and {first} gives {shape_text(shape)}", "set dim to width")
    for source, other in others:
        rest = [list(each) for each in (shape, other)]
        if len(shape) == len(other):
            for each in rest:
                each.pop(place)
        fits = len(shape) == len(other) and all(map(agree, *rest))
        if is_tokens(other) or not fits:
            found = f"{first} gives {shape_text(shape)} and {source} gives {shape_text(other)}"
            raise ValueError(f"its inputs do not fit together: {found}", f"they may differ in {values['dim']} alone")
    parts = [each[place] for _, each in given]
    size = None if any(part.size is None for part in parts) else sum(part.size for part in parts)
    letter = "C" if place == -1 else "+".join(part.letter for part in parts)
    of = " + ".join(part.of or str(part.size) for part in parts) if size is None else ""
    joined = list(shape)
    joined[place] = Dim(letter, size, of)
    return tuple(joined)


@register(
    role="merge",
    family="merge",
    shape="in*16: … C -> … C",
    causal=lambda values: values["dim"] == "width",
    joins=_joined,
    params={
        "dim": Choice(
            default="width",
            options=("width", "time"),
            help="width: the vectors of each token side by side. time: one sequence behind the other.",
        ),
    },
)
class Concat(nn.Module):
    """What comes in, side by side in the order of the ports."""

    def __init__(self, dim: str) -> None:
        super().__init__()
        self.dim = -1 if dim == "width" else 1

    def forward(self, *values: Tensor) -> Tensor:
        return torch.cat(values, self.dim)
