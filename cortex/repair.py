"""One edit that mends a fault: candidates are tried on the graph itself, and only one after which the fault is gone is offered.

What would mend a fault is guessed from its node, its field and what is connected there; whether it does is asked of `plan()`.
So a repair that is offered is never a promise, and a new kind of node needs no entry here.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from cortex.builder import TRAINING, Plan, plan
from cortex.checks import Issue
from cortex.graph import Edge, Graph, Node
from cortex.params import AUTO, Bool, Choice, Int, NodeName, Param, Text, complete
from cortex.ports import ports_of
from cortex.registry import KINDS
from cortex.rework import EditError, insert_on_edge, rename_node
from cortex.steps import step_name

# A whole number is tried this far up and down from the one that does not fit.
_NEAREST = 64


@dataclass(frozen=True)
class Repair:
    """An edit that mends a fault: what it does, in words for a button, and the graph after it."""

    label: str
    graph: Graph


def repair(planned: Plan, issue: Issue, again: Callable[[Graph], Plan] | None = None) -> Repair | None:
    """The first edit after which this fault is gone and no other has come; None where no single edit is known to do that.

    Args:
        again: what found the faults, where it is more than `plan()`, faults of the text among them.
    """
    again = again or (lambda graph: plan(graph, planned.vocabulary, planned.labels))
    before = _roots(planned)
    for label, graph in _candidates(planned, issue):
        after = _roots(again(graph))
        if after < before and _key(issue) not in after:
            return Repair(label or step_name(planned.graph, graph)[0], graph)
    return None


def _roots(planned: Plan) -> set[tuple[str | None, str | None, str]]:
    return {_key(issue) for issue in planned.issues if issue.follows is None}


def _key(issue: Issue) -> tuple[str | None, str | None, str]:
    return issue.node, issue.field, issue.message


# Guesses, the likeliest first; a label where the name of the edit would not say enough


def _candidates(planned: Plan, issue: Issue) -> Iterator[tuple[str, Graph]]:
    graph = planned.graph
    if issue.field and issue.field.startswith("training."):
        yield from _training(graph, issue.field.removeprefix("training."))
    elif issue.node is None:
        yield from _ends(graph)
    elif issue.node in graph:
        node = graph.node(issue.node)
        for guess in (_identity, _wires, _settings, _inputs, _width_before, _outputs):
            yield from guess(planned, node, issue)


def _training(graph: Graph, name: str) -> Iterator[tuple[str, Graph]]:
    without = {key: value for key, value in graph.training.items() if key != name}
    if name in TRAINING:
        for value in _values(TRAINING[name], graph.training.get(name)):
            yield "", graph.with_training(name, value)
    yield f"Remove {name}", replace(graph, training=without)


def _ends(graph: Graph) -> Iterator[tuple[str, Graph]]:
    """A source in front of what has no input, a loss behind what goes nowhere."""
    for node in graph.nodes:
        kind = KINDS.get(node.kind)
        if kind is None:
            continue
        if len(kind.inputs) == 1 and not graph.into(node.id):
            yield f"Add Shakespeare before {node.id}", _before(graph, node, "Shakespeare")
        if kind.output and not graph.out_of(node.id):
            yield f"Add a Loss behind {node.id}", _behind(graph, node, "Loss")
    yield "", _placed(graph, Node(graph.free_id("data"), "Shakespeare"), None)


def _identity(planned: Plan, node: Node, issue: Issue) -> Iterator[tuple[str, Graph]]:
    """Another id or another kind."""
    graph = planned.graph
    if issue.field == "id":
        name = re.sub(r"\W+", "_", node.id, flags=re.ASCII).strip("_") or "node"
        for candidate in (name, f"{name}_1", f"node_{name}"):
            if candidate not in graph:
                yield f"Rename it to {candidate}", rename_node(graph, node.id, candidate)
    if issue.field == "kind":
        lower = {name.lower(): name for name in KINDS}
        for near in difflib.get_close_matches(node.kind.lower(), lower, 3, 0.5):
            yield f"Make it {lower[near]}", _with_node(graph, replace(node, kind=lower[near]))
    if issue.field == "bypass":
        yield "Switch its bypass off", graph.with_bypass(node.id, False)


def _wires(planned: Plan, node: Node, issue: Issue) -> Iterator[tuple[str, Graph]]:
    """An edge less: one too many, one of a cycle, one from a loss, one into a port that is not there."""
    graph = planned.graph
    kind = KINDS.get(node.kind)
    into = graph.into(node.id)
    by_port = [edge for edge in into if edge.port == issue.field]
    for edge in by_port if kind else ():
        port = kind.free_port({other.port for other in into})
        if port and port != edge.port:
            yield f"Connect {edge.source} to {port}", graph.disconnect(edge).connect(edge.source, node.id, port)
    if issue.field is None or by_port:
        for edge in reversed(by_port or into):
            yield f"Remove the edge from {edge.source}", graph.disconnect(edge)
        loose = [other.id for other in graph.nodes if not graph.out_of(other.id) and _gives(other)]
        for edge, other in itertools.product(reversed(by_port or into), loose):  # a cycle drawn instead of a chain
            label = f"Connect {node.id} to {other} instead of {edge.source}"
            yield label, graph.disconnect(edge).connect(other, node.id, edge.port)


def _settings(planned: Plan, node: Node, issue: Issue) -> Iterator[tuple[str, Graph]]:
    """Another value of the setting that is at fault, or none."""
    graph, kind, name = planned.graph, KINDS.get(node.kind), issue.field
    if kind is None or name is None:
        return
    unused = name in kind.params and not kind.params[name].applies(complete(kind.params, node.params))
    if unused and name in node.params:
        yield f"Remove {name} of {node.id}", graph.without_param(node.id, name)
    if name in kind.params:
        found = node.params.get(name, kind.params[name].default)
        if isinstance(kind.params[name], NodeName):
            for other in graph.of_kind("Embedding"):
                yield "", graph.with_param(node.id, name, other.id)
        for value in (*_values(kind.params[name], found), *_fitting(planned, node, name)):
            yield "", graph.with_param(node.id, name, value)
    if name in node.params:
        yield f"Remove {name} of {node.id}", graph.without_param(node.id, name)


def _fitting(planned: Plan, node: Node, name: str) -> Iterator[int]:
    """Sizes that stand elsewhere in the graph: of the sequence, of what comes in."""
    if not isinstance(KINDS[node.kind].params[name], Int):
        return
    sizes = [dim.size for shape in planned.shapes.values() for dim in shape if dim.letter == "T"]
    for edge in planned.graph.into(node.id):
        sizes += [dim.size for dim in planned.shapes.get(edge.source, ())[-1:]]
    yield from dict.fromkeys(size for size in sizes if size)


def _values(param: Param, found: object) -> Iterator[object]:
    """Values that a setting can have: auto; its default where the one found is none at all, else those nearest to it."""
    if param.auto is not None:
        yield AUTO
    if isinstance(param, Choice):
        near = difflib.get_close_matches(str(found).lower(), [option.lower() for option in param.options], 1, 0.4)
        yield from (option for option in param.options if option.lower() in near)
    if isinstance(param, Bool) and isinstance(found, bool):
        yield not found
    if param.problem(found):
        yield param.default
    elif isinstance(param, Int) and isinstance(found, int):
        for distance in range(1, _NEAREST + 1):
            yield from (value for value in (found - distance, found + distance) if param.low <= value <= param.high)
    if isinstance(param, Text):
        yield ""
    yield param.default


def _inputs(planned: Plan, node: Node, issue: Issue) -> Iterator[tuple[str, Graph]]:
    """An edge into a port that has none, from what goes nowhere first, then from what stands before it in the document."""
    graph, kind = planned.graph, KINDS.get(node.kind)
    taken = {edge.port for edge in graph.into(node.id)}
    port = issue.field if issue.field in ports_of(graph, node) else kind.free_port(taken) if kind and kind.most else None
    if port is None or port in taken:
        return
    at = [other.id for other in graph.nodes].index(node.id)
    before, after = list(filter(_gives, reversed(graph.nodes[:at]))), list(filter(_gives, graph.nodes[at + 1 :]))
    loose = [other for other in (*before, *after) if not graph.out_of(other.id)]
    feeds = {edge.source for edge in graph.into(node.id)} | {node.id}
    likely = [other for other in before if other.id not in feeds and not _is_head(graph, other)]
    for other in dict.fromkeys(other.id for other in (*loose, *likely[:3], *before[:3])):
        if other != node.id:
            yield f"Connect {other} to {node.id}", graph.connect(other, node.id, port)


def _width_before(planned: Plan, node: Node, issue: Issue) -> Iterator[tuple[str, Graph]]:
    """What comes in made to fit: its head's width set to auto, an Embedding, a Linear of the right width put before."""
    graph = planned.graph
    for edge in graph.into(node.id):
        source = graph.node(edge.source)
        kind = KINDS.get(source.kind)
        for name, param in kind.params.items() if kind else ():
            if param.auto and source.params.get(name, param.default) != AUTO and kind.output and name in kind.output:
                yield "", graph.with_param(source.id, name, AUTO)
    widths = {edge: shape[-1].size for edge in graph.into(node.id) if len(shape := planned.shapes.get(edge.source, ())) > 2}
    wanted = sorted({width for width in widths.values() if width}, reverse=True)
    for width, edge in itertools.product(wanted, widths):  # what is narrower is made as wide as the widest
        if widths[edge] != width:
            yield from _inserted(graph, edge, "Linear", {"out_features": width})
    for edge in graph.into(node.id):
        yield from _inserted(graph, edge, "Embedding", {})
        yield from _inserted(graph, edge, "Linear", {})
        for width in wanted:
            yield from _inserted(graph, edge, "Embedding", {"embedding_dim": width})


def _inserted(graph: Graph, edge: Edge, kind: str, params: dict[str, int]) -> Iterator[tuple[str, Graph]]:
    try:
        after, name = insert_on_edge(graph, edge, kind)
    except EditError:
        return
    for setting, value in params.items():
        after = after.with_param(name, setting, value)
    width = f" of width {next(iter(params.values()))}" if params else ""
    yield f"Insert {kind}{width} between {edge.source} and {edge.target}", after


def _outputs(planned: Plan, node: Node, issue: Issue) -> Iterator[tuple[str, Graph]]:
    """A node less, or one that leads on to what waits for an input."""
    graph = planned.graph
    if _gives(node) and not graph.out_of(node.id):
        for other in graph.nodes:
            taken = {edge.port for edge in graph.into(other.id)}
            waits = [port for port in ports_of(graph, other) if port not in taken]
            if waits and other.id != node.id:
                yield f"Connect {node.id} to {other.id}", graph.connect(node.id, other.id, waits[0])
    if len(graph.into(node.id)) == 1 and graph.out_of(node.id):
        yield f"Take {node.id} out of the chain", graph.bridge(node.id)
    yield f"Delete {node.id}", graph.remove(node.id)
    pruned = _pruned(graph, node.id)
    more = len(graph.nodes) - len(pruned.nodes) - 1
    if pruned.nodes:
        yield f"Delete {node.id} and {more} {'node' if more == 1 else 'nodes'} that hang on it alone", pruned


# Helpers


def _gives(node: Node) -> bool:
    return node.kind in KINDS and KINDS[node.kind].output is not None


def _is_head(graph: Graph, node: Node) -> bool:
    after = [graph.node(edge.target).kind for edge in graph.out_of(node.id)]
    return bool(after) and all(kind in KINDS and KINDS[kind].role == "loss" for kind in after)


def _pruned(graph: Graph, node_id: str) -> Graph:
    """Without a node and all that then has lost its only input or the only node that it fed."""
    waiting = [node_id]
    while waiting:
        name = waiting.pop()
        if name not in graph:
            continue
        fed, feeding = {edge.target for edge in graph.out_of(name)}, {edge.source for edge in graph.into(name)}
        graph = graph.remove(name)
        waiting += [other for other in fed if not graph.into(other)]
        waiting += [other for other in feeding if not graph.out_of(other)]
    return graph


def _with_node(graph: Graph, node: Node) -> Graph:
    return replace(graph, nodes=tuple(node if other.id == node.id else other for other in graph.nodes))


def _placed(graph: Graph, node: Node, beside: str | None, offset: float = 0.0) -> Graph:
    x, y = graph.layout.get(beside or "", (0.0, -120.0))
    return graph.add(node, (x + offset, y + 80.0))


def _before(graph: Graph, node: Node, kind: str) -> Graph:
    name = graph.free_id("data")
    port = next(iter(KINDS[node.kind].inputs))
    return _placed(graph, Node(name, kind), node.id, -60.0).connect(name, node.id, port)


def _behind(graph: Graph, node: Node, kind: str) -> Graph:
    name = graph.free_id("loss")
    return _placed(graph, Node(name, kind), node.id, 60.0).connect(node.id, name, next(iter(KINDS[kind].inputs)))
