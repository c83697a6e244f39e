"""A declaration read and compared with its class: the shape rule's ports and dimensions, the masks, and whether all agree."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from cortex.kind import ANY, FAMILIES, LETTERS, ROLES, Kind
from cortex.params import AUTO, FROM_INPUT, FROM_VOCABULARY


def parse_shape(rule: str) -> tuple[dict[str, tuple[str, ...]], dict[str, str], int, tuple[str, ...] | None]:
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


def masks_of(role: str, cls: type, inputs: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """`mask` is of the port that is attended to, which is `key` or the first; `memory_mask` of the port `memory`."""
    if role not in ("module", "merge"):
        return {}
    taken = [name for name in inspect.signature(cls.forward).parameters if name == "mask" or name.endswith("_mask")]
    first = "key" if "key" in inputs else next(iter(inputs), "in")
    return {name: name.removesuffix("_mask") if name != "mask" else first for name in taken}


def verify(kind: Kind) -> None:
    """TypeError where a declaration disagrees with its class."""
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
