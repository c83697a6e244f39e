"""What a graph without a fault may still lack, each with an edit that would bring it. Nothing here stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cortex.builder import Call, Plan, plan, train_config
from cortex.expand import expand, template_at
from cortex.graph import Graph
from cortex.middles import middles
from cortex.registry import KINDS
from cortex.rework import insert_on_edge
from cortex.targets import LABELS
from cortex.templates import set_part


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
    return [*_without_positions(planned), *_squeezed_scores(planned), *_as_wide_as_data(planned), *_never_warm(planned, steps)]


def _as_wide_as_data(planned: Plan) -> Iterator[Advice]:
    """A layer in the middle of the model whose width was left to the data."""
    told: set[tuple[str, tuple[str, ...]]] = set()
    for found in middles(planned.graph):
        path = found.place.path if found.place else ()
        if (found.node, path) in told:
            continue  # another copy
        told.add((found.node, path))
        shape = planned.shapes[found.part]
        for width in _other_widths(planned, found.part):
            label = f"Set {found.setting} of {'.'.join(path) or found.node} to {width:,}"
            if path:
                template = template_at(planned.graph, found.node, path[:-1])
                after, label = (
                    set_part(planned.graph, template, path[-1], found.setting, width),
                    f"{label}, in template {template}",
                )
            else:
                after = planned.graph.with_param(found.node, found.setting, width)
            if not plan(after, planned.vocabulary, planned.labels).issues:
                what = f"inside, {'.'.join(path)} " if path else ""
                of = "as many outputs as the data has labels" if shape[-1].of == LABELS else "as wide as the vocabulary"
                many = f", {shape[-1].size:,}" if shape[-1].size else ""
                yield Advice(
                    found.node,
                    f"{what}is {of}{many}, in the middle of the model, since {found.setting} is auto",
                    label,
                    after,
                )
                break


def _other_widths(planned: Plan, part: str) -> list[int]:
    """Widths that a layer could have instead: that of what comes in, then the others of the model, the commonest first."""
    into = [planned.shapes[edge.source] for edge in expand(planned.graph).graph.into(part) if edge.source in planned.shapes]
    sizes = [shape[-1].size for shape in planned.shapes.values() if len(shape) > 1 and shape[-1].letter not in ("V", "T", "S")]
    return [size for size in dict.fromkeys([*(shape[-1].size for shape in into), *sorted(sizes, key=sizes.count, reverse=True)])
            if size and size != planned.shapes[part][-1].size]  # fmt: skip


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
    graph, places = planned.graph, expand(planned.graph).places
    told: set[str] = set()  # parts that are told positions, or about which has been said that they are not
    for call in planned.calls:
        if _tells_positions(call) or any(source in told for source in call.inputs):
            told.add(call.node)
        elif KINDS[call.kind].family == "attention" and call.inputs:
            told.add(call.node)
            place = places.get(call.node)
            node = place.card if place else call.node
            edges = graph.into(node)
            if not edges:
                continue
            after, _ = insert_on_edge(graph, edges[0], "PositionalEncoding")
            after = _reaching(after, planned)
            if not plan(after, planned.vocabulary, planned.labels).issues:
                yield Advice(
                    node,
                    "nothing tells it where a token stands, so the order of the tokens is hardly seen",
                    f"Insert PositionalEncoding before {node}",
                    after,
                )


def _tells_positions(call: Call) -> bool:
    """Whether what comes out says where a token stands: position encodings, rotary and ALiBi blocks, convolutions."""
    kind = KINDS[call.kind]
    return (
        (kind.family == "embedding" and kind.cached)
        or call.args.get("positions", "none") != "none"
        or (kind.family == "sequence" and call.args.get("kernel_size", 1) != 1)
    )


def _reaching(graph: Graph, planned: Plan) -> Graph:
    """With the positions that were put in as long as the sequences are."""
    length = max((dim.size for shape in planned.shapes.values() for dim in shape if dim.letter in "TS" and dim.size), default=0)
    for node in graph.nodes:
        if node.id not in planned.graph and length > KINDS[node.kind].params["max_len"].default:
            graph = graph.with_param(node.id, "max_len", length)
    return graph
