"""What a graph without a fault may still lack, each with an edit that would bring it. Nothing here stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cortex.builder import Plan, plan
from cortex.graph import Graph, Node
from cortex.params import complete
from cortex.registry import KINDS
from cortex.rework import insert_on_edge


@dataclass(frozen=True)
class Advice:
    """What is lacking at a node, an edit that brings it, in words for a button, and the graph after it."""

    node: str
    message: str
    label: str
    graph: Graph


def advice(planned: Plan) -> list[Advice]:
    """What could be better about a graph that has no fault; empty for one that has."""
    return [] if planned.issues else list(_without_positions(planned))


def _without_positions(planned: Plan) -> Iterator[Advice]:
    """Attention that nothing tells where a token stands: the first of each chain."""
    graph = planned.graph
    told: set[str] = set()  # nodes that are told positions, or about which has been said that they are not
    for node in _in_order(planned):
        edges = graph.into(node.id)
        if _tells_positions(node) or any(edge.source in told for edge in edges):
            told.add(node.id)
        elif KINDS[node.kind].family == "attention" and edges:
            told.add(node.id)
            after, _ = insert_on_edge(graph, edges[0], "PositionalEncoding")
            after = _reaching(after, planned)
            if not plan(after, planned.vocabulary, planned.labels).issues:
                yield Advice(
                    node.id,
                    "nothing tells it where a token stands, so the order of the tokens is hardly seen",
                    f"Insert PositionalEncoding before {node.id}",
                    after,
                )


def _in_order(planned: Plan) -> Iterator[Node]:
    for call in planned.calls:
        if call.node in planned.graph:  # not what stands inside a subgraph
            yield planned.graph.node(call.node)


def _tells_positions(node: Node) -> bool:
    """Whether what comes out says where a token stands: position encodings, rotary and ALiBi blocks, convolutions."""
    kind = KINDS[node.kind]
    values = complete(kind.params, node.params)
    return (
        (kind.family == "embedding" and kind.cached)
        or values.get("positions", "none") != "none"
        or (kind.family == "sequence" and values.get("kernel_size", 1) != 1)
    )


def _reaching(graph: Graph, planned: Plan) -> Graph:
    """With the positions that were put in as long as the sequences are."""
    length = max((dim.size for shape in planned.shapes.values() for dim in shape if dim.letter in "TS" and dim.size), default=0)
    for node in graph.nodes:
        if node.id not in planned.graph and length > KINDS[node.kind].params["max_len"].default:
            graph = graph.with_param(node.id, "max_len", length)
    return graph
