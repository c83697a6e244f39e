"""A report is one file that holds every run, shows text as text, and needs nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGraph, MakeRun

from cortex import labels
from cortex.command import main
from cortex.places import Places
from cortex.report_html import report_html
from cortex.runs import Run

NASTY = '<script>alert(1)</script> "quoted" $x$ <b>bold</b> 🙂 ' + "long " * 30
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Checked(HTMLParser):
    """Text of a page, and what a browser would fetch or run of it; every element has to be closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.fetched, self.tags, self.open = "", [], set(), []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href", "srcset") or name.startswith("on")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def points(run: Run, count: int, **start: Any) -> Run:
    """Give a run some events."""
    events: list[dict[str, Any]] = [
        {"event": "start", "time": 1, "steps": count, "last_step": count, "steps_per_epoch": 9, "vocabulary": 19,
         "parameters": 5, "source": "CustomData", "tokenizer": "word", "device": "cpu", "threads": 1, **start}
    ]  # fmt: skip
    for step in range(1, count + 1):
        point = {"time": step, "step": step, "tokens": 32 * step, "elapsed": step / 10}
        events.append({"event": "train", **point, "loss": 3 - step / count, "lr": 0.01, "epoch": step / 9, "accuracy": 0.5})
        if step % 5 == 0:
            events.append({"event": "validation", **point, "loss": 3.1 - step / count})
    events.append({"event": "sample", "step": count, "prompt": "the", "text": f" end of {NASTY}"})
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return run


@pytest.fixture
def two(make_run: MakeRun, make_graph: MakeGraph) -> list[Run]:
    first = points(make_run(make_graph(lr=0.01), name=NASTY), 20)
    labels.update(first, note=f"note {NASTY}", tags=["<i>tag</i>"])
    return [first, points(make_run(make_graph(blocks=2, lr=0.02), name="second"), 30)]


def test_every_chosen_run_is_in_it_and_nothing_is_fetched_or_run(two: list[Run], home: Places) -> None:
    page = Checked(report_html(two, home.store))
    assert all(run.id in page.text for run in two)
    assert page.fetched == []
    assert not page.tags & {"script", "iframe", "object", "link", "img"}


def test_markup_in_names_notes_and_samples_is_shown_as_text(two: list[Run], home: Places) -> None:
    text = report_html(two, home.store)
    page = Checked(text)
    assert NASTY.strip() in page.text
    assert f"note {NASTY}".strip() in page.text
    assert "<i>tag</i>" in page.text
    assert f" end of {NASTY}" in page.text
    assert "<script" not in text and "<b>bold" not in text


def test_it_says_what_differs_in_settings_and_graph(two: list[Run], home: Places) -> None:
    page = Checked(report_html(two, home.store))
    assert "training.lr" in page.text
    assert "block_2 (GPTBlock) is added between block_1 and norm" in page.text
    assert page.text.count("PositionalEncoding") >= 2  # a picture of each graph


def test_every_logged_metric_is_drawn(two: list[Run], home: Places) -> None:
    text = report_html(two, home.store)
    assert {"Loss", "Perplexity", "Learning rate", "Accuracy"} <= set(re.findall(r'aria-label="([^"]+)" class="chart"', text))
    assert "step" in text and "minutes since start" in report_html(two, home.store, axis="elapsed")


@pytest.mark.parametrize("axis", ["step", "tokens", "epoch", "elapsed", "flops"])
def test_charts_over_any_axis(axis: str, two: list[Run], home: Places) -> None:
    assert 'class="chart"' in report_html(two, home.store, axis=axis)


def test_runs_that_do_not_compare_are_not_shown_side_by_side_in_silence(
    two: list[Run], make_run: MakeRun, home: Places
) -> None:
    other = points(make_run(name="other"), 10, tokenizer="character", vocabulary=30)
    record = json.loads((other.path / "run.json").read_text())
    record["data"]["fingerprint"] = "other"
    (other.path / "run.json").write_text(json.dumps(record))
    page = Checked(report_html([two[1], other], home.store))
    assert "These perplexities are not comparable" in page.text
    assert page.text.count("Not comparable between these runs") == 2  # loss and perplexity


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no run.json": lambda path: (path / "run.json").unlink(),
    "torn run.json": lambda path: (path / "run.json").write_text('{"format"'),
    "newer run.json": lambda path: (path / "run.json").write_text('{"format": "cortexnodus/run", "version": 7}'),
    "binary run.json": lambda path: (path / "run.json").write_bytes(bytes(range(256))),
    "no metrics": lambda path: (path / "metrics.jsonl").unlink(),
    "binary metrics": lambda path: (path / "metrics.jsonl").write_bytes(bytes(range(256)) * 9),
    "odd numbers": lambda path: (path / "metrics.jsonl").write_text(
        '{"event": "train", "step": 1, "tokens": 1, "loss": NaN, "elapsed": 1}\n'
        '{"event": "validation", "step": 2, "tokens": 1, "loss": 1e308, "elapsed": 1e400}\n'
        '{"event": "validation", "step": 2, "tokens": 1, "loss": 2.0, "elapsed": 1}\n'
        '{"event": "start", "vocabulary": "many", "parameters": [1], "steps": -1}\n'
        '{"event": "sample", "step": "x", "prompt": 3, "text": 4}\n'
    ),
    "a foreign graph": lambda path: (path / "run.json").write_text(
        (path / "run.json").read_text().replace('"LayerNorm"', '"FromTheFuture"')
    ),
    "odd labels": lambda path: (path / "labels.json").write_text('{"note": 3'),
    "a folder for a status": lambda path: ((path / "status.json").unlink(), (path / "status.json").mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_run_is_told_and_the_other_is_untouched(
    damage: Callable[[Path], object], two: list[Run], home: Places
) -> None:
    damage(two[0].path)
    page = Checked(report_html(two, home.store))
    assert two[1].id in page.text and two[0].id in page.text
    assert "2.100" in page.text  # the best loss of the other


def test_the_terminal_writes_it(two: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.html"
    assert main(["report", *(run.id for run in two), "-o", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["bytes"] == path.stat().st_size and said["runs"] == [run.id for run in two]
    assert main(["report", two[0].id, "-o", str(tmp_path / "r.pdf")]) == 2
    assert "ends in .html" in capsys.readouterr().err


def test_many_points_make_a_small_file(make_run: MakeRun, home: Places) -> None:
    run = points(make_run(), 4000)
    assert len(report_html([run], home.store)) < 300_000
