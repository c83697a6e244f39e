"""A row of a run: its best, what is known of it, and what is wrong with it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from conftest import MakeGraph, MakeRun, linux
from run_folders import validation, write_events, write_status

from cortex.creating import create_run
from cortex.graph import Graph
from cortex.processes import process_started
from cortex.run_summary import summary
from cortex.runs import Run, RunError, find_run, list_runs


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
