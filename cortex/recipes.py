"""Recipes: how a model of this kind is trained, as a visible edit of graph and training that can be read and undone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cortex.builder import TRAINING, plan
from cortex.graph import Graph
from cortex.params import complete
from cortex.presets import PRESETS
from cortex.registry import KINDS

RECIPES: dict[str, str] = {
    "guide": "Adam at a constant rate and torch's own first weights, as the guide has it.",
    "tuned": "What gave the lowest validation perplexity in given minutes on a CPU; docs/log.md has the experiments.",
}
# The training settings that a recipe decides; all others stay as they are.
DECIDES = (
    "optimizer", "lr", "momentum", "adamw_share", "beta2", "weight_decay", "clip_norm", "accumulate", "ema",
    "schedule", "warmup_steps", "hold_steps", "decay_share",
)  # fmt: skip


def apply_recipe(graph: Graph, name: str) -> Graph:
    """The graph with the settings of a recipe; whatever the recipe does not decide is kept.

    Raises:
        KeyError: there is no recipe of that name.
    """
    return {"guide": _guide, "tuned": _tuned}[name](graph)


def changes(before: Graph, after: Graph) -> list[tuple[str, Any, Any]]:
    """The settings that differ between two graphs of the same nodes: (name, value before, value after)."""
    found = []
    one, two = complete(TRAINING, before.training), complete(TRAINING, after.training)
    found += [(f"training.{name}", one[name], two[name]) for name in TRAINING if one[name] != two[name]]
    for node in before.nodes:
        if node.kind in KINDS and node.id in after:
            params = KINDS[node.kind].params
            one, two = complete(params, node.params), complete(params, after.node(node.id).params)
            found += [(f"{node.id}.{key}", one[key], two[key]) for key in params if one[key] != two[key]]
    return found


def _guide(graph: Graph) -> Graph:
    size = _nearest_preset(_width(graph))
    graph = _trained(graph, {"optimizer": "Adam", "lr": size["lr"]})
    for node in graph.nodes:
        for name in ("init_std", "scale", "init", "tie_to", "bias"):
            graph = graph.without_param(node.id, name) if name in node.params else graph
        if node.kind in KINDS and "dropout" in KINDS[node.kind].params:
            graph = graph.with_param(node.id, "dropout", size["dropout"])
    return _batches(graph, size["batch_size"])


def _tuned(graph: Graph) -> Graph:
    """Found on the small preset in minutes on a CPU: few epochs, so no dropout; small batches, so many steps."""
    graph = _trained(
        graph,
        {
            "optimizer": "Muon", "lr": 0.02, "momentum": 0.85, "weight_decay": 0.1, "clip_norm": 1.0,
            "schedule": "linear", "warmup_steps": 100,
        },
    )  # fmt: skip
    for node in graph.nodes:
        params = KINDS[node.kind].params if node.kind in KINDS else {}
        if node.kind == "Embedding":  # vectors as long as ever at the start, which steps of a given size move 50 times as far
            graph = graph.with_param(node.id, "init_std", 0.02).with_param(node.id, "scale", 50.0)
        if "dropout" in params:
            graph = graph.with_param(node.id, "dropout", 0.0)
    return _batches(_tied(graph), 12)


def _tied(graph: Graph) -> Graph:
    """Each head shares the weights of the one embedding there is, and has no bias; unless their sizes are set apart."""
    embeddings = graph.of_kind("Embedding")
    losses = [node for node in graph.nodes if node.kind in KINDS and KINDS[node.kind].role == "loss"]
    heads = [graph.node(edge.source) for loss in losses for edge in graph.into(loss.id) if edge.source in graph]
    for head in heads if len(embeddings) == 1 else ():
        if head.kind == "Linear":
            tied = graph.with_param(head.id, "tie_to", embeddings[0].id).with_param(head.id, "bias", False)
            graph = tied if not plan(tied).issues_of(head.id) else graph
    return graph


def _trained(graph: Graph, settings: Mapping[str, Any]) -> Graph:
    kept = {name: value for name, value in graph.training.items() if name not in DECIDES}
    return replace(graph, training={**settings, **kept})


def _batches(graph: Graph, batch_size: int) -> Graph:
    for node in graph.nodes:
        if node.kind in KINDS and KINDS[node.kind].role == "source":
            graph = graph.with_param(node.id, "batch_size", batch_size)
    return graph


def _width(graph: Graph) -> int:
    widths = [complete(KINDS["Embedding"].params, node.params)["embedding_dim"] for node in graph.of_kind("Embedding")]
    return widths[0] if widths and type(widths[0]) is int else 128


def _nearest_preset(width: int) -> dict[str, Any]:
    return min(PRESETS.values(), key=lambda size: abs(math.log(size["embedding_dim"] / width)))
