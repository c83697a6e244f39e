"""Reading the LiteGraph JSON of the Flask original: boxes, links and the sheets inside them, as plain frozen data.

Knows no node kinds and runs nothing of what it reads. What a sheet means is litegraph_sense.py's and translate.py's part.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cortex.graph import FORMAT, MAX_NODES
from cortex.litegraph_json import LARGEST, LiteGraphError, parsed, short, tidy
from cortex.litegraph_links import Link, links_of, links_twice

INPUT, OUTPUT = "graph/input", "graph/output"
SUBGRAPH, REFERENCE = "graph/subgraph", "graph/subgraph_ref"
INSIDE = (SUBGRAPH, "graph/embedded_subgraph", REFERENCE)
_DEEPEST = 16
_LONGEST_KEY = 64  # of a node's id as text


@dataclass(frozen=True)
class Box:
    """A node as the original keeps it. `key` is its own number as text; `inner` the sheet inside a subgraph; `unread`: that
    sheet stands where the original's builder does not look for it."""

    key: str
    type: str
    title: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    place: tuple[float, float] = (0.0, 0.0)
    mode: int = 0
    inner: Sheet | None = None
    file: str = ""  # of a referenced subgraph
    unread: bool = False

    @property
    def name(self) -> str:
        """As a person finds it in the document: `GPT Block 1 (GPTBlock, node 4)`."""
        title = f"{self.title} " if self.title and self.title != self.type else ""
        return f"{title}({self.type}, node {self.key})" if title else f"{self.type} (node {self.key})"


@dataclass(frozen=True)
class Sheet:
    """Boxes in the order of the document and the links between them. `loose`: links of which an end is not there; `twice`:
    links whose number a later one has too; `frames`: titles of the frames that are drawn around boxes; `templates`: names of
    those that the document keeps beside its boxes."""

    boxes: tuple[Box, ...]
    links: tuple[Link, ...]
    loose: int = 0
    twice: int = 0
    frames: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()


def is_litegraph(text: str) -> bool:
    """Whether a text looks like a document of the original, rather than like one of ours or none at all."""
    try:
        document = json.loads(text) if len(text) <= LARGEST else None
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
    return reader.sheet(parsed(text, where), where, ())


class _Reader:
    def __init__(self, beside: Mapping[str, str]) -> None:
        self._beside, self._boxes = beside, 0
        self._parsed: dict[str, Any] = {}

    def sheet(self, document: Any, where: str, files: tuple[str, ...], depth: int = 0) -> Sheet:
        if depth > _DEEPEST:
            raise LiteGraphError(f"{where}: found subgraphs more than {_DEEPEST} deep, expected fewer")
        document = _unwrapped(document)
        if not isinstance(document, dict):
            raise LiteGraphError(f"{where}: found {short(document)}, expected an object with nodes and links")
        if document.get("format") == FORMAT:
            raise LiteGraphError(f"{where}: is a document of this CortexNodus already, expected one of the original; open it")
        nodes = document.get("nodes")
        if not isinstance(nodes, list):
            found = f"found {short(nodes)}" if "nodes" in document else "is missing"
            raise LiteGraphError(f"{where}.nodes: {found}, expected a list of nodes")
        self._boxes += len(nodes)
        if self._boxes > MAX_NODES:
            raise LiteGraphError(f"{where}.nodes: found more than {MAX_NODES:,} nodes with subgraphs, expected at most that")
        boxes = tuple(self._box(node, f"{where}.nodes[{at}]", files, depth) for at, node in enumerate(nodes))
        keys: set[str] = set()
        for at, box in enumerate(boxes):
            if box.key in keys:
                raise LiteGraphError(
                    f"{where}.nodes[{at}].id: found {short(box.key)} a second time, expected a number of its own"
                )
            keys.add(box.key)
        links = list(links_of(document, nodes, where))
        kept = tuple(dict.fromkeys(link for link in links if link.source in keys and link.target in keys))
        loose = sum(link.source not in keys or link.target not in keys for link in links)
        return Sheet(boxes, kept, loose, links_twice(document), _frames(document), _templates(document, boxes))

    def _box(self, node: Any, where: str, files: tuple[str, ...], depth: int) -> Box:
        if not isinstance(node, dict):
            raise LiteGraphError(f"{where}: found {short(node)}, expected an object")
        kind, key, properties = node.get("type"), node.get("id"), node.get("properties")
        if not isinstance(kind, str) or not kind.strip():
            raise LiteGraphError(f"{where}.type: found {short(kind)}, expected the name of a node type")
        if type(key) not in (int, str) or len(str(key)) > _LONGEST_KEY or not str(key).isprintable():
            raise LiteGraphError(f"{where}.id: found {short(key)}, expected a whole number or a text")
        if properties is not None and not isinstance(properties, dict):
            raise LiteGraphError(f"{where}.properties: found {short(properties)}, expected an object")
        title = tidy(node["title"]) if isinstance(node.get("title"), str) else ""
        mode = node["mode"] if type(node.get("mode")) is int else 0
        box = Box(str(key), tidy(kind), title, properties or {}, _place(node.get("pos")), mode)
        return self._filled(box, node, where, files, depth) if kind in INSIDE else box

    def _filled(self, box: Box, node: dict[str, Any], where: str, files: tuple[str, ...], depth: int) -> Box:
        """A subgraph with the sheet that is in it, beside it or in a file of its own."""
        own, told = node.get("subgraph"), box.properties.get("subgraph")
        for found, at in ((own, "subgraph"), (told, "properties.subgraph")):
            if found and box.type != REFERENCE:
                inner = self.sheet(found, f"{where}.{at}", files, depth + 1)
                read_there = found == told or (box.type == SUBGRAPH and depth == 0)
                return replace(box, inner=inner, unread=not read_there)
        named = [box.properties.get(name) for name in ("subgraph_name", "subgraph_path")]
        names = [_bare(name) for name in named if isinstance(name, str) and _bare(name)]
        if not names:
            if box.type == REFERENCE:
                raise LiteGraphError(f"{where}.properties.subgraph_name: is missing, expected the name of a file")
            return box  # an empty one, in which the original sees nothing done
        for name in names:
            for spelled in (name, f"{name}.json"):
                if spelled in files:
                    raise LiteGraphError(f"{where}: the subgraph {short(spelled)} is inside itself, expected none that is")
                if spelled in self._beside:
                    if spelled not in self._parsed:
                        self._parsed[spelled] = parsed(self._beside[spelled], spelled)
                    inner = self.sheet(self._parsed[spelled], spelled, (*files, spelled), depth + 1)
                    return replace(box, inner=inner, file=spelled)
        raise LiteGraphError(
            f"{where}: the subgraph {short(names[0])} is not beside the document, expected that file; "
            "put it there, or choose both files together"
        )


def _unwrapped(document: Any) -> Any:
    """The sheet of a document that was saved inside another object."""
    for name in ("graph", "subgraph"):
        if isinstance(document, dict) and "nodes" not in document and isinstance(document.get(name), dict):
            document = document[name]
    return document


def _frames(document: dict[str, Any]) -> tuple[str, ...]:
    found = document.get("groups")
    frames = [frame for frame in found if isinstance(frame, dict)] if isinstance(found, list) else []
    return tuple(tidy(str(frame.get("title") or "untitled"), 40) for frame in frames)


def _templates(document: dict[str, Any], boxes: tuple[Box, ...]) -> tuple[str, ...]:
    """Names of the templates that a document keeps and no box of its outermost sheet is made of."""
    found = document.get("embedded_templates")
    used = {str(name) for box in boxes if box.type in INSIDE for name in (box.title, box.properties.get("template_name"))}
    return tuple(tidy(name, 40) for name in found if name not in used) if isinstance(found, dict) else ()


def _place(found: Any) -> tuple[float, float]:
    """A position as [x, y] or, as newer browsers write it, {"0": x, "1": y}; the corner where it is neither."""
    pair = [found.get("0"), found.get("1")] if isinstance(found, dict) else found
    if isinstance(pair, list) and len(pair) >= 2 and all(type(at) in (int, float) and abs(at) < 1e7 for at in pair[:2]):
        return float(pair[0]), float(pair[1])
    return 0.0, 0.0


def _bare(name: str) -> str:
    """The file's own name, whatever folder the document puts before it; empty where no file can have it."""
    bare = name.replace("\\", "/").rpartition("/")[2].strip()
    return bare if len(bare.encode()) <= 250 and bare not in (".", "..") else ""
