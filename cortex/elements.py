"""Nodes, edges and templates as plain frozen data, and the reading of their JSON; the faults of its form in words.

Imports no torch and knows no node kinds.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# Names that a template may have: it is also the name of a file.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")

MOST_NOTE = 2000  # characters

_NODE = {"id": str, "kind": str, "params": dict, "note": str, "bypass": bool}
_TEMPLATE = {"nodes": list, "edges": list, "inputs": dict, "output": str}


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
class Template:
    """A group of nodes that stands in a graph as one card.

    `inputs` maps each port of the card to the ports of its nodes that it leads to; `output` is the node whose value it gives.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    inputs: Mapping[str, tuple[tuple[str, str], ...]]
    output: str


def read_template(name: str, entry: Any, where: str, faults: list[str]) -> Iterator[Template]:
    """The template that an entry of a document describes."""
    at = f"{where}.{name}"
    if not NAME.fullmatch(name):
        faults.append(f"{where}: found the name {short(name)}, expected at most 64 letters, digits, spaces, _ - and .")
    if not is_object(entry, at, faults):
        return
    before = len(faults)
    check_keys(entry, _TEMPLATE, set(_TEMPLATE), at, faults)
    if len(faults) > before:
        return
    nodes = tuple(read_nodes(entry["nodes"], at, faults))
    ids = {node.id for node in nodes}
    edges = tuple(read_edges(entry["edges"], ids, at, faults))
    inputs = {port: tuple(_ends(ends, ids, f"{at}.inputs.{port}", faults)) for port, ends in entry["inputs"].items()}
    if not inputs:
        faults.append(f"{at}.inputs: found none, expected at least one port")
    if entry["output"] not in ids:
        faults.append(f"{at}.output: found {short(entry['output'])}, expected the id of a node of it")
    yield Template(nodes, edges, inputs, entry["output"])


def write_template(template: Template) -> dict[str, Any]:
    """A template as JSON-ready data."""
    return {
        "nodes": write_nodes(template.nodes),
        "edges": write_edges(template.edges),
        "inputs": {port: [list(end) for end in ends] for port, ends in template.inputs.items()},
        "output": template.output,
    }


def write_nodes(nodes: Iterable[Node]) -> list[dict[str, Any]]:
    """Nodes as JSON-ready data."""
    return list(map(_node_entry, nodes))


def _node_entry(node: Node) -> dict[str, Any]:
    rare = {"note": node.note, "bypass": node.bypass}
    return {"id": node.id, "kind": node.kind, "params": dict(node.params), **{key: rare[key] for key in rare if rare[key]}}


def write_edges(edges: Iterable[Edge]) -> list[dict[str, Any]]:
    """Edges as JSON-ready data."""
    return [{"source": edge.source, "target": edge.target, "port": edge.port} for edge in edges]


def _ends(ends: Any, ids: set[str], at: str, faults: list[str]) -> Iterator[tuple[str, str]]:
    """The ports of nodes that a port of a template leads to."""
    if not isinstance(ends, list) or not ends:
        faults.append(f"{at}: found {name_of(ends)}, expected a list of [node, port]")
        return
    for end in ends:
        if not (isinstance(end, list) and len(end) == 2 and all(isinstance(part, str) for part in end)):
            faults.append(f"{at}: found {short(end)}, expected [node, port]")
        elif end[0] not in ids:
            faults.append(f"{at}: found {short(end[0])}, expected the id of a node of the template")
        else:
            yield end[0], end[1]


def read_nodes(entries: list[Any], where: str, faults: list[str]) -> Iterator[Node]:
    """The nodes of a document; what is wrong with their form is added to `faults`."""
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        at = f"{where}.nodes[{index}]"
        if not is_object(entry, at, faults):
            continue
        before = len(faults)
        check_keys(entry, _NODE, {"id", "kind"}, at, faults)
        if len(faults) > before:
            continue
        if entry["id"] in seen:
            faults.append(f'{at}.id: found "{entry["id"]}" a second time, expected a name of its own')
            continue
        seen.add(entry["id"])
        check_values(entry.get("params", {}), f"{at}.params", faults)
        if len(entry.get("note", "")) > MOST_NOTE:
            faults.append(f"{at}.note: found {len(entry['note']):,} characters, expected at most {MOST_NOTE:,}")
        yield Node(entry["id"], entry["kind"], entry.get("params", {}), entry.get("note", ""), entry.get("bypass", False))


def read_edges(entries: list[Any], ids: set[str], where: str, faults: list[str]) -> Iterator[Edge]:
    """The edges of a document, which may join nodes of these ids."""
    seen: set[Edge] = set()
    for index, entry in enumerate(entries):
        at = f"{where}.edges[{index}]"
        if not is_object(entry, at, faults):
            continue
        before = len(faults)
        check_keys(entry, {"source": str, "target": str, "port": str}, {"source", "target"}, at, faults)
        if len(faults) > before:
            continue
        for end in ("source", "target"):
            if entry[end] not in ids:
                faults.append(f"{at}.{end}: found {short(entry[end])}, expected the id of a node")
        edge = Edge(entry["source"], entry["target"], entry.get("port", "in"))
        if edge in seen:
            faults.append(f"{at}: found {edge.source} -> {edge.target}.{edge.port} a second time, expected it once")
        seen.add(edge)
        yield edge


def read_places(entries: dict[str, Any], ids: set[str], where: str, faults: list[str]) -> Iterator[tuple[str, tuple]]:
    """Where the boxes of a document stand."""
    for key, place in entries.items():
        numbers = isinstance(place, list) and len(place) == 2 and all(type(at) in (int, float) for at in place)
        if key not in ids:
            faults.append(f"{where}.layout: found {short(key)}, expected the id of a node")
        elif not numbers:
            faults.append(f"{where}.layout.{key}: found {short(place)}, expected two numbers")
        else:
            yield key, (place[0], place[1])


def check_keys(entry: dict, types: dict[str, type], required: set[str], at: str, faults: list[str]) -> None:
    """Add to `faults` each key that is unknown, missing or of a wrong type."""
    for key in entry:
        if key not in types:
            faults.append(f"{at}: found the unknown key {short(key)}, expected {', '.join(types)}")
        elif type(entry[key]) is not types[key]:
            faults.append(f"{at}.{key}: found {name_of(entry[key])}, expected {_NAMES[types[key]]}")
    faults.extend(f"{at}: the key {key} is missing" for key in types if key in required and key not in entry)


def check_values(values: dict[str, Any], at: str, faults: list[str]) -> None:
    """Add to `faults` each value that no setting can have."""
    for key, value in values.items():
        if type(value) not in (str, int, float, bool):
            faults.append(f"{at}.{key}: found {name_of(value)}, expected a text, a number, true or false")


def is_object(entry: Any, at: str, faults: list[str]) -> bool:
    """Whether an entry is an object; else that is added to `faults`."""
    if not isinstance(entry, dict):
        faults.append(f"{at}: found {name_of(entry)}, expected an object")
    return isinstance(entry, dict)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, each key of which stands there once; else ValueError."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {short(next(key for key in keys if keys.count(key) > 1))} stands twice in one object")
    return found


def finite(text: str) -> float:
    """A number of JSON; ValueError for one that is too large."""
    if math.isinf(float(text)):
        refuse_constant(text)
    return float(text)


def refuse_constant(text: str) -> None:
    """ValueError for a constant that JSON has not."""
    raise ValueError(f"found {text}, expected a finite number")


_NAMES = {
    str: "a text",
    int: "a whole number",
    list: "a list",
    dict: "an object",
    float: "a number",
    bool: "true or false",
}


def name_of(value: Any) -> str:
    """The type of a value in words."""
    return "nothing" if value is None else _NAMES.get(type(value), type(value).__name__)


def short(value: Any) -> str:
    """A value as JSON of at most 60 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
