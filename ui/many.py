"""Figures with a point or a line a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ui.strokes import colour_of, frame_layout, safe
from ui.theme import Theme

_LOGARITHMIC = ("best_perplexity", "word_perplexity")
_FEW_TICKS = 5  # below so many times the least value a logarithmic axis would have hardly a tick
_ODD_STATES = ("failed", "interrupted", "stopped", "paused")
# Good results dark, bad ones pale: of one hue, so that it reads without colour vision too.
_SCALE = {False: [[0, "#0b2a6b"], [0.5, "#7d93c9"], [1, "#dfe4f2"]], True: [[0, "#ffffff"], [0.5, "#7186c4"], [1, "#2a3350"]]}


@dataclass(frozen=True)
class Point:
    """A run: `values` has its settings, results and costs by name."""

    run: str
    name: str
    colour: int
    ringed: bool
    values: Mapping[str, Any]
    state: str = "finished"


def is_number(value: Any) -> bool:
    """Whether this can be a place on an axis."""
    return type(value) in (int, float) and math.isfinite(value)


def scatter(
    points: Sequence[Point],
    x: str,
    y: str,
    titles: tuple[str, str],
    theme: Theme,
    *,
    log_x: bool = False,
    title: str = "",
    front: Sequence[Point] = (),
    height: int = 460,
) -> go.Figure:
    """A point a run, in the run's colour, hollow where it did not finish; values that are no numbers stand side by side.

    Args:
        front: the runs that a line is drawn through, in its order.
    """
    known = [point for point in points if point.values.get(x) is not None and is_number(point.values.get(y))]
    numeric = all(is_number(point.values[x]) for point in known)
    log_x = log_x and numeric and _spans([point.values[x] for point in known], 2)
    places = [point.values[x] if numeric else _category(point.values[x]) for point in known]
    chart = go.Figure()
    if front:
        chart.add_scatter(
            x=[point.values[x] for point in front], y=[point.values[y] for point in front], mode="lines", hoverinfo="skip",
            line=dict(color=theme.ring, width=2, shape="hv"), name="Pareto front", uid="front", showlegend=False,
        )  # fmt: skip
    on_front = {point.run for point in front}
    chart.add_scatter(
        x=places,
        y=[point.values[y] for point in known],
        mode="markers",
        uid="runs",
        showlegend=False,
        customdata=[point.run for point in known],
        text=[safe(point.name) + ("" if point.state not in _ODD_STATES else f", {point.state}") for point in known],
        hovertemplate=f"<b>%{{text}}</b><br>{safe(titles[0])} %{{x}}<br>{safe(titles[1])} %{{y:,.4~r}}<extra></extra>",
        marker=dict(
            color=[colour_of(point.colour) for point in known],
            symbol=["circle-open" if point.state in _ODD_STATES else "circle" for point in known],
            size=[15 if point.ringed else 12 if point.run in on_front else 9 for point in known],
            line=dict(
                width=[3 if point.ringed else 2 if point.state in _ODD_STATES else 1 for point in known],
                color=[theme.text if point.ringed else colour_of(point.colour) for point in known],
            ),
        ),
    )
    frame_layout(chart, theme, safe(title or f"{titles[1]} against {titles[0]}"), height)
    grid = dict(gridcolor=theme.line, zeroline=False, automargin=True, linecolor=theme.line)
    chart.update_xaxes(title=safe(titles[0]), type="log" if log_x else "linear" if numeric else "category", **grid)
    if not numeric:
        chart.update_xaxes(categoryorder="array", categoryarray=_in_order(places))
    log_y = y in _LOGARITHMIC and _spans([point.values[y] for point in known], _FEW_TICKS)
    chart.update_yaxes(title=safe(titles[1]), type="log" if log_y else "linear", **grid)
    if log_y:
        chart.update_yaxes(tickformat=",~r", dtick="D2", minor=dict(showgrid=False))
    if log_x:
        chart.update_xaxes(
            tickformat="~g" if x not in ("parameters", "best_tokens") else "~s", dtick="D2", minor=dict(showgrid=False)
        )
    chart.update_layout(
        hovermode="closest", uirevision=f"{x}-{y}-{log_x}", meta=dict(filename=f"{y}-{x}", background=theme.background)
    )
    return chart


def parallel(points: Sequence[Point], names: Sequence[str], y: str, title: str, theme: Theme) -> go.Figure:
    """A line a run through an axis for each setting, at last its result, which also colours it."""
    results = np.array([point.values[y] for point in points], float)
    log_y = y in _LOGARITHMIC and len(results) > 0 and results.min() > 0
    heights = np.log10(results) if log_y else results
    dimensions = [_dimension(points, name) for name in names]
    ticks = np.linspace(heights.min(), heights.max(), 6) if len(heights) else np.zeros(0)
    dimensions.append(
        dict(label=safe(title, 28), values=heights, tickvals=ticks,
             ticktext=[f"{10**tick if log_y else tick:,.4g}" for tick in ticks])
    )  # fmt: skip
    chart = go.Figure(
        go.Parcoords(
            line=dict(color=heights, colorscale=_SCALE[theme.dark], showscale=False),
            dimensions=dimensions,
            labelfont=dict(color=theme.text, size=12),
            tickfont=dict(color=theme.text, size=11),
            rangefont=dict(color="rgba(0,0,0,0)", size=1),
            labelangle=-12,
            labelside="top",
            unselected=dict(line=dict(color=theme.line, opacity=0.25)),
        )
    )
    frame_layout(chart, theme, f"{safe(title)} by settings", 480)
    chart.update_layout(margin=dict(l=70, r=120, t=120, b=20), uirevision="-".join([*names, y]))
    return chart


def _dimension(points: Sequence[Point], name: str) -> dict[str, Any]:
    """An axis: numbers as they are, logarithmic where they span more than a decade; everything else value by value."""
    values = [point.values.get(name) for point in points]
    numbers = [value for value in values if is_number(value)]
    label = safe(name, 26)
    distinct = sorted(set(numbers))
    if len(numbers) < len(values) or len(distinct) <= 12:
        texts = _in_order([_category(value) for value in values])
        at = {text: place for place, text in enumerate(texts)}
        return dict(
            label=label,
            values=[at[_category(value)] for value in values],
            tickvals=[*range(len(texts))],
            ticktext=[*map(safe, texts)],
        )
    if distinct[0] > 0 and distinct[-1] / distinct[0] > 10:
        logs = np.log10(np.array(numbers, float))
        ticks = np.linspace(logs.min(), logs.max(), 6)
        return dict(label=label, values=logs, tickvals=ticks, ticktext=[f"{10**tick:.3g}" for tick in ticks])
    return dict(label=label, values=numbers)


def _spans(values: Sequence[float], times: float) -> bool:
    """Whether a logarithmic axis suits: all are positive, and the largest is so many times the least."""
    return len(values) > 0 and min(values) > 0 and max(values) >= times * min(values)


def _category(value: Any) -> str:
    text = "–" if value is None else '""' if value == "" else f"{value:g}" if type(value) is float else str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _in_order(texts: Sequence[str]) -> list[str]:
    """Each text once, numbers by their size, then the others by the alphabet."""

    def key(text: str) -> tuple[bool, float, str]:
        try:
            return False, float(text), text
        except ValueError:
            return True, 0.0, text

    return sorted(set(texts), key=key)
