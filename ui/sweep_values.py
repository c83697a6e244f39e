"""What of a graph a sweep can vary, and values to begin with."""

from __future__ import annotations

from typing import Any

from cortex.builder import TRAINING
from cortex.graph import Graph
from cortex.params import Bool, Choice, Float, Int, Param, complete
from cortex.presets import MODEL, model_settings
from cortex.registry import KINDS
from cortex.space import written


def settable(graph: Graph) -> dict[str, tuple[Param, Any]]:
    """Every setting of the graph that has numbers or choices, by its key, with its present value; None where nodes differ."""
    found: dict[str, tuple[Param, Any]] = {}
    trained = complete(TRAINING, graph.training)
    for name, param in TRAINING.items():
        if param.applies(trained):
            found[f"training.{name}"] = param, trained[name]
    for name, value in model_settings(graph).items():
        if value is not None or graph.of_kind("GPTBlock"):
            found[f"model.{name}"] = MODEL[name], value
    for node in graph.nodes:
        params = KINDS[node.kind].params if node.kind in KINDS else {}
        values = complete(params, node.params)
        for name, param in params.items():
            if param.applies(values):
                found[f"nodes.{node.id}.{name}"] = param, values[name]
    return {key: pair for key, pair in found.items() if _can_vary(pair[0])}


def _can_vary(param: Param) -> bool:
    return isinstance(param, (Int, Float, Bool)) or (isinstance(param, Choice) and len(param.options) > 1)


def proposed(param: Param, value: Any, method: str) -> str:
    """Values around the present one, to begin with."""
    if isinstance(param, Bool):
        return "false,true"
    if isinstance(param, Choice):
        return ",".join(param.options)
    if not isinstance(value, (int, float)):
        value = param.default if isinstance(param.default, (int, float)) else param.low
    whole = isinstance(param, Int)
    if not whole and param.low == 0 and param.high <= 1:  # a share
        return "0,0.1,0.2" if method == "grid" else "0..0.3"
    if not value:  # nothing to multiply
        return ("0,1" if whole else "0,0.1,1") if method == "grid" else "0..1"
    factor = 2 if whole else 3 if method == "grid" else 10
    low = max(param.low, value // factor if whole else value / factor)
    high = min(param.high, value * factor)
    if method == "grid":
        return ",".join(dict.fromkeys(written(_near(at, whole)) for at in (low, value, high)))
    scale = "int:" if whole else "log:" if low > 0 else ""
    return f"{scale}{written(_near(low, whole))}..{written(_near(high, whole))}"


def _near(value: float, whole: bool) -> float:
    return round(value) if whole else float(f"{value:.2g}")


def value_now(value: Any) -> str:
    """The present value of a setting as a list of settings shows it."""
    return "different values" if value is None else written(value)
