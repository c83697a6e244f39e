"""What a graph without a fault may still lack, each with an edit that would bring it. Nothing here stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cortex.builder import Plan, plan, train_config
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


def advice(planned: Plan, steps: int | None = None) -> list[Advice]:
    """What could be better about a graph that has no fault; empty for one that has.

    Args:
        steps: length of the run where the data tells it; else what the graph says of it.
    """
    if planned.issues:
        return []
    return [*_without_positions(planned), *_squeezed_scores(planned), *_never_warm(planned, steps)]


def _squeezed_scores(planned: Plan) -> Iterator[Advice]:
    """An activation or a Dropout between a head and its loss, which has a softmax in itself."""
    graph = planned.graph
    for loss in graph.nodes:
        if KINDS[loss.kind].role != "loss":
            continue
        for edge in graph.into(loss.id):
            node = graph.node(edge.source)
            if KINDS[node.kind].family == "activation" and node.kind != "Identity" and len(graph.into(node.id)) == 1:
                after = graph.bridge(node.id)
                if not plan(after, planned.vocabulary, planned.labels).issues:
                    what = f"changes the scores before {loss.id}, which takes them as they are and has a softmax in itself"
                    yield Advice(node.id, what, f"Take {node.id} out of the chain", after)


def _never_warm(planned: Plan, steps: int | None) -> Iterator[Advice]:
    """A warm-up that lasts longer than the run."""
    config = train_config(planned.graph)
    length = steps or config.steps
    if length and config.warmup_steps >= length:
        share = length // 10
        yield Advice(
            "training",
            f"warmup_steps={config.warmup_steps:,} is not shorter than the run of {length:,} steps, so lr is hardly reached",
            f"Set warmup_steps to {share:,}",
            planned.graph.with_training("warmup_steps", share),
        )


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
