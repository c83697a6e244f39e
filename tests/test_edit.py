"""Settings written as text, as `--set` and the pages make them."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import MakeGraph

from cortex.edit import SettingError, apply_setting
from cortex.graph import Graph, Node
from cortex.presets import preset


@pytest.fixture
def graph(make_graph: MakeGraph) -> Graph:
    return make_graph(blocks=2)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("training.lr=3e-4", "lr", 0.0003),
        (" training.lr = 3e-4 ", "lr", 0.0003),
        ("training.epochs=1_000", "epochs", 1000),
        ("training.optimizer=AdamW", "optimizer", "AdamW"),
    ],
)
def test_a_training_setting_is_made(graph: Graph, text: str, name: str, value: Any) -> None:
    assert apply_setting(graph, text) == graph.with_training(name, value)


@pytest.mark.parametrize(
    ("text", "node", "name", "value"),
    [
        ("nodes.data.seq_len=128", "data", "seq_len", 128),
        ("nodes.data.path=/tmp/a=b.txt", "data", "path", "/tmp/a=b.txt"),
        ("nodes.data.path=", "data", "path", ""),
        ("nodes.block_2.d_model=auto", "block_2", "d_model", "auto"),
        ("nodes.head.bias=false", "head", "bias", False),
    ],
)
def test_a_setting_of_a_node_is_made(graph: Graph, text: str, node: str, name: str, value: Any) -> None:
    assert apply_setting(graph, text) == graph.with_param(node, name, value)


def test_a_setting_of_the_model_is_made_in_every_node(graph: Graph) -> None:
    changed = apply_setting(apply_setting(graph, "model.nhead=4"), "model.num_layers=3")
    assert [node.params["nhead"] for node in changed.of_kind("GPTBlock")] == [4, 4, 4]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected training.NAME=VALUE, nodes.ID.NAME=VALUE, templates.NAME.ID.NAME=VALUE or model.NAME=VALUE"),
        ("lr=1", "expected training.NAME=VALUE"),
        ("training.lr", "expected training.NAME=VALUE"),
        ("training=1", "training names no setting"),
        ("training.a.b=1", "training.a.b names no setting"),
        ("nodes.data=1", "nodes.data names no setting"),
        ("training.rate=1", "rate is not a setting here; expected one of optimizer, lr"),
        ("training.lr=fast", "lr: 'fast' is not a number from 1e-08 to 10"),
        ("training.lr=-1", "lr: '-1' is not a number from 1e-08 to 10"),
        ("training.optimizer=Lion", "optimizer: 'Lion' is not one of Adam, AdamW"),
        ("nodes.nope.x=1", "there is no node nope; the nodes are data, embedding"),
        ("nodes.norm.epsilon=1", "epsilon is not a setting here; expected one of normalized_shape, eps"),
        ("nodes.block_1.nhead=2.5", "nhead: '2.5' is not a whole number from 1 to 1,024"),
        ("model.width=3", "width is not a setting here; expected one of embedding_dim, num_layers"),
        ("model.num_layers=0", "num_layers: '0' is not a whole number from 1 to 200"),
    ],
)
def test_a_setting_that_cannot_be_made_says_what_was_expected(graph: Graph, text: str, says: str) -> None:
    with pytest.raises(SettingError) as caught:
        apply_setting(graph, text)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_graph_without_the_node_of_a_setting_is_told() -> None:
    with pytest.raises(SettingError, match="this graph has no GPTBlock"):
        apply_setting(Graph(), "model.nhead=2")
    with pytest.raises(SettingError, match="node a is of the unknown kind 'Zzz'"):
        apply_setting(Graph(nodes=(Node("a", "Zzz"),)), "nodes.a.x=1")


def test_another_kind_takes_the_place_of_a_node_and_keeps_the_settings_that_both_have() -> None:
    graph = apply_setting(preset("small").with_param("data", "seq_len", 32), "nodes.data.kind=CustomData")
    assert graph.node("data").kind == "CustomData" and graph.node("data").params["seq_len"] == 32
    assert apply_setting(graph, "nodes.data.path=x.txt").node("data").params["path"] == "x.txt"
    assert graph.edges == preset("small").edges
    with pytest.raises(SettingError, match="there is no node kind 'Nothing'"):
        apply_setting(graph, "nodes.data.kind=Nothing")
