"""Broken graphs: each fault is pinned to its node and field and says what was found and what was expected."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from conftest import MakeGraph

from cortex.builder import plan
from cortex.checks import RESERVED, Issue
from cortex.graph import Edge, Graph, Node

V = 25
Break = Callable[[Graph], Graph]


def set_to(node: str, name: str, value: object) -> Break:
    return lambda graph: graph.with_param(node, name, value)


def kind_of(node: str, kind: str) -> Break:
    return lambda graph: replace(graph, nodes=tuple(Node(old.id, kind) if old.id == node else old for old in graph.nodes))


def named(new: str) -> Break:
    """The norm under another id."""

    def rename(graph: Graph) -> Graph:
        nodes = tuple(replace(node, id=new) if node.id == "norm" else node for node in graph.nodes)
        edges = tuple(
            Edge(new if edge.source == "norm" else edge.source, new if edge.target == "norm" else edge.target)
            for edge in graph.edges
        )
        return replace(graph, nodes=nodes, edges=edges)

    return rename


def wide(graph: Graph) -> Graph:
    return graph.with_param("embedding", "embedding_dim", 128).with_param("block_1", "nhead", 5)


def cycle(graph: Graph) -> Graph:
    return graph.disconnect(Edge("positions", "block_1")).connect("block_2", "block_1")


def second_source(graph: Graph) -> Graph:
    return graph.add(Node("more", "CustomData", graph.node("data").params)).add(Node("e", "Embedding")).connect("more", "e")


def without_linear(graph: Graph) -> Graph:
    return graph.remove("head").connect("norm", "loss")


def without_embedding(graph: Graph) -> Graph:
    return graph.remove("embedding").connect("data", "positions")


# name: how the graph is broken, node, field, what the message or the hint must say
BROKEN: dict[str, tuple[Break, str | None, str | None, tuple[str, ...]]] = {
    "unknown kind": (kind_of("norm", "LayerNrom"), "norm", "kind", ("'LayerNrom'", "did you mean LayerNorm?")),
    "kind like none": (kind_of("norm", "zzz"), "norm", "kind", ("'zzz'", "expected one of Shakespeare")),
    "unknown setting": (set_to("norm", "epsilon", 1.0), "norm", "epsilon", ("epsilon", "normalized_shape, eps")),
    "wrong type": (set_to("block_1", "nhead", "two"), "block_1", "nhead", ("nhead='two'", "whole number from 1 to 1,024")),
    "number as text": (set_to("block_1", "nhead", "2"), "block_1", "nhead", ("nhead='2'", "whole number")),
    "true for a number": (set_to("block_1", "nhead", True), "block_1", "nhead", ("nhead=True", "whole number")),
    "fraction for a whole number": (set_to("positions", "max_len", 64.0), "positions", "max_len", ("64.0", "whole number")),
    "below the range": (set_to("data", "batch_size", 0), "data", "batch_size", ("batch_size=0", "from 1 to 65,536")),
    "above the range": (set_to("positions", "dropout", 1.5), "positions", "dropout", ("dropout=1.5", "from 0 to 0.95")),
    "no such option": (set_to("loss", "kind", "MAE"), "loss", "kind", ("kind='MAE'", "CrossEntropy")),
    "auto where it means nothing": (set_to("block_1", "nhead", "auto"), "block_1", "nhead", ("nhead='auto'", "whole number")),
    "heads do not divide": (wide, "block_1", "nhead", ("nhead=5", "d_model=128", "try 4 or 8")),
    "width contradicts": (set_to("block_1", "d_model", 16), "block_1", "d_model", ("d_model=16", "incoming width, 8", "auto")),
    "width out of range": (set_to("block_1", "d_model", 0), "block_1", "d_model", ("d_model=0", "whole number from 1")),
    "norm contradicts": (set_to("norm", "normalized_shape", 4), "norm", "normalized_shape", ("=4", "incoming width, 8")),
    "head contradicts": (set_to("head", "in_features", 9), "head", "in_features", ("in_features=9", "incoming width, 8")),
    "longer than the positions": (set_to("data", "seq_len", 65), "positions", "max_len", ("max_len=64", "seq_len=65")),
    "too few embeddings": (set_to("embedding", "num_embeddings", 24), "embedding", "num_embeddings", ("=24", "25 tokens")),
    "too few scores": (set_to("head", "out_features", 24), "loss", None, ("width 24", "25 tokens", "out_features of head")),
    "no linear": (without_linear, "loss", None, ("received width 8", "25 tokens", "put a Linear before it")),
    "no embedding": (without_embedding, "positions", None, ("token numbers B×T", "B×T×width", "put an Embedding")),
    "missing input": (lambda graph: graph.disconnect(Edge("norm", "head")), "head", "in", ("nothing is connected", "edge")),
    "two into one port": (lambda graph: graph.connect("positions", "head"), "head", "in", ("2 sources", "norm, positions")),
    "unknown port": (lambda graph: graph.connect("positions", "head", "key"), "head", "key", ("no input port 'key'", "in")),
    "into a source": (lambda graph: graph.connect("norm", "data"), "data", "in", ("takes no input", "remove the edge")),
    "out of a loss": (
        lambda graph: graph.add(Node("after", "LayerNorm")).connect("loss", "after"),
        "after",
        "in",
        ("loss is a loss", "remove this edge"),
    ),
    "second source": (second_source, "more", None, ("second data source beside data", "keep one")),
    "no source": (lambda graph: graph.remove("data"), None, None, ("no data source", "Shakespeare")),
    "no loss": (lambda graph: graph.remove("loss"), None, None, ("no Loss", "Linear")),
    "empty": (lambda graph: Graph(), None, None, ("no data source",)),
    "dangling": (lambda graph: graph.add(Node("n", "LayerNorm")).connect("norm", "n"), "n", None, ("goes nowhere", "delete")),
    "cycle": (cycle, "block_1", None, ("cycle: block_1 -> block_2 -> block_1", "remove one edge")),
    "onto itself": (lambda g: g.disconnect(Edge("block_2", "norm")).connect("norm", "norm"), "norm", None, ("norm -> norm",)),
    "min_frequency of bpe": (
        lambda g: g.with_param("data", "tokenizer", "bpe").with_param("data", "min_frequency", 3),
        "data",
        "min_frequency",
        ("min_frequency=3", "no effect unless tokenizer is word"),
    ),
    "bpe smaller than bytes": (
        lambda g: g.with_param("data", "tokenizer", "bpe").with_param("data", "vocab_size", 256),
        "data",
        "vocab_size",
        ("vocab_size=256", "256 bytes", "at least 257"),
    ),
    "nothing left to train on": (
        lambda g: g.with_param("data", "validation", 0.6).with_param("data", "test", 0.4),
        "data",
        "validation",
        ("100%", "10 %"),
    ),
    **{
        f"id {name!r}": (named(name), name, "id", (repr(name), says))
        for name, says in [
            ("training", "torch uses"),
            ("forward", "torch uses"),
            ("logits", "torch uses"),
            ("parameters", "torch uses"),
            ("class", "cannot name a node"),
            ("a b", "cannot name a node"),
            ("_x", "cannot name a node"),
            ("2nd", "cannot name a node"),
            ("a.b", "cannot name a node"),
            ("", "cannot name a node"),
        ]
    },
}


@pytest.fixture
def graph(make_graph: MakeGraph) -> Graph:
    return make_graph(blocks=2)


@pytest.mark.parametrize("case", BROKEN)
def test_a_fault_names_its_node_and_field_and_what_was_expected(graph: Graph, case: str) -> None:
    broken, node, field, says = BROKEN[case]
    planned = plan(broken(graph), V)
    found = [issue for issue in planned.issues if (issue.node, issue.field) == (node, field)]
    assert found, planned.issues
    assert planned.calls == ()
    for part in says:
        assert any(part in f"{issue.message}; {issue.hint}" for issue in found), (part, found)
    assert all("None" not in str(issue) and "\n" not in str(issue) for issue in planned.issues)


@pytest.mark.parametrize("case", BROKEN)
def test_what_only_follows_comes_after_its_root_and_names_it(graph: Graph, case: str) -> None:
    issues = plan(BROKEN[case][0](graph), V).issues
    roots = [issue for issue in issues if issue.follows is None]
    assert roots and list(issues[: len(roots)]) == roots
    at_fault = {issue.node for issue in roots}
    for issue in issues[len(roots) :]:
        assert issue.follows in at_fault and issue.follows != issue.node and issue.follows in issue.message


@pytest.mark.parametrize("case", BROKEN)
def test_a_fault_is_told_once(graph: Graph, case: str) -> None:
    issues = [issue for issue in plan(BROKEN[case][0](graph), V).issues if issue.follows is None]
    fields = [(issue.node, issue.field) for issue in issues if issue.node and issue.field]
    assert len(fields) == len(set(fields)), issues


def test_a_sound_graph_has_no_issue(graph: Graph) -> None:
    assert plan(graph).issues == () and plan(graph, V).issues == ()


def test_everything_behind_a_fault_waits_for_that_node(graph: Graph) -> None:
    issues = plan(graph.with_param("block_1", "d_model", 16), V).issues
    assert [(issue.node, issue.follows) for issue in issues] == [
        ("block_1", None),
        *((node, "block_1") for node in ("block_2", "norm", "head", "loss")),
    ]


def test_what_lies_behind_a_cycle_waits_for_the_cycle(graph: Graph) -> None:
    issues = plan(cycle(graph), V).issues
    assert {issue.node for issue in issues if "stands in a cycle: " in issue.message} == {"block_1"}
    assert {issue.node: issue.follows for issue in issues if issue.follows} == dict.fromkeys(
        ("block_2", "norm", "head", "loss"), "block_1"
    )  # one cycle is one fault


def test_all_faults_are_told_together_also_behind_a_broken_wire(graph: Graph) -> None:
    broken = graph.disconnect(Edge("positions", "block_1")).with_param("block_2", "nhead", 0).with_training("lr", 0)
    fields = {(issue.node, issue.field) for issue in plan(broken, V).issues}
    assert {("block_1", "in"), ("block_2", "nhead"), (None, "training.lr")} <= fields


def test_an_unused_embedding_row_is_no_fault(graph: Graph) -> None:
    roomy = graph.with_param("embedding", "num_embeddings", V + 7).with_param("head", "out_features", V + 7)
    assert plan(roomy, V).issues == ()


def test_every_name_that_the_model_class_uses_is_reserved() -> None:
    from cortex.builder import Model

    assert {name for name in dir(Model) if not name.startswith("_")} <= RESERVED
    assert {"training", "forward", "T_destination", "loss_weights", "new_cache"} <= RESERVED


def test_an_issue_reads_as_one_line() -> None:
    assert str(Issue("block", "nhead", "nhead=5 must divide", "try 4")) == "block.nhead: nhead=5 must divide; try 4"
    assert str(Issue(None, None, "there is no Loss")) == "graph: there is no Loss"


def test_a_long_cycle_is_told_in_less_than_two_seconds() -> None:
    nodes = [Node(f"n{number}", "LayerNorm") for number in range(300)]
    edges = [Edge(a.id, b.id) for a, b in itertools.pairwise([*nodes, nodes[0]])]
    started = time.process_time()
    issues = plan(Graph("ring", tuple(nodes), tuple(edges)), V).issues
    assert sum("cycle" in issue.message for issue in issues) == 300
    assert time.process_time() - started < 2


def test_a_cycle_is_told_also_where_it_is_closed_by_a_second_source(graph: Graph) -> None:
    messages = [issue.message for issue in plan(graph.connect("norm", "block_1"), 100).issues]
    assert any(message.startswith("2 sources go into one port") for message in messages)
    assert any("stands in a cycle" in message for message in messages)


@pytest.mark.parametrize(
    ("node", "name", "value"),
    [("loss", "target", "next"), ("data", "type", "Prose"), ("data", "tokenizer", "words"), ("data", "split", "thirds")],
)
def test_a_choice_that_is_none_is_the_only_root(graph: Graph, node: str, name: str, value: str) -> None:
    graph = graph.with_param("data", "min_frequency", 1).with_param("data", "validation", 0.1)
    issues = plan(graph.with_param(node, name, value), V).issues
    assert [(issue.node, issue.field) for issue in issues if issue.follows is None] == [(node, name)]


@pytest.mark.parametrize("value", [[1], 3, "x" * 5000, None])
def test_a_name_that_is_none_is_told_once_and_shortly(graph: Graph, value: object) -> None:
    (issue,) = plan(graph.with_param("head", "tie_to", value), V).issues
    assert (issue.node, issue.field) == ("head", "tie_to") and len(str(issue)) < 200


def test_a_setting_that_is_nearly_one_is_told_with_the_one_that_was_meant(graph: Graph) -> None:
    (issue,) = plan(graph.with_param("block_1", "n_head", 2), V).issues
    assert issue.hint == "did you mean nhead?"


@pytest.mark.parametrize("kind", ["Add", "Multiply"])
def test_one_vector_a_text_does_not_fit_beside_one_for_each_token(graph: Graph, kind: str) -> None:
    graph = graph.disconnect(Edge("norm", "head")).add(Node("pool", "Pool")).add(Node("sum", kind))
    graph = graph.connect("block_1", "pool").connect("norm", "sum").connect("pool", "sum", "in_2").connect("sum", "head")
    found = [issue for issue in plan(graph, V).issues if issue.follows is None]
    assert [issue.node for issue in found] == ["sum"]
    assert "norm gives B×T×8 at port in and pool gives B×8 at port in_2" in found[0].message


def test_vectors_wider_than_a_small_vocabulary_are_no_scores_yet(graph: Graph) -> None:
    (issue,) = plan(without_linear(graph), 5).issues
    assert issue.node == "loss" and "put a Linear before it" in issue.hint
    assert plan(without_linear(graph).with_param("embedding", "embedding_dim", 6), 6).issues == ()  # just as wide: they can be


def test_rotary_heads_of_an_odd_width_are_a_fault_of_their_number(graph: Graph) -> None:
    (issue,) = plan(graph.with_param("block_1", "positions", "rotary").with_param("block_1", "nhead", 8), V).issues
    assert issue.field == "nhead" and "try 4" in issue.hint
