"""Edits that may mend a fault of widths: a setting of what comes before, or a layer put between."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from cortex.builder import Plan
from cortex.checks import Issue
from cortex.graph import Edge, Graph, Node
from cortex.guess_wires import chained
from cortex.params import AUTO
from cortex.registry import KINDS
from cortex.rework import EditError, insert_on_edge

Guess = tuple[str, Graph]
_MOST = 8  # widths that are tried


def widths(planned: Plan, node: Node, issue: Issue) -> Iterator[Guess]:
    """What comes in made to fit: its head's width set to auto, an Embedding, a Linear of the right width put before."""
    graph = planned.graph
    into = graph.into(node.id)
    for edge in into:
        source = graph.node(edge.source)
        kind = KINDS.get(source.kind)
        for name, param in kind.params.items() if kind else ():
            if param.auto and source.params.get(name, param.default) != AUTO and kind.output and name in kind.output:
                yield "", graph.with_param(source.id, name, AUTO)
    found = {edge: shape[-1].size for edge in into if len(shape := planned.shapes.get(edge.source, ())) > 2}
    sizes = [shape[-1].size for shape in planned.shapes.values() if shape]
    known = [width for width in found.values() if width]
    for width, edge in itertools.product(sorted(dict.fromkeys(known), key=sizes.count, reverse=True), found):
        if found[edge] != width:  # the width of the rest of the model stays
            yield from _as_wide(graph, graph.node(edge.source), width)
            yield from _inserted(graph, edge, "Linear", {"out_features": width})
    for edge in into:
        yield from _inserted(graph, edge, "Embedding", {})
        yield from _inserted(graph, edge, "Linear", {})
        for width in _widths_in(planned):
            yield from _inserted(graph, edge, "Embedding", {"embedding_dim": width})
        if len(planned.shapes.get(edge.source, ())) == 2:
            after, last = chained(graph.disconnect(edge), edge.source, [("Embedding", {}), ("Linear", {})])
            yield f"Insert Embedding and Linear between {edge.source} and {node.id}", after.connect(last, node.id, edge.port)
    wanted = node.params.get(issue.field or "")
    if type(wanted) is int:
        yield from _made_as_wide(graph, node, wanted)


def through(planned: Plan, source: str, kinds: tuple[str, ...], node: Node, port: str) -> Iterator[Guess]:
    """An edge with new nodes on it, an Embedding among them as wide as others are."""
    label = f"Put {' and '.join(kinds)} between {source} and {node.id}"
    widths = [{}, *({"embedding_dim": width} for width in _widths_in(planned))] if "Embedding" in kinds else [{}]
    for params in widths:
        given = [(kind, params if kind == "Embedding" else {}) for kind in kinds]
        after, last = chained(planned.graph, source, given)
        of = f" of width {params['embedding_dim']}" if params else ""
        yield f"{label}{of}", after.connect(last, node.id, port)


def pools(planned: Plan, node: Node, issue: Issue) -> Iterator[Guess]:
    """One vector of a text, where every token has one: before the head, or before what takes it."""
    graph = planned.graph
    for edge in graph.into(node.id):
        for one in (*graph.into(edge.source), edge):
            yield from _inserted(graph, one, "Pool", {})


def _made_as_wide(graph: Graph, node: Node, width: int) -> Iterator[Guess]:
    """What decides about the width that comes in set to that of this node."""
    name = node.id
    for _ in graph.nodes:
        into = graph.into(name)
        if not into:
            return
        name = into[0].source
        kind = KINDS.get(graph.node(name).kind)
        for setting in kind.output or () if kind else ():
            if setting in kind.params and setting not in itertools.chain(*kind.inputs.values()):
                yield "", graph.with_param(name, setting, width)
                return


def _as_wide(graph: Graph, node: Node, width: int) -> Iterator[Guess]:
    """A layer whose width is free, and was left to be as wide as the vocabulary, set to that of the rest."""
    kind = KINDS.get(node.kind)
    for name in kind.output or () if kind else ():
        param = kind.params.get(name)
        free = param is not None and param.auto and name not in itertools.chain(*kind.inputs.values())
        if free and node.params.get(name, param.default) == AUTO:
            yield "", graph.with_param(node.id, name, width)


def _widths_in(planned: Plan) -> list[int]:
    """Widths of vectors that there are, or that nodes are set to."""
    found = [shape[-1].size for shape in planned.shapes.values() if len(shape) > 2]
    for node in planned.graph.nodes:
        dims = [*itertools.chain(*KINDS[node.kind].inputs.values()), "embedding_dim"] if node.kind in KINDS else []
        found += [node.params.get(name) for name in dims]
    return [width for width in dict.fromkeys(found) if type(width) is int][:_MOST]


def _inserted(graph: Graph, edge: Edge, kind: str, params: dict[str, int]) -> Iterator[Guess]:
    try:
        after, name = insert_on_edge(graph, edge, kind)
    except EditError:
        return
    for setting, value in params.items():
        after = after.with_param(name, setting, value)
    width = f" of width {next(iter(params.values()))}" if params else ""
    yield f"Insert {kind}{width} between {edge.source} and {edge.target}", after
