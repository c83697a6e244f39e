"""The process that drives a sweep: it begins trial after trial, takes up again what was left, and trains nothing itself.

It keeps nothing that the disk does not have, so that it can be killed at any moment and started again.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cortex import launch
from cortex.corpus import CorpusError
from cortex.data import prepare
from cortex.graph import Node
from cortex.graph_source import source_node
from cortex.next_combination import next_combination
from cortex.places import to_json, write_atomically
from cortex.processes import process_started
from cortex.queue import slots
from cortex.run_summary import summary
from cortex.runs import ACTIVE, Run, RunError
from cortex.signals import Signals
from cortex.space import Values, axis_of, with_values
from cortex.store import Prepared
from cortex.sweep import OBJECTIVES, Sweep, SweepError
from cortex.sweep_check import Checker
from cortex.tpe import MISSING, installed
from cortex.trials import OVER, Trial, trials, values_of

LOOK_SECONDS = 0.4
_HEARTBEAT_SECONDS = 2.0
_TAKE_UPS = 3  # of a trial whose worker was killed, without a step further in between
_FAILURES = 5  # trials in a row that fail before their first validation: the next will too

Event = dict[str, Any]


class Driver:
    """Drives a sweep until all of its trials are over, or until it is asked to stop.

    Args:
        begin, take_up: start a worker on a run; `launch.spawn` and `launch.spawn_resume` but in tests.
        hear: called with a `trial` event when a trial begins or is taken up again, and an `over` event when it is over.
    """

    def __init__(
        self,
        sweep: Sweep,
        store: Path,
        *,
        begin: Callable[[Run], Any] = launch.spawn,
        take_up: Callable[[Run], Any] = launch.spawn_resume,
        hear: Callable[[Event], None] = lambda event: None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self.sweep, self.store, self._record = sweep, store, sweep.record()
        self._graph = sweep.graph()
        try:
            self._axes = [axis_of(axis) for axis in self._record["space"]]
        except (TypeError, KeyError) as error:
            raise SweepError(f"{sweep.path}: sweep.json is damaged: space: {error}") from None
        if self._record["method"] == "tpe" and installed() is None:
            raise SweepError(MISSING)
        self._begin, self._take_up, self._hear, self._look_seconds = begin, take_up, hear, look_seconds
        self._checker = Checker(self._graph, [axis.key for axis in self._axes], self._prepared)
        self._children: dict[int, Any] = {}  # number of a trial -> the process that was started for it
        self._tries: dict[int, tuple[int, int]] = {}  # number -> step at which its worker was last found killed, and how often
        self._left: set[int] = set()  # trials that are not taken up again in this sitting
        self._failures = 0
        self._signals = Signals()  # the first stops the sweep as a whole; its workers pause all the same at a second

    def run(self) -> str:
        """Drive to the end; "finished" or "stopped" comes out, "failed" where no further trial can be begun.

        Raises:
            SweepError: another process drives this sweep.
        """
        with self._claimed(), self._signals.taken():
            state, error = "interrupted", None
            try:
                state, error = self._drive()
            except (RunError, CorpusError) as problem:
                state, error = "failed", str(problem)
            except OSError as problem:
                state, error = "failed", f"{problem.filename or self.sweep.path}: {problem.strerror or problem}"
            finally:
                self._write(state, error)
        return state

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended the last sitting."""
        return self._signals.heard

    def error(self) -> str | None:
        """Why the last sitting failed."""
        return self.sweep.status().get("error")

    # The loop

    def _drive(self) -> tuple[str, str | None]:
        found = trials(self.sweep)
        told = {trial.number for trial in found if trial.state in OVER and trial.number in self.sweep.notes()}
        self._left = set()
        paused = {trial.number for trial in found if trial.state == "paused"}
        while True:
            self._heartbeat()
            found = self._tell_over(self._look(found), told)
            going = [trial for trial in found if self._is_going(trial)]
            if self._stopping():
                for trial in going:
                    if trial.state in ACTIVE and not trial.run.requested("pause"):
                        trial.run.request("pause")
                if not going:
                    return "stopped", None
            else:
                if self._failures >= _FAILURES:
                    return "failed", self._all_fail(found)
                started = self._start_more(found, going, paused)
                if not started and not going and not self._to_do(found, paused):
                    over = all(trial.state in OVER for trial in found)
                    return ("finished" if over else "stopped"), None
                if started:
                    continue
            time.sleep(self._look_seconds)

    def _look(self, before: list[Trial]) -> list[Trial]:
        """The trials now. What is over stays as it was, so that a long sweep is not read anew at every look."""
        over = {trial.run.id: trial.row for trial in before if trial.state in OVER and trial.run}
        return trials(self.sweep, lambda run: over.get(run.id) or self._seen(run))

    def _seen(self, run: Run) -> Mapping[str, Any]:
        """The whole summary of a run that is over; of one that is not, its state is enough."""
        state = run.state()
        if state in OVER:
            return summary(run)
        return {"state": state, "error": None, "elapsed": None, **dict.fromkeys(OBJECTIVES)}

    def _is_going(self, trial: Trial) -> bool:
        child = self._children.get(trial.number)
        alive = child is not None and hasattr(child, "poll") and child.poll() is None
        return trial.state in ACTIVE or (alive and trial.state not in OVER)

    def _to_do(self, found: list[Trial], paused: set[int]) -> list[Trial]:
        """The trials to take up or to begin, in their order."""
        return [
            trial
            for trial in found
            if trial.state == "waiting"
            or (trial.state == "interrupted" and trial.number not in self._left)
            or (trial.state == "paused" and trial.number in paused)
        ]

    def _start_more(self, found: list[Trial], going: list[Trial], paused: set[int]) -> bool:
        """Begin or take up as many as may go on at once. One more waits in the queue with torch loaded, but where the next
        combination hangs on the results of those before."""
        most = slots() + (self._record["method"] != "tpe")
        ready = [trial for trial in self._to_do(found, paused) if trial not in going]
        if len(going) >= most or not ready:
            return False
        trial = min(ready, key=lambda trial: (trial.state == "waiting", trial.number))  # what was begun goes first
        if trial.state == "waiting":
            self._begin_trial(trial, found)
            return True
        return self._take_up_trial(trial, paused)

    def _begin_trial(self, trial: Trial, found: list[Trial]) -> None:
        values = dict(trial.values) if trial.values is not None else self._chosen(trial.number, found)
        graph = with_values(self._graph, values)
        run = launch.create(
            graph,
            self._prepared(source_node(graph)).fingerprint,
            self.sweep.root,
            name=f"{self._record['name']}, trial {trial.number}",
            max_steps=self._record["budget"].get("steps"),
            sweep={"id": self.sweep.id, "trial": trial.number, "values": values},
        )
        self.sweep.note(trial=trial.number, run=run.id, values=values)
        self._hear({"event": "trial", "trial": trial.number, "run": run.id, "values": values})
        self._children[trial.number] = self._begin(run)

    def _take_up_trial(self, trial: Trial, paused: set[int]) -> bool:
        """Go on with a trial that was paused or whose worker was killed, where nothing stands in the way; one that is killed
        again and again is left."""
        step = trial.run.status().get("step") or 0
        before, times = self._tries.get(trial.number, (-1, 0))
        times = times + 1 if step <= before else 1
        if trial.state == "interrupted" and times > _TAKE_UPS:
            self._left.add(trial.number)
            self._hear({"event": "left", "trial": trial.number, "run": trial.run.id, "why": trial.run.why_interrupted()})
            return False
        try:
            self._children[trial.number] = self._take_up(trial.run)
        except RunError:  # its killed worker is not quite gone, or somebody else has taken it up: the next look tells
            return False
        self._tries[trial.number] = max(step, before), times
        paused.discard(trial.number)
        values = values_of(trial.run)
        self._hear({"event": "trial", "trial": trial.number, "run": trial.run.id, "values": values, "resumed": True})
        return True

    def _tell_over(self, found: list[Trial], told: set[int]) -> list[Trial]:
        for trial in found:
            if trial.state in OVER and trial.number not in told:
                told.add(trial.number)
                self._failures = self._failures + 1 if trial.state == "failed" and trial.loss is None else 0
                facts = {"trial": trial.number, "values": dict(trial.values or {}), "state": trial.state, "loss": trial.loss}
                facts |= {"run": trial.run.id if trial.run else None, "why": trial.why}
                self.sweep.note(**facts)
                self._hear({"event": "over", **facts})
        return found

    def _all_fail(self, found: list[Trial]) -> str:
        last = next(trial for trial in reversed(found) if trial.state == "failed")
        return f"{_FAILURES} trials in a row failed before their first validation; the last: {last.why}"

    # What a trial is made of

    def _prepared(self, node: Node) -> Prepared:
        return prepare(node, self.store)

    def _chosen(self, number: int, found: list[Trial]) -> Values:
        return next_combination(self._axes, self._record["seed"], number, found, self._checker)

    # Being asked, and telling of itself

    def _stopping(self) -> bool:
        return self._signals.heard or self.sweep.requested("stop")

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        with open(self.sweep.path / "driver.lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SweepError(f"sweep {self.sweep.id} is driven by another process already") from None
            self._write("running", None)
            started = self.sweep.asked_at("resume")
            if not started or self.sweep.asked_at("stop") <= started:  # else it was asked while this driver was on its way
                self.sweep.answer("stop")
            self.sweep.answer("resume")
            yield

    def _heartbeat(self) -> None:
        if time.monotonic() - self._written > _HEARTBEAT_SECONDS:
            self._write("running", None)

    def _write(self, state: str, error: str | None) -> None:
        pid, self._written = os.getpid(), time.monotonic()
        alive = state == "running"
        facts = {"state": state, "pid": pid if alive else None, "pid_started": process_started(pid), "error": error}
        write_atomically(self.sweep.path / "status.json", to_json({**facts, "heartbeat": time.time()}), durable=not alive)
