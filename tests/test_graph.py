"""The Graph document: edits return new graphs, JSON goes round, and what is no graph is a GraphError and nothing else."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from cortex.graph import (
    MAX_NODES,
    Edge,
    Graph,
    GraphError,
    Node,
    from_document,
    from_json,
    model_document,
    to_document,
    to_json,
)
from cortex.presets import preset

SMALL = Graph(
    "two",
    (Node("a", "Embedding", {"embedding_dim": 8}), Node("b", "LayerNorm"), Node("c", "LayerNorm", {"eps": 0.5})),
    (Edge("a", "b"), Edge("b", "c", "in")),
    {"lr": 0.1, "optimizer": "Adam"},
    {"a": (0.0, 1.5), "b": (3, -4)},
)


# Round trips


@pytest.mark.parametrize("graph", [SMALL, Graph(), preset("small"), preset("large")], ids=lambda graph: graph.name)
def test_a_document_goes_round(graph: Graph) -> None:
    assert from_json(to_json(graph)) == graph
    assert from_document(to_document(graph)) == graph
    assert to_json(from_json(to_json(graph))) == to_json(graph)


def test_a_document_is_plain_json_that_begins_with_format_and_version() -> None:
    document = json.loads(to_json(SMALL))
    assert list(document) == ["format", "version", "name", "nodes", "edges", "training", "layout"]
    assert (document["format"], document["version"]) == ("cortexnodus/graph", 1)
    assert document["edges"][0] == {"source": "a", "target": "b", "port": "in"}


def test_what_may_be_left_out_has_its_default() -> None:
    text = '{"format": "cortexnodus/graph", "version": 1, "nodes": [{"id": "a", "kind": "K"}], "edges": []}'
    assert from_json(text) == Graph("untitled", (Node("a", "K"),))


def test_letters_of_all_languages_are_kept() -> None:
    graph = Graph("größe 大 🙂", (Node("größe", "Text", {"path": "/tmp/日本\n\t\"'\\"}),))
    assert from_json(to_json(graph)) == graph and "大" in to_json(graph)


def test_name_and_layout_are_beside_the_model() -> None:
    assert model_document(SMALL.move({"a": (9.0, 9.0)}).rename("other")) == model_document(SMALL)
    assert model_document(SMALL.with_training("lr", 0.2)) != model_document(SMALL)


# Edits


def test_an_edit_returns_a_new_graph_and_leaves_the_old_one() -> None:
    before = copy.deepcopy(SMALL)
    edits: list[Callable[[Graph], Graph]] = [
        lambda graph: graph.add(Node("d", "Linear"), (1.0, 1.0)),
        lambda graph: graph.remove("b"),
        lambda graph: graph.connect("a", "c", "key"),
        lambda graph: graph.disconnect(Edge("a", "b")),
        lambda graph: graph.with_param("a", "embedding_dim", 16),
        lambda graph: graph.without_param("c", "eps"),
        lambda graph: graph.with_training("epochs", 3),
        lambda graph: graph.move({"a": (7.0, 7.0)}),
        lambda graph: graph.rename("new"),
    ]
    for edit in edits:
        changed = edit(SMALL)
        assert changed != SMALL and before == SMALL
        assert from_json(to_json(changed)) == changed


def test_removing_a_node_takes_its_edges_and_its_place() -> None:
    left = SMALL.remove("b")
    assert "b" not in left and left.edges == () and list(left.layout) == ["a"]


def test_connecting_twice_is_once_and_needs_both_nodes() -> None:
    assert SMALL.connect("a", "b") is SMALL
    with pytest.raises(GraphError, match="there is no node z"):
        SMALL.connect("a", "z")
    with pytest.raises(GraphError, match="node a: a node of that id exists already"):
        SMALL.add(Node("a", "Linear"))
    with pytest.raises(KeyError):
        SMALL.with_param("z", "eps", 1)


def test_questions_about_a_graph() -> None:
    assert SMALL.node("c").params == {"eps": 0.5} and [node.id for node in SMALL.of_kind("LayerNorm")] == ["b", "c"]
    assert SMALL.into("b") == [Edge("a", "b")] == SMALL.out_of("a")
    assert SMALL.free_id("x") == "x" and SMALL.free_id("a") == "a_2" and SMALL.add(Node("a_2", "K")).free_id("a") == "a_3"
    assert SMALL.move({"nobody": (1.0, 1.0)}) == SMALL


# What is no graph


def document(**changed: Any) -> dict[str, Any]:
    return {**to_document(SMALL), **changed}


def nodes(**changed: Any) -> dict[str, Any]:
    return document(nodes=[{"id": "a", "kind": "K", **changed}], edges=[], layout={})


FAULTS: dict[str, tuple[Any, str]] = {
    "a list": ([], "document: found a list, expected an object with nodes and edges"),
    "a text": ("x", "found a text"),
    "nothing": (None, "found nothing"),
    "another format": (document(format="x"), 'document.format: found "x", expected "cortexnodus/graph"'),
    "no format": ({}, 'document: found an empty object, which is no graph document; expected {"format": "cortexnodus/graph"'),
    "of another program": (
        {"model_type": "gpt2", "n_layer": 12},
        'document: found an object with "model_type", "n_layer", which is',
    ),
    "newer": (document(version=2), "found 2, expected 1; a newer CortexNodus wrote this document, update to open it"),
    "version 0": (document(version=0), "document.version: found 0, expected 1"),
    "version true": (document(version=True), "document.version: found true or false, expected a whole number"),
    "unknown key": (document(colour="red"), 'found the unknown key "colour", expected format, version, name'),
    "no nodes": ({"format": "cortexnodus/graph", "version": 1, "edges": []}, "the key nodes is missing"),
    "nodes is an object": (document(nodes={}), "document.nodes: found an object, expected a list"),
    "a node is a text": (document(nodes=["a"], edges=[], layout={}), "document.nodes[0]: found a text, expected an object"),
    "a node without kind": (document(nodes=[{"id": "a"}], edges=[], layout={}), "nodes[0]: the key kind is missing"),
    "an id is a number": (nodes(id=3), "document.nodes[0].id: found a whole number, expected a text"),
    "a node with another key": (nodes(colour=1), 'document.nodes[0]: found the unknown key "colour"'),
    "params is a list": (nodes(params=[]), "document.nodes[0].params: found a list, expected an object"),
    "a param is a list": (nodes(params={"eps": [1]}), "document.nodes[0].params.eps: found a list, expected a text"),
    "a param is nothing": (nodes(params={"eps": None}), "document.nodes[0].params.eps: found nothing"),
    "a training setting is an object": (document(training={"lr": {}}), "document.training.lr: found an object"),
    "one id twice": (
        document(nodes=[{"id": "a", "kind": "K"}] * 2, edges=[], layout={}),
        'document.nodes[1].id: found "a" a second time',
    ),
    "edge from nowhere": (document(edges=[{"source": "z", "target": "a"}]), 'document.edges[0].source: found "z"'),
    "edge to nowhere": (document(edges=[{"source": "a", "target": "z"}]), 'edges[0].target: found "z", expected the id'),
    "edge without target": (document(edges=[{"source": "a"}]), "document.edges[0]: the key target is missing"),
    "edge is a number": (document(edges=[3]), "document.edges[0]: found a whole number"),
    "edge twice": (document(edges=[{"source": "a", "target": "b"}] * 2), "found a -> b.in a second time"),
    "port is a number": (document(edges=[{"source": "a", "target": "b", "port": 1}]), "edges[0].port: found a whole number"),
    "place of nobody": (document(layout={"z": [0, 0]}), 'document.layout: found "z", expected the id of a node'),
    "place of three": (document(layout={"a": [0, 0, 0]}), "document.layout.a: found [0, 0, 0], expected two numbers"),
    "place in words": (document(layout={"a": ["0", 0]}), 'document.layout.a: found ["0", 0], expected two numbers'),
    "too many": (
        document(nodes=[{"id": f"n{n}", "kind": "K"} for n in range(MAX_NODES + 1)], edges=[], layout={}),
        "document.nodes: found 2,001, expected at most 2,000",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_of_the_form_says_where_what_was_found_and_what_was_expected(case: str) -> None:
    faulty, says = FAULTS[case]
    with pytest.raises(GraphError) as caught:
        from_json(json.dumps(faulty))
    assert any(says in problem for problem in caught.value.problems), caught.value.problems
    assert all("\n" not in problem for problem in caught.value.problems)


def test_all_faults_are_listed_together() -> None:
    with pytest.raises(GraphError) as caught:
        from_document(document(nodes=[3, {"id": "a"}], edges=[{"source": "x", "target": "y"}], layout={}), "here")
    assert len(caught.value.problems) == 4 and all(problem.startswith("here.") for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON: line 1 column 1"),
        ("{", "not JSON: line 1 column 2"),
        ('{"a": 1,}', "not JSON"),
        ("\ufeff{}", "not JSON"),
        ('{"a": NaN}', "found NaN, expected a finite number"),
        ('{"a": -Infinity}', "found -Infinity"),
        ("9" * 10_000, "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"a":' * 100_000, "not JSON"),
        ("\0", "not JSON"),
    ],
    ids=["empty", "torn", "comma", "byte order mark", "NaN", "infinity", "long number", "deep list", "deep object", "zero"],
)
def test_a_text_that_is_no_json_is_a_graph_error(text: str, says: str) -> None:
    with pytest.raises(GraphError) as caught:
        from_json(text, "file.json")
    assert str(caught.value).startswith("file.json: not JSON") and says in str(caught.value)


@pytest.mark.parametrize("depth", [500, 900, 940, 970, 980, 985, 990, 995])
def test_json_nested_as_deep_as_can_be_read_is_a_graph_error_too(depth: int) -> None:
    nested = "[" * depth + "]" * depth
    for key in ("format", "nodes", "layout"):
        text = json.dumps(document(layout={"a": "DEEP"})).replace('"DEEP"', nested)
        text = text if key == "layout" else json.dumps({**document(), key: "DEEP"}).replace('"DEEP"', nested)
        with pytest.raises(GraphError):
            from_json(text)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400])
def test_a_number_past_all_floats_is_refused_or_goes_round(number: str) -> None:
    for faulty in (document(training={"lr": 3.5}), document(layout={"a": [3.5, 0]})):
        text = json.dumps(faulty).replace("3.5", number)
        try:
            graph = from_json(text)
        except GraphError:
            continue
        assert from_json(to_json(graph)) == graph


def test_half_a_character_is_refused_or_can_be_written() -> None:
    for text in (
        to_json(SMALL).replace('"two"', r'"\ud800"'),
        to_json(SMALL).replace('"Adam"', r'"\udfff"'),
        to_json(SMALL).replace('"Embedding"', r'"\ud800"'),
    ):
        try:
            graph = from_json(text)
        except GraphError:
            continue
        assert to_json(graph).encode()


ODD: list[Any] = [None, True, -1, 2**70, 1.5, 1e308, "", "a", "ü\0", [], [[]], {}, {"id": "a"}, {"": None}, [None], ["a", "b"]]


def test_whatever_is_changed_in_a_document_it_is_a_graph_or_a_graph_error() -> None:
    """A fuzzer: values anywhere in a sound document are replaced, removed or doubled, and its text is torn."""
    draw = random.Random(7)

    def places(value: Any) -> list[tuple[Any, Any]]:
        keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        return [place for key in keys for place in ((value, key), *places(value[key]))]

    sound = refused = 0
    for _ in range(3000):
        faulty = copy.deepcopy(to_document(preset("small") if draw.random() < 0.1 else SMALL))
        for _ in range(draw.choice((1, 1, 1, 2, 5))):
            holder, key = draw.choice(places(faulty))
            if draw.random() < 0.2:
                del holder[key]
            elif isinstance(holder, list) and draw.random() < 0.2:
                holder.append(copy.deepcopy(draw.choice(holder)))
            else:
                holder[key] = copy.deepcopy(draw.choice(ODD))
            if not places(faulty):
                break
        text = json.dumps(faulty)
        if draw.random() < 0.2:
            at = draw.randrange(len(text))
            text = (
                text[:at] + draw.choice(("", "]", "}", '"', "\\", "0", "e9", "\x7f", "é")) + text[at + draw.choice((0, 1, 9)) :]
            )
        try:
            graph = from_json(text)
        except GraphError as error:
            refused += 1
            assert error.problems and all(error.problems)
            continue
        sound += 1
        assert from_json(to_json(graph)) == graph
    assert sound > 100 and refused > 1000


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(GraphError, match='the key "lr" stands twice'):
        from_json('{"format": "cortexnodus/graph", "version": 1, "nodes": [], "edges": [], "training": {"lr": 1, "lr": 2}}')
