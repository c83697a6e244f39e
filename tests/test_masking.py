"""Tokens hidden for a model to find: how many, by what, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from cortex.blocks import Batch, Blocks
from cortex.masking import Hiding, hidden, hidden_alike

V = 1000


def batch(rows: int = 200, time: int = 40, lengths: list[int] | None = None) -> Batch:
    inputs = torch.randint(V, (rows, time), generator=torch.Generator().manual_seed(1))
    found = {"inputs": inputs, "targets": inputs.roll(-1, 1)}
    return found | ({"lengths": torch.tensor(lengths)} if lengths else {})


def test_a_rate_of_tokens_is_hidden_80_percent_of_them_by_the_mask_and_10_by_a_random_token() -> None:
    whole = batch()
    found = hidden(whole, 0.15, V, np.random.default_rng(1))
    chosen = found["masked"] != -100
    assert (chosen.sum(1) == 6).all(), "15 % of 40"
    assert torch.equal(found["masked"][chosen], whole["inputs"][chosen])
    assert torch.equal(found["inputs"][~chosen], whole["inputs"][~chosen])
    shown, right = found["inputs"][chosen], whole["inputs"][chosen]
    assert float((shown == V).float().mean()) == pytest.approx(0.8, abs=0.04)
    assert float((shown == right).float().mean()) == pytest.approx(0.1, abs=0.03)
    assert float(((shown != right) & (shown != V)).float().mean()) == pytest.approx(0.1, abs=0.03)
    assert torch.equal(found["targets"], whole["targets"])


def test_a_short_row_has_one_hidden_token_and_padding_is_never_hidden() -> None:
    found = hidden(batch(3, 20, [1, 2, 20]), 0.15, V, np.random.default_rng(1))
    chosen = found["masked"] != -100
    assert chosen.sum(1).tolist() == [1, 1, 3]
    assert not chosen[0, 1:].any() and not chosen[1, 2:].any()


def test_a_step_hides_the_same_each_time_and_another_one_others() -> None:
    blocks = Blocks(np.random.default_rng(1).integers(0, V, 401), 8, 5, 1)
    one, same, other = (Hiding(blocks, 0.3, V, seed) for seed in (1, 1, 2))
    assert one.steps_per_epoch == blocks.steps_per_epoch and one.task == "Masked"
    assert torch.equal(one.batch(3)["inputs"], same.batch(3)["inputs"])
    assert not torch.equal(one.batch(3)["masked"], other.batch(3)["masked"])
    again = one.batch(3 + blocks.steps_per_epoch)  # the same rows may come, but not the same tokens hidden
    assert not torch.equal(one.batch(3)["masked"], again["masked"])


def test_validation_hides_the_same_tokens_every_time() -> None:
    def batches() -> Iterator[Batch]:
        yield from (batch(2), batch(3))

    first, second = (list(hidden_alike(batches(), 0.15, V)) for _ in range(2))
    assert all(torch.equal(one["inputs"], other["inputs"]) for one, other in zip(first, second, strict=True))
    assert not torch.equal(first[0]["masked"], first[1]["masked"][:2])
