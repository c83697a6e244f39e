"""The small preset against the same model written by hand in plain PyTorch: validation perplexity after the same steps.

    python benchmarks/handwritten.py --steps 600 --seeds 2

The hand-written side shares only the token arrays with CortexNodus: its model is made of torch's own modules, its loop
draws stride-1 windows at random as most tutorials do, its losses are of full logits, and its evaluation is its own.
Both sides are judged by that evaluation as well, so that neither marks its own homework.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from cortex import data
from cortex.checkpoints import load_trained
from cortex.creating import create_run
from cortex.presets import PRESETS, preset
from cortex.run_summary import summary
from cortex.worker import work


class Block(nn.Module):
    """Pre-layer-norm, dropout where each half joins the residual: the GPTBlock of CortexNodus in torch's own parts."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ffn = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.dropout(self.attention(y, y, y, attn_mask=mask, need_weights=False)[0])  # (B, T, C)
        return x + self.dropout(self.ffn(self.norm2(x)))  # (B, T, C)


class HandWritten(nn.Module):
    """The small preset as a tutorial writes it."""

    def __init__(self, vocabulary: int, width: int, blocks: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        position = torch.arange(512).unsqueeze(1)
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
        waves = torch.zeros(512, width)
        waves[:, 0::2], waves[:, 1::2] = torch.sin(position * rate), torch.cos(position * rate)
        self.register_buffer("waves", waves)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, hidden, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.dropout(self.embedding(tokens) + self.waves[: tokens.size(1)])  # (B, T, C)
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.size(1))  # (T, T)
        for block in self.blocks:
            x = block(x, mask)  # (B, T, C)
        return self.head(self.norm(x))  # (B, T, V)


def train_by_hand(train: np.ndarray, settings: dict, vocabulary: int, steps: int, seed: int) -> tuple[nn.Module, float]:
    torch.manual_seed(seed)
    model = HandWritten(
        vocabulary, settings["embedding_dim"], settings["num_layers"], settings["nhead"], settings["dim_feedforward"],
        settings["dropout"],
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["lr"])
    started, length = time.perf_counter(), 64
    for _ in range(steps):
        starts = torch.randint(0, len(train) - length - 1, (settings["batch_size"],))
        rows = torch.stack([torch.from_numpy(train[s : s + length + 1].astype(np.int64)) for s in starts.tolist()])
        logits = model(rows[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval(), time.perf_counter() - started


@torch.no_grad()
def independent_perplexity(logits_of: object, tokens: np.ndarray, length: int = 64) -> float:
    """exp of the mean of -log p over every token once: blocks of 64 one at a time, the tail included, in float64."""
    total, count = 0.0, 0
    for start in range(0, len(tokens) - 1, length):
        block = torch.from_numpy(tokens[start : start + length + 1].astype(np.int64))
        log_probability = torch.log_softmax(logits_of(block[None, :-1])[0].double(), -1)
        total -= log_probability.gather(1, block[1:, None]).sum().item()
        count += len(block) - 1
    assert count == len(tokens) - 1
    return math.exp(total / count)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store, runs = Path(folder) / "store", Path(folder) / "runs"
        graph = preset("small")
        prepared = data.prepare(graph.node("data"), store)
        validation = prepared.tokens("validation")
        for seed in range(1, arguments.seeds + 1):
            seeded = graph.with_training("seed", seed)
            run = create_run(runs, seeded, fingerprint=prepared.fingerprint, max_steps=arguments.steps)
            assert work(run, store) == "finished"
            ours = load_trained(run, "last").model
            model, seconds = train_by_hand(
                prepared.tokens("train"), PRESETS["small"], prepared.vocab_size, arguments.steps, seed
            )
            row = {
                "seed": seed,
                "steps": arguments.steps,
                "cortexnodus": independent_perplexity(ours.logits, validation),
                "cortexnodus_reported": math.exp(
                    [event for event in run.events() if event["event"] == "validation"][-1]["loss"]
                ),
                "by_hand": independent_perplexity(model, validation),
                "cortexnodus_seconds": summary(run)["elapsed"],
                "by_hand_seconds": seconds,
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
    ratio = statistics.median(row["cortexnodus"] / row["by_hand"] for row in rows)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}"
    print(f"median ratio of perplexities {ratio:.3f}; {date.today()}, {machine}")


if __name__ == "__main__":
    main()
