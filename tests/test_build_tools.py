"""The tools of the Build page: undo, repairs, what can be done with a node or an edge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGraph, with_uploaded_text
from streamlit.testing.v1 import AppTest

from cortex import documents
from cortex.graph import Graph
from cortex.places import Places
from cortex.presets import is_tidy, tidy
from ui import session

BUILD = Path(__file__).parents[1] / "pages" / "build.py"


@pytest.fixture
def name(home: Places, make_graph: MakeGraph) -> str:
    """A tiny graph of two blocks as the document being edited, its text among the uploads and prepared."""
    return documents.create(home.documents, with_uploaded_text(make_graph(blocks=2), home))


@pytest.fixture
def graph(home: Places, name: str) -> Callable[[], Graph]:
    return lambda: documents.load(home.documents, name)


def build(name: str, selected: str | None = None) -> AppTest:
    test = AppTest.from_file(str(BUILD), default_timeout=30)
    test.query_params["doc"] = name
    test.session_state[session.DOCUMENT] = name
    test.session_state[session.SELECTED] = selected
    return sound(test.run())


def sound(test: AppTest) -> AppTest:
    assert not test.exception, test.exception[0].message
    return test


def button(test: AppTest, label: str) -> Any:
    return next(button for button in test.button if button.label.replace("\\", "") == label)


def click(test: AppTest, label: str) -> AppTest:
    button(test, label).click()
    return sound(test.run())


def test_undo_and_redo_say_what_they_will_do(name: str, graph: Callable[[], Graph]) -> None:
    test = build(name)
    assert button(test, "Undo").disabled and button(test, "Redo").disabled
    test = build(name, "block_1")
    click(test, "Delete")
    assert "block_1" not in graph()
    assert button(test, "Undo").help.replace("\\", "") == "Delete block_1 (Ctrl+Z)"
    click(test, "Undo")
    assert "block_1" in graph() and "Delete" in button(test, "Redo").help
    click(test, "Redo")
    assert "block_1" not in graph()


def test_a_fault_has_a_button_that_mends_it(home: Places, name: str, graph: Callable[[], Graph]) -> None:
    documents.update(home.documents, name, lambda graph: graph.with_param("block_2", "nhead", 3))
    test = build(name)
    click(test, "Set nhead of block_2 to 2")
    assert graph().node("block_2").params["nhead"] == 2
    assert not test.error


def test_a_fault_of_the_text_is_mended_as_well(home: Places, name: str, graph: Callable[[], Graph]) -> None:
    documents.update(home.documents, name, lambda graph: graph.with_param("data", "seq_len", 9000).remove("positions"))
    documents.update(home.documents, name, lambda graph: graph.connect("embedding", "block_1"))
    test = build(name)
    assert "less than seq_len" in test.error[0].value.replace("\\", "")
    click(test, "Set seq_len of data to 64")
    assert graph().node("data").params["seq_len"] == 64 and not test.error


def test_a_repair_of_a_graph_that_is_another_by_now_is_not_made(home: Places, name: str, graph: Callable[[], Graph]) -> None:
    documents.update(home.documents, name, lambda graph: graph.with_param("block_2", "nhead", 3))
    test = build(name)
    documents.update(home.documents, name, lambda graph: graph.with_training("seed", 5))
    click(test, "Set nhead of block_2 to 2")
    assert graph().node("block_2").params["nhead"] == 3 and graph().training["seed"] == 5
    assert "changed meanwhile" in test.warning[0].value


def test_a_node_is_renamed_noted_and_bypassed(name: str, graph: Callable[[], Graph]) -> None:
    test = build(name, "block_1")
    sound(next(field for field in test.text_area if field.label == "Note").input("a *thought*").run())
    assert graph().node("block_1").note == "a *thought*"
    sound(next(toggle for toggle in test.toggle if toggle.label == "Bypass").set_value(True).run())
    assert graph().node("block_1").bypass
    sound(next(field for field in test.text_input if field.label == "Rename").input("first block").run())
    assert "first_block" in graph() and graph().node("first_block").bypass
    assert test.session_state[session.SELECTED] == "first_block"


def test_a_name_that_is_taken_is_told_and_nothing_changes(name: str, graph: Callable[[], Graph]) -> None:
    test = build(name, "block_1")
    sound(next(field for field in test.text_input if field.label == "Rename").input("norm").run())
    assert "block_1" in graph()
    assert "there is a node norm already" in test.warning[0].value.replace("\\", "")


def test_a_node_is_duplicated_moved_and_taken_out(name: str, graph: Callable[[], Graph]) -> None:
    test = build(name, "block_1")
    sound(next(field for field in test.number_input if field.label == "Copies").set_value(2).run())
    click(test, "Duplicate")
    assert [node.id for node in graph().of_kind("GPTBlock")] == ["block_1", "block_3", "block_4", "block_2"]
    click(test, "Later")
    assert graph().out_of("block_3")[0].target == "block_1"
    click(test, "Take out of the chain")
    assert "block_1" not in graph() and graph().out_of("block_3")[0].target == "block_4"


def test_copies_in_a_tidy_graph_leave_it_tidy_and_a_moved_node_stays_where_it_was_put(
    home: Places, name: str, graph: Callable[[], Graph]
) -> None:
    documents.update(home.documents, name, tidy)
    test = build(name, "block_1")
    click(test, "Duplicate")
    assert is_tidy(graph()) and len(graph().of_kind("GPTBlock")) == 3
    documents.update(home.documents, name, lambda graph: graph.move({"norm": (7.0, 900.0)}))
    click(test, "Duplicate")
    assert graph().layout["norm"] == (7.0, 900.0) and len(graph().of_kind("GPTBlock")) == 4


def test_a_kept_copy_is_told_without_moving_the_page(name: str) -> None:
    test = click(build(name), "Keep a copy")
    assert "is kept" in test.toast[0].value and not test.warning


def test_a_setting_is_made_in_all_nodes_of_a_kind_on_request(name: str, graph: Callable[[], Graph]) -> None:
    test = build(name, "block_1")
    sound(next(toggle for toggle in test.toggle if toggle.label == "Change all 2 of this kind").set_value(True).run())
    sound(next(field for field in test.number_input if field.key == "node.block_1.nhead").set_value(4).run())
    assert [node.params["nhead"] for node in graph().of_kind("GPTBlock")] == [4, 4]


def test_a_node_is_found_by_its_name(name: str) -> None:
    test = build(name)
    sound(next(field for field in test.selectbox if field.label == "Find a node").select("norm").run())
    assert test.session_state[session.SELECTED] == "norm"


def test_a_graph_without_positions_is_told_and_given_some(home: Places, name: str, graph: Callable[[], Graph]) -> None:
    documents.update(home.documents, name, lambda graph: graph.bridge("positions"))
    test = build(name)
    assert "nothing tells it where a token stands" in test.info[0].value
    click(test, "Insert PositionalEncoding before block_1")
    assert graph().into("block_1")[0].source == "positional_encoding" and not test.info
