"""What differs between two graphs in their nodes and edges: what was added, removed, changed, renamed and led otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cortex.graph import Edge, Graph, Node
from cortex.graph_settings import comparable_key, values_of
from cortex.node_matches import node_matches

NODE_KIND = "node kind"  # what a Change calls the kind of a node; a Loss has a setting named kind besides


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
    same = node_matches(before, after)
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
        if not follows and comparable_key(old, name) != comparable_key(new, name):
            found.append(Change(now.id, name, a, b, was.id))
    return found


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
