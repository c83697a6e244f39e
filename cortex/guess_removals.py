"""Edits that may mend a fault and take something away, for where nothing gentler does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cortex.builder import Plan
from cortex.checks import Issue
from cortex.graph import Graph
from cortex.guess_wires import pruned, role

Guess = tuple[str, Graph]


def drastic(planned: Plan, issue: Issue) -> Iterator[Guess]:
    """Edits that take nodes away with all that they were for."""
    graph = planned.graph
    if issue.node is None or issue.node not in graph:
        return
    node = graph.node(issue.node)
    for edge in reversed([edge for edge in graph.into(node.id) if issue.field in (None, edge.port)]):
        source = graph.node(edge.source)
        if len(graph.out_of(source.id)) == 1 and len(graph.into(node.id)) > 1:
            yield _deletion(graph, source.id, pruned(graph, source.id, keep=node.id))
    for other in graph.nodes:  # of two sources the one that nothing needs
        if role(other) == role(node) == "source" and other != node:
            for unused in (one.id for one in (node, other) if not graph.out_of(one.id)):
                yield f"Delete {unused}", graph.remove(unused)
            rest = pruned(graph, node.id)
            if any(role(one) == "loss" for one in rest.nodes):
                yield _deletion(graph, node.id, rest)
            moved = [replace(edge, source=other.id) if edge.source == node.id else edge for edge in graph.edges]
            yield f"Take {other.id} in place of {node.id}", replace(graph, edges=tuple(dict.fromkeys(moved))).remove(node.id)
    yield f"Delete {node.id}", graph.remove(node.id)
    after = pruned(graph, node.id)
    if after.nodes:
        yield _deletion(graph, node.id, after)


def past(planned: Plan, issue: Issue) -> Iterator[Guess]:
    """The node taken out, what comes into one of its ports going on to what it fed; or one before it."""
    graph = planned.graph
    for edge in graph.into(issue.node) if issue.node in graph and issue.field is None else ():
        if len(graph.into(edge.source)) == 1 and len(graph.into(issue.node)) > 1:
            yield f"Take {edge.source} out of the chain", graph.bridge(edge.source)
    if issue.node in graph and graph.out_of(issue.node):
        for edge in graph.into(issue.node):
            alone = replace(graph, edges=tuple(one for one in graph.edges if one.target != issue.node or one == edge))
            yield f"Take {issue.node} out of the chain", alone.bridge(issue.node)


def _deletion(graph: Graph, node_id: str, after: Graph) -> Guess:
    more = len(graph.nodes) - len(after.nodes) - 1
    rest = f" and {more} {'node' if more == 1 else 'nodes'} that hang on it alone" if more else ""
    return f"Delete {node_id}{rest}", after
