"""The median stopping rule of a sweep: a trial that is worse than most others were at the same point is stopped.

After Golovin et al. 2017, section 3.2.2, who compare a trial's best value with the median of the others' running averages; here
it is the median of the others' best, since best is what the sweep looks for.
"""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cortex.metrics import Event
from cortex.runs import Run, RunError
from cortex.sweep import Sweep, sweep_of
from cortex.trials import runs_of

GRACE, OTHERS = 2, 4

Point = tuple[float, float]  # how far: steps or tokens; and the objective there


@dataclass(frozen=True)
class Rule:
    """`grace`: so many validations are never judged; `others`: so many trials must have come as far; `by`: step or tokens."""

    grace: int = GRACE
    others: int = OTHERS
    by: str = "step"

    def verdict(self, mine: Sequence[Point], others: Sequence[Sequence[Point]]) -> str:
        """Why the trial with these validations is hopeless; empty when it may go on."""
        if len(mine) <= self.grace:
            return ""
        at, best = mine[-1][0], min(loss for _, loss in mine)
        reached = [min(loss for place, loss in other if place <= at) for other in others if _reaches(other, at)]
        if len(reached) < self.others:
            return ""
        median = statistics.median(reached)
        if not best > median:
            return ""
        where = f"step {at:,.0f}" if self.by == "step" else f"{at:,.0f} tokens"
        return (
            f"hopeless by the sweep's median rule: its best of {best:.4f} at {where} is worse than {median:.4f}, "
            f"the median of {len(reached)} other trials there"
        )


def _reaches(other: Sequence[Point], at: float) -> bool:
    return bool(other) and other[-1][0] >= at and other[0][0] <= at


class Judge:
    """Says of a run whether the rule of its sweep stops it; reads of the others only what is new."""

    def __init__(self, run: Run, sweep: Sweep, rule: Rule, objective: str) -> None:
        self._run, self._sweep, self._rule, self._objective = run, sweep, rule, objective
        self._curves: dict[str, _Validations] = {}

    def why_hopeless(self) -> str:
        """Why the run is to be stopped now; empty when it may go on."""
        mine = self._points(self._run)
        if len(mine) <= self._rule.grace:
            return ""
        others = [run for run in runs_of(self._sweep).values() if run.id != self._run.id]
        return self._rule.verdict(mine, [self._points(run) for run in others])

    def _points(self, run: Run) -> list[Point]:
        curve = self._curves.setdefault(run.id, _Validations(run))
        return curve.points(self._rule.by, self._objective)


class _Validations:
    """The validations of a run in the units of the sweep's objective; its other events are passed by unread, and not kept."""

    def __init__(self, run: Run) -> None:
        self._path, self._inode, self._offset = run.path / "metrics.jsonl", 0, 0
        self._start: Event = {}
        self._found: list[Event] = []

    def points(self, by: str, objective: str) -> list[Point]:
        self._read()
        scale = 1.0
        if objective == "bits_per_byte":
            tokens, octets = self._start.get("validation_tokens"), self._start.get("validation_bytes")
            if not tokens or not octets:
                return []
            scale = tokens / (octets * math.log(2))
        return [(event[by], event["loss"] * scale) for event in self._found]

    def _read(self) -> None:
        try:
            with open(self._path, "rb") as file:
                found = os.fstat(file.fileno())
                if found.st_ino != self._inode or found.st_size < self._offset:  # cut back: its run was taken up again
                    self._inode, self._offset, self._found = found.st_ino, 0, []
                file.seek(self._offset)
                new = file.read()
        except OSError:
            return
        whole = new.rfind(b"\n") + 1
        self._offset += whole
        for line in new[:whole].split(b"\n"):
            if b'"validation"' in line or b'"start"' in line:
                self._add(line)

    def _add(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            kind = event["event"]
        except (ValueError, RecursionError, TypeError, KeyError):
            return
        if kind == "start":
            self._start = event
        if kind == "validation" and all(_is_number(event.get(key)) for key in ("step", "tokens", "loss")):
            self._found.append(event)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def judge_of(run: Run, record: Mapping[str, Any]) -> Judge | None:
    """The judge of a run that belongs to a sweep which stops hopeless trials; None for every other.

    A run that was stopped by the rule and is resumed by hand goes on to its end.
    """
    sweep = sweep_of(run, record)
    if sweep is None or run.status().get("insisted"):
        return None
    try:
        found = sweep.record()
        early = found.get("early_stop")
        return Judge(run, sweep, Rule(early["grace"], early["others"], early["by"]), found["objective"]) if early else None
    except (RunError, KeyError, TypeError):  # a run is trained whatever became of its sweep
        return None
