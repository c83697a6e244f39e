"""Run metrics -> plotly figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from cortex.lines import Band, Points
from cortex.measured import AXES, PER_TOKEN, PERPLEXITIES, RATES
from ui.curve import Curve, look_of
from ui.strokes import (
    Chart,
    colour_of,
    dash_of,
    draw_levels,
    faint,
    layout_of,
    legend_for,
    line,
    places,
    safe,
    set_axes,
    thrifty,
    uid_of,
)
from ui.theme import Theme

_LONGEST_NAME = 34
_LABELLED, _MARKED = 2, 16  # up to so many runs the best value is written, the best point ringed


@dataclass(frozen=True)
class Group:
    """Several runs drawn as the mean of their curves and a band around it, for `train` and `validation`."""

    name: str
    colour: int
    bands: Mapping[str, Band]


@dataclass(frozen=True)
class _Drawing:
    """What the traces of one figure have in common."""

    chart: Chart
    metric: str
    axis: str
    log_x: bool
    log_y: bool
    smoothing: float
    theme: Theme
    runs: int
    several: bool

    def points(self, curve: Curve, kind: str, smoothing: float = 0.0) -> Points:
        return curve.points(kind, self.metric, self.axis, smoothing, log_x=self.log_x, log_y=self.log_y)


def figure(
    curves: Sequence[Curve],
    metric: str,
    axis: str,
    theme: Theme,
    height: int = 340,
    levels: Mapping[str, float] | None = None,
    **more: Any,
) -> go.Figure:
    """What `drawn` gives as plotly's own object, for those who change it."""
    chart = drawn(curves, metric, axis, theme, height, levels, **more)
    return go.Figure(chart.data, {**chart.layout, "template": "none"})


def drawn(
    curves: Sequence[Curve],
    metric: str,
    axis: str,
    theme: Theme,
    height: int = 340,
    levels: Mapping[str, float] | None = None,
    *,
    groups: Sequence[Group] = (),
    smoothing: float = 0.0,
    log_x: bool = False,
    log_y: bool | None = None,
    note: str = "",
    revision: str | None = None,
) -> Chart:
    """Training thin, validation bold over it with its best point marked; one colour a run, several runs overlaid.

    Args:
        levels: values by their name, drawn as dashed lines across.
        groups: drawn as mean and band, beside the curves.
        smoothing: weight of the moving average of training; the points themselves stay visible behind it.
        log_y: None takes what suits the metric.
        note: a warning under the title, which a saved picture has too.
        revision: while it stays the same, so does what the reader has zoomed and hidden; the runs' when None.
    """
    title, unit, suits = curves[0].titled(metric) if len(curves) == 1 and not groups else look_of(metric)
    if metric == "loss" and len(curves) > 1:
        units = {curve.unit() for curve in curves}
        unit = units.pop() if len(units) == 1 else "each in its own unit"
    log_y, log_x = suits if log_y is None else log_y, log_x and axis != "time"
    several = len(curves) + len(groups) > 1
    drawing = _Drawing(Chart(), metric, axis, log_x, log_y, smoothing, theme, len(curves) + len(groups), several)
    for group in groups:
        _draw_group(drawing, group)
    for curve in curves:
        _draw_curve(drawing, curve)
    chart = drawing.chart
    chart.layout |= layout_of(theme, title, height)
    if note:
        chart.layout["title"]["subtitle"] = dict(text=safe(note, 110), font=dict(size=12, color=theme.fault))
        chart.layout["margin"]["t"] = 72
    chart.layout["uirevision"] = "-".join([metric, axis, *(curve.run for curve in curves)]) if revision is None else revision
    chart.layout["meta"]["filename"] = f"{metric}-{axis}"
    if len(curves) != 1 or groups:
        legend_for(chart, len(curves) + len(groups), height)
    set_axes(chart, theme, axis, (AXES[axis], unit), log_x, log_y)
    draw_levels(chart, levels or {}, theme, log_y)
    return chart


def _draw_curve(drawing: _Drawing, curve: Curve) -> None:
    name = safe(curve.name, _LONGEST_NAME) if drawing.several else ""
    look = dict(colour=colour_of(curve.colour), dash=dash_of(curve.colour), group=curve.run, axis=drawing.axis)
    trained, validated = drawing.points(curve, "train"), drawing.points(curve, "validation")
    both = len(validated[0]) > 0
    if len(trained[0]):
        faint_line = 0.25 if drawing.smoothing else 0.7 if drawing.metric in PER_TOKEN else 0.9
        shown = f"{name} training".strip() if both or not name else name
        legend = not (drawing.several and both)
        raw = line(
            drawing.chart, trained, width=1.2, opacity=faint_line, name=shown, legend=legend and not drawing.smoothing,
            markers=len(trained[0]) < 3, uid=uid_of(curve.run, "raw"), **look,
        )  # fmt: skip
        if drawing.smoothing:
            raw |= dict(hoverinfo="skip", hovertemplate=None)
            smooth = drawing.points(curve, "train", drawing.smoothing)
            of_it = dict(name=shown if name else f"{shown}, smoothed", legend=legend, uid=uid_of(curve.run, "smooth"))
            line(drawing.chart, smooth, width=1.8, opacity=0.95, **of_it, **look)
    if both:
        few = len(validated[0]) < 40
        of_it = dict(name=name or "validation", markers=few, uid=uid_of(curve.run, "validation"))
        line(drawing.chart, validated, width=3.0, opacity=1.0, **of_it, **look)
        if drawing.runs <= _MARKED:
            _mark_best(drawing, curve, *validated)


def _mark_best(drawing: _Drawing, curve: Curve, x: np.ndarray, y: np.ndarray) -> None:
    rate = drawing.metric.rpartition(".")[2] in RATES
    best, labelled = int(np.argmax(y) if rate else np.argmin(y)), drawing.runs <= _LABELLED
    text = f"{y[best]:,.1f}" if drawing.metric in PERPLEXITIES else f"{y[best]:.3f}"
    drawing.chart.add(
        x=places(x[best : best + 1], drawing.axis), y=[float(y[best])], mode="markers+text" if labelled else "markers",
        showlegend=False, hoverinfo="skip", legendgroup=curve.run, uid=uid_of(curve.run, "best"),
        marker=dict(color=colour_of(curve.colour), size=11, symbol="circle-open", line=dict(width=2)),
        text=[text] if labelled else None, textposition="bottom center" if rate else "top center",
        textfont=dict(color=drawing.theme.text, size=12),
        cliponaxis=False,
    )  # fmt: skip


def _draw_group(drawing: _Drawing, group: Group) -> None:
    colour, name = colour_of(group.colour), safe(group.name, _LONGEST_NAME)
    for kind, found in group.bands.items():
        bold = kind == "validation"
        x, low = places(found.x, drawing.axis), found.low
        if drawing.log_y:  # an interval may reach to 0 or below, and would press everything else together
            low = np.maximum(low, np.min(found.mean[found.mean > 0], initial=np.inf) / 2)
        edge = dict(mode="lines", line=dict(width=0), hoverinfo="skip", showlegend=False, legendgroup=group.name)
        drawing.chart.add(x=x, y=thrifty(found.high), uid=uid_of(group.name, f"{kind}-high"), **edge)
        filled = dict(fill="tonexty", fillcolor=faint(colour, 0.28 if bold else 0.14))
        drawing.chart.add(x=x, y=thrifty(low), uid=uid_of(group.name, f"{kind}-low"), **filled, **edge)
        mean = line(
            drawing.chart, (found.x, found.mean), axis=drawing.axis, colour=colour, dash=dash_of(group.colour),
            group=group.name, width=3.0 if bold else 1.4, opacity=1.0 if bold else 0.7,
            name=name if bold else f"{name} training",
            legend=bold or "validation" not in group.bands, markers=bold and len(x) < 40, uid=uid_of(group.name, kind),
        )  # fmt: skip
        mean |= dict(
            customdata=np.stack([found.low, found.high], 1).astype(np.float32),
            hovertemplate="%{y:,.4~r} (%{customdata[0]:,.4~r} to %{customdata[1]:,.4~r})",
        )
