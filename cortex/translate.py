"""From a document of the Flask original to a Graph, with a report: what became of what, what would have gone wrong unsaid
there, and what has no place here. A document is translated whole or not at all; nothing in it is ever run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cortex import litegraph_names as names
from cortex.builder import TRAINING
from cortex.graph import Edge, Graph, Node
from cortex.kind import Kind
from cortex.litegraph import LiteGraphError, Sheet, read
from cortex.litegraph_cards import CARD, Cards, NoCard
from cortex.litegraph_flat import Flat, flatten
from cortex.litegraph_ids import Ids
from cortex.litegraph_report import WHOLE, Remark, Report, Translated, shortened
from cortex.litegraph_sense import on_a_path, role, silent_faults
from cortex.litegraph_values import value_of, values_of
from cortex.registry import KINDS


@dataclass(frozen=True)
class Translation:
    """The graph, None where the document is refused, and the report."""

    graph: Graph | None
    report: Report


def translate(text: str, *, name: str = "imported", beside: Mapping[str, str] | None = None) -> Translation:
    """The Graph of a LiteGraph document of the original; its faults, if any, are for `plan()` to tell at their nodes.

    Args:
        name: what the graph is called, and how the document is called in messages.
        beside: texts of the files with referenced subgraphs, by file name; a file that was uploaded with it, for one.
    """
    try:
        sheet = read(text, name, beside)
    except LiteGraphError as error:
        return Translation(None, Report(refused=(str(error),)))
    flat = flatten(sheet)
    refused = _without_place(flat)
    if refused:
        return Translation(None, Report(refused=shortened(refused)))
    made = _Made(flat)
    graph = made.graph(sheet, name.removesuffix(".json") or "imported")
    remarks = tuple(
        Remark(made.ids.get(way, ""), _there(flat, way) if way else "", message) for way, message in silent_faults(sheet, flat)
    )
    left = (*made.changes, *_left_out(sheet, flat))
    whole = [Translated(WHOLE, "", "", left)] if left else []
    return Translation(graph, Report((*whole, *made.translated), remarks))


def _left_out(sheet: Sheet, flat: Flat) -> list[str]:
    """What of a document has no counterpart and changes nothing in the model."""
    said = [f"{box.name} left out: it stands in no subgraph, and does nothing there" for box in flat.strays]
    if sheet.frames:
        said.append(f"{names.count(len(sheet.frames), 'frame')} left out, which only frame nodes: {_some(sheet.frames)}")
    if sheet.templates:
        said.append(
            f"{names.count(len(sheet.templates), 'template')} left out, of which no node is made: {_some(sheet.templates)}"
        )
    return said


def _without_place(flat: Flat) -> list[str]:
    """One line for the node types for pictures, one for each other that has no place here, and one where there is nothing to
    translate."""
    if flat.strays and not any(role(box) in ("source", "loss") for box in flat.boxes.values()):
        return ["this is a subgraph by itself, expected the document that refers to it, with this file beside it"]
    if not flat.boxes:
        return ["there is no node in it, expected data, layers and a Loss"]
    pictures: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    for way, box in flat.boxes.items():
        if names.kind_of(box.type) is None:
            into = pictures if names.is_picture(box.type) else others
            into.setdefault(box.type, []).append(_there(flat, way))
        elif _is_picture_data(flat, way):
            told = names.tidy(str(box.properties.get("type", "ImageFolder")), 40)
            pictures.setdefault(f"CustomData of type {told}", []).append(_there(flat, way))
    if pictures:
        pictures |= {kind: others.pop(kind) for kind in list(others) if names.is_flatten(kind)}
    lines, unknown = [], []
    for kind, where in others.items():
        hint = names.ELSEWHERE.get(names.last(kind))
        line = f"{_some(where)}: there is no node kind {kind} here"
        lines.append(f"{line}; {hint}") if hint else unknown.append(line)
    if unknown:
        unknown[-1] += f"; expected one of {', '.join(KINDS)}"
    lines += unknown
    if pictures:
        found = "; ".join(f"{kind}: {_some(where)}" for kind, where in pictures.items())
        lines.append(f"for pictures, which have no place here: {found}. Nothing was imported")
    return lines


def _some(names_: Sequence[str], most: int = 4) -> str:
    return ", ".join(names_[:most]) + (f" and {len(names_) - most} more" if len(names_) > most else "")


def _is_picture_data(flat: Flat, way: str) -> bool:
    """Whether a CustomData node is for pictures or tables of numbers: by its type, else by what it feeds."""
    box = flat.boxes[way]
    if names.kind_of(box.type) != "CustomData":
        return False
    told = str(box.properties.get("type", "")).strip().lower()
    if told:
        return told in ("imagefolder", "numpy", "csv", "image", "images")
    return not any(names.kind_of(flat.boxes[target].type) == "Embedding" for target in flat.fed_by(way))


def _there(flat: Flat, way: str) -> str:
    inside = "".join(f" in {box.title or box.name}" for box in reversed(flat.inside[way]))
    return flat.box(way).name + inside


@dataclass
class _Made:
    """The nodes of a graph as they are made of boxes."""

    flat: Flat
    ids: dict[str, str] = field(default_factory=dict)
    translated: list[Translated] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)  # of the whole document
    _at: dict[str, dict[int, int]] = field(default_factory=dict)  # what the inputs of a box are numbered among those in use

    def graph(self, sheet: Sheet, name: str) -> Graph:
        """With a card for each subgraph, or with all of them opened where one of them cannot be a card."""
        cards = Cards(self._node, self._port_of)
        try:
            whole = cards.sheet(sheet)
        except NoCard as problem:
            self.translated.clear()
            return self._opened(name, f"subgraphs are opened, since {problem}")
        self.ids = cards.ids
        made = [self._card(way, node, cards) for way, node in cards.nodes.items() if node.kind == CARD and "/" not in way]
        self.translated += made
        graph = Graph(name, whole.nodes, whole.edges, self._training(), {}, cards.templates)
        return replace(graph, layout=_layout({cards.ids[box.key]: box.place for box in sheet.boxes if box.key in cards.ids}))

    def _card(self, way: str, node: Node, cards: Cards) -> Translated:
        parts = len(cards.templates[node.params["template"]].nodes)
        changes = (f"{names.count(parts, 'node')}, template {node.params['template']}",)
        return Translated(_there(self.flat, way), node.id, node.kind, changes)

    def _opened(self, name: str, why: str) -> Graph:
        nodes, ids = [], Ids()
        for way in self.flat.boxes:
            inside = self.flat.inside[way]
            prefix = f"{inside[-1].title or 'part'} " if inside else ""
            self.ids[way] = ids.free(self.flat.boxes[way], prefix)
            nodes.append(self._node(way, self.ids[way]))
        self.changes.append(why)
        edges = tuple(dict.fromkeys(edge for way in self.flat.boxes for edge in self._edges(way)))
        return Graph(name, tuple(nodes), edges, self._training())

    def _node(self, way: str, node_id: str) -> Node:
        kind = KINDS[names.kind_of(self.flat.boxes[way].type) or ""]
        values, changes = values_of(self.flat, way, kind)
        self.translated.append(Translated(_there(self.flat, way), node_id, kind.name, tuple(changes)))
        return Node(node_id, kind.name, values)

    def _port_of(self, way: str, at: int) -> str:
        """The port of an input: of a merge by the order in which its inputs are used."""
        kind = KINDS[names.kind_of(self.flat.boxes[way].type) or ""]
        if way not in self._at:
            self._at[way] = {port: number for number, port in enumerate(sorted({port for port, _ in self.flat.feeds[way]}))}
        return _port(kind, self._at[way].get(at, at) if kind.most else at)

    def _edges(self, way: str) -> list[Edge]:
        feeds = sorted(self.flat.feeds[way], key=lambda feed: feed[0])
        return [Edge(self.ids[source], self.ids[way], self._port_of(way, at)) for at, source in feeds]

    def _training(self) -> dict[str, Any]:
        """What belongs to the whole run, from the first Loss that the data reaches."""
        losses = [way for way, box in self.flat.boxes.items() if names.kind_of(box.type) == "Loss"]
        used = on_a_path(self.flat)
        first = next((way for way in losses if way in used), losses[0] if losses else None)
        if first is None:
            return {}
        told = self.flat.boxes[first].properties
        training = {name: value_of(TRAINING[name], told.get(name, default)) for name, default in names.TRAINING.items()}
        for name, value in training.items():
            if value is None or TRAINING[name].problem(value):
                became = "left out" if value is None else "kept, to be mended"
                self.changes.append(
                    f"training: {name}={names.shown(told.get(name))} {became}: expected {TRAINING[name].expected()}"
                )
        training = {name: value for name, value in training.items() if value is not None}
        if training.get("optimizer") == "SGD":
            training["momentum"] = names.MOMENTUM
        elif training.get("optimizer") == "AdamW":
            training["weight_decay"] = names.ADAMW_DECAY
        return training


def _layout(places: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Where the boxes stood, from the corner on; none where some lie on each other."""
    if len(set(places.values())) < len(places):
        return {}
    left, top = (min(place[axis] for place in places.values()) for axis in (0, 1))
    return {name: (x - left, y - top) for name, (x, y) in places.items()}


def _port(kind: Kind, at: int) -> str:
    ports = list(kind.inputs)
    return ports[at] if at < len(ports) else f"in_{at + 1}"
