"""Prints the model of a plan as a class of its own: the same calls that `build()` makes a module of, as Python text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortex.builder import Call, Plan
from cortex.registry import KINDS

_WIDTH = 128
# What the methods of the class call their own values.
_TAKEN = ("self", "tokens", "cache", "batch", "vocabulary")


def model_class(planned: Plan, name: str) -> str:
    """The class of a plan without issues; its constructor takes the size of the vocabulary where that is not known yet.

    It makes the same modules in the same order as `build()`, so that equal seeds give equal weights, under the same names.
    """
    return "\n\n".join(
        [
            f"class {name}(nn.Module):\n"
            '    """`model(batch)` gives {loss: (sum in nats, tokens)} for `inputs` and `targets`, each (B, T)."""',
            _init(planned),
            _forward(planned),
            _logits(planned),
            _new_cache(planned),
            _hidden(planned),
        ]
    )


def literal(value: Any) -> str:
    """A value as Python text; strings between double quotes where that needs no escape."""
    text = repr(value)
    simple = isinstance(value, str) and text[0] == "'" and '"' not in text and "\\" not in text
    return f'"{text[1:-1]}"' if simple else text


def construct(name: str, values: Mapping[str, Any], indent: str = "", before: str = "") -> str:
    """`name(key=value, …)`, on several lines where one would be too long."""
    arguments = [f"{key}={value if isinstance(value, Name) else literal(value)}" for key, value in values.items()]
    line = f"{name}({', '.join(arguments)})"
    if len(indent) + len(before) + len(line) <= _WIDTH:
        return line
    inner = "".join(f"{indent}    {argument},\n" for argument in arguments)
    return f"{name}(\n{inner}{indent})"


class Name(str):
    """A Python name, not a text."""


# Its methods


def _init(planned: Plan) -> str:
    lines = ["    def __init__(self, vocabulary: int) -> None:", "        super().__init__()"]
    modules = [call for call in planned.calls if KINDS[call.kind].role != "source"]
    for call in modules:
        # What a plan without a vocabulary leaves open is the vocabulary.
        args = {key: Name("vocabulary") if value is None else value for key, value in call.args.items()}
        target = f"self.{call.node} = "
        lines.append(f"        {target}{construct(KINDS[call.kind].cls.__name__, args, ' ' * 8, target)}")
    for call in modules:
        if call.args.get("tie_to"):
            lines.append(f"        self.{call.node}.weight = self.{call.args['tie_to']}.weight")
    losses = _losses(planned)
    heads = "".join(f"{literal(call.head or call.inputs[0])}, " for call in losses)
    lines.append(f"        self.heads = ({heads.rstrip() if len(losses) == 1 else heads.removesuffix(', ')})")
    weights = ", ".join(f"{literal(call.node)}: {call.args['weight']!r}" for call in losses)
    lines.append(f"        self.loss_weights = {{{weights}}}")
    return "\n".join(lines)


def _forward(planned: Plan) -> str:
    named, results = _variables(planned), []
    for call in _losses(planned):
        value = named[call.inputs[0]]
        compute = (
            f"self.{call.node}.from_hidden({value}, self.{call.head}, batch)"
            if call.head
            else f"self.{call.node}({value}, batch)"
        )
        results.append(f"{literal(call.node)}: {compute}")
    return (
        "    def forward(self, batch: dict[str, Tensor]) -> dict[str, tuple[Tensor, int]]:\n"
        f'        {", ".join(_results(planned))} = self._hidden(batch["inputs"])\n'
        f"        return {{{', '.join(results)}}}"
    )


def _logits(planned: Plan) -> str:
    first = _losses(planned)[0]
    value = _variables(planned)[first.inputs[0]]
    given = [name if name == value else "_" for name in _results(planned)]
    return (
        "    def logits(self, tokens: Tensor, cache: dict[str, dict] | None = None) -> Tensor:\n"
        '        """Scores of the next token after each of tokens (B, T), which follow those that the cache has seen."""\n'
        f"        {', '.join(given)} = self._hidden(tokens, cache)\n"
        f"        return {f'self.{first.head}({value})' if first.head else value}  # (B, T, V)"
    )


def _new_cache(planned: Plan) -> str:
    names = [f"{literal(call.node)}: {{}}" for call in _trunk(planned) if KINDS[call.kind].cached]
    line = ", ".join(names)
    if len(line) + len("        return {}") > _WIDTH:
        line = "\n" + "".join(f"            {name},\n" for name in names) + "        "
    return (
        "    def new_cache(self) -> dict[str, dict]:\n"
        '        """An empty cache for `logits`: a dict for each module that mixes or counts positions."""\n'
        f"        return {{{line}}}"
    )


def _hidden(planned: Plan) -> str:
    named, results = _variables(planned), _results(planned)
    given = "Tensor" if len(results) == 1 else f"tuple[{', '.join(['Tensor'] * len(results))}]"
    lines = [f"    def _hidden(self, tokens: Tensor, cache: dict[str, dict] | None = None) -> {given}:"]
    if any(KINDS[call.kind].cached for call in _trunk(planned)):
        lines.append("        cache = cache or {}")
    for call in _trunk(planned):
        arguments = [named[source] for source in call.inputs]
        if KINDS[call.kind].cached:
            arguments.append(f"cache.get({literal(call.node)})")
        shape = ", ".join(str(dim).replace(",", "_") for dim in planned.shapes[call.node])
        lines.append(f"        {named[call.node]} = self.{call.node}({', '.join(arguments)})  # ({shape})")
    return "\n".join([*lines, f"        return {', '.join(results)}"])


def _losses(planned: Plan) -> list[Call]:
    return [call for call in planned.calls if KINDS[call.kind].role == "loss"]


def _trunk(planned: Plan) -> list[Call]:
    """The calls between the source and what the losses take."""
    heads = {call.head for call in planned.calls}
    return [call for call in planned.calls if KINDS[call.kind].role not in ("source", "loss") and call.node not in heads]


def _results(planned: Plan) -> list[str]:
    """The variables that the losses are computed from, each once."""
    named = _variables(planned)
    return list(dict.fromkeys(named[call.inputs[0]] for call in _losses(planned)))


def _variables(planned: Plan) -> dict[str, str]:
    """The variable of each node's value: its id, unless a method needs that name for something else."""
    named: dict[str, str] = {}
    ids = {call.node for call in planned.calls}
    for call in planned.calls:
        name = call.node
        while name in _TAKEN or (name != call.node and name in ids):
            name += "_"
        named[call.node] = "tokens" if KINDS[call.kind].role == "source" else name
    return named
