"""How a training ends: at its length, on a word from outside, without a better validation, diverged, or within a budget."""

from __future__ import annotations

import math

import pytest
import torch
from tables import Table, run_table, table_blocks
from torch import Tensor

from cortex.config import TrainConfig, TrainingError
from cortex.train import Event, Trainer


def test_max_steps_ends_early_and_changes_nothing_before() -> None:
    config = TrainConfig(lr=0.1, steps=40, schedule="cosine", log_every=1)
    whole = run_table(config)[1]
    outcome, cut, _ = run_table(config, max_steps=12)
    assert outcome == "finished" and cut[-1]["step"] == 12
    points = [(event["loss"], event["lr"]) for event in cut if event["event"] == "train"]
    assert points == [(event["loss"], event["lr"]) for event in whole if event["event"] == "train"][:12]


def test_a_stop_is_heard_at_the_next_step_and_the_end_says_so() -> None:
    outcome, events, _ = run_table(TrainConfig(steps=40), between=lambda trainer: "stopped" if trainer.step == 15 else "")
    assert outcome == "stopped" and events[-1]["state"] == "stopped" and events[-1]["step"] == 15
    assert [event["step"] for event in events if event["event"] == "validation"] == [10]


def test_a_run_that_is_stopped_before_its_first_validation_is_still_validated() -> None:
    _, events, _ = run_table(TrainConfig(steps=40), between=lambda trainer: "stopped" if trainer.step == 3 else "")
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


# Validations and losses that end it


def test_so_many_validations_without_a_better_one_end_the_run_and_it_says_why() -> None:
    values = iter([3.0, 2.0, 2.5, 2.0, 1.9, 2.0, 2.0, 1.9, 0.0])
    outcome, events, _ = run_table(TrainConfig(steps=40, patience=3), validate=lambda: next(values), eval_every=2)
    assert outcome == "finished" and events[-1]["step"] == 16
    assert events[-1]["why"] == "no better validation in 3 of them"
    whole = run_table(TrainConfig(steps=20))[1]
    assert "why" not in whole[-1]


def test_a_loss_that_rises_for_good_ends_the_run_with_both_heights_and_advice() -> None:
    config = TrainConfig(optimizer="SGD", lr=10.0, momentum=0.99, steps=400, max_rise=2.0, log_every=1)
    with pytest.raises(
        TrainingError, match=r"the training loss rose to \d+\.\d+ at step \d+ from \d\.\d+, more than max_rise=2; try"
    ):
        run_table(config)
    assert run_table(TrainConfig(**{**vars(config), "max_rise": 0.0, "steps": 60}))[0] == "finished"


class Breaks(Table):
    """Its loss is no number at one of its steps, and a number again afterwards unless the weights are lost."""

    def __init__(self, at: int, lasting: bool = True) -> None:
        super().__init__()
        self.at, self.lasting, self.steps = at, lasting, 0

    def forward(self, batch: dict[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        total, count = super().forward(batch)["loss"]
        self.steps += self.training
        return {"loss": (total * (math.nan if self.training and self.steps == self.at else 1.0), count)}


@pytest.mark.parametrize(("log_every", "eval_every"), [(1, 50), (50, 50), (50, 10), (7, 1)])
def test_the_first_step_whose_loss_is_no_number_is_named_however_seldom_one_looks(log_every: int, eval_every: int) -> None:
    events: list[Event] = []
    with pytest.raises(TrainingError, match=r"loss is nan at step 17; try a lower lr than 0\.001, clip_norm=1, or more"):
        run_table(TrainConfig(steps=50, log_every=log_every), Breaks(17), eval_every=eval_every, on_event=events.append)
    assert all(event["step"] < 17 for event in events)


def test_a_checkpoint_is_refused_as_soon_as_a_loss_or_a_weight_is_no_number() -> None:
    config = TrainConfig(steps=50, log_every=50)
    model = Breaks(3)
    trainer = Trainer(
        model, table_blocks(config), config, validate=lambda: 1.0, on_event=lambda event: None, eval_every=50,
        between=lambda trainer: trainer.check_numbers() or "",
    )  # fmt: skip
    with pytest.raises(TrainingError, match="loss is nan at step 3"):
        trainer.run()
    trainer = Trainer(Table(), table_blocks(config), config, validate=lambda: 1.0, on_event=print, eval_every=50)
    trainer.check_numbers()
    with torch.no_grad():
        trainer.model.scores.weight[0, 0] = math.inf
    with pytest.raises(TrainingError, match="a weight is no longer a number at step 0"):
        trainer.check_numbers()
