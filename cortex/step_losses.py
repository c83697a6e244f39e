"""The losses of the steps since the last point of the curve, and what to try where one is no number any more.

Importable alone: torch and config.py.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from cortex.config import TrainConfig, TrainingError


class StepLosses:
    """Gathers the losses of steps into points of the training curve, the lowest of which it remembers."""

    def __init__(self) -> None:
        # Of each step since the last point (2, L): the mean of each loss, and whether it counted.
        self._steps: list[Tensor] = []
        self._lowest = math.inf

    def add(self, losses: Tensor) -> None:
        """Take in what a step gave: the mean of each loss, and whether it counted, (2, L)."""
        self._steps.append(losses)

    def check(self, step: int, config: TrainConfig) -> None:
        """TrainingError where a loss since the last point is no number; the first step at which one was not is named.

        Args:
            step: the last one that was taken in.
        """
        if not self._steps:
            return
        losses = torch.stack(self._steps)[:, 0]  # (steps, L)
        if not losses.isfinite().all():
            bad = int(losses.isfinite().all(1).logical_not().nonzero()[0])
            value = losses[bad][losses[bad].isfinite().logical_not()][0].item()
            raise TrainingError(not_finite("loss", value, step - len(losses) + 1 + bad, config))

    def point(self, names: list[str], step: int, config: TrainConfig) -> tuple[float, dict[str, float]]:
        """The mean of the first loss, and of each that counted, over the steps since the last point, `step` the last of them.

        Raises:
            TrainingError: a loss is no number, or the first has risen by more than `max_rise` above the lowest point.
        """
        self.check(step, config)
        means = self._means(names)
        first = next(iter(means.values()), 0.0)
        if config.max_rise and first > self._lowest + config.max_rise:
            raise TrainingError(
                f"the training loss rose to {first:.3f} at step {step:,} from {self._lowest:.3f}, more than "
                f"max_rise={config.max_rise:g}; {advice(config)}"
            )
        self._lowest, self._steps = min(self._lowest, first), []
        return first, means

    def state(self) -> dict[str, Any]:
        """What is kept between two steps."""
        return {"lowest": self._lowest, "losses": [losses.detach().cpu() for losses in self._steps]}

    def load_state(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on from a `state`; keys that are not of one are passed over."""
        self._lowest = state["lowest"]
        # A state from before there were several losses has one number a step.
        losses = (loss if loss.dim() else torch.stack([loss, torch.ones_like(loss)]).unsqueeze(1) for loss in state["losses"])
        self._steps = [loss.to(device) for loss in losses]

    def _means(self, names: list[str]) -> dict[str, float]:
        """Of each loss the mean over the steps in which it counted; none of one that never did."""
        losses = torch.stack(self._steps)  # (steps, 2, L)
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
