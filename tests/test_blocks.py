"""Batches: every block once an epoch, in an order that hangs on seed and epoch alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cortex.blocks import Blocks
from cortex.config import TrainingError


@pytest.mark.parametrize(("count", "seq_len", "batch_size"), [(400, 8, 4), (403, 8, 7), (64, 64, 1), (100, 7, 100)])
def test_every_epoch_reads_each_block_exactly_once_in_an_order_of_its_own(count: int, seq_len: int, batch_size: int) -> None:
    data = np.arange(count + 1)
    blocks = Blocks(data, seq_len, batch_size, seed=3)
    assert blocks.blocks == count // seq_len
    orders = []
    for epoch in range(3):
        steps = range(epoch * blocks.steps_per_epoch, (epoch + 1) * blocks.steps_per_epoch)
        batches = [blocks.batch(step) for step in steps]
        rows = torch.cat([batch["inputs"] for batch in batches])
        assert torch.equal(torch.cat([batch["targets"] for batch in batches]), rows + 1)
        assert sorted(rows.flatten().tolist()) == list(range(blocks.blocks * seq_len))
        assert all(len(batch["inputs"]) == batch_size for batch in batches[:-1])
        orders.append(rows[:, 0].tolist())
    if blocks.blocks > 5:
        assert orders[0] != orders[1] != orders[2]


def test_the_order_hangs_on_seed_and_epoch_alone() -> None:
    data = np.arange(401)
    one, same, other = (Blocks(data, 8, 4, seed) for seed in (1, 1, 2))
    assert torch.equal(one.batch(30)["inputs"], same.batch(30)["inputs"])  # whichever batches were asked for before
    assert torch.equal(one.batch(2)["inputs"], same.batch(2)["inputs"])
    assert not torch.equal(one.batch(2)["inputs"], other.batch(2)["inputs"])


def test_a_text_shorter_than_one_block_is_refused_with_both_lengths() -> None:
    with pytest.raises(TrainingError, match="7 tokens, less than seq_len=8"):
        Blocks(np.arange(8), 8, 1, 1)
