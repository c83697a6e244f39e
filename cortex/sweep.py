"""A sweep on disk: what it tries is written once, how far it is is computed from the directories of its runs (docs/formats.md).

Loads no torch, so that a sweep is listed and asked to stop at once.
"""

from __future__ import annotations

import functools
import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cortex.graph import Graph, GraphError, from_document
from cortex.places import json_line, to_json, write_atomically
from cortex.runs import ACTIVE, Run, RunError, summary, worker_alive

FORMAT, VERSION = "cortexnodus/sweep", 1
METHODS = ("grid", "random", "tpe")
OBJECTIVES = {"best_loss": "best validation loss", "bits_per_byte": "bits per byte"}
OVER = ("finished", "stopped", "failed", "deleted")  # states of a trial that a sweep never takes up again
GOING = ("starting", "running", "stopping")

_FOLDER = ".sweeps"
_GONE = "its run was deleted, or its run.json is damaged"
_NEEDED = {
    "name": str, "graph": dict, "method": str, "seed": int, "space": list, "count": int, "budget": dict, "objective": str,
}  # fmt: skip


class SweepError(RunError):
    """No such sweep, or one that cannot be read or made: which, what was found, what to do."""


@dataclass(frozen=True)
class Trial:
    """One combination of a sweep, numbered from 1. `values` is None where the method has not chosen them yet.

    `state` is that of its run; waiting before it has one, deleted when the run is gone. `row` is its run's summary; `loss`
    the sweep's objective, None while there is none.
    """

    number: int
    values: Mapping[str, Any] | None
    state: str = "waiting"
    run: Run | None = None
    row: Mapping[str, Any] | None = None
    loss: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Sweep:
    """A sweep's directory. Reading it never changes it."""

    path: Path

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

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

    def driven(self) -> bool:
        """Whether a process is at work on it."""
        return worker_alive(self.status())

    def requested(self, what: str) -> bool:
        return (self.path / "requests" / what).exists()

    def request(self, what: str) -> None:
        """Ask the driver for something."""
        (self.path / "requests").mkdir(exist_ok=True)
        write_atomically(self.path / "requests" / what, "")

    def answer(self, what: str) -> None:
        """Take a request away, since it has been done."""
        (self.path / "requests" / what).unlink(missing_ok=True)

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

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of what its driver said."""
        return Run(self.path).log_tail(lines)

    def asked_at(self, what: str) -> float:
        """When somebody last asked for `stop`, or started a driver (`resume`) that has not come yet; 0 where nobody has."""
        try:
            return os.stat(self.path / "requests" / what).st_mtime
        except OSError:
            return 0.0


def create_sweep(root: Path, **record: Any) -> Sweep:
    """A new sweep directory with sweep.json; `record` is everything that docs/formats.md lists but format, version, created."""
    name = str(record["name"]).strip() or "sweep"
    created = datetime.now().astimezone()
    path = _new_folder(root, f"{created:%Y%m%d-%H%M%S}-{_slug(name)}")
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


def runs_of(sweep: Sweep) -> dict[int, Run]:
    """The run of each trial that has begun, by its number; what a run belongs to is in its run.json."""
    found: dict[int, Run] = {}
    try:
        with os.scandir(sweep.root) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    except OSError:
        return found
    for name in names:
        file = sweep.root / name / "run.json"
        try:
            stat = file.stat()
        except OSError:
            continue
        mark = _mark(str(file), stat.st_ino, stat.st_mtime_ns)
        if mark and mark[0] == sweep.id:
            found.setdefault(mark[1], Run(file.parent))
    return found


@functools.lru_cache(maxsize=16_384)
def _mark(file: str, inode: int, changed: int) -> tuple[str, int] | None:
    """The sweep and the number of the trial that a run.json names."""
    try:
        mark = json.loads(Path(file).read_bytes()).get("sweep")
        return (mark["id"], mark["trial"]) if type(mark["trial"]) is int else None
    except (OSError, ValueError, RecursionError, AttributeError, TypeError, KeyError):
        return None


def sweep_of(run: Run, record: Mapping[str, Any]) -> Sweep | None:
    """The sweep that a run is a trial of, by its run.json; None for every other run. It may be gone."""
    mark = record.get("sweep")
    name = mark.get("id") if isinstance(mark, dict) else None
    plain = isinstance(name, str) and Path(name).name == name and name not in ("", ".", "..")
    return Sweep(run.path.parent / _FOLDER / name) if plain else None


def values_of(run: Run) -> dict[str, Any] | None:
    """The combination that a run was started with; None where its run.json does not say."""
    try:
        values = run.record()["sweep"]["values"]
    except (RunError, KeyError, TypeError):
        return None
    return values if isinstance(values, dict) else None


def trials(sweep: Sweep, read: Callable[[Run], Mapping[str, Any]] = summary) -> list[Trial]:
    """Every trial with what is known of it, in the order of their numbers.

    Args:
        read: the summary of a run; pages give one that reads only what is new.
    """
    record, runs, notes = sweep.record(), runs_of(sweep), sweep.notes()
    chosen = record.get("trials") or [None] * record["count"]
    found = []
    for number, values in enumerate(chosen, 1):
        run, note = runs.get(number), notes.get(number)
        if run is None and note is not None:
            values = note["values"] if isinstance(note.get("values"), dict) else values
            found.append(Trial(number, values, "deleted", None, None, _number(note.get("loss")), _GONE))
            continue
        if run is None:
            found.append(Trial(number, values))
            continue
        row, why = read(run), run.status().get("why")
        loss = _number(row.get(record["objective"]))
        reason = why if isinstance(why, str) else row["error"] or ""
        found.append(Trial(number, values if values is not None else values_of(run), row["state"], run, row, loss, reason))
    return found


def best_of(found: list[Trial]) -> Trial | None:
    """The trial with the lowest objective, the first of equals; None while there is none."""
    return min((trial for trial in found if trial.loss is not None), key=lambda trial: trial.loss, default=None)


def sweep_state(sweep: Sweep, found: list[Trial] | None = None, now: float | None = None) -> str:
    """starting, running, stopping, finished, stopped, failed, interrupted or damaged; computed, never guessed.

    A sweep without a driver is finished when all of its trials are over; else it is what the driver wrote last, and interrupted
    where that wrote nothing of an end.
    """
    status, now = sweep.status(), time.time() if now is None else now
    if worker_alive(status):
        return "stopping" if sweep.requested("stop") else "running"
    if Run(sweep.path).on_its_way(now):
        return "starting"
    try:
        found = trials(sweep) if found is None else found
    except RunError:
        return "damaged"
    if all(trial.state in OVER for trial in found):
        return "finished"
    return status["state"] if status.get("state") in ("stopped", "failed") else "interrupted"


def active(found: list[Trial]) -> list[Trial]:
    """Those with a worker at work or on its way."""
    return [trial for trial in found if trial.state in ACTIVE]


def stop_sweep(sweep: Sweep) -> None:
    """Ask the sweep to stop as a whole: no trial is begun any more, and those that are going on pause, to be taken up again.

    Raises:
        SweepError: nothing of it is going on.
    """
    found = trials(sweep)
    going, state = active(found), sweep_state(sweep, found)
    if not going and state not in GOING:
        raise SweepError(f"sweep {sweep.id} is {state}; there is nothing to stop")
    if state in GOING:
        sweep.request("stop")
    for trial in going:
        trial.run.request("pause")


def seconds_left(record: Mapping[str, Any], found: list[Trial]) -> float | None:
    """Time until all trials are over at the mean time that one took, as many at once as train now; None until one is over."""
    taken = [row["elapsed"] for row in (trial.row for trial in found if trial.state in OVER) if row and row["elapsed"]]
    if not taken:
        return None
    mean = sum(taken) / len(taken)
    open_trials = [trial for trial in found if trial.state not in OVER]
    at_once = max(1, sum(trial.state == "running" for trial in open_trials))
    return sum(max(0.0, mean - ((trial.row or {}).get("elapsed") or 0.0)) for trial in open_trials) / at_once


def overview(sweep: Sweep, found: list[Trial] | None = None) -> dict[str, Any]:
    """What a list shows of a sweep; one that is damaged has a row that says why."""
    row: dict[str, Any] = {"sweep": sweep.id, "directory": str(sweep.path), "name": name_of(sweep)}
    try:
        record = sweep.record()
        found = trials(sweep) if found is None else found
    except RunError as error:
        return row | {"state": "damaged", "error": str(error)}
    best, state = best_of(found), sweep_state(sweep, found)
    return row | {
        "state": state,
        "created": record.get("created"),
        "method": record["method"],
        "objective": record["objective"],
        "trials": len(found),
        "over": sum(trial.state in OVER for trial in found),
        "best": best.loss if best else None,
        "best_trial": best.number if best else None,
        "best_run": best.run.id if best and best.run else None,
        "best_values": dict(best.values or {}) if best else None,
        "seconds_left": seconds_left(record, found) if state in GOING else None,
        "error": sweep.status().get("error"),
    }


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) else None


def _new_folder(root: Path, name: str) -> Path:
    (root / _FOLDER).mkdir(parents=True, exist_ok=True)
    for number in range(1, 10_000):
        path = root / _FOLDER / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
            return path
        except FileExistsError:
            continue
    raise SweepError(f"{root / _FOLDER}: no free folder name for {name}")


def _slug(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9._]+", "-", name).strip("-.")[:60] or "sweep"
