"""A kind declared in ten lines is everywhere: palette, form, checks, canvas, command line, script, node reference."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import MakeGraph, with_uploaded_text
from exported import load
from same_model import assert_same_model
from streamlit.testing.v1 import AppTest

from cortex import documents
from cortex.builder import build, plan, shape_text
from cortex.command import main
from cortex.describe import reference
from cortex.export import script
from cortex.graph import Edge, Graph, Node, to_json
from cortex.params import FROM_INPUT
from cortex.parsed import read_module
from cortex.places import Places
from cortex.registry import KINDS
from ui import cards
from ui.theme import LIGHT

V = 25
BEFORE = """from torch import Tensor, nn, ones

from cortex.params import FROM_INPUT, Float, Int
from cortex.registry import register

WIDTH = Int(default="auto", low=1, high=64, auto=FROM_INPUT, help="Channels.")
START = Float(default=1.0, low=0.0, high=9.0, help="What each channel is multiplied by at first.")


"""
TEN_LINES = '''@register(role="module", family="norm", shape="… width -> … width", params={"width": WIDTH, "start": START})
class Stretch(nn.Module):
    """Multiplies each channel by a learned number."""

    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.by = nn.Parameter(start * ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.by
'''


@pytest.fixture
def stretch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kind, declared in a file of its own."""
    assert len([line for line in TEN_LINES.splitlines() if line.strip()]) <= 10
    name = "kind_of_ten_lines"
    (tmp_path / f"{name}.py").write_text(BEFORE + TEN_LINES)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module(name)
    yield
    del KINDS["Stretch"], sys.modules[name]
    read_module.cache_clear()


@pytest.fixture
def graph(stretch: None, make_graph: MakeGraph) -> Graph:
    graph = make_graph().disconnect(Edge("norm", "head")).add(Node("stretch", "Stretch", {"start": 2.0}))
    return graph.connect("norm", "stretch").connect("stretch", "head")


def test_it_is_checked_built_and_trained(graph: Graph) -> None:
    planned = plan(graph, V)
    assert planned.issues == () and planned.parameters["stretch"] == 8 and shape_text(planned.shapes["stretch"]) == "B×T×8"
    (issue,) = plan(graph.with_param("stretch", "start", 10), V).issues_of("stretch")
    assert issue.field == "start" and "from 0 to 9" in issue.message
    (issue,) = plan(graph.with_param("stretch", "width", 5), V).issues_of("stretch")
    assert "width=5 is not the incoming width, 8" in issue.message
    model = build(planned)
    tokens = torch.zeros(2, 4, dtype=torch.long)
    model({"inputs": tokens, "targets": tokens})["loss"][0].backward()
    assert torch.equal(model.stretch.by, torch.full((8,), 2.0)) and model.stretch.by.grad.abs().sum() > 0


def test_it_is_on_its_card(graph: Graph) -> None:
    content = cards.card(plan(graph, V), graph.node("stretch"), LIGHT)
    assert all(word in content for word in ("Stretch", "stretch", "B×T×8", "8 parameters"))


def test_it_is_in_the_node_reference(graph: Graph) -> None:
    text = reference()
    assert "## Stretch" in text and "Multiplies each channel by a learned number." in text
    assert f"| `width` | `auto` | a whole number from 1 to 64, or auto ({FROM_INPUT}) | Channels. |" in text


def test_it_is_on_the_command_line(graph: Graph, tmp_path: Path, home: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kinds", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any(row["kind"] == "Stretch" and row["shape"] == "… width -> … width" for row in rows)
    file = tmp_path / "graph.json"
    file.write_text(to_json(graph))
    assert main(["check", str(file), "--set", "nodes.stretch.start=3"]) == 0
    assert main(["check", str(file), "--set", "nodes.stretch.start=ten"]) != 0
    assert "start" in capsys.readouterr().err


def test_it_is_in_the_exported_script(graph: Graph, tmp_path: Path) -> None:
    text = script(graph)
    assert "class Stretch(nn.Module):" in text and "@register" not in text
    assert "self.stretch = Stretch(width=8, start=2.0)" in text
    assert_same_model(graph, load(text, tmp_path))


def test_it_is_in_the_palette_and_has_a_form(graph: Graph, home: Places) -> None:
    graph = with_uploaded_text(graph, home)
    test = AppTest.from_file(str(Path(__file__).parents[1] / "pages" / "build.py"), default_timeout=30)
    test.query_params["doc"] = documents.create(home.documents, graph)
    test.run()
    test.session_state["selected"] = "stretch"  # a document that is opened has nothing selected yet
    test.run()
    assert not test.exception
    offered = next(json.loads(part.proto.json) for part in test.get("bidi_component") if part.key == "palette.list")
    rows = {row["id"]: row["help"] for group in offered["groups"] for row in group["rows"]}
    assert "Multiplies each channel by a learned number" in rows["Stretch"]
    assert any("Multiplies each channel by a learned number" in caption.value for caption in test.caption)
    (start,) = [box for box in test.number_input if box.label == "start"]
    assert start.value == 2.0 and "first" in start.help
