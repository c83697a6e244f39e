"""Repairs: one edit after which a fault is gone."""

from __future__ import annotations

import itertools

import pytest
from conftest import MakeGraph
from test_checks import BROKEN, V

from cortex.builder import Plan, plan
from cortex.graph import Edge, Graph, Node
from cortex.repair import Repair, repair

# What the table of broken graphs calls them, and what the button has to say.
LABELS = {
    "heads do not divide": "Set nhead of block_1 to 4",
    "width contradicts": "Set d_model of block_1 to auto",
    "unknown kind": "Make it LayerNorm",
    "unknown setting": "Remove epsilon of norm",
    "below the range": "Set batch_size of data to 20",
    "longer than the positions": "Set max_len of positions to 65",
    "too few scores": "Set out_features of head to auto",
    "no linear": "Insert Linear between norm and loss",
    "no embedding": "Insert Embedding between data and positions",
    "missing input": "Connect norm to head",
    "two into one port": "Remove the edge from positions",
    "no source": "Add Shakespeare before embedding",
    "no loss": "Add a Loss behind head",
    "dangling": "Delete n",
    "second source": "Delete more and 1 node that hang on it alone",
    "cycle": "Connect block_1 to positions instead of block_2",
    "min_frequency of bpe": "Remove min_frequency of data",
    "id 'class'": "Rename it to class_1",
}


def first_repair(planned: Plan) -> Repair | None:
    roots = (issue for issue in planned.issues if issue.follows is None)
    return next(filter(None, (repair(planned, issue) for issue in roots)), None)


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "empty"])
def test_every_way_to_break_a_graph_is_mended_by_one_edit(name: str, make_graph: MakeGraph) -> None:
    broken, node, field, _ = BROKEN[name]
    planned = plan(broken(make_graph(blocks=2)), V)
    issue = next(issue for issue in planned.issues if (issue.node, issue.field) == (node, field) and issue.follows is None)
    found = repair(planned, issue) or first_repair(planned)
    assert found is not None
    assert plan(found.graph, V).issues == ()
    assert LABELS.get(name, found.label) == found.label


def test_faults_at_several_places_are_mended_one_after_the_other(make_graph: MakeGraph) -> None:
    names = ["heads do not divide", "no linear", "unknown setting", "longer than the positions"]
    for first, second in itertools.permutations(names, 2):
        planned = plan(BROKEN[second][0](BROKEN[first][0](make_graph(blocks=2))), V)
        while planned.issues:
            found = first_repair(planned)
            assert found, planned.issues
            assert len(plan(found.graph, V).issues) < len(planned.issues)
            planned = plan(found.graph, V)


def test_what_no_single_edit_mends_has_no_repair() -> None:
    planned = plan(Graph(), V)
    assert [repair(planned, issue) for issue in planned.issues] == [None, None]


def test_a_repair_touches_nothing_else(make_graph: MakeGraph) -> None:
    graph = make_graph(blocks=2).with_param("block_1", "nhead", 5)
    (issue,) = plan(graph, V).issues
    assert repair(plan(graph, V), issue).graph == graph.with_param("block_1", "nhead", 4)


def test_a_training_setting_is_mended(make_graph: MakeGraph) -> None:
    graph = make_graph().with_training("optimizer", "adamw").with_training("zebra", 1)
    planned = plan(graph, V)
    labels = {issue.field: repair(planned, issue).label for issue in planned.issues}
    assert labels == {"training.optimizer": "Set optimizer to AdamW", "training.zebra": "Remove zebra"}


def test_a_dead_branch_of_several_nodes_is_deleted_at_once(make_graph: MakeGraph) -> None:
    graph = make_graph(blocks=1)
    for number, before in enumerate(("norm", "dead_0", "dead_1")):
        graph = graph.add(Node(f"dead_{number}", "LayerNorm")).connect(before, f"dead_{number}")
    planned = plan(graph, V)
    found = repair(planned, planned.issues[0])
    assert found.label == "Delete dead_2 and 2 nodes that hang on it alone"
    assert found.graph == make_graph(blocks=1)


def test_an_edge_drawn_the_wrong_way_round_is_told_and_mended(make_graph: MakeGraph) -> None:
    graph = make_graph(blocks=1).disconnect(Edge("head", "loss")).connect("loss", "head")
    planned = plan(graph, V)
    while planned.issues:
        found = first_repair(planned)
        assert found, planned.issues
        planned = plan(found.graph, V)


def between(graph: Graph, *nodes: Node) -> Graph:
    """Nodes added, and the edge from norm to head taken away for them."""
    for node in nodes:
        graph = graph.add(node)
    return graph.disconnect(Edge("norm", "head"))


@pytest.mark.parametrize(
    ("node", "port", "label"),
    [
        (Node("x", "Pool"), "in", "Take x out of the chain"),
        (Node("x", "TransformerEncoderLayer", {"nhead": 2, "dim_feedforward": 16}), "in", "Set causal of x to True"),
        (Node("x", "MultiheadAttention", {"num_heads": 3, "causal": True}), "query", "Set num_heads of x to 2"),
        (Node("x", "Conv1d", {"groups": 3}), "in", "Set groups of x to 2"),
        (Node("x", "Add"), "in", "Connect block_2 to x"),
    ],
    ids=lambda value: value.kind if isinstance(value, Node) else "",
)
def test_faults_of_other_kinds_are_mended_too(node: Node, port: str, label: str, make_graph: MakeGraph) -> None:
    graph = between(make_graph(blocks=2), node).connect("norm", "x", port).connect("x", "head")
    planned = plan(graph, V)
    found = first_repair(planned)
    assert found.label == label and plan(found.graph, V).issues == ()


def test_what_is_narrower_is_made_as_wide_before_it_is_added(make_graph: MakeGraph) -> None:
    graph = between(make_graph(blocks=2), Node("narrow", "Linear", {"out_features": 5}), Node("sum", "Add"))
    graph = graph.connect("block_1", "narrow").connect("norm", "sum").connect("narrow", "sum", "in_2").connect("sum", "head")
    found = first_repair(plan(graph, V))
    assert found.label == "Insert Linear of width 8 between narrow and sum" and plan(found.graph, V).issues == ()
