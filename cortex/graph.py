"""The Graph document: nodes, edges, templates, training settings and layout as plain frozen data, JSON in and out.

Knows no node kinds and imports no torch, so that documents open, edit and compare at once. Every edit returns a new Graph.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cortex import elements
from cortex.elements import MOST_NOTE, Edge, GraphError, Node, Template, name_of, short

__all__ = [
    "FORMAT", "MAX_NODES", "VERSION", "Edge", "Graph", "GraphError", "Node", "Template", "from_document", "from_json",
    "model_document", "to_document", "to_json",
]  # fmt: skip

FORMAT = "cortexnodus/graph"
VERSION = 1
MAX_NODES = 2000


@dataclass(frozen=True)
class Graph:
    """A model and how it is trained. `layout` maps node ids to (x, y) and is beside the model, not in it; `templates` are the
    groups of nodes that its Subgraphs stand for."""

    name: str = "untitled"
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    layout: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    templates: Mapping[str, Template] = field(default_factory=dict)

    def __contains__(self, node_id: str) -> bool:
        return node_id in self._by_id

    def node(self, node_id: str) -> Node:
        """The node of that id; KeyError when there is none."""
        return self._by_id[node_id]

    def of_kind(self, *kinds: str) -> list[Node]:
        """The nodes of these kinds in document order."""
        return [node for node in self.nodes if node.kind in kinds]

    def into(self, node_id: str) -> list[Edge]:
        """The edges that end at this node."""
        return list(self._ends[0].get(node_id, ()))

    def out_of(self, node_id: str) -> list[Edge]:
        """The edges that start at this node."""
        return list(self._ends[1].get(node_id, ()))

    @functools.cached_property
    def _by_id(self) -> dict[str, Node]:
        return {node.id: node for node in self.nodes}

    @functools.cached_property
    def _ends(self) -> tuple[dict[str, list[Edge]], dict[str, list[Edge]]]:
        into: dict[str, list[Edge]] = {}
        out_of: dict[str, list[Edge]] = {}
        for edge in self.edges:
            into.setdefault(edge.target, []).append(edge)
            out_of.setdefault(edge.source, []).append(edge)
        return into, out_of

    # Edits

    def free_id(self, stem: str) -> str:
        """`stem` when no node has that id, else stem_2, stem_3 …"""
        taken, candidate, number = {node.id for node in self.nodes}, stem, 2
        while candidate in taken:
            candidate, number = f"{stem}_{number}", number + 1
        return candidate

    def add(self, node: Node, position: tuple[float, float] | None = None) -> Graph:
        if node.id in self:
            raise GraphError([f"node {node.id}: a node of that id exists already"])
        layout = {**self.layout, node.id: position} if position else self.layout
        return replace(self, nodes=(*self.nodes, node), layout=layout)

    def remove(self, node_id: str) -> Graph:
        """Without this node and every edge that touches it."""
        return replace(
            self,
            nodes=tuple(node for node in self.nodes if node.id != node_id),
            edges=tuple(edge for edge in self.edges if node_id not in (edge.source, edge.target)),
            layout={key: place for key, place in self.layout.items() if key != node_id},
        )

    def connect(self, source: str, target: str, port: str = "in") -> Graph:
        """With this edge; unchanged when it exists."""
        for end in (source, target):
            if end not in self:
                raise GraphError([f"edge {source} -> {target}: there is no node {end}"])
        edge = Edge(source, target, port)
        return self if edge in self.edges else replace(self, edges=(*self.edges, edge))

    def disconnect(self, edge: Edge) -> Graph:
        return replace(self, edges=tuple(other for other in self.edges if other != edge))

    def bridge(self, node_id: str) -> Graph:
        """Without this node, what feeds its only input feeding what it fed; ValueError unless it has exactly one."""
        into = self.into(node_id)
        if len(into) != 1:
            raise ValueError(f"{node_id} has {len(into)} inputs")
        edges = [replace(edge, source=into[0].source) if edge.source == node_id else edge for edge in self.edges]
        return replace(self, edges=tuple(dict.fromkeys(edges))).remove(node_id)

    def with_param(self, node_id: str, name: str, value: Any) -> Graph:
        return self._with_node(node_id, lambda node: replace(node, params={**node.params, name: value}))

    def without_param(self, node_id: str, name: str) -> Graph:
        """With this parameter back at its default."""
        kept = {key: value for key, value in self.node(node_id).params.items() if key != name}
        return self._with_node(node_id, lambda node: replace(node, params=kept))

    def with_note(self, node_id: str, note: str) -> Graph:
        return self._with_node(node_id, lambda node: replace(node, note=note.strip()[:MOST_NOTE]))

    def with_bypass(self, node_id: str, bypass: bool) -> Graph:
        return self._with_node(node_id, lambda node: replace(node, bypass=bypass))

    def with_training(self, name: str, value: Any) -> Graph:
        return replace(self, training={**self.training, name: value})

    def move(self, positions: Mapping[str, tuple[float, float]]) -> Graph:
        return replace(self, layout={**self.layout, **{key: at for key, at in positions.items() if key in self}})

    def with_templates(self, templates: Mapping[str, Template]) -> Graph:
        """With these templates besides its own, or in the place of those of the same names."""
        return replace(self, templates={**self.templates, **templates})

    def rename(self, name: str) -> Graph:
        return replace(self, name=name)

    def _with_node(self, node_id: str, change: Callable[[Node], Node]) -> Graph:
        self.node(node_id)
        return replace(self, nodes=tuple(change(node) if node.id == node_id else node for node in self.nodes))


def model_document(graph: Graph) -> dict[str, Any]:
    """The document without name, notes and layout: two graphs with equal ones are the same model, trained the same way."""
    document = to_document(replace(graph, nodes=tuple(replace(node, note="") for node in graph.nodes)))
    return {key: document[key] for key in ("format", "version", "nodes", "edges", "training", "templates") if key in document}


def to_document(graph: Graph) -> dict[str, Any]:
    """The graph as JSON-ready data; `from_document` gives an equal graph back."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "name": graph.name,
        "nodes": elements.write_nodes(graph.nodes),
        "edges": elements.write_edges(graph.edges),
        "training": dict(graph.training),
        "layout": {key: [x, y] for key, (x, y) in graph.layout.items()},
    }
    if graph.templates:
        document["templates"] = {name: elements.write_template(each) for name, each in graph.templates.items()}
    return document


def to_json(graph: Graph) -> str:
    """The document as text, as `from_json` reads it."""
    return json.dumps(to_document(graph), indent=1, ensure_ascii=False) + "\n"


def from_json(text: str, where: str = "document") -> Graph:
    """The graph written as JSON; GraphError lists every fault of the document's form.

    Kinds, parameters and connections are checked by `plan()`, which knows the registry.
    """
    try:
        document = json.loads(
            text, parse_constant=elements.refuse_constant, parse_float=elements.finite, object_pairs_hook=elements.unique
        )
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair could not be written again
    except (ValueError, RecursionError) as error:
        at = f"line {error.lineno} column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else error
        raise GraphError([f"{where}: not JSON: {at or 'nested too deeply'}"]) from None
    return from_document(document, where)


def from_document(document: Any, where: str = "document") -> Graph:
    """The graph that `document` describes; GraphError lists every fault of its form."""
    if not isinstance(document, dict):
        raise GraphError([f"{where}: found {name_of(document)}, expected an object with nodes and edges"])
    faults: list[str] = []
    if "format" not in document:
        keys = ", ".join(map(short, list(document)[:4]))
        found = f"an object with {keys}{', …' if len(document) > 4 else ''}" if document else "an empty object"
        likely = f'{{"format": "{FORMAT}", "version": {VERSION}, "nodes": […], "edges": […]}}'
        raise GraphError([f"{where}: found {found}, which is no graph document; expected {likely}"])
    if document["format"] != FORMAT:
        raise GraphError([f'{where}.format: found {short(document["format"])}, expected "{FORMAT}"'])
    if document.get("version") != VERSION:
        newer = type(document.get("version")) is int and document["version"] > VERSION
        hint = "; a newer CortexNodus wrote this document, update to open it" if newer else ""
        raise GraphError([f"{where}.version: found {short(document.get('version'))}, expected {VERSION}{hint}"])

    fields = {
        "format": str,
        "version": int,
        "name": str,
        "nodes": list,
        "edges": list,
        "training": dict,
        "layout": dict,
        "templates": dict,
    }
    elements.check_keys(document, fields, {"nodes", "edges"}, where, faults)
    if faults:
        raise GraphError(faults)

    nodes = tuple(elements.read_nodes(document["nodes"], where, faults))
    if len(nodes) > MAX_NODES:
        faults.append(f"{where}.nodes: found {len(nodes):,}, expected at most {MAX_NODES:,}")
    ids = {node.id for node in nodes}
    edges = tuple(elements.read_edges(document["edges"], ids, where, faults))
    training = document.get("training", {})
    elements.check_values(training, f"{where}.training", faults)
    layout = dict(elements.read_places(document.get("layout", {}), ids, where, faults))
    templates = {
        name: template
        for name, entry in document.get("templates", {}).items()
        for template in elements.read_template(name, entry, f"{where}.templates", faults)
    }
    if faults:
        raise GraphError(faults)
    return Graph(document.get("name", "untitled"), nodes, edges, training, layout, templates)
