"""The presets, the model form over a whole chain, and the layout."""

from __future__ import annotations

import itertools

import pytest
from conftest import MakeGraph

from cortex.builder import plan
from cortex.graph import Edge, Graph, Node
from cortex.presets import MODEL, PRESETS, model_settings, place_behind, place_between, preset, set_model, tidy


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_sound_and_has_the_settings_it_is_listed_with(name: str) -> None:
    graph, size = preset(name), PRESETS[name]
    assert plan(graph).issues == ()
    assert model_settings(graph) == {key: size[key] for key in MODEL}
    assert graph.node("data").params["batch_size"] == size["batch_size"] and graph.training["lr"] == size["lr"]
    assert [node.kind for node in graph.nodes] == [
        "Shakespeare",
        "Embedding",
        "PositionalEncoding",
        *["GPTBlock"] * size["num_layers"],
        "LayerNorm",
        "Linear",
        "Loss",
    ]


def test_a_preset_is_made_over_another_source() -> None:
    graph = preset("small", "CustomData", {"path": "/tmp/text.txt"})
    assert graph.node("data").kind == "CustomData" and graph.node("data").params["path"] == "/tmp/text.txt"
    with pytest.raises(KeyError):
        preset("huge")


@pytest.mark.parametrize("wanted", [1, 2, 3, 4, 9])
def test_the_number_of_layers_grows_and_shrinks_and_the_chain_stays_closed(wanted: int) -> None:
    graph = set_model(preset("small"), "num_layers", wanted)
    assert plan(graph, 100).issues == () and model_settings(graph)["num_layers"] == wanted
    chain = [node.id for node in graph.nodes]
    assert set(graph.edges) == {Edge(a, b) for a, b in itertools.pairwise(chain)}
    assert len(set(chain)) == wanted + 6


def test_layers_that_were_taken_and_added_again_give_the_same_model() -> None:
    graph = preset("medium")
    again = set_model(set_model(graph, "num_layers", 2), "num_layers", 6)
    assert again.nodes == graph.nodes
    assert set(again.edges) == set(graph.edges) and plan(again, 100).total == plan(graph, 100).total


@pytest.mark.parametrize(("name", "value"), [("embedding_dim", 64), ("nhead", 2), ("dim_feedforward", 99), ("dropout", 0.3)])
def test_a_setting_of_the_model_form_is_set_in_the_whole_chain(name: str, value: float) -> None:
    graph = set_model(preset("small"), name, value)
    assert plan(graph, 100).issues == () and model_settings(graph)[name] == value


def test_widths_that_are_repeated_follow_the_embedding(make_graph: MakeGraph) -> None:
    graph = make_graph().with_param("block_1", "d_model", 8).with_param("norm", "normalized_shape", 8)
    assert plan(set_model(graph, "embedding_dim", 16), 25).issues == ()


def test_a_setting_whose_nodes_differ_is_unknown(make_graph: MakeGraph) -> None:
    graph = make_graph(blocks=2).with_param("block_2", "nhead", 4)
    assert model_settings(graph)["nhead"] is None
    assert model_settings(Graph())["num_layers"] is None


def test_a_setting_that_no_node_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model.nhead: this graph has no GPTBlock"):
        set_model(Graph(), "nhead", 2)
    with pytest.raises(ValueError, match="add one first"):
        set_model(Graph(), "num_layers", 2)


@pytest.mark.parametrize(
    "graph",
    [
        preset("large"),
        Graph(),
        Graph(nodes=(Node("a", "K"), Node("b", "K")), edges=(Edge("a", "b"), Edge("b", "a"))),
        Graph(
            nodes=tuple(Node(name, "K") for name in "abcde"),
            edges=(Edge("a", "b"), Edge("a", "c"), Edge("b", "d"), Edge("c", "d", "other")),
        ),
    ],
    ids=["chain", "empty", "cycle", "diamond"],
)
def test_tidy_gives_every_node_a_place_of_its_own_and_changes_nothing_else(graph: Graph) -> None:
    laid = tidy(graph)
    assert set(laid.layout) == {node.id for node in graph.nodes}
    assert len(set(laid.layout.values())) == len(graph.nodes)
    assert (laid.nodes, laid.edges, laid.training) == (graph.nodes, graph.edges, graph.training)


@pytest.mark.parametrize("blocks", [10, 30, 94, 190])
def test_a_long_chain_fills_the_canvas_both_ways(blocks: int) -> None:
    places = tidy(set_model(preset("small"), "num_layers", blocks)).layout.values()
    width, height = (max(place[axis] for place in places) + size for axis, size in ((0, 184), (1, 66)))
    assert 0.6 < (width / height) / (916 / 440) < 1.7
    assert len(set(places)) == len(places)


def test_a_new_card_has_a_free_place_beside_or_below_what_it_goes_behind() -> None:
    laid = preset("small")
    for node in laid.nodes:
        place = place_behind(laid, node.id)
        assert all(abs(place[0] - x) >= 184 or abs(place[1] - y) >= 66 for x, y in laid.layout.values())
    assert place_behind(laid, None)[1] > max(y for _, y in laid.layout.values())
    assert place_behind(Graph("empty"), None) == (0.0, 0.0)


def test_a_card_goes_half_way_between_two_that_leave_room() -> None:
    graph = preset("small")
    assert place_between(graph, "data", "positions") != (220.0, 0.0)  # where the embedding is
    assert place_between(graph.move({"embedding": (0.0, 900.0)}), "data", "positions") == (220.0, 0.0)
