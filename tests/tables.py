"""The smallest models that a trainer can train, over numbers drawn at random; shared by the tests of the trainer."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cortex.train
from cortex.blocks import Blocks
from cortex.config import TrainConfig
from cortex.evaluate import evaluate
from cortex.train import Event, Trainer

VOCABULARY, SEQ_LEN, BATCH_SIZE = 5, 8, 4


class Table(nn.Module):
    """The smallest language model there is: scores of the next token by the present one."""

    def __init__(self, vocabulary: int = VOCABULARY, **weights: float) -> None:
        super().__init__()
        self.scores = nn.Embedding(vocabulary, vocabulary)
        self.loss_weights = weights

    def forward(self, batch: dict[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        logits, targets = self.logits(batch["inputs"]).flatten(0, 1), batch["targets"].flatten()
        total = nn.functional.cross_entropy(logits, targets, reduction="sum")
        return {name: (total, targets.numel()) for name in self.loss_weights or ("loss",)}

    def logits(self, tokens: Tensor) -> Tensor:
        return self.scores(tokens)


class Deep(Table):
    """A table with all that training tells apart: dropout, a norm, a matrix between embedding and head, weights shared."""

    heads = ("head",)

    def __init__(self, vocabulary: int = VOCABULARY, dropout: float = 0.2) -> None:
        super().__init__(vocabulary)
        self.middle, self.norm = nn.Linear(vocabulary, vocabulary), nn.LayerNorm(vocabulary)
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(vocabulary, vocabulary)
        self.head.weight = self.scores.weight

    def logits(self, tokens: Tensor) -> Tensor:
        return self.head(self.dropout(self.norm(self.middle(self.scores(tokens)))))


def tokens(count: int = 400, vocabulary: int = VOCABULARY) -> np.ndarray:
    return np.random.default_rng(1).integers(0, vocabulary, count + 1).astype(np.uint8)


def table_blocks(config: TrainConfig, rows: int = BATCH_SIZE) -> Blocks:
    """50 rows an epoch: 13 batches of four, the last of them of two."""
    return Blocks(tokens(), SEQ_LEN, rows, config.seed)


def run_table(
    config: TrainConfig, model: nn.Module | None = None, *, rows: int = BATCH_SIZE, **settings: Any
) -> tuple[str, list[Event], nn.Module]:
    """A short training of a Table with everything it reported."""
    torch.manual_seed(1)
    model, events = model or Table(), []
    outcome = Trainer(
        model,
        table_blocks(config, rows),
        config,
        **{
            "validate": lambda: evaluate(model, tokens(), SEQ_LEN).loss,
            "on_event": events.append,
            "eval_every": config.eval_every or 10,
            **settings,
        },
    ).run()
    return outcome, events, model


def facts(events: list[Event]) -> list[Event]:
    """Events without what a clock says."""
    clocks = ("time", "elapsed", "tokens_per_second")
    return [{key: value for key, value in event.items() if key not in clocks} for event in events]


class Clock:
    """A clock for the trainer that only moves when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(cortex.train, "time", SimpleNamespace(perf_counter=lambda: self.now, monotonic=time.monotonic))

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
