"""Reading the LiteGraph JSON of the Flask original: boxes, links and the sheets inside them, as plain frozen data.

Knows no node kinds and runs nothing of what it reads. What a sheet means is litegraph_sense.py's and translate.py's part.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cortex.graph import FORMAT, MAX_NODES

INPUT, OUTPUT = "graph/input", "graph/output"
INSIDE = ("graph/subgraph", "graph/embedded_subgraph", "graph/subgraph_ref")
REFERENCE = "graph/subgraph_ref"
_DEEPEST = 16


class LiteGraphError(ValueError):
    """A document that cannot be read, in one line: where, what was found, what was expected."""


@dataclass(frozen=True)
class Link:
    """The output number `slot` of the box `source` goes into the input number `port` of the box `target`."""

    source: str
    slot: int
    target: str
    port: int


@dataclass(frozen=True)
class Box:
    """A node as the original keeps it. `key` is its own number as text; `inner` the sheet inside a subgraph."""

    key: str
    type: str
    title: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    place: tuple[float, float] = (0.0, 0.0)
    mode: int = 0
    inner: Sheet | None = None
    file: str = ""  # of a referenced subgraph

    @property
    def name(self) -> str:
        """As a person finds it in the document: `GPT Block 1 (GPTBlock, node 4)`."""
        title = f"{self.title} " if self.title and self.title != self.type else ""
        return f"{title}({self.type}, node {self.key})" if title else f"{self.type} (node {self.key})"


@dataclass(frozen=True)
class Sheet:
    """Boxes in the order of the document and the links between them. `loose`: links of which an end is not there."""

    boxes: tuple[Box, ...]
    links: tuple[Link, ...]
    loose: int = 0


def is_litegraph(text: str) -> bool:
    """Whether a text looks like a document of the original, rather than like one of ours or none at all."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return False
    document = _unwrapped(document)
    if not isinstance(document, dict) or document.get("format") == FORMAT:
        return False
    nodes = document.get("nodes")
    return isinstance(nodes, list) and (not nodes or any(isinstance(node, dict) and "type" in node for node in nodes))


def read(text: str, where: str = "document", beside: Mapping[str, str] | None = None) -> Sheet:
    """The sheet that a LiteGraph document describes.

    Args:
        beside: the texts of the files that it may refer to, by name.

    Raises:
        LiteGraphError: it cannot be read, or refers to a file that is not there.
    """
    reader = _Reader(beside or {})
    return reader.sheet(_parsed(text, where), where, ())


class _Reader:
    def __init__(self, beside: Mapping[str, str]) -> None:
        self._beside, self._boxes = beside, 0

    def sheet(self, document: Any, where: str, files: tuple[str, ...], depth: int = 0) -> Sheet:
        if depth > _DEEPEST:
            raise LiteGraphError(f"{where}: found subgraphs more than {_DEEPEST} deep, expected fewer")
        document = _unwrapped(document)
        if not isinstance(document, dict):
            raise LiteGraphError(f"{where}: found {_short(document)}, expected an object with nodes and links")
        if document.get("format") == FORMAT:
            raise LiteGraphError(f"{where}: is a document of this CortexNodus already, expected one of the original; open it")
        nodes = document.get("nodes")
        if not isinstance(nodes, list):
            found = f"found {_short(nodes)}" if "nodes" in document else "is missing"
            raise LiteGraphError(f"{where}.nodes: {found}, expected a list of nodes")
        self._boxes += len(nodes)
        if self._boxes > MAX_NODES:
            raise LiteGraphError(f"{where}.nodes: found more than {MAX_NODES:,} nodes with subgraphs, expected at most that")
        boxes = tuple(self._box(node, f"{where}.nodes[{at}]", files, depth) for at, node in enumerate(nodes))
        keys = [box.key for box in boxes]
        for at, key in enumerate(keys):
            if key in keys[:at]:
                raise LiteGraphError(f"{where}.nodes[{at}].id: found {_short(key)} a second time, expected a number of its own")
        links = list(_links(document, nodes, where))
        kept = tuple(dict.fromkeys(link for link in links if link.source in keys and link.target in keys))
        return Sheet(boxes, kept, loose=sum(link.source not in keys or link.target not in keys for link in links))

    def _box(self, node: Any, where: str, files: tuple[str, ...], depth: int) -> Box:
        if not isinstance(node, dict):
            raise LiteGraphError(f"{where}: found {_short(node)}, expected an object")
        kind, key, properties = node.get("type"), node.get("id"), node.get("properties")
        if not isinstance(kind, str) or not kind:
            raise LiteGraphError(f"{where}.type: found {_short(kind)}, expected the name of a node type")
        if type(key) not in (int, str):
            raise LiteGraphError(f"{where}.id: found {_short(key)}, expected a number")
        if properties is not None and not isinstance(properties, dict):
            raise LiteGraphError(f"{where}.properties: found {_short(properties)}, expected an object")
        title = node["title"] if isinstance(node.get("title"), str) else ""
        mode = node["mode"] if type(node.get("mode")) is int else 0
        box = Box(str(key), kind, title.strip(), properties or {}, _place(node.get("pos")), mode)
        return self._filled(box, node, where, files, depth) if kind in INSIDE else box

    def _filled(self, box: Box, node: dict[str, Any], where: str, files: tuple[str, ...], depth: int) -> Box:
        """A subgraph with the sheet that is in it, beside it or in a file of its own."""
        for found, at in ((node.get("subgraph"), "subgraph"), (box.properties.get("subgraph"), "properties.subgraph")):
            if found and box.type != REFERENCE:
                inner = self.sheet(found, f"{where}.{at}", files, depth + 1)
                return Box(**{**vars(box), "inner": inner})
        named = [box.properties.get(name) for name in ("subgraph_name", "subgraph_path")]
        names = [_bare(name) for name in named if isinstance(name, str) and _bare(name)]
        if not names:
            if box.type == REFERENCE:
                raise LiteGraphError(f"{where}.properties.subgraph_name: is missing, expected the name of a file")
            return box  # an empty one, in which the original sees nothing done
        for name in names:
            for spelled in (name, f"{name}.json"):
                if spelled in files:
                    raise LiteGraphError(f"{where}: the subgraph {_short(spelled)} is inside itself, expected none that is")
                if spelled in self._beside:
                    inner = self.sheet(_parsed(self._beside[spelled], spelled), spelled, (*files, spelled), depth + 1)
                    return Box(**{**vars(box), "inner": inner, "file": spelled})
        raise LiteGraphError(
            f"{where}: the subgraph {_short(names[0])} is not beside the document, expected that file; "
            "put it there, or choose both files together"
        )


def _parsed(text: str, where: str) -> Any:
    try:
        document = json.loads(text.removeprefix("\ufeff"), parse_constant=_refuse, parse_float=_finite)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair could not be written again
    except json.JSONDecodeError as error:
        raise LiteGraphError(
            f"{where}: not JSON: line {error.lineno} column {error.colno}: {error.msg}, expected a LiteGraph document"
        ) from None
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0] or "nested too deeply"
        raise LiteGraphError(f"{where}: not JSON: {reason}, expected a LiteGraph document") from None
    return document


def _finite(text: str) -> float:
    if math.isinf(float(text)):
        _refuse(text)
    return float(text)


def _refuse(text: str) -> None:
    raise ValueError(f"found {text[:40]}")


def _unwrapped(document: Any) -> Any:
    """The sheet of a document that was saved inside another object."""
    for name in ("graph", "subgraph"):
        if isinstance(document, dict) and "nodes" not in document and isinstance(document.get(name), dict):
            document = document[name]
    return document


def _links(document: dict[str, Any], nodes: list[dict[str, Any]], where: str) -> Iterator[Link]:
    """The links of a sheet: lists of six, objects, or, where a document has no list, what the nodes' own slots say."""
    found = document.get("links")
    if isinstance(found, dict):
        found = list(found.values())
    if found is None:
        found = list(_links_of_slots(nodes))
    if not isinstance(found, list):
        raise LiteGraphError(f"{where}.links: found {_short(found)}, expected a list")
    for at, entry in enumerate(found):
        if entry is None:  # the original leaves a hole where a link was
            continue
        if isinstance(entry, dict):
            entry = [entry.get(name) for name in ("id", "origin_id", "origin_slot", "target_id", "target_slot")]
        if not isinstance(entry, list) or len(entry) < 5:
            raise LiteGraphError(f"{where}.links[{at}]: found {_short(entry)}, expected [id, from, slot, to, slot, type]")
        ends, slots = (entry[1], entry[3]), (entry[2], entry[4])
        if any(type(end) not in (int, str) for end in ends) or any(type(slot) is not int or slot < 0 for slot in slots):
            raise LiteGraphError(f"{where}.links[{at}]: found {_short(entry)}, expected [id, from, slot, to, slot, type]")
        yield Link(str(ends[0]), slots[0], str(ends[1]), slots[1])


def _links_of_slots(nodes: list[dict[str, Any]]) -> Iterator[list[Any]]:
    starts: dict[Any, tuple[Any, int]] = {}
    for node in nodes:
        for slot, output in enumerate(_slots(node, "outputs")):
            links = output.get("links")
            for link in links if isinstance(links, list) else ():
                if type(link) in (int, str):
                    starts[link] = node.get("id"), slot
    for node in nodes:
        for slot, taken in enumerate(_slots(node, "inputs")):
            link = taken.get("link")
            if type(link) in (int, str) and link in starts:
                yield [link, *starts[link], node.get("id"), slot]


def _slots(node: dict[str, Any], name: str) -> list[dict[str, Any]]:
    slots = node.get(name)
    return [slot if isinstance(slot, dict) else {} for slot in slots] if isinstance(slots, list) else []


def _place(found: Any) -> tuple[float, float]:
    """A position as [x, y] or, as newer browsers write it, {"0": x, "1": y}; the corner where it is neither."""
    pair = [found.get("0"), found.get("1")] if isinstance(found, dict) else found
    if isinstance(pair, list) and len(pair) >= 2 and all(type(at) in (int, float) and abs(at) < 1e7 for at in pair[:2]):
        return float(pair[0]), float(pair[1])
    return 0.0, 0.0


def _bare(name: str) -> str:
    """The file's own name, whatever folder the document puts before it."""
    return name.replace("\\", "/").rpartition("/")[2].strip()


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
