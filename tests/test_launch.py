"""Starting runs: several seeds as one group, a run that goes on where another ended, workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import MakeGraph, MakeRun
from tables import facts

from cortex.checkpoints import load_trained
from cortex.launch import check_resumable, create_seeds, extend, spawn, spawn_resume
from cortex.places import Places
from cortex.queue import waiting_before
from cortex.runs import Run, RunError, list_runs
from cortex.status import Status
from cortex.train import Event
from cortex.worker import work


@pytest.fixture
def finished(make_run: MakeRun, make_graph: MakeGraph, home: Places) -> Callable[..., Run]:
    """A function that trains a run to its end."""

    def train(**settings: object) -> Run:
        run = make_run(make_graph(**settings))
        assert work(run, home.store) == "finished", run.log_tail()
        return run

    return train


def contents(run: Run) -> dict[str, bytes]:
    return {str(path.relative_to(run.path)): path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


# Several seeds


def test_runs_of_several_seeds_differ_in_their_seed_alone_and_share_a_group(make_graph: MakeGraph, home: Places) -> None:
    runs = create_seeds(make_graph(seed=7), "f", home.runs, 3, name="mine", max_steps=5)
    records = [run.record() for run in runs]
    assert [record["training"]["seed"] for record in records] == [7, 8, 9]
    assert [record["name"] for record in records] == ["mine, seed 7", "mine, seed 8", "mine, seed 9"]
    assert len({record["group"] for record in records}) == 1 and records[0]["group"].startswith("mine ")
    for record in records:
        for key in ("name", "created", "order"):
            del record[key]
        del record["training"]["seed"], record["graph"]["training"]["seed"]
    assert records[0] == records[1] == records[2] and records[0]["max_steps"] == 5
    assert [waiting_before(run) for run in runs] == [[], runs[:1], runs[:2]]


# Extending


@pytest.mark.parametrize("settings", [{}, {"optimizer": "Muon", "ema": 0.9, "log_every": 7}], ids=["", "Muon, average"])
def test_a_run_with_a_constant_rate_goes_on_as_a_longer_one_would_have(
    settings: dict, finished: Callable[..., Run], home: Places
) -> None:
    longer, parent = finished(**settings, steps=30, eval_every=10), finished(**settings, steps=20, eval_every=10)
    child = extend(parent, steps=10)
    shutil.rmtree(parent.path)  # it needs its parent no more
    assert work(child, home.store) == "finished", child.log_tail()

    def after_20(run: Run) -> list[Event]:
        kept = facts([event for event in run.events() if event.get("step", 0) > 20 and event["event"] != "resumed"])
        return [{key: value for key, value in event.items() if key != "best"} for event in kept]

    told = after_20(child)
    if "log_every" in settings:  # the shorter run ended its last point of the curve at step 20
        told, wanted = ([e for e in events if e["event"] != "train" or e["step"] > 21] for events in (told, after_20(longer)))
    else:
        wanted = after_20(longer)
    assert told == wanted and told[-1]["step"] == 30
    assert child.checkpoint("last").read_bytes() == longer.checkpoint("last").read_bytes()


def test_a_child_names_its_parent_and_leaves_it_as_it_was(finished: Callable[..., Run], home: Places) -> None:
    parent = finished(steps=20)
    before = contents(parent)
    child = extend(parent, steps=5)
    assert child.record()["parent"] == parent.id and child.record()["name"] == "tiny, extended"
    assert work(child, home.store) == "finished"
    assert contents(parent) == before
    events = child.events()
    assert events[0]["event"] == "start" and events[0]["steps"] == 25
    assert events[1]["event"] == "resumed" and events[1]["parent"] == parent.id and events[1]["step"] == 20
    assert min(event["step"] for event in events[1:]) == 20 and events[-1]["step"] == 25


def test_a_child_counts_epochs_in_steps(finished: Callable[..., Run]) -> None:
    parent = finished(steps=20)
    per_epoch = parent.events()[0]["steps_per_epoch"]
    assert extend(parent, epochs=2).graph().training["steps"] == 20 + 2 * per_epoch


def test_a_child_that_never_gets_better_than_its_parent_still_has_a_best_of_its_own(
    finished: Callable[..., Run], home: Places
) -> None:
    parent = finished(steps=60, lr=0.01)
    child = extend(parent, steps=4)
    graph = child.record()["graph"]
    graph["training"] |= {"lr": 5.0, "eval_every": 2, "max_rise": 0.0}  # so high that it only gets worse
    (child.path / "run.json").write_text(json.dumps(child.record() | {"graph": graph}))
    assert work(child, home.store) == "finished"
    checks = [event for event in child.events() if event["event"] == "validation"]
    assert checks[0]["best"] and checks[0]["loss"] > 2 * parent.events()[-3]["loss"]
    assert load_trained(child, "best").step == min(checks, key=lambda event: event["loss"])["step"]


def test_a_child_that_is_paused_at_once_begins_again_from_its_parents_end(finished: Callable[..., Run], home: Places) -> None:
    parent = finished(steps=20)
    child, other = extend(parent, steps=10), extend(parent, steps=10)
    child.request("pause")
    assert work(child, home.store) == "paused"
    assert work(child, home.store, Status(child, again=True)) == "finished"
    assert work(other, home.store) == "finished"
    assert facts(child.events()) == facts(other.events())
    assert child.checkpoint("last").read_bytes() == other.checkpoint("last").read_bytes()


def test_a_run_that_is_going_on_cannot_be_extended(make_run: MakeRun) -> None:
    run = make_run()
    status = Status(run)
    status.set(state="running")
    with pytest.raises(RunError, match=f"run {run.id} is running; extend it when it has ended"):
        extend(run, steps=10)
    status.end("stopped")


@pytest.mark.parametrize("lost", ["everything", "state"])
def test_a_run_that_nothing_can_go_on_from_is_refused_and_makes_no_child(
    lost: str, finished: Callable[..., Run], home: Places
) -> None:
    run = finished(steps=2)
    for path in (run.path / "checkpoints").iterdir():
        if lost == "everything" or path.suffix == ".pt":
            path.unlink()
    with pytest.raises(RunError, match="has no checkpoint to go on from"):
        extend(run, steps=10)
    assert list_runs(home.runs) == [run]


@pytest.mark.parametrize(("state", "allowed"), [("paused", True), ("stopped", True), ("failed", True), ("finished", False)])
def test_what_can_be_resumed(state: str, allowed: bool, make_run: MakeRun) -> None:
    run = make_run()
    Status(run).end(state)
    if allowed:
        check_resumable(run)
    else:
        with pytest.raises(RunError, match=r"is finished; only a run that is .* can be resumed; extend it"):
            check_resumable(run)


def test_a_child_trains_with_as_many_threads_as_its_parent_did(make_run: MakeRun, make_graph: MakeGraph, home: Places) -> None:
    before = torch.get_num_threads()
    parent = make_run(make_graph(threads=2, steps=2, eval_every=2))  # two threads of a model this small mostly wait
    try:
        assert work(parent, home.store) == "finished"
        torch.set_num_threads(1)
        document = json.loads((parent.path / "run.json").read_text())
        del document["graph"]["training"]["threads"]
        (parent.path / "run.json").write_text(json.dumps(document))
        child = extend(parent, steps=1)
        assert work(child, home.store) == "finished"
    finally:
        torch.set_num_threads(before)
    assert child.events()[0]["threads"] == 2


# Workers on their way


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell when a process started")
def test_a_run_is_starting_as_long_as_its_worker_takes_to_come(make_run: MakeRun) -> None:
    run = make_run()
    worker = spawn(run)
    try:
        os.kill(worker.pid, signal.SIGSTOP)  # a machine with much to do
        assert run.state(now=time.time() + 300) == "starting"
        with pytest.raises(RunError, match="is starting; only a run that is"):
            spawn_resume(run)
    finally:
        worker.kill()
        worker.wait()
    assert run.state(now=time.time() + 300) == "interrupted"


def test_a_worker_that_has_come_takes_the_mark_away(make_run: MakeRun) -> None:
    run = make_run()
    run.request("resume")
    Status(run).end("finished")
    assert run.state() == "finished"
