"""What a sound graph may still lack."""

from __future__ import annotations

import pytest

from cortex.advice import advice
from cortex.builder import plan
from cortex.graph import Edge, Graph, Node
from cortex.presets import preset

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
