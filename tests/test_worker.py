"""What a run's process does: it fills its directory, hears requests, ends in a state and says why it failed."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from conftest import MakeGraph, MakeRun, Start
from waiting import wait_for_step

from cortex.builder import plan
from cortex.checkpoints import load_trained
from cortex.evaluate import evaluate
from cortex.places import Places
from cortex.run_summary import summary
from cortex.store import find
from cortex.train import Event
from cortex.worker import work


def test_a_finished_run_holds_all_that_explains_it(make_run: MakeRun, home: Places) -> None:
    run = make_run()
    heard: list[Event] = []
    assert work(run, home.store, on_event=heard.append) == "finished"
    assert run.state() == "finished" and run.status()["error"] is None
    assert [event["event"] for event in run.events()] == [event["event"] for event in heard]
    assert [(event["event"], event["step"]) for event in heard if event["event"] in ("validation", "end")] == [
        ("validation", 10),
        ("validation", 20),
        ("end", 20),
    ]
    assert run.checkpoint("best").is_file() and run.checkpoint("last").is_file()
    assert (run.path / "tokenizer.json").is_file() and "validation loss" in run.log_tail()
    assert not list(run.path.rglob("*.tmp"))


def test_the_start_event_says_what_is_trained_on_what(make_run: MakeRun, home: Places) -> None:
    run = make_run()
    work(run, home.store)
    start = run.events()[0]
    found = find(run.record()["data"]["fingerprint"], home.store)
    assert start["event"] == "start" and start["steps"] == 20 and start["device"] == "cpu"
    assert start["vocabulary"] == found.vocab_size and start["train_tokens"] == found.count("train")
    assert start["parameters"] == plan(run.graph(), found.vocab_size).total
    assert start["steps_per_epoch"] == -(-(found.count("train") // 8) // 4)


def test_two_runs_of_the_same_seed_have_bitwise_the_same_losses_and_weights(make_run: MakeRun, home: Places) -> None:
    runs = [make_run(), make_run()]
    losses = []
    for run in runs:
        torch.manual_seed(id(run) % 1000)  # whatever was drawn before
        work(run, home.store)
        losses.append([event["loss"] for event in run.events() if "loss" in event])
    assert losses[0] == losses[1] and len(losses[0]) == 5
    assert runs[0].checkpoint("last").read_bytes() == runs[1].checkpoint("last").read_bytes()


def test_the_best_checkpoint_has_the_loss_that_the_curve_shows_for_it(
    make_run: MakeRun, make_graph: MakeGraph, home: Places
) -> None:
    run = make_run(make_graph(lr=0.3, eval_every=4))  # so high that the last validation is hardly the best
    assert work(run, home.store) == "finished"
    row, trained = summary(run), load_trained(run, "best")
    tokens = find(run.record()["data"]["fingerprint"], home.store).tokens("validation")
    assert trained.step == row["best_step"]
    assert evaluate(trained.model, tokens, 8).loss == pytest.approx(row["best_loss"], rel=1e-6)
    last = [event for event in run.events() if event["event"] == "validation"][-1]
    assert evaluate(load_trained(run, "last").model, tokens, 8).loss == pytest.approx(last["loss"], rel=1e-6)


def test_max_steps_cuts_a_run_off(make_run: MakeRun, home: Places) -> None:
    run = make_run(max_steps=7)
    assert work(run, home.store) == "finished"
    assert run.events()[0]["steps"] == 20 and run.events()[-1]["step"] == 7
    assert load_trained(run).step == 7


# Stopping


def test_a_request_to_stop_is_heard_and_the_weights_of_that_moment_are_kept(
    make_run: MakeRun, make_graph: MakeGraph, home: Places
) -> None:
    run = make_run(make_graph(steps=1_000_000, eval_every=50))

    def ask(event: Event) -> None:
        if event["event"] == "validation":
            run.request("stop")

    assert work(run, home.store, on_event=ask) == "stopped"
    end = run.events()[-1]
    assert run.state() == "stopped" and end["event"] == "end" and 50 <= end["step"] < 1_000_000
    assert load_trained(run, "last").step == end["step"]


def test_a_stop_that_comes_before_training_leaves_a_stopped_run_without_weights(make_run: MakeRun, home: Places) -> None:
    run = make_run()
    run.request("stop")
    assert work(run, home.store) == "stopped"
    assert run.state() == "stopped" and run.events() == [] and not run.checkpoint("best").exists()


# Failing


def test_a_text_that_changed_since_the_run_was_created_is_not_trained_on(make_run: MakeRun, home: Places, text: Path) -> None:
    run = make_run()
    shutil.rmtree(home.store)
    text.write_text("another text\n" * 100)
    assert work(run, home.store) == "failed"
    assert "has changed since this run was created" in run.status()["error"]


def test_a_text_that_is_gone_fails_the_run_and_says_which(make_run: MakeRun, home: Places, text: Path) -> None:
    run = make_run()
    shutil.rmtree(home.store)
    text.unlink()
    assert work(run, home.store) == "failed"
    assert f"{text} does not exist" in run.status()["error"]


def test_a_damaged_record_fails_the_run(make_run: MakeRun, home: Places) -> None:
    run = make_run()
    (run.path / "run.json").write_text("{")
    assert work(run, home.store) == "failed" and "run.json cannot be read" in run.status()["error"]


def test_an_unforeseen_fault_is_in_the_log_and_what_was_written_is_kept(
    make_run: MakeRun, make_graph: MakeGraph, home: Places
) -> None:
    def break_down(event: Event) -> None:
        if event["event"] == "validation":
            raise FloatingPointError("made by the test")

    run = make_run(make_graph(eval_every=3))
    assert work(run, home.store, on_event=break_down) == "failed"
    assert "FloatingPointError: made by the test; the log has the details" in run.status()["error"]
    assert "Traceback" in run.log_tail()
    assert load_trained(run, "last").step == 3


def test_a_folder_that_cannot_be_written_fails_the_run_with_the_systems_reason(make_run: MakeRun, home: Places) -> None:
    run = make_run()
    shutil.rmtree(run.path / "checkpoints")
    (run.path / "checkpoints").write_text("in the way")
    assert work(run, home.store) == "failed"
    assert run.state() == "failed" and run.status()["error"]


def test_events_are_written_before_they_are_told(make_run: MakeRun, home: Places) -> None:
    run = make_run()
    heard: list[tuple[Event, Event]] = []
    work(run, home.store, on_event=lambda event: heard.append((event, run.events()[-1])))
    assert all(told == written for told, written in heard)
    assert [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()] == [told for told, _ in heard]


def test_a_worker_in_a_thread_leaves_the_signals_alone(make_run: MakeRun, home: Places) -> None:
    before, states = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(target=lambda: states.append(work(make_run(), home.store)))
    thread.start()
    thread.join()
    assert states == ["finished"] and signal.getsignal(signal.SIGINT) is before


def test_the_signals_are_given_back_when_a_run_ends(make_run: MakeRun, home: Places) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    work(make_run(), home.store)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


# Real processes: see test_command.py for what a terminal shows of them


def test_a_killed_worker_is_interrupted_while_it_is_still_a_zombie(
    make_run: MakeRun, make_graph: MakeGraph, home: Places, start: Start
) -> None:
    run = make_run(make_graph(steps=1_000_000, eval_every=20))
    child = start("-m", "cortex", "train", str(run.path))
    wait_for_step(run, 40)
    assert run.state() == "running" and run.status()["pid"] == child.pid
    child.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while run.state() == "running" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert run.state() == "interrupted" and child.returncode is None  # nobody has reaped it
    assert Path(f"/proc/{child.pid}").exists()
    # Weights are written before the event that tells of them, so they may be one validation ahead.
    assert load_trained(run, "best").step >= summary(run)["best_step"] > 0
