"""A sweep on disk: what it tries is written once, how far it is is computed from the directories of its runs (docs/formats.md).

Loads no torch, so that a sweep is listed and asked to stop at once.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cortex.graph import Graph, GraphError, from_document
from cortex.places import dated_folder, json_line, to_json, write_atomically
from cortex.runs import Run, RunError
from cortex.work_folder import WorkFolder

FORMAT, VERSION = "cortexnodus/sweep", 1
METHODS = ("grid", "random", "tpe")
OBJECTIVES = {"best_loss": "best validation loss", "bits_per_byte": "bits per byte"}

_FOLDER = ".sweeps"
_NEEDED = {
    "name": str, "graph": dict, "method": str, "seed": int, "space": list, "count": int, "budget": dict, "objective": str,
}  # fmt: skip


class SweepError(RunError):
    """No such sweep, or one that cannot be read or made: which, what was found, what to do."""


@dataclass(frozen=True)
class Sweep(WorkFolder):
    """A sweep's directory. Reading it never changes it."""

    @property
    def root(self) -> Path:
        """The folder of all runs."""
        return self.path.parent.parent

    def record(self) -> dict[str, Any]:
        """sweep.json: what was asked for. SweepError when it is damaged or of a newer version."""
        file = self.path / "sweep.json"
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise SweepError(f"{self.path}: sweep.json cannot be read: {error}") from None
        if not isinstance(record, dict) or record.get("format") != FORMAT or record.get("version") != VERSION:
            raise SweepError(f'{self.path}: sweep.json is not of format "{FORMAT}" version {VERSION}')
        wrong = [key for key, kind in _NEEDED.items() if type(record.get(key)) is not kind]
        trials = record.get("trials")
        listed = isinstance(trials, list) and len(trials) == record.get("count") and all(type(t) is dict for t in trials)
        if not wrong and not (listed or (trials is None and record["method"] == "tpe")):
            wrong = ["trials"]
        if not wrong and record["objective"] not in OBJECTIVES:
            wrong = ["objective"]
        if wrong:
            raise SweepError(f"{self.path}: sweep.json is damaged: {', '.join(wrong)} is missing or not what it should be")
        return record

    def graph(self) -> Graph:
        """The graph whose settings are varied."""
        try:
            return from_document(self.record()["graph"], "sweep.json graph")
        except GraphError as error:
            raise SweepError(f"{self.path}: {error}") from None

    def status(self) -> dict[str, Any]:
        """What its driver last wrote of itself; empty when it has written nothing readable."""
        try:
            status = json.loads((self.path / "status.json").read_text())
        except (OSError, ValueError):
            return {}
        return status if isinstance(status, dict) else {}

    def note(self, **facts: Any) -> None:
        """Add a line to trials.jsonl, which says what came of trials whose runs are deleted later."""
        with open(self.path / "trials.jsonl", "a+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            torn = size and file.read(1) != b"\n"  # by a kill; it is not to swallow this one
            file.write((b"\n" if torn else b"") + json_line({**facts, "time": time.time()}).encode() + b"\n")

    def notes(self) -> dict[int, dict[str, Any]]:
        """What was noted of each trial, later lines over earlier ones; a torn line is passed over."""
        found: dict[int, dict[str, Any]] = {}
        try:
            lines = (self.path / "trials.jsonl").read_bytes().splitlines()
        except OSError:
            return found
        for line in lines:
            try:
                note = json.loads(line)
            except ValueError:
                continue
            if isinstance(note, dict) and type(note.get("trial")) is int:
                found[note["trial"]] = found.get(note["trial"], {}) | note
        return found


def create_sweep(root: Path, **record: Any) -> Sweep:
    """A new sweep directory with sweep.json; `record` is everything that docs/formats.md lists but format, version, created."""
    name = str(record["name"]).strip() or "sweep"
    created = datetime.now().astimezone()
    (root / _FOLDER).mkdir(parents=True, exist_ok=True)
    path = dated_folder(root / _FOLDER, created, name, "sweep")
    facts = {"format": FORMAT, "version": VERSION, **record, "name": name, "created": created.isoformat(timespec="seconds")}
    try:
        (path / "requests").mkdir()
        write_atomically(path / "sweep.json", to_json(facts))
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return Sweep(path)


def list_sweeps(root: Path) -> list[Sweep]:
    """The sweeps of these runs, newest first."""
    files = (root / _FOLDER).glob("*/sweep.json")
    return [Sweep(file.parent) for file in sorted(files, key=lambda file: file.parent.name, reverse=True)]


def find_sweep(name: str, root: Path) -> Sweep:
    """The sweep of that id, name or directory; SweepError when there is none or more than one."""
    sweeps = list_sweeps(root)
    found = [sweep for sweep in sweeps if sweep.id == name] or [sweep for sweep in sweeps if name_of(sweep) == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise SweepError(f"sweep {name}: {len(found)} have this name; give one of {', '.join(sweep.id for sweep in found)}")
    if "/" in name and os.path.isfile(Path(name) / "sweep.json"):
        return Sweep(Path(name).absolute())
    few = ", ".join(sweep.id for sweep in sweeps[:5]) + (" …" if len(sweeps) > 5 else "")
    raise SweepError(f"sweep {name}: not found in {root / _FOLDER}; {f'there are {few}' if sweeps else 'there are none'}")


def name_of(sweep: Sweep) -> str:
    """The name the user gave it; its folder's name where sweep.json cannot be read."""
    try:
        return sweep.record()["name"]
    except RunError:
        return sweep.id


def sweep_of(run: Run, record: Mapping[str, Any]) -> Sweep | None:
    """The sweep that a run is a trial of, by its run.json; None for every other run. It may be gone."""
    mark = record.get("sweep")
    name = mark.get("id") if isinstance(mark, dict) else None
    plain = isinstance(name, str) and Path(name).name == name and name not in ("", ".", "..")
    return Sweep(run.path.parent / _FOLDER / name) if plain else None
