"""What differs between two graphs, over edits by hand."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from cortex.compare import NODE_KIND, graph_difference
from cortex.edit import change_kind
from cortex.graph import Edge, Graph, Node
from cortex.graph_settings import differing, settings
from cortex.presets import preset


@pytest.fixture(scope="module")
def small() -> Graph:
    return preset("small")


def named(graph: Graph, names: dict[str, str]) -> Graph:
    """The graph with its nodes renamed, references of tied weights too."""

    def new(node_id: str) -> str:
        return names.get(node_id, node_id)

    nodes = tuple(
        Node(new(node.id), node.kind, {key: new(value) if key == "tie_to" else value for key, value in node.params.items()})
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes, edges=tuple(Edge(new(e.source), new(e.target), e.port) for e in graph.edges))


def inserted(graph: Graph, node: Node, source: str, target: str) -> Graph:
    return graph.disconnect(Edge(source, target)).add(node).connect(source, node.id).connect(node.id, target)


def test_settings_are_flat_with_their_defaults_and_the_kind_of_each_node(small: Graph) -> None:
    flat = settings(small)
    assert flat["data"] == "Shakespeare"
    assert flat["data.seq_len"] == 64
    assert flat["training.lr"] == small.training["lr"]
    assert flat["training.beta2"] == 0.999  # left out by the document
    assert (flat["loss"], flat["loss.kind"]) == ("Loss", "CrossEntropy")


def test_settings_of_a_foreign_kind_are_kept() -> None:
    flat = settings(Graph("g", (Node("a", "FromTheFuture", {"wings": 2}),), training={"warp": 9}))
    assert (flat["a"], flat["a.wings"], flat["training.warp"]) == ("FromTheFuture", 2, 9)


def test_only_what_is_not_the_same_everywhere_differs() -> None:
    first, second = {"a": 1, "b": 2, "c": True, "d": "1"}, {"a": 1.0, "b": 3, "c": 1, "d": 1}
    columns = {"x": first, "y": second, "z": {"a": 1, "b": 2, "c": 1}}
    assert differing(columns) == ["b", "c", "d"]
    assert differing({"x": {"a": 1}}) == []
    assert differing({}) == []


def test_a_graph_and_its_copy_do_not_differ(small: Graph) -> None:
    explicit = small.with_param("norm", "eps", 1e-5).move({"norm": (999.0, 9.0)}).rename("other")
    found = graph_difference(small, explicit)
    assert found.none
    assert found.in_words() == []


def test_a_changed_setting_is_said_with_both_values(small: Graph) -> None:
    found = graph_difference(small, small.with_param("block_1", "nhead", 8))
    assert [(c.node, c.setting, c.before, c.after) for c in found.changed] == [("block_1", "nhead", 4, 8)]
    assert found.in_words() == ["block_1: nhead 4 became 8"]


def test_a_renamed_node_is_the_same_node(small: Graph) -> None:
    found = graph_difference(small, named(small, {"block_2": "middle", "embedding": "words"}))
    assert found.none
    assert found.renamed == (("embedding", "words"), ("block_2", "middle"))
    assert found.in_words() == ["embedding is named words", "block_2 is named middle"]


def test_tied_weights_follow_the_name_of_their_embedding(small: Graph) -> None:
    tied = small.with_param("head", "tie_to", "embedding")
    assert graph_difference(tied, named(tied, {"embedding": "words"})).none
    assert not graph_difference(small, tied).none


def test_a_node_that_was_renamed_and_changed_is_both(small: Graph) -> None:
    after = named(small, {"block_2": "middle"}).with_param("middle", "dropout", 0.5)
    found = graph_difference(small, after)
    assert [(c.was, c.node, c.setting) for c in found.changed] == [("block_2", "middle", "dropout")]
    assert not found.added and not found.removed


def test_all_nodes_renamed_is_the_same_model(small: Graph) -> None:
    other = named(small, {node.id: f"n{index}" for index, node in enumerate(reversed(small.nodes))})
    assert graph_difference(small, other).none


def test_an_inserted_node_is_added_and_the_way_round_it_is_not_told_twice(small: Graph) -> None:
    after = inserted(small, Node("extra", "LayerNorm"), "block_1", "block_2")
    found = graph_difference(small, after)
    assert [node.id for node in found.added] == ["extra"]
    assert found.edges_removed == (Edge("block_1", "block_2"),)
    assert set(found.edges_added) == {Edge("block_1", "extra"), Edge("extra", "block_2")}
    assert found.in_words() == ["extra (LayerNorm) is added between block_1 and block_2"]
    assert graph_difference(after, small).in_words() == ["extra (LayerNorm) is removed between block_1 and block_2"]


def test_a_node_inserted_beside_a_renamed_one_leaves_that_matched(small: Graph) -> None:
    renamed = named(small, {"block_2": "mine"}).with_param("mine", "dropout", 0.3)
    before = small.with_param("block_2", "dropout", 0.3)
    after = inserted(renamed, Node("fresh", "GPTBlock", {"nhead": 8}), "block_1", "mine")
    found = graph_difference(before, after)
    assert [node.id for node in found.added] == ["fresh"]
    assert found.renamed == (("block_2", "mine"),)


def test_a_removed_node_and_one_of_its_kind_elsewhere_are_two_nodes(small: Graph) -> None:
    before = inserted(small, Node("early", "LayerNorm"), "embedding", "positions")
    after = inserted(small, Node("late", "LayerNorm"), "block_2", "block_3")
    found = graph_difference(before, after)
    assert [node.id for node in found.removed] == ["early"]
    assert [node.id for node in found.added] == ["late"]


def test_another_kind_under_the_same_name_is_a_change_of_kind(small: Graph) -> None:
    found = graph_difference(small, change_kind(small, "data", "WikiText2"))
    assert (found.changed[0].setting, found.changed[0].before, found.changed[0].after) == (
        NODE_KIND, "Shakespeare", "WikiText2",
    )  # fmt: skip
    assert found.in_words()[0] == "data: Shakespeare became WikiText2"


def test_changed_connections_are_told(small: Graph) -> None:
    after = small.disconnect(Edge("block_1", "block_2")).connect("embedding", "block_2")
    found = graph_difference(small, after)
    assert (found.edges_removed, found.edges_added) == ((Edge("block_1", "block_2"),), (Edge("embedding", "block_2"),))
    assert found.in_words() == ["block_1 no longer goes into block_2", "embedding goes into block_2"]


def test_a_renamed_branch_is_matched_by_what_it_is_connected_to() -> None:
    ends = Node("e", "Embedding"), Node("x", "Linear"), Node("y", "Loss")
    wires = [("e", "a"), ("e", "b"), ("a", "x"), ("b", "y")]
    before = Graph("g", (*ends, Node("a", "LayerNorm"), Node("b", "LayerNorm")), tuple(Edge(*wire) for wire in wires))
    after = named(before, {"a": "z", "b": "q"})
    swapped = replace(after, nodes=(*ends, after.node("q"), after.node("z")), edges=tuple(reversed(after.edges)))
    assert dict(graph_difference(before, swapped).renamed) == {"a": "z", "b": "q"}


def test_an_unconnected_graph_and_an_empty_one_compare() -> None:
    loose = Graph("g", (Node("a", "Linear"), Node("b", "Nonsense", {"x": [1]})))
    assert graph_difference(loose, Graph()).in_words() == ["a (Linear) is removed", "b (Nonsense) is removed"]
    assert graph_difference(Graph(), Graph()).none


def test_a_circle_is_compared_like_any_other_graph() -> None:
    circle = Graph("g", (Node("a", "Linear"), Node("b", "Linear")), (Edge("a", "b"), Edge("b", "a")))
    assert graph_difference(circle, named(circle, {"a": "z"})).none


def test_the_largest_graphs_are_compared_within_a_second() -> None:
    nodes = tuple(Node(f"n{i}", "LayerNorm" if i % 3 else "Linear", {"eps": 1e-5 * (i + 1)}) for i in range(2000))
    long = Graph("g", nodes, tuple(Edge(f"n{i}", f"n{i + 1}") for i in range(1999)))
    begun = time.process_time()
    found = graph_difference(long, named(long, {f"n{i}": f"m{i}" for i in range(2000)}))
    assert found.none
    assert time.process_time() - begun < 3
