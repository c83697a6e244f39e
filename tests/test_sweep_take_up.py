"""Nothing is lost or repeated when a sweep is left and taken up again, however it was left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGraph, MakeRun, Say, Start
from sweeping import GRID, Killed, made_sweep, only, outcome
from waiting import wait_for

from cortex.graph import to_json
from cortex.places import Places
from cortex.queue import take_slot
from cortex.runs import Run, list_runs
from cortex.status import Status
from cortex.sweep import Sweep, SweepError
from cortex.sweep_driver import Driver
from cortex.trials import stop_sweep, sweep_state, trials
from cortex.worker import work

pytestmark = pytest.mark.usefixtures("trained_here")


@pytest.fixture
def reference(say: Say, brief: str, home: Places) -> list[tuple[Any, ...]]:
    """What comes of the grid when nobody disturbs it."""
    assert say("sweep", brief, *GRID)[0] == 0
    found = outcome(trials(only(home)))
    shutil.rmtree(home.runs)
    return found


@pytest.mark.parametrize("moment", ["before its worker", "after its worker", "while nothing was noted"])
def test_a_sweep_whose_driver_is_killed_goes_on_as_if_it_had_not_been(
    moment: str, reference: list, say: Say, brief: str, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(run: Run) -> None:
        if run.record()["sweep"]["trial"] == 3:
            if moment == "after its worker":
                work(run, home.store)
            raise Killed
        work(run, home.store)

    made = Driver.__init__
    with monkeypatch.context() as patch:
        patch.setattr(Driver, "__init__", lambda self, *given, **more: made(self, *given, **{**more, "begin": killed}))
        with pytest.raises(Killed):
            say("sweep", brief, *GRID)
    sweep = only(home)
    if moment == "while nothing was noted":
        notes = (sweep.path / "trials.jsonl").read_text()
        (sweep.path / "trials.jsonl").write_text(notes[:-20])  # torn
    left = trials(sweep)
    assert [t.state for t in left][:2] == ["finished", "finished"] and left[3].state == "waiting"
    if left[2].state == "starting":  # nobody works on it, as shows after ten seconds
        status = json.loads((left[2].run.path / "status.json").read_text())
        (left[2].run.path / "status.json").write_text(json.dumps(status | {"heartbeat": 0}))
    (sweep.path / "status.json").write_text(json.dumps(sweep.status() | {"state": "running", "pid_started": 1, "pid": 1}))
    assert sweep_state(sweep) == "interrupted"
    code, _, err = say("sweep", "--resume", sweep.id)
    assert (code, err) == (0, "")
    assert outcome(trials(sweep)) == reference and len(list_runs(home.runs)) == 4
    assert say("sweep", "--resume", sweep.id)[1].startswith("finished: 4 of 4 trials") and len(list_runs(home.runs)) == 4


def test_a_sweep_stops_as_a_whole_and_goes_on(reference: list, say: Say, brief: str, home: Places) -> None:
    workers: list[threading.Thread] = []

    def begin(run: Run) -> None:
        status = Status(run)
        workers.append(threading.Thread(target=lambda: work(run, home.store, status, queued=True)))
        if run.record()["sweep"]["trial"] == 2:
            stop_sweep(only(home))  # before its first step, so that it cannot be over before it is asked
        workers[-1].start()

    sweep = made_sweep(brief, home)
    assert Driver(sweep, home.store, begin=begin).run() == "stopped"
    for worker in workers:
        worker.join()
    states = [t.state for t in trials(sweep)]
    assert states[1:] == ["paused", "waiting", "waiting"] and states[0] in ("paused", "finished")
    assert sweep_state(sweep) == "stopped"
    with pytest.raises(SweepError, match="is stopped; there is nothing to stop"):
        stop_sweep(sweep)
    assert say("sweep", "--stop", sweep.id)[0] == 2
    assert say("sweep", "--resume", "tiny")[0] == 0
    assert [without_resumed(row) for row in outcome(trials(sweep))] == reference and sweep_state(sweep) == "finished"


def test_a_second_driver_is_refused_and_an_asked_one_starts_no_more(brief: str, home: Places) -> None:
    sweep = made_sweep(brief, home)
    heard: list[dict] = []

    def hear(event: dict) -> None:
        heard.append(event)
        assert sweep_state(sweep) in ("running", "stopping")
        with pytest.raises(SweepError, match="is driven by another process already"):
            Driver(sweep, home.store).run()
        sweep.request("stop")

    assert Driver(sweep, home.store, hear=hear).run() == "stopped"
    assert [t.state for t in trials(sweep)] == ["finished", "waiting", "waiting", "waiting"]
    assert [event["event"] for event in heard] == ["trial", "over"] and Driver(sweep, home.store).run() == "finished"


def test_a_driver_that_is_asked_to_stop_pauses_the_trials_that_wait_in_the_queue(
    brief: str, home: Places, make_run: MakeRun
) -> None:
    sweep, workers = made_sweep(brief, home), []

    def begin(run: Run) -> None:
        status = Status(run)
        workers.append(threading.Thread(target=lambda: work(run, home.store, status, queued=True)))
        workers[-1].start()
        if len(workers) == 2:
            sweep.request("stop")

    with take_slot(make_run(), lambda word: None):  # another run trains meanwhile
        assert Driver(sweep, home.store, begin=begin).run() == "stopped"
    for worker in workers:
        worker.join()
    assert [t.state for t in trials(sweep)] == ["paused", "paused", "waiting", "waiting"]
    assert Driver(sweep, home.store).run() == "finished"


def test_a_sweep_that_is_stopped_before_its_driver_has_come_begins_nothing(brief: str, home: Places) -> None:
    sweep = made_sweep(brief, home)
    sweep.request("resume")
    assert sweep_state(sweep) == "starting"
    wait_for(lambda: stop_sweep(sweep) or sweep.asked_at("stop") > sweep.asked_at("resume"))
    assert Driver(sweep, home.store).run() == "stopped" and list_runs(home.runs) == []
    assert Driver(sweep, home.store).run() == "finished"  # an old request stands in nobody's way


def test_an_interrupt_stops_the_sweep_as_a_whole(say: Say, brief: str, home: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Driver.__init__

    def init(self: Driver, *given: Any, **more: Any) -> None:
        made(self, *given, **{**more, "hear": lambda event: os.kill(os.getpid(), signal.SIGINT)})

    with monkeypatch.context() as patch:
        patch.setattr(Driver, "__init__", init)
        patch.setattr(Driver, "_tell_over", lambda self, found, told: found)
        code, out, _ = say("sweep", brief, *GRID)
    sweep = only(home)
    assert code == 130 and f"python -m cortex sweep --resume {sweep.id} goes on with it" in out
    assert [t.state for t in trials(sweep)] == ["finished", "waiting", "waiting", "waiting"]
    assert sweep_state(sweep) == "stopped" and say("sweep", "--resume", sweep.id)[0] == 0


def test_a_driver_and_its_worker_that_are_killed_lose_and_repeat_nothing(
    start: Start, say: Say, make_graph: MakeGraph, tmp_path: Path, home: Places
) -> None:
    path = tmp_path / "long.json"
    path.write_text(to_json(make_graph(steps=300, eval_every=150, save_every=20, log_every=1, sample_tokens=0)))
    driver = start("-m", "cortex", "sweep", str(path), "--grid", "training.lr=0.001,0.002", "--json")

    def begun() -> list[Path]:
        return list(home.runs.glob("*/checkpoints/last.safetensors"))

    wait_for(begun, told=lambda: driver.poll() and driver.communicate())
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    pids = [run.status().get("pid") for run in list_runs(home.runs)]  # the one that trains, and the next that waits
    for pid in filter(None, pids):
        os.kill(pid, signal.SIGKILL)
    sweep = only(home)
    wait_for(lambda: sweep_state(sweep) == trials(sweep)[0].state == "interrupted")
    left = trials(sweep)
    assert left[0].state == "interrupted" and 20 <= left[0].row["step"] < 300 and left[1].state != "finished"
    for trial in left:  # one that was made, and whose worker had not said a word yet
        if trial.state == "starting":
            (trial.run.path / "status.json").write_text(json.dumps(trial.run.status() | {"heartbeat": 0}))
    code, out, err = say("sweep", "--resume", sweep.id)
    assert (code, err) == (0, "") and "trial 1 of 2: goes on" in out
    found = trials(sweep)
    assert [t.state for t in found] == ["finished"] * 2 and len(list_runs(home.runs)) == 2
    resumed = [event for event in found[0].run.events() if event["event"] == "resumed"]
    assert len(resumed) == 1 and resumed[0]["step"] >= 20

    shutil.move(home.runs, tmp_path / "killed")
    assert say("sweep", str(path), "--grid", "training.lr=0.001,0.002")[0] == 0
    killed = outcome(trials(Sweep(tmp_path / "killed" / ".sweeps" / sweep.id)))
    assert [without_resumed(row) for row in killed] == outcome(trials(only(home)))


def without_resumed(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row[:4], [event for event in row[4] if event["event"] != "resumed"])


def test_a_trial_whose_worker_is_killed_is_taken_up_again_and_at_last_left(brief: str, home: Places) -> None:
    sweep, heard = made_sweep(brief, home), []

    def dies(run: Run) -> None:
        facts = {"state": "running", "pid": os.getpid(), "pid_started": 1, "step": 1}
        (run.path / "status.json").write_text(json.dumps(facts))

    def begin(run: Run) -> None:
        dies(run) if run.record()["sweep"]["trial"] == 1 else work(run, home.store)

    assert Driver(sweep, home.store, begin=begin, take_up=dies, hear=heard.append).run() == "stopped"
    assert [t.state for t in trials(sweep)] == ["interrupted", "finished", "finished", "finished"]
    assert [event.get("resumed") for event in heard if event["event"] == "trial" and event["trial"] == 1] == [None, *[True] * 3]
    (left,) = (event for event in heard if event["event"] == "left")
    assert left["trial"] == 1 and left["why"] == "its worker was killed, or the machine was switched off"
    assert Driver(sweep, home.store).run() == "finished"


def test_a_trial_whose_run_was_deleted_keeps_its_result_and_is_not_repeated(say: Say, brief: str, home: Places) -> None:
    assert say("sweep", brief, *GRID)[0] == 0
    sweep = only(home)
    before = trials(sweep)
    shutil.rmtree(before[1].run.path)
    (before[2].run.path / "run.json").write_text("{")
    found = trials(sweep)
    assert [t.state for t in found] == ["finished", "deleted", "deleted", "finished"]
    assert [t.loss for t in found] == [t.loss for t in before] and [t.values for t in found] == [t.values for t in before]
    assert sweep_state(sweep) == "finished" and say("sweep", "--resume", sweep.id)[0] == 0
    assert trials(sweep) == found
    assert "its run was deleted" in say("sweeps", sweep.id)[1]
