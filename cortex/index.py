"""Every run in a row, read only as far as it has changed: what tables and comparisons of many runs are made of.

What was read is kept under `<runs>/.index/`, a file a run, so that a server that has just started knows it too. The files are
a cache and nothing else: one that is missing, damaged or of another version is made again.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
import time
from pathlib import Path
from typing import Any

from cortex import __version__, labels
from cortex.metrics import Progress
from cortex.places import write_atomically
from cortex.run_summary import recorded, shown, summary_of
from cortex.runs import ACTIVE, Run, RunError, list_runs

FOLDER, VERSION = ".index", 2
_KEEP_SECONDS = 30.0  # between two times that what is known of a run that is going on is kept
Row = dict[str, Any]


class Index:
    """The runs below a folder. One object may be asked by several threads."""

    def __init__(self, root: Path) -> None:
        self._root, self._lock = root, threading.Lock()
        self._known: dict[str, _Entry] = {}

    def rows(self, *, at_once: bool = False) -> list[Row]:
        """Every run, newest first: the keys of `run_summary.SUMMARY`, and `settings` by their names (graph_settings.py).

        The settings are not to be changed, others share them.

        Args:
            at_once: do not load torch for the settings of runs that are met for the first time; theirs are None.
        """
        with self._lock:
            runs = list_runs(self._root)
            self._known = {run.id: self._known.get(run.id) or _Entry(run, self._root / FOLDER) for run in runs}
            found = [(entry.row(at_once), entry.order) for entry in self._known.values()]
            self._keep()
        # A folder's name begins with the second in which its run was created.
        found.sort(key=lambda pair: (pair[0]["run"][:15], pair[1], pair[0]["run"]), reverse=True)
        return [row for row, _ in found]

    def _keep(self) -> None:
        """Write what is new to the cache; where that cannot be written, each server reads for itself."""
        changed = [entry for entry in self._known.values() if entry.worth_keeping]
        if changed:
            with contextlib.suppress(OSError):
                (self._root / FOLDER).mkdir(exist_ok=True)
                for entry in changed:
                    entry.keep()


class _Entry:
    """What is known of one run."""

    def __init__(self, run: Run, folder: Path) -> None:
        self._run, self._file = run, folder / f"{run.id}.json"
        path, names = str(run.path), ("metrics.jsonl", "run.json", "status.json", labels.FILE, "requests/resume")
        self._paths = [f"{path}/{name}" for name in names]
        kept = self._kept()
        try:
            self._progress = Progress(run.path / "metrics.jsonl", kept.get("progress"))
            self._facts, self._settings = dict(kept.get("facts", {})), kept.get("settings")
            self._mark, tail = tuple(kept.get("mark", ())), self._progress.state["tail"]
            if self._settings is not None and not isinstance(self._settings, dict):
                raise TypeError
        except (KeyError, TypeError, ValueError, AttributeError):  # valid JSON of another shape
            self._progress, self._facts, self._settings, self._mark = Progress(run.path / "metrics.jsonl"), {}, None, ()
            tail = self._progress.state["tail"]
        self._kept_mark = (tail["inode"], tail["size"], tail["changed"])
        self._marks: tuple[Any, ...] = ()
        self._row: Row = {}
        self._found: dict[str, Any] = {}
        self._status: dict[str, Any] = {}
        self._labels = labels.Labels()
        self._changed, self._kept_at, self._active = False, 0.0, False

    def row(self, at_once: bool) -> Row:
        marks = tuple(map(_mark, self._paths))
        if self._row and marks == self._marks and not self._active and (self._settings is not None or at_once):
            return dict(self._row)  # nothing has come, and a run that is not going on does not change by itself
        metrics, record, status, label = marks[:4]
        facts = None if self._marks and metrics == self._marks[0] else self._progress.read()
        if facts is not None:
            self._found, self._changed = facts, self._changed or metrics != self._kept_mark
        if (*record, *_program()) != self._mark:
            self._facts, self._settings, self._mark = recorded(self._run), None, (*record, *_program())
            self._changed = True
        if self._settings is None and not at_once:
            self._settings, self._changed = _settings(self._run), True
        if not self._marks or status != self._marks[2]:
            self._status = self._run.status()
        if not self._marks or label != self._marks[3]:
            self._labels = labels.read(self._run)
        row = summary_of(self._run, self._facts, self._found, self._status, self._labels)
        self._active, self._marks = row["state"] in ACTIVE, marks
        self._row = {**row, "settings": self._settings}
        return dict(self._row)

    @property
    def order(self) -> float:
        """What grows from run to run, where a run says it."""
        return self._facts.get("order") or 0

    @property
    def worth_keeping(self) -> bool:
        settled = not self._active or time.monotonic() - self._kept_at > _KEEP_SECONDS
        return self._changed and settled and self._settings is not None

    def keep(self) -> None:
        known = {"version": VERSION, "progress": self._progress.state, "mark": list(self._mark)}
        known |= {"facts": self._facts, "settings": self._settings}
        write_atomically(self._file, json.dumps(known), durable=False)
        self._changed, self._kept_at = False, time.monotonic()

    def _kept(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return kept if isinstance(kept, dict) and kept.get("version") == VERSION else {}


def _settings(run: Run) -> dict[str, Any]:
    from cortex.graph_settings import settings  # loads torch

    try:
        flat = settings(run.graph())
    except RunError:
        return {}
    return {name: _plain(value) for name, value in flat.items()}


def _plain(value: Any) -> Any:
    """A value that a cell can hold; a foreign document may have lists and objects where a setting belongs."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return shown(value) if value is None or isinstance(value, (str, int, float, bool)) else shown(json.dumps(value))


def _mark(path: str) -> tuple[int, ...]:
    """What differs after every change of a file; nothing where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _program() -> tuple[Any, ...]:
    """What differs between versions of this program, whose defaults fill the settings in: version and age of its files."""
    global _PROGRAM
    if not _PROGRAM:
        _PROGRAM = (__version__, max(path.stat().st_mtime_ns for path in Path(__file__).parent.rglob("*.py")))
    return _PROGRAM


_PROGRAM: tuple[Any, ...] = ()
