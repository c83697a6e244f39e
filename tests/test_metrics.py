"""Reading metrics.jsonl as it grows."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cortex.metrics import EventReader, Progress


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def validation(step: int, loss: float) -> dict[str, Any]:
    return {"event": "validation", "step": step, "tokens": 8 * step, "loss": loss, "best": True, "elapsed": step / 10}


def write(path: Path, *events: dict[str, Any]) -> None:
    with open(path, "a") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


def test_a_reader_that_comes_again_reads_what_is_new_and_a_torn_line_once_it_is_whole(path: Path) -> None:
    reader = EventReader(path)
    assert reader.read() == []
    lines = [json.dumps(validation(step, 1.0)) + "\n" for step in range(1, 7)]
    path.write_text(lines[0] + lines[1][:20])
    assert [event["step"] for event in reader.read()] == [1]
    with open(path, "a") as file:
        file.write(lines[1][20:] + lines[2])
    assert [event["step"] for event in reader.read()] == [1, 2, 3] == [event["step"] for event in reader.read()]
    os.truncate(path, len(lines[0]))  # as a resumed run does
    assert [event["step"] for event in reader.read()] == [1]
    other = path.with_name("other")
    other.write_text("".join(lines))
    os.replace(other, path)
    assert [event["step"] for event in reader.read()] == [1, 2, 3, 4, 5, 6]
    path.unlink()
    assert reader.read() == []


def test_progress_is_the_best_validation_and_the_last_step(path: Path) -> None:
    progress = Progress(path)
    assert progress.read() == {}
    write(path, {"event": "start", "steps": 100, "last_step": 50}, validation(10, 3.0), validation(20, 2.0))
    assert progress.read()["best_step"] == 20
    write(path, validation(30, 2.5), {"event": "train", "step": 31, "tokens": 248, "loss": 9.0, "elapsed": 3.1})
    found = progress.read()
    assert (found["best_loss"], found["best_step"], found["step"], found["train_loss"]) == (2.0, 20, 31, 9.0)
    assert (found["steps"], found["last_step"]) == (100, 50)


def test_progress_begins_again_where_the_file_was_cut_back(path: Path) -> None:
    progress = Progress(path)
    write(path, validation(10, 3.0))
    size = path.stat().st_size
    write(path, validation(20, 1.0))
    assert progress.read()["best_loss"] == 1.0
    os.truncate(path, size)
    assert progress.read()["best_loss"] == 3.0


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "null",
        '"event"',
        '{"event": 1}',
        '{"event": "train"}',
        '{"event": "validation", "step": "x", "loss": null}',
    ],
)
def test_a_line_that_is_no_event_is_passed_over(line: str, path: Path) -> None:
    path.write_text(line + "\n")
    write(path, validation(10, 3.0))
    assert EventReader(path).read() == [validation(10, 3.0)]
    assert Progress(path).read()["best_step"] == 10


def test_a_file_that_was_cut_back_and_has_grown_past_what_was_read_is_read_anew(path: Path) -> None:
    """A run can be resumed, and go on for long, while nobody looks."""
    reader, progress = EventReader(path), Progress(path)
    write(path, *(validation(step, 3.0) for step in range(1, 6)), validation(6, 1.0))
    assert len(reader.read()) == 6
    assert progress.read()["best_loss"] == 1.0
    os.truncate(path, sum(map(len, path.read_bytes().splitlines(keepends=True)[:3])))
    write(path, *(validation(step, 2.0) for step in range(4, 12)))
    assert [event["loss"] for event in reader.read()] == [3.0] * 3 + [2.0] * 8
    assert progress.read()["best_loss"] == 2.0


def test_a_line_nested_without_end_is_passed_over(path: Path) -> None:
    path.write_text("[" * 200_000 + "\n")
    write(path, validation(10, 3.0))
    assert EventReader(path).read() == [validation(10, 3.0)]
