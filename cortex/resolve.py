"""Walks a graph's nodes in order and works out values, shapes and parameter counts, or what stands in the way."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from cortex.call import Call
from cortex.checks import Issue, Wiring
from cortex.compared import not_compared
from cortex.counted import parameter_count
from cortex.graph import Graph, Node
from cortex.kind import ANY, Kind, Sizes
from cortex.params import AUTO, FROM_INPUT, FROM_VOCABULARY, complete, problems
from cortex.registry import KINDS
from cortex.shapes import Dim, Shape, agree, is_tokens, shape_text
from cortex.targets import Targets

# The settings of a source that are the sizes of what it gives.
_SOURCE_SIZES = {"batch_size": "B", "seq_len": "T"}
# Settings of a role without which nothing can be said of what is behind: its sizes and its task, what a loss compares.
_DECIDE = {"source": (*_SOURCE_SIZES, "type"), "loss": ("target",)}
_MOST_SHOWN = 60  # characters of a value


class Resolver:
    """What is found of each node; `visit` them in the wiring's order, then `tie`."""

    def __init__(self, graph: Graph, wiring: Wiring, targets: Targets) -> None:
        self.graph, self.wiring, self.targets = graph, wiring, targets
        self.issues: list[Issue] = []
        self.calls: list[Call] = []
        self.shapes: dict[str, Shape] = {}
        self.parameters: dict[str, int | None] = {}
        self.root: dict[str, str] = {}  # a node without a shape -> the node whose fault that is
        self._sizes: dict[str, int] = {}  # B, T and S of the source
        self._open: dict[str, dict[str, str]] = {}

    def visit(self, node: Node) -> None:
        kind = KINDS[node.kind]
        if kind.role == "subgraph":  # one that could not be laid out
            self.root[node.id] = node.id
            return
        values = complete(kind.params, node.params)
        faults = problems(kind.params, node.params)
        for name, problem in faults.items():
            what = f"{name}={_shown(node.params[name])}" if name in kind.params else name
            near = () if name in kind.params else difflib.get_close_matches(name, kind.params, 1, 0.6)
            self.fault(node.id, name, f"{what} {problem}", f"did you mean {near[0]}?" if near else "")
        incoming = self._incoming(node, kind)
        if incoming is None:
            self._check(node, kind, values, bool(faults), {})
            return
        undecided = faults.keys() & {*(kind.output or ()), *_DECIDE.get(kind.role, ())}
        bound = None if kind.role == "loss" and undecided else self._bind(node, kind, values, incoming, faults)
        if bound is None or undecided or not self._feeds_what_is_asked(node, kind):
            self.root.setdefault(node.id, node.id)
            return
        if kind.role == "source":
            self._sizes = {letter: values[name] for name, letter in _SOURCE_SIZES.items()}
            self._sizes["S"] = self._sizes["T"]
        self._check(node, kind, values, bool(faults), bound)
        if kind.output:
            shape = self._output(node, kind, values, bound, incoming)
            if shape is None:
                self.root[node.id] = node.id
                return
            self.shapes[node.id] = shape
        self.parameters[node.id] = self._count(kind, values, node)
        inputs = self.wiring.inputs[node.id]
        masks = ((name, self._letter(inputs[port])) for name, port in kind.masks.items())
        self.calls.append(
            Call(
                node.id, node.kind, values, tuple(inputs.values()),
                masks=tuple((name, letter) for name, letter in masks if letter), open=self._open.get(node.id, {}),
            )
        )  # fmt: skip

    def fault(self, node_id: str, name: str | None, message: str, hint: str = "", follows: str | None = None) -> None:
        self.issues.append(Issue(node_id, name, message, hint, follows))

    def _check(self, node: Node, kind: Kind, values: Mapping[str, Any], faulty: bool, bound: Mapping[str, Dim]) -> None:
        if not kind.check or faulty:
            return
        sizes = Sizes(self._sizes)
        sizes.update({letter: bound[letter].size for letter in ("T", "S") if letter in bound and bound[letter].size})
        sizes.letters = {letter: bound[letter].letter for letter in ("T", "S") if letter in bound}
        if self.targets.tokens:
            sizes["V"] = self.targets.tokens
        for name, message, hint in kind.check(values, sizes):
            self.fault(node.id, name, message, hint)

    def _incoming(self, node: Node, kind: Kind) -> dict[str, Shape] | None:
        """The shape at each port, None (with an issue that says whose fault it is) when one is not known."""
        sources = self.wiring.inputs[node.id]
        if not set(kind.inputs) <= set(sources):
            self.root[node.id] = node.id  # told by the wiring
            return None
        for source in sources.values():
            if source not in self.shapes:
                root = self.root.get(source, source)
                self.root.setdefault(node.id, root)
                self.fault(node.id, None, f"waits for {root}, which has a fault", follows=root)
                return None
        return {port: self.shapes[source] for port, source in sources.items()}

    def _feeds_what_is_asked(self, node: Node, kind: Kind) -> bool:
        """Whether the data has the part of the batch that this kind reads."""
        if kind.reads == "source" and self.targets.task != "Pairs":
            self.fault(
                node.id, None, f"gives the source side of Pairs, and the data is {self.targets.task}",
                "set type=Pairs in CustomData, or remove this node",
            )  # fmt: skip
            return False
        return True

    def _bind(
        self, node: Node, kind: Kind, values: dict[str, Any], incoming: dict[str, Shape], faulty: Collection[str]
    ) -> dict[str, Dim] | None:
        """Dimensions by name, `auto` values filled in from them; None when the input does not fit."""
        if kind.role == "loss" and not self._can_be_compared(node):
            return None
        bound: dict[str, Dim] = {}
        first: dict[str, str] = {}  # the port that a name was bound at
        if not kind.joins:
            port, *others = incoming or ("",)
            other = next((other for other in others if self._ranks_differ(kind, port, other, incoming)), None)
            if other:
                return self._unequal(node, port, other, incoming)
        for port, shape in incoming.items():
            named = self._named(node, port, kind.dims(port) or (), shape)
            if named is None:
                return None
            for name, dim in named:
                if name not in faulty and not self._fits(node, name, dim, values):
                    return None
                if name in bound and not kind.joins and not agree(bound[name], dim):
                    return self._unequal(node, first[name], port, incoming)
                bound[name] = bound[name] if name in bound and bound[name].size is not None else dim
                first.setdefault(name, port)
        for name, param in kind.params.items():
            if values[name] == AUTO and param.auto == FROM_VOCABULARY:
                if not self._from_data(node, kind, name, values):
                    return None
            elif values[name] == AUTO and param.auto == FROM_INPUT:
                self._take(node, name, next(iter(incoming.values()))[-1], values)
        return bound

    def _ranks_differ(self, kind: Kind, one: str, other: str, incoming: Mapping[str, Shape]) -> bool:
        """Whether two ports that take any number of leading dimensions have got different numbers of them."""
        anywhere = all((kind.dims(port) or (None,))[0] == ANY for port in (one, other))
        return (
            anywhere
            and len(incoming[one]) != len(incoming[other])
            and not any(map(is_tokens, (incoming[one], incoming[other])))
        )

    def _named(self, node: Node, port: str, names: tuple[str, ...], shape: Shape) -> list[tuple[str, Dim]] | None:
        """The dimensions of a shape by the names of a port's rule, leading ones as …0, …1; None when they do not fit."""
        width = names[-1] not in ("T", "S")
        lead = max(1, len(shape) - len(names) + 1) if names[0] == ANY else 0
        if is_tokens(shape) != (not width) or len(shape) != len(names) - bool(lead) + lead:
            needs = "×".join(name if name in "BTSV" else "…" if name == ANY else "width" for name in names)
            what, hint = "", ""
            if is_tokens(shape):
                what, hint = "token numbers ", "put an Embedding before it" if width else ""
            elif not width:
                hint = "connect it to the data node, or remove it"
            elif len(shape) < len(names):
                hint = "it has no positions any more; put this before what takes them away, or remove that"
            at = f" at port {port}" if len(self.wiring.inputs[node.id]) > 1 else ""
            self.fault(node.id, None, f"received {what}{shape_text(shape)}{at}, expected {needs}", hint)
            return None
        rest = names[1:] if lead else names
        return [*((f"{ANY}{place}", shape[place]) for place in range(lead)), *zip(rest, shape[lead:], strict=True)]

    def _fits(self, node: Node, name: str, dim: Dim, values: dict[str, Any]) -> bool:
        if name not in values:
            return True
        if values[name] == AUTO:
            self._take(node, name, dim, values)
        elif dim.size is not None and values[name] != dim.size:
            self.fault(node.id, name, f"{name}={values[name]} is not the incoming width, {dim.size}", "set it to auto")
            return False
        return True

    def _take(self, node: Node, name: str, dim: Dim, values: dict[str, Any]) -> None:
        values[name] = dim.size
        if dim.of:
            self._open.setdefault(node.id, {})[name] = dim.of

    def _unequal(self, node: Node, one: str, other: str, incoming: Mapping[str, Shape]) -> None:
        sources = self.wiring.inputs[node.id]
        found = [f"{sources[port]} gives {shape_text(incoming[port])} at port {port}" for port in (one, other)]
        widths = [incoming[port][-1] for port in (one, other)]
        same_rest = list(map(str, incoming[one][:-1])) == list(map(str, incoming[other][:-1]))
        hint = "connect values of equal shape"
        if same_rest and all(width.size for width in widths):
            sizes = [shape[-1].size for shape in self.shapes.values()]
            wide = sizes.count(widths[1].size) > sizes.count(widths[0].size)  # the width of the rest stays
            narrow, size = (one, widths[1].size) if wide else (other, widths[0].size)
            hint = f"put a Linear with out_features={size} behind {sources[narrow]}, or take Concat"
        self.fault(node.id, None, f"its inputs do not fit together: {' and '.join(found)}", hint)

    def _from_data(self, node: Node, kind: Kind, name: str, values: dict[str, Any]) -> bool:
        """Fill in a number that hangs on the data; False, with an issue, where the losses want different ones."""
        wanted = {self.targets.rows} if name not in (kind.output or ()) else self.targets.scores_behind(node.id)
        if len(wanted) > 1:
            counts = " and ".join(sorted(wanted))
            self.fault(
                node.id, name, f"{name}=auto is not one number: the losses behind it compare {counts}",
                "give each Loss a Linear of its own",
            )  # fmt: skip
            return False
        (what,) = wanted
        self._open.setdefault(node.id, {})[name] = what
        values[name] = self.targets.number(what)
        return True

    def _can_be_compared(self, node: Node) -> bool:
        faults = list(not_compared(node.id, self.targets, self.wiring, self.shapes))
        self.issues += faults
        self.root |= {fault.node: fault.follows for fault in faults if fault.follows}
        return not faults

    def _output(
        self, node: Node, kind: Kind, values: Mapping[str, Any], bound: Mapping[str, Dim], incoming: Mapping[str, Shape]
    ) -> Shape | None:
        if kind.joins:
            sources = self.wiring.inputs[node.id]
            try:
                return kind.joins(values, [(sources[port], shape) for port, shape in incoming.items()])
            except ValueError as error:
                self.fault(node.id, None, *error.args)
                return None
        shape: list[Dim] = []
        for name in kind.output or ():
            shape += (
                [dim for key, dim in bound.items() if key[0] == ANY] if name == ANY else [self._out(node, name, values, bound)]
            )
        return tuple(shape)

    def _out(self, node: Node, name: str, values: Mapping[str, Any], bound: Mapping[str, Dim]) -> Dim:
        if name in bound:
            return bound[name]
        if name in ("B", "T", "S"):
            return Dim(name, self._sizes.get(name))
        of = self._open.get(node.id, {}).get(name, "")
        return Dim("V" if of or values[name] == self.targets.vocabulary else name, values[name], of)

    def _letter(self, source: str) -> str | None:
        return next((dim.letter for dim in self.shapes[source] if dim.is_time), None)

    def _count(self, kind: Kind, values: Mapping[str, Any], node: Node) -> int | None:
        if kind.role == "source":
            return 0
        if None in values.values() or any(issue.node == node.id for issue in self.issues):
            return None
        return parameter_count(kind, tuple(values.items()))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
