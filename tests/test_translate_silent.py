"""What the original would have done with a document without a word: each rule of its builder that our report names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from original import block, chain, document, group, node, text

from cortex.builder import plan
from cortex.litegraph_report import in_words
from cortex.translate import Translation, translate


def said(found: Translation) -> str:
    return "\n".join(map(str, found.report.wrong_there))


def embedded(kind: str, where: str, inner: dict[str, Any] | None = None) -> dict[str, Any]:
    """A subgraph whose inside stands in the node or in its properties."""
    box = node(3, kind, "Blocks")
    (box if where == "node" else box["properties"])["subgraph"] = inner or group()
    return box


PASSED_ON = "it would have passed on what it is given"


@pytest.mark.parametrize(
    ("kind", "where", "skipped"),
    [
        ("graph/subgraph", "node", False),
        ("graph/subgraph", "properties", False),
        ("graph/embedded_subgraph", "properties", False),
        ("graph/embedded_subgraph", "node", True),
    ],
)
def test_an_inline_subgraph_whose_inside_the_builder_does_not_find_is_said(kind: str, where: str, skipped: bool) -> None:
    found = translate(text(chain(embedded(kind, where))))
    assert (f"blocks: its inside is looked for in properties.subgraph alone: {PASSED_ON}" in said(found)) == skipped
    assert plan(found.graph).issues == ()


def test_a_subgraph_in_a_subgraph_is_found_in_properties_alone() -> None:
    inner = document([node(1, "graph/input"), embedded("graph/subgraph", "node"), node(4, "graph/output")])
    outer = embedded("graph/subgraph", "node", inner)
    assert "its inside is looked for in properties.subgraph alone" in said(translate(text(chain(outer))))


def test_a_subgraph_of_several_inputs_or_outputs_is_said_to_have_had_one() -> None:
    low, high, first, second = (node(key, "graph/input") for key in (1, 2, 5, 6))
    low["pos"], first["type"], second["type"] = [0, 300], "graph/output", "graph/output"
    inner = document(
        [low, high, node(3, "GELU"), node(4, "Add"), first, second], [(1, 0, 3, 0), (3, 0, 4, 1), (2, 0, 4, 0), (4, 0, 5, 0)]
    )
    nodes = chain(block(3), node(4, "graph/subgraph", "Join", subgraph=inner))
    found = translate(text(nodes, [(1, 0, 2, 0), (2, 0, 3, 0), (2, 0, 4, 0), (3, 0, 4, 1), (4, 0, 5, 0), (5, 0, 6, 0)]))
    assert "node 4): has 2 inputs: all but the first would have been left out" in said(found)
    assert "node 4): gives 2 values: what follows would have been given them all at once, and failed" in said(found)
    assert "inputs:" not in said(translate(text(chain(embedded("graph/subgraph", "node")))))


def test_a_referenced_file_that_may_be_missing_is_said() -> None:
    files = {"blocks.json": json.dumps(group())}
    there = node(3, "graph/subgraph_ref", subgraph_name="blocks.json", subgraph_path="subgraphs/blocks.json")
    assert f"with the file 'subgraphs/blocks.json' missing {PASSED_ON}" in said(translate(text(chain(there)), beside=files))
    nowhere = node(3, "graph/subgraph_ref", subgraph_name="blocks.json")
    assert "has no subgraph_path, which alone is read" in said(translate(text(chain(nowhere)), beside=files))


def test_names_of_losses_and_optimizers_that_it_does_not_know_are_said() -> None:
    found = translate(text(chain(block(3), kind="NLL", optimizer="RMSprop")))
    assert "goal: kind='NLL' would have been CrossEntropy" in said(found)
    assert "goal: optimizer='RMSprop' would have been Adam" in said(found)
    assert {(issue.node, issue.field) for issue in plan(found.graph).issues} >= {("goal", "kind")}


def test_adamw_has_the_weight_decay_that_torch_gives_it() -> None:
    assert translate(text(chain(block(3), optimizer="AdamW"))).graph.training["weight_decay"] == 0.01
    assert "weight_decay" not in translate(text(chain(block(3)))).graph.training


def test_penn_treebank_would_always_have_been_made_up() -> None:
    assert "it looks for the files of WikiText, finds none" in said(translate(text(chain(block(3), data="PennTreebank"))))


@pytest.mark.parametrize(
    ("dim", "sentence"),
    [(1, "over the positions"), ("-2", "over the positions"), (0, "over the batch"), (-3, "over the batch")],
)
def test_a_dimension_other_than_the_width_is_said(dim: Any, sentence: str) -> None:
    nodes = chain(node(3, "Softmax", "S", dim=dim), node(4, "Concat", "C", dim=dim))
    found = translate(text(nodes, [(1, 0, 2, 0), (2, 0, 3, 0), (2, 0, 4, 0), (3, 0, 4, 1), (4, 0, 5, 0), (5, 0, 6, 0)]))
    assert [remark.node for remark in found.report.wrong_there if sentence in remark.message] == ["s", "c"]


def test_the_width_is_no_wrong_dimension() -> None:
    assert "dim=" not in said(translate(text(chain(node(3, "Softmax", dim=2)))))


def test_a_concat_says_in_which_order_and_for_which_width() -> None:
    nodes = chain(block(3), node(4, "Concat", dim=2))
    links = [(1, 0, 2, 0), (2, 0, 3, 0), (3, 0, 4, 1), (2, 0, 4, 0), (4, 0, 5, 0), (5, 0, 6, 0)]
    found = translate(text(nodes, links))
    assert "concat: its inputs would have been joined in the order in which they were linked" in said(found)
    assert "concat: what follows would have been made for the width of its first input alone" in said(found)
    assert "in the order in which" not in said(translate(text(nodes, [links[0], links[1], links[3], links[2], *links[4:]])))


def test_only_the_first_of_several_layers_that_would_be_dropped_is_said() -> None:
    found = translate(text(chain(block(3, nhead=7), node(4, "LayerNorm"), block(5, nhead=7))))
    assert [remark.node for remark in found.report.wrong_there if "does not divide" in remark.message] == ["gpt_block"]


def test_a_linear_that_says_no_width_would_have_been_as_wide_as_the_vocabulary() -> None:
    found = translate(text(chain(node(3, "Linear", "Up"), node(4, "GELU"))))
    assert "up: without out_features it would have been as wide as the vocabulary" in said(found)


# What has no counterpart and changes nothing


def test_frames_templates_and_ends_outside_subgraphs_are_left_out_and_said() -> None:
    nodes = [*chain(block(3)), node(9, "graph/output", "Stray")]
    more = {"groups": [{"title": "Front", "bounding": [0, 0, 9, 9]}], "embedded_templates": {"Spare": group()}}
    links = [(1, 2), (2, 3), (3, 4), (4, 5), (3, 9)]
    found = translate(text(nodes, links, **more))
    assert plan(found.graph).issues == ()
    first = found.report.translated[0]
    assert (first.there, first.node) == ("the whole document", "")
    assert first.changes == (
        "Stray (graph/output, node 9) left out: it stands in no subgraph, and does nothing there",
        "1 frame left out, which only frame nodes: Front",
        "1 template left out, of which no node is made: Spare",
    )
    assert in_words(found.report).startswith("5 nodes translated:\n  the whole document: Stray")


def test_a_template_of_which_a_node_is_made_is_not_missed() -> None:
    box = embedded("graph/embedded_subgraph", "properties")
    box["properties"]["template_name"] = "Pair"
    found = translate(text(chain(box), embedded_templates={"Pair": group(), "Blocks": group()}))
    assert list(found.graph.templates) == ["Pair"]
    assert found.report.translated[0].node


def test_a_subgraph_by_itself_is_told_so_in_one_line() -> None:
    (line,) = translate(json.dumps(group())).report.refused
    assert line == "this is a subgraph by itself, expected the document that refers to it, with this file beside it"


def test_flatten_is_named_with_the_pictures_that_it_is_for() -> None:
    nodes = [node(1, "MNIST"), node(2, "Flatten"), node(3, "Dense"), node(4, "Loss")]
    (line,) = translate(text(nodes)).report.refused
    assert (
        line == "for pictures, which have no place here: MNIST: MNIST (node 1); Flatten: Flatten (node 2). Nothing was imported"
    )
    assert "take Pool" in translate(text(chain(node(3, "Flatten")))).report.refused[0]


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (block(3, nhead=4.7), "gpt_block: nhead=4.7 would have been cut to 4"),
        (block(3, nhead=4.0), ""),
        (block(3, nhead=True), "gpt_block: nhead=True would have been read as 1"),
        (block(3, dim_feedforward="512.5"), "dim_feedforward='512.5' is no whole number that it can read: it would have been"),
        (
            block(3, dim_feedforward=None),
            "dim_feedforward=None is no whole number that it can read: it would have been dropped",
        ),
        (block(3, dropout=2), "gpt_block: dropout=2 is not from 0 to 1: it would have been dropped with the 2 nodes behind it"),
        (node(3, "Dropout", p="much"), "dropout: p='much' is no number that it can read: it would have been dropped"),
        (node(3, "PositionalEncoding", max_len=-5), "positional_encoding: max_len=-5 is below 0: it would have been dropped"),
        (node(3, "LeakyReLU", negative_slope=-2), ""),
    ],
)
def test_a_number_that_it_would_have_cut_or_not_been_able_to_read_is_said(made: dict[str, Any], sentence: str) -> None:
    told = said(translate(text(chain(made))))
    assert sentence in told and (sentence or not any(word in told for word in ("cut to", "dropped", "read as")))


def test_numbers_of_the_whole_run_that_it_would_have_cut_are_said_and_kept_as_faults() -> None:
    nodes = chain(epochs=4.7, lr="fast", optimizer=["Adam"])
    nodes[0]["properties"]["batch_size"] = 20.5
    found = translate(text(nodes))
    assert "goal: epochs=4.7 would have been cut to 4" in said(found)
    assert "wiki_text2: batch_size=20.5 would have been cut to 20" in said(found)
    words = in_words(found.report)
    assert "lr='fast' kept, to be mended" in words and "optimizer=['Adam'] left out" in words
    fields = {issue.field for issue in plan(found.graph).issues if issue.follows is None}
    assert fields == {"batch_size", "training.epochs", "training.lr"}


@pytest.mark.parametrize("epochs", [0, -1])
def test_no_epochs_at_all_are_said(epochs: int) -> None:
    assert f"epochs={epochs} would have trained nothing" in said(translate(text(chain(epochs=epochs))))


@pytest.mark.parametrize(
    ("type_", "known"), [("gptblock", False), ("nn/GPTBlock", False), ("RMSNorm", False), ("GPTBlock", True)]
)
def test_a_type_that_its_builder_does_not_know_by_that_name_is_said(type_: str, known: bool) -> None:
    told = said(translate(text(chain(node(3, type_)))))
    assert (f"its builder knows no type '{type_}': it would have been dropped with the 2 nodes behind it" in told) is not known


def test_links_of_one_number_are_all_kept_and_said() -> None:
    nodes = chain(block(3))
    links = [[7, key, 0, key + 1, 0, "any"] for key in range(1, 5)]
    found = translate(json.dumps({"nodes": nodes, "links": links}))
    assert "3 links with the number of a later one: left out" in said(found)
    assert len(found.graph.edges) == 4 and plan(found.graph).issues == ()
