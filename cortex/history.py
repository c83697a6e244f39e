"""The steps of a document: what each edit was, and the graph after it, so that any of them can be undone, also after a crash.

Beside a document lies a folder of its name with one file a step (docs/formats.md). The document itself stays the truth: the
step that holds the same graph is where the history stands.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cortex.graph import Graph, from_json, to_document
from cortex.places import write_atomically

# The oldest steps go first. A step of a graph of 100 nodes takes about 20 kB.
MOST_STEPS = 200
# Edits of one and the same thing that follow each other faster than this are one step: typing, a slider, a number's arrows.
TOGETHER_SECONDS = 1.5


@dataclass(frozen=True)
class Step:
    """One edit: its place in the order, its name, when it was made, what it was made to ("" where it stands alone), and the
    number of the step before it."""

    number: int
    name: str
    time: float
    about: str = ""
    before: int = -1


@dataclass(frozen=True)
class History:
    """The steps of a document, oldest first, and the place among them of what the document holds now."""

    steps: tuple[Step, ...] = ()
    at: int = -1

    @property
    def undo(self) -> str:
        """Name of the edit that undo takes back; empty where there is none."""
        return self.steps[self.at].name if self.at > 0 else ""

    @property
    def redo(self) -> str:
        """Name of the edit that redo makes again; empty where there is none."""
        return self.steps[self.at + 1].name if 0 <= self.at < len(self.steps) - 1 else ""


def read(folder: Path, now: Graph) -> History:
    """The history kept in `folder`, standing at the graph `now`. What cannot be read is passed over."""
    return _standing(folder, _steps(folder), now)


def _standing(folder: Path, steps: tuple[Step, ...], now: Graph) -> History:
    marked, newest = _mark(folder)
    likely = sorted(range(len(steps)), key=lambda place: (steps[place].number == marked, place), reverse=True)
    at = next((steps[place] for place in likely if _graph(_path(folder, steps[place].number)) == now), None)
    if at is None or at.number <= newest:  # else the process was killed right after it had written the document
        steps = tuple(step for step in steps if step.number <= newest)
    line = _line(steps)
    steps = steps if at and at not in line else line
    return History(steps, steps.index(at) if at else -1)


def _line(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The newest step and those before it, without what a process that was killed before `settle` has left beside them."""
    kept: list[Step] = []
    for step in reversed(steps):
        if not kept or kept[-1].before in (-1, step.number) or step.number < kept[-1].before:
            kept.append(step)
    return tuple(reversed(kept))


def last(folder: Path) -> Graph | None:
    """The graph after the last edit, undone ones apart; None where no step can be read."""
    marked, _ = _mark(folder)
    numbers = [step.number for step in reversed(_steps(folder))]
    likely = sorted(numbers, key=lambda number: number != marked)
    return next((graph for number in likely if (graph := _graph(_path(folder, number)))), None)


def record(
    folder: Path, before: Graph, after: Graph, name: str, about: str = "", *, now: float | None = None
) -> tuple[int, list[int]]:
    """Keep an edit as the newest step, to be called before the document is written.

    Args:
        about: what the edit was made to; edits about the same thing that follow each other quickly are one step.

    Returns:
        The number of the step, and those that it takes the place of: for `settle` when the document is written, so that a kill
        or a full disk in between costs no step.
    """
    now = time.time() if now is None else now
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".*"):
        left.unlink(missing_ok=True)  # of a process that was killed while it wrote
    found = _steps(folder)
    history = _standing(folder, found, before)
    if history.at < 0:  # a first step, or a document that was changed outside the app
        first = Step(found[-1].number + 1 if found else 0, "changed outside the app" if found else "opened", now)
        _write(folder, first, before)
        _set_mark(folder, first.number, first.number)
        found = (*found, first)
        history = History(found, len(found) - 1)
    current = history.steps[history.at]
    together = about and current.about == about and now - current.time < TOGETHER_SECONDS and history.at > 0
    kept = history.steps[: history.at] if together else history.steps[: history.at + 1]
    number = found[-1].number + 1
    _write(folder, Step(number, name, now, about, kept[-1].number), after)
    stays = {number, *(step.number for step in kept[1 - MOST_STEPS :])}
    return number, [step.number for step in found if step.number not in stays]


def settle(folder: Path, number: int, outdated: Iterable[int]) -> None:
    """The document holds this step now; those that are outdated go."""
    with contextlib.suppress(OSError):  # the document is kept, and tells where the history stands
        _set_mark(folder, number, number)
    drop(folder, outdated)


def drop(folder: Path, numbers: Iterable[int]) -> None:
    """Forget these steps."""
    for number in numbers:
        _path(folder, number).unlink(missing_ok=True)


def go(folder: Path, now: Graph, by: int) -> Graph:
    """The graph that is `by` steps away, -1 for undo and 1 for redo; `now` itself where there is none."""
    history = read(folder, now)
    place = history.at + by
    if history.at < 0 or not 0 <= place < len(history.steps):
        return now
    step = history.steps[place]
    graph = _graph(_path(folder, step.number))
    if graph is None:
        return now
    _set_mark(folder, step.number, history.steps[-1].number)
    return graph


def _steps(folder: Path) -> tuple[Step, ...]:
    """What can be read, oldest first."""
    return tuple(step for path in sorted(folder.glob("*.json")) if (step := _head(path)))


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.json"


def _write(folder: Path, step: Step, graph: Graph) -> None:
    """Two lines: what the step is, which is all that a list of steps needs to read, and its graph."""
    about = {"name": step.name, "time": step.time, "about": step.about, "before": step.before}
    head = json.dumps(about, ensure_ascii=False)
    graph_line = json.dumps(to_document(graph), ensure_ascii=False)
    write_atomically(_path(folder, step.number), f"{head}\n{graph_line}\n", durable=False)


def _head(path: Path) -> Step | None:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.loads(file.readline())
        before = int(found.get("before", -1))  # a history of an older version does not say it
        return Step(int(path.stem), str(found["name"]), float(found["time"]), str(found["about"]), before)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _graph(path: Path) -> Graph | None:
    try:
        return from_json(path.read_text(encoding="utf-8").partition("\n")[2], path.name)
    except (OSError, ValueError):  # a GraphError is a ValueError
        return None


def _mark(folder: Path) -> tuple[int | None, float]:
    """The number of the step where the history stood last, which tells two equal graphs apart, and the newest step whose
    document was written."""
    try:
        at, *newest = map(int, (folder / "at").read_text().split())
    except (OSError, ValueError):
        return None, math.inf
    return at, newest[0] if newest else math.inf  # an older version wrote one number


def _set_mark(folder: Path, at: int, newest: int) -> None:
    write_atomically(folder / "at", f"{at} {newest}", durable=False)
