"""The names of edits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cortex.edit import change_kind
from cortex.graph import Edge, Graph, Node
from cortex.presets import preset, set_model
from cortex.rework import rename_node
from cortex.steps import step_name

EDITS: dict[str, Callable[[Graph], Graph]] = {
    "Set dropout of block_1 to 0.2": lambda graph: graph.with_param("block_1", "dropout", 0.2),
    "Set dropout of block_1 to its default": lambda graph: graph.without_param("block_1", "dropout"),
    "Set nhead of 3 nodes to 8": lambda graph: set_model(graph, "nhead", 8),
    "Change block_1": lambda graph: graph.with_param("block_1", "nhead", 8).with_param("block_1", "dropout", 0.2),
    "Set lr to 0.5": lambda graph: graph.with_training("lr", 0.5),
    "Set 2 training settings": lambda graph: graph.with_training("lr", 0.5).with_training("epochs", 3),
    "Add relu": lambda graph: graph.add(Node("relu", "ReLU"), (0.0, 0.0)),
    "Delete norm": lambda graph: graph.remove("norm"),
    "Delete 2 nodes": lambda graph: graph.remove("norm").remove("head"),
    "Rename norm to last_norm": lambda graph: rename_node(graph, "norm", "last_norm"),
    "Make data CustomData": lambda graph: change_kind(graph, "data", "CustomData"),
    "Disconnect norm to head": lambda graph: graph.disconnect(Edge("norm", "head")),
    "Connect block_3 to head": lambda graph: graph.disconnect(Edge("norm", "head")).connect("block_3", "head"),
    "Move norm": lambda graph: graph.move({"norm": (1.0, 1.0)}),
    "Move 2 nodes": lambda graph: graph.move({"norm": (1.0, 1.0), "head": (2.0, 2.0)}),
    "Note on norm": lambda graph: graph.with_note("norm", "why is it here"),
    "Bypass norm": lambda graph: graph.with_bypass("norm", True),
    "Name the graph mine": lambda graph: graph.rename("mine"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_named_by_what_it_did(name: str) -> None:
    before = preset("small")
    assert step_name(before, EDITS[name](before))[0] == name


def test_a_step_tells_what_it_was_made_to() -> None:
    before = preset("small")
    one, two = (before.with_param("block_1", "dropout", value) for value in (0.2, 0.3))
    assert step_name(before, one)[1] == step_name(one, two)[1] == "block_1.dropout"
    assert step_name(before, before.with_param("block_2", "dropout", 0.2))[1] != "block_1.dropout"
    assert step_name(before, before.remove("norm"))[1] == ""
