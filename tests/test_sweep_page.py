"""The Sweeps page and the form of a new sweep: in every state, with damage, with what is typed wrong."""

# ruff: noqa: F811  fixtures of another file

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import MakeGraph
from streamlit.testing.v1 import AppTest
from test_pages import label, open_document, page, sound, words  # noqa: F401  a fixture among them

from cortex import documents, launch
from cortex.data import prepare
from cortex.graph import Graph
from cortex.params import Bool, Choice, Float, Int
from cortex.places import Places
from cortex.processes import process_started
from cortex.runs import Run, list_runs
from cortex.space import parse_axis
from cortex.sweep import Sweep, list_sweeps
from cortex.sweep_check import Checker
from cortex.sweep_deleting import archive, archived
from cortex.sweep_driver import Driver
from cortex.sweep_making import Settings, make_sweep
from cortex.trials import trials
from cortex.worker import work
from ui.sweep_values import proposed, settable


def made(graph: Graph, home: Places, *texts: str, **settings: object) -> Sweep:
    prepared = prepare(graph.node("data"), home.store)
    axes = [parse_axis(graph, text) for text in texts or ("training.lr=0.001,0.01", "model.dim_feedforward=8,16")]
    checker = Checker(graph, [axis.key for axis in axes], lambda node: prepared)
    facts = {"name": "<b>mine</b> $x$", "method": "grid", "count": 0, "seed": 1, "budget": {}, "early_stop": None}
    return make_sweep(home.runs, checker, axes, Settings(**{**facts, **settings}))


@pytest.fixture
def over(make_graph: MakeGraph, home: Places) -> Sweep:
    """A sweep of four trials, all of them over; the last has failed."""

    def begin(run: Run) -> None:
        work(run, home.store)
        if run.record()["sweep"]["trial"] == 4:
            status = run.status() | {"state": "failed", "error": "out of <b>memory</b>"}
            (run.path / "status.json").write_text(json.dumps(status))

    sweep = made(make_graph(steps=2, eval_every=1, sample_tokens=0), home)
    assert Driver(sweep, home.store, begin=begin, look_seconds=0.01).run() == "finished"
    return sweep


def metrics(test: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in test.metric}


def test_the_page_without_a_sweep_says_what_to_do_next(home: Places) -> None:
    test = sound(page("sweeps"))
    assert "No sweep yet" in words(test) and [button.label for button in test.button] == ["Go to Train"]


def test_the_page_shows_what_came_of_a_sweep(over: Sweep) -> None:
    test = sound(page("sweeps", sweep=over.id))
    found = trials(over)
    best = min(trial.loss for trial in found)
    assert metrics(test)["State"] == "finished" and metrics(test)["Trials over"] == "4 of 4"
    assert metrics(test)["Best validation loss"] == f"{best:.3f}"
    table = test.dataframe[0].value
    assert list(table["training.lr"]) == [0.001, 0.001, 0.01, 0.01] and list(table["model.dim_feedforward"]) == [8, 16, 8, 16]
    assert list(table["loss"]) == [trial.loss for trial in found]
    assert [state for state in table["state"] if state.endswith(", best")] and table["why"][3] == "out of <b>memory</b>"
    assert not any(button.label in ("Stop", "Resume") for button in test.button)
    test.selectbox(key="sweep.against").set_value("all settings")
    test.segmented_control(key="sweep.across").set_value("minutes")
    sound(test.run())


@pytest.mark.parametrize("state", ["starting", "running", "stopping", "stopped", "failed", "interrupted", "damaged"])
def test_the_page_shows_a_sweep_in_any_state(state: str, make_graph: MakeGraph, home: Places) -> None:
    sweep = made(make_graph(), home)
    alive = state in ("running", "stopping")
    pid = {"pid": os.getpid(), "pid_started": process_started(os.getpid())} if alive else {"pid": None}
    told = "running" if alive or state == "interrupted" else state
    (sweep.path / "status.json").write_text(json.dumps({"state": told, "error": "no room $x$", **pid}))
    if state == "starting":
        sweep.request("resume")
    if state == "stopping":
        sweep.request("stop")
    if state == "damaged":
        (sweep.path / "sweep.json").write_text("{")
    test = sound(page("sweeps"))
    if state == "damaged":
        assert "sweep.json cannot be read" in words(test)
        return
    assert metrics(test)["State"] == state
    buttons = {button.label for button in test.button}
    assert ("Resume" in buttons) == (state in ("stopped", "failed", "interrupted"))
    stop = {"stopping": {"Stopping …"}, "running": {"Stop"}, "starting": {"Stop"}}.get(state, set())
    assert buttons & {"Stop", "Stopping …"} == stop
    if state == "failed":
        assert "no room $x$" in words(test)


def test_stop_and_resume_ask_for_it_as_a_whole(make_graph: MakeGraph, home: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, started = made(make_graph(), home), []
    monkeypatch.setattr(launch, "spawn_sweep", started.append)
    test = page("sweeps")
    test.button(key="sweep.resume").click()
    sound(test.run())
    assert started == [sweep]
    status = {"state": "running", "pid": os.getpid(), "pid_started": process_started(os.getpid())}
    (sweep.path / "status.json").write_text(json.dumps(status))
    test = sound(test.run())
    test.button(key="sweep.stop").click()
    sound(test.run())
    assert sweep.requested("stop")


def test_a_trial_whose_run_is_gone_and_one_that_is_damaged_are_rows(over: Sweep) -> None:
    found = trials(over)
    shutil.rmtree(found[0].run.path)
    (found[1].run.path / "run.json").write_text("\x00")
    (found[2].run.path / "status.json").write_text("[]")
    (found[2].run.path / "metrics.jsonl").write_bytes(b"\xff\xfe\n{}\n")
    table = sound(page("sweeps")).dataframe[0].value
    assert list(table["state"][:2]) == ["deleted", "deleted"] and list(table["loss"][:2].isna()) == [True, True]


def test_a_url_that_names_no_sweep_shows_the_newest(over: Sweep) -> None:
    for name in ("../../etc", "gone", "<b>"):
        test = sound(page("sweeps", sweep=name))
        assert "any more; the newest is shown" in words(test) and metrics(test)["State"] == "finished"


# A new sweep


def test_deleting_asks_says_what_stays_and_does_just_that(over: Sweep, home: Places) -> None:
    test = sound(page("sweeps"))
    test.button(key="sweep.delete").click()
    sound(test.run())
    assert "Its 4 runs stay on the Runs page" in words(test)
    test.button(key="sweep.delete.keep").click()
    sound(test.run())
    assert list_sweeps(home.runs) == [over] and "Keep" not in {button.label for button in test.button}
    test.button(key="sweep.delete").click()
    sound(test.run())
    test.button(key="sweep.delete.go").click()
    sound(test.run())
    assert list_sweeps(home.runs) == [] and len(list_runs(home.runs)) == 4 and "No sweep yet" in words(test)


def test_deleting_takes_the_runs_along_when_that_is_ticked(over: Sweep, make_graph: MakeGraph, home: Places) -> None:
    other = made(make_graph(), home, name="other")
    test = sound(page("sweeps", sweep=over.id))
    test.button(key="sweep.delete").click()
    sound(test.run())
    test.toggle(key="sweep.delete.runs").set_value(True)
    sound(test.run())
    assert "and its 4 runs with curves and checkpoints, are gone" in words(test)
    test.button(key="sweep.delete.go").click()
    sound(test.run())
    assert list_sweeps(home.runs) == [other] and list_runs(home.runs) == [] and metrics(test)["State"] == "interrupted"


def test_a_sweep_that_is_going_on_cannot_be_asked_to_be_deleted(make_graph: MakeGraph, home: Places) -> None:
    sweep = made(make_graph(), home)
    alive = {"state": "running", "pid": os.getpid(), "pid_started": process_started(os.getpid())}
    (sweep.path / "status.json").write_text(json.dumps(alive))
    assert sound(page("sweeps")).button(key="sweep.delete").disabled


def test_an_archived_sweep_is_offered_when_it_is_asked_for(over: Sweep, make_graph: MakeGraph, home: Places) -> None:
    other = made(make_graph(), home, name="other")
    test = sound(page("sweeps", sweep=over.id))
    test.button(key="sweep.archive").click()
    sound(test.run())
    assert archived(over) and len(test.selectbox[0].options) == 1 and "is archived" in words(test)
    test.toggle(key="sweeps.archived").set_value(True)
    sound(test.run())
    assert len(test.selectbox[0].options) == 2 and any("archived" in option for option in test.selectbox[0].options)
    assert len(sound(page("sweeps", sweep=over.id)).selectbox[0].options) == 2  # the address names it
    archive(other, True)
    assert len(sound(page("sweeps")).selectbox[0].options) == 2  # there is no other


def unfolded(name: str) -> AppTest:
    test = page("train", doc=name)
    test.session_state["train.open.sweep"] = True
    return sound(test.run())


def test_settings_are_offered_with_their_values_and_the_sweep_is_started_with_what_was_typed(
    open_document: str,
    home: Places,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[Sweep] = []
    monkeypatch.setattr(launch, "spawn_sweep", started.append)
    test = unfolded(open_document)
    keys = test.multiselect(key="sweep.keys")
    assert "training.lr (now 0.01)" in keys.options and "nodes.block_1.dropout (now 0.1)" in keys.options
    keys.set_value(["training.lr", "model.nhead"])
    sound(test.run())
    assert test.text_input(key="sweep.values.training.lr.False").value == "0.0033,0.01,0.03"
    test.text_input(key="sweep.values.model.nhead.False").set_value("2,3")
    sound(test.run())
    assert "3 trials, one after the other; 1,920 training tokens at most" in words(test)
    assert "nhead=3 must divide d_model=8" in words(test)
    assert any("--grid training.lr=0.0033,0.01,0.03 --grid model.nhead=2,3" in code.value for code in test.code)
    test.segmented_control(key="sweep.budget").set_value("steps")
    test.toggle(key="sweep.early").set_value(True)
    sound(test.run())
    test.number_input(key="sweep.steps").set_value(3)
    sound(test.run())
    assert any("--max-steps 3 --early-stop --name tiny" in code.value for code in test.code)
    test.button(key="sweep.start").click()
    test.run()
    (sweep,) = list_sweeps(home.runs)
    record = sweep.record()
    assert started == [sweep] and record["budget"] == {"steps": 3} and record["early_stop"]["grace"] == 2
    assert [values["training.lr"] for values in record["trials"]] == [0.0033, 0.01, 0.03] and len(record["skipped"]) == 3
    assert list_runs(home.runs) == []


@pytest.mark.parametrize(
    ("method", "typed", "expected"),
    [
        ("grid", "fast", "'fast' is not a number"),
        ("grid", "1e-4..1e-2", "or a range that says how many: 0.0001..0.01 x5"),
        ("grid", "1e-4..1e-2 x20 log", "20 trials, one after the other"),
        ("grid", "", "expected KEY=VALUE"),
        ("random", "log:1e-4..1e-2", "20 trials, one after the other"),
        ("random", "0.01,0.02", "no more than 2 different ones"),
        ("random", "9..1", "does not go from low to high"),
    ],
)
def test_what_is_typed_is_checked_at_once(method: str, typed: str, expected: str, open_document: str) -> None:
    test = unfolded(open_document)
    test.segmented_control(key="sweep.method").set_value(method)
    test.multiselect(key="sweep.keys").set_value(["training.lr"])
    sound(test.run())
    test.text_input(key=f"sweep.values.training.lr.{method != 'grid'}").set_value(typed)
    sound(test.run())
    assert expected in words(test)
    assert any(label(button).startswith("Start ") for button in test.button) == expected.startswith(("20", "no more"))


def test_what_a_sweep_takes_is_said_for_as_many_as_train_at_once(open_document: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEXNODUS_SLOTS", "2")
    test = unfolded(open_document)
    test.multiselect(key="sweep.keys").set_value(["training.lr"])
    test.segmented_control(key="sweep.budget").set_value("minutes")
    sound(test.run())
    assert "3 trials, 2 at a time; at most 10 min" in words(test)


def test_tpe_without_optuna_says_how_to_get_it(open_document: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex.tpe.util.find_spec", lambda name: None)
    test = unfolded(open_document)
    test.segmented_control(key="sweep.method").set_value("tpe")
    assert "The method tpe needs Optuna, which is not installed: pip install optuna" in words(sound(test.run()))


def test_a_text_that_is_not_tokenised_is_prepared_first(open_document: str, home: Places) -> None:
    test = unfolded(open_document)
    test.multiselect(key="sweep.keys").set_value(["nodes.data.tokenizer"])
    sound(test.run())
    test.text_input(key="sweep.values.nodes.data.tokenizer.False").set_value("word,character")
    sound(test.run())
    assert "compared by bits per byte" in words(test)
    assert any(button.label == "Tokenise 1 text first" for button in test.button)
    graph = documents.load(home.documents, open_document).with_param("data", "tokenizer", "character")
    prepare(graph.node("data"), home.store)
    sound(test.run())
    assert any(button.label.startswith("Start ") for button in test.button)


def test_every_setting_that_is_offered_has_proposed_values_that_can_be_read(make_graph: MakeGraph) -> None:
    graph = make_graph()
    for key, (param, value) in settable(graph).items():
        for method in ("grid", "random"):
            text = proposed(param, value, method)
            assert parse_axis(graph, f"{key}={text}"), (key, text)
    assert all(isinstance(param, (Int, Float, Bool, Choice)) for param, _ in settable(graph).values())


def test_a_file_outside_the_app_is_not_read_for_a_sweep(open_document: str, home: Places) -> None:
    documents.update(home.documents, open_document, lambda graph: graph.with_param("data", "path", "/etc/hostname"))
    test = unfolded(open_document)
    test.multiselect(key="sweep.keys").set_value(["training.lr"])
    assert "outside the folders that this app may read" in words(sound(test.run()))
    assert not Path(home.runs).exists() or list_sweeps(home.runs) == []
