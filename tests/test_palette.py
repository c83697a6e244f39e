"""The list of node kinds: what it shows, and what becomes of the graph when a row is picked."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from conftest import MakeGraph
from streamlit.testing.v1 import AppTest

from cortex import documents, templates
from cortex.graph import Edge, Graph, Node
from cortex.kind import FAMILIES
from cortex.places import Places
from cortex.presets import tidy
from cortex.registry import KINDS
from ui import kind_list, session

BUILD = Path(__file__).parents[1] / "pages" / "build.py"
Build = Callable[..., AppTest]


@pytest.fixture
def graph() -> Graph:
    """Two nodes in a chain, whose text is nowhere: nothing has to be prepared."""
    begun = Graph("begun").add(Node("data", "CustomData"), (0.0, 0.0)).add(Node("embedding", "Embedding"), (220.0, 0.0))
    return begun.connect("data", "embedding")


@pytest.fixture
def build(home: Places) -> Build:
    """A function that opens a graph on the Build page with something selected."""

    def opened(graph: Graph, selected: str | None = None, edge: tuple[str, str, str] | None = None) -> AppTest:
        test = AppTest.from_file(str(BUILD), default_timeout=30)
        name = documents.create(home.documents, graph)
        test.query_params["doc"] = name
        test.session_state[session.DOCUMENT] = name
        test.session_state[session.SELECTED], test.session_state[session.EDGE] = selected, edge
        return sound(test.run())

    return opened


@pytest.fixture
def buttons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row as an ordinary button, which a test can press; the real list is pressed in the browser's tests."""

    def drawn(*, key: str, data: dict[str, Any], on_picked_change: Callable[[], None], width: str) -> None:
        def press(row: str) -> None:
            st.session_state[key] = SimpleNamespace(picked=[(time.time(), row)])
            on_picked_change()
            on_picked_change()  # a trigger can reach the script twice

        for row in (row for group in data["groups"] for row in group["rows"]):
            st.button(row["name"], key=f"{key}/{row['id']}", on_click=press, args=(row["id"],))

    monkeypatch.setattr(kind_list, "_list", drawn)


def sound(test: AppTest) -> AppTest:
    assert not test.exception, test.exception[0].message
    return test


def pick(test: AppTest, row: str, key: str = "palette.list") -> Graph:
    """The document after a row was picked."""
    sound(test.button(key=f"{key}/{row}").click().run())
    return now(test)


def now(test: AppTest) -> Graph:
    return documents.load(session.where().documents, test.session_state[session.DOCUMENT])


def behind(test: AppTest) -> Any:
    return next(box for box in test.selectbox if box.label == "Connect it behind")


def test_every_kind_has_a_row_in_its_group_with_one_line_of_help(build: Build, graph: Graph) -> None:
    shown = next(json.loads(part.proto.json) for part in build(graph).get("bidi_component") if part.key == "palette.list")
    rows = {row["id"]: (group["name"], row["help"]) for group in shown["groups"] for row in group["rows"]}
    assert rows.keys() == KINDS.keys()
    for name, (group, said) in rows.items():
        assert group == FAMILIES[KINDS[name].family]
        assert 10 < len(said) < 130 and said.endswith(".") and "`" not in said
        assert said[:-1] in KINDS[name].help.replace("`", "")


def test_a_picked_kind_goes_behind_the_selected_node_and_is_selected(build: Build, graph: Graph, buttons: None) -> None:
    test = build(graph, "data")
    after = pick(test, "Dropout")
    assert Edge("data", "dropout", "in") in after.edges
    assert test.session_state[session.SELECTED] == "dropout"


def test_where_nothing_is_selected_it_goes_behind_the_only_open_end(build: Build, graph: Graph, buttons: None) -> None:
    test = build(graph)
    assert behind(test).value == "embedding"
    assert Edge("embedding", "layer_norm", "in") in pick(test, "LayerNorm").edges


def test_one_pick_after_another_makes_a_chain_that_folds_at_the_end_of_a_row(build: Build, graph: Graph, buttons: None) -> None:
    test = build(graph, "embedding")
    for kind in ("ReLU", "Tanh", "GELU", "SiLU", "Sigmoid"):
        after = pick(test, kind)
    chain = ["data", "embedding", "relu", "tanh", "gelu", "silu", "sigmoid"]
    assert [(edge.source, edge.target) for edge in after.edges] == list(itertools.pairwise(chain))
    across = [after.layout[name][0] for name in chain]
    assert across == [0, 220, 440, 660, 660, 440, 220]
    assert len(set(after.layout.values())) == len(chain)


def test_a_second_pick_before_the_first_is_drawn_goes_behind_the_first(build: Build, graph: Graph, buttons: None) -> None:
    test = build(graph, "embedding")
    test.session_state[session.SELECTED] = "data"  # by an earlier event, of which what is drawn does not know yet
    assert Edge("data", "relu", "in") in pick(test, "ReLU").edges


def test_another_node_or_none_can_be_chosen_to_go_behind(build: Build, graph: Graph, buttons: None) -> None:
    test = build(graph, "embedding")
    sound(behind(test).select("data").run())
    assert Edge("data", "relu", "in") in pick(test, "ReLU").edges
    sound(behind(test).select_index(0).run())
    assert not pick(test, "Tanh").into("tanh")


def test_a_source_is_connected_to_nothing(build: Build, graph: Graph, buttons: None) -> None:
    assert not pick(build(graph, "embedding"), "Shakespeare").into("shakespeare")


def test_templates_have_rows_and_a_word_where_there_is_none(
    build: Build, graph: Graph, home: Places, make_graph: MakeGraph, buttons: None
) -> None:
    test = build(graph)
    pick(test, "Subgraph")
    assert "There is no template yet" in test.warning[0].value

    grouped, _ = templates.group(make_graph(blocks=1), ["block_1", "norm"], "layer")
    templates.save(home.templates, grouped.templates, "layer")
    after = pick(build(graph, "embedding"), "template/layer")
    assert after.node("layer").params["template"] == "layer" and "layer" in after.templates
    assert Edge("embedding", "layer", "in") in after.edges


def test_a_node_is_inserted_on_an_edge(build: Build, graph: Graph, buttons: None) -> None:
    test = build(graph, edge=("data", "embedding", "in"))
    after = pick(test, "Identity", "edge.insert")
    assert after.out_of("data")[0].target == "identity" == after.into("embedding")[0].source
    assert test.session_state[session.SELECTED] == "identity"
    assert apart(after)


def test_copies_and_what_is_inserted_lie_on_no_other_card(build: Build, make_graph: MakeGraph, buttons: None) -> None:
    test = build(tidy(make_graph(blocks=2)), "block_1")
    sound(next(field for field in test.number_input if field.label == "Copies").set_value(5).run())
    sound(next(button for button in test.button if button.label == "Duplicate").click().run())
    assert len(now(test).of_kind("GPTBlock")) == 7 and apart(now(test))


def apart(graph: Graph) -> bool:
    """Whether no two cards touch."""
    places = list(graph.layout.values())
    assert len(places) == len(graph.nodes)
    return all(abs(a - x) >= 184 or abs(b - y) >= 66 for (a, b), (x, y) in itertools.combinations(places, 2))


def test_the_first_and_the_last_of_a_group_are_enough(build: Build, graph: Graph, make_graph: MakeGraph) -> None:
    test = build(make_graph(blocks=3))
    nodes = next(box for box in test.multiselect if box.label == "Nodes")
    sound(nodes.set_value(["block_1", "norm"]).run())
    assert any("block_2, block_3 lie between these nodes" in said.value.replace("\\", "").lower() for said in test.error)
    sound(next(button for button in test.button if button.label == "Choose what lies between too (2)").click().run())
    sound(next(button for button in test.button if button.label == "Group as template").click().run())
    assert [node.id for node in now(test).templates["block"].nodes] == ["block_1", "block_2", "block_3", "norm"]
    assert test.session_state[session.SELECTED] == "block"


def test_a_graph_can_be_begun_empty(home: Places) -> None:
    test = AppTest.from_file(str(BUILD), default_timeout=30)
    test.session_state["build.text"] = "My own text"  # of which nothing is prepared yet
    sound(test.run())
    sound(test.button(key="build.empty").click().run())
    assert now(test).nodes == ()


def test_a_copy_is_offered_under_the_name_that_the_graph_has_now(build: Build, graph: Graph, buttons: None) -> None:
    test = build(graph)
    sound(next(field for field in test.text_input if field.label == "Name").set_value("renamed").run())
    assert next(field for field in test.text_input if field.label == "Name of the copy").value == "renamed"
