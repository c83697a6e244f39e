"""Bypassed nodes and notes."""

from __future__ import annotations

import pytest
import torch

from cortex.builder import build, plan
from cortex.graph import Edge, Graph, GraphError, Node, from_document, from_json, model_document, to_document, to_json
from cortex.presets import preset


@pytest.fixture
def graph() -> Graph:
    return preset("small")


def test_a_bypassed_node_is_computed_as_if_it_were_not_there(graph: Graph) -> None:
    planned = plan(graph.with_bypass("block_2", True), 50)
    without = plan(graph.bridge("block_2"), 50)
    assert planned.issues == () and planned.calls == without.calls and planned.total == without.total
    torch.manual_seed(1)
    one = build(planned).eval()
    torch.manual_seed(1)
    two = build(without).eval()
    tokens = torch.randint(50, (2, 5))
    assert torch.equal(one.logits(tokens), two.logits(tokens))


def test_what_is_shown_still_has_the_node(graph: Graph) -> None:
    planned = plan(graph.with_bypass("block_2", True), 50)
    assert "block_2" in planned.graph and "block_2" not in planned.shapes


def test_several_in_a_row_are_bypassed(graph: Graph) -> None:
    for name in ("block_1", "block_2", "block_3", "positions"):
        graph = graph.with_bypass(name, True)
    assert [call.node for call in plan(graph, 50).calls] == ["data", "embedding", "norm", "head", "loss"]


@pytest.mark.parametrize("name", ["data", "loss"])
def test_nothing_goes_past_a_source_or_a_loss(graph: Graph, name: str) -> None:
    (issue, *_) = plan(graph.with_bypass(name, True)).issues
    assert (issue.node, issue.field) == (name, "bypass") and "nothing can go past" in issue.message


def test_a_bypassed_node_without_an_input_is_told(graph: Graph) -> None:
    graph = graph.disconnect(Edge("block_3", "norm")).with_bypass("norm", True)
    issues = [issue for issue in plan(graph).issues if issue.field == "bypass"]
    assert [(issue.node, issue.message) for issue in issues] == [("norm", "is bypassed and has 0 inputs, expected one")]


def test_bypassing_what_the_others_need_is_their_fault(graph: Graph) -> None:
    issues = plan(graph.with_bypass("embedding", True)).issues
    assert issues[0].node == "positions" and "Embedding" in issues[0].hint


def test_notes_and_bypasses_are_in_the_document_and_only_bypasses_in_the_model(graph: Graph) -> None:
    changed = graph.with_note("norm", "  why\nhere ").with_bypass("block_1", True)
    assert from_json(to_json(changed)) == changed and changed.node("norm").note == "why\nhere"
    assert model_document(graph.with_note("norm", "x")) == model_document(graph)
    assert model_document(changed) != model_document(graph)
    assert "note" not in to_document(graph)["nodes"][0] and "bypass" not in to_document(graph)["nodes"][0]


@pytest.mark.parametrize(("key", "value"), [("note", 5), ("bypass", 1), ("bypass", "yes"), ("note", "x" * 2001)])
def test_a_note_or_bypass_of_another_type_is_told(key: str, value: object) -> None:
    document = to_document(Graph(nodes=(Node("data", "Shakespeare"),)))
    document["nodes"][0][key] = value
    with pytest.raises(GraphError, match=rf"nodes\[0\].{key}: found"):
        from_document(document)
