"""The parts that charts are drawn of: lines, axes, legend, reference lines, and the colours of runs."""

from __future__ import annotations

import html
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import plotly.graph_objects as go

from cortex.lines import Points
from ui.theme import PALETTE, Theme

_DASHES = ("solid", "dot", "dashdot")  # the palette round by round, so that 24 runs look different
_LISTED, _UNIFIED = 12, 24  # up to so many runs the legend stands below, and hovering shows all of them


def safe(text: str, most: int = 60) -> str:
    """Text of a user as plotly shows it: no markup, not longer than fits."""
    text = " ".join(text.split())
    return html.escape(text if len(text) <= most else text[: most - 1] + "…", quote=False)


def uid_of(run: str, part: str) -> str:
    """What plotly knows a trace by; it makes a CSS class of it, so other letters than those of an identifier would break it."""
    name = f"{run}-{part}"
    sound = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    return sound if sound == name else f"{sound}-{zlib.crc32(name.encode()):08x}"


def colour_of(number: int) -> str:
    """The colour of the run of that number."""
    return PALETTE[number % len(PALETTE)]


def dash_of(number: int) -> str:
    """How its lines are drawn: the second run of a colour is dotted."""
    return _DASHES[number // len(PALETTE) % len(_DASHES)]


def faint(colour: str, opacity: float) -> str:
    """A colour of the palette, see-through."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def line(
    chart: go.Figure, points: Points, *, axis: str, colour: str, dash: str, group: str, width: float, opacity: float, name: str,
    uid: str, markers: bool = False, legend: bool = True,
) -> go.Scatter:  # fmt: skip
    """A curve; traces of one `group` are shown and hidden together, `uid` tells plotly which one it was before."""
    chart.add_scatter(
        x=places(points[0], axis),  # plotly looks at every number of a list, and sends an array in a quarter of the bytes
        y=thrifty(points[1]),
        mode="lines+markers" if markers else "lines",
        name=name,
        uid=uid,
        legendgroup=group,
        opacity=opacity,
        showlegend=legend,
        line=dict(color=colour, width=width, dash=dash),
        marker=dict(size=6),
        hovertemplate="%{y:,.4~r}",
    )
    return chart.data[-1]


def places(x: np.ndarray, axis: str) -> np.ndarray:
    """x as plotly takes it: for `time` milliseconds of this machine's clock, which plotly reads as if it were UTC."""
    if axis == "time":
        offset = datetime.now().astimezone().utcoffset()
        return np.round((x + (offset.total_seconds() if offset else 0)) * 1000)
    whole = len(x) > 0 and np.abs(x).max() < 2**31 and (x == np.round(x)).all()
    return x.astype(np.int32) if whole else x


def thrifty(y: np.ndarray) -> np.ndarray:
    """The numbers in half of the bytes, where a chart shows no difference."""
    return y.astype(np.float32) if len(y) and np.abs(y).max() < 1e38 else y


def set_axes(chart: go.Figure, theme: Theme, axis: str, titles: tuple[str, str], log_x: bool, log_y: bool) -> None:
    """Titles, scales and ticks of both axes."""
    grid = dict(gridcolor=theme.line, zeroline=False, automargin=True, linecolor=theme.line)
    chart.update_xaxes(title=titles[0], **grid, showgrid=False)
    chart.update_yaxes(title=titles[1], type="log" if log_y else "linear", **grid)
    large = axis == "tokens"
    if axis == "time":
        chart.update_xaxes(type="date")
        return
    chart.update_xaxes(type="log" if log_x else "linear", tickformat=".3~e" if axis == "flops" else "~s" if large else ",~r")
    if log_x:
        span = _spread([trace.x for trace in chart.data])
        chart.update_xaxes(dtick=1 if span > 2000 else "D2" if span > 10 else "D1", minor=dict(showgrid=False))


def draw_levels(chart: go.Figure, levels: Mapping[str, float], theme: Theme, log_y: bool) -> None:
    """Dashed lines from edge to edge, each with its name and value right of the chart, where no curve is; the axis reaches far
    enough to show them."""
    for name, value in levels.items():
        chart.add_shape(
            type="line", xref="paper", x0=0, x1=1, yref="y", y0=value, y1=value, layer="below",
            line=dict(color=theme.muted, width=1.2, dash="dash"),
        )  # fmt: skip
        chart.add_annotation(
            xref="paper", x=1, xanchor="left", yref="y", y=math.log10(value) if log_y else value, yanchor="middle",
            text=f"{name} {value:,.{0 if value >= 1000 else 1}f}", showarrow=False, xshift=4,
            font=dict(color=theme.muted, size=11),
        )  # fmt: skip
    if levels:
        chart.update_layout(margin=dict(r=94))
    if log_y:
        chart.update_yaxes(
            tickformat=",~r",
            dtick="D2" if _spread([*(trace.y for trace in chart.data), [*levels.values()]]) > 4 else "D1",
            minor=dict(showgrid=False),
        )


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
        meta=dict(filename=title.lower().replace(" ", "-"), background=theme.background),
    )


def legend_for(chart: go.Figure, runs: int, height: int) -> None:
    """Below the chart, which grows by it; right of it, scrolled, where there are many. Hovering over few enough shows all."""
    if runs <= _LISTED:
        room = 10 + 20 * math.ceil(runs / 2)
        under = dict(x=0, xanchor="left", yref="container", y=0.0, yanchor="bottom", entrywidth=0.48, entrywidthmode="fraction")
        chart.update_layout(height=height + room, legend=under, margin_b=room + 46)
    else:
        chart.update_layout(legend=dict(orientation="v", x=1.01, xanchor="left", y=1, yanchor="top", font=dict(size=11)))
    chart.update_layout(
        legend_groupclick="togglegroup", hovermode="x unified" if runs <= _UNIFIED else "closest", hoverdistance=40
    )


def _spread(drawn: Sequence[Any]) -> float:
    """How many times the least value the largest is."""
    values = np.concatenate([*(np.asarray(numbers, float) for numbers in drawn), np.zeros(1)])
    values = values[np.isfinite(values) & (values > 0)]
    return float(values.max() / values.min()) if len(values) else 1.0
