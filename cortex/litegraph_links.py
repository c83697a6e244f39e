"""The links of a sheet of the Flask original, in each of the forms that they were written in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cortex.litegraph_json import LiteGraphError, short

_MOST = 20_000
_EXPECTED = "expected [id, from, slot, to, slot, type]"


@dataclass(frozen=True)
class Link:
    """The output number `slot` of the box `source` goes into the input number `port` of the box `target`."""

    source: str
    slot: int
    target: str
    port: int


def links_of(document: dict[str, Any], nodes: list[dict[str, Any]], where: str) -> Iterator[Link]:
    """The links of a sheet: lists of six, objects, or, where a document has no list, what the nodes' own slots say.

    Raises:
        LiteGraphError: one of them cannot be read, or there are too many.
    """
    found = document.get("links")
    if isinstance(found, dict):
        found = list(found.values())
    if found is None:
        found = list(_of_slots(nodes))
    if not isinstance(found, list):
        raise LiteGraphError(f"{where}.links: found {short(found)}, expected a list")
    if len(found) > _MOST:
        raise LiteGraphError(f"{where}.links: found {len(found):,}, expected at most {_MOST:,}")
    for at, entry in enumerate(found):
        if entry is None:  # the original leaves a hole where a link was
            continue
        row = entry
        if isinstance(row, dict):
            row = [row.get(name) for name in ("id", "origin_id", "origin_slot", "target_id", "target_slot")]
        if not isinstance(row, list) or len(row) < 5:
            raise LiteGraphError(f"{where}.links[{at}]: found {_row(entry)}, {_EXPECTED}")
        ends, slots = (row[1], row[3]), (row[2], row[4])
        if any(type(end) not in (int, str) for end in ends) or any(
            type(slot) is not int or not 0 <= slot < _MOST for slot in slots
        ):
            raise LiteGraphError(f"{where}.links[{at}]: found {_row(entry)}, {_EXPECTED}")
        yield Link(str(ends[0]), slots[0], str(ends[1]), slots[1])


def links_twice(document: dict[str, Any]) -> int:
    """How many links of a sheet have the number of a later one, in whose place the original knows that one alone."""
    found = document.get("links")
    rows = [row for row in found if isinstance(row, list) and row] if isinstance(found, list) else []
    return len(rows) - len({short(row[0]) for row in rows})


def _row(entry: Any) -> str:
    return f"[{', '.join(map(short, entry[:6]))}]" if isinstance(entry, list) else short(entry)


def _of_slots(nodes: list[dict[str, Any]]) -> Iterator[list[Any]]:
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
