"""From a document of the Flask original to a Graph, with a report: what became of what, what would have gone wrong unsaid
there, and what has no place here. A document is translated whole or not at all; nothing in it is ever run."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cortex import litegraph_names as names
from cortex.builder import TRAINING
from cortex.checks import RESERVED
from cortex.graph import Edge, Graph, Node
from cortex.kind import Kind
from cortex.litegraph import Box, LiteGraphError, Sheet, read
from cortex.litegraph_cards import CARD, Cards, NoCard
from cortex.litegraph_flat import Flat, flatten
from cortex.litegraph_sense import is_head, number, on_a_path, silent_faults
from cortex.params import AUTO, FROM_INPUT, FROM_VOCABULARY, Choice, Int, Param
from cortex.registry import KINDS

_LONGEST_ID = 40


@dataclass(frozen=True)
class Translated:
    """One node: what it was called there, its id and kind here, and what was changed on the way."""

    there: str
    node: str
    kind: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Remark:
    """A sentence about a node, by its id here and its name there; both empty where it is about the whole document."""

    node: str
    there: str
    message: str

    def __str__(self) -> str:
        return f"{self.node or self.there}: {self.message}" if self.node or self.there else self.message


@dataclass(frozen=True)
class Report:
    """What came of a document. `refused`: why there is no graph; empty where there is one."""

    translated: tuple[Translated, ...] = ()
    wrong_there: tuple[Remark, ...] = ()
    refused: tuple[str, ...] = ()


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
        return Translation(None, Report(refused=tuple(refused)))
    made = _Made(flat)
    graph = made.graph(sheet, name.removesuffix(".json") or "imported")
    remarks = tuple(
        Remark(made.ids.get(way, ""), _there(flat, way) if way else "", message) for way, message in silent_faults(sheet, flat)
    )
    return Translation(graph, Report(tuple(made.translated), remarks))


def _without_place(flat: Flat) -> list[str]:
    """One line for each node type that has no place here, and one where there is nothing to translate."""
    if not flat.boxes:
        return ["there is no node in it, expected data, layers and a Loss"]
    pictures, others = {}, {}
    for way, box in flat.boxes.items():
        if names.kind_of(box.type) is None:
            into = pictures if names.is_picture(box.type) else others
            into.setdefault(box.type, []).append(_there(flat, way))
        elif _is_picture_data(flat, way):
            pictures.setdefault(f"CustomData of type {box.properties.get('type', 'ImageFolder')}", []).append(_there(flat, way))
    lines = []
    if pictures:
        found = "; ".join(f"{kind}: {_some(where)}" for kind, where in pictures.items())
        lines.append(f"for pictures, which have no place here: {found}. Nothing was imported")
    for kind, where in others.items():
        hint = names.ELSEWHERE.get(names.normal(kind.rpartition("/")[2]))
        hint = hint or _port_hint(kind) or f"expected one of {', '.join(KINDS)}"
        lines.append(f"{_some(where)}: there is no node kind {kind} here; {hint}")
    return lines


def _some(names_: list[str], most: int = 4) -> str:
    return ", ".join(names_[:most]) + (f" and {len(names_) - most} more" if len(names_) > most else "")


def _port_hint(kind: str) -> str:
    ends = kind.startswith("graph/")
    return "this is a subgraph by itself, expected the document that it belongs to" if ends else ""


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
    return flat.boxes[way].name + inside


@dataclass
class _Made:
    """The nodes of a graph as they are made of boxes."""

    flat: Flat
    ids: dict[str, str] = field(default_factory=dict)
    translated: list[Translated] = field(default_factory=list)

    def graph(self, sheet: Sheet, name: str) -> Graph:
        """With a card for each subgraph, or with all of them opened where one of them cannot be a card."""
        cards = Cards(self._node, self._port_of, _free_id)
        try:
            whole = cards.sheet(sheet)
        except NoCard as problem:
            self.translated.clear()
            return self._opened(name, f"subgraphs are opened, since {problem}")
        self.ids = cards.ids
        made = [self._card(way, node, cards) for way, node in cards.nodes.items() if node.kind == CARD and "/" not in way]
        self.translated += made
        graph = Graph(name, whole.nodes, whole.edges, self._training(), {}, cards.templates)
        return replace(graph, layout=_layout({cards.ids[box.key]: box.place for box in sheet.boxes}))

    def _card(self, way: str, node: Node, cards: Cards) -> Translated:
        parts = len(cards.templates[node.params["template"]].nodes)
        return Translated(
            f"subgraph of node {way}", node.id, node.kind, (f"{parts} nodes, template {node.params['template']}",)
        )

    def _opened(self, name: str, why: str) -> Graph:
        nodes = []
        for way in self.flat.boxes:
            inside = self.flat.inside[way]
            prefix = f"{inside[-1].title or 'part'} " if inside else ""
            self.ids[way] = _free_id(self.flat.boxes[way], set(self.ids.values()), prefix)
            nodes.append(self._node(way, self.ids[way]))
        self.translated[:0] = [Translated("the whole document", "", "", (why,))]
        edges = tuple(dict.fromkeys(edge for way in self.flat.boxes for edge in self._edges(way)))
        return Graph(name, tuple(nodes), edges, self._training())

    def _node(self, way: str, node_id: str) -> Node:
        box = self.flat.boxes[way]
        kind = KINDS[names.kind_of(box.type) or ""]
        values, changes = self._values(way, box, kind)
        self.translated.append(Translated(_there(self.flat, way), node_id, kind.name, tuple(changes)))
        return Node(node_id, kind.name, values)

    def _port_of(self, way: str, at: int) -> str:
        """The port of an input: of a merge by the order in which its inputs are used."""
        kind = KINDS[names.kind_of(self.flat.boxes[way].type) or ""]
        used = sorted({port for port, _ in self.flat.feeds[way]} | {at})
        return _port(kind, used.index(at) if kind.most else at)

    def _values(self, way: str, box: Box, kind: Kind) -> tuple[dict[str, Any], list[str]]:
        values: dict[str, Any] = {}
        changes: list[str] = []
        told = dict(box.properties)
        for name in list(told):
            target = None if (kind.name, name) == ("Concat", "dim") else _setting(kind, name)
            if target is None:
                if not self._is_told_elsewhere(kind, name):
                    changes.append(f"{name} left out: it has no meaning here")
                continue
            param = kind.params[target]
            if self._is_auto(way, kind, target, param):
                if told[name] != AUTO:
                    changes.append(f"{target}=auto for {_short(told[name])}: {param.auto}")
                if param.default != AUTO:
                    values[target] = AUTO
                continue
            value = _value(param, told[name])
            if value is None:
                changes.append(f"{name}={_short(told[name])} left out: expected {param.expected()}")
                continue
            values[target] = value
            if name != target:
                changes.append(f"{target} for {name}")
            if param.problem(value):
                changes.append(f"{target}={_short(value)} kept, to be mended: expected {param.expected()}")
        for name, default in names.DEFAULTS.get(kind.name, {}).items():
            if name in kind.params and name not in values and kind.params[name].default != default:
                values[name] = default
        self._by_kind(way, box, kind, values, changes)
        return values, changes

    def _by_kind(self, way: str, box: Box, kind: Kind, values: dict[str, Any], changes: list[str]) -> None:
        if kind.role == "source":
            values.setdefault("batch_size", names.BATCH_SIZE)
            shape = number(str(box.properties.get("input_shape", "")).split(",")[0])
            if "seq_len" not in values and kind.name == "CustomData" and shape:
                values["seq_len"] = shape
                changes.append(f"seq_len={shape} for input_shape")
            elif "seq_len" not in values:
                values["seq_len"] = names.SEQ_LEN
                changes.append(f"seq_len={names.SEQ_LEN}, the length that the original always takes")
        if "causal" in kind.params and "causal" not in box.properties:
            values["causal"] = True
            changes.append("causal=true, so that no token sees a later one")
        if kind.name == "Concat":
            values["dim"] = "width"
            changes.append("dim=width: vectors are joined, and positions stay what they are")
        if kind.name == "GPTBlock" and values.get("dropout"):
            changes.append("dropout acts where each half joins the residual; attention weights have attention_dropout")

    def _is_auto(self, way: str, kind: Kind, name: str, param: Param) -> bool:
        """Whether a setting is better taken from what is connected: the original does so too, whatever it is told."""
        if param.auto == FROM_INPUT:
            return True
        return param.auto == FROM_VOCABULARY and (name != "out_features" or is_head(self.flat, way))

    def _is_told_elsewhere(self, kind: Kind, name: str) -> bool:
        """Settings whose meaning is kept in another place."""
        if kind.role == "loss":
            return name in names.TRAINING
        if kind.name == "Concat":
            return name == "dim"
        return name in (*names.WIDTHS, "auto_flatten") or (kind.role == "source" and name in ("input_shape", "type"))

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
        training = {name: _value(TRAINING[name], told.get(name, default)) for name, default in names.TRAINING.items()}
        training = {name: value for name, value in training.items() if value is not None}
        if training.get("optimizer") == "SGD":
            training["momentum"] = names.MOMENTUM
        return training


def _layout(places: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Where the boxes stood, from the corner on; none where some lie on each other."""
    if len(set(places.values())) < len(places):
        return {}
    left, top = (min(place[axis] for place in places.values()) for axis in (0, 1))
    return {name: (x - left, y - top) for name, (x, y) in places.items()}


def _setting(kind: Kind, name: str) -> str | None:
    """The setting of a kind that a property of the original stands for."""
    for candidate in (name, *names.ALIASES.get(name, ()), *names.ALIASES.get(name.lower(), ())):
        if candidate in kind.params:
            return candidate
    return None


def _value(param: Param, found: Any) -> Any:
    """A value as its setting takes it, numbers out of texts too; what the setting refuses is kept where a document can hold
    it, so that its fault is told at the node. None for what no document can hold."""
    if param.problem(found) is None:
        return found
    if isinstance(found, str):
        if isinstance(param, Choice):
            near = next((option for option in param.options if names.normal(option) == names.normal(found)), None)
            return near or found
        try:
            return param.parse(found)
        except ValueError:
            return found
    if isinstance(param, Int) and isinstance(found, float) and found.is_integer():
        return int(found)
    return found if type(found) in (int, float, bool) else None


def _port(kind: Kind, at: int) -> str:
    ports = list(kind.inputs)
    return ports[at] if at < len(ports) else f"in_{at + 1}"


def _free_id(box: Box, taken: set[str], prefix: str = "") -> str:
    """A name from the title, else from the kind, that no other node has."""
    kind = names.kind_of(box.type) or box.type.rpartition("/")[2]
    stem = _identifier(prefix + (box.title or _words(kind))) or _identifier(_words(kind)) or "node"
    candidate, number = stem, 2
    while candidate in taken or candidate in RESERVED:
        candidate, number = f"{stem}_{number}", number + 1
    return candidate


def _words(kind: str) -> str:
    """`GPT Block` for GPTBlock."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", kind)


def _identifier(title: str) -> str:
    """`gpt_block_1` for "GPT Block 1": letters and digits of any script, words joined by underscores; empty where none is."""
    text = unicodedata.normalize("NFKC", title).lower()
    text = unicodedata.normalize("NFKC", "".join(letter if letter.isalnum() else "_" for letter in text))
    stem = "_".join(filter(None, text.split("_")))[:_LONGEST_ID].strip("_")
    if stem and not stem[0].isalpha():
        stem = f"node_{stem}"
    return stem if stem.isidentifier() and not keyword.iskeyword(stem) else ""


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "…"


def describe_report(report: Report) -> dict[str, Any]:
    """A report as JSON-ready data: `translated`, `wrong_there`, `refused`."""
    return {
        "translated": [{**vars(one), "changes": list(one.changes)} for one in report.translated],
        "wrong_there": [dict(vars(remark)) for remark in report.wrong_there],
        "refused": list(report.refused),
    }


def in_words(report: Report) -> str:
    """A report as lines for a terminal."""
    lines = list(report.refused)
    if report.translated:
        lines.append(f"{len(report.translated)} nodes translated:")
    for one in report.translated:
        changes = f": {'; '.join(one.changes)}" if one.changes else ""
        lines.append(f"  {one.there} -> {one.node} ({one.kind}){changes}")
    if report.wrong_there:
        lines.append("What the original would have done without a word:")
        lines.extend(f"  {remark}" for remark in report.wrong_there)
    return "\n".join(lines)
