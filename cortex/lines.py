"""What is drawn of many points: smoothed over all of them, then thinned; and the band of several runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cortex.spread import t_quantile

# More points than a chart has pixels only make every refresh heavier.
MOST_POINTS = 1500
_BAND_POINTS = 500

Points = tuple[np.ndarray, np.ndarray]


def smoothed(values: np.ndarray, weight: float) -> np.ndarray:
    """(N,) exponential moving average without the bias of its start (Kingma & Ba 2015, section 3):

        m(t) = w m(t-1) + (1 - w) v(t),  m(0) = 0,  smoothed(t) = m(t) / (1 - w^t)

    over every point, before any is left out. What is not finite is passed over and stays as it is.

    Args:
        weight: w, from 0 (the values themselves) to below 1.
    """
    if not 0 <= weight < 1:
        raise ValueError(f"weight={weight}: expected from 0 to below 1")
    values = np.asarray(values, float)
    sound = np.isfinite(values)
    found = values[sound]
    if weight == 0 or not len(found):
        return values
    means = np.fromiter(
        itertools.accumulate(found.tolist(), lambda mean, value: weight * mean + (1 - weight) * value, initial=0.0), float
    )[1:]
    smooth = values.copy()
    # -expm1(t ln w) is 1 - w^t without the digits that the subtraction loses where w is near 1.
    smooth[sound] = means / -np.expm1(np.arange(1, len(found) + 1) * math.log(weight))
    return smooth


def half_life(weight: float) -> float:
    """After how many points the share of one has fallen to half: ln(1/2) / ln(w); 0 where nothing is smoothed."""
    return math.log(0.5) / math.log(weight) if weight > 0 else 0.0


def thinned(x: np.ndarray, y: np.ndarray, most: int = MOST_POINTS, log_x: bool = False) -> np.ndarray:
    """Indices, rising, of at most `most` of the points x (N,), y (N,): the first, the last, and the lowest and highest of
    each of equally wide stretches of the axis, so that no spike is lost.

    Args:
        log_x: the stretches are equally wide on a logarithmic axis.
    """
    count = len(x)
    if count <= most:
        return np.arange(count)
    stretches = (most - 2) // 2
    place = np.log(np.maximum(x, np.min(x[x > 0], initial=1.0))) if log_x else np.asarray(x, float)
    if (np.diff(place) < 0).any():  # as the clock may go back: by number then
        place = np.arange(count, dtype=float)
    width = (place[-1] - place[0]) / stretches
    if width > 0:
        stretch = np.minimum((place - place[0]) / width, stretches - 1).astype(int)
    else:
        stretch = np.arange(count) * stretches // count
    order = np.lexsort((y, stretch))
    starts = np.flatnonzero(np.diff(stretch[order], prepend=-1))
    ends = np.append(starts[1:], count) - 1
    return np.unique(np.concatenate([[0, count - 1], order[starts], order[ends]]))


@dataclass(frozen=True)
class Band:
    """`mean` of `n` curves at x (N,), and `low` and `high` around it."""

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: int


def band(curves: Sequence[Points], level: float | None = None) -> Band | None:
    """Mean and spread of several curves where all of them have points, interpolated linearly; None where they never overlap.

    Args:
        curves: x (N,) rising and y (N,) finite of each.
        level: `low` to `high` is the interval of the mean with this confidence (Student's t); None: from lowest to highest.
    """
    curves = [(x, y) for x, y in curves if len(x)]
    if len(curves) < 2:
        return None
    low, high = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    grid = np.unique(np.concatenate([x for x, _ in curves]))
    grid = grid[(grid >= low) & (grid <= high)]
    if not len(grid):
        return None
    grid = grid[np.unique(np.linspace(0, len(grid) - 1, min(len(grid), _BAND_POINTS)).round().astype(int))]
    heights = np.stack([np.interp(grid, x, y) for x, y in curves])  # (n, N)
    mean = heights.mean(0)
    if level is None:
        return Band(grid, mean, heights.min(0), heights.max(0), len(curves))
    reach = t_quantile((1 + level) / 2, len(curves) - 1) * heights.std(0, ddof=1) / math.sqrt(len(curves))
    return Band(grid, mean, mean - reach, mean + reach, len(curves))
