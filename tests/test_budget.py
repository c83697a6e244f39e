"""The time budget: the speed is measured, the length is derived once, and the schedule fits it. The clock is made."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tables import Clock, Table, facts, table_blocks
from torch import Tensor

from cortex.config import TrainConfig
from cortex.train import Event, Trainer

STEP_SECONDS, VALIDATION_SECONDS = 1.0, 2.0


class Timed(Table):
    """A step of it takes a second of a clock that is made."""

    def __init__(self, clock: Clock, seconds: float = STEP_SECONDS) -> None:
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def forward(self, batch: dict[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        self.clock.pass_by(self.seconds)
        return super().forward(batch)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def budgeted(clock: Clock, events: list[Event], seconds: float = STEP_SECONDS, **settings: Any) -> Trainer:
    """A training of a thousand steps within a minute, with a second a step and two a validation."""
    torch.manual_seed(1)
    between: Callable[[Trainer], str] = settings.pop("between", lambda trainer: "")
    validate: Callable[[], float] = settings.pop("validate", lambda: clock.pass_by(VALIDATION_SECONDS) or 1.0)
    config = TrainConfig(**{"lr": 1.0, "steps": 1000, "max_minutes": 1.0, "log_every": 1, **settings})
    return Trainer(
        Timed(clock, seconds), table_blocks(config), config, validate=validate, on_event=events.append, eval_every=10,
        between=between,
    )  # fmt: skip


def horizons(events: list[Event]) -> list[Event]:
    return [event for event in events if event["event"] == "horizon"]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "warmup_stable_decay", "inverse_sqrt"])
def test_a_run_is_shortened_once_and_ends_within_its_budget_but_uses_it(clock: Clock, schedule: str) -> None:
    events: list[Event] = []
    assert budgeted(clock, events, schedule=schedule).run() == "finished"
    (horizon,) = horizons(events)
    assert 50 < clock.now <= 60
    assert events[-1]["step"] == horizon["last_step"] == horizon["steps"] < 60
    assert horizon["step"] == 11  # a validation at step 10, and then 13 seconds: more than a fifth of the budget
    assert horizon["seconds_per_step"] == pytest.approx(13 / 11)


def test_the_rate_stays_up_while_the_speed_is_measured_and_falls_to_nothing_from_there_on(clock: Clock) -> None:
    events: list[Event] = []
    budgeted(clock, events, schedule="cosine").run()
    (horizon,) = horizons(events)
    first, steps = horizon["step"], horizon["steps"]
    rates = {event["step"]: event["lr"] for event in events if event["event"] == "train"}
    for step, rate in rates.items():
        done = max(0, step - 1 - first) / (steps - first)
        assert rate == pytest.approx(0.5 * (1 + math.cos(math.pi * done))), step
    assert rates[first] == 1.0 and rates[steps] < 0.01


def test_a_run_that_fits_its_budget_keeps_its_length(clock: Clock) -> None:
    events: list[Event] = []
    budgeted(clock, events, steps=30).run()
    assert [horizon["steps"] for horizon in horizons(events)] == [30] and events[-1]["step"] == 30


def test_no_step_is_validated_twice_when_the_budget_is_fitted_where_a_validation_is_due(clock: Clock) -> None:
    events: list[Event] = []
    budgeted(clock, events, steps=100).run()  # measured after a tenth of the steps
    steps = [event["step"] for event in events if event["event"] == "validation"]
    assert horizons(events)[0]["step"] == 10 and steps == sorted(set(steps))


@pytest.mark.parametrize("pause", [5, 11, 12, 30])
def test_a_run_that_is_taken_up_again_keeps_the_length_it_was_fitted_to(clock: Clock, pause: int) -> None:
    whole: list[Event] = []
    budgeted(clock, whole, schedule="linear").run()
    clock.now = 0.0
    events: list[Event] = []
    first = budgeted(clock, events, schedule="linear", between=lambda trainer: "paused" if trainer.step == pause else "")
    assert first.run() == "paused"
    kept = io.BytesIO()
    torch.save(first.state(), kept)
    kept.seek(0)
    clock.pass_by(1000.0)  # the time away does not count
    # After the fit another speed would give another length, were it fitted again.
    again = budgeted(clock, events, STEP_SECONDS if pause <= 11 else 5.0, schedule="linear")
    again.model.load_state_dict(first.model.state_dict())
    again.load_state(torch.load(kept, weights_only=True))
    assert again.run() == "finished"
    assert facts([event for event in events if event.get("state") != "paused"]) == facts(whole)


def test_a_stop_that_interrupts_the_measured_validation_leaves_the_fit_to_the_next_time(clock: Clock) -> None:
    asked: list[bool] = []

    def validate() -> float:
        if trainer.step == 11:
            asked.append(True)
            raise InterruptedError
        clock.pass_by(VALIDATION_SECONDS)
        return 1.0

    events: list[Event] = []
    trainer = budgeted(clock, events, validate=validate, between=lambda trainer: "stopped" if asked else "")
    assert trainer.run() == "stopped" and horizons(events) == []
    assert trainer.state()["fit"] and trainer.state()["fitted"]["steps"] == 1000


def test_max_steps_still_cuts_off_a_run_with_a_budget(clock: Clock) -> None:
    events: list[Event] = []
    trainer = budgeted(clock, events)
    trainer._max_steps = 20
    trainer.run()
    (horizon,) = horizons(events)
    assert events[-1]["step"] == 20 == horizon["last_step"] and horizon["steps"] > 20
