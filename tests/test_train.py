"""The trainer: blocks, schedule, events, stopping; a model learns, twice the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeGraph
from torch import Tensor, nn

from cortex.blocks import Blocks
from cortex.builder import build, plan, train_config
from cortex.config import TrainConfig, TrainingError, eval_interval, learning_rate_at, total_steps
from cortex.data import Prepared, source_of
from cortex.device import pick_device
from cortex.evaluate import evaluate
from cortex.optimize import make_optimizer
from cortex.train import Event, train


class Table(nn.Module):
    """The smallest language model there is: scores of the next token by the present one."""

    def __init__(self, vocabulary: int = 5, **weights: float) -> None:
        super().__init__()
        self.scores = nn.Embedding(vocabulary, vocabulary)
        self.loss_weights = weights

    def forward(self, batch: dict[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        logits, targets = self.scores(batch["inputs"]).flatten(0, 1), batch["targets"].flatten()
        total = nn.functional.cross_entropy(logits, targets, reduction="sum")
        return {name: (total, targets.numel()) for name in self.loss_weights or ("loss",)}


def tokens(count: int = 400, vocabulary: int = 5) -> np.ndarray:
    return np.random.default_rng(1).integers(0, vocabulary, count + 1).astype(np.uint8)


def run_table(config: TrainConfig, model: nn.Module | None = None, **settings: Any) -> tuple[str, list[Event], nn.Module]:
    """A short training of a Table with everything it reported."""
    torch.manual_seed(1)
    model, events, data = model or Table(), [], tokens()
    outcome = train(
        model,
        Blocks(data, 8, 4, config.seed),
        config,
        **{
            "validate": lambda: evaluate(model, data, 8).loss,
            "on_event": events.append,
            "eval_every": config.eval_every or 10,
            **settings,
        },
    )
    return outcome, events, model


# Blocks


@pytest.mark.parametrize(("count", "seq_len", "batch_size"), [(400, 8, 4), (403, 8, 7), (64, 64, 1), (100, 7, 100)])
def test_every_epoch_reads_each_block_exactly_once_in_an_order_of_its_own(count: int, seq_len: int, batch_size: int) -> None:
    data = np.arange(count + 1)
    blocks = Blocks(data, seq_len, batch_size, seed=3)
    assert blocks.blocks == count // seq_len
    orders = []
    for epoch in range(3):
        steps = range(epoch * blocks.steps_per_epoch, (epoch + 1) * blocks.steps_per_epoch)
        batches = [blocks.batch(step) for step in steps]
        rows = torch.cat([batch["inputs"] for batch in batches])
        assert torch.equal(torch.cat([batch["targets"] for batch in batches]), rows + 1)
        assert sorted(rows.flatten().tolist()) == list(range(blocks.blocks * seq_len))
        assert all(len(batch["inputs"]) == batch_size for batch in batches[:-1])
        orders.append(rows[:, 0].tolist())
    if blocks.blocks > 5:
        assert orders[0] != orders[1] != orders[2]


def test_the_order_hangs_on_seed_and_epoch_alone() -> None:
    data = np.arange(401)
    one, same, other = (Blocks(data, 8, 4, seed) for seed in (1, 1, 2))
    assert torch.equal(one.batch(30)["inputs"], same.batch(30)["inputs"])  # whichever batches were asked for before
    assert torch.equal(one.batch(2)["inputs"], same.batch(2)["inputs"])
    assert not torch.equal(one.batch(2)["inputs"], other.batch(2)["inputs"])


def test_a_text_shorter_than_one_block_is_refused_with_both_lengths() -> None:
    with pytest.raises(TrainingError, match="7 tokens, less than seq_len=8"):
        Blocks(np.arange(8), 8, 1, 1)


# Schedule


@pytest.mark.parametrize(
    ("schedule", "step", "wanted"),
    [
        ("constant", 0, 0.01),
        ("constant", 3, 0.04),
        ("constant", 4, 0.04),
        ("constant", 99, 0.04),
        ("linear", 1, 0.02),
        ("linear", 4, 0.04),
        ("linear", 28, 0.03),
        ("linear", 52, 0.02),
        ("linear", 100, 0.0),
        ("cosine", 2, 0.03),
        ("cosine", 28, 0.04 * (2 + math.sqrt(2)) / 4),
        ("cosine", 52, 0.02),
        ("cosine", 100, 0.0),
    ],
)
def test_the_learning_rate_is_that_worked_out_by_hand(schedule: str, step: int, wanted: float) -> None:
    config = TrainConfig(lr=0.04, schedule=schedule, warmup_steps=4)
    assert learning_rate_at(step, config, 100) == pytest.approx(wanted, abs=1e-12)


def test_the_rate_that_an_event_names_is_the_one_of_its_step() -> None:
    config = TrainConfig(lr=0.04, schedule="linear", steps=20, log_every=5)
    _, events, _ = run_table(config)
    rates = {event["step"]: event["lr"] for event in events if event["event"] == "train"}
    assert rates == {step: learning_rate_at(step - 1, config, 20) for step in (1, 5, 10, 15, 20)}


def test_the_length_of_a_run_is_steps_or_else_epochs() -> None:
    assert total_steps(TrainConfig(epochs=3), 7) == 21
    assert total_steps(TrainConfig(epochs=3, steps=5), 7) == 5


def test_validations_take_about_a_twentieth_of_the_work_where_nothing_else_is_said() -> None:
    assert eval_interval(TrainConfig(eval_every=7), 10**9, 100) == 7
    assert eval_interval(TrainConfig(), 100, 1280) == 50
    interval = eval_interval(TrainConfig(), 10**6, 1280)
    assert (10**6 / 3) / (interval * 1280) == pytest.approx(0.05, rel=0.01)


# The loop


def test_one_batch_is_learned_by_heart(make_graph: MakeGraph) -> None:
    torch.manual_seed(1)
    model = build(plan(make_graph().with_param("embedding", "embedding_dim", 16).with_param("block_1", "dropout", 0.0), 25))
    data = np.random.default_rng(1).integers(0, 25, 8 * 4 + 1)
    config = TrainConfig(lr=0.01, steps=150)
    train(
        model,
        Blocks(data, 8, 4, 1),
        config,
        validate=lambda: evaluate(model, data, 8).loss,
        on_event=lambda event: None,
        eval_every=1000,
    )
    assert evaluate(model.eval(), data, 8).loss < 0.05


def test_the_same_seed_gives_bitwise_the_same_losses_twice(make_graph: MakeGraph, prepared: Prepared) -> None:
    def losses(seed: int) -> list[float]:
        graph = make_graph(steps=15, log_every=1, seed=seed)
        config, source, events = train_config(graph), source_of(graph.node("data")), []
        torch.manual_seed(config.seed)
        model = build(plan(graph, prepared.vocab_size))
        blocks = Blocks(prepared.tokens("train"), source.seq_len, source.batch_size, config.seed)
        validate = lambda: evaluate(model, prepared.tokens("validation"), 8).loss  # noqa: E731
        train(model, blocks, config, validate=validate, on_event=events.append, eval_every=5)
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


def test_max_steps_ends_early_and_changes_nothing_before() -> None:
    config = TrainConfig(lr=0.1, steps=40, schedule="cosine", log_every=1)
    whole = run_table(config)[1]
    outcome, cut, _ = run_table(config, max_steps=12)
    assert outcome == "finished" and cut[-1]["step"] == 12
    points = [(event["loss"], event["lr"]) for event in cut if event["event"] == "train"]
    assert points == [(event["loss"], event["lr"]) for event in whole if event["event"] == "train"][:12]


def test_a_stop_is_heard_at_the_next_step_and_the_end_says_so() -> None:
    steps: list[int] = []
    outcome, events, _ = run_table(TrainConfig(steps=40), should_stop=lambda: steps.append(1) or len(steps) > 15)
    assert outcome == "stopped" and events[-1]["state"] == "stopped" and events[-1]["step"] == 15
    assert [event["step"] for event in events if event["event"] == "validation"] == [10]


def test_a_run_that_is_stopped_before_its_first_validation_is_still_validated() -> None:
    steps: list[int] = []
    _, events, _ = run_table(TrainConfig(steps=40), should_stop=lambda: steps.append(1) or len(steps) > 3)
    assert [(event["event"], event["step"]) for event in events[-2:]] == [("validation", 3), ("end", 3)]


def test_a_loss_that_is_no_longer_a_number_ends_training_with_advice() -> None:
    model = Table()
    with torch.no_grad():
        model.scores.weight[2, 2] = math.inf
    with pytest.raises(TrainingError, match=r"loss is (nan|inf) at step 1; try a lower lr than 0.001"):
        run_table(TrainConfig(steps=5), model)


def test_a_validation_loss_that_is_no_number_ends_training() -> None:
    with pytest.raises(TrainingError, match="validation loss is nan at step 2"):
        run_table(TrainConfig(steps=5), validate=lambda: math.nan, eval_every=2)


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


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_the_optimizer_is_torchs_own_with_the_settings(name: str) -> None:
    optimizer = make_optimizer(Table(), TrainConfig(optimizer=name, lr=0.3, weight_decay=0.2))
    (part,) = optimizer.parts
    assert type(part) is getattr(torch.optim, name)
    assert part.defaults["lr"] == 0.3 and part.param_groups[0]["weight_decay"] == 0.2


def test_a_device_that_is_not_there_is_said() -> None:
    assert pick_device("cpu").type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(TrainingError, match="device=cuda: this machine has none"):
            pick_device("cuda")
