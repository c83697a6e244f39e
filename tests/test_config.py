"""What follows from the settings alone: learning rates worked out by hand, lengths, validations; settings in groups."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest

from cortex.builder import TRAINING
from cortex.config import GROUPS, TrainConfig, eval_interval, learning_rate_at, total_steps
from cortex.params import problems


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
        ("warmup_stable_decay", 0, 0.01),
        ("warmup_stable_decay", 4, 0.04),
        ("warmup_stable_decay", 80, 0.04),
        ("warmup_stable_decay", 85, 0.03),
        ("warmup_stable_decay", 90, 0.02),
        ("warmup_stable_decay", 100, 0.0),
        ("inverse_sqrt", 1, 0.02),
        ("inverse_sqrt", 3, 0.04),
        ("inverse_sqrt", 15, 0.02),
        ("inverse_sqrt", 99, 0.008),
    ],
)
def test_the_learning_rate_is_that_worked_out_by_hand(schedule: str, step: int, wanted: float) -> None:
    config = TrainConfig(lr=0.04, schedule=schedule, warmup_steps=4)
    assert learning_rate_at(step, config, 100) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("linear", {39: 1.0, 40: 1.0, 55: 0.75, 70: 0.5, 100: 0.0}),
        ("cosine", {39: 1.0, 40: 1.0, 60: 0.75, 70: 0.5, 80: 0.25, 100: 0.0}),
        ("warmup_stable_decay", {40: 1.0, 79: 1.0, 90: 0.5, 100: 0.0}),
    ],
)
def test_a_rate_that_is_held_falls_from_there_on(schedule: str, rates: dict[int, float]) -> None:
    config = TrainConfig(lr=1.0, schedule=schedule, hold_steps=40)
    for step, wanted in rates.items():
        assert learning_rate_at(step, config, 100) == pytest.approx(wanted, abs=1e-12), step


def test_a_rate_held_until_late_still_falls_to_nothing() -> None:
    config = TrainConfig(lr=1.0, schedule="warmup_stable_decay", hold_steps=95)
    assert [learning_rate_at(step, config, 100) for step in (94, 95, 96, 99)] == pytest.approx([1.0, 1.0, 0.8, 0.2])


@pytest.mark.parametrize("share", [0.001, 0.5, 1.0])
def test_the_share_of_the_run_in_which_the_rate_falls_is_the_one_that_was_set(share: float) -> None:
    config = TrainConfig(lr=1.0, schedule="warmup_stable_decay", decay_share=share)
    falling = [step for step in range(1000) if learning_rate_at(step, config, 1000) < 1.0]
    assert len(falling) == max(1, round(1000 * share)) - 1  # at its first step the rate is still whole


@pytest.mark.parametrize("schedule", TRAINING["schedule"].options)
@pytest.mark.parametrize("steps", [1, 2, 10, 200])
def test_no_schedule_ever_leaves_the_bounds_or_trains_with_a_rate_of_nothing(schedule: str, steps: int) -> None:
    config = TrainConfig(lr=0.5, schedule=schedule, warmup_steps=5, hold_steps=20)
    rates = [learning_rate_at(step, config, steps) for step in range(steps)]
    assert all(0 < rate <= 0.5 for rate in rates)
    after = rates[5:]
    assert all(later <= earlier for earlier, later in itertools.pairwise(after))


def test_the_length_of_a_run_is_steps_or_else_epochs() -> None:
    assert total_steps(TrainConfig(epochs=3), 7) == 21
    assert total_steps(TrainConfig(epochs=3, steps=5), 7) == 5


def test_validations_take_about_a_twentieth_of_the_work_where_nothing_else_is_said() -> None:
    assert eval_interval(TrainConfig(eval_every=7), 10**9, 100) == 7
    assert eval_interval(TrainConfig(), 100, 1280) == 50
    interval = eval_interval(TrainConfig(), 10**6, 1280)
    assert (10**6 / 3) / (interval * 1280) == pytest.approx(0.05, rel=0.01)


def test_every_setting_is_in_exactly_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(field.name for field in dataclasses.fields(TrainConfig))


def test_a_setting_that_cannot_have_an_effect_is_refused_and_says_when_it_would() -> None:
    assert "no effect unless optimizer is SGD or Muon" in problems(TRAINING, {"momentum": 0.5})["momentum"]
    assert "no effect unless schedule is" in problems(TRAINING, {"decay_share": 0.5, "schedule": "cosine"})["decay_share"]
    assert problems(TRAINING, {"momentum": 0.5, "optimizer": "SGD"}) == {}
