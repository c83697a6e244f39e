"""Run metrics -> plotly figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from cortex.evaluate import perplexity
from ui.theme import PALETTE, Theme

# More points than a chart has pixels only make every refresh heavier.
MOST_POINTS = 1500

METRICS: dict[str, tuple[str, str, bool]] = {
    # key: title, axis, whether the axis is logarithmic
    "loss": ("Loss", "nats per token", False),
    "perplexity": ("Perplexity", "perplexity", True),
    "word_perplexity": ("Perplexity per word", "perplexity per word", True),
    "bits_per_byte": ("Bits per byte", "bits per byte", False),
    "accuracy": ("Accuracy", "share that is right", False),
    "f1": ("F1", "F1", False),
    "exact": ("Rows right as a whole", "share of rows", False),
    "lr": ("Learning rate", "learning rate", False),
    "grad_norm": ("Gradient norm", "norm before clipping", True),
    "tokens_per_second": ("Throughput", "tokens per second", False),
}
PERPLEXITIES = ("perplexity", "word_perplexity")
RATES = ("accuracy", "f1", "exact")  # the more the better
AXES = {"step": "step", "tokens": "tokens seen", "epoch": "epoch", "elapsed": "minutes since start"}


class Curve:
    """The events of one run, thinned evenly to what a chart can show; the last is always kept."""

    def __init__(self, run: str, name: str, colour: int, events: Sequence[Mapping[str, Any]]) -> None:
        self.run, self.name, self.colour = run, name, colour
        kinds: dict[str, list[Mapping[str, Any]]] = {"start": [], "train": [], "validation": []}
        for event in events:
            kinds.setdefault(event["event"], []).append(event)
        self.every = math.ceil(len(kinds["train"]) / MOST_POINTS) or 1  # every how many training points one is drawn
        self._points = {kind: _thin(kinds[kind]) for kind in ("train", "validation")}
        start = kinds["start"][0] if kinds["start"] else {}
        self._steps_per_epoch = start.get("steps_per_epoch")
        # The losses by name, the main one first; empty for a run of a text's next tokens from before there were several.
        self.losses: Mapping[str, Mapping[str, Any]] = start.get("losses") or {}
        self.main = next(iter(self.losses), "")
        self.has_perplexity: bool = start.get("perplexity", True)
        self.cut_rows, self.unseen_labels = start.get("cut_rows"), start.get("unseen_labels")
        self._per = {
            "word_perplexity": _ratio(start.get("validation_tokens"), start.get("validation_words")),
            "bits_per_byte": _ratio(start.get("validation_tokens"), start.get("validation_bytes"), math.log(2)),
        }

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw yet."""
        return not any(self._points.values())

    def points(self, kind: str, metric: str, axis: str) -> tuple[list[float], list[float]]:
        """x and y of the `train` or `validation` events that have the metric. Words and bytes are those of the validation
        split, so only its events have a perplexity per word or bits per byte."""
        scale = self._per.get(metric, 1.0)
        if scale is None or (metric in self._per and kind == "train"):
            return [], []
        found = [(event, self._value(event, metric)) for event in self._points[kind]]
        rows = [event for event, value in found if value is not None]
        values = [value * scale for _, value in found if value is not None]
        values = [perplexity(value) for value in values] if metric in PERPLEXITIES else values
        return [self._x(row, axis) for row in rows], values

    def unit(self, name: str = "") -> str:
        """The unit of a loss, of the main one where none is named."""
        return self.losses.get(name or self.main, {}).get("unit", "nats per token")

    def panels(self) -> list[str]:
        """The charts that tell of this run: its main loss and what is measured of it, then the same of each further loss."""
        found = ["loss", *(["perplexity"] if self.has_perplexity else [])]
        several = len(self.losses) > 1 or (self.losses and not self._is_plain())
        if several:
            found += self.losses[self.main]["metrics"]
            for name, loss in list(self.losses.items())[1:]:
                found += [f"{name}.loss", f"{name}.{loss['main']}"]
        return found

    def _is_plain(self) -> bool:
        return not any(event.get("metrics") for event in self._points["validation"])

    def titled(self, metric: str) -> tuple[str, str, bool]:
        """Title, axis and whether it is logarithmic of a chart of this run alone."""
        name, _, key = metric.rpartition(".")
        title, axis, logarithmic = METRICS[key]
        if key == "f1":
            title = self.losses[name or self.main]["metrics"].get("f1", title)
            title = title[:1].upper() + title[1:]
        title = f"{title}, {name}" if name else f"{title}, {self.main}" if len(self.losses) > 1 else title
        return title, self.unit(name) if key == "loss" else axis, logarithmic

    def _value(self, event: Mapping[str, Any], metric: str) -> float | None:
        name, _, key = metric.rpartition(".")
        if key in RATES:
            return event.get("metrics", {}).get(name or self.main, {}).get(key)
        if name:
            return event.get("losses", {}).get(name)
        return event.get("loss" if key in ("perplexity", *self._per) else key)

    def _x(self, event: Mapping[str, Any], axis: str) -> float:
        if axis == "elapsed":
            return event["elapsed"] / 60
        if axis == "epoch":
            return event["step"] / (self._steps_per_epoch or 1)
        return event[axis]


def _ratio(tokens: float | None, units: float | None, each: float = 1.0) -> float | None:
    return tokens / (units * each) if tokens and units else None


def _thin(events: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    stride = math.ceil(len(events) / MOST_POINTS) or 1
    return events[::-1][::stride][::-1]


def figure(
    curves: Sequence[Curve],
    metric: str,
    axis: str,
    theme: Theme,
    height: int = 340,
    levels: Mapping[str, float] | None = None,
) -> go.Figure:
    """Training thin, validation bold over it with its best point marked; one colour a run, several runs overlaid.

    Args:
        levels: values by their name, drawn as dashed lines across.
    """
    title, unit, logarithmic = curves[0].titled(metric) if len(curves) == 1 else METRICS[metric]
    if metric == "loss" and len(curves) > 1:
        units = {curve.unit() for curve in curves}
        unit = units.pop() if len(units) == 1 else "each in its own unit"
    chart = go.Figure()
    for curve in curves:
        colour = PALETTE[curve.colour % len(PALETTE)]
        name = curve.name if len(curves) > 1 else ""
        x, y = curve.points("train", metric, axis)
        if x:
            opacity = 0.7 if metric.endswith(("loss", "perplexity")) else 0.9
            _line(chart, (x, y), colour, 1.4, opacity, f"{name} training".strip(), legend=not name, markers=len(x) < 3)
        x, y = curve.points("validation", metric, axis)
        if x:
            _line(chart, (x, y), colour, 3.0, 1.0, name or "validation", markers=len(x) < 40)
            rate = metric.rpartition(".")[2] in RATES
            best = (max if rate else min)(range(len(y)), key=y.__getitem__)
            chart.add_scatter(
                x=[x[best]], y=[y[best]], mode="markers+text", showlegend=False, hoverinfo="skip",
                marker=dict(color=colour, size=11, symbol="circle-open", line=dict(width=2)),
                text=[f"{y[best]:,.1f}" if metric in PERPLEXITIES else f"{y[best]:.3f}"],
                textposition="bottom center" if rate else "top center", textfont=dict(color=theme.text, size=12),
                cliponaxis=False,
            )  # fmt: skip
    frame_layout(chart, theme, title, height)
    chart.update_layout(uirevision="-".join([metric, axis, *(curve.run for curve in curves)]))
    if len(curves) != 1:
        chart.update_layout(legend=dict(x=0, xanchor="left", y=-0.22, yanchor="top"))
    grid = dict(gridcolor=theme.line, zeroline=False, automargin=True, linecolor=theme.line)
    chart.update_xaxes(title=AXES[axis], tickformat=",~r", **grid, showgrid=False)
    chart.update_yaxes(title=unit, type="log" if logarithmic else "linear", **grid)
    _draw_levels(chart, levels or {}, theme, logarithmic)
    if logarithmic:
        chart.update_yaxes(tickformat=",~r", dtick="D2" if _spread(chart, levels) > 4 else "D1", minor=dict(showgrid=False))
    return chart


def _draw_levels(chart: go.Figure, levels: Mapping[str, float], theme: Theme, logarithmic: bool) -> None:
    """Dashed lines from edge to edge, each with its name and value right of the chart, where no curve is; the axis reaches far
    enough to show them."""
    for name, value in levels.items():
        chart.add_shape(
            type="line", xref="paper", x0=0, x1=1, yref="y", y0=value, y1=value, layer="below",
            line=dict(color=theme.muted, width=1.2, dash="dash"),
        )  # fmt: skip
        chart.add_annotation(
            xref="paper", x=1, xanchor="left", yref="y", y=math.log10(value) if logarithmic else value, yanchor="middle",
            text=f"{name} {value:,.{0 if value >= 1000 else 1}f}", showarrow=False, xshift=4,
            font=dict(color=theme.muted, size=11),
        )  # fmt: skip
    if levels:
        chart.update_layout(margin=dict(r=94))


def frame_layout(chart: go.Figure, theme: Theme, title: str, height: int) -> None:
    """Title, colours and hover of every chart of the app."""
    chart.update_layout(
        title=dict(text=f"<b>{title}</b>", font=dict(size=15, color=theme.text), x=0, xanchor="left", xref="paper", y=0.97),
        height=height,
        margin=dict(l=8, r=12, t=58, b=8),
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font=dict(color=theme.text, size=12, family="Source Sans, Source Sans 3, system-ui, sans-serif"),
        template="none",
        modebar=dict(bgcolor="rgba(0,0,0,0)", color=theme.muted, activecolor=theme.ring),
        hovermode="x unified",
        hoverlabel=dict(bgcolor=theme.card, font=dict(color=theme.text), bordercolor=theme.line),
        legend=dict(orientation="h", x=1, xanchor="right", y=1.02, yanchor="bottom", bgcolor="rgba(0,0,0,0)"),
    )


def _spread(chart: go.Figure, levels: Mapping[str, float] | None) -> float:
    """How many times the least value the largest is."""
    drawn = [np.asarray(trace.y, float) for trace in chart.data] + [np.array(list((levels or {}).values()), float)]
    values = np.concatenate([*drawn, np.zeros(1)])
    values = values[np.isfinite(values) & (values > 0)]
    return float(values.max() / values.min()) if len(values) else 1.0


def _line(
    chart: go.Figure,
    points: tuple[list[float], list[float]],
    colour: str,
    width: float,
    opacity: float,
    name: str,
    *,
    markers: bool = False,
    legend: bool = True,
) -> None:
    chart.add_scatter(
        x=np.asarray(points[0]),  # plotly looks at every number of a list, and sends an array in a quarter of the bytes
        y=np.asarray(points[1]),
        mode="lines+markers" if markers else "lines",
        name=name,
        opacity=opacity,
        showlegend=legend,
        line=dict(color=colour, width=width),
        marker=dict(size=6),
        hovertemplate="%{y:,.4~r}",
    )
