"""What the drawn graph costs: forward and backward of the built model against the same model written by hand, paired.

    python benchmarks/overhead.py --pairs 40

Both sides have the same weights, the same batch and no dropout, and give the same loss; the hand-written side is a plain class
with a list of blocks. They take turns, and what is compared is processor time, which other work on the machine disturbs least.
The fourth line is the small preset with twelve blocks, on our side one Subgraph card repeated twelve times.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from cortex import machine
from cortex.builder import build, plan
from cortex.graph import Graph
from cortex.losses import Loss
from cortex.presets import PRESETS, preset
from cortex.templates import group


class Block(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, time_, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, time_, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, H, T, D)
        x = x + self.out(y.transpose(1, 2).reshape(batch, time_, width))  # (B, T, C)
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x))))  # (B, T, C)


class ByHand(nn.Module):
    def __init__(self, vocabulary: int, width: int, blocks: int, heads: int, hidden: int, waves: Tensor) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.register_buffer("waves", waves, persistent=False)
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(blocks))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)
        self.loss = Loss("CrossEntropy", "Label", 2, 0.15, 1.0, 0.0)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        tokens = batch["inputs"]
        x = self.embedding(tokens) + self.waves[: tokens.size(1)]  # (B, T, C)
        for block in self.blocks:
            x = block(x)
        return self.loss.from_hidden(self.norm(x), self.head, batch)[0]


def drawn(name: str, copies: int) -> Graph:
    graph = preset(name)
    for node in graph.of_kind("PositionalEncoding", "GPTBlock"):
        graph = graph.with_param(node.id, "dropout", 0.0)
    if copies:
        for node in graph.of_kind("GPTBlock")[1:]:
            before, after = graph.into(node.id)[0].source, graph.out_of(node.id)[0].target
            graph = graph.remove(node.id).connect(before, after)
        graph, card = group(graph, ["block_1"], "block")
        graph = graph.with_param(card, "repeat", copies)
    return graph


def sides(name: str, copies: int, arguments: argparse.Namespace) -> dict[str, Callable[[], float]]:
    """Forward and backward of both, each giving its loss."""
    size, generator = PRESETS[name], torch.Generator().manual_seed(1)
    torch.manual_seed(1)
    ours = build(plan(drawn(name, copies), arguments.vocabulary))
    blocks = copies or size["num_layers"]
    hand = ByHand(
        arguments.vocabulary, size["embedding_dim"], blocks, size["nhead"], size["dim_feedforward"], ours.positions.waves
    )
    hand.load_state_dict(dict(zip(hand.state_dict(), ours.state_dict().values(), strict=True)))
    shape = (arguments.batch_size, arguments.seq_len)
    batch = {key: torch.randint(arguments.vocabulary, shape, generator=generator) for key in ("inputs", "targets")}

    def run(model: nn.Module, loss_of: Callable[[], Tensor]) -> float:
        model.zero_grad(set_to_none=True)
        loss = loss_of()
        loss.backward()
        return loss.item()

    return {
        "ours": lambda: run(ours, lambda: ours(batch)["loss"][0]),
        "by hand": lambda: run(hand, lambda: hand(batch)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--seq-len", type=int, default=64)
    parser.add_argument("--vocabulary", type=int, default=1000)
    parser.add_argument("--presets", nargs="*", default=[*PRESETS])
    arguments = parser.parse_args()
    machine.keep_pages()
    torch.set_num_threads(1)
    cpu, load = platform.processor() or platform.machine(), os.getloadavg()[0]
    print(f"{cpu}, torch {torch.__version__}, 1 thread, {date.today()}, load of the machine {load:.1f}")
    shape = f"batch {arguments.batch_size} x {arguments.seq_len}, vocabulary {arguments.vocabulary:,}"
    print(f"{shape}, {arguments.pairs} pairs", flush=True)
    for name, copies in [*((name, 0) for name in arguments.presets), ("small", 12)]:
        both = sides(name, copies, arguments)
        losses = {side: run() for side, run in both.items()}
        assert abs(losses["ours"] - losses["by hand"]) < 1e-3 * abs(losses["ours"]), losses
        found: dict[str, list[float]] = {side: [] for side in both}
        for number in range(arguments.pairs + 2):
            for side in list(both) if number % 2 else list(both)[::-1]:
                before = time.process_time()
                both[side]()
                if number >= 2:
                    found[side].append(time.process_time() - before)
        ratios = sorted(ours / hand for ours, hand in zip(found["ours"], found["by hand"], strict=True))
        low, high = ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]
        label = f"{name}, {copies} copies on a card" if copies else name
        print(
            f"{label}: ours {1e3 * statistics.median(found['ours']):.1f} ms, by hand "
            f"{1e3 * statistics.median(found['by hand']):.1f} ms, ratio {statistics.median(ratios):.3f} "
            f"(middle half {low:.3f} to {high:.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
