"""Exact values of every run at one place of the horizontal axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from cortex import units
from cortex.measured import AXES
from ui.curve import Curve

_AT = "at"


def cursor_table(curves: Sequence[Curve], metrics: Sequence[str], axis: str) -> None:
    """A place that is typed or slid to, and each run's values there: of the nearest point logged at or before it."""
    if axis == "time":
        st.caption("Values at a place are given over step, tokens, epoch, minutes and FLOPs; not over the time of day.")
        return
    ends = [x for curve in curves for kind in ("train", "validation") if len(x := curve.line(kind, "loss", axis)[0])]
    if not ends:
        return
    low, high = min(float(x.min()) for x in ends), max(float(x.max()) for x in ends)
    st.subheader("Values at a place", anchor=False)
    at = _place(axis, low, high)
    table = pd.DataFrame(values_at(curves, metrics, axis, at))
    st.dataframe(
        table, hide_index=True, placeholder=units.UNKNOWN, height=min(38 + 35 * len(table), 400),
        column_config={name: st.column_config.NumberColumn(format=_format(name)) for name in table.columns if name != "run"},
    )  # fmt: skip
    st.caption("Of each run the nearest point logged at or before that place; a dash where it has none yet.")


def values_at(curves: Sequence[Curve], metrics: Sequence[str], axis: str, at: float) -> list[dict[str, Any]]:
    """A row for each run: the place of its last training and validation points not after `at`, and their values."""
    rows = []
    for curve in curves:
        row: dict[str, Any] = {"run": curve.name}
        for kind in ("train", "validation"):
            row[_place_name(kind, axis)] = None
            for metric in metrics:
                x, y = curve.line(kind, metric, axis)
                before = np.flatnonzero(x <= at)
                last = before[np.argmax(x[before])] if len(before) else None
                row[_name(kind, metric)] = None if last is None else float(y[last])
                if last is not None:
                    known = row[_place_name(kind, axis)]
                    row[_place_name(kind, axis)] = float(x[last]) if known is None else max(known, float(x[last]))
        rows.append(row)
    return _without_empty(rows)


def _without_empty(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = [name for name in (rows[0] if rows else ()) if name == "run" or any(row[name] is not None for row in rows)]
    return [{name: row[name] for name in kept} for row in rows]


def _place(axis: str, low: float, high: float) -> float:
    """The chosen place on this axis, kept in the URL as `AXIS:PLACE`; the end while none is chosen."""
    if high <= low:
        return high
    whole = axis in ("step", "tokens")
    step = 1.0 if whole else max((high - low) / 1000, 1e-9)
    value = min(max(_asked(axis, high), low), high)
    slid, typed = f"{_AT}.{axis}.slid", f"{_AT}.{axis}.typed"
    for widget in (slid, typed):  # both show the same place, whichever was used
        st.session_state[widget] = value
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    label = f"{AXES[axis][:1].upper()}{AXES[axis][1:]}"
    left.slider(
        label, low, high, key=slid, step=step, format="%.0f" if whole else "%.3g",
        on_change=_chosen, args=(axis, slid), label_visibility="collapsed",
    )  # fmt: skip
    right.number_input(
        label, low, high, key=typed, step=step, format="%.0f" if whole else "%.4g",
        on_change=_chosen, args=(axis, typed),
    )  # fmt: skip
    return value


def _chosen(axis: str, widget: str) -> None:
    st.query_params[_AT] = f"{axis}:{st.session_state[widget]:.12g}"


def _asked(axis: str, end: float) -> float:
    asked, _, text = st.query_params.get(_AT, "").partition(":")
    try:
        value = float(text) if asked == axis else end
    except ValueError:
        return end
    return value if math.isfinite(value) else end


def _name(kind: str, metric: str) -> str:
    return f"{'training' if kind == 'train' else kind} {metric}"


def _place_name(kind: str, axis: str) -> str:
    return f"{'training' if kind == 'train' else kind} at {AXES[axis]}"


def _format(name: str) -> str:
    if " at " in name:
        return "localized"
    return "%,.2f" if "perplexity" in name or "tokens_per_second" in name else "%.5g"
