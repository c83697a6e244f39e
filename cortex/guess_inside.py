"""Edits of a template that may mend a fault inside its cards, guessed as those of any graph: the template is laid out as one,
with a node for each port of the card and one for what takes its value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cortex.builder import Plan
from cortex.bypass import passed_by
from cortex.checks import Issue
from cortex.expand import Expanded, expand, part_id, template_at
from cortex.graph import Edge, Graph, Node, Template
from cortex.guess_wires import role
from cortex.shapes import Shape
from cortex.steps import step_name

Guess = tuple[str, Graph]
Guesses = Callable[[Plan, Issue], Iterator[Guess]]

_END = "the output"  # no node can be called so, or as a port is here
_PASSES = "Identity"


def inside(planned: Plan, issue: Issue, guesses: Guesses) -> Iterator[Guess]:
    """What `guesses` makes of the template that the fault stands in; nothing for a fault that is in none.

    All cards of the template change with it, so what it breaks elsewhere counts against it like any other fault.
    """
    for name, body in _bodies(planned, issue):
        for label, after in guesses(body.plan, body.issue):
            template = _written(after, body.template)
            if template is not None and template != body.template:
                said = label or step_name(body.plan.graph, after)[0]
                said = re.sub(r"\bit\b", body.issue.node or "it", said, count=1)
                yield f"{said}, in template {name}", planned.graph.with_templates({name: template})


@dataclass(frozen=True)
class _Body:
    template: Template
    plan: Plan
    issue: Issue


def _bodies(planned: Plan, issue: Issue) -> Iterator[tuple[str, _Body]]:
    """The templates that a fault may stand in, by name, each as a plan with that fault."""
    graph = planned.graph
    if issue.inside is not None and issue.node in graph:
        name = template_at(graph, issue.node, issue.way)
        if name in graph.templates:
            expanded = expand(passed_by(graph)[0])
            same = [one for one in planned.issues if one.inside and (one.node, one.way) == (issue.node, issue.way)]
            found = tuple(one.inside for one in same if one.inside)
            shapes = _shapes(planned, issue, expanded, graph.templates[name])
            yield name, _body(planned, graph.templates[name], found, issue.inside, shapes)
    elif issue.field == "template" and issue.node in graph:  # a template that cannot be laid out
        below = _below(graph, str(graph.node(issue.node).params.get("template", "")))
        parts = [(name, node) for name in reversed(below) for node in graph.templates[name].nodes]
        parts = [(name, node) for name, node in parts if role(node) in ("source", "loss", "subgraph")]
        for name, node in [part for part in parts if not _is_sound_card(graph, part[1])] or parts:
            fault = Issue(node.id, "template" if role(node) == "subgraph" else None, issue.message)
            yield name, _body(planned, graph.templates[name], (fault,), fault, {})


def _is_sound_card(graph: Graph, node: Node) -> bool:
    """Whether it is a card of a template that there is: at fault only for what is in it, or for standing in itself."""
    return role(node) == "subgraph" and node.params.get("template", "") in graph.templates


def _body(planned: Plan, template: Template, issues: tuple[Issue, ...], issue: Issue, shapes: dict[str, Shape]) -> _Body:
    ports = tuple(Node(_port(port), _PASSES) for port in template.inputs)
    leads = tuple(Edge(_port(port), name, into) for port, ends in template.inputs.items() for name, into in ends)
    edges = (*leads, *template.edges, Edge(template.output, _END))
    nodes = (*ports, *template.nodes, Node(_END, _PASSES))
    graph = Graph(planned.graph.name, nodes, edges, templates=planned.graph.templates)
    return _Body(template, Plan(graph, (), issues, shapes, {}, planned.vocabulary, planned.labels), issue)


def _written(graph: Graph, before: Template) -> Template | None:
    """A graph of `_body` as a template again; None where it is none that has the same ports."""
    given = graph.into(_END) if _END in graph else []
    ends = {port: graph.out_of(_port(port)) for port in before.inputs if _port(port) in graph}
    names = {_END, *map(_port, before.inputs)}
    passing = any(edge.target in names for edge in graph.edges if edge.target != _END)
    if len(ends) < len(before.inputs) or not all(ends.values()) or passing or len(given) != 1 or given[0].source in names:
        return None
    if graph.out_of(_END) or any(role(node) in ("source", "loss") and node not in before.nodes for node in graph.nodes):
        return None
    nodes = tuple(node for node in graph.nodes if node.id not in names)
    edges = tuple(edge for edge in graph.edges if not {edge.source, edge.target} & names)
    inputs = {port: tuple((edge.target, edge.port) for edge in found) for port, found in ends.items()}
    return Template(nodes, edges, inputs, given[0].source)


def _shapes(planned: Plan, issue: Issue, expanded: Expanded, template: Template) -> dict[str, Shape]:
    """What the nodes of a template give in the first copy of it, and what comes into its ports there."""
    first = issue.node or ""
    for name in issue.way:
        first = part_id(first, 1, name)
    given = {node.id: planned.shapes.get(part_id(first, 1, node.id)) for node in template.nodes}
    for port, ends in template.inputs.items():
        for name, into in ends:
            into_it = expanded.graph.into(part_id(first, 1, name))
            found = [planned.shapes.get(edge.source) for edge in into_it if edge.port == into]
            given[_port(port)] = next(filter(None, found), given.get(_port(port)))
    return {name: shape for name, shape in given.items() if shape is not None}


def _below(graph: Graph, name: str) -> list[str]:
    """A template and all that its own cards stand for."""
    found, waiting = [], [name]
    while waiting:
        one = waiting.pop()
        if one in graph.templates and one not in found:
            found.append(one)
            nodes = graph.templates[one].nodes
            waiting += [str(node.params.get("template", "")) for node in nodes if role(node) == "subgraph"]
    return found


def _port(name: str) -> str:
    return f"port {name}"
