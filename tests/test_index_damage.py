"""Whatever has become of the folder of a run, it has a row, and the others have theirs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from run_folders import add, made, only, train, validation

from cortex.index import Index
from cortex.metrics import Progress


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        "5",
        '"x"',
        "\0\0\0",
        "\udcff\udcfe",
        "[" * 100_000,
        '{"format": "other"}',
        '{"format": "cortexnodus/run", "version": 7}',
        "folder",
    ],
)
def test_a_run_json_that_cannot_be_read_is_a_row_that_says_so_beside_the_sound_ones(root: Path, content: str | None) -> None:
    sound, bad = made(root, "sound"), made(root, "bad")
    path = bad.path / "run.json"
    path.unlink()
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content.encode(errors="surrogateescape"))
    rows = {row["run"]: row for row in Index(root).rows()}
    assert rows[sound.id]["state"] == "finished" and rows[sound.id]["best_loss"] == 3.0
    assert rows[bad.id]["state"] == "damaged" and "run.json" in rows[bad.id]["error"] and "\n" not in rows[bad.id]["error"]
    assert rows[bad.id]["settings"] == {} and rows[bad.id]["name"] == bad.id


@pytest.mark.parametrize(
    ("key", "wrong"),
    [("name", 5), ("name", None), ("graph", []), ("graph", {"nodes": 5}), ("data", "x")],
)
def test_a_record_of_wrong_types_is_damaged(root: Path, key: str, wrong: Any) -> None:
    run = made(root)
    (run.path / "run.json").write_text(json.dumps(json.loads((run.path / "run.json").read_text()) | {key: wrong}))
    assert only(root)["state"] == "damaged"


@pytest.mark.parametrize(
    ("key", "wrong"),
    [("training", 5), ("training", {"seed": "x", "max_minutes": []}), ("created", 5), ("group", ["g"]), ("sweep", 3)],
)
def test_what_else_is_odd_in_a_record_is_not_known_and_no_more(root: Path, key: str, wrong: Any) -> None:
    run = made(root)
    (run.path / "run.json").write_text(json.dumps(json.loads((run.path / "run.json").read_text()) | {key: wrong}))
    row = only(root)
    assert row["state"] == "finished" and row["best_loss"] == 3.0


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "[]",
        '{"state": ["running"]}',
        '{"state": "flying", "pid": 1e400}',
        "\0",
        "folder",
        '{"state": "failed", "error": {"a": 1}}',
        '{"state": "running", "oom_kills": "x", "pid": 1}',
    ],
)
def test_an_odd_status_gives_a_row_all_the_same(root: Path, content: str | None) -> None:
    run = made(root)
    path = run.path / "status.json"
    path.unlink()
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_text(content)
    row = only(root)
    assert row["state"] in ("interrupted", "failed") and row["best_loss"] == 3.0


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "-Infinity", "1e999", '"2.0"', "null", "true", "[]", "{}", "1" * 400])
@pytest.mark.parametrize("kind", ["train", "validation"])
def test_a_loss_that_is_no_number_is_no_result(root: Path, odd: str, kind: str) -> None:
    run = made(root)
    add(run, f'{{"event": "{kind}", "step": 20, "tokens": 200, "loss": {odd}, "elapsed": 2.0}}')
    row = only(root)
    assert (row["best_loss"], row["best_step"], row["step"], row["train_loss"]) == (3.0, 10, 10, None)


@pytest.mark.parametrize("odd", ["NaN", '"fast"', "[]", "1e999", "true"])
def test_other_odd_numbers_are_not_known(root: Path, odd: str) -> None:
    run = made(root)
    add(
        run,
        f'{{"event": "train", "step": 20, "tokens": 9, "loss": 1.0, "elapsed": 2, "tokens_per_second": {odd}, "epoch": {odd}}}',
    )
    add(
        run,
        f'{{"event": "start", "steps": {odd}, "last_step": {odd}, "parameters": {odd}, "source": {odd}, "device": {odd}}}',
    )
    row = only(root)
    assert row["step"] == 20 and all(
        type(row[key]) in (int, float, type(None)) for key in ("tokens_per_second", "parameters", "steps")
    )
    assert type(row["source"]) in (str, type(None))


def test_events_out_of_order_and_twice_give_the_best_and_the_furthest(root: Path) -> None:
    run = made(root)
    add(run, train(40), validation(30, 1.5), validation(20, 1.5), train(5), validation(30, 1.5), validation(40, 2.0))
    row = only(root)
    assert (row["best_loss"], row["best_step"], row["step"]) == (1.5, 30, 40)


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
@pytest.mark.parametrize("last", ["event", "first"])
def test_a_curve_that_another_program_wrote_gives_the_same_row(root: Path, separators: tuple[str, str], last: str) -> None:
    run = made(root)
    lines = [
        *(train(step, 1 / step, text="train") for step in range(11, 400)),
        validation(20, 2.0),
        validation(30, 1.0),
        validation(35, 1.1),
    ]
    for line in lines:
        ordered = dict(reversed(line.items())) if last == "event" else line
        add(run, json.dumps(ordered, separators=separators))
    row = only(root)
    assert (row["best_loss"], row["best_step"], row["step"], row["train_loss"]) == (1.0, 30, 399, 1 / 399)


def test_a_long_curve_is_read_like_a_short_one(root: Path) -> None:
    """Longer than is read at a time, so that lines are cut between."""
    run = made(root)
    losses = [3.0 - (step % 977) / 977 for step in range(11, 9011)]
    add(
        run,
        *(
            validation(step, loss, pad="x" * 90) if step % 3 else train(step, loss, pad="x" * 200)
            for step, loss in enumerate(losses, 11)
        ),
    )
    row = only(root)
    held_out = {step: loss for step, loss in enumerate(losses, 11) if step % 3}
    assert (run.path / "metrics.jsonl").stat().st_size > 2**20
    assert row["best_loss"] == min([*held_out.values(), 3.0]) == held_out[row["best_step"]] and row["step"] == 9010


def test_torn_and_foreign_lines_are_counted_in_the_row(root: Path) -> None:
    run = made(root)
    add(run, '{"event": "valid', "garbage", validation(20, 2.0))
    with open(run.path / "metrics.jsonl", "ab") as file:
        file.write(b'\xff\xfe\n{"event": "train", "st')
    row = only(root)
    assert row["best_loss"] == 2.0
    assert row["problem"] == "metrics.jsonl: 3 lines passed over that cannot be read; metrics.jsonl: its last line is torn off"


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "binary", "pipe", "endless line"])
def test_a_curve_that_is_no_file_of_lines_leaves_the_row_without_numbers(root: Path, kind: str) -> None:
    run = made(root)
    path = run.path / "metrics.jsonl"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "missing":
        path.write_bytes({"empty": b"", "binary": os.urandom(5000), "endless line": b"x" * 3_000_000}[kind])
    began = time.monotonic()
    row = only(root)
    assert row["state"] == "finished" and row["best_loss"] is None and time.monotonic() - began < 5
    assert Progress(path).read().get("best_loss") is None


@pytest.mark.parametrize("name", ["<b>bold</b>", "$x^2$", "🙂", "\ud800", "x" * 200, "a\nb", "$\\href{x}{y}$"], ids=ascii)
def test_names_of_any_letters_can_be_written_to_a_page(root: Path, name: str) -> None:
    run = made(root, "x")
    (run.path / "run.json").write_text(json.dumps(json.loads((run.path / "run.json").read_text()) | {"name": name}))
    assert only(root)["name"].encode() and len(only(root)["name"]) == len(name)


def test_folders_that_are_being_deleted_or_hold_no_run_have_no_row(root: Path) -> None:
    run = made(root)
    made(root, "gone").path.rename(root / ".deleted-abc")
    (root / "empty").mkdir()
    (root / "file").write_text("x")
    (root / "dangling").symlink_to(root / "nowhere")
    os.mkdir(os.fsencode(root) + b"/not-\xff-utf8")
    assert [row["run"] for row in Index(root).rows()] == [run.id]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_a_damaged_row(root: Path) -> None:
    run = made(root)
    run.path.chmod(0)
    try:
        assert only(root)["state"] == "damaged" and "Permission denied" in only(root)["error"]
    finally:
        run.path.chmod(0o755)
