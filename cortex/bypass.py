"""Nodes that are bypassed: the graph as it is computed, in which what feeds them goes past them."""

from __future__ import annotations

from cortex.graph import Graph
from cortex.registry import KINDS


def passed_by(graph: Graph) -> tuple[Graph, dict[str, tuple[str, str]]]:
    """The graph without its bypassed nodes; by node, message and hint of the fault where nothing can go past one."""
    faults: dict[str, tuple[str, str]] = {}
    for node in graph.nodes:
        kind = KINDS.get(node.kind)
        if not node.bypass:
            continue
        if kind is not None and (not kind.inputs or kind.output is None):
            faults[node.id] = f"is a {kind.role}, which nothing can go past", "switch its bypass off, or delete it"
            continue
        try:
            graph = graph.bridge(node.id)
        except ValueError:
            found = len(graph.into(node.id))
            faults[node.id] = f"is bypassed and has {found} inputs, expected one", "switch its bypass off, or draw one edge"
    return graph, faults
