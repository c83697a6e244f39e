"""Prints the model of a plan as a class of its own: the same calls that `build()` makes a module of, as Python text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortex.builder import Call, Plan
from cortex.model import Route, route
from cortex.registry import KINDS

_WIDTH = 128
# What the methods of the class call their own values.
_TAKEN = ("self", "tokens", "cache", "batch", "vocabulary", "labels", "given", "padding")
_BATCH, _CACHE = "batch: dict[str, Tensor]", "cache: dict[str, dict] | None = None"


def model_class(planned: Plan, name: str) -> str:
    """The class of a plan without issues; its constructor takes the size of the vocabulary, and the number of labels where a
    layer has as many outputs.

    It makes the same modules in the same order as `build()`, so that equal seeds give equal weights, under the same names.
    """
    text = _Text(planned)
    first = (
        f"class {name}(nn.Module):\n"
        '    """`model(batch)` gives {loss: (sum in nats, number)} for `inputs`, (B, T), and what is compared with them."""'
    )
    methods = [text.init(), text.forward(), text.outputs(), text.logits(), text.new_cache(), *text.hidden()]
    return "\n\n".join([first, *methods])


def uses_padding(planned: Plan) -> bool:
    """Whether the class needs `padding`."""
    return bool(route(planned.calls).letters)


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


class _Text:
    """The methods of the class."""

    def __init__(self, planned: Plan) -> None:
        self.planned = planned
        self.route: Route = route(planned.calls)
        self.named = _variables(planned)
        self.main = self.route.losses[0]
        self.results = list(dict.fromkeys(self.named[call.inputs[0]] for call in self.route.losses))

    def init(self) -> str:
        labels = ", labels: int" if self.planned.compares_labels else ""
        lines = [f"    def __init__(self, vocabulary: int{labels}) -> None:", "        super().__init__()"]
        modules = [call for call in self.planned.calls if KINDS[call.kind].role != "source"]
        for call in modules:
            # What a plan without prepared data leaves open is told to the constructor.
            args = {key: Name(call.open[key]) if value is None else value for key, value in call.args.items()}
            target = f"self.{call.node} = "
            lines.append(f"        {target}{construct(KINDS[call.kind].cls.__name__, args, ' ' * 8, target)}")
        for call in modules:
            if call.args.get("tie_to"):
                lines.append(f"        self.{call.node}.weight = self.{call.args['tie_to']}.weight")
        heads = list(dict.fromkeys(literal(call.head or call.inputs[0]) for call in self.route.losses))
        lines.append(f"        self.heads = ({', '.join(heads)}{',' if len(heads) == 1 else ''})")
        weights = [f"{literal(call.node)}: {call.args['weight']!r}" for call in self.route.losses]
        lines.append(f"        self.loss_weights = {_dict(weights, 'self.loss_weights = ')}")
        return "\n".join(lines)

    def forward(self) -> str:
        results = []
        for call in self.route.losses:
            value = self.named[call.inputs[0]]
            with_head = f"self.{call.node}.from_hidden({value}, self.{call.head}, batch)"
            results.append(f"{literal(call.node)}: {with_head if call.head else f'self.{call.node}({value}, batch)'}")
        return self._of_batch("forward", "dict[str, tuple[Tensor, int]]", "", results)

    def outputs(self) -> str:
        results = [f"{literal(call.node)}: {self._scores(call)}" for call in self.route.losses]
        return self._of_batch("outputs", "dict[str, Tensor]", "The scores that each loss compares.", results)

    def logits(self) -> str:
        lines = [
            "    def logits(",
            f"        self, tokens: Tensor, {_CACHE}, {_BATCH} | None = None",
            "    ) -> Tensor:",
            '        """Scores of the next token after each of tokens (B, T), which follow those that the cache has seen."""',
        ]
        value = self.named[self.main.inputs[0]]
        if self.route.simple:
            given = [name if name == value else "_" for name in self.results]
            lines.append(f"        {', '.join(given)} = self._hidden(tokens, {'{}, ' if self.route.letters else ''}cache)")
        else:
            kept = [self.named[name] for name in self.route.kept]
            lines.append(
                '        given = {name: batch[name] for name in ("source", "source_lengths") if batch and name in batch}'
            )
            if kept:
                lines += self._remembered(kept)
            if self.main.inputs[0] not in self.route.kept:
                lines.append(f"        {value} = self._scored({', '.join(['tokens', *kept, 'given', 'cache'])})")
        return "\n".join([*lines, f"        return {self._scores(self.main)}  # (B, T, V)"])

    def _remembered(self, kept: list[str]) -> list[str]:
        """The memory: out of the cache where it is there, else computed."""
        entries = [f"cache[{literal(name)}]" for name in self.route.kept]
        return [
            f"        if cache is not None and {' and '.join(entries)}:",
            *(f'            {name} = {entry}["value"]' for name, entry in zip(kept, entries, strict=True)),
            "        else:",
            f"            {', '.join(kept)} = self._memory(tokens, given)",
            "            if cache is not None:",
            *(f'                {entry}["value"] = {name}' for name, entry in zip(kept, entries, strict=True)),
        ]

    def new_cache(self) -> str:
        line = _dict([f"{literal(name)}: {{}}" for name in self.route.cached], "return ")
        return (
            "    def new_cache(self) -> dict[str, dict]:\n"
            '        """An empty cache for `logits`: a dict for each module that mixes or counts positions."""\n'
            f"        return {line}"
        )

    def hidden(self) -> list[str]:
        """The methods that run the calls between the source and the losses."""
        found = self.route
        if found.simple:
            batch = [_BATCH] if found.letters else []
            return [self._run("_hidden", ["tokens: Tensor", *batch, _CACHE], found.trunk, self.results, True)]
        tokens = ["tokens: Tensor", _BATCH]
        methods = [self._run("_hidden", tokens, found.trunk, self.results, False)]
        kept = [self.named[name] for name in found.kept]
        if kept:
            methods.append(self._run("_memory", tokens, found.memory, kept, False))
        if self.main.inputs[0] not in found.kept:
            arguments = ["tokens: Tensor", *(f"{name}: Tensor" for name in kept), _BATCH, _CACHE]
            methods.append(self._run("_scored", arguments, found.path, [self.named[self.main.inputs[0]]], True))
        return methods

    def _run(self, name: str, arguments: list[str], calls: tuple[Call, ...], results: list[str], cached: bool) -> str:
        given = "Tensor" if len(results) == 1 else f"tuple[{', '.join(['Tensor'] * len(results))}]"
        first = f"    def {name}(self, {', '.join(arguments)}) -> {given}:"
        if len(first) > _WIDTH:
            first = "\n".join([f"    def {name}(", f"        self, {', '.join(arguments)}", f"    ) -> {given}:"])
        lines = [first]
        if cached and any(KINDS[call.kind].cached for call in calls):
            lines.append("        cache = cache or {}")
        for letter in dict.fromkeys(letter for call in calls for _, letter in call.masks):
            lines.append(f"        {_mask(letter)} = padding({literal(letter)}, batch)")
        for call in calls:
            kind = KINDS[call.kind]
            values = [f"batch[{literal(kind.reads)}]"] if kind.reads else [self.named[source] for source in call.inputs]
            values += [f"{argument}={_mask(letter)}" for argument, letter in call.masks]
            if kind.cached and cached:
                values.append(f"cache=cache.get({literal(call.node)})")
            shape = ", ".join(str(dim).replace(",", "_") for dim in self.planned.shapes[call.node])
            line = f"        {self.named[call.node]} = self.{call.node}({', '.join(values)})"
            lines.append(f"{line}  # ({shape})" if len(line) + len(shape) + 6 <= _WIDTH else line)
        return "\n".join([*lines, f"        return {', '.join(results)}"])

    def _of_batch(self, method: str, gives: str, says: str, results: list[str]) -> str:
        lines = [f"    def {method}(self, {_BATCH}) -> {gives}:", *([f'        """{says}"""'] if says else [])]
        batch = ", batch" if self.route.letters or not self.route.simple else ""
        lines.append(f'        {", ".join(self.results)} = self._hidden(batch["inputs"]{batch})')
        return "\n".join([*lines, f"        return {_dict(results, 'return ')}"])

    def _scores(self, call: Call) -> str:
        value = self.named[call.inputs[0]]
        return f"self.{call.head}({value})" if call.head else value


def _dict(entries: list[str], before: str) -> str:
    """A dict of these entries after eight spaces and `before`, on several lines where one would be too long."""
    line = f"{{{', '.join(entries)}}}"
    return (
        line
        if 8 + len(before) + len(line) <= _WIDTH
        else "{\n" + "".join(f"            {one},\n" for one in entries) + "        }"
    )


def _mask(letter: str) -> str:
    """No id of a node begins with an underscore."""
    return f"_real_{letter.replace('+', '_')}"


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
