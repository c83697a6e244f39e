"""A training that is left between any two steps and taken up again gives bitwise what it would have given."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from tables import SEQ_LEN, Deep, facts, table_blocks, tokens

from cortex.config import TrainConfig
from cortex.evaluate import evaluate
from cortex.train import Event, Trainer

STEPS = 12

SETTINGS: dict[str, dict[str, Any]] = {
    "Adam": {"optimizer": "Adam", "schedule": "cosine", "warmup_steps": 5},
    "AdamW": {"optimizer": "AdamW", "weight_decay": 0.1, "schedule": "warmup_stable_decay", "clip_norm": 0.1},
    "SGD": {"optimizer": "SGD", "weight_decay": 0.1, "lr": 0.3, "schedule": "linear"},
    "Muon": {"optimizer": "Muon", "weight_decay": 0.1, "schedule": "inverse_sqrt", "warmup_steps": 3},
    "average": {"ema": 0.9, "clip_norm": 0.5},
    "pieces": {"accumulate": 3},
    "Muon, average, pieces": {"optimizer": "Muon", "ema": 0.9, "accumulate": 2},
}


def make(config: TrainConfig, events: list[Event], seed: int, leave_at: int | None = None) -> Trainer:
    torch.manual_seed(seed)
    model = Deep()
    return Trainer(
        model, table_blocks(config), config, validate=lambda: evaluate(model, tokens(), SEQ_LEN).loss,
        on_event=events.append, eval_every=4, between=lambda trainer: "paused" if trainer.step == leave_at else "",
    )  # fmt: skip


def saved(trainer: Trainer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Weights and state as a checkpoint has them, through a file."""
    with trainer.judged():
        weights = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    file = io.BytesIO()
    torch.save(trainer.state(), file)
    file.seek(0)
    return weights, torch.load(file, weights_only=True)


def taken_up(config: TrainConfig, leave_at: int) -> tuple[list[Event], Trainer]:
    """A training that is left at this step; another trainer, begun from other weights, takes it up and ends it."""
    events: list[Event] = []
    first = make(config, events, seed=1, leave_at=leave_at)
    assert first.run() == "paused" and events.pop()["state"] == "paused"
    weights, state = saved(first)
    second = make(config, events, seed=99)
    second.model.load_state_dict(weights)
    second.load_state(state)
    numbers = {key: value for key, value in state.items() if isinstance(value, (int, float))}
    assert {key: second.state()[key] for key in numbers} == numbers
    assert second.run() == "finished"
    return events, second


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_events_and_weights_are_bitwise_those_of_a_training_that_was_never_left(settings: dict[str, Any]) -> None:
    config = TrainConfig(**{"lr": 0.05, "steps": STEPS, "log_every": 7, **settings})
    whole: list[Event] = []
    never_left = make(config, whole, seed=1)
    never_left.run()
    wanted, state = saved(never_left)
    for leave_at in range(STEPS):
        events, again = taken_up(config, leave_at)
        assert facts(events) == facts(whole), leave_at
        found, other = saved(again)
        assert all(torch.equal(found[name], value) for name, value in wanted.items()), leave_at
        assert torch.equal(other["random"], state["random"]) and other["worse"] == state["worse"], leave_at


def test_patience_goes_on_counting_where_it_was() -> None:
    values = [3.0, 1.0, 2.0, 2.0, 2.0, 2.0, 0.5]
    config = TrainConfig(steps=STEPS * 4, patience=3)
    events: list[Event] = []
    first = make(config, events, seed=1, leave_at=17)  # two validations after the best
    first._validate = lambda: values[first.step // 4 - 1]
    first.run()
    weights, state = saved(first)
    second = make(config, events, seed=1)
    second._validate = lambda: values[second.step // 4 - 1]
    second.model.load_state_dict(weights)
    second.load_state(state)
    assert second.run() == "finished" and second.step == 20 and "3" in events[-1]["why"]


def test_a_longer_run_has_a_curve_of_its_own_and_a_best_of_its_own() -> None:
    config = TrainConfig(lr=0.05, steps=STEPS, patience=2)
    events: list[Event] = []
    first = make(config, events, seed=1)
    first._validate = lambda: 1.0
    assert first.run() == "finished" and first.worse == 2
    weights, state = saved(first)
    longer = make(TrainConfig(lr=0.05, steps=40, patience=2), events := [], seed=1)
    longer._validate = lambda: 2.0  # worse than all before
    longer.model.load_state_dict(weights)
    longer.load_state(state, same_length=False)
    assert longer.steps == 40 and longer.run() == "finished" and longer.step == 24
    found = [(event["step"], event["best"]) for event in events if event["event"] == "validation"]
    assert found == [(16, True), (20, False), (24, False)]
