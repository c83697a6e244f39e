"""Trials -> plotly figures: best so far, a setting against the objective, all settings in parallel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from cortex.trials import OVER, Trial
from ui.strokes import frame_layout
from ui.theme import PALETTE, Theme

_HEIGHT = 340


def best_so_far(found: Sequence[Trial], measure: str, across: str, theme: Theme) -> go.Figure:
    """Each trial's objective as a point, and the lowest until then as a line.

    Args:
        across: "trial", or "minutes" of training that the trials took together until then.
    """
    minutes, taken = {}, 0.0
    for trial in found:
        taken += ((trial.row or {}).get("elapsed") or 0.0) / 60
        minutes[trial.number] = taken
    place = {trial.number: trial.number if across == "trial" else minutes[trial.number] for trial in found}
    told = [trial for trial in found if trial.loss is not None]
    chart = go.Figure()
    for name, symbol, kept in (
        ("trained to its end", "circle", lambda state: state in ("finished", "deleted")),
        ("stopped or failed", "x", lambda state: state in ("stopped", "failed")),
        ("going on", "circle-open", lambda state: state not in OVER),
    ):
        shown = [trial for trial in told if kept(trial.state)]
        if shown:
            chart.add_scatter(
                x=[place[t.number] for t in shown], y=[t.loss for t in shown], mode="markers", name=name,
                marker=dict(color=PALETTE[0], size=9, symbol=symbol, opacity=0.75),
                customdata=[t.run.id if t.run else None for t in shown], text=[f"trial {t.number}" for t in shown],
                hovertemplate="%{text}: %{y:.4f}<extra></extra>",
            )  # fmt: skip
    lowest = math.inf
    x, y = [], []
    for trial in told:
        lowest = min(lowest, trial.loss)
        x.append(place[trial.number])
        y.append(lowest)
    if x:
        chart.add_scatter(
            x=x, y=y, mode="lines", name="best so far", line=dict(color=PALETTE[1], width=3, shape="hv"), hoverinfo="skip"
        )
    _layout(chart, "Best so far", measure, theme, f"best-{across}")
    chart.update_xaxes(title="trial" if across == "trial" else "minutes of training", rangemode="tozero")
    if across == "trial":
        chart.update_xaxes(range=[0.5, max(len(found), 2) + 0.5], tickformat="d")
    return chart


def setting_against(found: Sequence[Trial], key: str, axis: Mapping[str, Any], measure: str, theme: Theme) -> go.Figure:
    """One point a trial: its value of a setting, and its objective."""
    told = [trial for trial in found if trial.loss is not None and key in (trial.values or {})]
    values = [trial.values[key] for trial in told]
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    best = min((trial.loss for trial in told), default=None)
    chart = go.Figure()
    chart.add_scatter(
        x=values if numbers else [str(value) for value in values],
        y=[trial.loss for trial in told],
        mode="markers",
        marker=dict(color=[PALETTE[1] if trial.loss == best else PALETTE[0] for trial in told], size=9, opacity=0.8),
        customdata=[trial.run.id if trial.run else None for trial in told],
        text=[f"trial {trial.number}" for trial in told],
        hovertemplate="%{text}: %{x}, %{y:.4f}<extra></extra>",
        showlegend=False,
    )
    _layout(chart, f"{key}", measure, theme, f"setting-{key}")
    chart.update_xaxes(title=key)
    if not numbers:
        chart.update_xaxes(type="category")
    elif _is_log(axis, values):
        chart.update_xaxes(type="log", exponentformat="power", dtick=1)
    return chart


def in_parallel(found: Sequence[Trial], axes: Sequence[Mapping[str, Any]], measure: str, theme: Theme) -> go.Figure:
    """A line a trial through its settings and its objective, the darker the lower."""
    told = [trial for trial in found if trial.loss is not None and trial.values]
    dimensions = [_dimension(axis, [trial.values.get(axis["key"]) for trial in told]) for axis in axes]
    losses = [trial.loss for trial in told]
    dimensions.append(dict(label=measure, values=losses))
    scale = [[0, PALETTE[1]], [0.5, PALETTE[4]], [1, theme.line]]
    chart = go.Figure(
        go.Parcoords(
            line=dict(color=losses, colorscale=scale, showscale=False),
            dimensions=dimensions,
            labelfont=dict(color=theme.text, size=12),
            tickfont=dict(color=theme.text, size=11),
            rangefont=dict(color=theme.muted, size=1),
        )
    )
    frame_layout(chart, theme, "All settings", _HEIGHT)
    chart.update_layout(margin=dict(l=70, r=70, t=84, b=24), uirevision="parallel", hovermode="closest")
    return chart


def _dimension(axis: Mapping[str, Any], values: Sequence[Any]) -> dict[str, Any]:
    label = axis["key"]
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    if numbers and not axis.get("values") and _is_log(axis, values):
        low, high = math.log10(axis["low"]), math.log10(axis["high"])
        ticks = range(math.ceil(low), math.floor(high) + 1)
        marks = dict(tickvals=list(ticks), ticktext=[f"1e{tick}" for tick in ticks], range=[low, high])
        return dict(label=label, values=[math.log10(value) for value in values], **marks)
    if numbers and not axis.get("values"):
        return dict(label=label, values=list(values))
    options = list(axis.get("values") or dict.fromkeys(values))
    places = [options.index(value) if value in options else -1 for value in values]
    return dict(label=label, values=places, tickvals=list(range(len(options))), ticktext=[_text(option) for option in options])


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_log(axis: Mapping[str, Any], values: Sequence[float]) -> bool:
    """Whether a logarithmic axis suits: a log range, or a list that spans a factor of ten or more."""
    if not values or min(values) <= 0:
        return False
    return max(values) / min(values) >= 10 if axis.get("values") else bool(axis.get("log"))


def _layout(chart: go.Figure, title: str, measure: str, theme: Theme, revision: str) -> None:
    frame_layout(chart, theme, title, _HEIGHT)
    chart.update_layout(hovermode="closest", uirevision=revision)
    grid = dict(gridcolor=theme.line, zeroline=False, automargin=True, linecolor=theme.line)
    chart.update_xaxes(**grid, showgrid=False)
    chart.update_yaxes(title=measure, **grid)
