"""The declaration of node kinds. A kind is one decorated class; everything else about it is derived from here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cortex.params import AUTO, FROM_VOCABULARY, Param

ROLES = ("source", "module", "merge", "subgraph", "loss")
FAMILIES = ("source", "embedding", "attention", "norm", "linear", "sequence", "merge", "subgraph", "loss")

# A check of a kind: resolved values and the sizes of the dimensions in, (field, message, hint) out.
Check = Callable[[Mapping[str, Any], Mapping[str, int]], Iterator[tuple[str, str, str]]]


@dataclass(frozen=True, eq=False)
class Kind:
    """A node kind as declared.

    `inputs` maps each port to the names of its dimensions, `output` names those that come out (None for a loss). A name
    that is also a parameter stands for that parameter's value; B, T and V are batch, time and vocabulary.
    """

    name: str
    role: str
    family: str
    cls: type
    params: Mapping[str, Param]
    inputs: Mapping[str, tuple[str, ...]]
    output: tuple[str, ...] | None
    cached: bool
    causal: bool
    check: Check | None

    @property
    def help(self) -> str:
        """The first paragraph of the class's docstring on one line."""
        return " ".join(inspect.getdoc(self.cls).split("\n\n")[0].split())

    @property
    def shape(self) -> str:
        """The shape rule as declared: `B T d_model -> B T d_model`."""
        ports = [(f"{port}: " if len(self.inputs) > 1 else "") + " ".join(dims) for port, dims in self.inputs.items()]
        return f"{'; '.join(ports)} -> {' '.join(self.output or ())}".strip()


KINDS: dict[str, Kind] = {}


def ordered(kinds: Mapping[str, Kind] = KINDS) -> list[Kind]:
    """The kinds as a person looks for them: sources first, losses last, else in the order of their declaration."""
    return sorted(kinds.values(), key=lambda kind: ROLES.index(kind.role))


def register(
    *,
    role: str,
    family: str,
    shape: str,
    params: Mapping[str, Param],
    cached: bool = False,
    causal: bool = True,
    check: Check | None = None,
    into: dict[str, Kind] | None = None,
) -> Callable[[type], type]:
    """Declare the decorated class as a node kind of its own name; the class itself is returned unchanged.

    Args:
        shape: named dimensions, `B T in_features -> B T out_features`; several ports as `tgt: B T C; memory: B S C -> B T C`.
        cached: positions are mixed or counted, so `forward` takes `(x, cache=None)`.
        causal: no output looks at a later position.
        into: the registry to add to; the application's own unless a test passes another.

    Raises:
        TypeError: the declaration disagrees with the class, which is our mistake and stops the import.
    """

    def declare(cls: type) -> type:
        inputs, output = _parse_shape(shape)
        kind = Kind(cls.__name__, role, family, cls, dict(params), inputs, output, cached, causal, check)
        registry = KINDS if into is None else into
        _verify(kind)
        if kind.name in registry:
            raise TypeError(f"{kind.name} is declared twice")
        registry[kind.name] = kind
        return cls

    return declare


def divides(divisor: str, number: str) -> Check:
    """A check that the parameter `divisor` divides the parameter `number`."""

    def check(values: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
        part, whole = values[divisor], values[number]
        if type(part) is int and type(whole) is int and whole % part:
            good = [candidate for candidate in range(1, whole + 1) if whole % candidate == 0]
            below, above = [n for n in good if n < part][-1:], [n for n in good if n > part][:1]
            near = below + above
            yield divisor, f"{divisor}={part} must divide {number}={whole}", f"try {' or '.join(map(str, near))}"

    return check


def _parse_shape(rule: str) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...] | None]:
    left, _, right = rule.partition("->")
    inputs: dict[str, tuple[str, ...]] = {}
    for part in filter(None, map(str.strip, left.split(";"))):
        port, colon, dims = part.rpartition(":")
        inputs[port.strip() if colon else "in"] = tuple(dims.split())
    return inputs, tuple(right.split()) or None


def _verify(kind: Kind) -> None:
    if kind.role not in ROLES or kind.family not in FAMILIES:
        raise TypeError(f"{kind.name}: role {kind.role} or family {kind.family} is not known")
    if not kind.cls.__doc__:  # getdoc would find that of nn.Module
        raise TypeError(f"{kind.name}: a node kind needs a docstring, its first paragraph is the help text")
    declared, taken = set(kind.params), set(inspect.signature(kind.cls.__init__).parameters) - {"self"}
    if declared != taken:
        raise TypeError(f"{kind.name}: declared parameters {sorted(declared)} are not those of __init__ {sorted(taken)}")
    for name, param in kind.params.items():
        if param.problem(param.default):
            raise TypeError(f"{kind.name}.{name}: the default {param.default!r} {param.problem(param.default)}")
        for other, _ in param.conditions:
            if other not in kind.params:
                raise TypeError(f"{kind.name}.{name}: depends on {other}, which is not declared")
    known = {"B", "T", "S", "V", *kind.params}
    dims = {dim for dims in (*kind.inputs.values(), kind.output or ()) for dim in dims}
    if dims - known:
        raise TypeError(f"{kind.name}: the shape rule names {sorted(dims - known)}, expected parameters or B, T, S, V")
    bound = {dim for dims in kind.inputs.values() for dim in dims}
    for name, param in kind.params.items():
        if param.default == AUTO and kind.role != "source" and param.auto != FROM_VOCABULARY and name not in bound:
            raise TypeError(f"{kind.name}.{name}: auto, but no input dimension of that name gives it a value")
    if kind.role == "module" and kind.cached != ("cache" in inspect.signature(kind.cls.forward).parameters):
        raise TypeError(f"{kind.name}: cached={kind.cached}, but forward says otherwise")
