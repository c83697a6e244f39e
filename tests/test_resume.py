"""A run that is left at any moment and resumed equals, bit for bit, one that was never left."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Start, disk_with_room_for, made_lines, tiny_graph
from tables import facts
from waiting import wait_for_step

import cortex.asked
import cortex.session
from cortex import launch
from cortex.checkpoints import load_state, saved_step
from cortex.command import main
from cortex.creating import create_run
from cortex.data import prepare
from cortex.places import Places, places
from cortex.runs import Run
from cortex.session import Session
from cortex.status import Status
from cortex.train import Event
from cortex.worker import work

NewRun = Callable[[], Run]
SETTINGS: dict[str, Any] = {
    "steps": 20, "eval_every": 5, "save_every": 3, "keep_every": 10, "log_every": 4, "lr": 0.1, "schedule": "cosine",
    "optimizer": "Muon", "ema": 0.9, "accumulate": 2, "sample_tokens": 3,
}  # fmt: skip


class Killed(BaseException):
    """The process is gone at this very moment, as far as the disk can tell."""


@pytest.fixture(autouse=True)
def heard_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cortex.asked, "_LOOK_SECONDS", -1.0)


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Places:
    root = tmp_path_factory.mktemp("resume")
    (root / "text.txt").write_text("\n".join(made_lines()) + "\n")
    return places({"CORTEXNODUS_HOME": str(root)})


@pytest.fixture(scope="module")
def new_run(where: Places) -> NewRun:
    """A function that creates the same run again and again."""

    def create(**settings: Any) -> Run:
        graph = tiny_graph(where.runs.parent / "text.txt", **{**SETTINGS, **settings})
        return create_run(where.runs, graph, fingerprint=prepare(graph.node("data"), where.store).fingerprint)

    return create


@pytest.fixture(scope="module")
def whole(where: Places, new_run: NewRun) -> Run:
    """The run that was never left."""
    run = new_run()
    assert work(run, where.store) == "finished"
    return run


def resume(run: Run, where: Places, **settings: Any) -> str:
    return work(run, where.store, Status(run, again=True), **settings)


def assert_same(run: Run, whole: Run) -> None:
    """Equal events but for the clock's, and files of weights equal to the byte."""
    told = [event for event in run.events() if event["event"] != "resumed"]
    assert facts(told) == facts(whole.events())
    assert all(json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines())
    folders = [run.path / "checkpoints", whole.path / "checkpoints"]
    names = [sorted(path.name for path in folder.iterdir()) for folder in folders]
    assert names[0] == names[1]
    for name in names[0]:
        if name.endswith(".safetensors"):
            assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name


def ask_at(run: Run, step: int, what: str) -> Callable[[Event], None]:
    return lambda event: run.request(what) if event["event"] == "train" and event["step"] == step else None


# Killed within a checkpoint


def die_at(point: str, step: int, patch: pytest.MonkeyPatch) -> None:
    """Die at one of the moments of the checkpoint of that step."""

    def around(name: str, matches: Callable[..., bool], *, before: bool = False) -> None:
        real = getattr(cortex.session, name)

        def dying(*arguments: Any) -> None:
            if before and matches(*arguments):
                raise Killed
            real(*arguments)
            if matches(*arguments):
                raise Killed

        patch.setattr(cortex.session, name, dying)

    append = Session._append

    def torn(session: Session, lines: str) -> None:
        if f'"step": {step},' in lines and '"validation"' in lines:
            append(session, lines[:20] if point == "within the line" else "")
            raise Killed
        append(session, lines)

    match point:
        case "before the state":
            around("save_state", lambda state, folder, of: of == step, before=True)
        case "after the state":
            around("save_state", lambda state, folder, of: of == step)
        case "after the last weights":
            around("save_weights", lambda model, path, of: of == step)
        case "before the best weights":
            around("same_as", lambda source, target: target.stem == "best" and saved_step(source) == step, before=True)
        case "before the kept weights":
            around("same_as", lambda source, target: target.stem == f"step-{step}", before=True)
        case _:
            patch.setattr(Session, "_append", torn)


@pytest.mark.parametrize("step", [5, 10, 20])  # 20: the last of all, and the best
@pytest.mark.parametrize(
    "point",
    ["before the state", "after the state", "after the last weights", "before the best weights", "before the kept weights",
     "before the line", "within the line"],
)  # fmt: skip
def test_a_kill_within_a_checkpoint_changes_nothing(
    point: str, step: int, new_run: NewRun, whole: Run, where: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    if point == "before the kept weights" and step == 5:
        pytest.skip("none are kept at step 5")
    run = new_run()
    with monkeypatch.context() as patch:
        die_at(point, step, patch)
        with pytest.raises(Killed):
            work(run, where.store)
    assert resume(run, where) == "finished"
    assert_same(run, whole)


# Killed, paused, stopped


def test_a_process_that_is_killed_again_and_again_ends_where_one_that_lived_does(
    new_run: NewRun, where: Places, start: Start
) -> None:
    long = {"steps": 300, "eval_every": 50, "save_every": 13, "log_every": 2, "keep_every": 150}
    unbroken, run = new_run(**long), new_run(**long)
    assert work(unbroken, where.store) == "finished"
    for verb, step in (("train", 9), ("resume", 60)):
        child = start("-m", "cortex", verb, str(run.path), "--now", home=where.runs.parent)
        wait_for_step(run, step)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert run.state() == "interrupted"
    assert resume(run, where) == "finished"
    assert_same(run, unbroken)
    assert sum(event["event"] == "resumed" for event in run.events()) >= 1


@pytest.mark.parametrize("step", [1, 8, 12])
def test_a_run_that_was_paused_equals_one_that_was_not(step: int, new_run: NewRun, whole: Run, where: Places) -> None:
    run = new_run()
    assert work(run, where.store, on_event=ask_at(run, step, "pause")) == "paused"
    assert run.state() == "paused" and run.events()[-1]["state"] == "paused" and not run.requested("stop")
    assert saved_step(run.checkpoint("last")) == run.events()[-1]["step"]
    assert resume(run, where) == "finished"
    assert_same(run, whole)


def test_a_run_that_was_paused_before_it_began_begins_when_it_is_resumed(new_run: NewRun, whole: Run, where: Places) -> None:
    run = new_run()
    run.request("pause")
    assert work(run, where.store) == "paused" and run.events() == []
    assert resume(run, where) == "finished"
    assert_same(run, whole)


def test_a_run_that_was_stopped_takes_the_same_steps_afterwards(new_run: NewRun, whole: Run, where: Places) -> None:
    run = new_run()
    assert work(run, where.store, on_event=ask_at(run, 12, "stop")) == "stopped"
    assert resume(run, where) == "finished"
    assert_same(run, whole)


def test_patience_counts_on_after_a_pause(new_run: NewRun, where: Places) -> None:
    settings = {"lr": 2.0, "ema": 0.0, "steps": 400, "eval_every": 4, "patience": 4, "max_rise": 0.0, "optimizer": "Adam"}
    unbroken, run = new_run(**settings), new_run(**settings)
    assert work(unbroken, where.store) == "finished" and "why" in unbroken.events()[-1]
    last = unbroken.events()[-1]["step"]
    assert last < 400
    assert last > 8 and work(run, where.store, on_event=ask_at(run, last - 8, "pause")) == "paused"
    assert resume(run, where) == "finished"
    assert_same(run, unbroken)


# A disk that is full


def test_a_disk_that_fills_up_fails_the_run_and_loses_nothing(new_run: NewRun, whole: Run, where: Places) -> None:
    run, folder = new_run(), Path("checkpoints")
    before: dict[str, bytes] = {}
    with contextlib.ExitStack() as full:

        def fill(event: Event) -> None:
            if event["event"] == "validation" and event["step"] == 10:
                before.update({path.name: path.read_bytes() for path in (run.path / folder).iterdir()})
                room = (run.path / "metrics.jsonl").stat().st_size + 1000
                assert room < (run.path / folder / "state-10.pt").stat().st_size
                full.enter_context(disk_with_room_for(room))

        assert work(run, where.store, on_event=fill) == "failed"
    error = run.status()["error"]
    assert "state-12.pt" in error and "what was written before is kept" in error and "\n" not in error
    assert {path.name: path.read_bytes() for path in (run.path / folder).iterdir()} == before
    assert load_state(run.path / folder)["step"] == 10
    assert resume(run, where) == "finished"
    assert_same(run, whole)


def test_a_disk_that_is_full_from_the_start_takes_nothing_away(new_run: NewRun, whole: Run, where: Places) -> None:
    run = new_run()
    work(run, where.store, on_event=ask_at(run, 12, "pause"))
    before = (run.path / "tokenizer.json").read_bytes()
    with disk_with_room_for(600):
        assert resume(run, where) == "failed"
    assert len(before) > 600 and (run.path / "tokenizer.json").read_bytes() == before
    assert resume(run, where) == "finished"
    assert_same(run, whole)


# What is refused, and what is mended


def test_a_torn_last_line_is_cut_off(new_run: NewRun, whole: Run, where: Places) -> None:
    run = new_run()
    work(run, where.store, on_event=ask_at(run, 12, "pause"))
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"event": "train", "ste')
    assert resume(run, where) == "finished"
    assert_same(run, whole)


@pytest.mark.parametrize("lost", ["state", "last"])
def test_a_run_that_lost_half_of_its_checkpoint_is_not_begun_anew_over_its_curve(
    lost: str, new_run: NewRun, where: Places
) -> None:
    run = new_run()
    work(run, where.store, on_event=ask_at(run, 12, "pause"))
    curve = (run.path / "metrics.jsonl").read_bytes()
    if lost == "state":
        next(run.path.glob("checkpoints/state-*.pt")).unlink()
    else:
        run.checkpoint("last").write_bytes(b"torn")
    assert resume(run, where) == "failed" and "cannot" in run.status()["error"]
    assert (run.path / "metrics.jsonl").read_bytes() == curve


def test_only_what_has_ended_too_early_can_be_resumed(
    whole: Run, new_run: NewRun, where: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(run: Run) -> str:
        assert main(["resume", str(run.path), "--now"]) == 2
        out, err = capsys.readouterr()
        assert out == "" and len(err.splitlines()) == 1
        return err

    assert f"run {whole.id} is finished" in refused(whole) and "extend it" in refused(whole)
    run = new_run()
    assert "is starting" in refused(run)
    work(run, where.store, on_event=ask_at(run, 12, "pause"))
    worker = Status(run, again=True)
    assert "is starting" in refused(run)  # somebody else has resumed it just now
    run.request("resume")  # as a page does; its worker comes second
    assert "has a worker already" in refused(run)
    worker.end("paused")


def test_a_stop_asked_of_a_run_that_is_being_resumed_is_not_lost_and_the_one_before_is_over(
    new_run: NewRun, where: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run()
    work(run, where.store, on_event=ask_at(run, 12, "pause"))
    run.request("stop")  # one that came when it was over
    started = []
    monkeypatch.setattr(launch, "_spawn", lambda *_, log: started.append(subprocess.Popen(["sleep", "0"])) or started[-1])
    launch.spawn_resume(run)
    started[0].wait()
    assert not run.requested("stop")  # or the page would say "Stopping …" of a run that is only just starting
    run.request("stop")
    worker = Status(run, again=True)
    assert run.requested("stop") and not run.requested("resume")
    worker.end("paused")
    worker = Status(run, again=True)  # from a terminal, which has left no mark: what stands there is old
    assert not run.requested("stop")
    worker.end("paused")
