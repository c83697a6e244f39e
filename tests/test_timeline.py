"""What has happened to a run, told in order from its log, its events and its state."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGraph, MakeRun

from cortex import launch
from cortex.places import Places
from cortex.runs import Run
from cortex.status import Status
from cortex.timeline import timeline
from cortex.worker import work


def told(run: Run) -> list[tuple[str, str]]:
    return [(moment.what, moment.text) for moment in timeline(run)]


def kinds(run: Run) -> list[str]:
    return [moment.what for moment in timeline(run)]


def log(run: Run, *lines: str) -> None:
    (run.path / "log.txt").write_text("\n".join(lines) + "\n")


def at(moment: Any) -> str:
    return datetime.fromtimestamp(moment.time).strftime("%Y-%m-%d %H:%M:%S")


def test_a_run_that_was_paused_and_taken_up_again_has_its_whole_history(
    make_run: MakeRun, make_graph: MakeGraph, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex.asked._LOOK_SECONDS", -1.0)
    run = make_run(make_graph(steps=6, eval_every=3))

    def pause(event: dict[str, Any]) -> None:
        if event["event"] == "validation":
            run.request("pause")

    assert work(run, home.store, on_event=pause) == "paused"
    assert work(run, home.store, Status(run, again=True)) == "finished"
    assert kinds(run) == ["created", "started", "paused", "resumed", "finished"]
    assert "from step 3, process" in dict(told(run))["resumed"]
    assert dict(told(run))["finished"] == "at step 6"
    times = [moment.time for moment in timeline(run)]
    assert times == sorted(times)
    assert abs(times[-1] - time.time()) < 60


def test_a_child_run_says_where_it_goes_on(make_run: MakeRun, make_graph: MakeGraph, home: Places) -> None:
    parent = make_run(make_graph(steps=3, eval_every=3))
    work(parent, home.store)
    child = launch.extend(parent, steps=3)
    work(child, home.store)
    assert told(child)[0] == ("created", f"goes on where {parent.id} had ended, from step 3")


def test_a_worker_that_ended_without_a_word_is_an_interruption(make_run: MakeRun) -> None:
    run = make_run()
    log(
        run,
        f"10:00:00 run {run.id}, process 1, 2026-11-23",
        "10:00:05 1,234 parameters on cpu, 10 steps an epoch, from step 0",
        "10:03:00 step 100: validation loss 3.0000, best so far",
        f"11:00:00 run {run.id}, process 2, 2026-11-25",
        "11:00:05 1,234 parameters on cpu, 10 steps an epoch, from step 100",
        "11:09:00 finished",
    )
    found = timeline(run)
    told_of = [moment.what for moment in found if moment.what != "created"]
    assert told_of[:4] == ["started", "interrupted", "resumed", "finished"]
    assert at(next(moment for moment in found if moment.what == "interrupted")) == "2026-11-23 10:03:00"
    assert at(next(moment for moment in found if moment.what == "resumed")) == "2026-11-25 11:00:00"


def test_a_log_that_runs_past_midnight_is_of_the_next_day(make_run: MakeRun) -> None:
    run = make_run()
    log(run, f"23:59:58 run {run.id}, process 1, 2026-11-23", "00:10:00 failed: the disk is full; what was there is kept")
    failed = next(moment for moment in timeline(run) if moment.what == "failed")
    assert (at(failed), failed.text) == ("2026-11-24 00:10:00", "the disk is full; what was there is kept")


def test_warnings_and_what_else_the_worker_says_are_told(make_run: MakeRun) -> None:
    run = make_run()
    log(
        run,
        f"10:00:00 run {run.id}, process 1, 2026-11-23",
        "/x/y.py:3: UserWarning: something is odd",
        "10:00:02 reference perplexities cannot be kept: Permission denied",
        "10:00:09 1,000 steps fit the time budget, at 0.100 s each",
    )
    assert ("warning", "/x/y.py:3: UserWarning: something is odd") in told(run)
    assert ("note", "reference perplexities cannot be kept: Permission denied") in told(run)
    assert ("horizon", "1,000 steps fit the time budget, at 0.100 s each") in told(run)


def test_a_traceback_is_one_failure_and_not_a_list_of_notes(make_run: MakeRun) -> None:
    run = make_run()
    begun = f"10:00:00 run {run.id}, process 1"
    log(run, begun, "10:00:01 Traceback (most recent call last):", '  File "x"', "10:00:01 failed: E")
    assert [what for what in kinds(run) if what not in ("created", "interrupted")] == ["started", "failed"]


def test_without_a_log_the_events_tell(make_run: MakeRun) -> None:
    run = make_run()
    events = [
        {"event": "start", "time": time.time(), "device": "cpu"},
        {"event": "end", "time": time.time() + 5, "state": "finished", "step": 12, "why": "patience"},
        {"event": "warning", "time": time.time() + 6, "message": "<b>hot</b>"},
    ]
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    assert ("finished", "at step 12, patience") in told(run)
    assert ("warning", "message <b>hot</b>") in told(run)


def test_what_is_asked_of_a_running_worker_is_told(make_run: MakeRun) -> None:
    run = make_run()
    status = Status(run)
    run.request("stop")
    assert ("asked to stop", "not answered yet") in told(run)
    status.end("stopped")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "log.txt").write_bytes(bytes(range(256)) * 50),
        lambda path: (path / "log.txt").mkdir(),
        lambda path: (path / "run.json").write_text("[1"),
        lambda path: (path / "run.json").write_text('{"format": "cortexnodus/run", "version": 1, "created": 7}'),
        lambda path: (path / "status.json").write_text('{"state": "failed", "error": ["x"], "heartbeat": "soon"}'),
        lambda path: (path / "metrics.jsonl").write_text('{"event": "end", "time": "now", "step": null, "state": 3}\n{"ev'),
        lambda path: (path / "log.txt").write_text("99:99:99 run x, process 1, 2026-99-99\n10:00:00 finished\n"),
        lambda path: os.rename(path / "requests", path / "gone"),
    ],
)
def test_a_damaged_run_still_has_a_timeline(damage: Any, make_run: MakeRun) -> None:
    run = make_run()
    damage(Path(run.path))
    assert all(isinstance(moment.what, str) for moment in timeline(run))
