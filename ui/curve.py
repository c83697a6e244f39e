"""A run for a chart: its points by measure and axis, smoothed and thinned once and kept, and how a measure is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cortex.curves import Columns, along, as_perplexity, columns_of, losses_of, values
from cortex.lines import Points, smoothed, thinned
from cortex.measured import METRICS
from ui.strokes import safe

_REMEMBERED = 24  # lines of a run that need not be computed again when another run is toggled


def look_of(metric: str) -> tuple[str, str, bool]:
    """Title, axis and whether it is logarithmic; one that the app does not know is called what the event calls it."""
    return METRICS.get(metric, (safe(metric), safe(metric), False))


class Curve:
    """One run for a chart. Everything is computed over all of its points; only what comes out to be drawn is thinned.

    Args:
        columns: of the run; a list of events will do.
        colour: the run's number in the palette.
        flops: those of training on one token, where they are known.
    """

    def __init__(
        self,
        run: str,
        name: str,
        colour: int,
        columns: Columns | Sequence[Mapping[str, Any]],
        flops: float | None = None,
    ) -> None:
        self.run, self.name, self.colour, self.flops = run, name, colour, flops
        self.columns = columns if isinstance(columns, Columns) else columns_of([dict(event) for event in columns])
        start = self.columns.start
        self.losses = losses_of(self.columns)
        self.main = next(iter(self.losses), "")
        self.has_perplexity = start.get("perplexity", True) is not False
        self.cut_rows, self.unseen_labels = start.get("cut_rows"), start.get("unseen_labels")

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw yet."""
        return not any(self.columns.points(kind) for kind in ("train", "validation"))

    def line(self, kind: str, metric: str, axis: str, smoothing: float = 0.0) -> Points:
        """x and y (N,) of every `train` or `validation` event that has both; minutes for `elapsed`, seconds for `time`.

        A smoothed perplexity is exp of the smoothed loss, so that both charts say the same.
        """
        if metric == "perplexity" and smoothing:
            y = as_perplexity(smoothed(values(self.columns, kind, "loss"), smoothing))
        else:
            y = smoothed(values(self.columns, kind, metric), smoothing)
        x = along(self.columns, kind, axis, self.flops)
        sound = np.isfinite(x) & np.isfinite(y)
        return x[sound] / (60 if axis == "elapsed" else 1), y[sound]

    def points(
        self, kind: str, metric: str, axis: str, smoothing: float = 0.0, *, log_x: bool = False, log_y: bool = False
    ) -> Points:
        """The same, without what a logarithmic axis has no place for, thinned so that extremes stay."""
        memo, key = self.columns.memo, (kind, metric, axis, smoothing, log_x, log_y, self.flops)
        known = memo.get(key)
        if known is not None:
            return known
        x, y = self.line(kind, metric, axis, smoothing)
        if log_x or log_y:
            there = ((x > 0) | (not log_x)) & ((y > 0) | (not log_y))
            x, y = x[there], y[there]
        kept = thinned(x, y, log_x=log_x)
        if len(memo) >= _REMEMBERED:
            memo.clear()
        memo[key] = x[kept], y[kept]
        return x[kept], y[kept]

    def unit(self, name: str = "") -> str:
        """The unit of a loss, of the main one where none is named."""
        return self.losses.get(name or self.main, {}).get("unit", "nats per token")

    def panels(self) -> list[str]:
        """The charts that tell of this run: its main loss and what is measured of it, then the same of each further loss."""
        found = ["loss", *(["perplexity"] if self.has_perplexity else [])]
        told = any(name.startswith("metrics.") for name in self.columns.validation)
        if len(self.losses) > 1 or (self.losses and told):
            found += self.losses[self.main].get("metrics", {})
            for name, loss in list(self.losses.items())[1:]:
                found += [f"{name}.loss", f"{name}.{loss.get('main')}"]
        return found

    def titled(self, metric: str) -> tuple[str, str, bool]:
        """Title, axis and whether it is logarithmic of a chart of this run alone."""
        name, _, key = metric.rpartition(".")
        if key not in METRICS or (name and name not in self.losses):
            return look_of(metric)
        title, axis, logarithmic = METRICS[key]
        if key == "f1":
            title = self.losses.get(name or self.main, {}).get("metrics", {}).get("f1", title)
            title = title[:1].upper() + title[1:]
        title = f"{title}, {name}" if name else f"{title}, {self.main}" if len(self.losses) > 1 else title
        return safe(title), self.unit(name) if key == "loss" else axis, logarithmic
