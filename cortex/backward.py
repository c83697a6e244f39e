"""The gradient of a batch: in one go or in pieces that are added up, in one process or shared among several.

Importable alone: torch, blocks.py, config.py and device.py. `model(batch)` returns {loss: (sum, number of what was compared)}.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from cortex.blocks import Batch
from cortex.config import TrainConfig
from cortex.device import pick_precision


class OneProcess:
    """What a training shares with others: nothing, here. Ranks of a larger training put their own in its place."""

    world = 1

    def part(self, batch: Batch) -> tuple[Batch, float]:
        """This process's rows of a batch, and their share of it."""
        return batch, 1.0

    def total(self, value: Tensor) -> Tensor:
        """The sum of a value over all processes."""
        return value

    def agree(self, word: str) -> str:
        """What the first process says."""
        return word


class Backward:
    """Adds the gradient of a batch's losses to the parameters of a model.

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
        self._model, self._forward, self._processes = model, forward or model, processes
        self._accumulate = config.accumulate
        self._device = next(model.parameters()).device
        self._weights: dict[str, float] = getattr(model, "loss_weights", {})
        self.names = list(self._weights)  # of the losses, in the order in which they are told
        precision = pick_precision(config.precision, self._device)
        self._autocast = (
            torch.autocast(self._device.type, dtype=precision) if precision != torch.float32 else contextlib.nullcontext()
        )

    def __call__(self, batch: Batch) -> Tensor:
        """Add the gradient of the batch's loss; the mean of each loss, unweighted, and whether it counted comes out, (2, L).

        Means are over all answers of the whole batch, however it is cut into pieces and shared among processes.
        """
        told: Tensor | None = None
        rows, part = self._processes.part(batch)
        pieces = list(self._pieces(rows))
        alone = part == 1 and len(pieces) == 1
        whole = {} if alone else self._counts(batch)
        for number, piece in enumerate(pieces):
            own = {} if alone else self._counts(piece)
            piece = {name: tensor.to(self._device, non_blocking=True) for name, tensor in piece.items()}
            # Ranks: the last piece alone is waited for by the others, who may have more pieces or fewer.
            with self._no_sync(number < len(pieces) - 1):
                with self._autocast:
                    losses = self._forward(piece)
                means, counted = {}, []
                for name, (total, count) in losses.items():
                    mean = total / (count.clamp(min=1) if isinstance(count, Tensor) else max(1, count))
                    share = 1.0 if alone else own[name] / whole[name] if whole[name] and part else 0.0
                    means[name] = mean if share == 1 else mean * share
                    counted.append(count > 0 if alone else bool(whole[name]))
                self.names = list(means)
                loss = sum(self._weights.get(name, 1.0) * mean for name, mean in means.items())
                # Ranks: gradients are averaged over the processes, whose shares of the whole batch add up to 1.
                (loss if alone else loss * self._processes.world).backward()
            values = torch.stack([mean.detach().float() for mean in means.values()])
            told = values if told is None else told + values
        told = self._processes.total(told)
        counts = torch.stack([torch.as_tensor(one, device=told.device) for one in counted])
        return torch.stack([told, counts.to(told.dtype)])

    def _counts(self, batch: Batch) -> dict[str, int]:
        """How many answers each loss compares in a batch."""
        losses = {name: getattr(self._model, name, None) for name in self.names or ("loss",)}
        return {
            name: loss.count(batch) if hasattr(loss, "count") else batch["targets"].numel() for name, loss in losses.items()
        }

    def _pieces(self, batch: Batch) -> Iterator[Batch]:
        rows = batch["targets"].size(0)
        size = -(-rows // self._accumulate)
        for start in range(0, rows, size):
            yield {name: tensor[start : start + size] for name, tensor in batch.items()}

    def _no_sync(self, wanted: bool) -> contextlib.AbstractContextManager[None]:
        return self._forward.no_sync() if wanted and hasattr(self._forward, "no_sync") else contextlib.nullcontext()
