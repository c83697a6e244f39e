"""The settings of a node out of the properties of the original, with a word on each that is not taken as it stands."""

from __future__ import annotations

from typing import Any

from cortex import litegraph_names as names
from cortex.kind import Kind
from cortex.litegraph import Box
from cortex.litegraph_flat import Flat
from cortex.litegraph_widths import is_head
from cortex.params import AUTO, FROM_INPUT, FROM_VOCABULARY, Choice, Int, Param


def values_of(flat: Flat, way: str, kind: Kind) -> tuple[dict[str, Any], list[str]]:
    """The settings of a box as a node of this kind, and what was changed on the way."""
    box = flat.boxes[way]
    values: dict[str, Any] = {}
    changes: list[str] = []
    for name, found in box.properties.items():
        target = None if (kind.name, name) == ("Concat", "dim") else _setting(kind, name)
        if target is None:
            if not _is_told_elsewhere(kind, name):
                changes.append(f"{names.tidy(name)} left out: it has no meaning here")
            continue
        param = kind.params[target]
        if _is_auto(flat, way, target, param):
            if found != AUTO:
                changes.append(f"{target}=auto for {names.shown(found)}: {param.auto}")
            if param.default != AUTO:
                values[target] = AUTO
            continue
        value = value_of(param, found)
        if value is None:
            changes.append(f"{target}={names.shown(found)} left out: expected {param.expected()}")
            continue
        values[target] = value
        if name != target:
            changes.append(f"{target} for {name}")
        if param.problem(value):
            changes.append(f"{target}={names.shown(value)} kept, to be mended: expected {param.expected()}")
    for name, default in names.DEFAULTS.get(kind.name, {}).items():
        if name in kind.params and name not in values and kind.params[name].default != default:
            values[name] = default
    _by_kind(box, kind, values, changes)
    return values, changes


def value_of(param: Param, found: Any) -> Any:
    """A value as its setting takes it, numbers out of texts too; what the setting refuses is kept where a document can hold
    it, so that its fault is told at the node. None for what no document can hold."""
    if param.problem(found) is None:
        return found
    if isinstance(found, str):
        if isinstance(param, Choice):
            near = next((option for option in param.options if names.normal(option) == names.normal(found)), None)
            return near or found
        try:
            return param.parse(found)
        except ValueError:
            return found
    if isinstance(param, Int) and isinstance(found, float) and found.is_integer():
        return int(found)
    return found if type(found) in (int, float, bool) else None


def _setting(kind: Kind, name: str) -> str | None:
    """The setting of a kind that a property of the original stands for."""
    for candidate in (name, *names.ALIASES.get(name, ()), *names.ALIASES.get(name.lower(), ())):
        if candidate in kind.params:
            return candidate
    return None


def _is_auto(flat: Flat, way: str, name: str, param: Param) -> bool:
    """Whether a setting is better taken from what is connected: the original does so too, whatever it is told."""
    if param.auto == FROM_INPUT:
        return True
    return param.auto == FROM_VOCABULARY and (name != "out_features" or is_head(flat, way))


def _is_told_elsewhere(kind: Kind, name: str) -> bool:
    """Settings whose meaning is kept in another place."""
    if kind.role == "loss":
        return name in names.TRAINING
    if kind.name == "Concat":
        return name == "dim"
    return name in (*names.WIDTHS, "auto_flatten") or (kind.role == "source" and name in ("input_shape", "type"))


def _by_kind(box: Box, kind: Kind, values: dict[str, Any], changes: list[str]) -> None:
    if kind.role == "source":
        values.setdefault("batch_size", names.BATCH_SIZE)
        shape = names.number(str(box.properties.get("input_shape", "")).split(",")[0])
        if "seq_len" not in values and kind.name == "CustomData" and shape:
            values["seq_len"] = shape
            changes.append(f"seq_len={shape} for input_shape")
        elif "seq_len" not in values:
            values["seq_len"] = names.SEQ_LEN
            changes.append(f"seq_len={names.SEQ_LEN}, the length that the original always takes")
    if "causal" in kind.params and "causal" not in box.properties:
        values["causal"] = True
        changes.append("causal=true, so that no token sees a later one")
    if kind.name == "Concat":
        values["dim"] = "width"
        changes.append("dim=width: vectors are joined, and positions stay what they are")
    if kind.name == "GPTBlock" and values.get("dropout"):
        changes.append("dropout acts where each half joins the residual; attention weights have attention_dropout")
