"""The declaration of node kinds. A kind is one decorated class; everything else about it is derived from here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cortex.declaration import masks_of, parse_shape, verify
from cortex.kind import FAMILIES, ROLES, Check, Fact, Joins, Kind
from cortex.params import Param

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
        inputs, defaults, most, output = parse_shape(shape)
        kind = Kind(
            cls.__name__, role, family, cls, dict(params), inputs, output, cached, causal, check,
            defaults, most, tuple(whole), masks_of(role, cls, inputs), reads, joins, task,
        )  # fmt: skip
        registry = KINDS if into is None else into
        verify(kind)
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
