"""The settings of a graph by their names, and those that are not the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortex.builder import TRAINING
from cortex.graph import Graph, Node
from cortex.params import complete
from cortex.registry import KINDS


def settings(graph: Graph) -> dict[str, Any]:
    """Every setting by its name, defaults filled in: `training.lr`, `data.seq_len`, and `data`, the kind of that node.

    What this version does not know, a foreign kind or setting, is kept as the document has it.
    """
    flat = {f"training.{name}": value for name, value in _values(TRAINING, graph.training).items()}
    for node in graph.nodes:
        flat[node.id] = node.kind
        flat |= {f"{node.id}.{name}": value for name, value in values_of(node).items()}
    return flat


def values_of(node: Node) -> dict[str, Any]:
    """The settings of a node with the defaults of those that it leaves out."""
    return _values(KINDS[node.kind].params if node.kind in KINDS else {}, node.params)


def differing(columns: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the settings that are not the same in all columns, a missing one included, in the order they are met."""
    names = dict.fromkeys(name for column in columns.values() for name in column)
    return [name for name in names if len({comparable_key(column, name) for column in columns.values()}) > 1]


def _values(params: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {**complete(params, values), **values}


def comparable_key(column: Mapping[str, Any], name: str) -> tuple[str, str]:
    """What is compared of a value: 1 and 1.0 are the same number, true and 1 are not."""
    if name not in column:
        return "missing", ""
    value = column[name]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return ("number", repr(float(value))) if number else (type(value).__name__, repr(value))
