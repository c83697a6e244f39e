"""A sheet of the original with every subgraph opened: the boxes that compute, and who feeds whom.

Its own input and output boxes are wires and go; a box inside a subgraph is named by the way to it, `5/2`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from cortex.litegraph import INPUT, INSIDE, OUTPUT, Box, Sheet

# Where a value comes from: a box and the number of its output; feeds: the box and its input.
End = tuple[str, int]


@dataclass
class Flat:
    """`boxes`: by their way, in the order of the document; `feeds`: for each box the ends that go into its inputs, as
    (input number, source), in the order of the links; `inside`: for each box and subgraph the subgraphs that it is in,
    outermost first; `groups`: the subgraphs by their way; `taken`: how many inputs of each are linked; `cut`: boxes whose
    input comes from nowhere; `strays`: input and output boxes that are in no subgraph."""

    boxes: dict[str, Box] = field(default_factory=dict)
    feeds: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    inside: dict[str, tuple[Box, ...]] = field(default_factory=dict)
    groups: dict[str, Box] = field(default_factory=dict)
    taken: Counter[str] = field(default_factory=Counter)
    cut: list[str] = field(default_factory=list)
    strays: list[Box] = field(default_factory=list)

    def box(self, way: str) -> Box:
        """A box or a subgraph."""
        return self.boxes[way] if way in self.boxes else self.groups[way]

    def feeding(self, way: str) -> tuple[str, ...]:
        """The boxes that feed this one, in the order of its inputs."""
        return self._sources.get(way, ())

    def fed_by(self, way: str) -> tuple[str, ...]:
        """The boxes that this one feeds."""
        return self._targets.get(way, ())

    @cached_property
    def ordered(self) -> tuple[str, ...]:
        """The boxes, each after those that feed it; those in a cycle or behind one are left out."""
        missing = {way: len(set(self.feeding(way))) for way in self.boxes}
        ready, order = deque(way for way in self.boxes if not missing[way]), []
        while ready:
            order.append(ready.popleft())
            for target in self.fed_by(order[-1]):
                missing[target] -= 1
                if not missing[target]:
                    ready.append(target)
        return tuple(order)

    def behind(self, starts: Iterable[str]) -> set[str]:
        """These boxes and all that they feed, near and far."""
        return _closure(starts, self._targets)

    def before(self, ends: Iterable[str]) -> set[str]:
        """These boxes and all that feeds them, near and far."""
        return _closure(ends, self._sources)

    @cached_property
    def _sources(self) -> dict[str, tuple[str, ...]]:
        return {way: tuple(source for _, source in sorted(feeds, key=_input)) for way, feeds in self.feeds.items()}

    @cached_property
    def _targets(self) -> dict[str, tuple[str, ...]]:
        targets: dict[str, dict[str, None]] = {way: {} for way in self.boxes}
        for target, sources in self._sources.items():
            for source in sources:
                targets[source][target] = None
        return {way: tuple(found) for way, found in targets.items()}


def _input(feed: tuple[int, str]) -> int:
    return feed[0]


def flatten(sheet: Sheet) -> Flat:
    """The sheet with every subgraph opened."""
    flat = Flat()
    wires: dict[End, End | None] = {}
    sources: dict[End, list[End]] = {}
    _open(sheet, "", (), flat, wires, sources)
    for way in flat.boxes:
        flat.feeds[way] = []
    for (way, port), starts in sources.items():
        if way in flat.groups:
            flat.taken[way] += 1
        if way not in flat.boxes:
            continue
        for start in starts:
            found = _follow(start, wires, sources, flat)
            if found is None:
                flat.cut.append(way)
            else:
                flat.feeds[way].append((port, found))
    return flat


def ends_of(sheet: Sheet, kind: str) -> list[Box]:
    """The input or output boxes of a sheet as the original numbers them: from top to bottom, then from left to right."""
    found = [box for box in sheet.boxes if box.type == kind]
    return sorted(found, key=lambda box: (box.place[1], box.place[0]))


def _open(
    sheet: Sheet, way: str, inside: tuple[Box, ...], flat: Flat, wires: dict[End, End | None], sources: dict[End, list[End]]
) -> None:
    for box in sheet.boxes:
        here = f"{way}{box.key}"
        if box.type in (INPUT, OUTPUT):
            flat.strays.extend([] if inside else [box])
            continue
        flat.inside[here] = inside
        if box.type not in INSIDE:
            flat.boxes[here] = box
            continue
        flat.groups[here] = box
        if box.inner is None:
            wires[here, 0] = (here, 0)  # its input, which is looked up among the sources
            continue
        _open(box.inner, f"{here}/", (*inside, box), flat, wires, sources)
        for number, end in enumerate(ends_of(box.inner, INPUT)):
            wires[f"{here}/{end.key}", 0] = (here, number)
        for number, end in enumerate(ends_of(box.inner, OUTPUT)):
            wires[here, number] = (f"{here}/{end.key}", 0)
    for link in sheet.links:
        sources.setdefault((f"{way}{link.target}", link.port), []).append((f"{way}{link.source}", link.slot))


def _follow(start: End, wires: dict[End, End | None], sources: dict[End, list[End]], flat: Flat) -> str | None:
    """The box that a value comes from, through the ends of subgraphs; None where it comes from nowhere."""
    seen: set[End] = set()
    while start[0] not in flat.boxes:
        if start in seen:
            return None
        seen.add(start)
        entry = wires.get((start[0], start[1])) or wires.get((start[0], 0))
        if entry is None:
            return None
        into = sources.get(entry)
        if not into:
            return None
        start = into[0]
    return start[0]


def _closure(starts: Iterable[str], step: Mapping[str, Sequence[str]]) -> set[str]:
    seen, stack = set(), list(starts)
    while stack:
        way = stack.pop()
        if way not in seen:
            seen.add(way)
            stack.extend(step.get(way, ()))
    return seen
