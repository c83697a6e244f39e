"""Graphs at the edges of what people draw, for benchmarks/forecast.py, made of presets and an example."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cortex import templates
from cortex.graph import Edge, Graph, Node, from_json, to_json
from cortex.presets import preset, set_model

EXAMPLES = Path(__file__).parents[1] / "examples"


def write_all(folder: Path) -> list[Path]:
    """A document of each extreme in a folder."""
    _write_pairs(folder / "pairs.jsonl")
    made = []
    for name, graph in GRAPHS.items():
        made.append(folder / f"{name}.json")
        made[-1].write_text(to_json(graph(folder)))
    return made


def _small(**data: int) -> Graph:
    graph = preset("small")
    for name, value in data.items():
        graph = graph.with_param("data", name, value)
    return graph


def _tied() -> Graph:
    return preset("medium").with_param("head", "tie_to", "embedding")


def _repeated() -> Graph:
    """One block as a template, 24 copies of it."""
    grouped, card = templates.group(set_model(_small(), "num_layers", 1), ["block_1"], "block")
    return grouped.with_param(card, "repeat", 24)


def _several_losses() -> Graph:
    graph = _small(seq_len=128)
    for number in (2, 3, 4):
        graph = graph.add(Node(f"head_{number}", "Linear", {})).connect("norm", f"head_{number}")
        graph = graph.add(Node(f"loss_{number}", "Loss", {"target": "Offset", "offset": number}))
        graph = graph.connect(f"head_{number}", f"loss_{number}")
    return graph


def _full_scores() -> Graph:
    """An activation between head and loss, so that all scores are there at once."""
    graph = _small()
    edges = tuple(edge for edge in graph.edges if edge.source != "head")
    graph = replace(graph, edges=edges).add(Node("squash", "Tanh", {}))
    return replace(graph, edges=(*graph.edges, Edge("head", "squash"), Edge("squash", "loss")))


def _encoder_decoder(folder: Path) -> Graph:
    graph = from_json((EXAMPLES / "encoder-decoder.json").read_text())
    data = {"path": str(folder / "pairs.jsonl"), "batch_size": 32, "seq_len": 128}
    for name, value in data.items():
        graph = graph.with_param("data", name, value)
    for node, name, value in (
        *((node, "embedding_dim", 256) for node in ("source_embedding", "embedding")),
        *((node, "max_len", 256) for node in ("source_positions", "positions")),
        *((node, name, value) for node in ("encoder", "decoder") for name, value in (("num_layers", 4), ("dropout", 0.1))),
    ):
        graph = graph.with_param(node, name, value)
    return graph


def _write_pairs(path: Path) -> None:
    """1,500 pairs of rows of 100 to 120 words out of 4,000."""
    draw = random.Random(1)
    rows = []
    for _ in range(1500):
        words = [f"w{draw.randrange(4000)}" for _ in range(draw.randint(100, 120))]
        rows.append({"source": " ".join(words), "target": " ".join(reversed(words))})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _trained(graph: Graph, **training: object) -> Graph:
    for name, value in training.items():
        graph = graph.with_training(name, value)
    return graph


def _blocks(graph: Graph, name: str, value: object) -> Graph:
    for node in graph.of_kind("GPTBlock"):
        graph = graph.with_param(node.id, name, value)
    return graph


GRAPHS: dict[str, Callable[[Path], Graph]] = {
    "small, batch 1": lambda folder: _small(batch_size=1),
    "small, T 1": lambda folder: _small(seq_len=1),
    "small, batch 1, T 1": lambda folder: _small(batch_size=1, seq_len=1),
    "small, batch 256": lambda folder: _small(batch_size=256),
    "small, batch 4, T 512": lambda folder: _small(batch_size=4, seq_len=512),
    "medium, tied head": lambda folder: _tied(),
    "100 nodes": lambda folder: set_model(_small(), "num_layers", 94),
    "one block repeated 24 times": lambda folder: _repeated(),
    "four losses": lambda folder: _several_losses(),
    "scores through an activation": lambda folder: _full_scores(),
    "encoder-decoder, 4 + 4 layers, T 128": _encoder_decoder,
    "medium, Muon, ema 0.99": lambda folder: _trained(preset("medium"), optimizer="Muon", ema=0.99),
    "medium, accumulate 4": lambda folder: _trained(preset("medium"), accumulate=4),
    "small, T 256, attention_dropout 0.1": lambda folder: _blocks(_small(seq_len=256), "attention_dropout", 0.1),
    "small, T 256, ALiBi": lambda folder: _blocks(_small(seq_len=256), "positions", "ALiBi"),
    "small, T 256, rotary, window 64": lambda folder: _blocks(
        _blocks(_blocks(_small(seq_len=256), "positions", "rotary"), "attention", "window"), "window", 64
    ),
    "small, batch 64, bfloat16": lambda folder: _trained(_small(batch_size=64), precision="bfloat16"),
}
