"""The three presets as graphs, and the model form that edits the whole chain of a graph at once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import cortex.layers  # noqa: F401  declares the kinds whose settings the model form shows
from cortex.graph import Edge, Graph, Node
from cortex.params import FROM_INPUT, Int, Param
from cortex.registry import KINDS

PRESETS: dict[str, dict[str, Any]] = {
    "small": dict(embedding_dim=128, num_layers=3, nhead=4, dim_feedforward=512, batch_size=20, lr=0.001, dropout=0.1),
    "medium": dict(embedding_dim=256, num_layers=6, nhead=8, dim_feedforward=1024, batch_size=16, lr=0.0005, dropout=0.1),
    "large": dict(embedding_dim=512, num_layers=12, nhead=8, dim_feedforward=2048, batch_size=8, lr=0.0003, dropout=0.1),
}
MAX_LEN, SEQ_LEN, EPOCHS = 512, 64, 20
_STEP, _ROW, _PER_ROW = 220, 116, 4  # four cards fill the canvas beside the sidebar at 1280 pixels
_CANVAS = 916 / 440  # its width by its height there


def preset(name: str, source: str = "Shakespeare", source_params: Mapping[str, Any] | None = None) -> Graph:
    """The graph of a preset: source, Embedding, PositionalEncoding, GPTBlocks, LayerNorm, Linear, Loss.

    Raises:
        KeyError: there is no preset of that name.
    """
    size = PRESETS[name]
    block = {key: size[key] for key in ("nhead", "dim_feedforward", "dropout")}
    data = {**(source_params or {}), "batch_size": size["batch_size"], "seq_len": SEQ_LEN}
    nodes = [
        Node("data", source, data),
        Node("embedding", "Embedding", {"num_embeddings": "auto", "embedding_dim": size["embedding_dim"]}),
        Node("positions", "PositionalEncoding", {"max_len": MAX_LEN, "d_model": "auto", "dropout": size["dropout"]}),
        *(Node(f"block_{number}", "GPTBlock", {"d_model": "auto", **block}) for number in range(1, size["num_layers"] + 1)),
        Node("norm", "LayerNorm", {"normalized_shape": "auto"}),
        Node("head", "Linear", {"out_features": "auto"}),
        Node("loss", "Loss", {"kind": "CrossEntropy", "target": "Label", "weight": 1.0}),
    ]
    edges = [Edge(before.id, after.id) for before, after in itertools.pairwise(nodes)]
    training = {"optimizer": "Adam", "lr": size["lr"], "epochs": EPOCHS}
    return tidy(Graph(f"gpt-{name}", tuple(nodes), tuple(edges), training))


def tidy(graph: Graph) -> Graph:
    """The same graph laid out row by row, each node after what feeds it; every other row runs backwards, as one reads a
    folded ribbon, so that no edge crosses the whole canvas, and no card lies on an edge of its own row."""
    depth: dict[str, int] = {}
    remaining = list(graph.nodes)
    while remaining:
        ready = [node for node in remaining if all(edge.source in depth for edge in graph.into(node.id))]
        for node in ready or remaining[:1]:  # a cycle has no first node: any will do
            depth[node.id] = 1 + max((depth[edge.source] for edge in graph.into(node.id) if edge.source in depth), default=-1)
        remaining = [node for node in remaining if node.id not in depth]
    levels = 1 + max(depth.values(), default=0)
    per_row = max(_PER_ROW, round(math.sqrt(levels * _CANVAS * _ROW / _STEP)))  # a long chain fills the canvas both ways
    lane = _lanes(graph, depth, per_row)
    rows = [1] * (1 + (levels - 1) // per_row)  # lanes of each row
    for name, level in depth.items():
        rows[level // per_row] = max(rows[level // per_row], lane[name] + 1)
    layout = {}
    for name, level in depth.items():
        row, column = divmod(level, per_row)
        if row % 2:
            column = per_row - 1 - column
        layout[name] = (float(column * _STEP), float((sum(rows[:row]) + lane[name]) * _ROW))
    return graph.move(layout)


def is_tidy(graph: Graph) -> bool:
    """Whether every node lies where `tidy` puts it, so that nobody's own order is lost by tidying again."""
    return tidy(graph).layout == graph.layout


def place_behind(graph: Graph, node_id: str | None) -> tuple[float, float]:
    """A free place for a new card: beside this node as `tidy` would go on, or below it; without a node below all cards."""
    if node_id is None or node_id not in graph.layout:
        across, down = ([place[axis] for place in graph.layout.values()] for axis in (0, 1))
        return min(across, default=0.0), max(down, default=-float(_ROW)) + _ROW
    x, y = graph.layout[node_id]
    across = [place[0] for place in graph.layout.values()]
    left, right = min(across), max(min(across) + (_PER_ROW - 1) * _STEP, *across)
    beside = [(x + way * _STEP, y) for way in (1, -1) if left <= x + way * _STEP <= right]
    taken = list(graph.layout.values())
    below = [(x, y + row * _ROW) for row in range(1, 2 * len(taken) + 2)]  # a card takes parts of two rows at most
    return next(place for place in (*beside, *below) if _is_free(place, taken))


def place_between(graph: Graph, one: str, other: str) -> tuple[float, float]:
    """A place for a new card half way between two, or beside or below the first where that is taken."""
    ends = [graph.layout[end] for end in (one, other) if end in graph.layout]
    middle = tuple(sum(at) / 2 for at in zip(*ends, strict=True)) if len(ends) == 2 else None
    return middle if middle and _is_free(middle, graph.layout.values()) else place_behind(graph, one)


def _is_free(place: tuple[float, float], taken: Iterable[tuple[float, float]]) -> bool:
    return all(abs(place[0] - x) >= 0.9 * _STEP or abs(place[1] - y) >= 0.9 * _ROW for x, y in taken)


def _lanes(graph: Graph, depth: Mapping[str, int], per_row: int) -> dict[str, int]:
    """The lane of each node in its row: the first that is free, and that no edge from earlier in the row runs along."""
    taken: dict[int, set[int]] = {}  # of each level
    lane: dict[str, int] = {}
    for name, level in sorted(depth.items(), key=lambda item: item[1]):
        here = taken.setdefault(level, set())
        lane[name] = next(number for number in itertools.count() if number not in here)
        here.add(lane[name])
        row_end = level - level % per_row + per_row
        ends = [depth[edge.target] for edge in graph.out_of(name) if depth.get(edge.target, row_end) < row_end]
        for passed in range(level + 1, max(ends, default=level)):
            taken.setdefault(passed, set()).add(lane[name])
    return lane


# The model form: one value for the whole chain

MODEL: dict[str, Param] = {
    "embedding_dim": KINDS["Embedding"].params["embedding_dim"],
    "num_layers": Int(default=3, low=1, high=200, help="Number of GPTBlocks in the chain."),
    "nhead": KINDS["GPTBlock"].params["nhead"],
    "dim_feedforward": KINDS["GPTBlock"].params["dim_feedforward"],
    "dropout": KINDS["GPTBlock"].params["dropout"],
}
_NODES: dict[str, tuple[str, ...]] = {
    "embedding_dim": ("Embedding",),
    "nhead": ("GPTBlock",),
    "dim_feedforward": ("GPTBlock",),
    "dropout": ("PositionalEncoding", "GPTBlock"),
}


def model_settings(graph: Graph) -> dict[str, Any]:
    """The model form's values; None where the nodes differ or there is none."""
    values = {name: _common(graph, name) for name in _NODES}
    return {**values, "num_layers": len(graph.of_kind("GPTBlock")) or None}


def set_model(graph: Graph, name: str, value: Any) -> Graph:
    """The graph with one setting of the model form changed in the whole chain.

    Raises:
        ValueError: no node of the graph has this setting.
    """
    if name == "num_layers":
        return _set_num_layers(graph, value)
    nodes, before = graph.of_kind(*_NODES[name]), _common(graph, name)
    if not nodes:
        raise ValueError(f"model.{name}: this graph has no {' or '.join(_NODES[name])}")
    for node in nodes:
        graph = graph.with_param(node.id, name, value)
    if name == "embedding_dim":  # nodes that repeat the width instead of taking it from their input
        for node in graph.nodes:
            for width in _widths(node):
                if node.params.get(width) == before:
                    graph = graph.with_param(node.id, width, value)
    return graph


def _widths(node: Node) -> list[str]:
    params = KINDS[node.kind].params if node.kind in KINDS else {}
    return [name for name, param in params.items() if param.auto == FROM_INPUT]


def _common(graph: Graph, name: str) -> Any:
    values = {node.params.get(name, KINDS[node.kind].params[name].default) for node in graph.of_kind(*_NODES[name])}
    return values.pop() if len(values) == 1 else None


def _set_num_layers(graph: Graph, wanted: int) -> Graph:
    """Blocks taken from the end, or added behind the last as copies of it; the chain is closed again."""
    blocks = graph.of_kind("GPTBlock")
    if not blocks:
        raise ValueError("model.num_layers: this graph has no GPTBlock to repeat; add one first")
    for block in reversed(blocks[wanted:]):
        before, after = graph.into(block.id), graph.out_of(block.id)
        graph = graph.remove(block.id)
        for edge in after if len(before) == 1 else ():
            graph = graph.connect(before[0].source, edge.target, edge.port)
    last = blocks[-1]
    for number in range(len(blocks) + 1, wanted + 1):
        new = replace(last, id=graph.free_id(f"block_{number}"))
        place = graph.nodes.index(last) + 1
        after = graph.out_of(last.id)
        graph = replace(graph, nodes=(*graph.nodes[:place], new, *graph.nodes[place:]))
        for edge in after:
            graph = graph.disconnect(edge).connect(new.id, edge.target, edge.port)
        graph, last = graph.connect(last.id, new.id), new
    return graph if wanted == len(blocks) else tidy(graph)
