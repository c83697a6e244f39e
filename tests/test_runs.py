"""Run directories: creating, finding, reading; the state is computed and damage is told, not raised."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import linux
from run_folders import write_status

import cortex.runs
from cortex.creating import create_run
from cortex.graph import Graph, Node
from cortex.processes import process_started, worker_alive
from cortex.run_summary import summary
from cortex.runs import Run, RunError, find_run, list_runs

# Creating


def test_a_new_run_holds_what_it_was_started_with(root: Path) -> None:
    graph = Graph("my model", (Node("norm", "LayerNorm", {"eps": 0.5}),), training={"lr": 0.1}, layout={"norm": (1.0, 2.0)})
    run = create_run(root, graph, fingerprint="abc", name="First try!", max_steps=7)
    record = run.record()
    assert run.graph() == graph
    assert record["name"] == "First try!" and record["max_steps"] == 7 and record["data"] == {"fingerprint": "abc"}
    assert set(record["versions"]) == {"cortexnodus", "python", "torch"}
    assert run.id.endswith("-First-try") and run.path.parent == root
    assert run.state() == "starting" and run.events() == [] and run.log_tail() == ""


@pytest.mark.parametrize(
    "name",
    ["../../etc/x", "a/b", "..", "", "   ", "日本語", "x" * 300, ".hidden", "a\0b", "-rf", "a\nb"],
    ids=lambda name: ascii(name)[:12],
)
def test_a_name_of_any_letters_stays_inside_the_folder_of_runs(root: Path, name: str) -> None:
    run = create_run(root, Graph("g"), fingerprint="f", name=name)
    assert run.path.parent == root and run.path.is_dir() and not run.id.startswith(".")
    assert [found.id for found in list_runs(root)] == [run.id]
    assert run.record()["name"] == name.strip() or (not name.strip() and run.record()["name"])


def test_runs_of_the_same_second_and_name_have_folders_of_their_own(root: Path) -> None:
    runs = [create_run(root, Graph("same"), fingerprint="f") for _ in range(5)]
    assert len({run.path for run in runs}) == 5


# State


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_a_run_that_has_ended_stays_ended_though_its_process_is_gone(run: Run, state: str) -> None:
    write_status(run, state=state, pid=2**22 + 1, pid_started=1)
    assert run.state() == state


@linux
@pytest.mark.parametrize("state", ["starting", "preparing", "running"])
def test_the_state_of_a_living_worker_is_what_it_wrote(run: Run, state: str) -> None:
    write_status(run, state=state, pid=os.getpid(), pid_started=process_started(os.getpid()))
    assert run.state() == state


@linux
def test_another_process_of_the_same_number_is_not_the_worker(run: Run) -> None:
    write_status(run, state="running", pid=os.getpid(), pid_started=process_started(os.getpid()) - 1)
    assert run.state() == "interrupted"
    write_status(run, state="running", pid=os.getpid(), pid_started=None)
    assert run.state() == "interrupted"


@linux
def test_a_killed_worker_is_interrupted_though_nobody_has_reaped_it(run: Run) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        write_status(run, state="running", pid=child.pid, pid_started=process_started(child.pid))
        assert run.state() == "running"
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and left a zombie
        assert Path(f"/proc/{child.pid}").exists()
        assert process_started(child.pid) is None and run.state() == "interrupted"
    finally:
        child.kill()
        child.wait()
    assert run.state() == "interrupted"


@linux
def test_a_process_whose_name_has_brackets_and_spaces_has_its_start_time_read(tmp_path: Path) -> None:
    odd = tmp_path / "a) Z (b"
    odd.symlink_to("/bin/sleep")
    child = subprocess.Popen([odd, "60"])
    try:
        time.sleep(0.05)
        assert process_started(child.pid) >= process_started(os.getpid())
    finally:
        child.kill()
        child.wait()


def test_a_run_that_nobody_takes_up_is_interrupted_after_a_while(run: Run) -> None:
    created = run.status()["heartbeat"]
    assert run.state(now=created + 9) == "starting"
    assert run.state(now=created + 11) == "interrupted"


@linux
@pytest.mark.parametrize("before", [None, "paused"])
def test_a_worker_that_takes_long_to_come_is_on_its_way_as_long_as_its_process_lives(run: Run, before: str | None) -> None:
    if before:
        write_status(run, state=before, pid=2**22 + 1, pid_started=1)
    run.request("resume")
    mark, later = run.path / "requests" / "resume", time.time() + 300
    assert run.state() == "starting" and run.state(now=later) == (before or "interrupted")
    mark.write_text(json.dumps({"pid": os.getpid(), "pid_started": process_started(os.getpid())}))
    assert run.state(now=later) == "starting"
    mark.write_text(json.dumps({"pid": 2**22 + 1, "pid_started": 1}))
    assert run.state(now=later) == (before or "interrupted")
    for damage in ("[]", "{", "null", '{"pid": "x"}'):
        mark.write_text(damage)
        assert run.state(now=later) == (before or "interrupted")


@pytest.mark.parametrize(
    "content",
    [None, "", '{"state": "runn', "[1]", "null", "\0\0", "{}", '{"state": "flying", "pid": 1}', '{"heartbeat": null}',
     '{"heartbeat": "now"}', '{"state": ["running"], "pid": "x"}', "\udcff"],
)  # fmt: skip
def test_a_status_that_is_missing_torn_or_odd_means_interrupted(run: Run, content: str | None) -> None:
    path = run.path / "status.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content.encode(errors="surrogateescape"))
    assert run.state() == "interrupted"
    assert summary(run)["state"] == "interrupted"


@pytest.mark.parametrize("pid", [None, 0, -1, "7", True, 1.5])
def test_a_process_number_that_is_none_is_of_no_living_worker(pid: Any) -> None:
    assert not worker_alive({"pid": pid, "pid_started": process_started(1)})


# Finding


def test_a_run_is_found_by_folder_name_path_and_name(root: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    for name in (run.id, "first", str(run.path), f"runs/{run.id}", str(run.path) + "/"):
        assert find_run(name, root) == run


def test_a_name_that_two_runs_have_is_refused_with_both_folders(root: Path, run: Run) -> None:
    other = create_run(root, Graph("first"), fingerprint="f")
    with pytest.raises(RunError, match="2 runs have this name") as caught:
        find_run("first", root)
    assert run.id in str(caught.value) and other.id in str(caught.value)


def test_a_name_that_no_run_has_is_refused_with_those_there_are(root: Path, run: Run) -> None:
    with pytest.raises(RunError, match=f"run nope: not found in .*; there are {run.id}"):
        find_run("nope", root)
    with pytest.raises(RunError, match="there are none"):
        find_run("nope", root / "empty")


@pytest.mark.parametrize("name", ["../outside", "..", ".", "", "../runs/../outside", "a\0b", "x" * 300, "*", "[a]"], ids=ascii)
def test_a_name_leads_to_no_folder_beside_the_runs(
    root: Path, run: Run, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_run(tmp_path, Graph("beside"), fingerprint="f").path.rename(tmp_path / "outside")
    (tmp_path / "run.json").write_text((tmp_path / "outside" / "run.json").read_text())
    monkeypatch.chdir("/")
    with pytest.raises(RunError, match="not found"):
        find_run(name, root)


def test_a_request_is_left_for_the_worker_and_asking_twice_is_no_fault(run: Run) -> None:
    assert not run.requested("stop")
    run.request("stop")
    run.request("stop")
    assert run.requested("stop") and not run.requested("pause")


def test_the_tail_of_the_log_is_its_last_lines(run: Run) -> None:
    (run.path / "log.txt").write_bytes(b"".join(b"line %d\n" % number for number in range(2000)) + b"\xff\n")
    assert run.log_tail(3) == "line 1998\nline 1999\n\ufffd"


# Want of memory


def test_a_kill_for_want_of_memory_is_told_with_what_the_worker_held(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write_status(run, state="running", pid=2**22 + 1, pid_started=1, oom_kills=3, memory=5 * 2**20)
    monkeypatch.setattr(cortex.runs, "oom_kills", lambda: 3)
    assert run.state() == "interrupted" and run.why_interrupted() == "its worker was killed, or the machine was switched off"
    monkeypatch.setattr(cortex.runs, "oom_kills", lambda: 4)
    assert "want of memory" in run.why_interrupted() and "(it held 5 MiB)" in run.why_interrupted()
    assert "smaller batch_size" in summary(run)["error"]


@pytest.mark.parametrize(("before", "now"), [(None, 4), (3, None), (None, None), (4, 0)])
def test_a_system_that_does_not_tell_of_kills_or_was_started_anew_is_not_blamed(
    run: Run, before: int | None, now: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_status(run, state="running", pid=2**22 + 1, pid_started=1, oom_kills=before, memory=None)
    monkeypatch.setattr(cortex.runs, "oom_kills", lambda: now)
    assert "memory" not in run.why_interrupted()
