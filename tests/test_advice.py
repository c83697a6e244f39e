"""What a sound graph may still lack."""

from __future__ import annotations

import pytest

from cortex.advice import advice
from cortex.builder import plan
from cortex.graph import Edge, Graph, Node
from cortex.presets import preset
from cortex.templates import group

V = 100


@pytest.fixture
def bare() -> Graph:
    """The small preset without its positions."""
    return preset("small").bridge("positions")


def test_attention_without_positions_is_said_once_with_what_brings_them(bare: Graph) -> None:
    (found,) = advice(plan(bare, V))
    assert (found.node, found.label) == ("block_1", "Insert PositionalEncoding before block_1")
    assert plan(found.graph, V).issues == () and advice(plan(found.graph, V)) == []


def test_positions_that_are_put_in_reach_the_sequence(bare: Graph) -> None:
    (found,) = advice(plan(bare.with_param("data", "seq_len", 2048), V))
    assert plan(found.graph, V).issues == ()


@pytest.mark.parametrize("value", ["rotary", "ALiBi"])
def test_blocks_that_bring_their_own_positions_lack_nothing(bare: Graph, value: str) -> None:
    for number in (1, 2, 3):
        bare = bare.with_param(f"block_{number}", "positions", value)
    assert advice(plan(bare, V)) == []


def test_nothing_is_said_of_a_preset_or_of_a_graph_with_a_fault(bare: Graph) -> None:
    assert advice(plan(preset("small"), V)) == []
    assert advice(plan(bare.with_param("block_1", "nhead", 5), V)) == []


@pytest.mark.parametrize("kind", ["Softmax", "ReLU", "Dropout"])
def test_what_changes_scores_before_a_loss_is_said_and_taken_out(kind: str) -> None:
    sound = preset("small")
    graph = sound.disconnect(Edge("head", "loss")).add(Node("x", kind)).connect("head", "x").connect("x", "loss")
    (found,) = advice(plan(graph, V))
    assert found.node == "x" and "takes them as they are" in found.message
    assert set(found.graph.edges) == set(sound.edges)


def test_a_warm_up_that_never_ends_is_said() -> None:
    graph = preset("small").with_training("warmup_steps", 1000)
    (found,) = advice(plan(graph.with_training("steps", 100), V))
    assert found.node == "training" and found.graph.training["warmup_steps"] == 10
    assert [each.node for each in advice(plan(graph, V), steps=1000)] == ["training"]
    assert advice(plan(graph, V), steps=1001) == []


def test_positions_reach_through_a_card_and_are_missed_inside_one(bare: Graph) -> None:
    whole = preset("small")
    grouped, _ = group(whole, ["block_2"], "block")
    assert advice(plan(grouped, V)) == []
    (found,) = advice(plan(group(bare, ["block_1"], "block")[0], V))
    assert found.label == "Insert PositionalEncoding before block" and plan(found.graph, V).issues == ()


def with_linear(graph: Graph, **params: object) -> Graph:
    """The graph with a Linear, `wide`, between its second block and its third."""
    graph = graph.disconnect(Edge("block_2", "block_3")).add(Node("wide", "Linear", params))
    return graph.connect("block_2", "wide").connect("wide", "block_3")


def test_a_layer_in_the_middle_that_is_as_wide_as_the_vocabulary_is_said() -> None:
    graph = with_linear(preset("small"))
    (found,) = advice(plan(graph, V))
    assert found.node == "wide" and found.message.startswith("is as wide as the vocabulary, 100, in the middle of the model")
    assert found.label == "Set out_features of wide to 128" and advice(plan(found.graph, V)) == []
    (unknown,) = advice(plan(graph))
    assert unknown.message.startswith("is as wide as the vocabulary, in the middle")
    assert advice(plan(with_linear(preset("small"), out_features=100), V)) == []  # somebody has said so


def test_of_two_heads_one_behind_the_other_the_first_is_said() -> None:
    graph = preset("small").disconnect(Edge("head", "loss")).add(Node("more", "Linear"))
    (found,) = advice(plan(graph.connect("head", "more").connect("more", "loss"), V))
    assert (found.node, found.label) == ("head", "Set out_features of head to 128")


def test_a_layer_in_a_template_is_said_once_and_set_there() -> None:
    graph, card = group(with_linear(preset("small")), ["block_2", "wide"], "part")
    (found,) = advice(plan(graph.with_param(card, "repeat", 2), V))
    assert (found.node, found.label) == (card, "Set out_features of wide to 128, in template part")
    assert "inside, wide" in found.message and advice(plan(found.graph, V)) == []


def test_heads_that_share_a_loss_are_no_layers_of_the_middle() -> None:
    graph = preset("small").disconnect(Edge("head", "loss")).add(Node("more", "Linear")).add(Node("sum", "Add"))
    graph = graph.connect("norm", "more").connect("head", "sum").connect("more", "sum", "in_2").connect("sum", "loss")
    assert advice(plan(graph, V)) == []
