"""The card under the canvas: what training will take, whether it fits, and what a probe of this machine has told."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGraph, with_uploaded_text
from streamlit.testing.v1 import AppTest
from test_pages import label, page, sound, words

from cortex import documents, units
from cortex.builder import plan
from cortex.forecast import forecast
from cortex.graph import Graph
from cortex.places import Places, json_line
from cortex.processes import process_started
from cortex.room import Room
from cortex.run_length import counts
from cortex.store import Prepared
from ui import forecast_card, start

PROBE = {
    "event": "probe", "tokens_per_second": 1234.0, "steps": 5, "seconds_per_step": 0.5, "peak_memory": 400 * 2**20,
    "minutes_per_run": 2.0, "minutes_per_epoch": 0.5,
}  # fmt: skip


@pytest.fixture
def graph(home: Places, make_graph: MakeGraph) -> Graph:
    """A tiny graph whose text lies among the uploads and is prepared."""
    return with_uploaded_text(make_graph(), home)


def card(home: Places, graph: Graph) -> AppTest:
    """The Build page once what is counted beside it is there."""
    test = page("build", doc=documents.create(home.documents, graph))
    forecast_card._counter().submit(lambda: None).result(60)  # one after the other: what was asked before is done
    return sound(test.run())


def press(test: AppTest, name: str) -> AppTest:
    next(button for button in test.button if label(button) == name).click()
    return sound(test.run())


def metrics(test: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in test.metric}


def test_the_card_tells_what_training_takes_and_that_it_fits(home: Places, graph: Graph) -> None:
    test = card(home, graph)
    assert {"FLOPs a token", "Memory at its peak", "Tokens a parameter", "Checkpoints"} <= metrics(test).keys()
    assert "It fits" in "\n".join(part.value for part in test.success)
    assert "Heavy: " in words(test)


def test_the_cost_beside_train_names_the_steps_and_tokens_of_the_forecast(
    home: Places, make_graph: MakeGraph, prepared: Prepared
) -> None:
    graph = make_graph({"batch_size": 4096}, steps=0, epochs=3)  # more rows than the text has
    length = forecast(plan(graph, *prepared.sizes), *counts(prepared)).length
    assert length.steps == 3
    said = f"3 steps, {units.count(length.tokens)} tokens, reads the text 3.0 times"
    assert said in start.cost(graph, prepared, None, home)


def test_what_does_not_fit_is_red_with_what_to_shrink(home: Places, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast_card, "room", lambda folder: Room(300 * 2**20, None))
    test = card(home, graph)
    assert "It does not fit" in words(test)
    assert "Try " in words(test)


def test_a_graph_with_a_fault_has_no_card(home: Places, graph: Graph) -> None:
    test = sound(page("build", doc=documents.create(home.documents, graph.remove("head"))))
    assert "FLOPs a token" not in metrics(test)


def test_the_probe_is_the_command_line_and_what_it_told_stays(
    home: Places, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    class Ended:
        pid = 2**22 + 1

    def spawn(arguments: list[str], log: Path, output: Path) -> Any:
        asked.append(arguments)
        output.write_text(json_line(PROBE) + "\n")
        return Ended()

    monkeypatch.setattr(forecast_card.jobs, "spawn_cortex", spawn)
    test = press(card(home, graph), "Measure on this machine")
    assert [arguments[0] for arguments in asked] == ["probe"]
    assert "1,234 tokens/s" in words(test)
    assert "2 min 0 s" in words(test)
    assert "1,234 tokens/s" in words(card(home, graph.rename("renamed")))
    assert "1,234 tokens/s" not in words(card(home, graph.with_param("data", "seq_len", 4)))


def test_a_probe_can_be_cancelled(home: Places, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[tuple[int, int]] = []
    monkeypatch.setattr(forecast_card.os, "kill", lambda pid, number: ended.append((pid, number)))

    class Going:
        pid = os.getpid()

    monkeypatch.setattr(forecast_card.jobs, "spawn_cortex", lambda *_, **__: Going())
    test = press(card(home, graph), "Measure on this machine")
    other = card(home, graph)
    assert any(label(button) == "Cancel" for button in other.button), "another tab, or the page loaded again"
    test = press(test, "Cancel")
    assert ended == [(os.getpid(), signal.SIGTERM)]
    for tab in (test, sound(other.run())):
        assert any(label(button) == "Measure on this machine" for button in tab.button)


def test_a_fragment_that_watches_a_cancelled_probe_draws_the_page_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a browser Cancel runs the fragment alone, which AppTest never does."""
    path, job = tmp_path / "probe.jsonl", {"pid": os.getpid(), "started": process_started(os.getpid()) or 0}
    path.with_suffix(".job").write_text(json.dumps(job))
    monkeypatch.setattr(forecast_card.os, "kill", lambda pid, number: None)
    forecast_card._cancel(path)

    class Again(Exception):
        pass

    def rerun() -> None:
        raise Again

    monkeypatch.setattr(forecast_card.st, "rerun", rerun)
    with pytest.raises(Again):
        forecast_card._watch(path, job)


def test_a_probe_is_started_once_however_often_it_is_asked_for(
    home: Places, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    going = {"pid": os.getpid(), "started": process_started(os.getpid())}
    monkeypatch.setattr(forecast_card.jobs, "begin", lambda *asked, **_: started.append(asked) or going)
    one, two = card(home, graph), card(home, graph)
    press(one, "Measure on this machine")
    press(two, "Measure on this machine")
    assert len(started) == 1


def test_a_disk_that_is_full_is_said(home: Places, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(forecast_card, "write_atomically", full)
    assert "It could not be measured: No space left on device" in words(press(card(home, graph), "Measure on this machine"))
