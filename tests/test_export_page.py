"""The Export page: what can be exported, what it says of it, and the proof beside it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PROJECT, MakeGraph, MakeRun, with_uploaded_text
from streamlit.testing.v1 import AppTest
from test_pages import label, page, sound, words

from cortex import documents
from cortex.export import script, script_of_run
from cortex.graph import Graph
from cortex.places import Places
from cortex.prove import ProofError, Row
from cortex.runs import Run
from ui import export_page

SAME = [Row("train", 1, 3.25, 3.25), Row("train", 2, 2.5, 2.5), Row("validation", 2, 2.0, 2.0)]


@pytest.fixture
def uploaded(home: Places, make_graph: MakeGraph) -> Graph:
    """A tiny graph whose text lies among the uploads and is prepared."""
    return with_uploaded_text(make_graph(), home)


@pytest.fixture
def document(home: Places, uploaded: Graph) -> str:
    return documents.create(home.documents, uploaded)


def prove_with(monkeypatch: pytest.MonkeyPatch, *states: list[Row] | Exception) -> list[Graph | Run]:
    """Let the page's proof go through these states; what it was asked to prove comes out."""
    asked: list[Graph | Run] = []

    def proving(subject: Graph | Run, store: Path, *, steps: int) -> Iterator[list[Row]]:
        asked.append(subject)
        for state in states:
            if isinstance(state, Exception):
                raise state
            yield state

    monkeypatch.setattr(export_page, "proving", proving)
    return asked


def press(test: AppTest, name: str) -> AppTest:
    next(button for button in test.button if label(button) == name).click()
    return sound(test.run())


def test_without_graph_and_runs_it_says_what_to_do_next(home: Places) -> None:
    test = sound(page("export"))
    assert "Nothing to export yet" in words(test)
    assert [button.label for button in test.button] == ["Go to Build"]


def test_it_runs_through_the_app(document: str) -> None:
    app = AppTest.from_file(str(PROJECT / "streamlit_app.py"), default_timeout=30)
    app.query_params["doc"] = document
    sound(app.run())
    sound(app.switch_page("pages/export.py").run())
    assert app.title[0].value == "Export"


def test_the_graph_being_edited_is_shown_as_its_script(document: str, uploaded: Graph) -> None:
    test = sound(page("export", doc=document))
    shown, install, commands = (block.value for block in test.code)
    assert shown == script(uploaded).strip()
    assert install.startswith("pip install torch==") and "numpy==" in install and "safetensors" not in install
    assert commands.splitlines()[0] == "python tiny.py" and "--weights" not in commands
    assert "tiny.py" in words(test) and "--data FILE reads another text" in words(test)


def test_a_run_is_chosen_by_the_url_or_by_hand_and_shown_with_its_weights(document: str, trained: Run) -> None:
    test = sound(page("export", run=trained.id))
    ast.parse(test.code[0].value)
    assert test.code[0].value == script_of_run(trained).strip()
    assert "safetensors==" in test.code[1].value and "python model.py --weights" in test.code[2].value
    assert "".join(test.query_params["run"]) == trained.id


def test_choosing_another_thing_changes_the_url(document: str, uploaded: Graph, make_run: MakeRun) -> None:
    run = make_run(uploaded)
    test = sound(page("export", doc=document))
    assert "run" not in test.query_params
    test.selectbox(key="export.choice").set_value(run.id)
    sound(test.run())
    assert "".join(test.query_params["run"]) == run.id and 'WEIGHTS = "checkpoints/' in test.code[0].value
    test.selectbox(key="export.choice").set_value("")
    sound(test.run())
    assert "run" not in test.query_params and "WEIGHTS = None" in test.code[0].value


def test_a_run_that_is_gone_is_told(document: str) -> None:
    test = sound(page("export", doc=document, run="20200101-000000-gone"))
    assert "There is no run 20200101-000000-gone any more" in words(test) and "WEIGHTS = None" in test.code[0].value


def test_a_damaged_run_is_told(make_run: MakeRun) -> None:
    run = make_run()
    (run.path / "run.json").write_text("{")
    assert "run.json cannot be read" in words(sound(page("export", run=run.id)))


def test_a_graph_with_faults_has_them_told_and_no_script(document: str, home: Places) -> None:
    documents.update(home.documents, document, lambda graph: graph.with_param("block_1", "nhead", 3).with_training("lr", -1))
    test = sound(page("export", doc=document))
    assert "nhead=3 must divide d_model=8" in words(test) and "lr=-1" in words(test)
    assert not test.code and not test.button


def test_a_text_that_the_app_may_not_read_is_not_tried_but_exported(document: str, home: Places) -> None:
    documents.update(home.documents, document, lambda graph: graph.with_param("data", "path", "/etc/hostname"))
    test = sound(page("export", doc=document))
    assert "It cannot be tried here: data.path" in words(test) and "outside the folders" in words(test)
    assert test.code and not any(label(button) == "Prove it" for button in test.button)


def test_what_a_proof_takes_is_said_before_it_is_begun(document: str) -> None:
    said = words(sound(page("export", doc=document)))
    assert "Trains 20 steps of 32 tokens" in said and "once in the app and once as the script" in said


def test_a_proof_shows_both_columns_and_says_that_they_are_the_same(
    document: str, uploaded: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = prove_with(monkeypatch, [], [Row("train", 1, 3.25)], SAME)
    test = press(page("export", doc=document), "Prove it")
    assert asked == [uploaded]
    assert [message.value for message in test.success] == ["The same: all 3 losses are equal, bit for bit."]
    assert test.dataframe[0].value.values.tolist() == [
        ["1", "3.25", "3.25", "="], ["2", "2.5", "2.5", "="], ["2, validation", "2.0", "2.0", "="],
    ]  # fmt: skip
    assert test.run().success, "the result stays while the graph is the same"


def test_a_result_is_forgotten_when_the_graph_changes(document: str, home: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    prove_with(monkeypatch, SAME)
    test = press(page("export", doc=document), "Prove it")
    documents.update(home.documents, document, lambda graph: graph.with_training("seed", 5))
    assert not sound(test.run()).success


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([*SAME[:1], Row("train", 2, 2.5, 2.5 + 2**-51)], "Not the same: 1 of 2 losses differ; the first at step 2."),
        ([Row("train", 1, 3.25)], "Not the same: 1 of 1 losses differ; the first at step 1."),
        ([], "Not the same: 0 of 0 losses differ."),
    ],
    ids=["one bit", "one side", "nothing"],
)
def test_a_difference_is_told(document: str, rows: list[Row], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prove_with(monkeypatch, rows)
    test = press(page("export", doc=document), "Prove it")
    assert says in words(test) and not test.success


def test_a_proof_that_fails_says_why(document: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prove_with(monkeypatch, SAME[:1], ProofError("the script failed: no [room](x)"))
    test = press(page("export", doc=document), "Prove it")
    assert "the script failed: no [room](x)" in words(test) and not test.success


def test_a_run_is_proved_as_that_run(uploaded: Graph, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(uploaded)
    asked = prove_with(monkeypatch, SAME)
    test = press(page("export", run=run.id), "Prove it")
    assert asked == [run] and test.success


def test_hostile_names_are_shown_as_text(document: str, home: Places) -> None:
    name = '![x](http://example.org/x.png) <b>"""\n$1$ :material/code:'
    documents.update(home.documents, document, lambda graph: graph.rename(name))
    test = sound(page("export", doc=document))
    ast.parse(test.code[0].value)
    assert not any("![x](" in part.value for part in [*test.markdown, *test.caption, *test.warning])
