"""Templates: groups of nodes made into one card, put back, and kept in a folder for other graphs."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cortex.elements import NAME, check_keys, read_template, write_template
from cortex.expand import lay_out, part_id
from cortex.graph import Edge, Graph, GraphError, Node, Template
from cortex.params import NodeName
from cortex.places import to_json, write_atomically
from cortex.registry import KINDS

FORMAT, VERSION = "cortexnodus/template", 1
CARD = "Subgraph"


class TemplateError(ValueError):
    """A group that cannot be made, or a template that is not there; the text says why."""


def group(graph: Graph, ids: Collection[str], name: str) -> tuple[Graph, str]:
    """The graph with these nodes as a template of that name and one card in their place; the card's id comes out as well.

    Raises:
        TemplateError: the nodes cannot be one card.
    """
    name = name.strip()
    if not NAME.fullmatch(name):
        raise TemplateError(f"{name!r} cannot name a template; expected at most 64 letters, digits, spaces, _ - and .")
    if name in graph.templates:
        raise TemplateError(f"there is a template {name} in this graph already; choose another name")
    nodes = [node for node in graph.nodes if node.id in ids]
    inside = {node.id for node in nodes}
    missing = sorted(set(ids) - inside)
    if missing or not nodes:
        raise TemplateError(f"there is no node {missing[0]}" if missing else "no node is chosen")
    for node in nodes:
        if node.kind in KINDS and KINDS[node.kind].role in ("source", "loss"):
            raise TemplateError(f"{node.id} is a {node.kind}, which cannot stand in a group")
    missed = between(graph, inside)
    if missed:
        names = ", ".join([*missed[:4], f"{len(missed) - 4} more"] if len(missed) > 4 else missed)
        verb, them = ("lie", "them") if len(missed) > 1 else ("lies", "it")
        raise TemplateError(f"{names} {verb} between these nodes; choose {them} too, or fewer of them")
    outputs = list(dict.fromkeys(edge.source for edge in graph.edges if edge.source in inside and edge.target not in inside))
    ends = outputs or [node.id for node in nodes if not graph.out_of(node.id)]
    if len(ends) != 1:
        found = " and ".join(ends) if ends else "none of them"
        raise TemplateError(f"a group gives one value, and of these {found} feed other nodes; choose so that one does")
    inputs = _inputs(graph, nodes, inside)
    if not inputs:
        raise TemplateError("nothing goes into these nodes, so the card would have no port")
    edges = tuple(edge for edge in graph.edges if edge.source in inside and edge.target in inside)
    ports = {port: tuple(found) for port, (_, found) in inputs.items()}
    card = graph.free_id(_identifier(name))
    made = Node(card, CARD, {"template": name})
    place = graph.layout.get(nodes[0].id)
    at = graph.nodes.index(nodes[0])
    outside = [node for node in graph.nodes if node.id not in inside]
    before = sum(node.id not in inside for node in graph.nodes[:at])
    after = {node: part_id(card, 1, node) for node in inside}
    outside = [_renamed(node, after) for node in outside]
    kept = [edge for edge in graph.edges if edge.target not in inside and edge.source not in inside]
    kept += [Edge(source, card, port) for port, (source, _) in inputs.items()]
    kept += [Edge(card, edge.target, edge.port) for edge in graph.edges if edge.source in inside and edge.target not in inside]
    layout = {key: where for key, where in graph.layout.items() if key not in inside} | ({card: place} if place else {})
    grouped = replace(
        graph, nodes=(*outside[:before], made, *outside[before:]), edges=tuple(kept), layout=layout
    )  # fmt: skip
    return grouped.with_templates({name: Template(tuple(nodes), edges, ports, ends[0])}), card


def between(graph: Graph, ids: Collection[str]) -> list[str]:
    """The nodes outside of these that stand behind one of them and before another, in document order."""
    behind = _reached(ids, lambda name: [edge.target for edge in graph.out_of(name)])
    before = _reached(ids, lambda name: [edge.source for edge in graph.into(name)])
    return [node.id for node in graph.nodes if node.id in (behind & before) - set(ids)]


def ungroup(graph: Graph, card_id: str) -> Graph:
    """The graph with the nodes of a card put back: under their own names where there is one copy and these are free.

    Raises:
        TemplateError: the card has no template in this graph.
    """
    card = graph.node(card_id)
    if card.kind != CARD or card.params.get("template", "") not in graph.templates:
        raise TemplateError(f"{card_id} stands for no template of this graph")
    template = graph.templates[card.params["template"]]
    across, down = graph.layout.get(card_id, (0.0, 0.0))
    before = {node.id for node in graph.nodes}
    laid = lay_out(graph, card)
    new = [node.id for node in laid.nodes if node.id not in before]
    names: dict[str, str] = {}
    if card.params.get("repeat", 1) == 1:
        taken = before - {card_id}
        names = {part_id(card_id, 1, node.id): node.id for node in template.nodes if node.id not in taken}
    names = {name: names.get(name, name) for name in new}
    nodes = tuple(_renamed(replace(node, id=names.get(node.id, node.id)), {**names, card_id: card_id}) for node in laid.nodes)
    edges = tuple(
        Edge(names.get(edge.source, edge.source), names.get(edge.target, edge.target), edge.port) for edge in laid.edges
    )
    layout = {key: where for key, where in graph.layout.items() if key != card_id}
    layout |= {names[name]: (across + 40.0 * number, down + 90.0 * number) for number, name in enumerate(new)}
    return replace(laid, nodes=nodes, edges=edges, layout=layout)


def set_part(graph: Graph, name: str, part: str, setting: str, value: Any) -> Graph:
    """The graph with a setting of one node of a template changed, and so in all copies of it; unchanged without such a node."""
    template = graph.templates.get(name)
    if template is None:
        return graph
    nodes = tuple(replace(node, params={**node.params, setting: value}) if node.id == part else node for node in template.nodes)
    return graph.with_templates({name: replace(template, nodes=nodes)})


def needed(templates: Mapping[str, Template], name: str) -> dict[str, Template]:
    """A template with all that its own cards stand for. TemplateError when there is none of that name."""
    if name not in templates:
        raise TemplateError(f"there is no template {name!r}; there are {', '.join(templates) or 'none'}")
    found, waiting = {}, [name]
    while waiting:
        one = waiting.pop()
        if one in templates and one not in found:
            found[one] = templates[one]
            waiting += [str(node.params.get("template", "")) for node in templates[one].nodes if node.kind == CARD]
    return found


def save(folder: Path, templates: Mapping[str, Template], name: str) -> Path:
    """Keep a template, and those that it contains, in a file of its name; the file comes out."""
    found = needed(templates, name)
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "templates": {key: write_template(template) for key, template in found.items()},
    }
    path = folder / f"{name}.json"
    write_atomically(path, to_json(document))
    return path


def saved(folder: Path) -> list[str]:
    """Names of the templates that are kept."""
    return sorted(path.stem for path in folder.glob("*.json") if NAME.fullmatch(path.stem))


def load(folder: Path, name: str) -> dict[str, Template]:
    """A template that was kept, with those that it contains.

    Raises:
        TemplateError: there is none of that name.
        GraphError: its file is damaged.
    """
    path = folder / f"{name}.json"
    if not NAME.fullmatch(name) or not path.is_file():
        raise TemplateError(f"there is no template {name!r}; kept are {', '.join(saved(folder)) or 'none'}")
    where = f"template {name}"
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise GraphError([f"{where}: not JSON"]) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT or document.get("version") != VERSION:
        raise GraphError([f'{where}: expected format "{FORMAT}", version {VERSION}'])
    faults: list[str] = []
    check_keys(document, {"format": str, "version": int, "name": str, "templates": dict}, {"templates"}, where, faults)
    entries = document["templates"].items() if not faults else ()
    found = {key: one for key, entry in entries for one in read_template(key, entry, f"{where}.templates", faults)}
    if not faults and name not in found:
        faults.append(f"{where}.templates: found {', '.join(found) or 'none'}, expected {name} among them")
    if faults:
        raise GraphError(faults)
    return found


def insert(graph: Graph, templates: Mapping[str, Template], name: str) -> tuple[Graph, str]:
    """The graph with these templates in it and a card of the one of that name, connected to nothing; the card's id as well.

    Raises:
        TemplateError: the graph has another template under one of the names.
    """
    for key, template in templates.items():
        if graph.templates.get(key, template) != template:
            raise TemplateError(f"this graph has another template {key}; give one of the two another name")
    card = graph.free_id(_identifier(name))
    down = max((place[1] for place in graph.layout.values()), default=-120.0) + 120.0
    across = min((place[0] for place in graph.layout.values()), default=0.0)
    return graph.with_templates(templates).add(Node(card, CARD, {"template": name}), (across, down)), card


def _inputs(graph: Graph, nodes: list[Node], inside: set[str]) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """The ports of the card: what comes in from one node is one port; the first is in, others are named as where they lead."""
    by_source: dict[str, list[tuple[str, str]]] = {}
    for node in nodes:
        for edge in graph.into(node.id):
            if edge.source not in inside:
                by_source.setdefault(edge.source, []).append((node.id, edge.port))
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    for source, ends in by_source.items():
        wanted = ends[0][1] if found and not ends[0][1].startswith("in") else "in"
        port, number = wanted, 2
        while port in found:
            port, number = f"{wanted}_{number}", number + 1
        found[port] = (source, ends)
    return found


def _reached(start: Collection[str], after: Any) -> set[str]:
    found, waiting = set(), list(start)
    while waiting:
        for name in after(waiting.pop()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    """A node whose settings name other nodes by what these are called now."""
    params = KINDS[node.kind].params if node.kind in KINDS else {}
    named = [name for name, value in node.params.items() if isinstance(params.get(name), NodeName) and value in names]
    changed = {name: names[node.params[name]] for name in named}
    return replace(node, params={**node.params, **changed}) if changed else node


def _identifier(name: str) -> str:
    """A node id made of a template's name."""
    letters = "".join(letter if letter.isalnum() else "_" for letter in name.lower()).strip("_")
    return letters if letters and not letters[0].isdigit() else f"group_{letters}".rstrip("_")
