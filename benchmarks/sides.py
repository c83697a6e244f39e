"""The training loops that benchmarks/speed.py lays beside each other; each runs in a process of its own.

All of them see the same shapes, random tokens and dropout 0.1, and start their own optimizer at a rate of 1e-3. A side is a
function (size, number of steps, mark, path) that calls `mark()` at the beginning of every step and once after the last.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

sys.path.insert(0, str(Path(__file__).parents[1]))

from cortex import machine
from cortex.presets import PRESETS

Mark = Callable[[], None]
LR, DROPOUT, TEXT = 1e-3, 0.1, 200_000


@dataclass(frozen=True)
class Size:
    """A preset at a length T and a vocabulary V."""

    preset: str
    T: int
    V: int

    def __getattr__(self, name: str) -> int:
        return PRESETS[self.preset][name]

    @property
    def tokens_per_step(self) -> int:
        return self.batch_size * self.T

    @property
    def flops_per_step(self) -> int:
        """Multiplications and additions that a step needs: 2 a weight and token forward, twice that backward (Kaplan et
        al. 2020, section 2.1); attention counted for the half of the positions that a token may see."""
        d = self.embedding_dim
        block = 4 * d * d + 2 * d * self.dim_feedforward + self.T * d  # the last: two products with T / 2 positions
        return 6 * self.tokens_per_step * (self.num_layers * block + d * self.V)


def random_tokens(size: Size) -> np.ndarray:
    return np.random.default_rng(1).integers(size.V, size=TEXT + 1).astype(np.uint16)


# CortexNodus: preset, plan, build, train


def ours(size: Size, steps: int, mark: Mark, path: str | None = None) -> None:
    machine.keep_pages()  # as the worker does
    from cortex.blocks import Blocks
    from cortex.builder import build, plan

    class Marked(Blocks):
        def batch(self, step: int) -> dict[str, Tensor]:
            mark()
            return super().batch(step)

    graph = preset_graph(size)
    torch.manual_seed(1)
    model = build(plan(graph, size.V))
    run_trainer(model, Marked(random_tokens(size), size.T, size.batch_size, 1), steps)
    mark()


def preset_graph(size: Size) -> object:
    from cortex.presets import preset

    return preset(size.preset).with_param("data", "seq_len", size.T)


def run_trainer(model: nn.Module, blocks: object, steps: int) -> None:
    """All that these benchmarks know of the trainer."""
    from cortex.config import TrainConfig
    from cortex.train import Trainer

    config = TrainConfig(optimizer="Adam", lr=LR, steps=steps)
    Trainer(model, blocks, config, validate=lambda: 1.0, on_event=lambda event: None, eval_every=steps).run()


# The guide's loop, as a tutorial writes it


class Block(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout=DROPOUT, batch_first=True)
        self.ffn = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width), nn.Dropout(DROPOUT))
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.triu(torch.ones(x.size(1), x.size(1), dtype=torch.bool), diagonal=1)  # (T, T)
        y = self.norm1(x)
        x = x + self.dropout(self.attention(y, y, y, attn_mask=mask, need_weights=False)[0])  # (B, T, C)
        return x + self.ffn(self.norm2(x))  # (B, T, C)


class Positions(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        position = torch.arange(512).unsqueeze(1)
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
        waves = torch.zeros(512, width)
        waves[:, 0::2], waves[:, 1::2] = torch.sin(position * rate), torch.cos(position * rate)
        self.register_buffer("waves", waves)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(x + self.waves[: x.size(1)])  # (B, T, C)


class Windows(Dataset):
    """Every window of T tokens with the window one token later."""

    def __init__(self, tokens: Tensor, length: int) -> None:
        self.tokens, self.length = tokens, length

    def __len__(self) -> int:
        return len(self.tokens) - self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.tokens[index : index + self.length], self.tokens[index + 1 : index + self.length + 1]


def guide(size: Size, steps: int, mark: Mark, path: str | None = None) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Embedding(size.V, size.embedding_dim),
        Positions(size.embedding_dim),
        *(Block(size.embedding_dim, size.nhead, size.dim_feedforward) for _ in range(size.num_layers)),
        nn.LayerNorm(size.embedding_dim),
        nn.Linear(size.embedding_dim, size.V),
    )
    tokens = torch.from_numpy(random_tokens(size).astype(np.int64))
    loader = DataLoader(Windows(tokens, size.T), batch_size=size.batch_size, shuffle=True)
    optimizer, criterion = torch.optim.Adam(model.parameters(), lr=LR), nn.CrossEntropyLoss()
    batches, losses = iter(loader), []
    for _ in range(steps):
        mark()
        inputs, targets = next(batches)
        optimizer.zero_grad()
        logits = model(inputs)
        loss = criterion(logits.view(-1, size.V), targets.reshape(-1))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    mark()


# nanoGPT, from the file that the command line names; its own optimizer, clipping and way to draw batches


def nanogpt(size: Size, steps: int, mark: Mark, path: str | None = None) -> None:
    spec = importlib.util.spec_from_file_location("nanogpt_model", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["nanogpt_model"] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    torch.manual_seed(1)
    config = module.GPTConfig(
        block_size=size.T, vocab_size=size.V, n_layer=size.num_layers, n_head=size.nhead, n_embd=size.embedding_dim,
        dropout=DROPOUT, bias=True,
    )  # fmt: skip
    model, data = module.GPT(config), random_tokens(size)
    optimizer = model.configure_optimizers(0.1, LR, (0.9, 0.95), "cpu")
    for _ in range(steps):
        mark()
        starts = torch.randint(len(data) - size.T, (size.batch_size,))
        x = torch.stack([torch.from_numpy(data[i : i + size.T].astype(np.int64)) for i in starts])
        y = torch.stack([torch.from_numpy(data[i + 1 : i + 1 + size.T].astype(np.int64)) for i in starts])
        _, loss = model(x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    mark()


SIDES: dict[str, Callable[[Size, int, Mark, str | None], None]] = {"ours": ours, "guide": guide, "nanogpt": nanogpt}
