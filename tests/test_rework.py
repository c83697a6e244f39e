"""Edits of several parts of a graph at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cortex.builder import plan
from cortex.graph import Edge, Graph, Node
from cortex.presets import preset
from cortex.rework import (
    EditError,
    duplicate,
    find,
    insert_on_edge,
    move_along,
    rename_node,
    set_many,
    stem,
    take_out,
)


@pytest.fixture
def graph() -> Graph:
    return preset("small")


def chain(graph: Graph) -> list[str]:
    """The nodes from the source on, each by the edge that leaves the one before."""
    found = ["data"]
    while out := graph.out_of(found[-1]):
        found.append(out[0].target)
    return found


def sound(graph: Graph) -> Graph:
    assert plan(graph, 100).issues == ()
    return graph


def test_a_renamed_node_keeps_its_edges_its_place_and_who_names_it(graph: Graph) -> None:
    tied = graph.with_param("head", "tie_to", "embedding").with_param("head", "bias", False)
    renamed = sound(rename_node(tied, "embedding", "tokens_in"))
    assert "embedding" not in renamed and chain(renamed)[1] == "tokens_in"
    assert renamed.node("head").params["tie_to"] == "tokens_in"
    assert renamed.layout["tokens_in"] == graph.layout["embedding"]
    assert [node.id for node in renamed.nodes].index("tokens_in") == 1


def test_a_name_that_is_taken_is_refused(graph: Graph) -> None:
    with pytest.raises(EditError, match="there is a node norm already"):
        rename_node(graph, "head", "norm")
    assert rename_node(graph, "head", "head") is graph


def test_copies_of_a_block_stand_in_a_chain_behind_it(graph: Graph) -> None:
    after, made = duplicate(graph, "block_2", 3)
    assert made == ["block_4", "block_5", "block_6"]
    assert chain(sound(after))[3:9] == ["block_1", "block_2", *made, "block_3"]
    assert {after.node(name).params["nhead"] for name in made} == {4}


def test_a_copy_of_a_loss_takes_the_same_input_and_of_a_source_none(graph: Graph) -> None:
    after, (second,) = duplicate(graph, "loss")
    assert after.into(second) == [Edge("head", second)]
    after, (other,) = duplicate(graph, "data")
    assert not after.into(other) and not after.out_of(other)


def test_a_node_is_put_into_the_middle_of_an_edge(graph: Graph) -> None:
    after, name = insert_on_edge(graph, Edge("block_3", "norm"), "LayerNorm")
    assert chain(sound(after))[5:8] == ["block_3", name, "norm"]
    x, y = after.layout[name]
    assert (x, y) == tuple(sum(place) / 2 for place in zip(after.layout["block_3"], after.layout["norm"], strict=True))


@pytest.mark.parametrize(("kind", "lacks"), [("Loss", "output"), ("Shakespeare", "input")])
def test_what_lets_nothing_through_cannot_stand_on_an_edge(graph: Graph, kind: str, lacks: str) -> None:
    with pytest.raises(EditError, match=f"has no {lacks}"):
        insert_on_edge(graph, Edge("block_3", "norm"), kind)


def test_an_edge_that_is_gone_is_told(graph: Graph) -> None:
    with pytest.raises(EditError, match="not there any more"):
        insert_on_edge(graph, Edge("block_1", "norm"), "LayerNorm")


def test_a_node_that_is_taken_out_leaves_the_chain_closed(graph: Graph) -> None:
    assert chain(sound(take_out(graph, "block_2"))) == [name for name in chain(graph) if name != "block_2"]
    with pytest.raises(EditError, match="0 inputs"):
        take_out(graph, "data")


@pytest.mark.parametrize(
    ("node", "by", "order"),
    [("norm", -1, ["block_2", "norm", "block_3", "head"]), ("block_2", 1, ["block_1", "block_3", "block_2", "norm"])],
)
def test_a_node_moves_along_the_chain(graph: Graph, node: str, by: int, order: list[str]) -> None:
    after = sound(move_along(graph, node, by))
    at = chain(after).index(order[0])
    assert chain(after)[at : at + 4] == order
    assert move_along(after, node, -by) == graph


@pytest.mark.parametrize(("node", "by"), [("data", -1), ("embedding", -1), ("loss", 1), ("head", 1)])
def test_the_ends_of_a_chain_do_not_move_past_it(graph: Graph, node: str, by: int) -> None:
    with pytest.raises(EditError):
        move_along(graph, node, by)


def test_a_node_that_feeds_several_does_not_move(graph: Graph) -> None:
    with pytest.raises(EditError, match="has 2 outputs"):
        move_along(graph.connect("block_1", "norm", "other"), "block_1", 1)


def test_one_setting_is_made_in_many_nodes(graph: Graph) -> None:
    after = set_many(graph, ["block_1", "block_3", "gone"], "nhead", 8)
    assert [node.params["nhead"] for node in after.of_kind("GPTBlock")] == [8, 4, 8]


def test_a_node_is_found_by_a_part_of_its_name_or_kind(graph: Graph) -> None:
    assert find(graph, "BLOCK") == ["block_1", "block_2", "block_3"]
    assert find(graph, "norm") == ["norm"]
    assert find(graph, "lin") == ["head"]
    assert find(graph, "  ") == find(graph, "zebra") == []


def test_edits_keep_the_order_of_the_edges_of_others(graph: Graph) -> None:
    many = replace(
        graph,
        nodes=(*graph.nodes, Node("sum", "Sum")),
        edges=(*graph.edges, Edge("block_1", "sum", "b"), Edge("norm", "sum", "a")),
    )
    after, _ = insert_on_edge(many, Edge("block_1", "sum", "b"), "LayerNorm")
    assert [edge.port for edge in after.into("sum")] == ["b", "a"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("GPTBlock", "gpt_block"), ("ReLU", "relu"), ("LeakyReLU", "leaky_relu"), ("RMSNorm", "rms_norm"), ("Conv1d", "conv1d")],
)
def test_a_new_node_has_the_name_that_a_person_would_give(kind: str, name: str) -> None:
    assert stem(kind) == name
