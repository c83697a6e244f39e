"""A proof trains in the app and in the script, and tells honestly whether they are the same."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGraph

from cortex import prove as module
from cortex.builder import PlanError
from cortex.places import Places
from cortex.prove import ProofError, Row, prove, proving
from cortex.runs import Run


def children() -> list[str]:
    """Processes that this one has started and not yet buried."""
    return [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


def test_the_app_and_the_script_have_the_same_losses_at_every_step(make_graph: MakeGraph, home: Places) -> None:
    rows = prove(make_graph(max_minutes=5.0, schedule="cosine").rename('a "name"'), home.store, steps=4)
    assert [(row.what, row.step) for row in rows] == [("train", 1), ("train", 2), ("train", 3), ("train", 4), ("validation", 4)]
    assert all(row.equal for row in rows)
    assert not home.runs.exists(), "a proof leaves no run behind"


def test_a_run_is_proved_with_its_threads_and_a_path_from_here(
    trained: Run, trained_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained_home)
    graph = trained.graph().with_param("data", "path", "text.txt")
    monkeypatch.setattr(Run, "graph", lambda run: graph)
    rows = prove(trained, trained_home / "workspace" / "store", steps=2)
    events = [event for event in trained.events() if event["event"] == "train"]
    assert all(row.equal for row in rows) and rows[0].app == events[0]["loss"]


def says(*events: dict[str, Any]) -> str:
    """A program that tells these events and nothing else."""
    return "".join(f"print({json.dumps(json.dumps(event))})\n" for event in events)


@pytest.fixture
def quick_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that tells the losses 1.5 and 1.25 at once."""
    told = says({"event": "run"}, *({"event": "train", "step": step, "loss": loss} for step, loss in ((1, 1.5), (2, 1.25))))
    command = [sys.executable, "-c", told]
    monkeypatch.setattr(module, "_in_the_app", lambda *_: ("the app", command, dict(os.environ)))


@pytest.mark.usefixtures("quick_app")
def test_a_difference_in_one_bit_and_a_missing_step_show(
    make_graph: MakeGraph, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = {"event": "train", "step": 1, "loss": 1.5 + 2**-52}
    monkeypatch.setattr(module, "script", lambda graph: says(event))
    assert prove(make_graph(), home.store) == [Row("train", 1, 1.5, event["loss"]), Row("train", 2, 1.25, None)]


@pytest.mark.parametrize(
    ("row", "equal"),
    [
        (Row("train", 1, 1.5, 1.5), True),
        (Row("train", 1, 1.5, 1.5 + 2**-52), False),
        (Row("train", 1, 1.5), False),
        (Row("train", 1), False),
    ],
    ids=["same", "one bit", "one side", "neither"],
)  # fmt: skip
def test_a_row_is_equal_where_both_have_told_the_same(row: Row, equal: bool) -> None:
    assert row.equal == equal


@pytest.mark.usefixtures("quick_app")
def test_a_script_that_fails_is_told_with_what_it_said(
    make_graph: MakeGraph, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        module, "script", lambda graph: "import sys\nprint('first', file=sys.stderr)\nsys.exit('no such thing')"
    )
    with pytest.raises(ProofError, match=r"^the script failed: no such thing$"):
        prove(make_graph(), home.store, steps=1)


def test_an_app_that_fails_is_told_with_what_it_said(make_graph: MakeGraph, home: Places) -> None:
    with pytest.raises(ProofError, match=r"^the app failed: data: path: .*gone\.txt does not exist"):
        prove(make_graph({"path": "gone.txt"}), home.store)


def test_a_graph_with_a_fault_is_not_tried(make_graph: MakeGraph, home: Places) -> None:
    with pytest.raises(PlanError, match="nhead=3"):
        prove(make_graph().with_param("block_1", "nhead", 3), home.store)


def test_what_takes_too_long_is_ended(make_graph: MakeGraph, home: Places) -> None:
    before = children()
    with pytest.raises(ProofError, match="the app did not come to an end"):
        prove(make_graph(), home.store, time_limit=0.0)
    assert children() == before


def test_who_stops_reading_ends_what_was_started(make_graph: MakeGraph, home: Places) -> None:
    before = children()
    rows = proving(make_graph(steps=100_000), home.store, steps=100_000)
    while not next(rows):
        pass
    (pid,) = set(children()) - set(before)
    rows.close()
    assert children() == before and not Path(f"/proc/{pid}").exists()
