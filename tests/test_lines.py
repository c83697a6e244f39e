"""Smoothing, thinning and bands."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cortex.lines import band, half_life, smoothed, thinned


def by_sums(values: list[float], weight: float) -> list[float]:
    """The same average by its definition: each value weighted w^(age), by the sum of the weights."""
    found = []
    for end in range(1, len(values) + 1):
        weights = [weight ** (end - 1 - at) for at in range(end)]
        found.append(sum(w * v for w, v in zip(weights, values, strict=False)) / sum(weights))
    return found


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.9, 0.99, 0.999])
def test_smoothing_is_the_weighted_mean_of_what_came_before(weight: float) -> None:
    noise = np.random.default_rng(1).normal(3, 1, 200)
    assert smoothed(noise, weight) == pytest.approx(by_sums(noise.tolist(), weight), rel=1e-9)


def test_smoothing_does_not_pull_the_start_towards_zero() -> None:
    assert smoothed(np.full(5, 7.0), 0.99).tolist() == pytest.approx([7.0] * 5)


def test_no_smoothing_gives_the_values() -> None:
    assert smoothed(np.array([1.0, 5.0]), 0.0).tolist() == [1.0, 5.0]


def test_gaps_are_passed_over_by_smoothing() -> None:
    found = smoothed(np.array([1.0, math.nan, 3.0, math.inf]), 0.5)
    assert found[[0, 2]].tolist() == pytest.approx(by_sums([1.0, 3.0], 0.5))
    assert np.isnan(found[1]) and np.isinf(found[3])
    assert np.isnan(smoothed(np.array([math.nan]), 0.5)).all()


@pytest.mark.parametrize("weight", [-0.1, 1.0, math.nan])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="expected from 0 to below 1"):
        smoothed(np.ones(3), weight)


def test_the_half_life_is_where_a_points_share_is_half() -> None:
    assert 0.9 ** half_life(0.9) == pytest.approx(0.5)
    assert half_life(0.0) == 0.0


@pytest.mark.parametrize("log_x", [False, True])
def test_thinning_keeps_the_ends_and_every_extreme(log_x: bool) -> None:
    x = np.arange(1.0, 100_001.0)
    y = np.sin(x / 900)
    y[[31_313, 77_777]] = 50.0, -50.0
    kept = thinned(x, y, 1500, log_x)
    assert len(kept) <= 1500
    assert {0, 31_313, 77_777, 99_999} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()


def test_few_points_are_all_kept() -> None:
    assert thinned(np.arange(1500.0), np.zeros(1500)).tolist() == [*range(1500)]


def test_the_start_of_a_logarithmic_axis_is_not_thinned_to_nothing() -> None:
    x = np.arange(1.0, 10_001.0)
    kept = thinned(x, np.zeros(10_000), 1500, log_x=True)
    assert set(range(10)) <= set(kept.tolist())


@pytest.mark.parametrize("x", [np.zeros(9999), np.r_[np.arange(5000.0), np.arange(4999.0)], -np.arange(9999.0)[::-1]])
def test_an_axis_that_stands_still_or_goes_back_is_thinned_by_number(x: np.ndarray) -> None:
    y = np.zeros(9999)
    y[1234] = 1.0
    kept = thinned(x, y, 100, log_x=bool(x[0] < 0))
    assert {0, 1234, 9998} <= set(kept.tolist())
    assert len(kept) <= 100


def curve(x: list[float], y: list[float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(x, float), np.array(y, float)


def test_a_band_is_the_mean_on_the_steps_that_all_have() -> None:
    found = band([curve([0, 10, 20], [0, 10, 20]), curve([5, 15], [1, 1])])
    assert found.x.tolist() == [5, 10, 15]
    assert found.mean.tolist() == [3, 5.5, 8]
    assert (found.low.tolist(), found.high.tolist(), found.n) == ([1, 1, 1], [5, 10, 15], 2)


def test_a_band_can_be_the_interval_of_the_mean() -> None:
    found = band([curve([1, 2], [value, value]) for value in (4.0, 5.0, 6.0)], level=0.95)
    reach = 4.30265 / math.sqrt(3)
    assert found.low.tolist() == pytest.approx([5 - reach] * 2, abs=1e-4)
    assert found.high.tolist() == pytest.approx([5 + reach] * 2, abs=1e-4)


def test_curves_that_never_overlap_have_no_band() -> None:
    assert band([curve([1, 2], [1, 1]), curve([3, 4], [1, 1])]) is None
    assert band([curve([1, 2], [1, 1]), curve([], [])]) is None
