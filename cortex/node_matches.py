"""Which nodes of two graphs are the same: by id first, then by kind and settings in their order, then by their neighbours."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cortex.graph import Graph, Node
from cortex.graph_settings import comparable_key, values_of

# Up to so many pairs of nodes are aligned exactly; beyond that, longest equal stretches do.
_EXACT = 250_000
_SAME_ID, _SAME_KIND = 1000.0, 10.0


def node_matches(before: Graph, after: Graph) -> dict[str, str]:
    """Ids of the nodes that are the same one, earlier to later, in the order of the earlier graph."""
    same = {node.id: node.id for node in before.nodes if node.id in after}
    if len(same) < len(before.nodes) and len(same) < len(after.nodes):
        _match_by_neighbours(before, after, same)
        same |= {was: now for was, now in _aligned(_in_order(before), _in_order(after), same) if was not in same}
        _match_by_neighbours(before, after, same)
    return {node.id: same[node.id] for node in before.nodes if node.id in same}


def _aligned(first: Sequence[Node], second: Sequence[Node], same: Mapping[str, str]) -> list[tuple[str, str]]:
    """Pairs of nodes, in the same order on both sides, that together are most alike (Needleman & Wunsch 1970)."""
    if len(first) * len(second) > _EXACT:
        tokens = [[node.id if node.id in same else f"\0{node.kind}" for node in nodes] for nodes in (first, second)]
        blocks = difflib.SequenceMatcher(None, *tokens, autojunk=False).get_matching_blocks()
        return [(first[a + n].id, second[b + n].id) for a, b, size in blocks for n in range(size)]
    old, new = [_Look.of(node) for node in first], [_Look.of(node) for node in second]
    taken = set(same.values())

    def likeness(i: int, j: int) -> float:
        was, now = old[i], new[j]
        if was.id in same or now.id in taken:
            return _SAME_ID if same.get(was.id) == now.id else -1.0
        if was.kind != now.kind:
            return -1.0
        return _SAME_KIND + len(was.values & now.values) / (len(was.values) or 1)

    best = [[0.0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i in range(len(first) - 1, -1, -1):
        for j in range(len(second) - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + likeness(i, j))
    pairs, i, j = [], 0, 0
    while i < len(first) and j < len(second):
        alike = likeness(i, j)
        if alike > 0 and best[i][j] == best[i + 1][j + 1] + alike:
            pairs.append((first[i].id, second[j].id))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


@dataclass(frozen=True)
class _Look:
    id: str
    kind: str
    values: frozenset[tuple[str, tuple[str, str]]]

    @staticmethod
    def of(node: Node) -> _Look:
        values = values_of(node)
        return _Look(node.id, node.kind, frozenset((name, comparable_key(values, name)) for name in values))


def _match_by_neighbours(before: Graph, after: Graph, same: dict[str, str]) -> None:
    """Match what is left where it is connected to the same nodes: branches have no one order."""
    taken = set(same.values())
    free = {(node.kind, _around(after, node.id)): node.id for node in reversed(after.nodes) if node.id not in taken}
    for was in [node for node in before.nodes if node.id not in same]:
        ends = frozenset((same.get(other, ""), port, side) for other, port, side in _around(before, was.id))
        if ends and (was.kind, ends) in free:
            same[was.id] = free.pop((was.kind, ends))


def _around(graph: Graph, node_id: str) -> frozenset[tuple[str, str, str]]:
    into = frozenset((edge.source, edge.port, "into") for edge in graph.into(node_id))
    return into | {(edge.target, edge.port, "out") for edge in graph.out_of(node_id)}


def _in_order(graph: Graph) -> list[Node]:
    """The nodes as data flows through them, in document order where it does not say; what lies on a circle comes last."""
    waits = {node.id: len({edge.source for edge in graph.into(node.id)}) for node in graph.nodes}
    order, ready = [], [node for node in graph.nodes if not waits[node.id]]
    while ready:
        node = ready.pop(0)
        order.append(node)
        for target in dict.fromkeys(edge.target for edge in graph.out_of(node.id)):
            waits[target] -= 1
            if not waits[target]:
                ready.append(graph.node(target))
    return [*order, *(node for node in graph.nodes if waits[node.id] > 0)]
