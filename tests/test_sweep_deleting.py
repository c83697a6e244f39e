"""Taking sweeps off the disk or out of sight: what goes, what stays, never while anything of it is going on."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cortex import sweep_deleting
from cortex.command import main
from cortex.creating import create_run
from cortex.graph import Graph, to_document
from cortex.hopeless import judge_of
from cortex.places import Places, to_json
from cortex.processes import process_started
from cortex.runs import Run, RunError, list_runs
from cortex.sweep import Sweep, create_sweep, list_sweeps
from cortex.sweep_deleting import archive, archived, delete_sweep, what_goes
from cortex.trials import trials


def ended(root: Path, state: str = "finished", **facts: Any) -> Run:
    run = create_run(root, Graph("tiny"), fingerprint="f", **facts)
    (run.path / "status.json").write_text(to_json({"state": state, "pid": 2**22 + 1, "pid_started": 1}))
    return run


def made(root: Path, name: str = "tiny", runs: int = 2) -> Sweep:
    values = [{"training.lr": 0.001}, {"training.lr": 0.01}, {"training.lr": 0.1}]
    sweep = create_sweep(
        root, name=name, graph=to_document(Graph("tiny")), method="grid", seed=1, count=3, budget={}, early_stop=None,
        space=[{"key": "training.lr", "values": [0.001, 0.01, 0.1]}], objective="best_loss", trials=values, skipped=[],
    )  # fmt: skip
    for number in range(1, runs + 1):
        ended(root, sweep={"id": sweep.id, "trial": number, "values": values[number - 1]})
    return sweep


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], home: Places) -> Any:
    def run(*arguments: str) -> tuple[int, str, str]:
        return (main(list(arguments)), *capsys.readouterr())

    return run


def test_the_runs_of_a_deleted_sweep_stay_and_can_be_trained_on(home: Places) -> None:
    sweep, other, lone = made(home.runs), made(home.runs, "other"), ended(home.runs)
    mine = [trial.run for trial in trials(sweep) if trial.run]
    before = len(list_runs(home.runs))
    delete_sweep(sweep)
    assert list_sweeps(home.runs) == [other] and len(list_runs(home.runs)) == before and lone in list_runs(home.runs)
    assert sorted(os.listdir(home.runs / ".sweeps")) == [other.id]
    assert not list(home.runs.glob(".deleted-*"))
    assert judge_of(mine[0], mine[0].record()) is None  # the rule of a sweep that is gone stops nobody


def test_its_runs_go_too_where_that_is_asked_for_and_no_others(home: Places) -> None:
    sweep, other, lone = made(home.runs), made(home.runs, "other", runs=1), ended(home.runs)
    goes = what_goes(sweep)
    assert len(goes.runs) == 2 and goes.octets > 0 and goes.with_runs.octets > 0
    delete_sweep(sweep, with_runs=True)
    left = {run.id for run in list_runs(home.runs)}
    assert left == {lone.id, *(trial.run.id for trial in trials(other) if trial.run)} and list_sweeps(home.runs) == [other]


@pytest.mark.parametrize("state", ["running", "stopping", "starting"])
def test_a_sweep_that_is_going_on_is_not_deleted(state: str, home: Places) -> None:
    sweep = made(home.runs)
    alive = {"state": "running", "pid": os.getpid(), "pid_started": process_started(os.getpid())}
    (sweep.path / "status.json").write_text(json.dumps({} if state == "starting" else alive))
    for what in {"stopping": ["stop"], "starting": ["resume"]}.get(state, []):
        sweep.request(what)
    with pytest.raises(RunError, match=f"is {state}; stop it before it is deleted"):
        delete_sweep(sweep, with_runs=True)
    assert len(list_runs(home.runs)) == 2 and list_sweeps(home.runs) == [sweep]


def test_a_sweep_with_a_trial_that_was_taken_up_by_hand_or_a_driver_on_its_way_is_not_deleted(home: Places) -> None:
    sweep = made(home.runs)
    run = trials(sweep)[1].run
    alive = {"state": "running", "pid": os.getpid(), "pid_started": process_started(os.getpid())}
    (run.path / "status.json").write_text(json.dumps(alive))
    with pytest.raises(RunError, match=f"trial 2 of sweep {sweep.id} is running; stop "):
        delete_sweep(sweep)
    (run.path / "status.json").write_text(json.dumps({"state": "paused"}))
    with open(sweep.path / "driver.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="has a driver"):
            delete_sweep(sweep)
    assert list_sweeps(home.runs) == [sweep]
    delete_sweep(sweep)
    assert list_sweeps(home.runs) == []


def test_a_deletion_that_is_killed_leaves_no_half_sweep(home: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, run = made(home.runs), ended(home.runs)

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(sweep_deleting.shutil, "rmtree", killed)
        delete_sweep(sweep)
    assert list_sweeps(home.runs) == [] and len(list_runs(home.runs)) == 3
    assert main(["delete", run.id, "--yes"]) == 0
    assert not list(home.runs.glob(".deleted-*"))  # the next deletion of anything removes what was left


def test_a_damaged_sweep_can_be_deleted(home: Places) -> None:
    sweep = made(home.runs)
    (sweep.path / "sweep.json").write_text("{")
    delete_sweep(sweep, with_runs=True)
    assert list_sweeps(home.runs) == [] and list_runs(home.runs) == []


def test_the_command_asks_says_what_stays_and_what_it_frees(say: Any, home: Places) -> None:
    sweep = made(home.runs)
    code, _, err = say("sweeps", sweep.id, "--delete")
    assert code == 2 and f"this would delete sweep {sweep.id}; its 2 runs stay. This frees" in err and "say --yes" in err
    code, _, err = say("sweeps", "tiny", "--delete", "--with-runs")
    assert code == 2 and f"sweep {sweep.id} and its 2 runs. This frees" in err
    assert list_sweeps(home.runs) == [sweep] and len(list_runs(home.runs)) == 2
    code, out, _ = say("sweeps", "tiny", "--delete", "--yes")
    assert code == 0 and f"deleted sweep {sweep.id}; its 2 runs stay" in out and "are free" in out
    assert list_sweeps(home.runs) == [] and len(list_runs(home.runs)) == 2


def test_an_archived_sweep_is_listed_when_asked_for(say: Any, home: Places) -> None:
    sweep, other = made(home.runs), made(home.runs, "other", runs=0)
    assert say("sweeps", sweep.id, "--archive")[0] == 0 and archived(sweep) and not archived(other)
    listed = say("sweeps")[1]
    assert sweep.id not in listed and other.id in listed and "1 archived sweep not listed; --archived lists" in listed
    assert sweep.id in say("sweeps", "--archived")[1]
    rows = [json.loads(line) for line in say("sweeps", "--archived", "--json")[1].splitlines()]
    assert {row["sweep"]: row["archived"] for row in rows} == {sweep.id: True, other.id: False}
    assert say("sweeps", sweep.id, "--unarchive")[0] == 0 and sweep.id in say("sweeps")[1]
    archive(other, True)
    shutil.rmtree(sweep.path)
    assert "1 archived sweep not listed" in say("sweeps")[1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--delete",), "--delete of which sweep?"),
        (("--with-runs",), "--with-runs has no effect without --delete"),
        (("tiny", "--delete", "--archive"), "--delete and --archive were both given"),
        (("nobody", "--delete"), "sweep nobody: not found"),
    ],
)
def test_what_cannot_be_meant_is_one_line(arguments: tuple[str, ...], expected: str, say: Any, home: Places) -> None:
    sweep = made(home.runs)
    code, _, err = say("sweeps", *arguments)
    assert code == 2 and expected in err and "Traceback" not in err and list_sweeps(home.runs) == [sweep]
