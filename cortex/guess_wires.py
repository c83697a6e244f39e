"""Pieces of edits: new nodes before, behind and between others, dead ends taken away, the way back along a residual."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cortex.graph import Edge, Graph, Node
from cortex.ports import ports_of
from cortex.registry import KINDS
from cortex.rework import stem

_ASIDE, _DOWN, _BACK = 60.0, 80.0, 12


def before(graph: Graph, node_id: str | None, kind: str, params: dict[str, Any]) -> tuple[Graph, str]:
    """The graph with a new source, connected to nothing, at the place before a node; its id."""
    name = graph.free_id("data")
    x, y = graph.layout.get(node_id or "", (0.0, -2 * _DOWN))
    return graph.add(Node(name, kind, dict(params)), (x - _ASIDE, y + _DOWN)), name


def chained(graph: Graph, source: str, kinds: Sequence[tuple[str, dict[str, Any]]]) -> tuple[Graph, str]:
    """The graph with new nodes in a chain behind a node, and the last of the chain."""
    for kind, params in kinds:
        name = graph.free_id(stem(kind))
        x, y = graph.layout.get(source, (0.0, 0.0))
        graph = graph.add(Node(name, kind, dict(params)), (x + _ASIDE, y + _DOWN))
        graph, source = graph.connect(source, name, next(iter(KINDS[kind].inputs))), name
    return graph, source


def behind(graph: Graph, source: str, target: str) -> Graph:
    """The graph with a Loss behind a node."""
    name = graph.free_id("loss")
    x, y = graph.layout.get(source, (0.0, 0.0))
    params = {} if target == "Label" else {"target": target}
    return graph.add(Node(name, "Loss", params), (x + _ASIDE, y + _DOWN)).connect(source, name)


def pruned(graph: Graph, node_id: str, keep: str = "") -> Graph:
    """Without a node and all that then has lost its only input or the only node that it fed; `keep` stays all the same."""
    waiting = [node_id]
    while waiting:
        name = waiting.pop()
        if name not in graph or name == keep:
            continue
        fed, feeding = {edge.target for edge in graph.out_of(name)}, {edge.source for edge in graph.into(name)}
        graph = graph.remove(name)
        waiting += [other for other in fed if not graph.into(other)]
        waiting += [other for other in feeding if not graph.out_of(other)]
    return graph


def connected(graph: Graph, node_id: str) -> list[str]:
    """A node and all that edges lead to from it, whichever way these go."""
    found, waiting = [], [node_id]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.append(name)
            waiting += [edge.target for edge in graph.out_of(name)] + [edge.source for edge in graph.into(name)]
    return found


def cycle_of(graph: Graph, node_id: str) -> set[str]:
    """The nodes that stand in a cycle with this one; empty where it stands in none."""
    behind, before = reached(node_id, graph.out_of, "target"), reached(node_id, graph.into, "source")
    return behind & before


def reached(node_id: str, edges: Callable[[str], list[Edge]], end: str) -> set[str]:
    """The nodes that stand at this end of `edges` of a node, of those that stand there, and so on."""
    found, waiting = set(), [node_id]
    while waiting:
        new = {getattr(edge, end) for edge in edges(waiting.pop())} - found
        found |= new
        waiting += new
    return found


def residuals(graph: Graph, node: Node) -> Iterator[str]:
    """Where a residual connection into this node would come from: what stands before the norm on the way back, then further
    and further back."""
    name, passed = node.id, []
    for _ in range(_BACK):
        into = graph.into(name)
        if not into:
            break
        kind, name = graph.node(name).kind, into[0].source
        if kind in KINDS and KINDS[kind].family == "norm":
            yield name
        passed.append(name)
    yield from passed[1:]


def waits(graph: Graph, node: Node) -> list[str]:
    """The ports of a node that nothing is connected to."""
    taken = {edge.port for edge in graph.into(node.id)}
    return [port for port in ports_of(graph, node) if port not in taken]


def role(node: Node) -> str | None:
    """The role of a node's kind; None where there is no such kind."""
    return KINDS[node.kind].role if node.kind in KINDS else None
