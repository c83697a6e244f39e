"""Loss, perplexity and bits per byte of a model over a whole split. Importable alone: numpy and torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Evaluation:
    """Mean `loss` in nats per token over `tokens` tokens; `bits_per_byte` is None where it would not be honest."""

    loss: float
    tokens: int
    bits_per_byte: float | None = None

    @property
    def perplexity(self) -> float:
        return perplexity(self.loss)


def perplexity(loss: float) -> float:
    """exp(loss): the number of equally likely tokens that would be as hard to guess; inf past what a float holds."""
    return math.exp(loss) if loss < 700 else math.inf


@torch.no_grad()
def evaluate(
    model: nn.Module,
    tokens: np.ndarray,
    seq_len: int,
    *,
    loss: str | None = None,
    text_bytes: int | None = None,
    batch_tokens: int = 8192,
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
    device = next(model.parameters()).device
    summed, count = 0.0, 0
    for rows in itertools.islice(_blocks(tokens, seq_len, max(1, batch_tokens // seq_len)), part[0], None, part[1]):
        losses = model({"inputs": rows[:, :-1].to(device), "targets": rows[:, 1:].to(device)})
        of_rows, number = losses[loss] if loss else next(iter(losses.values()))
        summed, count = summed + float(of_rows), count + number
        if should_stop():
            raise InterruptedError("evaluation stopped")
    summed, count = total(torch.tensor([summed, count], dtype=torch.float64)).tolist()
    bits = summed / (math.log(2) * text_bytes) if text_bytes else None
    return Evaluation(summed / count, int(count), bits)


def _blocks(tokens: np.ndarray, seq_len: int, batch_size: int) -> Iterator[Tensor]:
    whole = (len(tokens) - 1) // seq_len
    for first in range(0, whole, batch_size):
        starts = np.arange(first, min(whole, first + batch_size)) * seq_len  # (B,)
        yield torch.from_numpy(tokens[starts[:, None] + np.arange(seq_len + 1)].astype(np.int64))  # (B, T + 1)
    if (len(tokens) - 1) % seq_len:
        yield torch.from_numpy(tokens[None, whole * seq_len :].astype(np.int64))  # (1, tail + 1)
