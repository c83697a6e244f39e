"""Batches of whole examples, each a row of tokens with a label, a tag for each token, or a second row; padded to the longest.

Importable alone: numpy, torch, blocks.py, config.py and rows.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from cortex.blocks import Batch
from cortex.config import TrainingError
from cortex.rows import IGNORED, RowArrays


def rows_batch(rows: RowArrays, chosen: np.ndarray, seq_len: int, eos: int) -> Batch:
    """The rows of these numbers as one batch of int64 tensors; what is longer than `seq_len` is cut at its end.

    `inputs` (B, T); `targets` (B,) labels, (B, T) tags, or (B, T) the tokens to write; `next` (B, T) the token after each of
    the inputs, for labels and tags; `source` (B, S) of pairs. `lengths` and `source_lengths` (B,) only where a row is padded.
    """
    kept = [np.asarray(rows.tokens[slice(*rows.offsets[row : row + 2])], np.int64) for row in chosen]
    if rows.task == "Pairs":
        written = [np.append(tokens, eos)[:seq_len] for tokens in kept]
        kept = [np.insert(tokens, 0, eos)[:seq_len] for tokens in kept]
        batch = _padded("inputs", "lengths", kept) | {"targets": _stack(written, IGNORED)}
        read = [np.asarray(rows.source[slice(*rows.source_offsets[row : row + 2])][:seq_len], np.int64) for row in chosen]
        return batch | _padded("source", "source_lengths", read)
    cut = [tokens[:seq_len] for tokens in kept]
    batch = _padded("inputs", "lengths", cut)
    batch["next"] = _stack([np.append(tokens[1:], IGNORED) for tokens in cut], IGNORED)
    if rows.task == "Labelled":
        return batch | {"targets": torch.from_numpy(np.asarray(rows.labels[chosen], np.int64))}
    tags = [np.asarray(rows.labels[slice(*rows.offsets[row : row + 2])][:seq_len], np.int64) for row in chosen]
    return batch | {"targets": _stack(tags, IGNORED)}


def _padded(name: str, lengths: str, rows: list[np.ndarray]) -> Batch:
    sizes = np.array([len(row) for row in rows])
    batch = {name: _stack(rows, 0)}
    return batch if (sizes == sizes[0]).all() else batch | {lengths: torch.from_numpy(sizes)}


def _stack(rows: list[np.ndarray], filler: int) -> torch.Tensor:
    whole = np.full((len(rows), max(map(len, rows))), filler, np.int64)
    for number, row in enumerate(rows):
        whole[number, : len(row)] = row
    return torch.from_numpy(whole)


class Examples:
    """Batches of the rows of a split, every row once an epoch in an order drawn from (seed, epoch).

    Args:
        rows: the split.
        seq_len: longest row, in tokens; what is longer is cut.
        eos: number of the token that begins and ends what is written.
    """

    def __init__(self, rows: RowArrays, seq_len: int, batch_size: int, seed: int, eos: int) -> None:
        self.rows, self.seq_len, self.batch_size, self.seed, self.eos = rows, seq_len, batch_size, seed, eos
        self.task = rows.task
        if not len(rows):
            raise TrainingError("the training data has no rows")
        self.steps_per_epoch = math.ceil(len(rows) / batch_size)
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def batch(self, step: int) -> Batch:
        """Batch number `step`, from 0, as `rows_batch` makes it; the last of an epoch may have fewer rows."""
        epoch, index = divmod(step, self.steps_per_epoch)
        chosen = self._epoch(epoch)[index * self.batch_size : (index + 1) * self.batch_size]
        return rows_batch(self.rows, chosen, self.seq_len, self.eos)

    def _epoch(self, epoch: int) -> np.ndarray:
        if self._order[0] != epoch:
            self._order = epoch, np.random.default_rng((self.seed, epoch)).permutation(len(self.rows))
        return self._order[1]


def row_batches(rows: RowArrays, seq_len: int, eos: int, batch_tokens: int) -> Iterator[Batch]:
    """Every row of a split once, in order of their lengths so that little is padded; each batch of about so many tokens."""
    order = np.argsort(rows.lengths(), kind="stable")
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop - start + 1) * min(seq_len, int(_longest(rows, order[stop]))) <= batch_tokens:
            stop += 1
        yield rows_batch(rows, order[start:stop], seq_len, eos)
        start = stop


def _longest(rows: RowArrays, row: int) -> int:
    own = rows.offsets[row + 1] - rows.offsets[row]
    return own if rows.task != "Pairs" else max(own + 1, rows.source_offsets[row + 1] - rows.source_offsets[row])
