"""The charts of a report: what the runs have logged, training thin and validation bold, in the colours of the pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cortex import comparable
from cortex.colours import PALETTE
from cortex.comparison import Comparison, Subject
from cortex.curves import Columns, CurveReader, along, values
from cortex.drawing import Line, chart
from cortex.flops import flops_per_token
from cortex.lines import band
from cortex.measured import AXES, METRICS, PER_TOKEN, PERPLEXITIES
from cortex.units import loss, perplexity

_DASHES = ("", "3 3", "8 3 2 3")  # the palette round by round, so that 24 runs look different
_ALONE = "Not comparable between these runs, see above: each curve says something of its own run."
_MOST_OTHERS = 12  # charts of what else was logged


@dataclass(frozen=True)
class Curve:
    """The points of one run, its place in the palette, and FLOPs of training on one token where they are known."""

    subject: Subject
    columns: Columns
    place: int
    flops: float | None

    @property
    def colour(self) -> str:
        return PALETTE[self.place % len(PALETTE)]

    @property
    def dash(self) -> str:
        return _DASHES[self.place // len(PALETTE) % len(_DASHES)]

    def points(self, kind: str, metric: str, axis: str) -> tuple[np.ndarray, np.ndarray]:
        """x and y (N,) of the events that have both, minutes for `elapsed`."""
        x, y = along(self.columns, kind, axis, self.flops), values(self.columns, kind, metric)
        sound = np.isfinite(x) & np.isfinite(y)
        return x[sound] / (60 if axis == "elapsed" else 1), y[sound]


def curves_of(found: Comparison, places: Mapping[str, int], axis: str) -> list[Curve]:
    """The points of every run that can be read."""
    curves = []
    for subject in found.subjects:
        vocabulary, labels = subject.row["vocabulary"], subject.row["labels"]
        known = axis == "flops" and subject.graph is not None and isinstance(vocabulary, int)
        flops = flops_per_token(subject.graph, vocabulary, labels or None) if known else None
        curves.append(
            Curve(subject, CurveReader(subject.run.path / "metrics.jsonl").read(), places.get(subject.run.id, 0), flops)
        )
    return curves


def charts(found: Comparison, curves: Sequence[Curve], axis: str, levels: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Each chart as SVG with a sentence that has to be read with it, empty where there is none.

    Args:
        levels: reference perplexities of the data that the runs share.
    """
    rows = [subject.row for subject in found.subjects if subject.row["best_loss"] is not None]
    measures = comparable.measures(rows) if rows else ["perplexity"]
    judged = [*(name for name in measures if name not in PER_TOKEN), *PER_TOKEN] if found.why_not else ["loss", *measures]
    others = list(dict.fromkeys(name for curve in curves for name in curve.columns.metrics() if name != "loss"))
    for metric in [*judged, *others[:_MOST_OTHERS]]:
        drawn = _chart(found, curves, metric, axis, levels if metric == "perplexity" else {})
        if drawn:
            yield drawn, _ALONE if metric in PER_TOKEN and found.why_not else ""
    if len(others) > _MOST_OTHERS:
        yield "", f"{len(others) - _MOST_OTHERS} more metrics were logged: {', '.join(others[_MOST_OTHERS:])[:300]}."


def _chart(found: Comparison, curves: Sequence[Curve], metric: str, axis: str, levels: Mapping[str, float]) -> str:
    title, unit, logarithmic = METRICS.get(metric, (metric[:60], metric[:60], False))
    judged = metric in METRICS and metric in ("loss", *PERPLEXITIES, "bits_per_byte")
    lines, bands = [], _bands(found, curves, metric, axis) if judged else {}
    for curve in curves:
        name = curve.subject.name
        x, y = curve.points("train", metric, axis)
        has_validation = len(curve.points("validation", metric, axis)[0]) > 0
        lines.append(Line("" if judged and has_validation else name, curve.colour, x, y, dash=curve.dash))
        x, y = curve.points("validation", metric, axis)
        best = perplexity if metric in PERPLEXITIES else loss
        text = best(float(np.min(y))) if len(y) else ""
        lines.append(Line(name, curve.colour, x, y, judged, text, curve.dash, bands.get(curve.subject.run.id)))
    return chart(lines, title=title, x_title=AXES[axis], y_title=unit, log_y=logarithmic, levels=levels)


def _bands(found: Comparison, curves: Sequence[Curve], metric: str, axis: str) -> Mapping[str, object]:
    """For the first run of each group the 95 % interval of the group's mean along the axis."""
    bands = {}
    for group in found.groups:
        ids = [subject.run.id for subject in group.members]
        inside = [curve.points("validation", metric, axis) for curve in curves if curve.subject.run.id in ids]
        made = band(inside, 0.95) if len(inside) > 1 else None
        if made is not None:
            bands[ids[0]] = made
    return bands
