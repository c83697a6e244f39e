"""Every page: alone, through the app, with no run, with a broken graph, with a run in each state."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGraph, MakeRun, with_uploaded_text
from streamlit.testing.v1 import AppTest

from cortex import documents
from cortex.places import Places, to_json
from cortex.presets import preset
from cortex.processes import process_started
from cortex.runs import Run

ROOT = Path(__file__).parents[1]
PAGES = ("build", "train", "runs", "generate")


def page(name: str, **query: str) -> AppTest:
    """A page run alone."""
    test = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=30)
    for key, value in query.items():
        test.query_params[key] = value
    return test.run()


def sound(test: AppTest) -> AppTest:
    assert not test.exception, test.exception[0].message
    return test


def words(test: AppTest) -> str:
    """All that a page says."""
    parts = [*test.markdown, *test.caption, *test.info, *test.warning, *test.error, *test.title, *test.subheader, *test.toast]
    shown = "\n".join([*(part.value for part in parts), *(metric.value for metric in test.metric)])
    return re.sub(r"\\(\W|_)", r"\1", shown)  # text of others is escaped, see ui/plain.py


def label(button: Any) -> str:
    return button.label.replace("\\", "")


@pytest.fixture
def open_document(home: Places, make_graph: MakeGraph) -> str:
    """A tiny graph as the document being edited, its text among the uploads and prepared."""
    return documents.create(home.documents, with_uploaded_text(make_graph(), home))


def test_a_page_says_that_it_is_being_loaded_while_its_imports_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.page._loaded", set())
    program = "import streamlit as st\nfrom ui import page\nwith page.loading('Build'):\n    {}\nst.text('drawn')"
    test = sound(AppTest.from_string(program.format("st.stop()")).run())
    assert "Loading Build" in words(test)
    test = sound(AppTest.from_string(program.format("pass")).run())
    assert "Loading" not in words(test) and test.text[0].value == "drawn"


@pytest.mark.parametrize("name", PAGES[1:])
def test_a_page_without_any_run_says_what_to_do_next(name: str, home: Places) -> None:
    test = sound(page(name))
    assert "Build page" in words(test) or "No trained weights yet" in words(test)
    assert any(button.label == "Go to Build" for button in test.button)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_through_the_app(name: str, shakespeare: Places) -> None:
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=30).run()
    sound(app)
    sound(app.switch_page(f"pages/{name}.py").run())


def test_the_first_page_offers_three_presets_with_their_parameters_on_the_text(shakespeare: Places) -> None:
    test = sound(page("build"))
    assert [part.value for part in test.subheader] == ["small", "medium", "large"]
    assert [metric.value for metric in test.metric] == ["5.15 M", "13.8 M", "56.0 M"]
    assert "18,880 steps" in words(test)


def test_picking_a_preset_opens_it_as_a_document_that_the_url_names(shakespeare: Places) -> None:
    test = page("build")
    next(button for button in test.button if button.label == "Open medium").click()
    sound(test.run())
    name = "".join(test.query_params["doc"])
    assert documents.load(shakespeare.documents, name) == preset("medium")
    flow = json.loads(test.get("component_instance")[0].proto.json_args)
    assert [node["id"] for node in flow["nodes"]] == [node.id for node in preset("medium").nodes]
    assert "B×T×256" in flow["nodes"][3]["data"]["content"]


def test_an_event_that_the_browser_sent_before_it_heard_of_new_does_not_open_the_graph_again(shakespeare: Places) -> None:
    test = sound(page("build", doc=documents.create(shakespeare.documents, preset("small"))))
    name = "".join(test.query_params["doc"])
    next(button for button in test.button if button.label == "New").click()
    sound(test.run())
    test.query_params["doc"] = name  # what such an event brings along
    sound(test.run())
    assert "doc" not in test.query_params and any(button.label == "Open small" for button in test.button)


def test_the_build_page_shows_a_graph_and_its_sizes(open_document: str) -> None:
    test = sound(page("build", doc=open_document))
    train = next(button for button in test.button if label(button) == "Train tiny")
    assert not train.disabled
    assert "20 steps" in words(test)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda graph: graph.with_param("block_1", "nhead", 3), "block_1.nhead: nhead=3 must divide d_model=8; try 2 or 4"),
        (lambda graph: graph.with_training("lr", -1), "training.lr: lr=-1 is not a number"),
        (lambda graph: graph.remove("loss"), "there is no Loss"),
        (lambda graph: graph.with_param("data", "path", "/etc/hostname"), "outside the folders that this app may read"),
        (lambda graph: graph.with_param("data", "seq_len", 60_000), "max_len=64 is shorter than seq_len=60000"),
        (lambda graph: graph.with_param("norm", "strange", 1), "strange is not a setting here"),
    ],
)
def test_a_broken_graph_is_told_and_training_not_offered(change, expected: str, open_document: str, home: Places) -> None:
    documents.update(home.documents, open_document, change)
    test = sound(page("build", doc=open_document))
    assert expected in words(test)
    assert next(button for button in test.button if label(button) == "Train tiny").disabled
    assert not any(label(button).startswith("Train tiny") for button in sound(page("train", doc=open_document)).button)


def test_a_setting_changed_in_the_form_is_on_disk_at_once(open_document: str, home: Places) -> None:
    test = page("build", doc=open_document)
    test.number_input(key="training.lr").set_value(0.02)
    test.number_input(key="model.dim_feedforward").set_value(24)
    sound(test.run())
    graph = documents.load(home.documents, open_document)
    assert graph.training["lr"] == 0.02
    assert graph.node("block_1").params["dim_feedforward"] == 24


def test_a_form_shows_what_another_session_changed(open_document: str, home: Places) -> None:
    test = page("build", doc=open_document)
    documents.update(home.documents, open_document, lambda graph: graph.with_training("lr", 0.25))
    sound(test.run())
    assert [box.value for box in test.number_input if box.label == "lr"] == [0.25]


def test_what_cannot_be_read_is_said_and_not_kept(open_document: str, home: Places) -> None:
    test = page("build", doc=open_document)
    test.session_state["selected"] = "block_1"
    test.run()
    test.text_input(key="node.block_1.d_model").set_value("wide")
    assert "'wide' is not a whole number" in words(sound(test.run()))
    assert "d_model" not in documents.load(home.documents, open_document).node("block_1").params
    test.text_input(key="node.block_1.d_model").set_value("8")
    sound(test.run())
    assert documents.load(home.documents, open_document).node("block_1").params["d_model"] == 8


@pytest.mark.parametrize("name", ["../../etc/passwd", "zzzz", "0123456789ab", ""])
def test_a_url_that_names_no_document_shows_the_presets(name: str, shakespeare: Places) -> None:
    assert "Pick a size" in words(sound(page("build", doc=name)))


def test_a_damaged_document_is_told_and_kept(open_document: str, shakespeare: Places) -> None:
    path = documents.path_of(shakespeare.documents, open_document)
    path.write_text('{"format": ')
    test = sound(page("build", doc=open_document))
    assert f"document {open_document}: not JSON" in words(test)
    assert path.read_text() == '{"format": '


def put_in_state(run: Run, state: str) -> None:
    """Make a run directory look as that state leaves it."""
    pid, started = os.getpid(), process_started(os.getpid())
    status = {"state": state, "pid": pid, "pid_started": started, "heartbeat": time.time(), "step": 3, "error": None}
    if state == "interrupted":
        status |= {"state": "running", "pid_started": 1}
    if state == "failed":
        status |= {"error": "loss is nan at step 3; try a lower lr"}
    if state == "starting":
        status |= {"pid": None}
    (run.path / "status.json").write_text(to_json(status))
    events = [
        {
            "event": "start",
            "steps": 20,
            "last_step": 20,
            "steps_per_epoch": 5,
            "parameters": 1234,
            "vocabulary": 18,
            "source": "CustomData",
        },
        {"event": "train", "step": 3, "tokens": 96, "loss": 2.0, "lr": 0.01, "grad_norm": 1.0, "tokens_per_second": 50.0}
        | {"elapsed": 2.0, "epoch": 0.6},
        {"event": "validation", "step": 3, "tokens": 96, "loss": 1.5, "best": True, "elapsed": 2.5},
    ]
    if state not in ("starting", "preparing"):
        (run.path / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    if state == "damaged":
        (run.path / "run.json").write_text("{")


STATES = ("starting", "preparing", "running", "finished", "stopped", "failed", "interrupted", "damaged")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", ["train", "runs", "generate"])
def test_a_page_shows_a_run_in_any_state(name: str, state: str, make_run: MakeRun) -> None:
    run = make_run()
    put_in_state(run, state)
    test = sound(page(name, run=run.id, runs=run.id))
    if name == "train":
        assert test.metric[0].value == state
        if state not in ("starting", "preparing", "damaged"):
            assert test.metric[1].value == "4.5"  # exp(1.5)
        assert any(button.label == "Stop" for button in test.button) == (state in ("starting", "preparing", "running"))
    if state == "failed" and name == "train":
        assert "loss is nan at step 3" in words(test)


def test_stop_on_the_page_asks_the_worker(make_run: MakeRun) -> None:
    run = make_run()
    put_in_state(run, "running")
    test = page("train", run=run.id)
    test.button(key="train.stop").click()
    sound(test.run())
    assert run.requested("stop")


def test_the_generate_page_marks_unknown_words_and_writes(trained: Run) -> None:
    test = sound(page("generate"))
    test.text_area(key="generate.prompt").set_value("the zebra sees")
    sound(test.run())
    assert "1 marked is not in the vocabulary" in words(test)
    next(button for button in test.button if button.label == "Write on").click()
    sound(test.run())
    assert test.code[0].value.startswith("the zebra sees")
    assert "tokens/s" in words(test)


def test_runs_of_different_tokens_are_called_incomparable(make_run: MakeRun, make_graph: MakeGraph) -> None:
    runs = [make_run(make_graph()), make_run(make_graph({"tokenizer": "character"}))]
    for run, vocabulary in zip(runs, (18, 25), strict=True):
        put_in_state(run, "finished")
        lines = (run.path / "metrics.jsonl").read_text().replace('"vocabulary": 18', f'"vocabulary": {vocabulary}')
        (run.path / "metrics.jsonl").write_text(lines)
    ticked = ",".join(run.id for run in runs)
    assert "not comparable" in words(sound(page("runs", runs=ticked)))
    compared = sound(page("runs", runs=ticked, part="Comparer"))
    assert any("data.tokenizer" in part.proto.body for part in compared.get("html"))


def held(test: AppTest) -> dict[str, tuple[Any, Any]]:
    """Of each field its value, and what a browser shows that has not heard of it before: its default."""
    found: dict[str, tuple[Any, Any]] = {}
    for part in (*test.checkbox, *test.toggle):
        found[part.key] = part.value, part.proto.default
    for part in (*test.text_input, *test.text_area, *test.number_input):
        found[part.key] = part.value, part.proto.default if part.proto.HasField("default") else None
    for part in test.selectbox:
        shown = part.options[part.proto.default] if part.proto.HasField("default") and part.options else None
        found[part.key] = part.options[part.index] if part.index is not None and part.options else None, shown
    return found


@pytest.mark.parametrize("name", ["build", "data"])
def test_a_form_is_whole_for_a_browser_that_lost_the_connection_while_it_was_drawn(
    name: str, open_document: str, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.start.measure_data", lambda *_: None)
    changed = {"optimizer": "SGD", "lr": 0.5}
    documents.update(home.documents, open_document, lambda graph: replace(graph, training={**graph.training, **changed}))
    test = page(name, doc=open_document)
    test.session_state["selected"] = "embedding"
    sound(sound(test.run()).run())  # what the first of the two sent may never have arrived
    fields = held(test)
    assert len(fields) > 1
    assert {key: both for key, both in fields.items() if both[0] != both[1]} == {}


def test_every_graph_that_was_edited_can_be_gone_on_with(shakespeare: Places, make_graph: MakeGraph) -> None:
    for number in range(15):
        documents.create(shakespeare.documents, make_graph().rename(f"draft-{number}"))
    listed = page("build").selectbox(key="build.recent").options
    assert len(listed) == 15
    assert re.fullmatch(r"draft-\d+ \([0-9a-f]{4}\) · \d\d \w+ \d\d:\d\d", listed[0])
