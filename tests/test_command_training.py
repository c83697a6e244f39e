"""The verbs around a training: pause, resume, save, extend, lr-range, several seeds, a time budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGraph, MakeRun, Say, Start
from waiting import wait_for

from cortex.checkpoints import saved_step
from cortex.graph import to_json
from cortex.places import Places
from cortex.runs import Run, list_runs
from cortex.status import Status

pytestmark = pytest.mark.usefixtures("home")


def rows_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


# Asking something of a run


@pytest.mark.parametrize("what", ["stop", "pause", "save"])
def test_a_request_is_left_for_a_run_that_is_going_on_and_refused_for_one_that_has_ended(
    what: str, say: Say, make_run: MakeRun
) -> None:
    run = make_run()
    status = Status(run)
    status.set(state="running")
    code, out, err = say(what, run.id)
    assert (code, err) == (0, "") and out.startswith(f"asked run {run.id} to {what}; ") and run.requests() == {what}
    status.end("finished")
    assert say(what, run.id) == (2, "", f"run {run.id} is finished; there is nothing to {what}\n")


def test_a_training_is_saved_paused_and_resumed_through_real_processes(
    start: Start, say: Say, make_graph: MakeGraph, tmp_path: Path, home: Places
) -> None:
    path = tmp_path / "graph.json"
    path.write_text(to_json(make_graph(steps=1_000_000, eval_every=1_000_000, log_every=5)))
    child = start("-m", "cortex", "train", str(path), "--json", "--name", "long")
    while json.loads(child.stdout.readline()).get("step", 0) < 10:
        pass
    (run,) = list_runs(home.runs)
    assert saved_step(run.checkpoint("last")) is None
    assert say("save", "long")[0] == 0
    wait_for(lambda: saved_step(run.checkpoint("last")), told=run.log_tail)
    assert run.state() == "running" and not run.requested("save")
    assert say("pause", "long")[0] == 0
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0 and "Traceback" not in err and rows_of(out)[-1]["state"] == "paused"
    paused_at = saved_step(run.checkpoint("last"))
    assert paused_at == rows_of(out)[-2]["step"]
    record = run.record()
    record["max_steps"] = paused_at + 5
    (run.path / "run.json").write_text(json.dumps(record))
    code, out, _ = say("resume", "long", "--json")
    rows = rows_of(out)
    assert code == 0 and rows[0]["event"] == "resumed" and rows[0]["step"] == paused_at
    assert rows[-1]["state"] == "finished" and rows[-1]["step"] == paused_at + 5


# Extending


def test_a_finished_run_is_extended_in_a_child(say: Say, document: str, home: Places) -> None:
    assert say("train", document, "--name", "first", "--max-steps", "4")[0] == 0
    (parent,) = list_runs(home.runs)
    assert say("resume", "first")[2].endswith("can be resumed; extend it to train it further\n")
    code, out, _ = say("extend", "first", "--steps", "3", "--name", "second", "--json")
    rows = rows_of(out)
    assert code == 0 and rows[0]["event"] == "run" and rows[-1]["step"] == 7
    assert (rows[-1]["parent"], rows[-1]["name"]) == (parent.id, "second")


@pytest.mark.parametrize("length", [(), ("--steps", "3", "--epochs", "1")])
def test_extending_wants_one_length(length: tuple[str, ...], say: Say, make_run: MakeRun) -> None:
    code, out, err = say("extend", make_run().id, *length)
    assert (code, out, err) == (2, "", "give either --epochs N or --steps N\n")


def test_a_run_that_has_not_ended_or_has_no_weights_is_not_extended(say: Say, make_run: MakeRun, home: Places) -> None:
    run = make_run()
    assert "is starting; extend it when it has ended" in say("extend", run.id, "--steps", "3")[2]
    Status(run).end("stopped")
    assert "has no checkpoint to go on from" in say("extend", run.id, "--steps", "3")[2]
    assert list_runs(home.runs) == [run]


# Time budget, seeds, range test


def test_a_time_budget_is_a_setting_of_the_run_and_its_length_an_event(say: Say, document: str, home: Places) -> None:
    arguments = ("--max-minutes", "0.05", "--set", "training.steps=1000000", "--set", "training.eval_every=1000")
    code, out, _ = say("train", document, *arguments, "--json")
    rows = rows_of(out)
    (horizon,) = (row for row in rows if row["event"] == "horizon")
    assert code == 0 and rows[-1]["state"] == "finished"
    assert rows[-1]["step"] == rows[-1]["steps"] == horizon["steps"] < 1_000_000
    (run,) = list_runs(home.runs)
    assert run.record()["training"]["max_minutes"] == 0.05


def test_several_seeds_are_several_runs_one_after_the_other(say: Say, document: str, home: Places) -> None:
    code, out, err = say("train", document, "--seeds", "2", "--name", "mine", "--max-steps", "2")
    assert code == 0, err
    runs = sorted(list_runs(home.runs), key=lambda run: run.record()["order"])
    assert [run.record()["training"]["seed"] for run in runs] == [1, 2]
    assert [run.state() for run in runs] == ["finished", "finished"]
    assert out.splitlines()[-1].startswith("best perplexity over 2 seeds: mean ")
    ends = [next(event["time"] for event in run.events() if event["event"] == "end") for run in runs]
    assert runs[1].events()[0]["time"] > ends[0]  # one slot


@pytest.mark.parametrize("arguments", [("--seeds", "2", "--now"), ("--max-minutes", "0"), ("--seeds", "0")])
def test_arguments_that_have_no_effect_or_no_sense_are_refused(
    arguments: tuple[str, ...], say: Say, document: str, home: Places
) -> None:
    code, out, err = say("train", document, *arguments)
    assert (code, out) == (2, "") and len(err.splitlines()) == 1 and arguments[0] in err
    assert list_runs(home.runs) == []


def test_what_torchrun_does_not_go_with_is_refused(
    say: Say, document: str, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    for arguments in (("train", document, "--seeds", "2"), ("train", str(run.path)), ("extend", run.id, "--steps", "2")):
        code, _, err = say(*arguments)
        assert code == 2 and err.startswith("torchrun does not go with ") and len(err.splitlines()) == 1
    assert run.status()["pid"] is None


def test_a_worker_that_is_slow_to_start_still_gets_its_run(say: Say, make_run: MakeRun) -> None:
    run = make_run(max_steps=2)
    status = run.status()
    (run.path / "status.json").write_text(json.dumps(status | {"heartbeat": status["heartbeat"] - 60}))
    assert run.state() == "interrupted"
    assert say("train", str(run.path))[0] == 0 and run.state() == "finished"


def test_a_range_test_is_a_table_with_a_suggestion_and_makes_no_run(say: Say, document: str, home: Places) -> None:
    code, out, _ = say("lr-range", document, "--steps", "40", "--high", "0.1")
    assert code == 0 and out.splitlines()[0].split() == ["lr", "loss", "smoothed"]
    assert "suggested: --set training.lr=" in out.splitlines()[-1]
    rows = rows_of(say("lr-range", document, "--steps", "40", "--high", "0.1", "--json")[1])
    assert [row["event"] for row in rows] == ["point"] * (len(rows) - 1) + ["suggestion"]
    assert rows[0]["lr"] == pytest.approx(1e-6) and rows[-1]["lr"] < 0.1
    assert list_runs(home.runs) == [] and "--low 1 is not less" in say("lr-range", document, "--low", "1", "--high", "0.1")[2]


def test_a_run_that_another_process_holds_is_not_resumed(say: Say, make_run: MakeRun) -> None:
    run: Run = make_run()
    worker = Status(run)
    assert say("resume", run.id)[2].startswith(f"run {run.id} is starting; only a run that is interrupted")
    worker.end("stopped")
