"""The Data page: a text measured and shown, settings tried out and taken into the graph, uploads, prepared sets removed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGraph, MakeRun, disk_with_room_for, made_lines
from streamlit.testing.v1 import AppTest
from test_pages import ROOT, label, page, put_in_state, sound, words

from cortex import documents
from cortex.data import prepare
from cortex.graph import Node
from cortex.graph_source import source_node
from cortex.places import Places
from cortex.preview import spans_of_text
from cortex.references import known_references, references
from cortex.statistics import known_statistics, statistics
from cortex.store import Prepared
from cortex.tokenizer_training import train_tokenizer
from ui import jobs, session
from ui.data_parts import coloured
from ui.theme import DARK, LIGHT
from ui.uploads import keep_upload, shown_name


@pytest.fixture(autouse=True)
def processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """What the page starts: processes that do nothing, but for a test that asks for `at_work`."""
    started: list[subprocess.Popen[bytes]] = []
    spawn = jobs.spawn_cortex

    def recorded(arguments: list[str], log: Path, *others: Any) -> subprocess.Popen[bytes]:
        at_work = "at_work" in request.fixturenames
        started.append(spawn(arguments, log, *others) if at_work else subprocess.Popen(["sleep", "60"]))
        return started[-1]

    monkeypatch.setattr(jobs, "spawn_cortex", recorded)
    yield started
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def at_work() -> None:
    """The processes that the page starts do what they are asked."""


def opened(kind: str, **params: Any) -> AppTest:
    """The page with another text than the graph's."""
    test = AppTest.from_file(str(ROOT / "pages" / "data.py"), default_timeout=30)
    test.session_state[session.TEXT] = {"kind": kind, "params": params}
    return sound(test.run())


@pytest.fixture
def measured(home: Places, make_graph: MakeGraph) -> Prepared:
    """A tiny graph's text among the uploads, prepared and measured."""
    found = prepare(uploaded(home, make_graph).node("data"), home.store)
    references(found)
    statistics(found)
    return found


def uploaded(home: Places, make_graph: MakeGraph) -> Any:
    graph = make_graph()
    path = keep_upload("cats & dogs.txt", Path(graph.node("data").params["path"]).read_bytes(), home.uploads)
    return graph.with_param("data", "path", str(path))


@pytest.fixture
def document(measured: Prepared, home: Places, make_graph: MakeGraph) -> str:
    return documents.create(home.documents, uploaded(home, make_graph))


def test_the_text_of_the_graph_is_shown_with_its_sizes_and_references(document: str, measured: Prepared) -> None:
    test = sound(page("data", doc=document))
    shown = {metric.label: metric.value for metric in test.metric}
    assert shown["Vocabulary"] == f"{measured.vocab_size:,}"
    assert shown["Unknown in validation"] == "0.0%"
    assert shown["Bigram"] == f"{known_references(measured.path).bigram:,.1f}"
    assert "This is the text that tiny reads" in words(test)
    assert any(part.label.startswith("Prepared on disk: 1 text") for part in test.expander)


def test_a_text_of_ones_own_that_is_not_there_yet_is_asked_for(home: Places) -> None:
    test = opened("CustomData")
    assert "Choose one or several texts of your own" in words(test)
    assert not test.metric and not list(home.store.glob("*"))


def test_nothing_is_fetched_over_the_network_before_somebody_says_so(home: Places, processes: list[Any]) -> None:
    test = opened("WikiText2")
    assert any(button.label == "Fetch and tokenise" for button in test.button)
    assert not processes and not home.store.exists()


def test_a_text_is_prepared_and_measured_in_a_process_of_its_own(at_work: None, home: Places, make_graph: MakeGraph) -> None:
    name = documents.create(home.documents, uploaded(home, make_graph))
    test = page("data", doc=name)
    end = time.monotonic() + 60
    while len(test.metric) < 8 and time.monotonic() < end:
        time.sleep(0.1)
        sound(test.run())
    folder = next(path for path in home.store.iterdir() if path.is_dir())
    assert known_references(folder) and known_statistics(Prepared(folder, {}))
    assert {"Uniform", "Unigram", "Bigram"} < {metric.label for metric in test.metric}


def test_a_bar_shows_how_far_a_preparation_is(home: Places, make_graph: MakeGraph) -> None:
    test = sound(page("data", doc=documents.create(home.documents, uploaded(home, make_graph))))
    log = next(home.store.glob("*.json")).with_suffix(".log")
    shown = []
    for line in ("", "contacting the hub\n", "downloading x, 3.0 MB, 37 %\n", "tokenising train, 100 %\n"):
        log.write_text(log.read_text() + line if line else "")
        (bar,) = sound(test.run()).get("progress")
        shown.append((bar.proto.value, bar.proto.text.replace("\\", "")))
    assert shown == [
        (0, "Preparing CustomData: reading the text"),
        (0, "Preparing CustomData: contacting the hub"),
        (37, "Preparing CustomData: downloading x, 3.0 MB, 37%"),
        (100, "Preparing CustomData: tokenising train, 100%"),
    ]


def test_settings_are_tried_out_and_then_taken_into_the_graph(document: str, home: Places) -> None:
    test = page("data", doc=document)
    test.selectbox(key="data.CustomData.tokenizer").set_value("character")
    sound(test.run())
    before = documents.load(home.documents, document)
    assert "tokenizer" not in before.node("data").params
    next(button for button in test.button if label(button) == "Use this text in tiny").click()
    sound(test.run())
    after = documents.load(home.documents, document).node("data")
    assert after.params["tokenizer"] == "character"
    kept = {name: before.node("data").params[name] for name in ("path", "batch_size", "seq_len")}
    assert kept.items() <= after.params.items()
    assert "This is the text that tiny reads" in words(test)


def test_another_kind_keeps_the_tokenizer_and_the_way_back_keeps_the_files(document: str, measured: Prepared) -> None:
    test = page("data", doc=document)
    test.selectbox(key="data.CustomData.tokenizer").set_value("bpe")
    test.run()
    test.selectbox(key="data.kind").set_value("WikiText2")
    sound(test.run())
    assert test.selectbox(key="data.WikiText2.tokenizer").value == "bpe"
    kind = next(box for box in test.selectbox if box.label == "Text")
    kind.set_value("CustomData")
    sound(test.run())
    assert "cats" in words(test)
    next(button for button in test.button if label(button) == "Back to the text of tiny").click()
    sound(test.run())
    assert "This is the text that tiny reads" in words(test)


def test_without_a_graph_a_model_can_be_built_on_the_text(measured: Prepared, home: Places, make_graph: MakeGraph) -> None:
    node = uploaded(home, make_graph).node("data")
    test = opened("CustomData", path=node.params["path"])
    next(button for button in test.button if button.label == "Build a model on this text").click()
    sound(test.run())
    graph = documents.load(home.documents, "".join(test.query_params["doc"]))
    assert source_node(graph).params["path"] == node.params["path"]


def test_lines_that_stand_in_two_splits_are_warned_of(home: Places, make_graph: MakeGraph) -> None:
    line = "this very line is long enough to count and stands here more than once\n"
    graph = uploaded(home, make_graph)
    path = keep_upload("twice.txt", (line * 300 + "\n".join(made_lines(300))).encode() + line.encode() * 9, home.uploads)
    graph = graph.with_param("data", "path", str(path))
    found = prepare(graph.node("data"), home.store)
    references(found), statistics(found)
    test = sound(page("data", doc=documents.create(home.documents, graph)))
    assert "Duplicates between splits: " in test.warning[0].value.replace("\\", "")


def test_a_full_disk_is_said_and_the_page_stays_usable(home: Places, make_graph: MakeGraph) -> None:
    name = documents.create(home.documents, uploaded(home, make_graph))
    with disk_with_room_for(100):
        test = sound(page("data", doc=name))
    assert "The preparation cannot be started: File too large" in words(test)
    assert sound(test.run()).get("progress")


def test_a_full_disk_is_said_where_a_prepared_text_is_to_be_measured(home: Places, make_graph: MakeGraph) -> None:
    graph = uploaded(home, make_graph)
    prepare(graph.node("data"), home.store)
    name = documents.create(home.documents, graph)
    with disk_with_room_for(100):
        test = sound(page("data", doc=name))
    assert "The preparation cannot be started: File too large" in words(test)
    assert "Measuring the text" in "".join(bar.proto.text for bar in sound(test.run()).get("progress"))


def open_part(test: AppTest, name: str) -> AppTest:
    """Unfold a part of the page."""
    test.session_state[f"data.open.{name}"] = True
    return sound(test.run())


@pytest.mark.parametrize("name", ["Frequencies", "Lengths of lines", "Duplicates between splits"])
def test_what_is_folded_away_can_be_unfolded(name: str, document: str) -> None:
    test = open_part(page("data", doc=document), name)
    drawn = {"Frequencies": len(test.dataframe) == 2, "Lengths of lines": "half of them up to" in words(test)}
    assert drawn.get(name, "no line of at least 9 tokens that could be compared" in words(test))


def test_a_prepared_text_is_removed_from_disk_on_request(document: str, measured: Prepared, home: Places) -> None:
    test = open_part(page("data", doc=document), "shelf")
    assert "Frees" in words(test)
    test.button(key=f"data.remove.now.{measured.fingerprint}").click()
    sound(test.run())
    assert not measured.path.exists()


def test_a_text_that_a_run_trains_on_is_not_removed(make_run: MakeRun, home: Places) -> None:
    run = make_run()
    put_in_state(run, "running")
    test = open_part(opened("CustomData"), "shelf")
    assert f"The run {run.id} trains on it; stop that run first." in words(test)
    assert not any(button.label == "Remove from disk" for button in test.button)


def test_a_damaged_prepared_text_is_said_and_can_be_removed(document: str, measured: Prepared) -> None:
    (measured.path / "meta.json").write_text("{")
    test = open_part(page("data", doc=document), "shelf")
    assert "damaged" in words(test)
    test.button(key=f"data.remove.now.{measured.fingerprint}").click()
    sound(test.run())
    assert not measured.path.exists()


def test_tokens_are_coloured_in_turn_unknown_ones_marked_and_all_text_escaped() -> None:
    tokenizer = train_tokenizer("word", ["the <b>cat</b> sat\n"] * 3)
    for look in (LIGHT, DARK):
        drawn = coloured(spans_of_text(tokenizer, 'the <b>cat</b> <script>"&'), tokenizer, look)
        assert "<b>" not in drawn and "<script>" not in drawn
        assert "&lt;b&gt;cat&lt;/b&gt;</span>" in drawn
        assert drawn.count("border-bottom") == 1 and look.fault in drawn
        assert 'title="unknown, read as token 1 &lt;unk&gt;"' in drawn


def test_an_upload_is_kept_once_with_its_ending(tmp_path: Path) -> None:
    kept = [keep_upload(name, b"a,b\n", tmp_path) for name in ("My table;.CSV", "My table;.CSV", "../../x.exe")]
    assert kept[0] == kept[1] and kept[0].suffix == ".csv" and shown_name(str(kept[0])) == "My-table-.csv"
    assert kept[2].parent == tmp_path and kept[2].suffix == ".txt"
    assert len(list(tmp_path.iterdir())) == 2


def test_the_page_runs_through_the_app(document: str, home: Places) -> None:
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=30)
    app.query_params["doc"] = document
    sound(app.run())
    assert sound(app.switch_page("pages/data.py").run()).metric


def test_a_document_with_a_path_that_is_no_text_is_told_of(home: Places, make_graph: MakeGraph) -> None:
    name = documents.create(home.documents, make_graph().with_param("data", "path", 5))
    test = sound(page("data", doc=name))
    assert test.error and not test.metric


@pytest.fixture
def opened_folder(home: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the app may read, with a text in it, beside one that it may not."""
    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "my-cats.txt").write_text("\n".join(made_lines()) + "\n")
    (tmp_path / "secret.txt").write_text("secret\n" * 99)
    monkeypatch.setenv("CORTEXNODUS_DATA", f"{tmp_path / 'gone'}:{folder}")
    return folder


def test_a_path_is_read_below_a_configured_folder(opened_folder: Path, home: Places) -> None:
    field = next(field for field in opened("CustomData").text_input if field.label == "Or a path on this machine")
    assert not field.disabled and str(opened_folder) in field.help.replace("\\", "")
    for path in (opened_folder, opened_folder / "my-cats.txt"):
        found = prepare(Node("data", "CustomData", {"path": str(path)}), home.store)
        references(found), statistics(found)
        test = opened("CustomData", path=str(path))
        assert test.metric and not test.error
    assert "my-cats.txt" in words(test)
    test = opened("CustomData")
    next(field for field in test.text_input if field.label == "Or a path on this machine").set_value(f" {path} ")
    assert sound(test.run()).metric


@pytest.mark.parametrize("path", ["secret.txt", "open/../secret.txt", "open/link.txt", "linked", "open-not/a.txt"])
def test_no_path_leads_out_of_the_configured_folders(path: str, opened_folder: Path, tmp_path: Path, home: Places) -> None:
    if "link" in path:
        (opened_folder / "link.txt").symlink_to(tmp_path / "secret.txt")
        (tmp_path / "linked").symlink_to(opened_folder)
    (tmp_path / "open-not").mkdir()
    test = opened("CustomData", path=f"{tmp_path}/{path}")
    assert "outside the folders that this app may read; upload the file, or start the app with" in words(test)
    assert not test.metric and not list(home.store.glob("*"))
    assert "792 B" not in words(test)


def test_a_path_that_is_not_there_is_said_and_without_a_folder_none_can_be_given(opened_folder: Path, monkeypatch: Any) -> None:
    assert "no-such.txt does not exist" in words(opened("CustomData", path=str(opened_folder / "no-such.txt")))
    monkeypatch.delenv("CORTEXNODUS_DATA")
    (field,) = (field for field in opened("CustomData").text_input if field.label == "Or a path on this machine")
    assert field.disabled and "CORTEXNODUS_DATA" in field.placeholder
