"""All runs in rows: as `summary` tells them, read only as far as they have changed, whatever has become of a folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from run_folders import add, made, only, validation

import cortex.index
from cortex import labels
from cortex.graph_settings import settings
from cortex.index import Index
from cortex.places import to_json
from cortex.run_summary import SUMMARY, summary


def test_a_row_is_the_summary_and_the_settings(root: Path) -> None:
    run = made(root, lr=0.5)
    labels.update(run, note="n", tags=["t"])
    row = only(root)
    assert {key: row[key] for key in SUMMARY} == summary(run)
    assert row["settings"] == settings(run.graph()) and row["settings"]["training.lr"] == 0.5
    assert (row["note"], row["tags"], row["group"], row["settings"]["data.seq_len"]) == ("n", ["t"], "g", 8)


def test_rows_are_newest_first_and_there_are_none_where_there_is_no_folder(root: Path) -> None:
    runs = [made(root, name) for name in ("a", "b", "c")]
    assert [row["run"] for row in Index(root).rows()] == sorted((run.id for run in runs), reverse=True)
    assert Index(root / "nowhere").rows() == []
    (root / "file").write_text("x")
    assert Index(root / "file").rows() == []


def test_what_changes_is_seen_at_the_next_look(root: Path) -> None:
    run, index = made(root), Index(root)
    assert index.rows()[0]["best_loss"] == 3.0
    add(run, validation(20, 2.0), validation(30, 2.5))
    assert (index.rows()[0]["best_loss"], index.rows()[0]["best_step"], index.rows()[0]["step"]) == (2.0, 20, 30)
    labels.update(run, name="renamed", starred=True)
    assert (index.rows()[0]["name"], index.rows()[0]["starred"]) == ("renamed", True)
    (run.path / "status.json").write_text(to_json({"state": "failed", "error": "nan", "pid": 1}))
    assert (index.rows()[0]["state"], index.rows()[0]["error"]) == ("failed", "nan")
    run.request("resume")
    assert index.rows()[0]["state"] == "starting"
    other = made(root, "other")
    assert {row["run"] for row in index.rows()} == {run.id, other.id}


def test_a_worker_that_dies_without_a_word_is_seen_though_no_file_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(root, state="running")
    index = Index(root)
    assert index.rows()[0]["state"] == "running"
    monkeypatch.setattr("cortex.processes.process_started", lambda pid: None)
    assert index.rows()[0]["state"] == "interrupted"


def test_a_new_server_reads_no_curve_again_and_goes_on_where_it_has_grown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(root)
    before = only(root)
    offsets: list[int] = []
    read = cortex.metrics.Tail._blocks
    monkeypatch.setattr(cortex.metrics.Tail, "_blocks", lambda tail: offsets.append(tail._offset) or read(tail))
    monkeypatch.setattr(cortex.index, "_settings", lambda run: pytest.fail("read again"))
    assert only(root) == before and offsets == []
    size = (run.path / "metrics.jsonl").stat().st_size
    add(run, validation(20, 1.0))
    assert only(root)["best_loss"] == 1.0 and offsets == [size]


def test_a_curve_that_was_cut_back_while_no_server_ran_is_read_anew(root: Path) -> None:
    run = made(root)
    path = run.path / "metrics.jsonl"
    size = path.stat().st_size
    add(run, validation(20, 1.0))
    assert only(root)["best_loss"] == 1.0
    os.truncate(path, size)
    add(run, validation(20, 2.0, note="as long as before and longer"))
    assert only(root)["best_loss"] == 2.0


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "null",
        "[]",
        '{"version": 1}',
        '{"version": 99}',
        '{"version": 1, "progress": 5, "facts": 1}',
        '{"version": 1, "progress": {"tail": {}, "facts": {}}}',
        '{"version": 1, "settings": 5}',
        "\udcff",
    ],
)
def test_a_cache_that_is_damaged_or_of_another_version_is_made_again(root: Path, content: str) -> None:
    run = made(root)
    before = only(root)
    kept = root / ".index" / f"{run.id}.json"
    kept.write_bytes(content.encode(errors="surrogateescape"))
    assert only(root) == before
    assert json.loads(kept.read_text())["progress"]["facts"]["best_loss"] == 3.0


def test_a_cache_that_cannot_be_written_is_done_without(root: Path) -> None:
    made(root)
    (root / ".index").write_text("a file where the folder belongs")
    assert only(root)["best_loss"] == 3.0


def test_a_first_look_leaves_the_settings_out_and_loads_no_torch(root: Path) -> None:
    made(root)
    index = Index(root)
    assert index.rows(at_once=True)[0]["settings"] is None
    assert index.rows()[0]["settings"]["training.lr"] == 0.01
    assert index.rows(at_once=True)[0]["settings"]["training.lr"] == 0.01
