"""The input ports of a node: those of its kind, of a merge as many as are used, of a subgraph those of its template."""

from __future__ import annotations

from cortex.graph import Graph, Node
from cortex.registry import KINDS


def ports_of(graph: Graph, node: Node) -> list[str]:
    """The ports in their order; none for a source, and for a kind that does not exist those that are used."""
    kind, used = KINDS.get(node.kind), [edge.port for edge in graph.into(node.id)]
    if kind is None:
        return list(dict.fromkeys(used))
    if kind.role == "subgraph":
        template = graph.templates.get(node.params.get("template", ""))
        return list(template.inputs) if template else list(dict.fromkeys(used))
    return kind.ports(used)


def free_port(graph: Graph, node_id: str) -> str:
    """The first port that nothing is connected to, of a merge one more than it has; else the first of all."""
    node = graph.node(node_id)
    kind, used = KINDS.get(node.kind), {edge.port for edge in graph.into(node_id)}
    if kind is not None and kind.most:
        return kind.free_port(used) or "in"
    ports = ports_of(graph, node)
    return next((port for port in ports if port not in used), ports[0] if ports else "in")
