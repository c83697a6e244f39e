"""Batches cut from one array of tokens, in an order that a seed and the step's number alone decide.

Importable alone: numpy, torch and config.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from cortex.config import TrainingError

Batch = dict[str, Tensor]


class Blocks:
    """Batches cut from one array of tokens, every block of `seq_len` once an epoch in an order drawn from (seed, epoch).

    Args:
        tokens: (1 + N,) ids of any integer type; the first only precedes the text. The N // seq_len whole blocks are read.
    """

    task = "Text"

    def __init__(self, tokens: np.ndarray, seq_len: int, batch_size: int, seed: int) -> None:
        self.tokens, self.seq_len, self.batch_size, self.seed = tokens, seq_len, batch_size, seed
        self.blocks = (len(tokens) - 1) // seq_len
        if self.blocks < 1:
            raise TrainingError(f"the training text has {len(tokens) - 1:,} tokens, less than seq_len={seq_len}")
        self.steps_per_epoch = math.ceil(self.blocks / batch_size)
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def batch(self, step: int) -> Batch:
        """Batch number `step`, from 0: `inputs` and `targets`, each (B, T) int64; the last of an epoch may be smaller."""
        epoch, index = divmod(step, self.steps_per_epoch)
        starts = self._epoch(epoch)[index * self.batch_size : (index + 1) * self.batch_size] * self.seq_len  # (B,)
        return _next_tokens(self.tokens[starts[:, None] + np.arange(self.seq_len + 1)])

    def _epoch(self, epoch: int) -> np.ndarray:
        if self._order[0] != epoch:
            self._order = epoch, np.random.default_rng((self.seed, epoch)).permutation(self.blocks)
        return self._order[1]


def real_tokens(batch: Batch) -> int:
    """Tokens that a model reads of a batch, padding not counted."""
    read = int(batch["lengths"].sum()) if "lengths" in batch else batch["inputs"].numel()
    if "source" in batch:
        read += int(batch["source_lengths"].sum()) if "source_lengths" in batch else batch["source"].numel()
    return read


def text_batches(tokens: np.ndarray, seq_len: int, batch_size: int) -> Iterator[Batch]:
    """Every token of a text (1 + N,) once, in order, in blocks of `seq_len`, the tail in a shorter one."""
    whole = (len(tokens) - 1) // seq_len
    for first in range(0, whole, batch_size):
        starts = np.arange(first, min(whole, first + batch_size)) * seq_len  # (B,)
        yield _next_tokens(tokens[starts[:, None] + np.arange(seq_len + 1)])
    if (len(tokens) - 1) % seq_len:
        yield _next_tokens(tokens[None, whole * seq_len :])


def _next_tokens(rows: np.ndarray) -> Batch:
    """Each row of tokens (B, T + 1) without its last one, and without its first: (B, T) int64 both."""
    both = torch.from_numpy(rows.astype(np.int64))
    return {"inputs": both[:, :-1].contiguous(), "targets": both[:, 1:].contiguous()}
