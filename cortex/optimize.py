"""What moves the weights: the optimizer of a TrainConfig, and a moving average of the weights.

Importable alone: torch, config.py and muon.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from cortex.config import TrainConfig
from cortex.muon import Muon


class Optimizers:
    """One or more optimizers that step together and share a learning rate."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts

    def set_lr(self, lr: float) -> None:
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr * group.get("share", 1.0)

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def make_optimizer(model: nn.Module, config: TrainConfig) -> Optimizers:
    """The optimizer of `config` over the parameters of the model that are trained, in torch's fused form.

    Weight decay acts on matrices only. Muon takes the matrices but for those of embeddings and of the modules that the model
    names in `heads`, which look up or score tokens one by one; AdamW takes all else without decay, at `adamw_share` of the
    learning rate.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if config.optimizer == "Muon":
        single = {id(parameter) for module in _token_modules(model) for parameter in module.parameters()}
        matrices = [parameter for parameter in trained if parameter.ndim == 2 and id(parameter) not in single]
        taken = {id(parameter) for parameter in matrices}
        others = [parameter for parameter in trained if id(parameter) not in taken]
        parts: list[torch.optim.Optimizer] = []
        if matrices:
            parts.append(Muon(matrices, config.lr, config.momentum, config.weight_decay))
        if others:
            group = {"params": others, "share": config.adamw_share, "weight_decay": 0.0}
            parts.append(torch.optim.AdamW([group], lr=config.lr, betas=(0.9, config.beta2), fused=True))
        return Optimizers(*parts)
    groups = _groups(trained, config.weight_decay)
    if config.optimizer == "SGD":
        return Optimizers(torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=True))
    kind = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}[config.optimizer]
    return Optimizers(kind(groups, lr=config.lr, betas=(0.9, config.beta2), fused=True))


def _groups(parameters: list[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    vectors = [parameter for parameter in parameters if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _token_modules(model: nn.Module) -> Iterator[nn.Module]:
    heads = getattr(model, "heads", ())
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) or name in heads:
            yield module


class MovingAverage:
    """A moving average of a model's parameters: each step keeps `decay` of it, less in the first steps, so that it forgets the
    random start: min(decay, (1 + n) / (10 + n)) after n steps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._parameters = dict(model.named_parameters())
        self._decay, self._steps = decay, 0
        self._average = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters as they are now."""
        keep = min(self._decay, (1 + self._steps) / (10 + self._steps))
        self._steps += 1
        torch._foreach_lerp_(list(self._average.values()), list(self._parameters.values()), 1 - keep)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model holds the average while this lasts, and its own parameters again afterwards."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self._steps, "average": self._average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps = state["steps"]
        for name, average in self._average.items():
            average.copy_(state["average"][name])

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self._parameters.items():
            parameter.data, self._average[name] = self._average[name], parameter.data
