"""plan() and build(): every fault is told where it is, and what is built is what was drawn."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from conftest import MakeGraph
from torch import Tensor, nn

from cortex.builder import Model, PlanError, build, plan, shape_text, train_config
from cortex.describe import describe_kinds
from cortex.graph import Edge, Graph, Node
from cortex.params import Int
from cortex.presets import preset
from cortex.registry import KINDS, register
from cortex.templates import group

V = 25

# From the guide that users come from: embeddings, blocks, norm and head with its bias, each weight counted once.
PUBLISHED = {
    ("small", 33_278): 9_147_518,
    ("medium", 33_278): 21_810_686,
    ("large", 33_278): 71_939_582,
    ("small", 10_000): 3_165_072,
    ("medium", 10_000): 9_869_072,
    ("large", 10_000): 48_079_632,
}


@pytest.fixture
def graph(make_graph: MakeGraph) -> Graph:
    return make_graph(blocks=2)


@pytest.fixture
def model(graph: Graph) -> Model:
    torch.manual_seed(1)
    return build(plan(graph, V)).eval()


@pytest.mark.parametrize(("name", "vocabulary"), PUBLISHED)
def test_a_preset_has_the_published_number_of_parameters(name: str, vocabulary: int) -> None:
    assert plan(preset(name), vocabulary).total == PUBLISHED[name, vocabulary]


def test_the_planned_number_of_parameters_is_that_of_the_built_model(graph: Graph, model: Model) -> None:
    planned = plan(graph, V)
    assert planned.total == sum(parameter.numel() for parameter in model.parameters())
    for node in planned.parameters:
        built = getattr(model, node, nn.Module())
        assert planned.parameters[node] == sum(parameter.numel() for parameter in built.parameters()), node


def test_without_a_vocabulary_the_plan_is_sound_and_the_total_unknown(graph: Graph) -> None:
    planned = plan(graph)
    assert planned.issues == () and planned.calls and planned.total is None
    assert shape_text(planned.shapes["head"]) == "B×T×V" and shape_text(planned.shapes["norm"]) == "B×T×8"
    with pytest.raises(ValueError, match="prepare the data first"):
        build(planned)


def test_a_graph_with_issues_is_not_built(graph: Graph) -> None:
    planned = plan(graph.with_param("block_1", "nhead", 3).with_training("lr", -1), V)
    assert planned.calls == ()
    with pytest.raises(PlanError) as caught:
        build(planned)
    assert len(caught.value.issues) == 2 and "nhead=3" in str(caught.value) and "lr=-1" in str(caught.value)


def test_the_shapes_of_the_plan_are_those_that_the_modules_give(graph: Graph, model: Model) -> None:
    seen: dict[str, tuple[int, ...]] = {}
    for name, module in model.named_children():
        module.register_forward_hook(lambda _, __, y, name=name: seen.update({name: tuple(getattr(y, "shape", ()))}))
    model.logits(torch.zeros(4, 8, dtype=torch.long))
    planned = plan(graph, V)
    for node, shape in seen.items():
        assert tuple(dim.size for dim in planned.shapes[node]) == shape, node
    assert set(seen) == {"embedding", "positions", "block_1", "block_2", "norm", "head"}


def test_the_parameters_carry_the_ids_of_the_nodes(model: Model) -> None:
    assert {key.partition(".")[0] for key in model.state_dict()} == {"embedding", "block_1", "block_2", "norm", "head"}


def test_auto_is_resolved_and_the_head_is_computed_with_its_loss(graph: Graph) -> None:
    calls = {call.node: call for call in plan(graph, V).calls}
    assert calls["embedding"].args["num_embeddings"] == V and calls["block_2"].args["d_model"] == 8
    assert calls["loss"].head == "head" and calls["loss"].inputs == ("norm",)


def test_several_losses_are_computed_and_the_first_of_the_document_is_the_main_one(graph: Graph) -> None:
    graph = graph.add(Node("second", "Loss", {"weight": 0.5})).add(Node("head_2", "Linear"))
    graph = graph.connect("block_1", "head_2").connect("head_2", "second")
    planned = plan(graph, V)
    assert planned.issues == () and [call.node for call in planned.calls][-2:] == ["loss", "second"]
    torch.manual_seed(1)
    model = build(planned).eval()
    batch = {"inputs": torch.randint(V, (4, 8)), "targets": torch.randint(V, (4, 8))}
    losses, scores = model(batch), model.outputs(batch)
    assert list(losses) == list(scores) == ["loss", "second"] and model.heads == ("head", "head_2")
    assert model.loss_weights == {"loss": 1.0, "second": 0.5}
    for name, (total, count) in losses.items():
        wanted = nn.functional.cross_entropy(scores[name].flatten(0, 1), batch["targets"].flatten())
        torch.testing.assert_close(total / count, wanted)
    assert torch.equal(scores["loss"], model.logits(batch["inputs"]))


@pytest.mark.parametrize("repeat", [0, 3])
def test_the_trunk_is_one_graph_to_torch_compile(graph: Graph, repeat: int) -> None:
    if repeat:
        graph, card = group(graph, ["block_1", "block_2"], "blocks")
        graph = graph.with_param(card, "repeat", repeat)
    torch.manual_seed(1)
    model = build(plan(graph, V)).eval()
    tokens = torch.randint(V, (2, 8))
    compiled = torch.compile(model.logits, fullgraph=True, backend="eager")  # no C++ compiler is needed for the graph itself
    torch.testing.assert_close(compiled(tokens), model.logits(tokens))


def test_two_losses_may_share_a_head(graph: Graph) -> None:
    model = build(plan(graph.add(Node("second", "Loss", {"weight": 2.0})).connect("head", "second"), V)).eval()
    losses = model({"inputs": torch.randint(V, (4, 8)), "targets": torch.randint(V, (4, 8))})
    assert losses["loss"][0].item() == losses["second"][0].item() and model.heads == ("head",)


def test_a_loss_that_nothing_reaches_is_a_fault_and_not_dropped(graph: Graph) -> None:
    (issue,) = plan(graph.add(Node("second", "Loss")), V).issues
    assert (issue.node, issue.message) == ("second", "nothing is connected to it")


@pytest.mark.parametrize("position", range(1, 8))
def test_later_tokens_change_no_earlier_logits(model: Model, position: int) -> None:
    tokens = torch.randint(V, (3, 8))
    changed = tokens.clone()
    changed[:, position:] = (changed[:, position:] + 7) % V
    before, after = model.logits(tokens), model.logits(changed)
    assert torch.equal(before[:, :position], after[:, :position])
    assert not torch.equal(before[:, position:], after[:, position:])


def test_logits_with_a_cache_equal_those_of_one_full_forward(model: Model) -> None:
    tokens, cache = torch.randint(V, (2, 12)), model.new_cache()
    assert set(cache) == {"positions", "block_1", "block_2"}
    pieces = [model.logits(part, cache) for part in tokens.split((5, 1, 1, 3, 2), 1)]
    torch.testing.assert_close(torch.cat(pieces, 1), model.logits(tokens), atol=1e-5, rtol=0)


def test_the_loss_of_the_model_is_the_cross_entropy_of_its_logits(model: Model) -> None:
    batch = {"inputs": torch.randint(V, (4, 8)), "targets": torch.randint(V, (4, 8))}
    total, count = model(batch)["loss"]
    wanted = nn.functional.cross_entropy(model.logits(batch["inputs"]).flatten(0, 1), batch["targets"].flatten())
    torch.testing.assert_close(total / count, wanted)
    assert count == 32


@pytest.mark.parametrize("vocabulary", [50, 1000])
def test_the_first_loss_is_near_that_of_a_guess(graph: Graph, vocabulary: int) -> None:
    torch.manual_seed(1)
    wide = graph.with_param("embedding", "embedding_dim", 64)
    batch = {name: torch.randint(vocabulary, (16, 8)) for name in ("inputs", "targets")}
    total, count = build(plan(wide, vocabulary))(batch)["loss"]
    assert abs(total.item() / count - math.log(vocabulary)) < 0.35


def test_the_longest_chain_that_a_document_may_hold_is_planned(make_graph: MakeGraph) -> None:
    planned = plan(make_graph(blocks=300), V)
    assert planned.issues == () and len(planned.calls) == 306


def test_training_settings_left_out_have_their_defaults(graph: Graph) -> None:
    config = train_config(graph.with_training("lr", 0.5))
    assert (config.lr, config.steps, config.optimizer, config.clip_norm) == (0.5, 20, "Adam", 0.0)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("lr", 0, "from 1e-08 to 10"),
        ("lr", "fast", "'fast' is not a number"),
        ("lr", True, "True is not a number"),
        ("lr", 10**400, "is not a number"),
        ("epochs", 1.5, "1.5 is not a whole number"),
        ("optimizer", "Lion", "one of Adam, AdamW"),
        ("learning_rate", 1, "is not a setting here; expected one of optimizer, lr"),
    ],
    ids=["zero", "text", "true", "huge", "fraction", "option", "unknown"],
)
def test_a_training_setting_that_cannot_be_is_an_issue_of_the_graph(graph: Graph, name: str, value: Any, says: str) -> None:
    (issue,) = plan(graph.with_training(name, value), V).issues
    assert issue.node is None and issue.field == f"training.{name}" and says in issue.message


def test_a_kind_of_ten_lines_is_planned_built_trained_listed_and_checked(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    mine: dict = {}

    @register(
        role="module",
        family="norm",
        shape="B T width -> B T width",
        params={"width": Int(default="auto", low=1, high=64, auto="the width of what comes in", help="Channels.")},
        into=mine,
    )
    class Scale(nn.Module):
        """Multiplies each channel by a learned number."""

        def __init__(self, width: int) -> None:
            super().__init__()
            self.by = nn.Parameter(torch.full((width,), 2.0))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.by

    monkeypatch.setitem(KINDS, "Scale", mine["Scale"])
    graph = graph.disconnect(Edge("norm", "head")).add(Node("scale", "Scale")).connect("norm", "scale").connect("scale", "head")
    planned = plan(graph, V)
    assert planned.issues == () and planned.parameters["scale"] == 8 and shape_text(planned.shapes["scale"]) == "B×T×8"
    built = build(planned)
    assert torch.equal(built.scale.by, torch.full((8,), 2.0))
    total, _ = built({"inputs": torch.zeros(2, 4, dtype=torch.long), "targets": torch.zeros(2, 4, dtype=torch.long)})["loss"]
    total.backward()
    assert built.scale.by.grad.abs().sum() > 0
    assert any(kind["kind"] == "Scale" and kind["shape"] == "B T width -> B T width" for kind in describe_kinds())
    (issue,) = plan(graph.with_param("scale", "width", 65), V).issues_of("scale")
    assert issue.field == "width" and "from 1 to 64" in issue.message
