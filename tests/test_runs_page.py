"""The Runs page: what its table shows, what the URL keeps, what its buttons do, whatever is in the folder of runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGraph
from streamlit.testing.v1 import AppTest

from cortex import documents, labels
from cortex.creating import create_run
from cortex.graph import Graph
from cortex.places import Places, to_json
from cortex.runs import Run, list_runs
from ui import runs_actions, runs_view

ROOT = Path(__file__).parents[1]
Made = Callable[..., Run]


@pytest.fixture
def made(home: Places, make_graph: MakeGraph) -> Made:
    """A function that gives a run with the losses of its validations, finished if nothing else is said."""

    def make(
        name: str,
        *losses: float,
        state: str = "finished",
        group: str | None = None,
        graph: Graph | None = None,
        **settings: Any,
    ) -> Run:
        run = create_run(home.runs, graph or make_graph(**settings), fingerprint="f", name=name, group=group)
        (run.path / "status.json").write_text(to_json({"state": state, "pid": 2**22 + 1, "pid_started": 1}))
        events = [
            {"event": "start", "steps": 20, "last_step": 20, "source": "CustomData", "tokenizer": "word", "vocabulary": 18}
        ]
        for step, loss in enumerate(losses, 1):
            event = {"step": step, "tokens": 8 * step, "elapsed": 2.0 * step}
            events += [event | {"event": "train", "loss": loss}, event | {"event": "validation", "loss": loss, "best": True}]
        (run.path / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
        return run

    return make


def page(**query: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "pages" / "runs.py"), default_timeout=30)
    for key, value in query.items():
        test.query_params[key] = value
    return sound(test.run())


def sound(test: AppTest) -> AppTest:
    assert not test.exception, test.exception[0].message
    return test


def names(test: AppTest) -> list[str]:
    return list(test.dataframe[0].value["name"])


def said(test: AppTest) -> str:
    return "\n".join(
        part.value.replace("\\", "") for part in [*test.caption, *test.info, *test.error, *test.warning, *test.markdown]
    )


def button(test: AppTest, key: str) -> Any:
    return test.button(key=f"runs.{key}")


def test_the_table_shows_the_best_value_with_its_step_and_not_the_last(made: Made) -> None:
    made("one", 3.0, 2.0, 2.5)
    table = page().dataframe[0].value
    assert (table["loss"][0], table["at step"][0], table["perplexity"][0]) == (2.0, 2, pytest.approx(7.389056))


def test_settings_that_differ_are_columns_and_those_that_do_not_are_hidden(made: Made) -> None:
    made("one", 3.0, lr=0.1)
    made("two", 2.0, lr=0.2)
    test = page()
    table = test.dataframe[0].value
    assert list(table["lr"]) == [0.2, 0.1] and "optimizer" not in table and "device" not in table and "data" not in table
    assert "alike in all shown: data CustomData, tokenizer word" in said(test)
    chosen = page(cols="training.optimizer").dataframe[0].value
    assert list(chosen) == ["optimizer"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["three", "two", "one"]),
        ({"q": "lr<0.25"}, ["two", "one"]),
        ({"q": "two or three"}, ["three", "two"]),
        ({"q": "best_loss<=2", "state": "finished"}, ["two"]),
        ({"state": "failed"}, ["three"]),
        ({"sort": "perplexity"}, ["two", "three", "one"]),
        ({"sort": "perplexity", "reverse": "true"}, ["one", "three", "two"]),
        ({"sort": "training.lr"}, ["one", "two", "three"]),
        ({"tag": "mine"}, ["one"]),
    ],
)
def test_filter_and_order_are_those_of_the_url(made: Made, query: dict[str, str], expected: list[str]) -> None:
    labels.update(made("one", 3.0, lr=0.1), tags=["mine"])
    made("two", 1.0, lr=0.2)
    made("three", 2.5, lr=0.3, state="failed")
    assert names(page(**query)) == expected


def test_a_filter_that_says_nothing_is_told_and_not_applied(made: Made) -> None:
    made("one", 3.0)
    test = page(q="lrr<1")
    assert "lrr: there is no such setting or measure; nearest: lr" in said(test) and names(test) == ["one"]
    test = page(q="nothing-like-it")
    assert "No run meets the filter" in said(test)


def test_ticked_runs_are_those_of_the_url_by_name_and_not_by_place(made: Made) -> None:
    runs = [made(name, loss) for name, loss in (("one", 3.0), ("two", 1.0), ("three", 2.0))]
    test = page(runs=runs[0].id)
    assert "**1 ticked**" in said(test)
    assert test.session_state["runs.table.runs"]["selection"]["rows"] == [2]
    test.selectbox(key="sort").set_value("perplexity")
    assert sound(test.run()).session_state["runs.table.runs"]["selection"]["rows"] == [2] and names(test)[2] == "one"
    test.checkbox(key="reverse").set_value(True)
    assert sound(test.run()).session_state["runs.table.runs"]["selection"]["rows"] == [0] and names(test)[0] == "one"
    test.text_input(key="q").set_value("two")
    sound(test.run())
    assert "1 ticked run is not among those shown" in said(test) and test.query_params["runs"] == runs[0].id


def test_ticks_outlive_a_visit_to_another_page_which_takes_them_from_the_url(made: Made) -> None:
    run = made("one", 3.0)
    test = page(runs=run.id)
    del test.query_params["runs"]
    assert "**1 ticked**" in said(sound(test.run())) and test.query_params["runs"] == run.id


def test_a_file_where_the_folder_of_runs_belongs_is_told(home: Places) -> None:
    home.runs.parent.mkdir(parents=True, exist_ok=True)
    home.runs.write_text("x")
    assert "cannot be read: expected a folder" in said(page())


def test_a_url_that_names_runs_which_are_gone_ticks_none(made: Made) -> None:
    made("one", 3.0)
    assert "None ticked" in said(page(runs="20200101-000000-gone,../../etc"))


def test_seeds_of_one_configuration_are_a_row_with_mean_and_spread(made: Made) -> None:
    for seed, loss in ((1, 2.0), (2, 3.0)):
        made(f"a, seed {seed}", loss, seed=seed, lr=0.1)
    made("b", 4.0, lr=0.5)
    table = page(by="seeds of one configuration", sort="loss").dataframe[0].value
    assert list(table["configuration"]) == ["a", "b"] and list(table["n"]) == [2, 1]
    assert table["mean loss"][0] == 2.5
    # t(0.975, 1) * deviation / sqrt(n), Student's table: 12.706 * 0.7071 / 1.4142
    assert table["± loss"][0] == pytest.approx(6.353, abs=1e-3) and str(table["± loss"][1]) == "nan"
    assert list(table["lr"]) == ["0.1", "0.5"]
    assert list(page(by="training.lr").dataframe[0].value["lr"]) == ["0.5", "0.1"]


def test_archived_runs_are_hidden_until_they_are_asked_for(made: Made) -> None:
    made("seen", 3.0)
    labels.update(made("away", 2.0), archived=True)
    assert names(page()) == ["seen"] and "1 archived" in said(page())
    assert names(page(archived="true")) == ["away", "seen"]


def test_a_star_and_the_archive_are_buttons_over_all_ticked_runs(made: Made) -> None:
    runs = [made("one", 3.0), made("two", 2.0)]
    test = page(runs=",".join(run.id for run in runs))
    button(test, "star").click()
    sound(test.run())
    assert all(labels.read(run).starred for run in runs)
    button(test, "star").click()
    button(sound(test.run()), "archive").click()
    sound(test.run())
    assert all(labels.read(run) == labels.Labels(archived=True) for run in runs)


def test_a_run_gets_a_new_name_note_and_tags(made: Made) -> None:
    run = made("one", 3.0)
    test = page(runs=run.id)
    next(box for box in test.text_input if box.label == "Name").set_value("<b>new</b> $x$")
    test.text_area[0].set_value("a note")
    next(one for one in test.button if one.label == "Save").click()
    assert names(sound(test.run())) == ["<b>new</b> $x$"]
    assert labels.read(run).note == "a note"


def test_stop_asks_those_that_are_going_on_and_the_others_cannot_be_stopped(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, done = made("one", 3.0, state="running"), made("two", 2.0)
    monkeypatch.setattr("cortex.runs.worker_alive", lambda status: status.get("state") == "running")
    test = page(runs=f"{run.id},{done.id}")
    assert button(test, "stop").label == "Stop 1" and button(test, "delete").label == "Delete 1"
    button(test, "stop").click()
    sound(test.run())
    assert run.requested("stop") and not done.requested("stop")
    assert button(test, "stop").disabled


def test_deleting_asks_once_says_what_it_frees_and_keeps_what_is_not_ticked(made: Made, home: Places) -> None:
    run, other = made("one", 3.0), made("two", 2.0)
    run.checkpoint("best").write_bytes(bytes(3 * 2**20))
    test = page(runs=run.id)
    button(test, "delete").click()
    sound(test.run())
    assert "This frees **3.0 MiB**" in said(test) and len(list_runs(home.runs)) == 2
    button(test, "delete.keep").click()
    assert len(list_runs(home.runs)) == 2 and "This frees" not in said(sound(test.run()))
    button(test, "delete").click()
    button(sound(test.run()), "delete.go").click()
    assert names(sound(test.run())) == ["two"] and list_runs(home.runs) == [other]
    assert "runs" not in test.query_params


def test_the_graph_of_a_run_opens_as_a_new_document(
    made: Made, home: Places, make_graph: MakeGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, went = made("one", 3.0), []
    monkeypatch.setattr("streamlit.switch_page", lambda page, query_params: went.append((page, query_params)))
    test = page(runs=run.id)
    button(test, "restore").click()
    sound(test.run())
    ((to, query),) = went
    assert to == "pages/build.py" and documents.load(home.documents, query["doc"]).nodes == run.graph().nodes


def test_what_fails_for_one_run_is_said_and_the_others_are_done(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [made("one", 3.0), made("two", 2.0)]
    keep = labels.update

    def fails(run: Run, **changes: Any) -> labels.Labels:
        if run.id == runs[0].id:
            raise PermissionError(13, "Permission denied", "labels.json")
        return keep(run, **changes)

    monkeypatch.setattr(runs_actions.labels, "update", fails)
    test = page(runs=",".join(run.id for run in runs))
    button(test, "star").click()
    assert "one: Permission denied: labels.json" in said(sound(test.run()))
    assert labels.read(runs[1]).starred


def test_folders_damaged_in_every_way_break_nothing_and_the_sound_run_is_untouched(made: Made) -> None:
    sound_run, bad = made("sound", 3.0), {}
    contents = {
        "missing": None,
        "empty": b"",
        "binary": b"\0\xff\xfe\n" * 50,
        "folder": None,
        "foreign": b'{"a": [1, NaN, "x"]}\n',
    }
    for damage in ("run.json", "metrics.jsonl", "status.json", "labels.json", "checkpoints", "requests"):
        for kind, content in contents.items():
            run = bad[damage, kind] = made(f"{damage} {kind}", 2.0)
            path = run.path / damage
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)
            if kind == "folder":
                path.mkdir()
            elif content is not None:
                path.write_bytes(content)
    some = ",".join([sound_run.id, *(run.id for run in bad.values())][::4])
    for query in (
        {"runs": some},
        {"runs": some, "part": "Comparer"},
        {"runs": some, "part": "Take away"},
        {"part": "Many runs", "by": "seeds of one configuration"},
    ):
        page(**query)
    rows = {row["run"]: row for row in runs_view.all_rows()}
    assert (rows[sound_run.id]["best_loss"], rows[sound_run.id]["problem"]) == (3.0, None)
    table = page(q="damaged").dataframe[0].value
    assert sorted(table["name"]) == sorted(run.id for (damage, _), run in bad.items() if damage == "run.json")
    assert all("run.json" in fault for fault in table["fault"])


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "$x^2$", "🙂", "\ud800", "x" * 200, "| a | b |", "[a](http://x)"], ids=ascii
)
def test_a_name_of_any_letters_is_shown_as_it_is(made: Made, name: str) -> None:
    run = made("x", 3.0)
    (run.path / "run.json").write_text(json.dumps(json.loads((run.path / "run.json").read_text()) | {"name": name}))
    test = page(runs=run.id)
    assert names(test)[0].encode() and len(names(test)[0]) == len(name)
    button(test, "delete").click()
    assert "<script>" not in "".join(part.value for part in sound(test.run()).markdown)
