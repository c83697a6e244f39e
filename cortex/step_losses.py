"""The losses of the steps since the last point of the curve, and what to try where one is no number any more.

Importable alone: torch and config.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cortex.config import TrainConfig, TrainingError


def main_loss(steps: list[Tensor], names: list[str], step: int, config: TrainConfig) -> float:
    """The mean of the first loss over steps of which `step` is the last; NaN without any.

    Args:
        steps: of each step (2, losses): the mean of each loss, and whether it counted.
        names: of the losses.

    Raises:
        TrainingError: a loss is no number; the first step at which one was not is named.
    """
    if not steps:
        return math.nan
    losses = torch.stack(steps)[:, 0]  # (steps, losses)
    if not losses.isfinite().all():
        bad = int(losses.isfinite().all(1).logical_not().nonzero()[0])
        value = losses[bad][losses[bad].isfinite().logical_not()][0].item()
        raise TrainingError(not_finite("loss", value, step - len(losses) + 1 + bad, config))
    return next(iter(mean_losses(steps, names).values()), 0.0)


def mean_losses(steps: list[Tensor], names: list[str]) -> dict[str, float]:
    """Of each loss the mean over the steps in which it counted; none of one that never did."""
    losses = torch.stack(steps)  # (steps, 2, losses)
    found = {}
    for place, name in enumerate(names):
        values = losses[losses[:, 1, place] > 0, 0, place]
        if len(values):
            found[name] = values.mean().item()
    return found


def not_finite(what: str, value: float, step: int, config: TrainConfig) -> str:
    """What is no number, where, and what to try."""
    return f"{what} is {value} at step {step:,}; {advice(config)}"


def advice(config: TrainConfig) -> str:
    """What to try against a loss that runs away."""
    clip = "" if config.clip_norm else ", clip_norm=1"
    return f"try a lower lr than {config.lr:g}{clip}, or more warmup_steps than {config.warmup_steps:,}"
