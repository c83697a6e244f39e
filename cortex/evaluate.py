"""Losses, perplexity, bits per byte and metrics of a model over a whole split.

Importable alone: numpy, torch and blocks.py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from cortex.blocks import Batch, text_batches

BATCH_TOKENS = 8192  # tokens that are read at once


class Counts(Protocol):
    """What counts how often one loss is right (scores.Tally): sums that are added up over batches and processes."""

    sums: Tensor

    def add(self, scores: Tensor, batch: Batch) -> None: ...

    def result(self) -> dict[str, float]: ...


@dataclass(frozen=True)
class Evaluation:
    """Mean `loss` of the main loss over `tokens` answers, in nats where it is a cross-entropy; `bits_per_byte` is None where
    it would not be honest. `losses` has the mean of each loss, `metrics` how often each is right, by the loss's name."""

    loss: float
    tokens: int
    bits_per_byte: float | None = None
    losses: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def perplexity(self) -> float:
        return perplexity(self.loss)

    def facts(self) -> dict[str, Any]:
        """What a `validation` event carries of it."""
        return {"loss": self.loss, "losses": dict(self.losses), "metrics": {name: dict(m) for name, m in self.metrics.items()}}


def perplexity(loss: float) -> float:
    """exp(loss): the number of equally likely tokens that would be as hard to guess; inf past what a float holds."""
    return math.exp(loss) if loss < 700 else math.inf


def evaluate(
    model: nn.Module,
    tokens: np.ndarray,
    seq_len: int,
    *,
    loss: str | None = None,
    text_bytes: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    should_stop: Callable[[], bool] = lambda: False,
    part: tuple[int, int] = (0, 1),
    total: Callable[[Tensor], Tensor] = lambda sums: sums,
) -> Evaluation:
    """The unsmoothed loss over every token of a split once, in non-overlapping blocks of `seq_len`, the tail included.

    Args:
        tokens: (1 + N,) ids; the first only precedes the text.
        loss: which of the model's losses; the first when None.
        text_bytes: bytes of the text where bits per byte are honest: loss * tokens / (ln 2 * bytes).
        part: (i, n): read only every n-th batch from the i-th on; `total` then adds up what n processes have read.

    Raises:
        ValueError: the split has no tokens.
    """
    if len(tokens) < 2:
        raise ValueError("this split has no tokens")
    batches = ((batch, None) for batch in text_batches(tokens, seq_len, max(1, batch_tokens // seq_len)))
    return judge(model, batches, loss=loss, text_bytes=text_bytes, should_stop=should_stop, part=part, total=total)


@torch.no_grad()
def judge(
    model: nn.Module,
    batches: Iterable[tuple[Batch, list[str] | None]],
    *,
    tallies: Mapping[str, Counts] | None = None,
    loss: str | None = None,
    text_bytes: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    part: tuple[int, int] = (0, 1),
    total: Callable[[Tensor], Tensor] = lambda sums: sums,
) -> Evaluation:
    """The mean of every loss over all answers that these batches hold, and what the tallies count.

    Args:
        batches: each with the names of the losses that it counts for, None for all.
        tallies: by loss, new ones; with them all scores are computed.
        loss: the main one; the first when None.
        part, total: as in `evaluate`.

    Raises:
        ValueError: nothing was compared.
        InterruptedError: `should_stop` said so.
    """
    device = next(model.parameters()).device
    sums: dict[str, list[float]] = {}
    for batch, counted in itertools.islice(batches, part[0], None, part[1]):
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        for name, (summed, number) in _losses(model, batch, counted, tallies):
            kept = sums.setdefault(name, [0.0, 0])
            kept[0], kept[1] = kept[0] + float(summed), kept[1] + int(number)
        if should_stop():
            raise InterruptedError("evaluation stopped")
    names = list(getattr(model, "loss_weights", None) or sums)
    found = [value for name in names for value in sums.get(name, (0.0, 0))]
    counts = [tally.sums for tally in (tallies or {}).values()]
    whole = total(torch.cat([torch.tensor(found, dtype=torch.float64), *counts]))
    for tally, counted in zip((tallies or {}).values(), whole[len(found) :].split([len(one) for one in counts]), strict=True):
        tally.sums = counted
    pairs = dict(zip(names, whole[: len(found)].view(-1, 2).tolist(), strict=True))
    main = loss or names[0]
    summed, number = pairs[main]
    if not number:
        raise ValueError(f"this split has nothing that {main} could compare")
    bits = summed / (math.log(2) * text_bytes) if text_bytes else None
    return Evaluation(
        summed / number, int(number), bits,
        losses={name: one / count for name, (one, count) in pairs.items() if count},
        metrics={name: tally.result() for name, tally in (tallies or {}).items()},
    )  # fmt: skip


def _losses(
    model: nn.Module, batch: Batch, counted: list[str] | None, tallies: Mapping[str, Counts] | None
) -> Iterator[tuple[str, tuple[Tensor, Any]]]:
    if not tallies:
        yield from ((name, pair) for name, pair in model(batch).items() if counted is None or name in counted)
        return
    for name, scores in model.outputs(batch).items():
        if counted is None or name in counted:
            tallies[name].add(scores, batch)
            yield name, getattr(model, name)(scores, batch)
