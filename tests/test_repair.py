"""Repairs: one edit after which a fault is gone."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import MakeGraph
from test_checks import BROKEN, V

from cortex import documents
from cortex.builder import Plan, plan
from cortex.checks import Issue
from cortex.graph import Edge, Graph, Node, from_json
from cortex.middles import made_middles
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


def test_an_empty_graph_begins_with_a_small_model() -> None:
    planned = plan(Graph("mine", training={"lr": 0.002}), V)
    found = repair(planned, planned.issues[0])
    assert found.label == "Start from the preset small"
    assert plan(found.graph, V).issues == () and found.graph.name == "mine" and found.graph.training["lr"] == 0.002


def test_what_no_single_edit_mends_has_no_repair(make_graph: MakeGraph) -> None:
    graph = make_graph()
    for name in ("a", "b", "c"):
        graph = graph.add(Node(name, "Add")).connect(name, name).connect(name, name, "in_2")
    graph = graph.disconnect(Edge("norm", "head")).connect("a", "head")
    planned = plan(graph, V)
    assert any(repair(planned, issue) is None for issue in planned.issues if issue.follows is None)


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
        (Node("x", "TransformerEncoderLayer", {"nhead": 2, "dim_feedforward": 16}), "in", "Make x causal"),
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


def test_a_layer_that_was_left_as_wide_as_the_vocabulary_takes_the_width_of_what_it_is_added_to(make_graph: MakeGraph) -> None:
    graph = make_graph().disconnect(Edge("block_1", "norm"))
    for name, kind in (("up", "Linear"), ("act", "GELU"), ("down", "Linear"), ("add", "Add")):
        graph = graph.add(Node(name, kind))
    for source, target, port in (
        ("block_1", "up", "in"), ("up", "act", "in"), ("act", "down", "in"), ("block_1", "add", "in"), ("down", "add", "in_2"),
        ("add", "norm", "in"),
    ):  # fmt: skip
        graph = graph.connect(source, target, port)
    planned = plan(graph, V)
    found = repair(planned, planned.issues[0])
    assert found.label == f"Set out_features of down to {planned.shapes['block_1'][-1].size}"
    assert not plan(found.graph, V).issues


def test_what_is_narrower_is_made_as_wide_before_it_is_added(make_graph: MakeGraph) -> None:
    graph = between(make_graph(blocks=2), Node("narrow", "Linear", {"out_features": 5}), Node("sum", "Add"))
    graph = graph.connect("block_1", "narrow").connect("norm", "sum").connect("narrow", "sum", "in_2").connect("sum", "head")
    found = first_repair(plan(graph, V))
    assert found.label == "Insert Linear of width 8 between narrow and sum" and plan(found.graph, V).issues == ()


def mended(graph: Graph, vocabulary: int | None = V, labels: int | None = None) -> list[str]:
    """The labels of the first repairs, one after the other, until no fault is left."""
    said: list[str] = []
    while (planned := plan(graph, vocabulary, labels)).issues:
        found = repair(planned, next(issue for issue in planned.issues if issue.follows is None))
        assert found and len(said) < 5, (said, planned.issues)
        said, graph = [*said, found.label], found.graph
    return said


EXAMPLES = Path(__file__).parents[1] / "examples"
# name: a graph that is broken, and what the buttons say until it is whole
WAYS: dict[str, tuple[Callable[[Graph], Graph], list[str]]] = {
    "a source alone": (
        lambda g: Graph(nodes=(g.node("data"),)), ["Add an Embedding and a Linear and a Loss behind data"],
    ),
    "a loss alone": (
        lambda g: Graph(nodes=(g.node("loss"),)), ["Add Shakespeare and an Embedding and a Linear before loss"],
    ),
    "a loss behind the source": (
        lambda g: Graph(nodes=(g.node("data"), g.node("loss")), edges=(Edge("data", "loss"),)),
        ["Insert Embedding and Linear between data and loss"],
    ),
    "no source": (lambda g: g.remove("data"), ["Add Shakespeare before embedding"]),
    "no embedding": (lambda g: g.remove("embedding"), ["Put Embedding between data and positions"]),
    "no head": (lambda g: g.remove("head"), ["Put Linear between norm and loss"]),
    "embedding bypassed": (lambda g: g.with_bypass("embedding", True), ["Switch the bypass of embedding off"]),
    "two sources into one port": (
        lambda g: g.add(Node("more", "Shakespeare")).connect("more", "embedding"), ["Delete more"],
    ),
    "another source took its place": (
        lambda g: g.disconnect(Edge("data", "embedding")).add(Node("more", "Shakespeare")).connect("more", "embedding"),
        ["Delete data"],
    ),
    "an edge turned round": (
        lambda g: g.disconnect(Edge("block_1", "block_2")).connect("block_2", "block_1"), ["Turn the edge from block_2 round"],
    ),
    "the loss before the head": (
        lambda g: g.disconnect(Edge("norm", "head")).disconnect(Edge("head", "loss")).connect("norm", "loss").connect(
            "loss", "head"), ["Put head before loss"],
    ),
    "a node that nothing is connected to": (lambda g: g.add(Node("x", "LayerNorm")), ["Delete x"]),
    "two nodes that nothing else is connected to": (
        lambda g: g.add(Node("x", "LayerNorm")).add(Node("y", "GELU")).connect("x", "y"),
        ["Delete x and 1 connected to it alone"],
    ),
    "an edge from the source past the embedding": (
        lambda g: g.disconnect(Edge("embedding", "positions")).connect("data", "positions"),
        ["Connect embedding to positions instead of data"],
    ),
    "a layer in the middle as wide as the vocabulary": (
        lambda g: between(g, Node("x", "Linear"), Node("y", "GPTBlock", {"nhead": 2})).connect("norm", "x").connect(
            "x", "y").connect("y", "head"), ["Set out_features of x to 8"],
    ),
    "width in every block": (
        lambda g: g.with_param("block_1", "d_model", 16).with_param("block_2", "d_model", 16),
        ["Set embedding_dim of embedding to 16"],
    ),
    "heads in every block": (
        lambda g: g.with_param("block_1", "nhead", 3).with_param("block_2", "nhead", 3), ["Set nhead of 2 nodes to 2"],
    ),
    "a fault behind a fault": (
        lambda g: g.with_param("block_1", "d_model", 16).with_param("head", "out_features", 7),
        ["Set d_model of block_1 to auto", "Set out_features of head to auto"],
    ),
    "an Embedding behind an Embedding": (
        lambda g: g.disconnect(Edge("embedding", "positions")).add(Node("e", "Embedding")).connect("embedding", "e").connect(
            "e", "positions"), ["Take e out of the chain"],
    ),
    "a gap between the ports of an Add": (
        lambda g: between(g, Node("sum", "Add")).connect("norm", "sum").connect("block_1", "sum", "in_3").connect(
            "sum", "head"),
        ["Connect block_1 to in_2 instead of in_3"],
    ),
    "a later block led back into an Add": (
        lambda g: g.disconnect(Edge("positions", "block_1")).add(Node("sum", "Add")).connect("positions", "sum").connect(
            "block_2", "sum", "in_2").connect("sum", "block_1"), ["Take sum out of the chain"],
    ),
    "a vector of a text beside those of tokens": (
        lambda g: between(g, Node("pool", "Pool"), Node("sum", "Add")).connect("block_1", "pool").connect(
            "norm", "sum").connect("pool", "sum", "in_2").connect("sum", "head"), ["Take pool out of the chain"],
    ),
    "joined in time": (
        lambda g: between(g, Node("both", "Concat", {"dim": "time"})).connect("norm", "both").connect(
            "block_1", "both", "in_2").connect("both", "head"), ["Set dim of both to width"],
    ),
    "a decoder without memory": (
        lambda g: between(g, Node("x", "TransformerDecoderLayer", {"nhead": 2})).connect("norm", "x", "tgt").connect(
            "x", "head"),
        ["Make it TransformerEncoderLayer, causal"],
    ),
    "a number as a text": (lambda g: g.with_param("block_1", "nhead", "2"), ["Set nhead of block_1 to 2"]),
    "a whole number with a point": (lambda g: g.with_param("block_1", "nhead", 2.0), ["Set nhead of block_1 to 2"]),
    "1 for true": (lambda g: g.with_param("head", "bias", 1), ["Set bias of head to True"]),
    "no heads at all": (
        lambda g: g.with_param("embedding", "embedding_dim", 15).with_param("block_2", "nhead", 1).with_param(
            "block_1", "nhead", 0), ["Set nhead of block_1 to 1"],
    ),
    "a name that is nearly right": (
        lambda g: g.without_param("block_1", "nhead").with_param("block_1", "n_head", 2), ["Make it nhead=2"],
    ),
    "a setting without effect": (lambda g: g.with_training("momentum", 0.5), ["Remove momentum"]),
    "a tied head with rows of its own": (
        lambda g: g.with_param("head", "tie_to", "embedding").with_param("head", "out_features", V + 9),
        ["Set out_features of head to auto"],
    ),
    "weights shared in a circle": (
        lambda g: g.with_param("head", "tie_to", "embedding").with_param("embedding", "tie_to", "head"),
        ["Leave tie_to of embedding empty"],
    ),
    "an id in another script": (
        lambda g: replace(g, nodes=tuple(replace(n, id="块 1") if n.id == "norm" else n for n in g.nodes), edges=tuple(
            Edge("块 1" if e.source == "norm" else e.source, "块 1" if e.target == "norm" else e.target) for e in g.edges)),
        ["Rename it to 块_1"],
    ),
    "a kind of torch": (
        lambda g: replace(g, nodes=tuple(replace(n, kind="TransformerEncodeLayer", params={"nhead": 2}) if n.id == "block_1"
                                         else n for n in g.nodes)), ["Make it TransformerEncoderLayer, causal"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_the_first_button_does_what_a_person_would(way: str, make_graph: MakeGraph) -> None:
    broken, said = WAYS[way]
    assert mended(broken(make_graph(blocks=2))) == said


@pytest.mark.parametrize(
    ("name", "broken", "said"),
    [
        ("classifier", lambda g: g.remove("pool"), ["Put Pool between encoder and head"]),
        ("classifier", lambda g: g.with_bypass("pool", True), ["Switch the bypass of pool off"]),
        ("classifier", lambda g: g.with_param("data", "type", "Text"), ["Set type of data to Labelled"]),
        ("classifier", lambda g: g.remove("data"), ["Add CustomData of type Labelled before embedding"]),
        ("encoder-decoder", lambda g: g.with_param("data", "type", "Text"), ["Set type of data to Pairs"]),
        ("encoder-decoder", lambda g: g.remove("embedding"), ["Put Embedding between data and positions of width 64"]),
        ("masked-encoder", lambda g: g.remove("loss"), ["Add a Loss with target Masked behind head"]),
    ],
)
def test_an_example_is_mended_into_what_it_was(name: str, broken: Callable[[Graph], Graph], said: list[str]) -> None:
    graph = from_json((EXAMPLES / f"{name}.json").read_text())
    assert mended(broken(graph), 100, 2 if name == "classifier" else None) == said


def test_no_repair_makes_a_layer_in_the_middle_as_wide_as_the_vocabulary(make_graph: MakeGraph) -> None:
    pinned = {"d_model": 8, "nhead": 5, "dim_feedforward": 16}
    planned = plan(between(make_graph(), Node("x", "GPTBlock", pinned)).connect("norm", "x").connect("x", "head"), 40)
    found = repair(planned, planned.issues[0])
    assert found.label == "Set nhead of x to 4"
    wide = planned.graph.without_param("x", "d_model").add(Node("wide", "Linear", {"out_features": 40}))
    wide = wide.disconnect(Edge("norm", "x")).connect("norm", "wide").connect("wide", "x")
    assert not made_middles(wide, wide) and made_middles(wide, wide.with_param("wide", "out_features", "auto"))
    assert made_middles(planned.graph, wide.without_param("wide", "out_features"))


def test_a_repair_tells_how_many_faults_show_behind_it(make_graph: MakeGraph) -> None:
    planned = plan(make_graph(blocks=2).with_param("block_1", "d_model", 16).with_param("head", "out_features", 7), V)
    assert repair(planned, planned.issues[0]).shows == 1


def test_a_value_of_another_type_is_an_edit_of_its_own(make_graph: MakeGraph, tmp_path: Path) -> None:
    graph = make_graph().with_param("head", "bias", 1)
    name = documents.create(tmp_path, graph)
    planned = plan(graph, V)
    found = repair(planned, planned.issues[0])
    documents.update(tmp_path, name, lambda _: found.graph)
    assert documents.load(tmp_path, name).node("head").params["bias"] is True


def test_a_fault_that_hid_one_of_the_text_is_mended_and_the_text_is_not_mended_by_taking_its_name_away(
    make_graph: MakeGraph,
) -> None:
    def again(graph: Graph) -> Plan:
        """As the page looks at a graph: no text is looked for while its source has a fault."""
        planned = plan(graph, V)
        named = graph.node("data").params.get("path")
        field = "path" if named is not None else None
        text = Issue("data", field, f"there is no file {named!r}")
        return planned if planned.issues_of("data") else replace(planned, calls=(), issues=(text, *planned.issues))

    hidden = again(make_graph({"path": "x", "type": "Numpy"}))
    found = repair(hidden, hidden.issues[0], again)
    assert found and (found.label, found.shows) == ("Set type of data to Text", 1)
    shown = again(found.graph)
    assert [issue.field for issue in shown.issues] == ["path"] and repair(shown, shown.issues[0], again) is None
