"""Subgraphs: groups of nodes as one card, laid out where a model is made, and put back, kept and loaded."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MakeGraph

from cortex.builder import build, plan, shape_text
from cortex.command import main
from cortex.graph import Edge, Graph, GraphError, Node, Template, from_document, from_json, to_document, to_json
from cortex.places import Places
from cortex.repair import repair
from cortex.templates import TemplateError, group, insert, load, needed, save, saved, ungroup

V = 25
Change = Callable[[Graph], Graph]

FFN = Template(
    (
        Node("norm", "LayerNorm"),
        Node("up", "Linear", {"out_features": 16}),
        Node("act", "GELU"),
        Node("down", "Linear", {"out_features": 8}),
        Node("sum", "Add"),
    ),
    (Edge("norm", "up"), Edge("up", "act"), Edge("act", "down"), Edge("down", "sum", "in_2")),
    {"in": (("norm", "in"), ("sum", "in"))},
    "sum",
)


def block(**attention: Any) -> Template:
    """A pre-norm block whose feed-forward half is a template of its own."""
    return Template(
        (
            Node("norm", "LayerNorm"),
            Node("att", "MultiheadAttention", {"num_heads": 2, **attention}),
            Node("sum", "Add"),
            Node("ffn", "Subgraph", {"template": "ffn"}),
        ),
        (Edge("norm", "att", "query"), Edge("att", "sum", "in_2"), Edge("sum", "ffn")),
        {"in": (("norm", "in"), ("sum", "in"))},
        "ffn",
    )


GATED = Template(
    (Node("gate", "Sigmoid"), Node("turn", "Multiply"), Node("norm", "LayerNorm")),
    (Edge("gate", "turn", "in_2"), Edge("turn", "norm")),
    {"in": (("turn", "in"),), "gate": (("gate", "in"),)},
    "norm",
)


@pytest.fixture
def graph(make_graph: MakeGraph) -> Graph:
    """A tiny graph with three copies of a block, itself made of templates, on one card."""
    chain = make_graph().remove("block_1").add(Node("blocks", "Subgraph", {"template": "block", "repeat": 3}))
    return chain.connect("positions", "blocks").connect("blocks", "norm").with_templates({"block": block(), "ffn": FFN})


def test_a_card_has_the_shape_and_the_parameters_of_all_its_copies(graph: Graph) -> None:
    planned = plan(graph, V)
    assert planned.issues == () and shape_text(planned.shapes["blocks"]) == "B×T×8"
    model = build(planned)
    assert planned.total == sum(parameter.numel() for parameter in model.parameters())
    assert planned.parameters["blocks"] == 3 * (2 * 16 + 4 * 64 + 4 * 8 + 2 * 8 * 16 + 24)
    assert set(planned.parameters) == {node.id for node in graph.nodes}
    assert {key.split(".")[0] for key in model.state_dict()} >= {"blocks_1_att", "blocks_3_ffn_1_down"}


def test_the_copies_have_weights_of_their_own_and_are_run_one_after_the_other(graph: Graph) -> None:
    torch.manual_seed(1)
    model = build(plan(graph, V)).eval()
    assert not torch.equal(model.blocks_1_att.qkv.weight, model.blocks_2_att.qkv.weight)
    tokens = torch.randint(V, (2, 7))
    x = model.positions(model.embedding(tokens))
    for copy in ("blocks_1_", "blocks_2_", "blocks_3_"):
        part = {name.removeprefix(copy): module for name, module in model.named_children() if name.startswith(copy)}
        y = part["norm"](x)
        x = x + part["att"](y, y, y)
        x = x + part["ffn_1_down"](part["ffn_1_act"](part["ffn_1_up"](part["ffn_1_norm"](x))))
    torch.testing.assert_close(model.logits(tokens), model.head(model.norm(x)))


def test_a_cache_reaches_into_the_copies(graph: Graph) -> None:
    model = build(plan(graph, V)).eval()
    tokens, cache = torch.randint(V, (2, 9)), model.new_cache()
    pieces = [model.logits(part, cache) for part in tokens.split((4, 1, 1, 3), 1)]
    torch.testing.assert_close(torch.cat(pieces, 1), model.logits(tokens), atol=1e-5, rtol=0)
    assert set(cache) == {"positions", "blocks_1_att", "blocks_2_att", "blocks_3_att"}


def test_all_ports_but_the_first_lead_to_every_copy(graph: Graph) -> None:
    gated = graph.with_templates({"gated": GATED}).with_param("blocks", "template", "gated")
    planned = plan(gated.connect("embedding", "blocks", "gate"), V)
    assert planned.issues == ()
    calls = {call.node: call.inputs for call in planned.calls}
    assert [calls[f"blocks_{copy}_gate"] for copy in (1, 2, 3)] == [("embedding",)] * 3
    assert [calls[f"blocks_{copy}_turn"][0] for copy in (1, 2, 3)] == ["positions", "blocks_1_norm", "blocks_2_norm"]


def ffn_with(**changed: Any) -> Change:
    return lambda graph: graph.with_templates({"ffn": dataclasses.replace(FFN, **changed)})


def block_with(**attention: Any) -> Change:
    return lambda graph: graph.with_templates({"block": block(**attention)})


def set_to(name: str, value: Any) -> Change:
    return lambda graph: graph.with_param("blocks", name, value)


NARROW = tuple(dataclasses.replace(node, params={"out_features": 5}) if node.id == "down" else node for node in FFN.nodes)

FAULTY: dict[str, tuple[Change, str]] = {
    "no template": (set_to("template", ""), "blocks.template: no template is chosen"),
    "gone": (set_to("template", "x"), "blocks.template: there is no template 'x' in this document"),
    "too large": (set_to("repeat", 400), "blocks.repeat: makes a graph of 3,206 nodes, expected at most 2,000"),
    "no copies": (set_to("repeat", 0), "blocks.repeat: repeat=0 is not a whole number from 1"),
    "itself": (
        ffn_with(nodes=(*FFN.nodes, Node("more", "Subgraph", {"template": "block"}))),
        "blocks.template: template block contains itself: block -> ffn -> block",
    ),
    "a loss inside": (ffn_with(nodes=(*FFN.nodes, Node("end", "Loss"))), "end, a Loss, which cannot stand in a group"),
    "a card inside without a template": (
        ffn_with(nodes=(*FFN.nodes, Node("more", "Subgraph"))),
        "template ffn has more, whose template '' is not in this document",
    ),
    "widths": (
        ffn_with(nodes=NARROW),
        "blocks: inside, ffn.sum: its inputs do not fit together: sum gives B×T×8 at port in and ffn.down gives B×T×5 at port",
    ),
    "a setting inside": (block_with(num_heads=3), "blocks: inside, att: num_heads=3 must divide embed_dim=8; try 2 or 4"),
    "cycle through it": (
        lambda graph: graph.disconnect(Edge("positions", "blocks")).connect("norm", "blocks"),
        "norm: stands in a cycle: norm -> blocks -> norm",
    ),
    "cycle inside": (
        ffn_with(edges=(*FFN.edges[1:], Edge("act", "up"))),
        "blocks: inside, ffn.up: stands in a cycle: ffn.up -> ffn.act -> ffn.up",
    ),
    "dead end inside": (
        ffn_with(nodes=(*FFN.nodes, Node("end", "GELU")), edges=(*FFN.edges, Edge("up", "end"))),
        "blocks: inside, ffn.end: its output goes nowhere",
    ),
    "open port": (lambda graph: graph.disconnect(Edge("positions", "blocks")), "blocks.in: nothing is connected to it"),
    "unknown port": (
        lambda graph: graph.connect("embedding", "blocks", "memory"),
        "blocks.memory: has no input port 'memory'; expected in",
    ),
    "sees later positions": (
        block_with(causal=False),
        "blocks: inside, att: sees later positions of port key, and loss compares",
    ),
    "a name twice": (
        lambda graph: graph.add(Node("blocks_2_att", "GELU")).connect("norm", "blocks_2_att").connect("blocks_2_att", "head"),
        "blocks.id: its part blocks_2_att has the name of another node",
    ),
}


@pytest.mark.parametrize("case", FAULTY)
def test_a_fault_is_told_once_at_the_card_with_the_way_to_it(graph: Graph, case: str) -> None:
    broken, says = FAULTY[case]
    planned = plan(broken(graph), V)
    told = [str(issue) for issue in planned.issues if issue.follows is None and says in str(issue)]
    assert len(told) == 1, planned.issues
    ids = {node.id for node in graph.nodes} | {"blocks_2_att"}
    assert planned.calls == () and all(issue.node in ids and "blocks_1" not in str(issue) for issue in planned.issues)
    assert all(issue.follows is None or (issue.follows in ids and issue.follows != issue.node) for issue in planned.issues)


MENDED = {
    "no template": "Set template of blocks to block",
    "too large": "Set repeat of blocks to 249",
    "itself": "Delete more, in template ffn",
    "a loss inside": "Delete end, in template ffn",
    "a card inside without a template": "Delete more, in template ffn",
    "widths": "Insert Linear of width 8 between down and sum, in template ffn",
    "a setting inside": "Set num_heads of att to 2, in template block",
    "cycle through it": "Connect blocks to positions instead of norm",
    "cycle inside": "Connect up to norm instead of act, in template ffn",
    "dead end inside": "Delete end, in template ffn",
    "sees later positions": "Make att causal, in template block",
}


@pytest.mark.parametrize("case", MENDED)
def test_a_fault_inside_is_mended_in_the_template(graph: Graph, case: str) -> None:
    planned = plan(FAULTY[case][0](graph), V)
    found = repair(planned, next(issue for issue in planned.issues if issue.follows is None))
    assert found and found.label == MENDED[case]
    assert plan(found.graph, V).issues == () and {node.id for node in found.graph.nodes} == {node.id for node in graph.nodes}


def test_a_document_carries_its_templates(graph: Graph) -> None:
    assert from_json(to_json(graph)) == graph
    assert "templates" not in to_document(dataclasses.replace(graph, templates={}))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("output"), "templates.ffn: the key output is missing"),
        (lambda t: t.update(more=1), 'templates.ffn: found the unknown key "more"'),
        (lambda t: t.update(output="gone"), 'templates.ffn.output: found "gone", expected the id of a node'),
        (lambda t: t.update(inputs={}), "templates.ffn.inputs: found none, expected at least one port"),
        (lambda t: t.update(inputs={"in": [["gone", "in"]]}), 'inputs.in: found "gone", expected the id'),
        (lambda t: t.update(inputs={"in": ["norm"]}), 'inputs.in: found "norm", expected [node, port]'),
        (lambda t: t.update(inputs={"in": 1}), "inputs.in: found a whole number, expected a list"),
        (lambda t: t["nodes"].append({"id": "norm", "kind": "GELU"}), 'ffn.nodes[5].id: found "norm" a second time'),
    ],
)
def test_a_template_of_a_wrong_form_is_told_where_it_is(graph: Graph, change: Callable[[dict], Any], says: str) -> None:
    document = json.loads(to_json(graph))
    change(document["templates"]["ffn"])
    with pytest.raises(GraphError) as caught:
        from_document(document)
    assert says in str(caught.value)


# Grouping


def test_grouped_nodes_are_one_card_and_the_same_model(make_graph: MakeGraph) -> None:
    graph = make_graph(blocks=2)
    grouped, card = group(graph, ["block_1", "block_2", "norm"], "Two blocks")
    assert [node.id for node in grouped.nodes] == ["data", "embedding", "positions", "two_blocks", "head", "loss"]
    assert card == "two_blocks" and plan(grouped, V).issues == () and plan(grouped, V).total == plan(graph, V).total
    back = ungroup(grouped, card)
    assert {node.id: node for node in back.nodes} == {node.id: node for node in graph.nodes}
    assert set(back.edges) == set(graph.edges) and back.layout.keys() >= {"block_1", "norm"}


@pytest.mark.parametrize("ids", [["embedding", "positions"], ["norm", "head"], ["embedding", "positions", "block_1"]])
def test_ties_across_the_edge_of_a_group_hold(make_graph: MakeGraph, ids: list[str]) -> None:
    graph = make_graph().with_param("head", "tie_to", "embedding")
    grouped, card = group(graph, ids, "part")
    planned = plan(grouped, V)
    assert planned.issues == () and planned.total == plan(graph, V).total
    assert plan(ungroup(grouped, card), V).total == planned.total


def test_copies_that_are_put_back_stay_apart(graph: Graph) -> None:
    flat = ungroup(graph, "blocks")
    assert {"blocks_1_att", "blocks_2_att", "blocks_3_ffn"} <= {node.id for node in flat.nodes} and "blocks" not in flat
    assert plan(flat, V).issues == () and plan(flat, V).total == plan(graph, V).total


def test_what_comes_from_one_node_is_one_port(make_graph: MakeGraph) -> None:
    graph = make_graph().remove("block_1").add(Node("sum", "Add")).add(Node("act", "GELU")).connect("sum", "norm")
    graph = graph.connect("positions", "act").connect("act", "sum").connect("positions", "sum", "in_2")
    grouped, _ = group(graph.connect("embedding", "sum", "in_3"), ["act", "sum"], "residual")
    wanted = {"in": (("sum", "in_2"), ("act", "in")), "in_2": (("sum", "in_3"),)}
    assert grouped.templates["residual"].inputs == wanted and plan(grouped, V).issues == ()


@pytest.mark.parametrize(
    ("ids", "name", "says"),
    [
        (["data", "embedding"], "x", "data is a CustomData, which cannot stand in a group"),
        (["head", "loss"], "x", "loss is a Loss"),
        (["embedding", "block_1"], "x", "positions lies between these nodes"),
        (["embedding", "side"], "x", "of these embedding and side feed other nodes"),
        ([], "x", "no node is chosen"),
        (["gone"], "x", "there is no node gone"),
        (["norm"], "../x", "cannot name a template"),
        (["norm"], "ffn", "there is a template ffn in this graph already"),
    ],
)
def test_a_group_that_cannot_be_says_why(make_graph: MakeGraph, ids: list[str], name: str, says: str) -> None:
    with pytest.raises(TemplateError) as caught:
        side = make_graph().add(Node("side", "Embedding")).connect("data", "side").connect("side", "block_1")
        group(side.with_templates({"ffn": FFN}), ids, name)
    assert says in str(caught.value)


def test_a_node_between_those_of_a_group_is_named(make_graph: MakeGraph) -> None:
    graph = make_graph().add(Node("sum", "Add")).remove("norm").connect("sum", "head")
    graph = graph.connect("positions", "sum").connect("block_1", "sum", "in_2").disconnect(Edge("positions", "block_1"))
    graph = graph.add(Node("act", "GELU")).connect("sum", "act").connect("act", "block_1")
    with pytest.raises(TemplateError, match="act lies between these nodes"):
        group(graph.disconnect(Edge("sum", "head")).connect("block_1", "head"), ["sum", "block_1"], "x")


def test_the_command_line_makes_keeps_adds_and_puts_back(
    make_graph: MakeGraph, home: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "graph.json"
    file.write_text(to_json(make_graph(blocks=2)))
    assert main(["template", "make", str(file), "two", "--nodes", "block_1,block_2"]) == 0
    assert main(["template", "keep", str(file), "two"]) == 0 and saved(home.templates) == ["two"]
    assert main(["check", str(file), "--set", "nodes.two.repeat=3", "--set", "templates.two.block_1.nhead=4"]) == 0
    assert main(["check", str(file), "--set", "templates.two.block_1.nhead=3"]) != 0
    assert "two: inside, block_1: nhead=3 must divide d_model=8" in capsys.readouterr().err
    assert main(["template", "put-back", str(file), "two"]) == 0
    assert {node.id for node in from_json(file.read_text()).nodes} == {node.id for node in make_graph(blocks=2).nodes}
    other = tmp_path / "other.json"
    other.write_text(to_json(make_graph()))
    assert main(["template", "add", str(other), "two", "-o", str(tmp_path / "more.json")]) == 0
    assert "two" in from_json((tmp_path / "more.json").read_text()) and "two" not in from_json(other.read_text())
    assert main(["template", "list", "--json"]) == 0 and '{"template": "two"}' in capsys.readouterr().out
    for wrong in (["make", str(file), "x", "--nodes", "gone"], ["add", str(file), "gone"], ["put-back", str(file), "norm"]):
        assert main(["template", *wrong]) != 0
        assert capsys.readouterr().err.count("\n") == 1


# A folder of templates


def test_a_template_is_kept_with_those_that_it_contains(graph: Graph, make_graph: MakeGraph, tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    assert saved(folder) == []
    assert save(folder, graph.templates, "block").name == "block.json" and saved(folder) == ["block"]
    found = load(folder, "block")
    assert found == {"block": block(), "ffn": FFN} and list(needed(graph.templates, "ffn")) == ["ffn"]
    added, card = insert(make_graph(), found, "block")
    again, second = insert(added, found, "block")
    assert (card, second) == ("block", "block_2") and again.templates == found


def test_another_template_of_the_same_name_is_not_overwritten(graph: Graph) -> None:
    with pytest.raises(TemplateError, match="this graph has another template ffn"):
        insert(graph, {"ffn": GATED}, "ffn")


@pytest.mark.parametrize("name", ["gone", "../x", "", "a/b"])
def test_a_template_that_is_not_kept_is_not_found(tmp_path: Path, name: str) -> None:
    with pytest.raises(TemplateError, match="there is no template"):
        load(tmp_path, name)


HEAD = '"format": "cortexnodus/template", "version": 1'


@pytest.mark.parametrize("text", ["", "[]", "{}", f'{{{HEAD}, "templates": {{"x": {{}}}}}}', f'{{{HEAD}, "templates": {{}}}}'])
def test_a_damaged_template_is_told_in_one_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(GraphError, match="template x"):
        load(tmp_path, "x")
