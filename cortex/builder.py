"""From a Graph to a model: `plan()` gives ordered calls or issues, `build()` makes the torch module of the calls."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

import cortex.layers
import cortex.losses
import cortex.sources
import cortex.sources_hub  # noqa: F401  the four fill the registry
from cortex.bypass import passed_by
from cortex.checks import Issue, Wiring, wiring_issues
from cortex.config import TrainConfig
from cortex.graph import Graph, Node
from cortex.params import AUTO, FROM_VOCABULARY, complete, params_of, problems
from cortex.registry import KINDS, Kind

TRAINING = params_of(TrainConfig)

# The settings of a source that are the sizes of what it gives.
_SOURCE_SIZES = {"batch_size": "B", "seq_len": "T"}


@dataclass(frozen=True)
class Dim:
    """One dimension of a value: its letter and its size, None while the vocabulary is not known."""

    letter: str
    size: int | None

    def __str__(self) -> str:
        return self.letter if self.letter in "BT" or self.size is None else f"{self.size:,}"


Shape = tuple[Dim, ...]


@dataclass(frozen=True)
class Call:
    """One step of the forward pass.

    Args:
        args: what the module is constructed with, every "auto" resolved.
        inputs: the node whose output goes into each port, in the order of the kind's ports.
        head: for a loss, the Linear that is computed together with it; its own call is then only run for logits.
    """

    node: str
    kind: str
    args: Mapping[str, Any]
    inputs: tuple[str, ...]
    head: str | None = None


@dataclass(frozen=True)
class Plan:
    """What `plan()` found. `calls` is empty when there are issues; a size that hangs on an unknown vocabulary is None."""

    graph: Graph
    calls: tuple[Call, ...]
    issues: tuple[Issue, ...]
    shapes: Mapping[str, Shape]
    parameters: Mapping[str, int | None]
    vocabulary: int | None = field(default=None)

    @property
    def total(self) -> int | None:
        """Number of parameters of the whole model."""
        counts = self.parameters.values()
        return None if None in counts or not counts else sum(counts)

    def issues_of(self, node_id: str) -> list[Issue]:
        return [issue for issue in self.issues if issue.node == node_id]


class PlanError(ValueError):
    """A graph with issues was to be built; `issues` has all of them."""

    def __init__(self, issues: tuple[Issue, ...]) -> None:
        super().__init__("\n".join(map(str, issues)))
        self.issues = issues


def shape_text(shape: Shape) -> str:
    """`B×T×128`"""
    return "×".join(map(str, shape))


def plan(graph: Graph, vocabulary: int | None = None) -> Plan:
    """The calls that compute this graph, or every issue that stands in the way, roots before what follows from them.

    Args:
        vocabulary: number of tokens, V; None while the data is not prepared, which is no fault.
    """
    shown, (graph, faults) = graph, passed_by(graph)
    wiring = wiring_issues(graph)
    wiring.issues += [Issue(node, "bypass", message, hint) for node, (message, hint) in faults.items()]
    resolver = _Resolver(graph, wiring, vocabulary)
    for node in wiring.order:
        resolver.visit(node)
    resolver.tie()
    issues = [*wiring.issues, *resolver.issues, *_training_issues(graph)]
    issues.sort(key=lambda issue: issue.follows is not None)
    calls = () if issues else tuple(_lower(graph, resolver.calls))
    return Plan(shown, calls, tuple(issues), resolver.shapes, resolver.parameters, vocabulary)


class _Resolver:
    """Walks the nodes in order and works out values, shapes and parameter counts."""

    def __init__(self, graph: Graph, wiring: Wiring, vocabulary: int | None) -> None:
        self.graph, self.wiring, self.vocabulary = graph, wiring, vocabulary
        self.issues: list[Issue] = []
        self.calls: list[Call] = []
        self.shapes: dict[str, Shape] = {}
        self.parameters: dict[str, int | None] = {}
        self._root: dict[str, str] = {}  # a node without a shape -> the node whose fault that is
        self._sizes: dict[str, int] = {}  # B and T of the source, for checks

    def visit(self, node: Node) -> None:
        kind = KINDS[node.kind]
        values = complete(kind.params, node.params)
        faults = problems(kind.params, node.params)
        for name, problem in faults.items():
            what = f"{name}={node.params[name]!r}" if name in kind.params else name
            self._fault(node, name, f"{what} {problem}")
        incoming = self._incoming(node, kind)
        if incoming is None:
            self._check(node, kind, values, bool(faults))
            return
        bound = self._bind(node, kind, values, incoming, faults)
        shape_faults = faults.keys() & {*(kind.output or ()), *(_SOURCE_SIZES if kind.role == "source" else ())}
        if bound is None or shape_faults:
            self._root[node.id] = node.id
            return
        if kind.role == "source":
            self._sizes = {letter: values[name] for name, letter in _SOURCE_SIZES.items()}
            bound = {letter: Dim(letter, size) for letter, size in self._sizes.items()}
        self._check(node, kind, values, bool(faults))
        if kind.output:
            self.shapes[node.id] = tuple(self._out(dim, values, bound) for dim in kind.output)
        self.parameters[node.id] = self._count(kind, values, node)
        self.calls.append(Call(node.id, node.kind, values, tuple(self.wiring.inputs[node.id].values())))

    def tie(self) -> None:
        """Check every layer that shares its weights with another, once all sizes are known, and count them once."""
        known = {call.node: call for call in self.calls}
        for call in self.calls:
            wanted = call.args.get("tie_to")
            if not wanted:
                continue
            node, other = self.graph.node(call.node), known.get(wanted)
            if other is None or other.kind != "Embedding":
                if wanted in self._root:
                    continue  # that node's own fault is told
                found = f"is {other.kind}" if other else "is no node here"
                names = [candidate.id for candidate in self.graph.of_kind("Embedding")]
                hint = f"set it to {' or '.join(names)}, or leave it empty" if names else "leave it empty"
                self._fault(node, "tie_to", f"tie_to={wanted!r} {found}, expected an Embedding", hint)
                continue
            mine = call.args["out_features"], call.args["in_features"]
            its = other.args["num_embeddings"], other.args["embedding_dim"]
            if mine != its:
                sizes = [f"{'V' if rows is None else f'{rows:,}'}×{width:,}" for rows, width in (mine, its)]
                self._fault(
                    node, "tie_to", f"tie_to={wanted!r} has weights of {sizes[1]}, this layer needs {sizes[0]}",
                    "make the sizes equal, or leave tie_to empty",
                )  # fmt: skip
            elif self.parameters.get(call.node) is not None:
                self.parameters[call.node] -= mine[0] * mine[1]

    def _check(self, node: Node, kind: Kind, values: Mapping[str, Any], faulty: bool) -> None:
        if kind.check and not faulty:
            known = {"V": self.vocabulary} if self.vocabulary else {}
            for name, message, hint in kind.check(values, {**self._sizes, **known}):
                self._fault(node, name, message, hint)

    def _incoming(self, node: Node, kind: Kind) -> dict[str, Shape] | None:
        """The shape at each port, None (with an issue that says whose fault it is) when one is not known."""
        sources = self.wiring.inputs[node.id]
        if set(sources) != set(kind.inputs):
            self._root[node.id] = node.id  # told by the wiring
            return None
        for source in sources.values():
            if source not in self.shapes:
                root = self._root.get(source, source)
                self._root.setdefault(node.id, root)
                self.issues.append(Issue(node.id, None, f"waits for {root}, which has a fault", follows=root))
                return None
        return {port: self.shapes[source] for port, source in sources.items()}

    def _bind(
        self, node: Node, kind: Kind, values: dict[str, Any], incoming: dict[str, Shape], faulty: Collection[str]
    ) -> dict[str, Dim] | None:
        """Dimensions by name, `auto` values filled in from them; None when the input does not fit."""
        bound: dict[str, Dim] = {}
        for port, names in kind.inputs.items():
            shape = incoming[port]
            if len(shape) != len(names):
                needs = "×".join(name if name in "BTSV" else "width" for name in names)
                ids = len(shape) == 2
                hint = "put an Embedding before it" if ids and len(names) == 3 else ""
                what = "token numbers " if ids else ""
                self._fault(node, None, f"received {what}{shape_text(shape)}, expected {needs}", hint)
                return None
            for name, dim in zip(names, shape, strict=True):
                if name not in faulty and not self._fits(node, kind, name, dim, values):
                    return None
                bound[name] = dim
        for name, param in kind.params.items():
            if values[name] == AUTO and param.auto == FROM_VOCABULARY:
                values[name] = self.vocabulary
        return bound

    def _fits(self, node: Node, kind: Kind, name: str, dim: Dim, values: dict[str, Any]) -> bool:
        if name == "V":
            return self._scores(node, dim)
        if name in kind.params and values[name] == AUTO:
            values[name] = dim.size
        elif name in kind.params and dim.size is not None and values[name] != dim.size:
            self._fault(node, name, f"{name}={values[name]} is not the incoming width, {dim.size}", "set it to auto")
            return False
        return True

    def _scores(self, node: Node, dim: Dim) -> bool:
        """Whether what comes in is one score for each token of the vocabulary."""
        source = self.graph.node(next(iter(self.wiring.inputs[node.id].values())))
        head = dim.letter in ("V", "out_features")
        if self.vocabulary is None or dim.size is None:
            fits = head  # whether its width suffices shows once the data is prepared
        else:
            fits = dim.size >= self.vocabulary
        if not fits:
            known = f", {self.vocabulary:,} tokens" if self.vocabulary else ""
            hint = f"set out_features of {source.id} to auto" if head else "put a Linear before it"
            self._fault(node, None, f"received width {dim}, expected one score for each token of the vocabulary{known}", hint)
        return fits

    def _out(self, name: str, values: Mapping[str, Any], bound: Mapping[str, Dim]) -> Dim:
        if name in bound:
            return bound[name]
        return Dim("V" if values[name] is None or values[name] == self.vocabulary else name, values[name])

    def _count(self, kind: Kind, values: Mapping[str, Any], node: Node) -> int | None:
        if kind.role == "source":
            return 0
        if None in values.values():
            return None
        if any(issue.node == node.id for issue in self.issues):
            return None
        return _parameter_count(kind, tuple(values.items()))

    def _fault(self, node: Node, name: str | None, message: str, hint: str = "") -> None:
        self.issues.append(Issue(node.id, name, message, hint))


@functools.lru_cache(maxsize=4096)
def _parameter_count(kind: Kind, values: tuple[tuple[str, Any], ...]) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in kind.cls(**dict(values)).parameters())


def _training_issues(graph: Graph) -> Iterator[Issue]:
    for name, problem in problems(TRAINING, graph.training).items():
        value = f"={graph.training[name]!r}" if name in TRAINING else ""
        yield Issue(None, f"training.{name}", f"{name}{value} {problem}")


def _lower(graph: Graph, calls: list[Call]) -> Iterator[Call]:
    """The calls with each Linear that feeds only a loss computed together with that loss."""
    made = {call.node: call for call in calls}
    for call in calls:
        feeds = made.get(call.inputs[0]) if call.inputs else None
        linear = feeds is not None and issubclass(KINDS[feeds.kind].cls, nn.Linear) and len(graph.out_of(feeds.node)) == 1
        if linear and KINDS[call.kind].role == "loss":
            yield Call(call.node, call.kind, call.args, feeds.inputs, head=feeds.node)
        else:
            yield call


def train_config(graph: Graph) -> TrainConfig:
    """The training settings of a graph without issues, defaults filled in."""
    return TrainConfig(**complete(TRAINING, graph.training))


def build(planned: Plan) -> Model:
    """The torch module of a plan, freshly initialised from torch's global random state.

    Raises:
        PlanError: the plan has issues.
        ValueError: the vocabulary is not known yet.
    """
    if planned.issues:
        raise PlanError(planned.issues)
    if planned.vocabulary is None:
        raise ValueError("the vocabulary is not known; prepare the data first")
    return Model(planned.calls)


class Model(nn.Module):
    """The model of a plan. Children and keys carry the ids of the nodes.

    `model(batch)` gives {loss id: (sum in nats, tokens)} for a batch of `inputs` and `targets`, each (B, T).
    """

    def __init__(self, calls: tuple[Call, ...]) -> None:
        super().__init__()
        self.loss_weights: dict[str, float] = {}
        self._losses: list[tuple[str, str, str | None]] = []  # loss, its input, the head computed with it
        self._trunk: list[tuple[str, tuple[str, ...], bool]] = []  # node, inputs, whether it takes a cache
        heads = {call.head for call in calls}
        sources = [call.node for call in calls if KINDS[call.kind].role == "source"]
        self._source = sources[0]
        for call in calls:
            kind = KINDS[call.kind]
            if kind.role == "source":
                continue
            self.add_module(call.node, kind.cls(**call.args))
            if kind.role == "loss":
                self.loss_weights[call.node] = call.args["weight"]
                self._losses.append((call.node, call.inputs[0], call.head))
            elif call.node not in heads:
                self._trunk.append((call.node, call.inputs, kind.cached))
        for call in calls:
            if call.args.get("tie_to"):
                getattr(self, call.node).weight = getattr(self, call.args["tie_to"]).weight
        # The modules that score tokens: their rows are looked up one by one, which optimizers may treat apart.
        self.heads = tuple(head or value for _, value, head in self._losses)
        _, value, head = self._losses[0]
        self._logits = (value, head)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        values = self._hidden(batch["inputs"], None)
        losses = {}
        for name, value, head in self._losses:
            loss = getattr(self, name)
            if head is None:
                losses[name] = loss(values[value], batch)
            else:
                losses[name] = loss.from_hidden(values[value], getattr(self, head), batch)
        return losses

    def logits(self, tokens: Tensor, cache: dict[str, dict] | None = None) -> Tensor:
        """Scores of the next token after each of tokens (B, T): (B, T, V). With a cache, tokens follow those seen before."""
        value, head = self._logits
        x = self._hidden(tokens, cache)[value]  # (B, T, C)
        return x if head is None else getattr(self, head)(x)  # (B, T, V)

    def new_cache(self) -> dict[str, dict]:
        """An empty cache for `logits`: a dict for each module that mixes or counts positions."""
        return {name: {} for name, _, cached in self._trunk if cached}

    def _hidden(self, tokens: Tensor, cache: dict[str, dict] | None) -> dict[str, Tensor]:
        values = {self._source: tokens}  # (B, T)
        for name, inputs, cached in self._trunk:
            arguments = [values[source] for source in inputs]
            if cached and cache is not None:
                arguments.append(cache[name])
            values[name] = getattr(self, name)(*arguments)
        return values
