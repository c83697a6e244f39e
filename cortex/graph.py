"""The Graph document: nodes, edges, training settings and layout as plain frozen data, JSON in and out.

Knows no node kinds and imports no torch, so that documents open, edit and compare at once. Every edit returns a new Graph.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

FORMAT = "cortexnodus/graph"
VERSION = 1
MAX_NODES = 2000
MOST_NOTE = 2000  # characters


class GraphError(ValueError):
    """A document that is not a graph. `problems` lists every fault: where, what was found, what was expected."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Node:
    """A box of the graph. Parameters that are left out have their defaults.

    Args:
        note: what a person wrote on it; beside the model, as the layout is.
        bypass: what feeds it goes past it, as if it were not there.
    """

    id: str
    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    bypass: bool = False


@dataclass(frozen=True)
class Edge:
    """The output of `source` goes into the input `port` of `target`."""

    source: str
    target: str
    port: str = "in"


@dataclass(frozen=True)
class Graph:
    """A model and how it is trained. `layout` maps node ids to (x, y) and is beside the model, not in it."""

    name: str = "untitled"
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    layout: Mapping[str, tuple[float, float]] = field(default_factory=dict)

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

    def rename(self, name: str) -> Graph:
        return replace(self, name=name)

    def _with_node(self, node_id: str, change: Callable[[Node], Node]) -> Graph:
        self.node(node_id)
        return replace(self, nodes=tuple(change(node) if node.id == node_id else node for node in self.nodes))


def model_document(graph: Graph) -> dict[str, Any]:
    """The document without name, notes and layout: two graphs with equal ones are the same model, trained the same way."""
    document = to_document(replace(graph, nodes=tuple(replace(node, note="") for node in graph.nodes)))
    return {key: document[key] for key in ("format", "version", "nodes", "edges", "training")}


def to_document(graph: Graph) -> dict[str, Any]:
    """The graph as JSON-ready data; `from_document` gives an equal graph back."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": graph.name,
        "nodes": list(map(_node_document, graph.nodes)),
        "edges": [{"source": edge.source, "target": edge.target, "port": edge.port} for edge in graph.edges],
        "training": dict(graph.training),
        "layout": {key: [x, y] for key, (x, y) in graph.layout.items()},
    }


def _node_document(node: Node) -> dict[str, Any]:
    rare = {"note": node.note, "bypass": node.bypass}
    return {"id": node.id, "kind": node.kind, "params": dict(node.params), **{key: rare[key] for key in rare if rare[key]}}


def to_json(graph: Graph) -> str:
    """The document as text, as `from_json` reads it."""
    return json.dumps(to_document(graph), indent=1, ensure_ascii=False) + "\n"


def from_json(text: str, where: str = "document") -> Graph:
    """The graph written as JSON; GraphError lists every fault of the document's form.

    Kinds, parameters and connections are checked by `plan()`, which knows the registry.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair could not be written again
    except (ValueError, RecursionError) as error:
        at = f"line {error.lineno} column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else error
        raise GraphError([f"{where}: not JSON: {at or 'nested too deeply'}"]) from None
    return from_document(document, where)


def from_document(document: Any, where: str = "document") -> Graph:
    """The graph that `document` describes; GraphError lists every fault of its form."""
    if not isinstance(document, dict):
        raise GraphError([f"{where}: found {_name_of(document)}, expected an object with nodes and edges"])
    faults: list[str] = []
    if document.get("format") != FORMAT:
        raise GraphError([f'{where}.format: found {_short(document.get("format"))}, expected "{FORMAT}"'])
    if document.get("version") != VERSION:
        newer = type(document.get("version")) is int and document["version"] > VERSION
        hint = "; a newer CortexNodus wrote this document, update to open it" if newer else ""
        raise GraphError([f"{where}.version: found {_short(document.get('version'))}, expected {VERSION}{hint}"])

    fields = {
        "format": str,
        "version": int,
        "name": str,
        "nodes": list,
        "edges": list,
        "training": dict,
        "layout": dict,
    }
    _check_keys(document, fields, {"nodes", "edges"}, where, faults)
    if faults:
        raise GraphError(faults)

    nodes = tuple(_nodes(document["nodes"], where, faults))
    if len(nodes) > MAX_NODES:
        faults.append(f"{where}.nodes: found {len(nodes):,}, expected at most {MAX_NODES:,}")
    ids = {node.id for node in nodes}
    edges = tuple(_edges(document["edges"], ids, where, faults))
    training = document.get("training", {})
    _check_values(training, f"{where}.training", faults)
    layout = dict(_places(document.get("layout", {}), ids, where, faults))
    if faults:
        raise GraphError(faults)
    return Graph(document.get("name", "untitled"), nodes, edges, training, layout)


def _nodes(entries: list[Any], where: str, faults: list[str]) -> Iterator[Node]:
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        at = f"{where}.nodes[{index}]"
        if not _is_object(entry, at, faults):
            continue
        before = len(faults)
        types = {"id": str, "kind": str, "params": dict, "note": str, "bypass": bool}
        _check_keys(entry, types, {"id", "kind"}, at, faults)
        if len(faults) > before:
            continue
        if entry["id"] in seen:
            faults.append(f'{at}.id: found "{entry["id"]}" a second time, expected a name of its own')
            continue
        seen.add(entry["id"])
        _check_values(entry.get("params", {}), f"{at}.params", faults)
        if len(entry.get("note", "")) > MOST_NOTE:
            faults.append(f"{at}.note: found {len(entry['note']):,} characters, expected at most {MOST_NOTE:,}")
        yield Node(entry["id"], entry["kind"], entry.get("params", {}), entry.get("note", ""), entry.get("bypass", False))


def _edges(entries: list[Any], ids: set[str], where: str, faults: list[str]) -> Iterator[Edge]:
    seen: set[Edge] = set()
    for index, entry in enumerate(entries):
        at = f"{where}.edges[{index}]"
        if not _is_object(entry, at, faults):
            continue
        before = len(faults)
        _check_keys(entry, {"source": str, "target": str, "port": str}, {"source", "target"}, at, faults)
        if len(faults) > before:
            continue
        for end in ("source", "target"):
            if entry[end] not in ids:
                faults.append(f"{at}.{end}: found {_short(entry[end])}, expected the id of a node")
        edge = Edge(entry["source"], entry["target"], entry.get("port", "in"))
        if edge in seen:
            faults.append(f"{at}: found {edge.source} -> {edge.target}.{edge.port} a second time, expected it once")
        seen.add(edge)
        yield edge


def _places(entries: dict[str, Any], ids: set[str], where: str, faults: list[str]) -> Iterator[tuple[str, tuple]]:
    for key, place in entries.items():
        numbers = isinstance(place, list) and len(place) == 2 and all(type(at) in (int, float) for at in place)
        if key not in ids:
            faults.append(f"{where}.layout: found {_short(key)}, expected the id of a node")
        elif not numbers:
            faults.append(f"{where}.layout.{key}: found {_short(place)}, expected two numbers")
        else:
            yield key, (place[0], place[1])


def _check_keys(entry: dict, types: dict[str, type], required: set[str], at: str, faults: list[str]) -> None:
    for key in entry:
        if key not in types:
            faults.append(f"{at}: found the unknown key {_short(key)}, expected {', '.join(types)}")
        elif type(entry[key]) is not types[key]:
            faults.append(f"{at}.{key}: found {_name_of(entry[key])}, expected {_NAMES[types[key]]}")
    faults.extend(f"{at}: the key {key} is missing" for key in types if key in required and key not in entry)


def _check_values(values: dict[str, Any], at: str, faults: list[str]) -> None:
    for key, value in values.items():
        if type(value) not in (str, int, float, bool):
            faults.append(f"{at}.{key}: found {_name_of(value)}, expected a text, a number, true or false")


def _is_object(entry: Any, at: str, faults: list[str]) -> bool:
    if not isinstance(entry, dict):
        faults.append(f"{at}: found {_name_of(entry)}, expected an object")
    return isinstance(entry, dict)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {_short(next(key for key in keys if keys.count(key) > 1))} stands twice in one object")
    return found


def _finite(text: str) -> float:
    if math.isinf(float(text)):
        _refuse_constant(text)
    return float(text)


def _refuse_constant(text: str) -> None:
    raise ValueError(f"found {text}, expected a finite number")


_NAMES = {
    str: "a text",
    int: "a whole number",
    list: "a list",
    dict: "an object",
    float: "a number",
    bool: "true or false",
}


def _name_of(value: Any) -> str:
    return "nothing" if value is None else _NAMES.get(type(value), type(value).__name__)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
