"""Means of several runs and how sure they are: intervals of Student's t, and Welch's for the difference of two groups.

The distribution function of t comes from the regularised incomplete beta function (Abramowitz & Stegun 1964, 26.7.1), which is
evaluated as a continued fraction (26.5.8) by Lentz's method (Press et al. 2007, section 6.4); quantiles by halving.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

_TINY = 1e-300
_MOST_TERMS = 10_000


@dataclass(frozen=True)
class Interval:
    """`mean` of `n` values, and from `low` to `high` where the true mean lies with the level asked for.

    `low`, `high` and `deviation` (of a single value, n - 1 below) are None for fewer than two values, `mean` for none.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    deviation: float | None = None


@dataclass(frozen=True)
class Difference:
    """Mean of the one group less mean of the other, and from `low` to `high` where the true difference lies.

    `degrees` of freedom and `p`, how often chance alone would show a difference at least as large, are None like `low` and
    `high` where a group has fewer than two values.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: tuple[int, int]
    degrees: float | None = None
    p: float | None = None

    @property
    def more_than_chance(self) -> bool | None:
        """Whether 0 lies outside the interval; None where there is none."""
        return None if self.low is None or self.high is None else self.low > 0 or self.high < 0


def mean_interval(values: Iterable[float | None], level: float = 0.95) -> Interval:
    """Mean and its confidence interval, mean ± t(n - 1) s / sqrt(n) (Student 1908); what is no finite number is left out.

    Args:
        level: between 0 and 1.
    """
    found = _numbers(values)
    if len(found) < 2:
        return Interval(found[0] if found else None, None, None, len(found))
    mean, deviation = statistics.fmean(found), statistics.stdev(found)
    reach = t_quantile((1 + level) / 2, len(found) - 1) * deviation / math.sqrt(len(found))
    return Interval(mean, mean - reach, mean + reach, len(found), deviation)


def difference_interval(a: Iterable[float | None], b: Iterable[float | None], level: float = 0.95) -> Difference:
    """mean(a) - mean(b) and its confidence interval, the variances of both groups taken as they are (Welch 1947).

    Degrees of freedom by Satterthwaite 1946: (va + vb)² / (va² / (na - 1) + vb² / (nb - 1)) with v = s² / n.
    """
    first, second = _numbers(a), _numbers(b)
    n = len(first), len(second)
    if not all(n):
        return Difference(None, None, None, n)
    mean = statistics.fmean(first) - statistics.fmean(second)
    if min(n) < 2:
        return Difference(mean, None, None, n)
    va, vb = statistics.variance(first) / n[0], statistics.variance(second) / n[1]
    if va + vb == 0:  # every value of a group is the same
        return Difference(mean, mean, mean, n, math.inf, 1.0 if mean == 0 else 0.0)
    degrees = (va + vb) ** 2 / (va**2 / (n[0] - 1) + vb**2 / (n[1] - 1))
    error = math.sqrt(va + vb)
    reach = t_quantile((1 + level) / 2, degrees) * error
    return Difference(mean, mean - reach, mean + reach, n, degrees, _both_tails(mean / error, degrees))


def t_probability(t: float, degrees: float) -> float:
    """Probability that Student's t with so many degrees of freedom, whole or not, is at most `t`."""
    tail = _both_tails(t, degrees) / 2
    return 1 - tail if t > 0 else tail


def t_quantile(probability: float, degrees: float) -> float:
    """The value that Student's t stays below with this probability.

    Raises:
        ValueError: the probability is not between 0 and 1, or there is no degree of freedom.
    """
    if not 0 < probability < 1 or not degrees > 0:
        raise ValueError(f"probability {probability} and degrees {degrees}: expected between 0 and 1, and above 0")
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    low, high = 0.0, 1.0
    while t_probability(high, degrees) < probability and high < 1e300:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_probability(middle, degrees) < probability else (low, middle)
    return (low + high) / 2


def _numbers(values: Iterable[float | None]) -> list[float]:
    return [float(value) for value in values if type(value) in (int, float) and math.isfinite(value)]


def _both_tails(t: float, degrees: float) -> float:
    return _beta(degrees / (degrees + t * t), degrees / 2, 0.5)


def _beta(x: float, a: float, b: float) -> float:
    """I_x(a, b), the regularised incomplete beta function."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _apart(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _apart(1 + term * d)
            c = _apart(1 + term / c)
            value *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return value


def _apart(value: float) -> float:
    """The value, kept from 0, by which would be divided."""
    return value if abs(value) > _TINY else _TINY
