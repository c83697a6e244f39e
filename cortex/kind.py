"""A node kind as it was declared, parameters, ports, shape rule and module, and the words that a declaration is made of."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cortex.params import Param
from cortex.shapes import Shape

ROLES = ("source", "module", "merge", "subgraph", "loss")
# The groups that kinds are looked for in, each with its name; a card has the colour of its group.
FAMILIES = {
    "source": "Data",
    "embedding": "Embedding and position",
    "attention": "Attention and blocks",
    "linear": "Linear",
    "norm": "Norm",
    "activation": "Activation and dropout",
    "sequence": "Sequence features",
    "merge": "Merge",
    "subgraph": "Subgraph",
    "loss": "Loss",
}
# The first of a rule's dimensions where it holds for any number of them: `… C` is (B, C) as well as (B, T, C).
ANY = "…"
LETTERS = ("B", "T", "S", "C", "V")

# A check of a kind: resolved values and the sizes of the dimensions in, (field, message, hint) out.
Check = Callable[[Mapping[str, Any], Mapping[str, int]], Iterator[tuple[str, str, str]]]
# What follows from the values of a kind's parameters.
Fact = bool | Callable[[Mapping[str, Any]], bool]
# The shape that comes of several, where the rule cannot say it; ValueError(message, hint) where nothing can.
Joins = Callable[[Mapping[str, Any], Sequence[tuple[str, Shape]]], Shape]


class Sizes(dict[str, int]):
    """Sizes by letter; `letters` says which sequence stands for each of T and S of the kind's own rule."""

    letters: Mapping[str, str] = {}


@dataclass(frozen=True, eq=False)
class Kind:
    """A node kind as declared.

    `inputs` maps each port to the names of its dimensions, `output` names those that come out (None for a loss). A name
    that is also a parameter stands for that parameter's value; B, T, S, C and V are letters of shapes.py.

    Args:
        defaults: a port -> the port whose source serves it where nothing is connected to it.
        most: ports that a merge may have, `in`, `in_2`, `in_3` …; 0 where the ports are those of `inputs`.
        whole: ports whose every position each output sees, even of a causal kind: the memory of a decoder.
        masks: arguments of `forward` that take a mask -> the port whose padding it tells of.
        reads: the part of the batch that this kind gives on instead of what comes in.
        task: for a source, what the values make of its text: Text, Labelled, Tagged or Pairs.
    """

    name: str
    role: str
    family: str
    cls: type
    params: Mapping[str, Param]
    inputs: Mapping[str, tuple[str, ...]]
    output: tuple[str, ...] | None
    cached: bool
    causal: Fact
    check: Check | None
    defaults: Mapping[str, str]
    most: int
    whole: tuple[str, ...]
    masks: Mapping[str, str]
    reads: str | None
    joins: Joins | None
    task: Callable[[Mapping[str, Any]], str] | None

    @property
    def help(self) -> str:
        """The first paragraph of the class's docstring on one line."""
        return " ".join(inspect.getdoc(self.cls).split("\n\n")[0].split())

    @property
    def shape(self) -> str:
        """The shape rule as declared: `B T d_model -> B T d_model`."""
        if self.most:
            return f"in, in_2 … in_{self.most}: {' '.join(self.inputs['in'])} -> {' '.join(self.output or ())}"
        ports = [
            (f"{port}{f'={self.defaults[port]}' if port in self.defaults else ''}: " if len(self.inputs) > 1 else "")
            + " ".join(dims)
            for port, dims in self.inputs.items()
        ]
        return f"{'; '.join(ports)} -> {' '.join(self.output or ())}".strip()

    def dims(self, port: str) -> tuple[str, ...] | None:
        """The names of a port's dimensions; None where the kind has no such port."""
        if port in self.inputs:
            return self.inputs[port]
        number = re.fullmatch(r"in_([1-9]\d?)", port)
        return self.inputs["in"] if self.most and number and 2 <= int(number[1]) <= self.most else None

    def ports(self, used: Collection[str] = ()) -> list[str]:
        """The ports in their order: those that every node of the kind has, and those of a merge that are used besides."""
        more = {port for port in used if port not in self.inputs and self.dims(port)}
        return [*self.inputs, *sorted(more, key=lambda port: int(port.removeprefix("in_")))]

    def free_port(self, used: Collection[str]) -> str | None:
        """The first port that nothing is connected to, of a merge also one more than it has; None where all are taken."""
        ports = self.ports(used) + [f"in_{number}" for number in range(2, self.most + 1)]
        return next((port for port in ports if port not in used), None)

    def is_causal(self, values: Mapping[str, Any]) -> bool:
        """Whether, with these values, no output looks at a later position of its own sequence."""
        return self.causal(values) if callable(self.causal) else self.causal

    def seen_whole(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """The ports of whose sequence every output sees every position, later ones too."""
        attended = [port for port, dims in self.inputs.items() if "S" in dims] or list(self.inputs)
        return self.whole if self.is_causal(values) else tuple(dict.fromkeys([*self.whole, *attended]))
