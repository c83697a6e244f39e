"""Edits of a graph that take several of its parts at once: rename, duplicate, insert, move along the chain, change many.

Each gives a new graph, or says in an EditError why it cannot be done; nothing is dropped on the way.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from cortex.graph import Edge, Graph, Node
from cortex.params import NodeName
from cortex.registry import KINDS

_BESIDE = 40.0  # pixels between a node and its copy, until the graph is tidied


class EditError(ValueError):
    """An edit that this graph does not allow: which, why, what to do instead."""


def rename_node(graph: Graph, old: str, new: str) -> Graph:
    """The graph in which a node has another id; edges, layout and settings that name it follow."""
    if new == old:
        return graph
    if new in graph:
        raise EditError(f"{old}: there is a node {new} already, expected a name of its own")

    def renamed(node: Node) -> Node:
        known = KINDS[node.kind].params if node.kind in KINDS else {}
        names = {key for key, value in node.params.items() if value == old and isinstance(known.get(key), NodeName)}
        params = {key: new if key in names else value for key, value in node.params.items()}
        return replace(node, id=new if node.id == old else node.id, params=params)

    edges = [replace(edge, source=_swap(edge.source, old, new), target=_swap(edge.target, old, new)) for edge in graph.edges]
    layout = {_swap(key, old, new): place for key, place in graph.layout.items()}
    return replace(graph, nodes=tuple(map(renamed, graph.nodes)), edges=tuple(edges), layout=layout)


def duplicate(graph: Graph, node_id: str, times: int = 1) -> tuple[Graph, list[str]]:
    """The graph with copies of a node, and their ids. Copies of what has one input and an output stand in a chain behind it;
    others take the same inputs and wait to be connected."""
    node = graph.node(node_id)
    kind = KINDS.get(node.kind)
    chained = kind is not None and len(kind.inputs) == 1 and not kind.most and kind.output is not None
    last, made = node, []
    for _ in range(times):
        copy = replace(node, id=_free_name(graph, node_id))
        x, y = graph.layout.get(last.id, (0.0, 0.0))
        after = graph.out_of(last.id)
        graph = _insert_after(graph, last, copy, (x + _BESIDE, y + _BESIDE))
        if chained:
            for edge in after:
                graph = _replaced(graph, edge, [Edge(copy.id, edge.target, edge.port)])
            graph = graph.connect(last.id, copy.id, next(iter(kind.inputs)))
        else:
            for edge in graph.into(node_id):
                graph = graph.connect(edge.source, copy.id, edge.port)
        last = copy
        made.append(copy.id)
    return graph, made


def insert_on_edge(graph: Graph, edge: Edge, kind: str) -> tuple[Graph, str]:
    """The graph with a new node of this kind in the middle of an edge, and its id.

    Raises:
        EditError: the edge is not there any more, or nothing can pass through a node of this kind.
    """
    if edge not in graph.edges:
        raise EditError(f"{edge.source} -> {edge.target}: this edge is not there any more")
    declared = KINDS[kind]
    if not declared.inputs or declared.output is None:
        raise EditError(f"{kind} cannot stand on an edge: it has no {'input' if not declared.inputs else 'output'}")
    node = Node(graph.free_id(stem(kind)), kind)
    ends = [graph.layout[end] for end in (edge.source, edge.target) if end in graph.layout]
    place = tuple(sum(at) / len(ends) for at in zip(*ends, strict=True)) if ends else (0.0, 0.0)
    graph = _insert_after(graph, graph.node(edge.source), node, place)
    through = [Edge(edge.source, node.id, next(iter(declared.inputs))), Edge(node.id, edge.target, edge.port)]
    return _replaced(graph, edge, through), node.id


def take_out(graph: Graph, node_id: str) -> Graph:
    """The graph without a node, what feeds it feeding what it fed.

    Raises:
        EditError: it has several inputs or none, so that it is not clear what should take its place.
    """
    try:
        return graph.bridge(node_id)
    except ValueError as error:
        raise EditError(f"{error}, so nothing can take its place; delete it and draw the edges") from None


def move_along(graph: Graph, node_id: str, by: int) -> Graph:
    """The graph in which a node has changed places with the one before it (by -1) or behind it (by 1).

    Raises:
        EditError: one of the two has several inputs or feeds several nodes, or is the end of the chain.
    """
    first = _one(graph.into(node_id), node_id, "input").source if by < 0 else node_id
    second = node_id if by < 0 else _one(graph.out_of(node_id), node_id, "output").target
    between = _one(graph.out_of(first), first, "output")
    behind = _one(graph.into(second), second, "input")
    before, after = _one(graph.into(first), first, "input"), graph.out_of(second)
    if behind != between or not after:
        raise EditError(f"{node_id}: is the end of its chain and cannot move further")
    graph = _replaced(graph, before, [replace(before, target=second, port=between.port)])
    graph = _replaced(graph, between, [Edge(second, first, before.port)])
    for edge in after:
        graph = _replaced(graph, edge, [replace(edge, source=first)])
    return _exchanged(graph, first, second)


def set_many(graph: Graph, node_ids: Iterable[str], name: str, value: Any) -> Graph:
    """The graph with one setting made in all of these nodes; those that are gone are passed over."""
    for node_id in node_ids:
        if node_id in graph:
            graph = graph.with_param(node_id, name, value)
    return graph


def find(graph: Graph, text: str) -> list[str]:
    """Ids of the nodes whose id or kind holds this text, whatever its case; best first: where it begins with it."""
    wanted = text.strip().lower()
    if not wanted:
        return []
    names = {node.id: (node.id.lower(), node.kind.lower()) for node in graph.nodes}
    found = [key for key, has in names.items() if any(wanted in name for name in has)]
    return sorted(found, key=lambda key: not any(name.startswith(wanted) for name in names[key]))


def stem(kind: str) -> str:
    """`gpt_block` for GPTBlock, `leaky_relu` for LeakyReLU: a name that a person would give."""
    return re.sub(r"(?<!^)(?=[A-Z][a-z])", "_", kind).lower()


def _free_name(graph: Graph, node_id: str) -> str:
    """The next number that is free: `block_4` beside block_1 to block_3."""
    head, _, number = node_id.rpartition("_")
    if not head or not number.isdecimal():
        return graph.free_id(node_id)
    return next(name for count in itertools.count(int(number) + 1) if (name := f"{head}_{count}") not in graph)


def _swap(name: str, old: str, new: str) -> str:
    return new if name == old else name


def _one(edges: list[Edge], node_id: str, what: str) -> Edge:
    if len(edges) != 1:
        raise EditError(f"{node_id}: has {len(edges)} {what}s, expected one; move it by drawing the edges")
    return edges[0]


def _insert_after(graph: Graph, before: Node, new: Node, place: tuple[float, float]) -> Graph:
    at = graph.nodes.index(before) + 1
    graph = replace(graph, nodes=(*graph.nodes[:at], new, *graph.nodes[at:]))
    return graph.move({new.id: place})


def _replaced(graph: Graph, edge: Edge, others: list[Edge]) -> Graph:
    """With these edges in the place of that one, since the order of edges is that of a merge's inputs."""
    edges: list[Edge] = []
    for found in graph.edges:
        edges.extend(others if found == edge else [found])
    return replace(graph, edges=tuple(dict.fromkeys(edges)))


def _exchanged(graph: Graph, first: str, second: str) -> Graph:
    """With two nodes' places in the document and on the canvas exchanged."""
    one, two = graph.node(first), graph.node(second)
    nodes = tuple(two if node is one else one if node is two else node for node in graph.nodes)
    places = {other: graph.layout[name] for name, other in ((first, second), (second, first)) if name in graph.layout}
    return replace(graph, nodes=nodes).move(places)
