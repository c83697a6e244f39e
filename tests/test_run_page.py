"""A run's own page, and what can be taken away: whole for a sound run, and for a damaged one what can be read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import MakeGraph, MakeRun
from streamlit.testing.v1 import AppTest
from test_pages import label, page, put_in_state, sound, words

from cortex import documents, labels
from cortex.graph import Graph, to_document
from cortex.places import Places
from cortex.runs import Run
from cortex.status import Status
from ui.run_page import _PARTS

ROOT = Path(__file__).parents[1]


def run_page(run: Run, part: str = "Charts") -> AppTest:
    return sound(page("run", **{"run": run.id, "run.part": part}))


def tables(test: AppTest) -> str:
    return "\n".join(frame.value.to_csv() for frame in test.dataframe)


def downloads(test: AppTest) -> list[str]:
    return [json.loads(json.dumps(str(button.proto.label))).replace("\\", "") for button in test.get("download_button")]


def test_without_a_run_the_page_says_where_runs_are(home: Places) -> None:
    assert "No run is chosen" in words(sound(page("run")))
    test = sound(page("run", run="20200101-000000-gone"))
    assert "There is no run 20200101-000000-gone" in words(test)
    assert [label(button) for button in test.button] == ["Go to Runs"]


@pytest.mark.parametrize("part", _PARTS)
def test_every_part_of_a_finished_run_is_shown(part: str, trained: Run) -> None:
    test = run_page(trained, part)
    assert test.title[0].value == "tiny"
    assert trained.id in words(test)
    assert "finished" in words(test)
    assert test.query_params["run"] in (trained.id, [trained.id])


def test_it_says_what_the_run_was_started_with_and_how_to_repeat_it(trained: Run) -> None:
    test = run_page(trained, "Started with")
    assert "python -m cortex train" in test.code[0].value and f"{trained.id}/run.json" in test.code[0].value
    assert "training.lr,0.01" in tables(test)
    assert "training.weight_decay" not in tables(test)
    test.toggle(key="run.defaults").set_value(True)
    assert "training.weight_decay" in tables(sound(test.run()))


def test_settings_are_those_of_the_run_and_not_of_the_form(make_run: MakeRun, make_graph: MakeGraph, home: Places) -> None:
    run, name = make_run(make_graph(lr=0.25)), documents.create(home.documents, make_graph(lr=0.75))
    test = sound(page("run", **{"run": run.id, "run.part": "Started with", "doc": name}))
    assert "training.lr,0.25" in tables(test) and "0.75" not in tables(test)


def test_history_and_system_tell_what_happened_and_where(trained: Run) -> None:
    history = run_page(trained, "History")
    assert "started" in tables(history) and "at step 60" in tables(history)
    assert "validation loss" in history.code[-1].value
    system = tables(run_page(trained, "System"))
    for said in ("threads of a process,1", "device,cpu", "precision,float32", "PyTorch,2.", "processor cores", "MiB, when"):
        assert said in system, said


def test_checkpoints_and_files_are_offered_with_their_sizes(trained: Run) -> None:
    test = run_page(trained, "Checkpoints and files")
    assert "**best** · step 60 · " in "\n".join(part.value for part in test.markdown)
    offered = " ".join(downloads(test))
    stored = ("Weights", "Tokenizer", "model.py", "Document", "run.json", "metrics.jsonl", "log.txt")
    for file in (*(f"{name}, " for name in stored), "CSV", "Parquet"):
        assert file in offered, file


def test_the_report_is_made_by_the_command_line_and_its_size_is_said(trained: Run) -> None:
    test = run_page(trained, "Checkpoints and files")
    assert not [text for text in downloads(test) if text.startswith("Download, ")]
    test.button(key="away.report").click()
    test = sound(test.run(timeout=60))
    assert [text for text in downloads(test) if text.startswith("Download, ") and text.endswith("KiB")]
    assert "Made at" in words(test)


def test_note_tags_and_markup_are_shown_as_text(make_run: MakeRun) -> None:
    run = make_run(name="<b>x</b> $y$ ![a](http://example.com/a.png)")
    labels.update(run, note="*not bold* <i>", tags=["[tag](x)"])
    test = run_page(run, "History")
    assert "\\<b\\>" in test.title[0].value and "\\!\\[a\\]" in test.title[0].value
    assert [text.value for text in test.text] == ["*not bold* <i>"]


def test_parent_child_and_siblings_are_one_click_away(make_run: MakeRun) -> None:
    parent = make_run(name="parent", group="g")
    child, sibling = make_run(name="child", parent=parent.id), make_run(name="sibling", group="g")
    test = run_page(parent)
    assert "extended by child" in [label(button) for button in test.button]
    assert [box.options for box in test.selectbox if box.label == "Runs of the same group"] == [["sibling"]]
    test = run_page(child)
    next(button for button in test.button if label(button) == "goes on from parent").click()
    assert sound(test.run()).title[0].value == "parent"
    assert sibling.id not in words(test)


def test_a_run_that_goes_on_can_be_stopped_and_shows_what_was_asked(make_run: MakeRun) -> None:
    run = make_run()
    status = Status(run)
    status.set(state="running", step=1)
    test = run_page(run, "History")
    next(button for button in test.button if button.label == "Stop").click()
    sound(test.run())
    assert run.requested("stop")
    assert "asked to stop" in tables(run_page(run, "History"))
    status.end("stopped")


def test_a_failed_run_says_why(make_run: MakeRun) -> None:
    run = make_run()
    put_in_state(run, "failed")
    test = run_page(run, "History")
    assert "failed: " in words(test) and "loss is nan at step 3" in words(test)
    assert "loss is nan at step 3" in tables(test)


def changed(path: Path, before: str, after: str) -> None:
    text = (path / "run.json").read_text()
    assert before in text
    (path / "run.json").write_text(text.replace(before, after))


def every_part(path: str) -> None:
    """A page that has all parts of a run's page below each other."""
    from pathlib import Path

    from cortex.runs import Run
    from ui import run_page

    for part in run_page._PARTS:
        run_page._part(Run(Path(path)), part)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no run.json": lambda path: (path / "run.json").unlink(),
    "torn run.json": lambda path: (path / "run.json").write_text('{"format"'),
    "a folder for run.json": lambda path: ((path / "run.json").unlink(), (path / "run.json").mkdir()),
    "newer run.json": lambda path: (path / "run.json").write_text('{"format": "cortexnodus/run", "version": 7}'),
    "no status": lambda path: (path / "status.json").unlink(),
    "odd status": lambda path: (path / "status.json").write_text(
        '{"state": "finished", "pid": "x", "memory": "much", "heartbeat": []}'
    ),
    "binary metrics": lambda path: (path / "metrics.jsonl").write_bytes(bytes(range(256)) * 9),
    "odd metrics": lambda path: (path / "metrics.jsonl").write_text(
        '{"event": "train", "step": 1, "tokens": 1, "loss": NaN, "elapsed": 1}\n'
        '{"event": "start", "vocabulary": "x", "steps": -1}\n'
        '{"event": "validation", "step": 2, "tokens": 1, "loss": 1e308, "elapsed": 2}\n{"event": "sample", "text": 4}\n'
    ),
    "a foreign kind": lambda path: changed(path, '"LayerNorm"', '"Odd"'),
    "an empty graph": lambda path: (path / "run.json").write_text(
        json.dumps(json.loads((path / "run.json").read_text()) | {"graph": to_document(Graph("empty"))})
    ),
    "a torn checkpoint": lambda path: (path / "checkpoints" / "best.safetensors").write_bytes(b"torn"),
    "no checkpoints": lambda path: os.rename(path / "checkpoints", path / "elsewhere"),
    "odd labels": lambda path: (path / "labels.json").write_text('{"note": 3'),
    "an odd log": lambda path: (path / "log.txt").write_bytes(bytes(range(256)) * 30),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_no_part_of_the_page_breaks_over_a_damaged_run(damage: Callable[[Path], object], make_run: MakeRun) -> None:
    run = make_run()
    damage(run.path)
    sound(page("run", run=run.id))
    sound(AppTest.from_function(every_part, default_timeout=30, kwargs={"path": str(run.path)}).run())
