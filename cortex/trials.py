"""The trials of a sweep: which runs they are, how far they are and which is best, computed from the directories of the runs.

Loads no torch, so that a sweep is listed and asked to stop at once.
"""

from __future__ import annotations

import functools
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex.processes import worker_alive
from cortex.run_summary import summary
from cortex.runs import ACTIVE, Run, RunError
from cortex.sweep import Sweep, SweepError, name_of

OVER = ("finished", "stopped", "failed", "deleted")  # states of a trial that a sweep never takes up again
GOING = ("starting", "running", "stopping")

_GONE = "its run was deleted, or its run.json is damaged"


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
    if sweep.on_its_way(now):
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
