"""Documents as the Flask original writes them, made small for tests."""

from __future__ import annotations

import itertools
import json
from typing import Any

Node = dict[str, Any]


def node(key: int, type_: str, title: str = "", /, **properties: Any) -> Node:
    """A node as LiteGraph serialises it."""
    made = {"id": key, "type": type_, "pos": [250.0 * key, 100.0], "size": [180, 60], "flags": {}, "order": key, "mode": 0}
    return {**made, "properties": properties, **({"title": title} if title else {})}


def document(nodes: list[Node], links: list[tuple[int, int]] | list[tuple[int, int, int, int]] | None = None) -> dict[str, Any]:
    """A sheet of these nodes; links as (from, to) or (from, slot, to, slot), without any the nodes are a chain."""
    if links is None:
        links = [(before["id"], after["id"]) for before, after in itertools.pairwise(nodes)]
    whole = [link if len(link) == 4 else (link[0], 0, link[1], 0) for link in links]
    rows = [[number, *link, "any"] for number, link in enumerate(whole, 1)]
    return {"nodes": nodes, "links": rows, "groups": [], "config": {}, "version": 0.4}


def chain(*middle: Node, data: str = "WikiText-2", out_features: Any = 100, **loss: Any) -> list[Node]:
    """Data, Embedding, these nodes, Linear and Loss; the middle nodes are numbered from 3 on."""
    last = 3 + len(middle)
    return [
        node(1, data, batch_size=20),
        node(2, "Embedding", num_embeddings=100, embedding_dim=128),
        *middle,
        node(last, "Linear", "Output", out_features=out_features),
        node(last + 1, "Loss", "Goal", **{"kind": "CrossEntropy", "optimizer": "Adam", "lr": 0.001, "epochs": 20, **loss}),
    ]


def text(nodes: list[Node], links: Any = None, **more: Any) -> str:
    """The document of these nodes as text."""
    return json.dumps({**document(nodes, links), **more})


def block(key: int, **properties: Any) -> Node:
    """A GPTBlock."""
    return node(key, "GPTBlock", **{"d_model": 128, "nhead": 4, "dim_feedforward": 512, "dropout": 0.1, **properties})


def group(first: int = 1) -> dict[str, Any]:
    """The inside of a subgraph: input, block, LayerNorm, output."""
    ends = node(first, "graph/input", name="in"), node(first + 3, "graph/output", name="out")
    return document([ends[0], block(first + 1), node(first + 2, "LayerNorm"), ends[1]])
