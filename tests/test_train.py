"""The trainer's loop: what a step does to the weights and what is told of it; a model learns, twice the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from conftest import MakeGraph
from tables import Deep, Table, run_table, tokens
from torch import Tensor

from cortex.blocks import Blocks
from cortex.builder import build, plan, train_config
from cortex.config import TrainConfig, TrainingError, learning_rate_at
from cortex.device import pick_device
from cortex.evaluate import evaluate
from cortex.graph_source import source_of
from cortex.store import Prepared
from cortex.train import Trainer


def test_the_rate_that_an_event_names_is_the_one_of_its_step() -> None:
    config = TrainConfig(lr=0.04, schedule="linear", steps=20, log_every=5)
    _, events, _ = run_table(config)
    rates = {event["step"]: event["lr"] for event in events if event["event"] == "train"}
    assert rates == {step: learning_rate_at(step - 1, config, 20) for step in (1, 5, 10, 15, 20)}


def test_one_batch_is_learned_by_heart(make_graph: MakeGraph) -> None:
    torch.manual_seed(1)
    model = build(plan(make_graph().with_param("embedding", "embedding_dim", 16).with_param("block_1", "dropout", 0.0), 25))
    data = np.random.default_rng(1).integers(0, 25, 8 * 4 + 1)
    config = TrainConfig(lr=0.01, steps=150)
    Trainer(
        model,
        Blocks(data, 8, 4, 1),
        config,
        validate=lambda: evaluate(model, data, 8).loss,
        on_event=lambda event: None,
        eval_every=1000,
    ).run()
    assert evaluate(model.eval(), data, 8).loss < 0.05


def test_the_same_seed_gives_bitwise_the_same_losses_twice(make_graph: MakeGraph, prepared: Prepared) -> None:
    def losses(seed: int) -> list[float]:
        graph = make_graph(steps=15, log_every=1, seed=seed)
        config, source, events = train_config(graph), source_of(graph.node("data")), []
        torch.manual_seed(config.seed)
        model = build(plan(graph, prepared.vocab_size))
        blocks = Blocks(prepared.tokens("train"), source.seq_len, source.batch_size, config.seed)
        validate = lambda: evaluate(model, prepared.tokens("validation"), 8).loss  # noqa: E731
        Trainer(model, blocks, config, validate=validate, on_event=events.append, eval_every=5).run()
        return [event["loss"] for event in events if "loss" in event]

    first = losses(1)
    assert len(first) == 15 + 3 and losses(1) == first
    assert losses(2) != first
    assert abs(first[0] - math.log(prepared.vocab_size)) < 0.7 and first[-1] < first[0]


def test_the_first_step_is_that_of_torchs_optimizer_by_hand() -> None:
    config = TrainConfig(lr=0.1, steps=1, weight_decay=0.01, optimizer="AdamW")
    _, _, trained = run_table(config)
    torch.manual_seed(1)
    by_hand = Table()
    batch = Blocks(tokens(), 8, 4, 1).batch(0)
    optimizer = torch.optim.AdamW(by_hand.parameters(), lr=0.1, weight_decay=0.01)
    total, count = by_hand(batch)["loss"]
    (total / count).backward()
    optimizer.step()
    torch.testing.assert_close(trained.scores.weight, by_hand.scores.weight)


def test_the_events_are_steps_points_validations_and_one_end() -> None:
    outcome, events, _ = run_table(TrainConfig(lr=0.1, steps=25, log_every=10, eval_every=10))
    assert outcome == "finished"
    assert [(event["event"], event["step"]) for event in events] == [
        ("train", 1),
        ("train", 10),
        ("validation", 10),
        ("train", 20),
        ("validation", 20),
        ("train", 25),
        ("validation", 25),
        ("end", 25),
    ]
    seen = [event["tokens"] for event in events if event["event"] == "train"]
    assert seen[0] == 32 and seen == sorted(seen)
    elapsed = [event["elapsed"] for event in events]
    assert elapsed == sorted(elapsed)


def test_a_point_of_the_curve_is_the_mean_since_the_last_one() -> None:
    _, each, _ = run_table(TrainConfig(lr=0.1, steps=20, log_every=1))
    _, tens, _ = run_table(TrainConfig(lr=0.1, steps=20, log_every=10))
    losses = [event["loss"] for event in each if event["event"] == "train"]
    points = [event["loss"] for event in tens if event["event"] == "train"]
    assert points == pytest.approx([losses[0], np.mean(losses[1:10]), np.mean(losses[10:])], rel=1e-6)


def test_best_is_said_of_a_validation_that_is_lower_than_all_before() -> None:
    values = iter([3.0, 2.0, 2.5, 2.0, 1.0])
    _, events, _ = run_table(TrainConfig(steps=5), validate=lambda: next(values), eval_every=1)
    assert [event["best"] for event in events if event["event"] == "validation"] == [True, True, False, False, True]


def test_the_model_is_in_eval_mode_for_validation_and_in_training_mode_for_steps() -> None:
    modes: list[tuple[str, bool]] = []

    class Watched(Table):
        def forward(self, batch: dict[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
            modes.append(("step", self.training))
            return super().forward(batch)

    model = Watched()
    run_table(TrainConfig(steps=2), model, validate=lambda: modes.append(("check", model.training)) or 1.0, eval_every=1)
    assert modes == [("step", True), ("check", False)] * 2


def test_the_weight_of_a_loss_is_a_factor_of_what_is_trained_and_not_of_what_is_told() -> None:
    told, norms = [], []
    for weights in ({"first": 1.0, "second": 1.0}, {"first": 3.0, "second": 3.0}):
        torch.manual_seed(1)
        event = run_table(TrainConfig(steps=1), Table(**weights))[1][0]
        told.append(event["loss"])
        norms.append(event["grad_norm"])
    assert told[0] == told[1]
    assert norms[1] == pytest.approx(3 * norms[0], rel=1e-5)


def test_a_gradient_longer_than_clip_norm_is_scaled_down_to_it() -> None:
    moved: dict[float, float] = {}
    for clip in (0.0, 1e-3):
        torch.manual_seed(1)
        model = Table()
        events = run_table(TrainConfig(steps=1, clip_norm=clip), model)[1]
        moved[clip] = math.sqrt(sum(p.grad.square().sum().item() for p in model.parameters()))
        assert events[0]["grad_norm"] == pytest.approx(moved[0.0], rel=1e-5)
    assert moved[1e-3] == pytest.approx(1e-3, rel=1e-2) and moved[0.0] > 0.01


def test_a_device_that_is_not_there_is_said() -> None:
    assert pick_device("cpu").type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(TrainingError, match="device=cuda: this machine has none"):
            pick_device("cuda")


# Settings that change what a step is


@pytest.mark.parametrize("accumulate", [2, 3, 4, 100])
def test_a_batch_in_pieces_gives_the_gradient_of_the_whole_batch(accumulate: int) -> None:
    told, gradients = [], []
    for pieces in (1, accumulate):
        torch.manual_seed(2)
        model = Deep(dropout=0.0)
        config = TrainConfig(optimizer="SGD", lr=0.1, steps=8, accumulate=pieces, log_every=1)
        events = run_table(config, model, rows=7)[1]  # pieces of unequal size; the last batch of the epoch has one row
        told.append([event["loss"] for event in events if event["event"] == "train"])
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
    assert told[1] == pytest.approx(told[0], abs=1e-6)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=1e-6)


def test_what_is_validated_is_the_moving_average_and_what_is_trained_is_not() -> None:
    config = TrainConfig(lr=0.1, steps=12, ema=0.6, eval_every=4)
    torch.manual_seed(2)
    model, validated, own = Deep(), [], []
    by_hand = [parameter.detach().clone() for parameter in model.parameters()]

    def look() -> float:
        validated.append([parameter.detach().clone() for parameter in model.parameters()])
        return 1.0

    def note(trainer: Trainer) -> str:
        own.append([parameter.detach().clone() for parameter in model.parameters()])
        return ""

    run_table(config, model, validate=look, between=note)
    own.append([parameter.detach().clone() for parameter in model.parameters()])  # the first are those before any step
    averages = []
    for number, weights in enumerate(own[1:]):
        keep = min(0.6, (1 + number) / (10 + number))
        by_hand = [keep * old + (1 - keep) * new for old, new in zip(by_hand, weights, strict=True)]
        averages.append(by_hand)
    torch.testing.assert_close(validated, [averages[3], averages[7], averages[11]], rtol=1e-5, atol=1e-6)


def test_a_moving_average_changes_no_step() -> None:
    weights = []
    for ema in (0.0, 0.9):
        torch.manual_seed(2)
        weights.append(run_table(TrainConfig(lr=0.1, steps=12, ema=ema), Deep())[2].state_dict())
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())
