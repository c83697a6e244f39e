"""Hides tokens of a batch for a model to find (Devlin et al. 2019, section 3.1).

Importable alone: numpy, torch, blocks.py and rows.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch

from cortex.blocks import Batch
from cortex.rows import IGNORED

# Of the chosen tokens: replaced by <mask>, and replaced by <mask> or a random token; the rest stay as they are.
_MASKED, _CHANGED = 0.8, 0.9


class Batches(Protocol):
    """What a trainer draws from: Blocks, Examples, or one of them with tokens hidden."""

    task: str
    steps_per_epoch: int

    def batch(self, step: int) -> Batch: ...


def hidden(batch: Batch, rate: float, vocabulary: int, draw: np.random.Generator) -> Batch:
    """The batch with tokens of `inputs` (B, T) hidden, and the tokens that stood there in `masked` (B, T), -100 elsewhere.

    Of each row round(rate * length) tokens are chosen, one at least: 80 % become <mask>, whose number is `vocabulary`, 10 % a
    random token, 10 % stay. Padding is never chosen.
    """
    inputs = batch["inputs"].numpy()
    lengths = batch["lengths"].numpy() if "lengths" in batch else np.full(len(inputs), inputs.shape[1])
    places = np.arange(inputs.shape[1])  # (T,)
    order = np.where(places < lengths[:, None], draw.random(inputs.shape), 2.0)  # (B, T); padding comes last
    rank = order.argsort(1, kind="stable").argsort(1, kind="stable")
    chosen = rank < np.maximum(1, np.round(rate * lengths))[:, None]  # (B, T)
    fate = draw.random(inputs.shape)
    random = draw.integers(0, vocabulary, inputs.shape)
    shown = np.where(fate < _MASKED, vocabulary, np.where(fate < _CHANGED, random, inputs))
    return batch | {
        "inputs": torch.from_numpy(np.where(chosen, shown, inputs)),
        "masked": torch.from_numpy(np.where(chosen, inputs, IGNORED)),
    }


class Hiding:
    """Batches of another with tokens hidden, drawn anew for each step from (seed, step)."""

    def __init__(self, batches: Batches, rate: float, vocabulary: int, seed: int) -> None:
        self.batches, self.rate, self.vocabulary, self.seed = batches, rate, vocabulary, seed
        self.task, self.steps_per_epoch = "Masked", batches.steps_per_epoch

    def batch(self, step: int) -> Batch:
        """Batch number `step`, from 0."""
        return hidden(self.batches.batch(step), self.rate, self.vocabulary, np.random.default_rng((self.seed, 1, step)))


def hidden_alike(batches: Iterator[Batch], rate: float, vocabulary: int) -> Iterator[Batch]:
    """Batches for validation: the same tokens are hidden each time, whatever the seed of the training."""
    for number, batch in enumerate(batches):
        yield hidden(batch, rate, vocabulary, np.random.default_rng((0, 2, number)))
