"""Edits that may mend a fault, the likeliest first, each with a label where the name of the edit would not say enough.

Nothing here is known to mend anything: repair.py tries them out.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import replace

from cortex.builder import TRAINING, Plan, plan
from cortex.checks import Issue
from cortex.graph import Graph, Node
from cortex.guess_values import identities, values, values_of
from cortex.guess_widths import pools, through, widths
from cortex.guess_wires import before, behind, chained, connected, cycle_of, reached, residuals, role, waits
from cortex.middles import middles
from cortex.params import Choice, complete
from cortex.ports import ports_of
from cortex.presets import preset
from cortex.registry import KINDS

Guess = tuple[str, Graph]
# What may stand between two nodes where an edge alone does not do.
_BETWEEN = (("Embedding",), ("Linear",), ("Embedding", "Linear"), ("Pool",), ("Pool", "Linear"))
_MOST = 8  # nodes that are looked at on the way back


def gentle(planned: Plan, issue: Issue) -> Iterator[Guess]:
    """Edits that take no node away, but for one that is connected to nothing."""
    graph = planned.graph
    if issue.field and issue.field.startswith("training."):
        yield from _training(graph, issue.field.removeprefix("training."))
    elif issue.node is None:
        yield from _ends(graph)
    elif issue.node in graph:
        node = graph.node(issue.node)
        for guess in (
            _alone,
            _switches,
            identities,
            _task,
            _middles,
            _wires,
            values_of,
            _inputs,
            _onward,
            widths,
            pools,
            _one_sequence,
        ):
            yield from guess(planned, node, issue)


def _training(graph: Graph, name: str) -> Iterator[Guess]:
    without = replace(graph, training={key: value for key, value in graph.training.items() if key != name})
    known = TRAINING.get(name)
    if known is None or not known.applies(complete(TRAINING, graph.training)):
        yield f"Remove {name}", without
    else:
        for value in values(known, graph.training.get(name)):
            yield "", graph.with_training(name, value)
        yield f"Remove {name}", without


def _ends(graph: Graph) -> Iterator[Guess]:
    """A source in front of what has no input, a loss behind what goes nowhere; a small model where there is nothing."""
    if not graph.nodes:
        start = preset("small")
        training = {**start.training, **graph.training}
        yield "Start from the preset small", replace(start, name=graph.name, training=training)
    roles = {role(node) for node in graph.nodes}
    if "source" not in roles:
        for node in graph.nodes:
            if role(node) is not None and not graph.into(node.id) and KINDS[node.kind].inputs:
                yield from _new_source(graph, node, next(iter(ports_of(graph, node)), "in"))
        yield "", before(graph, None, "Shakespeare", {})[0]
    if "loss" not in roles:
        loose = [node for node in graph.nodes if _gives(node) and not graph.out_of(node.id)]
        for target, kinds, node in itertools.product(("Label", "Masked"), ((), *_BETWEEN), reversed(loose)):
            after, last = chained(graph, node.id, [(kind, {}) for kind in kinds])
            said = f" with target {target}" if target != "Label" else ""
            made = " and ".join(f"a{'n' if kind[0] in 'AEIOU' else ''} {kind}" for kind in (*kinds, "Loss"))
            yield f"Add {made}{said} behind {node.id}", behind(after, last, target)


def _new_source(graph: Graph, node: Node, port: str) -> Iterator[Guess]:
    """A source before a node, with what stands between tokens and vectors where that is needed."""
    sources = [("Shakespeare", {}), *(("CustomData", {"type": task}) for task in ("Labelled", "Tagged", "Pairs"))]
    for kinds, (kind, params) in itertools.product(((), ("Embedding",), ("Embedding", "Linear")), sources):
        after, name = before(graph, node.id, kind, params)
        after, last = chained(after, name, [(kind, {}) for kind in kinds])
        what = " of type ".join((kind, *params.values()))
        with_them = "".join(f" and a{'n' if one[0] in 'AEIOU' else ''} {one}" for one in kinds)
        yield f"Add {what}{with_them} before {node.id}", after.connect(last, node.id, port)


def _alone(planned: Plan, node: Node, issue: Issue) -> Iterator[Guess]:
    """Nodes that are connected to no data and no loss, beside a model that is whole without them."""
    graph = planned.graph
    apart = connected(graph, node.id)
    if not any(role(one) in (None, "source", "loss") for one in map(graph.node, apart)):
        others = f" and {len(apart) - 1} connected to it alone" if len(apart) > 1 else ""
        yield f"Delete {node.id}{others}", functools.reduce(Graph.remove, apart, graph)


def _switches(planned: Plan, node: Node, issue: Issue) -> Iterator[Guess]:
    """The bypass of this node, or of one before it, switched off."""
    graph = planned.graph
    waiting, seen = [node.id], set()
    while waiting and len(seen) < _MOST:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if graph.node(name).bypass:
            label = "Switch its bypass off" if name == node.id else f"Switch the bypass of {name} off"
            yield label, graph.with_bypass(name, False)
        waiting += [edge.source for edge in graph.into(name)]


def _task(planned: Plan, node: Node, issue: Issue) -> Iterator[Guess]:
    """What the data is taken for, where that is what several nodes are at fault for, or what a node asks for."""
    roots = [found for found in planned.issues if found.follows is None]
    asks = node.kind in KINDS and KINDS[node.kind].reads is not None
    for source in planned.graph.nodes:
        kind = KINDS.get(source.kind)
        param = kind.params.get("type") if kind and kind.task else None
        if isinstance(param, Choice) and (asks or len(roots) > 1):
            for option in param.options:
                graph = planned.graph.with_param(source.id, "type", option)
                if not plan(graph, planned.vocabulary, planned.labels).issues:
                    yield "", graph


def _middles(planned: Plan, node: Node, issue: Issue) -> Iterator[Guess]:
    """A layer before this one that was left to be as wide as the vocabulary, though it is no head: as wide as what comes in."""
    graph = planned.graph
    before = reached(node.id, graph.into, "source")
    for found in middles(graph):
        if found.place is None and found.part in before:
            widths = [shape[-1].size for edge in graph.into(found.part) if (shape := planned.shapes.get(edge.source))]
            yield from (("", graph.with_param(found.part, found.setting, width)) for width in widths if width)


def _wires(planned: Plan, node: Node, issue: Issue) -> Iterator[Guess]:
    """An edge less or another one: one too many, one of a cycle, one from a loss, one into a port that is not there."""
    graph = planned.graph
    kind = KINDS.get(node.kind)
    into = graph.into(node.id)
    by_port = [edge for edge in into if edge.port == issue.field]
    for edge in by_port if kind else ():
        if role(graph.node(edge.source)) == "loss" and _gives(node):  # drawn the wrong way round
            turned = graph.disconnect(edge)
            feeds = turned.into(edge.source)
            for one in feeds:
                turned = turned.disconnect(one)
            for one in feeds[:1] if not turned.into(node.id) else ():
                turned = turned.connect(one.source, node.id, edge.port)
            yield f"Put {node.id} before {edge.source}", turned.connect(node.id, edge.source)
        used = {other.port for other in into}
        free = [port for port in ports_of(graph, node) if port not in used]
        port = free[0] if free else kind.free_port(used)
        if port and port != edge.port:
            yield f"Connect {edge.source} to {port}", graph.disconnect(edge).connect(edge.source, node.id, port)
    for edge in reversed(by_port) if len(by_port) > 1 else ():
        ports = waits(graph, graph.node(edge.source))
        if ports:
            turned = graph.disconnect(edge).connect(node.id, edge.source, ports[0])
            yield f"Turn the edge from {edge.source} round", turned
    if issue.field is None or by_port:
        for edge in reversed(by_port or into):
            yield f"Remove the edge from {edge.source}", graph.disconnect(edge)
        loose = [other.id for other in graph.nodes if not graph.out_of(other.id) and _gives(other)]
        for edge, other in itertools.product(reversed(by_port or into), loose):  # a cycle drawn instead of a chain
            label = f"Connect {node.id} to {other} instead of {edge.source}"
            yield label, graph.disconnect(edge).connect(other, node.id, edge.port)
        ring = cycle_of(graph, node.id)
        for edge, other in itertools.product([edge for edge in graph.edges if {edge.source, edge.target} <= ring], loose):
            label = f"Connect {edge.target} to {other} instead of {edge.source}"
            yield label, graph.disconnect(edge).connect(other, edge.target, edge.port)


def _inputs(planned: Plan, node: Node, issue: Issue) -> Iterator[Guess]:
    """An edge into a port that has none, from what goes nowhere first, then from what stands before it in the document."""
    graph, kind = planned.graph, KINDS.get(node.kind)
    into = graph.into(node.id)
    taken = {edge.port for edge in into}
    port = issue.field if issue.field in ports_of(graph, node) else kind.free_port(taken) if kind and kind.most else None
    if port is None or port in taken:
        return
    if kind and kind.most:  # a gap between the ports of a merge
        for edge in reversed(into):
            if kind.ports([port, edge.port]).index(edge.port) > kind.ports([port, edge.port]).index(port):
                yield (
                    f"Connect {edge.source} to {port} instead of {edge.port}",
                    graph.disconnect(edge).connect(edge.source, node.id, port),
                )
    if not any(role(other) == "source" for other in graph.nodes):
        yield from _new_source(graph, node, port)
    at = [other.id for other in graph.nodes].index(node.id)
    older, younger = list(filter(_gives, reversed(graph.nodes[:at]))), list(filter(_gives, graph.nodes[at + 1 :]))
    loose = [other.id for other in (*older, *younger) if not graph.out_of(other.id) and other.id != node.id]
    for other in loose:
        yield f"Connect {other} to {node.id}", graph.connect(other, node.id, port)
    for other, kinds in itertools.product(loose, _BETWEEN):
        yield from through(planned, other, kinds, node, port)
    feeds = {edge.source for edge in into} | {node.id}
    likely = [other.id for other in older if other.id not in feeds and not _is_head(graph, other)]
    for other in dict.fromkeys([*residuals(graph, node), *likely[:3], *(one.id for one in older[:3])]):
        if other != node.id:
            yield f"Connect {other} to {node.id}", graph.connect(other, node.id, port)
    for source in graph.nodes:
        if role(source) == "source" or (source.kind in KINDS and KINDS[source.kind].reads):
            yield f"Connect {source.id} to {node.id}", graph.connect(source.id, node.id, port)
            yield from through(planned, source.id, ("Embedding",), node, port)


def _onward(planned: Plan, node: Node, issue: Issue) -> Iterator[Guess]:
    """What goes nowhere led on to what waits for an input."""
    graph = planned.graph
    if _gives(node) and not graph.out_of(node.id):
        for other in graph.nodes:
            ports = waits(graph, other)
            if ports and other.id != node.id:
                yield f"Connect {node.id} to {other.id}", graph.connect(node.id, other.id, ports[0])
        for found in planned.issues:  # what has a wrong input, which this node is to give instead
            edges = graph.into(found.node or "") if found.follows is None and found.node != node.id else []
            for edge in edges:
                label = f"Connect {node.id} to {found.node} instead of {edge.source}"
                yield label, graph.disconnect(edge).connect(node.id, edge.target, edge.port)


def _one_sequence(planned: Plan, node: Node, issue: Issue) -> Iterator[Guess]:
    """A kind that has the same settings and needs no second sequence, in the place of one that has none: of a decoder that is
    given no memory, a causal encoder."""
    graph, kind = planned.graph, KINDS.get(node.kind)
    if kind is None or not kind.whole:
        return
    others = [*kind.inputs][1:]
    for name, other in KINDS.items():
        if set(other.params) == {*kind.params, "causal"} and len(other.inputs) == 1:
            made = replace(node, kind=name, params={**node.params, "causal": True})
            after = replace(graph, nodes=tuple(made if one.id == node.id else one for one in graph.nodes))
            for edge in graph.into(node.id):
                after = after.disconnect(edge)
                if edge.port not in others:
                    after = after.connect(edge.source, node.id, next(iter(other.inputs)))
            yield f"Make it {name}, causal", after


def _gives(node: Node) -> bool:
    return node.kind in KINDS and KINDS[node.kind].output is not None


def _is_head(graph: Graph, node: Node) -> bool:
    after = [graph.node(edge.target) for edge in graph.out_of(node.id)]
    return bool(after) and all(role(other) == "loss" for other in after)
