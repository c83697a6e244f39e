"""Documents of the Flask original as graphs: what is kept, what is said, what is refused."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from original import block, chain, document, group, node, text

from cortex.builder import plan
from cortex.command import main
from cortex.expand import expand
from cortex.graph import Graph, from_json, to_json
from cortex.litegraph import is_litegraph
from cortex.translate import Translation, translate


def graph_of(source: str, **more: Any) -> Graph:
    found = translate(source, **more)
    assert found.graph is not None, found.report.refused
    return found.graph


def said(found: Translation) -> str:
    return "\n".join(map(str, found.report.wrong_there))


def refusal(source: str, **more: Any) -> str:
    found = translate(source, **more)
    assert found.graph is None
    return "\n".join(found.report.refused)


def test_a_gpt_of_the_original_becomes_a_graph_without_a_fault() -> None:
    graph = graph_of(
        text(chain(node(3, "PositionalEncoding", max_len=512, d_model=128), block(4), block(5), block(6), node(7, "LayerNorm")))
    )
    assert [one.kind for one in graph.nodes] == [
        "WikiText2", "Embedding", "PositionalEncoding", "GPTBlock", "GPTBlock", "GPTBlock", "LayerNorm", "Linear", "Loss",
    ]  # fmt: skip
    assert plan(graph).issues == ()
    assert plan(graph, 33_278).total == 9_147_518  # the published size of this model on WikiText-2
    assert graph.training == {"optimizer": "Adam", "lr": 0.001, "epochs": 20}
    assert from_json(to_json(graph)) == graph


def test_a_vocabulary_of_100_is_taken_from_the_data_and_said() -> None:
    found = translate(text(chain(block(3))))
    planned = plan(found.graph, 10_000)
    assert (planned.calls[1].args["num_embeddings"], planned.calls[-2].args["out_features"]) == (10_000, 10_000)
    assert "embedding: num_embeddings=100 would have been enlarged to the vocabulary" in said(found)
    assert "output: out_features=100 would have been enlarged" in said(found)


def test_a_width_that_the_original_overrides_is_taken_from_the_input_and_said() -> None:
    found = translate(text(chain(block(3, d_model=256))))
    assert "gpt_block: d_model=256 would have been overridden by the width that comes in, 128" in said(found)
    assert plan(found.graph).issues == ()


def test_heads_that_do_not_divide_are_kept_as_a_fault_of_their_node() -> None:
    found = translate(text(chain(block(3, nhead=7), block(4))))
    assert "gpt_block: nhead=7 does not divide width 128: it would have been dropped with the 3 nodes behind it" in said(found)
    assert [(issue.node, issue.field) for issue in plan(found.graph).issues if not issue.follows] == [("gpt_block", "nhead")]


def test_what_a_node_does_not_say_is_what_the_original_takes() -> None:
    graph = graph_of(text(chain(node(3, "GPTBlock"))))
    assert graph.node("gpt_block").params["nhead"] == 8
    assert graph.of_kind("WikiText2")[0].params["seq_len"] == 35


def test_numbers_written_as_texts_are_numbers() -> None:
    graph = graph_of(text(chain(block(3, nhead="4", dropout="0.2", dim_feedforward=256.0), lr="3e-4", optimizer="adamw")))
    params = graph.node("gpt_block").params
    assert (params["nhead"], params["dropout"], params["dim_feedforward"]) == (4, 0.2, 256)
    assert (graph.training["lr"], graph.training["optimizer"]) == (3e-4, "AdamW")


def test_sgd_has_the_momentum_of_the_original() -> None:
    assert graph_of(text(chain(block(3), optimizer="SGD"))).training["momentum"] == 0.9


def test_a_value_that_cannot_be_is_kept_and_told_at_its_field() -> None:
    graph = graph_of(text(chain(block(3, dropout=1.5, nhead="many"))))
    assert {issue.field for issue in plan(graph).issues if issue.node == "gpt_block"} == {"dropout", "nhead"}


def test_random_numbers_for_missing_data_are_said() -> None:
    assert "random numbers of 100 made-up tokens" in said(translate(text(chain(block(3)))))


def test_a_custom_text_keeps_its_path_and_its_length() -> None:
    nodes = chain(block(3))
    nodes[0] = node(1, "CustomData", "My text", path="novel.txt", type="Text", input_shape="64", batch_size=8)
    found = translate(text(nodes))
    params = found.graph.node("my_text").params
    assert (params["path"], params["type"], params["seq_len"], params["batch_size"]) == ("novel.txt", "Text", 64, 8)
    assert "my_text: path never reaches its trainer" in said(found)


def test_a_sequence_length_that_had_no_effect_has_one_here() -> None:
    nodes = chain(block(3))
    nodes[0]["properties"]["seq_length"] = 128
    found = translate(text(nodes))
    assert found.graph.nodes[0].params["seq_len"] == 128
    assert "a sequence length of 128 would have had no effect" in said(found)


def test_layers_on_no_path_are_kept_and_said() -> None:
    nodes = [*chain(block(3)), block(9)]
    links = [(1, 2), (2, 3), (3, 4), (4, 5), (2, 9)]
    found = translate(text(nodes, links))
    assert "gpt_block_2: is on no path from the data to a Loss: left out" in said(found)
    assert [issue.node for issue in plan(found.graph).issues] == ["gpt_block_2"]


def test_places_are_kept_from_the_corner_on() -> None:
    nodes = chain(block(3))
    nodes[1]["pos"] = {"0": 500, "1": 150}
    graph = graph_of(text(nodes))
    assert graph.layout["wikitext_2" if "wikitext_2" in graph.layout else graph.nodes[0].id] == (0.0, 0.0)
    assert graph.layout["embedding"] == (250.0, 50.0)


def test_titles_name_the_nodes_in_any_script() -> None:
    nodes = chain(block(3))
    nodes[1]["title"], nodes[2]["title"], nodes[3]["title"] = "词嵌入", "lambda", "2nd head!"
    assert [one.id for one in graph_of(text(nodes)).nodes[1:4]] == ["词嵌入", "gpt_block", "node_2nd_head"]


def test_nodes_of_one_title_get_names_of_their_own() -> None:
    graph = graph_of(text(chain(block(3), block(4), block(5))))
    assert [one.id for one in graph.of_kind("GPTBlock")] == ["gpt_block", "gpt_block_2", "gpt_block_3"]


# Subgraphs


def kinds_of(graph: Graph) -> list[str]:
    """The kinds of a graph with its subgraphs laid out."""
    return [one.kind for one in expand(graph).graph.nodes]


OPENED = ["WikiText2", "Embedding", "GPTBlock", "LayerNorm", "Linear", "Loss"]


@pytest.mark.parametrize("kind", ["graph/subgraph", "graph/embedded_subgraph"])
@pytest.mark.parametrize("where", ["properties", "node"])
def test_an_embedded_subgraph_is_a_card_with_a_template(kind: str, where: str) -> None:
    outer = node(3, kind, "Blocks", **({"subgraph": group()} if where == "properties" else {}))
    if where == "node":
        outer["subgraph"] = group()
    graph = graph_of(text(chain(outer)))
    assert [one.kind for one in graph.nodes] == ["WikiText2", "Embedding", "Subgraph", "Linear", "Loss"]
    assert list(graph.templates) == ["Blocks"]
    assert plan(graph).issues == ()
    assert kinds_of(graph) == OPENED
    assert graph.layout["blocks"] == (500.0, 0.0)


def test_subgraphs_inside_subgraphs_are_templates_inside_templates() -> None:
    inner = document([node(1, "graph/input"), node(2, "graph/subgraph", "Inner", subgraph=group()), node(3, "graph/output")])
    graph = graph_of(text(chain(node(3, "graph/subgraph", "Outer", subgraph=inner))))
    assert plan(graph).issues == ()
    assert set(graph.templates) == {"Inner", "Outer"}
    assert kinds_of(graph) == OPENED


def test_a_referenced_subgraph_is_read_from_the_file_beside_and_its_template_shared() -> None:
    reference = node(3, "graph/subgraph_ref", "Group", subgraph_name="blocks.json", subgraph_path="subgraphs/blocks.json")
    again = {**reference, "id": 4}
    graph = graph_of(text(chain(reference, again)), beside={"blocks.json": json.dumps(group())})
    assert list(graph.templates) == ["blocks"]
    assert kinds_of(graph).count("GPTBlock") == 2
    assert plan(graph).issues == ()


def test_different_subgraphs_of_one_name_are_different_templates() -> None:
    wide = group()
    wide["nodes"][1]["properties"]["dim_feedforward"] = 64
    nodes = [node(3, "graph/subgraph", "Block", subgraph=group()), node(4, "graph/subgraph", "Block", subgraph=wide)]
    assert list(graph_of(text(chain(*nodes))).templates) == ["Block", "Block 2"]


def test_a_subgraph_with_two_inputs_has_its_ports_from_top_to_bottom() -> None:
    low, high = node(1, "graph/input", name="low"), node(2, "graph/input", name="high")
    low["pos"], high["pos"] = [0, 300], [0, 100]
    inner = document(
        [low, high, node(3, "GELU"), node(4, "Add"), node(5, "graph/output")],
        [(1, 0, 3, 0), (3, 0, 4, 1), (2, 0, 4, 0), (4, 0, 5, 0)],
    )
    nodes = [*chain(block(3), node(4, "graph/subgraph", "Join", subgraph=inner))]
    links = [(1, 0, 2, 0), (2, 0, 3, 0), (2, 0, 4, 0), (3, 0, 4, 1), (4, 0, 5, 0), (5, 0, 6, 0)]
    graph = graph_of(text(nodes, links))
    assert graph.templates["Join"].inputs == {"in": (("add", "in"),), "in_2": (("gelu", "in"),)}
    assert {(edge.source, edge.port) for edge in graph.into("join")} == {("embedding", "in"), ("gpt_block", "in_2")}
    assert plan(graph).issues == ()


def test_a_subgraph_of_two_values_is_opened_and_said() -> None:
    inner = document(
        [node(1, "graph/input"), block(2), node(3, "LayerNorm"), node(4, "graph/output"), node(5, "graph/output")],
        [(1, 2), (2, 3), (2, 4), (3, 5)],
    )
    nodes = [*chain(node(3, "graph/subgraph", "Two", subgraph=inner), node(4, "Add"))]
    found = translate(text(nodes, [(1, 0, 2, 0), (2, 0, 3, 0), (3, 0, 4, 0), (3, 1, 4, 1), (4, 0, 5, 0), (5, 0, 6, 0)]))
    assert found.graph.templates == {}
    assert "subgraphs are opened" in found.report.translated[0].changes[0]
    assert plan(found.graph).issues == ()


def test_a_fault_inside_a_subgraph_is_told_at_its_card() -> None:
    inner = group()
    inner["nodes"][1]["properties"]["nhead"] = 7
    found = translate(text(chain(node(3, "graph/subgraph", "Blocks", subgraph=inner))))
    (remark,) = [remark for remark in found.report.wrong_there if "nhead=7" in remark.message]
    assert (remark.node, remark.there) == ("blocks", "GPTBlock (node 2) in Blocks")
    assert {issue.node for issue in plan(found.graph).issues if not issue.follows} == {"blocks"}


def test_a_referenced_subgraph_that_is_not_there_is_one_line() -> None:
    line = refusal(text(chain(node(3, "graph/subgraph_ref", subgraph_name="../blocks.json"))))
    assert line.count("\n") == 0
    assert 'nodes[2]: the subgraph "blocks.json" is not beside the document, expected that file' in line


def test_a_subgraph_inside_itself_is_refused() -> None:
    inner = document([node(1, "graph/input"), node(2, "graph/subgraph_ref", subgraph_name="a.json"), node(3, "graph/output")])
    whole = text(chain(node(3, "graph/subgraph_ref", subgraph_name="a.json")))
    assert "is inside itself" in refusal(whole, beside={"a.json": json.dumps(inner)})


def test_files_that_multiply_are_refused_before_they_fill_the_memory() -> None:
    def many(name: str) -> str:
        references = [node(key, "graph/subgraph_ref", subgraph_name=name) for key in range(2, 12)]
        return json.dumps(document([node(1, "graph/input"), *references, node(12, "graph/output")]))

    files = {f"{level}.json": many(f"{level + 1}.json") for level in range(9)} | {"9.json": json.dumps(group())}
    assert "more than 2,000 nodes" in refusal(text(chain(node(3, "graph/subgraph_ref", subgraph_name="0.json"))), beside=files)


def test_an_empty_subgraph_passes_on_what_it_is_given() -> None:
    empty = document([node(1, "graph/input"), node(2, "graph/output")])
    found = translate(text(chain(node(3, "graph/subgraph", "Nothing", subgraph=empty), block(4))))
    assert plan(found.graph).issues == ()
    assert "Nothing (graph/subgraph, node 3): is empty" in said(found)


# Kinds beyond the chain


@pytest.mark.parametrize(
    ("kind", "settings", "here"),
    [
        ("MultiheadAttention", {"embed_dim": 128, "num_heads": 4}, {"num_heads": 4, "causal": True}),
        ("TransformerEncoderLayer", {"d_model": 128, "nhead": 4}, {"nhead": 4, "causal": True}),
        ("TransformerEncoder", {"nhead": 4, "num_layers": 2}, {"nhead": 4, "num_layers": 2, "causal": True}),
    ],
)
def test_attention_that_leaked_is_causal_here(kind: str, settings: dict[str, Any], here: dict[str, Any]) -> None:
    found = translate(text(chain(node(3, kind, **settings))))
    params = found.graph.of_kind(kind)[0].params
    assert {name: params.get(name) for name in here} == here
    assert "the very token it is to predict" in said(found)
    assert plan(found.graph).issues == ()


def test_a_decoder_without_memory_is_told_at_its_port() -> None:
    found = translate(text(chain(node(3, "TransformerDecoder", d_model=128, nhead=4, num_layers=2))))
    assert "it is given no memory" in said(found)
    assert [issue.node for issue in plan(found.graph).issues if not issue.follows] == ["transformer_decoder"]


def test_every_layer_that_is_not_for_pictures_becomes_one() -> None:
    layers = ["ReLU", "GELU", "SiLU", "Sigmoid", "Tanh", "Identity", "LeakyReLU", "Dropout", "LayerNorm"]
    graph = graph_of(text(chain(*(node(3 + at, kind) for at, kind in enumerate(layers)))))
    assert [one.kind for one in graph.nodes[2:-2]] == layers
    assert graph.node("dropout").params == {"p": 0.5}
    assert plan(graph).issues == ()


def test_a_residual_drawn_by_hand_is_one_here() -> None:
    nodes = chain(node(3, "Linear", "Up", out_features=128), node(4, "Dense", "Down", out_features=128), node(5, "Add"))
    links = [(1, 0, 2, 0), (2, 0, 3, 0), (3, 0, 4, 0), (4, 0, 5, 1), (2, 0, 5, 0), (5, 0, 6, 0), (6, 0, 7, 0)]
    found = translate(text(nodes, links))
    assert plan(found.graph).issues == ()
    assert {(edge.source, edge.port) for edge in found.graph.into("add")} == {("embedding", "in"), ("down", "in_2")}
    assert "up: out_features=128, in the middle of the model, would have been enlarged" in said(found)


def test_concat_joins_vectors_and_says_what_it_did_there() -> None:
    nodes = chain(block(3), node(4, "Concat", dim=1))
    links = [(1, 0, 2, 0), (2, 0, 3, 0), (2, 0, 4, 0), (3, 0, 4, 1), (4, 0, 5, 0), (5, 0, 6, 0)]
    found = translate(text(nodes, links))
    assert found.graph.node("concat").params == {"dim": "width"}
    assert "laid one behind the other" in said(found)
    assert plan(found.graph).issues == ()


# What has no place here


def test_picture_nodes_are_named_and_refused_together() -> None:
    nodes = [node(1, "MNIST"), node(2, "Conv2D"), node(3, "Conv2D", "Second"), node(4, "Linear"), node(5, "Loss")]
    line = refusal(text(nodes))
    assert line == (
        "for pictures, which have no place here: MNIST: MNIST (node 1); "
        "Conv2D: Conv2D (node 2), Second (Conv2D, node 3). Nothing was imported"
    )


def test_custom_pictures_are_refused_like_others() -> None:
    nodes = [node(1, "CustomData", type="ImageFolder", path="pictures"), node(2, "Linear"), node(3, "Loss")]
    assert "CustomData of type ImageFolder" in refusal(text(nodes))


def test_code_in_a_document_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r}, 'w')"
    line = refusal(text(chain(node(3, "CustomLayer", code=code, args=code))))
    assert "its code is not run" in line
    assert not mark.exists()


def test_a_subgraph_by_itself_is_told_so() -> None:
    assert "this is a subgraph by itself" in refusal(json.dumps(group()))


# Several losses


def test_two_losses_train_together_as_there() -> None:
    nodes = [*chain(block(3)), node(9, "Loss", "Copy", kind="CrossEntropy", target="Input", weight=0.5)]
    graph = graph_of(text(nodes, [(1, 2), (2, 3), (3, 4), (4, 5), (4, 9)]))
    assert plan(graph).issues == ()
    assert [
        (one.id, one.params["target"], one.params.get("weight")) for one in graph.of_kind("Loss") if "target" in one.params
    ] == [("copy", "Input", 0.5)]


def test_settings_of_a_second_loss_are_said_to_have_no_effect() -> None:
    nodes = [*chain(block(3)), node(9, "Loss", "Second", kind="CrossEntropy", lr=0.1, weight=0.5)]
    found = translate(text(nodes, [(1, 2), (2, 3), (3, 4), (4, 5), (4, 9)]))
    assert [one.params["weight"] for one in found.graph.of_kind("Loss") if "weight" in one.params] == [0.5]
    assert found.graph.training["lr"] == 0.001
    assert "second: lr=0.1 would have had no effect" in said(found)


# What cannot be read


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("", "a.json: not JSON: line 1 column 1: Expecting value, expected a LiteGraph document"),
        ('{"nodes": [', "a.json: not JSON: line 1 column 12: Expecting value, expected a LiteGraph document"),
        ("[]", "a.json: found [], expected an object with nodes and links"),
        ("{}", "a.json.nodes: is missing, expected a list of nodes"),
        ('{"nodes": {}}', "a.json.nodes: found {}, expected a list of nodes"),
        ('{"nodes": [1]}', "a.json.nodes[0]: found 1, expected an object"),
        ('{"nodes": [{"id": 1}]}', "a.json.nodes[0].type: found nothing, expected the name of a node type"),
        ('{"nodes": [{"type": "Linear"}]}', "a.json.nodes[0].id: found nothing, expected a whole number or a text"),
        (
            '{"nodes": [{"id": 1, "type": "Loss"}], "links": [[1]]}',
            "a.json.links[0]: found [1], expected [id, from, slot, to, slot, type]",
        ),
        ('{"nodes": [{"id": 1, "type": "A"}, {"id": 1, "type": "B"}]}',
         'a.json.nodes[1].id: found "1" a second time, expected a number of its own'),
        ('{"nodes": [{"id": 1, "type": "Loss", "properties": {"lr": NaN}}]}',
         "a.json: not JSON: found NaN, expected a LiteGraph document"),
        ("[" * 100_000, "a.json: not JSON: "),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line_of_where_what_and_expected(source: str, line: str) -> None:
    found = refusal(source, name="a.json")
    assert found.startswith(line)
    assert "\n" not in found


def test_a_document_of_ours_is_told_so() -> None:
    ours = to_json(graph_of(text(chain(block(3)))))
    assert "is a document of this CortexNodus already" in refusal(ours)
    assert not is_litegraph(ours)
    assert is_litegraph(text(chain(block(3))))


def test_links_may_be_objects_or_only_stand_in_the_slots() -> None:
    whole = json.loads(text(chain(block(3))))
    named = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    objects = {**whole, "links": [dict(zip(named, link, strict=True)) for link in whole["links"]]}
    slots = {key: value for key, value in whole.items() if key != "links"}
    for number, start, _, end, _, _ in whole["links"]:
        for one in slots["nodes"]:
            if one["id"] == start:
                one["outputs"] = [{"name": "out", "links": [number]}]
            if one["id"] == end:
                one["inputs"] = [{"name": "in", "link": number}]
    graph = graph_of(json.dumps(whole))
    assert graph_of(json.dumps(objects)) == graph == graph_of(json.dumps(slots))


def test_a_damaged_document_never_crashes_and_what_is_made_of_it_can_be_opened() -> None:
    inner = node(4, "graph/subgraph", "Blocks", subgraph=group())
    whole = text(chain(node(3, "PositionalEncoding", max_len=512), inner, block(5), node(6, "LayerNorm")))
    draw = random.Random(7)
    for _ in range(300):
        source = damaged(whole, draw)
        found = translate(source, name="a.json", beside={"b.json": whole})
        assert bool(found.report.refused) == (found.graph is None)
        if found.graph is not None:
            assert from_json(to_json(found.graph)) == found.graph
            plan(found.graph)


JUNK: list[Any] = [
    None, True, -1, 0, 1.5, 10**30, "", "auto", "7", "\0", "graph/output", "graph/subgraph_ref", "GPTBlock", "Loss", [], {},
    [1], {"nodes": []}, "b.json", "constructor", "Add", "CustomLayer", "__import__('os')", "\ud7ff", 2**63,
]  # fmt: skip


def damaged(whole: str, draw: random.Random) -> str:
    """The document with bytes cut, changed or doubled, or with values anywhere in it replaced."""
    if draw.random() < 0.3:
        at = draw.randrange(len(whole))
        return draw.choice(
            [whole[:at], whole[:at] + chr(draw.randrange(32, 127)) + whole[at + 1 :], whole[:at] + whole[at // 2 :]]
        )
    document = json.loads(whole)
    for _ in range(draw.randrange(1, 6)):
        _spoil(document, draw)
    return json.dumps(document)


def _spoil(value: Any, draw: random.Random) -> None:
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = draw.choice(keys)
    if isinstance(value[key], (dict, list)) and value[key] and draw.random() < 0.8:
        _spoil(value[key], draw)
    elif draw.random() < 0.2:
        del value[key]
    elif isinstance(value, list) and draw.random() < 0.2:
        value.append(copy.deepcopy(value[key]))
    else:
        value[key] = copy.deepcopy(draw.choice(JUNK))


# From a terminal


def test_the_verb_writes_a_graph_that_check_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "old.json", tmp_path / "new.json"
    source.write_text(text(chain(block(3))))
    assert main(["import", str(source), "-o", str(target)]) == 0
    assert "What the original would have done without a word:" in capsys.readouterr().out
    assert plan(from_json(target.read_text())).issues == ()


def test_the_verb_prints_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "old.json"
    source.write_text(text(chain(block(3, nhead=7))))
    assert main(["import", str(source), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["ok"]
    assert row["document"]["format"] == "cortexnodus/graph"
    assert [issue["field"] for issue in row["issues"] if not issue["follows"]] == ["nhead"]
    assert {"node", "there", "message"} == set(row["wrong_there"][0])


def test_the_verb_looks_for_subgraphs_beside_the_file_and_where_the_original_keeps_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "example").mkdir()
    (tmp_path / "subgraphs").mkdir()
    source = tmp_path / "example" / "old.json"
    source.write_text(text(chain(node(3, "graph/subgraph_ref", subgraph_name="blocks.json"))))
    assert main(["import", str(source)]) == 2
    assert "is not beside the document" in capsys.readouterr().err
    (tmp_path / "subgraphs" / "blocks.json").write_text(json.dumps(group()))
    assert main(["import", str(source)]) == 0


def test_the_verb_refuses_pictures_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "old.json", tmp_path / "new.json"
    source.write_text(text([node(1, "MNIST"), node(2, "Conv2D"), node(3, "Loss")]))
    assert main(["import", str(source), "-o", str(target)]) == 2
    assert "Nothing was imported" in capsys.readouterr().err
    assert not target.exists()
