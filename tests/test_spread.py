"""Means, intervals and differences against published tables."""

from __future__ import annotations

import math

import pytest

from cortex.spread import difference_interval, mean_interval, t_probability, t_quantile


# Two-sided 95 % and 99 % points, NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.2.
@pytest.mark.parametrize(
    ("degrees", "at_95", "at_99"),
    [(1, 12.706, 63.657), (2, 4.303, 9.925), (3, 3.182, 5.841), (4, 2.776, 4.604), (5, 2.571, 4.032), (9, 2.262, 3.250),
     (10, 2.228, 3.169), (20, 2.086, 2.845), (30, 2.042, 2.750), (60, 2.000, 2.660), (100, 1.984, 2.626)],
)  # fmt: skip
def test_quantiles_are_those_of_the_printed_table(degrees: int, at_95: float, at_99: float) -> None:
    assert t_quantile(0.975, degrees) == pytest.approx(at_95, abs=5.1e-4)
    assert t_quantile(0.995, degrees) == pytest.approx(at_99, abs=5.1e-4)
    assert t_quantile(0.025, degrees) == -t_quantile(0.975, degrees)


def test_many_degrees_of_freedom_are_the_normal_distribution() -> None:
    assert t_quantile(0.975, 1e7) == pytest.approx(1.959964, abs=1e-5)


def test_one_degree_of_freedom_is_cauchys_distribution() -> None:
    for t in (-3.0, -0.5, 0.0, 0.1, 2.0, 1000.0):
        assert t_probability(t, 1) == pytest.approx(0.5 + math.atan(t) / math.pi, abs=1e-12)


def test_the_interval_of_a_mean_is_students() -> None:
    found = mean_interval([4.0, 5.0, 6.0])
    assert (found.mean, found.n, found.deviation) == (5.0, 3, 1.0)
    assert found.low == pytest.approx(5 - 4.30265 / math.sqrt(3), abs=1e-4)
    assert found.high == pytest.approx(5 + 4.30265 / math.sqrt(3), abs=1e-4)


def test_one_value_has_a_mean_and_no_interval() -> None:
    found = mean_interval([3.0, None, math.nan, math.inf])
    assert (found.mean, found.low, found.high, found.n) == (3.0, None, None, 1)
    assert mean_interval([]).mean is None


# Welch's test of two groups worked out by hand: v = 1/3 and 4/3, df = (5/3)² / ((1/9)/2 + (16/9)/2) = 2.941.
def test_a_difference_has_the_interval_and_degrees_of_welch() -> None:
    found = difference_interval([1.0, 2.0, 3.0], [4.0, 6.0, 8.0])
    assert found.mean == -4.0
    assert found.degrees == pytest.approx(2.9412, abs=1e-4)
    reach = t_quantile(0.975, 50 / 17) * math.sqrt(5 / 3)
    assert (found.low, found.high) == pytest.approx((-4 - reach, -4 + reach))
    assert found.more_than_chance is False  # about -8.2 to 0.2


# Student's own sleep data (1908) by Welch: t = -1.8608, df = 17.776, p = 0.07939, interval -3.3655 to 0.2055, as R prints them.
def test_the_sleep_data_give_what_r_prints() -> None:
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = difference_interval(first, second)
    assert found.degrees == pytest.approx(17.776, abs=1e-3)
    assert found.p == pytest.approx(0.07939, abs=1e-5)
    assert (found.low, found.high) == pytest.approx((-3.3654832, 0.2054832), abs=1e-6)


def test_groups_of_one_have_a_difference_and_no_interval() -> None:
    found = difference_interval([1.0], [2.0, 3.0])
    assert (found.mean, found.low, found.p, found.more_than_chance) == (-1.5, None, None, None)
    assert difference_interval([], [1.0]).mean is None


def test_groups_that_do_not_vary_differ_or_are_equal_for_sure() -> None:
    assert difference_interval([1.0, 1.0], [2.0, 2.0]).more_than_chance is True
    assert difference_interval([1.0, 1.0], [1.0, 1.0]).more_than_chance is False


@pytest.mark.parametrize(("probability", "degrees"), [(0.0, 3), (1.0, 3), (0.5, 0), (0.5, -1), (math.nan, 3)])
def test_what_has_no_quantile_is_refused(probability: float, degrees: float) -> None:
    with pytest.raises(ValueError, match="expected between 0 and 1"):
        t_quantile(probability, degrees)
