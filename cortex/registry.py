"""The declaration of node kinds. A kind is one decorated class; everything else about it is derived from here."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cortex.params import AUTO, FROM_INPUT, FROM_VOCABULARY, Param
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


KINDS: dict[str, Kind] = {}


def ordered(kinds: Mapping[str, Kind] = KINDS) -> list[Kind]:
    """The kinds as a person looks for them: sources first, losses last, those of a family together."""
    return sorted(kinds.values(), key=lambda kind: (ROLES.index(kind.role), [*FAMILIES].index(kind.family)))


def register(
    *,
    role: str,
    family: str,
    shape: str,
    params: Mapping[str, Param],
    cached: bool = False,
    causal: Fact = True,
    check: Check | None = None,
    whole: Sequence[str] = (),
    reads: str | None = None,
    joins: Joins | None = None,
    task: Callable[[Mapping[str, Any]], str] | None = None,
    into: dict[str, Kind] | None = None,
) -> Callable[[type], type]:
    """Declare the decorated class as a node kind of its own name; the class itself is returned unchanged.

    Args:
        shape: named dimensions, `B T in_features -> B T out_features`; several ports as `tgt: B T C; memory: B S C -> B T C`;
            `key=query: …` where query's source serves key as long as key has none; `in*16: … C -> … C` for a merge of 2 to 16
            ports in, in_2 …; `…` first for any number of leading dimensions.
        cached: positions are mixed or counted, so `forward` takes `cache=None`.
        causal: no output looks at a later position; may hang on the values.
        whole: see Kind, as the arguments below.
        joins: the shape that comes of several, where the rule cannot say it.
        into: the registry to add to; the application's own unless a test passes another.

    Raises:
        TypeError: the declaration disagrees with the class, which is our mistake and stops the import.
    """

    def declare(cls: type) -> type:
        inputs, defaults, most, output = _parse_shape(shape)
        kind = Kind(
            cls.__name__, role, family, cls, dict(params), inputs, output, cached, causal, check,
            defaults, most, tuple(whole), _masks(role, cls, inputs), reads, joins, task,
        )  # fmt: skip
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


def _parse_shape(rule: str) -> tuple[dict[str, tuple[str, ...]], dict[str, str], int, tuple[str, ...] | None]:
    """Ports with their dimensions, ports with the port that serves them, the most ports of a merge, what comes out."""
    left, _, right = rule.partition("->")
    inputs: dict[str, tuple[str, ...]] = {}
    defaults: dict[str, str] = {}
    most = 0
    for part in filter(None, map(str.strip, left.split(";"))):
        port, colon, dims = part.rpartition(":")
        port, _, served = (port.strip() if colon else "in").partition("=")
        port, star, number = port.partition("*")
        inputs[port] = tuple(dims.split())
        if served:
            defaults[port] = served
        if star:
            most = int(number)
            inputs["in_2"] = inputs[port]
    return inputs, defaults, most, tuple(right.split()) or None


def _masks(role: str, cls: type, inputs: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """`mask` is of the port that is attended to, which is `key` or the first; `memory_mask` of the port `memory`."""
    if role not in ("module", "merge"):
        return {}
    taken = [name for name in inspect.signature(cls.forward).parameters if name == "mask" or name.endswith("_mask")]
    first = "key" if "key" in inputs else next(iter(inputs), "in")
    return {name: name.removesuffix("_mask") if name != "mask" else first for name in taken}


def _verify(kind: Kind) -> None:
    if kind.role not in ROLES or kind.family not in FAMILIES:
        raise TypeError(f"{kind.name}: role {kind.role} or family {kind.family} is not known")
    if not kind.cls.__doc__:  # getdoc would find that of nn.Module
        raise TypeError(f"{kind.name}: a node kind needs a docstring, its first paragraph is the help text")
    declared, taken = set(kind.params), _constructor(kind.cls)
    if declared != taken:
        raise TypeError(f"{kind.name}: declared parameters {sorted(declared)} are not those of __init__ {sorted(taken)}")
    for name, param in kind.params.items():
        if param.problem(param.default):
            raise TypeError(f"{kind.name}.{name}: the default {param.default!r} {param.problem(param.default)}")
        for other, _ in param.conditions:
            if other not in kind.params:
                raise TypeError(f"{kind.name}.{name}: depends on {other}, which is not declared")
    _verify_shape(kind)
    if kind.role == "module" and kind.cached != ("cache" in inspect.signature(kind.cls.forward).parameters):
        raise TypeError(f"{kind.name}: cached={kind.cached}, but forward says otherwise")


def _constructor(cls: type) -> set[str]:
    """The arguments of a constructor; `**` stands for those of the class above."""
    taken: set[str] = set()
    for above in cls.__mro__:
        if "__init__" in vars(above):
            arguments = list(inspect.signature(above.__init__).parameters.values())[1:]
            taken |= {argument.name for argument in arguments if argument.kind != argument.VAR_KEYWORD}
            if all(argument.kind != argument.VAR_KEYWORD for argument in arguments):
                break
    return taken


def _verify_shape(kind: Kind) -> None:
    dims = {dim for dims in (*kind.inputs.values(), kind.output or ()) for dim in dims}
    unknown = dims - {ANY, *LETTERS, *kind.params}
    if unknown:
        raise TypeError(f"{kind.name}: the shape rule names {sorted(unknown)}, expected parameters or {', '.join(LETTERS)}")
    ports = {*kind.defaults.values(), *kind.whole, *kind.masks.values()} - set(kind.inputs)
    if ports:
        raise TypeError(f"{kind.name}: there is no port {sorted(ports)}; the ports are {sorted(kind.inputs)}")
    bound = {dim for dims in kind.inputs.values() for dim in dims}
    has_width = any(dims and dims[-1] not in ("T", "S") for dims in kind.inputs.values())
    for name, param in kind.params.items():
        if param.default != AUTO or kind.role == "source" or param.auto == FROM_VOCABULARY or name in bound:
            continue
        if not (param.auto == FROM_INPUT and has_width):
            raise TypeError(f"{kind.name}.{name}: auto, but no input dimension of that name gives it a value")
