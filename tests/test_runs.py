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
from conftest import MakeGraph, MakeRun

import cortex.runs
from cortex.graph import Graph, Node
from cortex.runs import Run, RunError, create_run, find_run, list_runs, process_started, summary, worker_alive

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="a process's start time is told by Linux alone")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def run(root: Path) -> Run:
    return create_run(root, Graph("first"), fingerprint="f")


def write_status(run: Run, **facts: Any) -> None:
    (run.path / "status.json").write_text(json.dumps(facts))


def write_events(run: Run, *lines: Any) -> None:
    (run.path / "metrics.jsonl").write_text(
        "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    )


def validation(step: int, loss: float) -> dict[str, Any]:
    return {"event": "validation", "step": step, "tokens": step * 10, "loss": loss, "best": True, "elapsed": step / 10}


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


def test_a_worker_that_is_slow_to_start_is_waited_for_as_long_as_it_lives(run: Run) -> None:
    later = run.status()["heartbeat"] + 300
    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        run.expect(worker.pid)
        assert run.state(now=later) == "starting"
        run.path.joinpath("status.json").write_text(json.dumps({"state": "stopped", "pid": 1, "pid_started": 1}))
        assert run.state(now=later) == "stopped"  # its mark is that of the start before
        run.request("resume")
        assert run.state(now=later) == "starting"
    finally:
        worker.communicate(b"\n")
    assert run.state(now=later) == "stopped"


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


# Events and summary


@pytest.mark.parametrize("torn", ['{"event": "tra', "", "[1, 2]", "null", '{"step": 3}', "\x00\x00", "\udcff\udcfe"])
def test_torn_and_foreign_lines_are_passed_over(run: Run, torn: str) -> None:
    lines = f"{json.dumps(validation(1, 3.0))}\n{torn}\n{json.dumps(validation(2, 2.0))}\n"
    (run.path / "metrics.jsonl").write_bytes(lines.encode(errors="surrogateescape") + b'{"event": "valid')
    assert [event["step"] for event in run.events()] == [1, 2]
    assert summary(run)["best_loss"] == 2.0


def test_the_summary_takes_the_best_validation_and_not_the_last(run: Run) -> None:
    write_events(
        run,
        {"event": "start", "steps": 40, "parameters": 9, "validation_bytes": 500, "validation_tokens": 100},
        validation(10, 3.0),
        validation(20, 2.0),
        {"event": "train", "step": 30, "tokens": 300, "loss": 1.5, "elapsed": 3.0, "epoch": 0.5, "tokens_per_second": 100.0},
        validation(30, 2.5),
    )
    row = summary(run)
    assert (row["best_loss"], row["best_step"], row["step"], row["train_loss"]) == (2.0, 20, 30, 1.5)
    assert row["best_perplexity"] == pytest.approx(7.389056)
    assert row["bits_per_byte"] == pytest.approx(2.0 / 0.6931472 * 100 / 500)
    assert row["steps"] == 40 and row["parameters"] == 9 and row["epoch"] == 0.5


def test_bits_per_byte_are_unknown_where_the_data_said_they_would_not_be_honest(run: Run) -> None:
    start = {"event": "start", "steps": 4, "validation_bytes": None, "validation_tokens": 100, "why_not_bits": "<unk>"}
    write_events(run, start, validation(1, 2.0))
    row = summary(run)
    assert row["bits_per_byte"] is None and row["why_not_bits"] == "<unk>"


def test_perplexity_per_word_shares_the_cost_of_all_tokens_out_among_the_words(run: Run) -> None:
    text = {"validation_words": 25, "validation_text": "ab12", "why_not_words": ""}
    write_events(run, {"event": "start", "steps": 4, "validation_tokens": 100, **text}, validation(1, 0.5))
    row = summary(run)
    assert row["word_perplexity"] == pytest.approx(7.389056)  # exp(0.5 * 100 / 25)
    assert row["validation_text"] == "ab12" and row["data"] == run.record()["data"]["fingerprint"]


def test_perplexity_per_word_is_unknown_where_words_are_hidden(run: Run) -> None:
    text = {"validation_words": None, "validation_text": None, "why_not_words": "<unk>"}
    write_events(run, {"event": "start", "steps": 4, "validation_tokens": 100, **text}, validation(1, 0.5))
    row = summary(run)
    assert row["word_perplexity"] is None and row["why_not_words"] == "<unk>"


@linux
def test_the_time_left_counts_to_where_the_run_will_be_cut_off(root: Path) -> None:
    run = create_run(root, Graph("g"), fingerprint="f", max_steps=40)
    write_status(run, state="running", pid=os.getpid(), pid_started=process_started(os.getpid()))
    write_events(run, {"event": "start", "steps": 1000, "last_step": 40}, validation(10, 2.0))
    assert summary(run)["seconds_left"] == pytest.approx(1.0 / 10 * 30)


def test_a_run_without_events_has_a_summary_of_unknowns(run: Run) -> None:
    row = summary(run)
    assert row["state"] == "starting" and row["name"] == "first"
    assert row["best_loss"] is row["best_perplexity"] is row["step"] is None


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"format": "other"}', '{"format": "cortexnodus/run", "version": 2}',
     '{"format": "cortexnodus/run", "version": 1}'],
)  # fmt: skip
def test_a_damaged_run_is_listed_as_damaged_and_the_others_are_not_lost(root: Path, run: Run, content: str) -> None:
    bad = create_run(root, Graph("second"), fingerprint="f")
    (bad.path / "run.json").write_text(content)
    rows = {row["run"]: row for row in map(summary, list_runs(root))}
    assert rows[bad.id]["state"] == "damaged" and rows[bad.id]["error"]
    assert rows[run.id]["state"] == "starting"
    assert find_run("first", root).id == run.id


def test_a_record_of_a_newer_version_or_another_format_is_refused(run: Run) -> None:
    (run.path / "run.json").write_text('{"format": "cortexnodus/run", "version": 2}')
    with pytest.raises(RunError, match=r'not of format "cortexnodus/run" version 1'):
        run.record()


def test_a_run_whose_graph_is_damaged_says_where(run: Run) -> None:
    record = run.record()
    record["graph"]["nodes"] = 5
    (run.path / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match=r"run.json graph.nodes: found a whole number, expected a list"):
        run.graph()


def test_folders_without_a_record_and_stray_files_are_no_runs(root: Path, run: Run) -> None:
    (root / "half").mkdir()
    (root / "notes.txt").write_text("x")
    assert [found.id for found in list_runs(root)] == [run.id]
    assert list_runs(root / "nowhere") == []


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


def test_the_time_left_is_never_more_than_a_time_budget_leaves(make_run: MakeRun, make_graph: MakeGraph) -> None:
    run = make_run(make_graph(max_minutes=2.0, steps=100_000))
    run_facts = {"state": "running", "pid": os.getpid(), "pid_started": process_started(os.getpid()), "heartbeat": time.time()}
    (run.path / "status.json").write_text(json.dumps(run_facts))
    events = [
        {"event": "start", "steps": 100_000, "last_step": 100_000},
        {"event": "train", "step": 10, "tokens": 320, "loss": 3.0, "elapsed": 20.0},
    ]
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    assert summary(run)["seconds_left"] == 100.0
