"""One optimizer step: the gradient of a batch, clipping, the weights, their moving average; and what is kept between two steps.

Importable alone: torch, backward.py, blocks.py, config.py and optimize.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cortex.backward import Backward, OneProcess
from cortex.blocks import Batch
from cortex.config import TrainConfig
from cortex.optimize import MovingAverage, make_optimizer


class Stepper:
    """Changes the parameters of a model in place, a batch at a time.

    Args:
        forward: what computes `model(batch)`, where that is wrapped or compiled.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        processes: OneProcess,
        forward: Callable[[Batch], dict[str, tuple[Tensor, Any]]] | None = None,
    ) -> None:
        self.device = next(model.parameters()).device
        self._model, self._clip_norm = model, config.clip_norm
        self._backward = Backward(model, config, processes, forward)
        self._optimizer = make_optimizer(model, config)
        self._average = MovingAverage(model, config.ema) if config.ema else None

    @property
    def losses(self) -> list[str]:
        """Names of the losses, in the order in which they are told."""
        return self._backward.names

    def step(self, batch: Batch, lr: float, *, wants_norm: bool) -> tuple[Tensor, Tensor | None]:
        """Make one step.

        Returns:
            The mean of each loss before the step, unweighted, and whether it counted, (2, L); and the norm of the whole
            gradient before clipping, a tensor without dimensions, where it is wanted.
        """
        self._optimizer.set_lr(lr)
        self._optimizer.zero_grad()
        losses = self._backward(batch)  # (2, L)
        norm = None
        if self._clip_norm or wants_norm:
            norm = torch.nn.utils.get_total_norm([p.grad for p in self._model.parameters() if p.grad is not None])
            if self._clip_norm:
                torch.nn.utils.clip_grads_with_norm_(self._model.parameters(), self._clip_norm, norm)
        self._optimizer.step()
        if self._average:
            self._average.update()
        return losses, norm if wants_norm else None

    def judged(self) -> contextlib.AbstractContextManager[None]:
        """While this lasts, the model holds the weights that are validated and saved: the moving average where there is one."""
        return self._average.in_place() if self._average else contextlib.nullcontext()

    def is_finite(self) -> bool:
        """Whether every parameter is a number."""
        return all(bool(parameter.isfinite().all()) for parameter in self._model.parameters())

    def state(self) -> dict[str, Any]:
        """Optimizers, random states and, where there is a moving average, that and the model's own parameters."""
        state = {"optimizer": self._optimizer.state_dict(), "random": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(self.device)
        if self._average:
            state["average"] = self._average.state_dict()
            state["parameters"] = {name: parameter.detach() for name, parameter in self._model.named_parameters()}
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a `state`; keys that are not of one are passed over."""
        self._optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"], self.device)
        if self._average:
            self._average.load_state_dict(state["average"])
            with torch.no_grad():
                for name, parameter in self._model.named_parameters():
                    parameter.copy_(state["parameters"][name])
