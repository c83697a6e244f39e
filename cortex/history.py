"""The steps of a document: what each edit was, and the graph after it, so that any of them can be undone, also after a crash.

Beside a document lies a folder of its name with one file a step (docs/formats.md). The document itself stays the truth: the
step that holds the same graph is where the history stands.
"""

from __future__ import annotations

import json
import time
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
    """One edit: its place in the order, its name, when it was made, and what it was made to ("" where it stands alone)."""

    number: int
    name: str
    time: float
    about: str = ""


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
    steps = tuple(step for path in sorted(folder.glob("*.json")) if (step := _head(path)))
    marked = _mark(folder)
    likely = sorted(range(len(steps)), key=lambda place: (steps[place].number == marked, place), reverse=True)
    at = next((place for place in likely if _graph(_path(folder, steps[place].number)) == now), -1)
    return History(steps, at)


def record(folder: Path, before: Graph, after: Graph, name: str, about: str = "", *, now: float | None = None) -> None:
    """Keep an edit as the newest step; what had been undone is gone then. To be called before the document is written.

    Args:
        about: what the edit was made to; edits about the same thing that follow each other quickly are one step.
    """
    now = time.time() if now is None else now
    folder.mkdir(parents=True, exist_ok=True)
    history = read(folder, before)
    if history.at < 0:  # a first step, or a document that was changed outside the app
        number = history.steps[-1].number + 1 if history.steps else 0
        _write(folder, Step(number, "changed outside the app" if history.steps else "opened", now), before)
        history = read(folder, before)
    current = history.steps[history.at]
    for step in history.steps[history.at + 1 :]:
        _path(folder, step.number).unlink(missing_ok=True)
    together = about and current.about == about and now - current.time < TOGETHER_SECONDS and history.at > 0
    number = current.number if together else current.number + 1
    _write(folder, Step(number, name, now, about), after)
    _set_mark(folder, number)
    for step in history.steps[: max(0, history.at + 2 - MOST_STEPS)]:
        _path(folder, step.number).unlink(missing_ok=True)


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
    _set_mark(folder, step.number)
    return graph


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.json"


def _write(folder: Path, step: Step, graph: Graph) -> None:
    """Two lines: what the step is, which is all that a list of steps needs to read, and its graph."""
    head = json.dumps({"name": step.name, "time": step.time, "about": step.about}, ensure_ascii=False)
    graph_line = json.dumps(to_document(graph), ensure_ascii=False)
    write_atomically(_path(folder, step.number), f"{head}\n{graph_line}\n", durable=False)


def _head(path: Path) -> Step | None:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.loads(file.readline())
        return Step(int(path.stem), str(found["name"]), float(found["time"]), str(found["about"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _graph(path: Path) -> Graph | None:
    try:
        return from_json(path.read_text(encoding="utf-8").partition("\n")[2], path.name)
    except (OSError, ValueError):  # a GraphError is a ValueError
        return None


def _mark(folder: Path) -> int | None:
    """The number of the step where the history stood last, which tells two equal graphs apart."""
    try:
        return int((folder / "at").read_text())
    except (OSError, ValueError):
        return None


def _set_mark(folder: Path, number: int) -> None:
    write_atomically(folder / "at", str(number), durable=False)
