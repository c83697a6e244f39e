"""The honest-model check: what the model does is tried out, whatever its kinds are declared to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import MakeGraph, MakeRun
from torch import Tensor, nn

from cortex.builder import plan
from cortex.command import main
from cortex.graph import Edge, Graph, Node, to_json
from cortex.honest import _small, honesty, known_leaks, leaks
from cortex.kind import Kind
from cortex.params import FROM_INPUT, Bool, Int
from cortex.places import Places
from cortex.presets import PRESETS, preset
from cortex.registry import KINDS, register
from cortex.runs import list_runs
from cortex.templates import group

WIDTH = Int(default="auto", low=1, high=4096, auto=FROM_INPUT, help="Width.")


@pytest.fixture
def with_liars(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kinds that are declared to look at no later position, and do."""
    made: dict[str, Kind] = {}

    @register(role="module", family="norm", shape="B T d_model -> B T d_model", params={"d_model": WIDTH}, into=made)
    class MeanOverTime(nn.Module):
        """Takes the mean of all positions from each of them."""

        def __init__(self, d_model: int) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            return x - x.mean(1, keepdim=True)

    causal = Bool(default=False, help="Looks at no later position.")
    declared = {"d_model": WIDTH, "causal": causal}

    @register(role="module", family="norm", shape="B T d_model -> B T d_model", params=declared, into=made)
    class Mixing(nn.Module):
        """Adds up positions, those before alone where it is told to; its weights begin at zero."""

        def __init__(self, d_model: int, causal: bool) -> None:
            super().__init__()
            self.causal, self.gain = causal, nn.Parameter(torch.zeros(d_model))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.gain * (x.cumsum(1) if self.causal else x.sum(1, keepdim=True))

    @register(role="module", family="norm", shape="B T d_model -> B T d_model", params={"d_model": WIDTH}, into=made)
    class Breaking(nn.Module):
        """Cannot be run."""

        def __init__(self, d_model: int) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("no such position")

    for name, kind in made.items():
        monkeypatch.setitem(KINDS, name, kind)
    yield


def with_node(graph: Graph, kind: str, before: str = "norm") -> Graph:
    """The graph with a node of this kind, `extra`, on the edge into another."""
    (edge,) = graph.into(before)
    graph = graph.disconnect(edge).add(Node("extra", kind))
    return graph.connect(edge.source, "extra").connect("extra", before)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_honest(name: str) -> None:
    assert honesty(plan(preset(name))).ok


def test_the_node_that_leaks_first_is_named(make_graph: MakeGraph, with_liars: None) -> None:
    found = honesty(plan(with_node(make_graph(blocks=2), "MeanOverTime", "block_2")))
    assert not found.ok
    assert [(leak.node, leak.kind, leak.loss, leak.field) for leak in found.leaks] == [("extra", "MeanOverTime", "loss", None)]
    assert "the answer would be seen" in str(found)


def test_weights_that_begin_at_zero_hide_nothing(make_graph: MakeGraph, with_liars: None) -> None:
    assert [leak.node for leak in honesty(plan(with_node(make_graph(), "Mixing"))).leaks] == ["extra"]


def test_a_node_that_can_be_made_causal_is_mended_by_that(make_graph: MakeGraph, with_liars: None) -> None:
    graph = with_node(make_graph(), "Mixing")
    (leak,) = honesty(plan(graph)).leaks
    assert leak.hint == "set causal to true"
    assert honesty(plan(graph.with_param(leak.node, leak.field, True))).ok


def test_a_leak_inside_a_subgraph_is_told_at_its_card(make_graph: MakeGraph, with_liars: None) -> None:
    graph, card = group(with_node(make_graph(), "MeanOverTime"), ["block_1", "extra"], "group")
    (leak,) = honesty(plan(graph)).leaks
    assert (leak.node, leak.field) == (card, None)
    assert leak.message.startswith("its part extra: ")


def test_a_leak_beside_the_way_to_the_loss_is_none(make_graph: MakeGraph, with_liars: None) -> None:
    graph = make_graph()
    extra = [Node("extra", "MeanOverTime"), Node("head_2", "Linear"), Node("loss_2", "Loss", {"target": "Input"})]
    edges = [Edge("norm", "extra"), Edge("extra", "head_2"), Edge("head_2", "loss_2")]
    found = honesty(plan(Graph("two", (*graph.nodes, *extra), (*graph.edges, *edges))))
    assert found.losses == ("loss",)
    assert found.ok


def test_without_a_loss_of_the_next_token_there_is_nothing_to_prove(make_graph: MakeGraph, with_liars: None) -> None:
    graph = with_node(make_graph(), "MeanOverTime").with_param("loss", "target", "Masked")
    found = honesty(plan(graph))
    assert (found.losses, found.ok) == ((), True)
    assert "nothing to prove" in str(found)


def test_a_model_that_cannot_be_run_is_told(make_graph: MakeGraph, with_liars: None) -> None:
    found = honesty(plan(with_node(make_graph(), "Breaking")))
    assert not found.ok
    assert str(found) == "the model cannot be run: no such position"


def test_the_trial_leaves_the_random_numbers_of_others_alone(make_graph: MakeGraph) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    honesty(plan(make_graph()))
    assert torch.equal(torch.rand(3), expected)


def test_check_tells_the_leak_at_its_node(
    make_graph: MakeGraph, with_liars: None, home: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "graph.json"
    document.write_text(to_json(with_node(make_graph(), "Mixing")))
    assert main(["check", str(document), "--json"]) == 2
    row = json.loads(capsys.readouterr().out)
    assert [(issue["node"], issue["field"]) for issue in row["issues"]] == [("extra", "causal")]
    assert row["honest"] is False
    assert main(["check", str(document), "--no-honest"]) == 0


def test_a_model_that_sees_the_answer_is_not_trained(
    with_liars: None, make_graph: MakeGraph, home: Places, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "leaking.json"
    path.write_text(to_json(with_node(make_graph(steps=2), "MeanOverTime")))
    assert main(["train", str(path)]) == 2
    assert "extra: its output hangs on later tokens" in "".join(capsys.readouterr())
    assert list_runs(home.runs) == []  # told before there is a run


def test_a_run_that_was_created_of_a_model_that_sees_the_answer_fails(
    with_liars: None, make_graph: MakeGraph, make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(with_node(make_graph(steps=2), "MeanOverTime"))
    assert main(["train", str(run.path)]) != 0
    assert "its output hangs on later tokens" in "".join(capsys.readouterr())
    assert run.state() == "failed" and not run.checkpoint("best").exists()


def test_a_graph_is_tried_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan(preset("small"), 50)
    assert leaks(planned) == ()
    monkeypatch.setattr("cortex.honest.honesty", lambda planned: pytest.fail("tried again"))
    assert leaks(planned) == () and leaks(plan(preset("small").move({"norm": (1.0, 1.0)}), 50)) == ()


def test_what_is_known_of_a_graph_is_said_without_trying_it_out(make_graph: MakeGraph, with_liars: None) -> None:
    planned = plan(with_node(make_graph(), "MeanOverTime"))
    assert known_leaks(planned) == ()
    assert [issue.node for issue in leaks(planned)] == ["extra"] == [issue.node for issue in known_leaks(planned)]


def test_a_model_whose_heads_divide_the_vocabulary_alone_is_tried_out(make_graph: MakeGraph) -> None:
    graph = make_graph(blocks=1).disconnect(Edge("block_1", "norm")).add(Node("wide", "Linear")).add(Node("x", "GPTBlock"))
    graph = graph.connect("block_1", "wide").connect("wide", "x").connect("x", "norm")
    for vocabulary in (40, None):
        assert honesty(plan(graph, vocabulary)).ok


def test_a_layer_as_wide_as_a_large_vocabulary_is_tried_out_narrow(make_graph: MakeGraph) -> None:
    graph = make_graph(blocks=1).disconnect(Edge("block_1", "norm")).add(Node("wide", "Linear"))
    graph = graph.add(Node("x", "GPTBlock", {"nhead": 5})).connect("block_1", "wide").connect("wide", "x").connect("x", "norm")
    small = _small(plan(graph, 100_000))
    assert small is not None and small.total is not None and small.total < 100_000


def test_a_loss_far_ahead_is_tried_out_on_a_short_text(make_graph: MakeGraph) -> None:
    graph = make_graph().with_param("data", "seq_len", 64).with_param("loss", "target", "Offset")
    assert honesty(plan(graph.with_param("loss", "offset", 60))).ok
    leaking = with_node(graph.with_param("loss", "offset", 60), "TransformerEncoderLayer")
    assert [(issue.node, issue.field) for issue in plan(leaking).issues] == [("extra", "causal")]


def test_a_model_that_cannot_be_run_is_a_fault_on_the_page_too(make_graph: MakeGraph, with_liars: None) -> None:
    (issue,) = leaks(plan(with_node(make_graph(), "Breaking")))
    assert "cannot be run: no such position" in issue.message


def test_sequences_joined_in_time_are_told_at_the_setting_that_joins_them(make_graph: MakeGraph) -> None:
    graph = make_graph().disconnect(Edge("norm", "head")).add(Node("both", "Concat", {"dim": "time"}))
    graph = graph.connect("positions", "both").connect("norm", "both", "in_2").connect("both", "head")
    (issue,) = [issue for issue in plan(graph).issues if issue.follows is None]
    assert (issue.node, issue.field) == ("both", "dim") and "set dim to width" in issue.hint


def test_a_head_that_only_the_text_can_judge_is_no_reason_to_stop(make_graph: MakeGraph) -> None:
    for scores in (1, 10):
        assert honesty(plan(make_graph().with_param("head", "out_features", scores))).ok
