"""status.json: what a worker says of itself, with a heartbeat."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any

import pytest
from conftest import MakeRun

import cortex.status
from cortex.processes import process_started
from cortex.runs import Run, RunError
from cortex.status import Status


def test_a_status_claims_its_run_for_this_process(run: Run) -> None:
    status = Status(run)
    found = run.status()
    assert (found["state"], found["pid"], found["pid_started"]) == ("starting", os.getpid(), process_started(os.getpid()))
    assert abs(found["heartbeat"] - time.time()) < 5
    status.set(state="running", message="busy")
    assert run.state() == "running" and run.status()["message"] == "busy"
    status.end("finished")
    assert run.state() == "finished" and run.status()["message"] == "" and run.status()["ended"]


def test_an_end_carries_its_reason(run: Run) -> None:
    status = Status(run)
    status.set(state="running", message="busy")
    status.end("failed", "out of memory")
    assert run.state() == "failed" and run.status()["error"] == "out of memory"


def test_the_heart_beats_and_carries_notes_until_the_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cortex.status, "_HEARTBEAT_SECONDS", 0.01)
    status = Status(run)
    before = run.status()["heartbeat"]
    status.note(step=7)
    deadline = time.monotonic() + 5
    while run.status().get("step") != 7 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert run.status()["step"] == 7 and run.status()["heartbeat"] > before
    status.end("stopped")
    last = run.status()
    time.sleep(0.05)
    assert run.status() == last and last["state"] == "stopped"


def test_a_reader_never_meets_half_a_status(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cortex.status, "_HEARTBEAT_SECONDS", 0.0005)
    status, ended = Status(run), threading.Event()
    torn: list[Any] = []

    def read() -> None:
        while not ended.is_set():
            content = (run.path / "status.json").read_text()
            try:
                json.loads(content)
            except ValueError:
                torn.append(content)

    reader = threading.Thread(target=read)
    reader.start()
    for step in range(200):
        status.set(step=step, message="x" * (step * 37 % 500))
    ended.set()
    reader.join()
    status.end("finished")
    assert torn == [] and run.status()["step"] == 199


def test_a_heartbeat_that_cannot_be_written_does_not_end_the_process(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cortex.status, "_HEARTBEAT_SECONDS", 0.01)
    status = Status(run)
    moved = run.path.rename(run.path.parent / "moved")
    said, deadline = "", time.monotonic() + 5
    while "status.json cannot be written" not in said and time.monotonic() < deadline:
        time.sleep(0.02)
        said += capsys.readouterr().out
    moved.rename(run.path)
    status.end("finished")
    assert "status.json cannot be written" in said and run.state() == "finished"


def test_a_run_never_has_two_workers(make_run: MakeRun) -> None:
    run = make_run()
    first = Status(run)
    with pytest.raises(RunError, match="has a worker already"):
        Status(run)
    first.end("finished")
    with pytest.raises(RunError, match="has had a worker already"):
        Status(run)
    assert run.state() == "finished"
