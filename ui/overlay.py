"""Curves of the chosen runs over each other: which numbers, over what, how smooth, as single runs or as groups."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from cortex import comparable, flops
from cortex.graph_settings import differing
from cortex.lines import MOST_POINTS, band, half_life
from cortex.measured import AXES, METRICS, PER_TOKEN
from cortex.runs import Run
from ui import charts, reading, session
from ui.cursor import cursor_table
from ui.curve import Curve, look_of
from ui.plain import plain
from ui.plot import show_chart
from ui.theme import theme

Row = Mapping[str, Any]

WEIGHTS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
DERIVED = ("perplexity", "word_perplexity", "bits_per_byte")
SEED = "training.seed"
_MOST_METRICS = 60
_AXES = {"step": "step", "tokens": "tokens", "epoch": "epoch", "elapsed": "minutes", "time": "clock", "flops": "FLOPs"}
_SCALES = ("auto", "linear", "log")
_BANDS = {"range": "lowest to highest", "interval": "95 % interval"}
_EACH, _SEEDS = "each run", "seeds of one configuration"


def overlay(rows: list[dict[str, Any]]) -> None:
    """Draw the charts of these runs (rows of the index), with what is chosen about them; the choice is in the URL."""
    rows = [row for row in rows if row["state"] != "damaged" or row["best_loss"] is not None or row["step"]]
    by_id = {row["run"]: row for row in rows}
    names = reading.names(by_id)
    runs = [Run(Path(row["directory"])) for row in rows]
    found = {run.id: reading.columns(run) for run in runs}
    logged = list(dict.fromkeys(name for columns in found.values() for name in columns.metrics()))
    if not logged:
        st.info("None of these runs has logged a point yet.", icon=":material/hourglass_empty:")
        return
    why = comparable.why_not({names[run]: row for run, row in by_id.items()})
    if why:
        st.warning(plain(why), icon=":material/balance:")
    left, right = st.columns([7, 3])
    with left:
        metrics = _metrics(logged, comparable.measures(rows))
    with right:
        by, spread = _grouping(rows)
    axis, log_x, scale, smoothing = _axis_and_scale()
    curves = reading.curves(runs, session.where().runs, names, flops=axis == "flops")
    singles, members = _grouped(curves, rows, by)
    _said(axis, smoothing, curves, members, spread)
    levels = reading.levels(runs, session.where().store)
    note = "Not comparable: these runs predict different tokens." if why else ""
    wide = len(singles) + len(members) > 12 or len(metrics) == 1
    columns = st.columns(1 if wide else 2)
    for place, metric in enumerate(metrics):
        groups = [_group(name, group, metric, axis, smoothing, spread) for name, group in members.items()]
        apart = [curve for group in groups if not group.bands for curve in members[group.name]]
        chart = charts.drawn(
            [*singles, *apart], metric, axis, theme(), height=360,
            levels=levels if metric == "perplexity" else None,
            groups=[group for group in groups if group.bands], smoothing=smoothing, log_x=log_x,
            log_y=None if scale == "auto" else scale == "log", note=note if metric in PER_TOKEN else "",
            revision=f"{metric}-{axis}-{log_x}-{scale}",
        )  # fmt: skip
        with columns[place % len(columns)]:
            if chart.data:
                show_chart(chart, key=f"overlay.{metric}")
            else:
                st.caption(plain(f"{look_of(metric)[0]}: none of these runs has it over {AXES[axis]}."))
    if levels and "perplexity" in metrics:
        st.caption("Dashed: models that only count tokens, on the same validation split.")
    cursor_table(curves, metrics, axis)
    _download(curves, metrics, axis, smoothing)


def _metrics(logged: Sequence[str], measures: Sequence[str]) -> list[str]:
    """What is drawn: the loss and the measure that suits these runs best, until the reader chooses."""
    rates = {name.rpartition(".")[2] for name in logged if name.startswith("metrics.")}
    known = [name for name in METRICS if name in logged or name in rates or (name in DERIVED and "loss" in logged)]
    if sum(name.startswith("losses.") for name in logged) < 2:  # else each loss and metric is told apart by its name
        logged = [
            name for name in logged if not name.startswith(("losses.", "metrics.")) or name.rpartition(".")[2] not in known
        ]
    options = [*known, *(name for name in logged if name not in known)]
    if len(options) > _MOST_METRICS:
        st.caption(f"These runs log {len(options):,} different numbers; the first {_MOST_METRICS} are offered.")
        options = options[:_MOST_METRICS]
    default = [name for name in ("loss", measures[0]) if name in options] or options[:1]
    chosen = st.pills(
        "Metrics", options, selection_mode="multi", default=default, key="metrics", bind="query-params", wrap=True,
        format_func=lambda name: plain(METRICS[name][0] if name in METRICS else name), help=comparable.HELP,
    )  # fmt: skip
    return [name for name in options if name in chosen] or default


def _axis_and_scale() -> tuple[str, bool, str, float]:
    """Horizontal axis, whether it is logarithmic, how the vertical ones are, and the weight of the smoothing."""
    across, logarithmic, vertical, smooth = st.columns([4.9, 1.1, 2.3, 2.8], vertical_alignment="bottom")
    axis = across.segmented_control(
        "Horizontal axis", list(AXES), default="step", key="axis", bind="query-params", required=True,
        format_func=_AXES.get,
    )  # fmt: skip
    dated = axis == "time"
    log_x = logarithmic.toggle("Log", key="logx", bind="query-params", disabled=dated, help="Logarithmic horizontal axis.")
    scale = vertical.segmented_control(
        "Vertical axes", _SCALES, default="auto", key="logy", bind="query-params", required=True,
        help="auto: perplexities and gradient norms logarithmic, everything else linear.",
    )  # fmt: skip
    weight = smooth.select_slider(
        "Smoothing", WEIGHTS, value=0.0, key="smooth", bind="query-params", format_func=lambda w: f"{w:g}" if w else "none",
        help="Exponential moving average of training, from all points before any is left out: m(t) = w m(t-1) + (1 - w) v(t), "
        "drawn as m(t) / (1 - w^t). The points themselves stay visible behind it; validation is never smoothed.",
    )  # fmt: skip
    return axis, log_x and not dated, scale, weight


def _grouping(rows: Sequence[Row]) -> tuple[str, str]:
    """By what runs are drawn together, and what the band around their mean is."""
    settings = {row["run"]: row.get("settings") or {} for row in rows}
    alike = len({_configuration(row) for row in rows}) < len(rows)
    shared = [name for name in differing(settings) if name != SEED and _shares(settings, name)]
    ways = {"each run": (_EACH, "range")}
    for name in [*([_SEEDS] if alike else []), *shared]:
        ways |= {
            f"mean of {name if name == _SEEDS else f'equal {name}'}, {_BANDS[spread]}": (name, spread) for spread in _BANDS
        }
    return ways[st.selectbox("Draw", list(ways), key="group", bind="query-params", disabled=len(ways) < 2)]


def _shares(settings: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    """Whether two of the runs have the same value of a setting."""
    return len({repr(values.get(name)) for values in settings.values()}) < len(settings)


def _configuration(row: Row) -> str:
    """What runs that differ in their seed alone have in common; a run whose settings are not known is like no other."""
    settings = row.get("settings")
    if not settings:
        return row["run"]
    return repr((row["data"], row["parent"], sorted((name, repr(value)) for name, value in settings.items() if name != SEED)))


def _grouped(curves: Sequence[Curve], rows: Sequence[Row], by: str) -> tuple[list[Curve], dict[str, list[Curve]]]:
    """Runs that are drawn by themselves, and groups of at least two by their name."""
    if by == _EACH:
        return list(curves), {}
    found: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        key = _configuration(row) if by == _SEEDS else repr((row.get("settings") or {}).get(by, row["run"]))
        found.setdefault(key, []).append(place)
    singles = [curves[places[0]] for places in found.values() if len(places) == 1]
    groups: dict[str, list[Curve]] = {}
    for key, places in found.items():
        if len(places) > 1:
            own = rows[places[-1]]["name"].rpartition(", seed ")[0] or rows[places[-1]]["name"]
            name = f"{own if by == _SEEDS else f'{by} {key}'}, {len(places)} runs"
            groups[name if name not in groups else f"{name} ({len(groups) + 1})"] = [curves[place] for place in places]
    return singles, groups


def _group(name: str, curves: Sequence[Curve], metric: str, axis: str, smoothing: float, spread: str) -> charts.Group:
    bands = {}
    for kind, weight in (("train", smoothing), ("validation", 0.0)):
        lines = [curve.line(kind, metric, axis, weight) for curve in curves]
        rising = [(x, y) for x, y in lines if len(x) and (np.diff(x) > 0).all()]  # the clock may go back
        found = band(rising, 0.95 if spread == "interval" else None)
        if found is not None:
            bands[kind] = found
    return charts.Group(name, min(curve.colour for curve in curves), bands)


def _said(axis: str, smoothing: float, curves: Sequence[Curve], groups: Mapping[str, Any], spread: str) -> None:
    """What the reader has to know of what is drawn."""
    lines = ["Thin: training, with dropout. Bold: the whole validation split, without; its best point is ringed."]
    if smoothing:
        lines.append(
            f"Smoothed with w = {smoothing:g}: a point's share has halved after {half_life(smoothing):,.1f} points. "
            "A smoothed perplexity is exp of the smoothed loss."
        )
    most = max((curve.columns.points("train") for curve in curves), default=0)
    if most > MOST_POINTS:
        lines.append(f"Of up to {most:,} points a curve, {MOST_POINTS:,} are drawn, every extreme among them.")
    if groups:
        what = "from the lowest to the highest" if spread == "range" else "the 95 % interval of the mean (Student's t)"
        lines.append(
            f"Bands: mean of the runs where all have points, and {what}; where they have no part of the axis in common, "
            "they are drawn one by one. On a logarithmic axis a band is cut at half of its lowest mean."
        )
    if axis == "flops":
        unknown = [curve.name for curve in curves if curve.flops is None]
        lines.append(f"{flops.FORMULA}. {flops.IN_WORDS}")
        if unknown:
            lines.append(f"Not known, so not drawn: {', '.join(unknown)}.")
    st.caption(plain(" ".join(lines)))


def _download(curves: Sequence[Curve], metrics: Sequence[str], axis: str, smoothing: float) -> None:
    st.download_button(
        "Points of these charts as CSV", lambda: as_csv(curves, metrics, axis, smoothing), "charts.csv", "text/csv",
        key="overlay.csv", on_click="ignore", icon=":material/download:",
        help="Every point, also those that a chart leaves out: run, kind, metric, place on the axis, value, smoothed value.",
    )  # fmt: skip


def as_csv(curves: Sequence[Curve], metrics: Sequence[str], axis: str, smoothing: float) -> str:
    """Every point of the curves as CSV; `smoothed` is empty where nothing is smoothed, and for validation."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "name", "kind", "metric", AXES[axis], "value", "smoothed"])
    for curve in curves:
        for metric in metrics:
            for kind in ("train", "validation"):
                x, y = curve.line(kind, metric, axis)
                smooth = curve.line(kind, metric, axis, smoothing)[1] if smoothing and kind == "train" else [""] * len(x)
                head = [curve.run, _cell(curve.name), kind, metric]
                writer.writerows([*head, *point] for point in zip(x.tolist(), y.tolist(), list(smooth), strict=True))
    return text.getvalue()


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
