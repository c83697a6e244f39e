"""What differs between graphs: in their settings by name, and in their nodes and edges."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cortex.builder import TRAINING
from cortex.graph import Edge, Graph, Node
from cortex.params import complete
from cortex.registry import KINDS

# Up to so many pairs of nodes are aligned exactly; beyond that, longest equal stretches do.
_EXACT = 250_000
_SAME_ID, _SAME_KIND = 1000.0, 10.0

NODE_KIND = "node kind"  # what a Change calls the kind of a node; a Loss has a setting named kind besides


def settings(graph: Graph) -> dict[str, Any]:
    """Every setting by its name, defaults filled in: `training.lr`, `data.seq_len`, and `data`, the kind of that node.

    What this version does not know, a foreign kind or setting, is kept as the document has it.
    """
    flat = {f"training.{name}": value for name, value in _values(TRAINING, graph.training).items()}
    for node in graph.nodes:
        flat[node.id] = node.kind
        flat |= {f"{node.id}.{name}": value for name, value in values_of(node).items()}
    return flat


def values_of(node: Node) -> dict[str, Any]:
    """The settings of a node with the defaults of those that it leaves out."""
    return _values(KINDS[node.kind].params if node.kind in KINDS else {}, node.params)


def differing(columns: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the settings that are not the same in all columns, a missing one included, in the order they are met."""
    names = dict.fromkeys(name for column in columns.values() for name in column)
    return [name for name in names if len({_key(column, name) for column in columns.values()}) > 1]


@dataclass(frozen=True)
class Change:
    """A setting of a node that both graphs have; `setting` is NODE_KIND where the node became one of another kind.

    `node` is its id in the later graph, `was` in the earlier one; a side that lacks the setting has None.
    """

    node: str
    setting: str
    before: Any
    after: Any
    was: str


@dataclass(frozen=True)
class GraphDifference:
    """What has to be done to one graph to get the other. `same` maps the ids of nodes that both have, earlier to later."""

    before: Graph
    after: Graph
    same: Mapping[str, str]
    added: tuple[Node, ...]
    removed: tuple[Node, ...]
    changed: tuple[Change, ...]
    edges_added: tuple[Edge, ...]
    edges_removed: tuple[Edge, ...]

    @property
    def renamed(self) -> tuple[tuple[str, str], ...]:
        """Earlier and later id of each node whose id alone has changed, or with its settings."""
        return tuple((was, now) for was, now in self.same.items() if was != now)

    @property
    def none(self) -> bool:
        """Whether both are the same model but for names."""
        return not (self.added or self.removed or self.changed or self.edges_added or self.edges_removed)

    def in_words(self) -> list[str]:
        """One sentence a difference: nodes removed, added, changed and renamed, then connections that no such node explains."""
        said = [f"{node.id} ({node.kind}) is removed{_place(self.before, node)}" for node in self.removed]
        said += [f"{node.id} ({node.kind}) is added{_place(self.after, node)}" for node in self.added]
        for change in self.changed:
            name = f"{change.node}" if change.node == change.was else f"{change.was}, now {change.node}"
            if change.setting == NODE_KIND:
                said.append(f"{name}: {change.before} became {change.after}")
            else:
                said.append(f"{name}: {change.setting} {_said(change.before)} became {_said(change.after)}")
        said += [f"{was} is named {now}" for was, now in self.renamed]
        back = {now: was for was, now in self.same.items()}
        gone, new = {node.id for node in self.removed}, {node.id for node in self.added}
        for edge in self.edges_removed:
            ends = self.same.get(edge.source), self.same.get(edge.target)
            if None not in ends and not _leads(self.after, ends[0], ends[1], new):
                said.append(f"{edge.source} no longer goes into {_end(self.before, edge)}")
        for edge in self.edges_added:
            ends = back.get(edge.source), back.get(edge.target)
            if None not in ends and not _leads(self.before, ends[0], ends[1], gone):
                said.append(f"{edge.source} goes into {_end(self.after, edge)}")
        return said


def graph_difference(before: Graph, after: Graph) -> GraphDifference:
    """What was added, removed and changed from one graph to the other.

    Nodes match by id; those left over by kind and place in the chain, so that a renamed node is the same node. A default that
    one graph leaves out and the other writes down is no difference, nor is the layout.
    """
    same = _matches(before, after)
    back = {now: was for was, now in same.items()}
    changed = [change for was, now in same.items() for change in _changes(before.node(was), after.node(now), same)]
    kept = {Edge(same[e.source], same[e.target], e.port) for e in before.edges if e.source in same and e.target in same}
    return GraphDifference(
        before,
        after,
        same,
        added=tuple(node for node in after.nodes if node.id not in back),
        removed=tuple(node for node in before.nodes if node.id not in same),
        changed=tuple(changed),
        edges_added=tuple(edge for edge in after.edges if edge not in kept),
        edges_removed=tuple(
            e for e in before.edges if Edge(same.get(e.source, ""), same.get(e.target, ""), e.port) not in after.edges
        ),
    )


def _values(params: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {**complete(params, values), **values}


def _key(column: Mapping[str, Any], name: str) -> tuple[str, str]:
    """What is compared of a value: 1 and 1.0 are the same number, true and 1 are not."""
    if name not in column:
        return "missing", ""
    value = column[name]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return ("number", repr(float(value))) if number else (type(value).__name__, repr(value))


def _changes(was: Node, now: Node, same: Mapping[str, str]) -> list[Change]:
    old, new = values_of(was), values_of(now)
    if was.kind != now.kind:  # what only one of the kinds has says nothing more
        shared = [name for name in old if name in new]
        found = [Change(now.id, NODE_KIND, was.kind, now.kind, was.id)]
    else:
        shared, found = list(dict.fromkeys([*old, *new])), []
    for name in shared:
        a, b = old.get(name), new.get(name)
        follows = isinstance(a, str) and same.get(a) == b  # names a node, as tie_to does, that has been renamed
        if not follows and _key(old, name) != _key(new, name):
            found.append(Change(now.id, name, a, b, was.id))
    return found


def _matches(before: Graph, after: Graph) -> dict[str, str]:
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
        return _Look(node.id, node.kind, frozenset((name, _key(values, name)) for name in values))


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


def _leads(graph: Graph, source: str, target: str, through: set[str]) -> bool:
    """Whether a way from source to target passes nothing but at least one of these nodes."""
    seen, ahead = set(), [edge.target for edge in graph.out_of(source) if edge.target in through]
    while ahead:
        here = ahead.pop()
        if here in seen:
            continue
        seen.add(here)
        after = [edge.target for edge in graph.out_of(here)]
        if target in after:
            return True
        ahead += [node_id for node_id in after if node_id in through]
    return False


def _place(graph: Graph, node: Node) -> str:
    sources = ", ".join(edge.source for edge in graph.into(node.id))
    targets = ", ".join(edge.target for edge in graph.out_of(node.id))
    if sources and targets:
        return f" between {sources} and {targets}"
    return f" after {sources}" if sources else f" before {targets}" if targets else ""


def _end(graph: Graph, edge: Edge) -> str:
    several = len(graph.into(edge.target)) > 1 or edge.port != "in"
    return f"{edge.target} (port {edge.port})" if several else edge.target


def _said(value: Any) -> str:
    return "nothing" if value is None else '""' if value == "" else str(value)
