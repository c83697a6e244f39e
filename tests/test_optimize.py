"""What moves the weights: torch's own optimizers step by step, decay on matrices alone, Muon's share, the moving average."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from conftest import MakeGraph
from torch import Tensor, nn

from cortex.builder import Model, build, plan
from cortex.config import TrainConfig
from cortex.muon import Muon
from cortex.optimize import MovingAverage, make_optimizer

NAMES = ("Adam", "AdamW", "SGD", "Muon")


class Small(nn.Module):
    """An embedding, two layers with a norm between them, and a head: all that optimizers tell apart."""

    heads = ("head",)

    def __init__(self, tied: bool = False) -> None:
        super().__init__()
        self.embedding, self.first, self.norm = nn.Embedding(7, 6), nn.Linear(6, 5), nn.LayerNorm(5)
        self.second, self.head = nn.Linear(5, 6, bias=False), nn.Linear(6, 7)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.second(self.norm(self.first(self.embedding(tokens)))))


def small(tied: bool = False) -> Small:
    torch.manual_seed(3)
    return Small(tied)


def take_steps(model: nn.Module, *parts: torch.optim.Optimizer) -> None:
    """Four steps on tokens that are the same for every optimizer, with a rate that changes."""
    draw = torch.Generator().manual_seed(5)
    for step in range(4):
        tokens = torch.randint(0, 7, (4, 3), generator=draw)
        model.zero_grad()
        nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.roll(1).flatten()).backward()
        for part in parts:
            for group in part.param_groups:
                group["lr"] = 0.05 / (step + 1)
            part.step()


def matrices_and_vectors(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    parameters = list(model.parameters())
    return [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim == 1]


BY_HAND: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "Adam": lambda groups: torch.optim.Adam(groups, betas=(0.9, 0.98)),
    "AdamW": lambda groups: torch.optim.AdamW(groups, betas=(0.9, 0.98)),
    "SGD": lambda groups: torch.optim.SGD(groups, lr=1.0, momentum=0.8),
}


@pytest.mark.parametrize("name", list(BY_HAND))
@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
def test_steps_are_those_of_torchs_own_optimizer(name: str, tied: bool) -> None:
    ours, theirs = small(tied), small(tied)
    take_steps(ours, *make_optimizer(ours, TrainConfig(optimizer=name, beta2=0.98, momentum=0.8, weight_decay=0.3)).parts)
    matrices, vectors = matrices_and_vectors(theirs)
    take_steps(theirs, BY_HAND[name]([{"params": matrices, "weight_decay": 0.3}, {"params": vectors, "weight_decay": 0.0}]))
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=1e-5, atol=1e-7)


def test_the_trunks_matrices_move_by_muon_and_all_else_by_torchs_adamw() -> None:
    ours, theirs = small(), small()
    take_steps(ours, *make_optimizer(ours, TrainConfig(optimizer="Muon", beta2=0.98, momentum=0.8, weight_decay=0.3)).parts)
    trunk = [theirs.first.weight, theirs.second.weight]
    rest = [p for p in theirs.parameters() if all(p is not matrix for matrix in trunk)]
    muon = Muon(trunk, lr=0.05, momentum=0.8, weight_decay=0.3)
    groups = [
        {"params": rest, "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    take_steps(theirs, muon, adamw)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_pulls_matrices_alone(name: str) -> None:
    model = small()
    before = copy.deepcopy(model.state_dict())
    optimizer = make_optimizer(model, TrainConfig(optimizer=name, weight_decay=0.5))
    optimizer.set_lr(0.1)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for key, value in model.state_dict().items():
        decayed = key in ("first.weight", "second.weight") or (name != "Muon" and value.ndim > 1)
        assert torch.equal(value, before[key]) != decayed, key
        assert value.norm() <= before[key].norm()


def test_adamw_beside_muon_has_its_share_of_the_learning_rate() -> None:
    optimizer = make_optimizer(small(), TrainConfig(optimizer="Muon", adamw_share=0.25))
    optimizer.set_lr(0.4)
    assert [group["lr"] for part in optimizer.parts for group in part.param_groups] == [0.4, 0.1]


def taken_by_muon(model: nn.Module) -> set[str]:
    muon, _ = make_optimizer(model, TrainConfig(optimizer="Muon")).parts
    assert isinstance(muon, Muon)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(parameter)] for group in muon.param_groups for parameter in group["params"]}


@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
def test_muon_takes_the_matrices_of_the_trunk_and_never_embedding_or_head(tied: bool, make_graph: MakeGraph) -> None:
    assert taken_by_muon(small(tied)) == {"first.weight", "second.weight"}
    graph = make_graph(blocks=2)
    graph = graph.with_param("head", "bias", False).with_param("head", "tie_to", "embedding") if tied else graph
    model = build(plan(graph, 25))
    assert isinstance(model, Model) and model.heads == ("head",)
    inside = {name for name, parameter in model.named_parameters() if name.startswith("block_") and parameter.ndim == 2}
    assert taken_by_muon(model) == inside and len(inside) >= 8


@pytest.mark.parametrize("name", NAMES)
def test_every_trained_parameter_has_exactly_one_optimizer_and_a_frozen_one_none(name: str) -> None:
    model = small(tied=True)
    model.first.weight.requires_grad_(False)
    held = [
        parameter
        for part in make_optimizer(model, TrainConfig(optimizer=name)).parts
        for group in part.param_groups
        for parameter in group["params"]
    ]
    assert sorted(map(id, held)) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_a_model_without_matrices_or_without_a_trunk_can_be_trained_with_muon() -> None:
    for model in (nn.LayerNorm(4), nn.Embedding(4, 4)):
        (part,) = make_optimizer(model, TrainConfig(optimizer="Muon")).parts
        assert isinstance(part, torch.optim.AdamW)


# The moving average


@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
def test_the_moving_average_is_that_of_its_formula(tied: bool) -> None:
    model = small(tied)
    average, by_hand = MovingAverage(model, 0.3), {name: p.detach().clone() for name, p in model.named_parameters()}
    draw = torch.Generator().manual_seed(1)
    for number in range(6):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=draw))
        average.update()
        keep = min(0.3, (1 + number) / (10 + number))
        by_hand = {name: keep * by_hand[name] + (1 - keep) * p.detach() for name, p in model.named_parameters()}
    torch.testing.assert_close(average.state_dict()["average"], by_hand, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
def test_the_model_holds_the_average_for_a_while_and_then_its_own_weights_again(tied: bool) -> None:
    model, tokens = small(tied), torch.arange(6)[None]
    average = MovingAverage(model, 0.9)
    first = model(tokens)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    now, pointers = model(tokens), {name: p.data_ptr() for name, p in model.named_parameters()}
    with pytest.raises(KeyError), average.in_place():
        assert torch.equal(model(tokens), first)  # no update yet: the average is of the first weights
        assert not tied or model.head.weight is model.embedding.weight
        raise KeyError("whatever happens meanwhile")
    assert torch.equal(model(tokens), now)
    assert {name: p.data_ptr() for name, p in model.named_parameters()} == pointers


def test_an_average_that_is_taken_up_again_goes_on_as_if_never_left() -> None:
    model = small()
    one = MovingAverage(model, 0.9)
    for _ in range(3):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1.0)
        one.update()
    other = MovingAverage(model, 0.9)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for average in (one, other):
        average.update()
    averages = other.state_dict()["average"]
    assert all(torch.equal(averages[name], value) for name, value in one.state_dict()["average"].items())
