"""The numbers of a comparison as they are read, on a terminal and in a report."""

from __future__ import annotations

from typing import Any

from cortex.spread import Difference, Interval
from cortex.units import UNKNOWN, count, duration, loss, perplexity

_LONGEST = 40  # letters of a name or a setting in a column


def judged(key: str, value: float | None) -> str:
    """A number of JUDGED."""
    return perplexity(value) if "perplexity" in key else loss(value)


def signed(key: str, value: float | None) -> str:
    """A difference of such numbers, with its sign."""
    if value is None:
        return UNKNOWN
    return f"{value:+,.{1 if abs(value) >= 10 else 2}f}" if "perplexity" in key else f"{value:+.3f}"


def interval(key: str, value: Interval) -> str:
    """`3.214 (3.190 to 3.238, n = 5)`"""
    if value.low is None or value.high is None:
        return f"{judged(key, value.mean)} (n = {value.n})"
    return f"{judged(key, value.mean)} ({judged(key, value.low)} to {judged(key, value.high)}, n = {value.n})"


def difference(key: str, value: Difference) -> str:
    """`-0.021 (-0.040 to -0.002), more than chance`"""
    if value.mean is None:
        return UNKNOWN
    if value.low is None or value.high is None:
        return f"{signed(key, value.mean)} (no interval: a group has a single run)"
    said = "more than chance" if value.more_than_chance else "could be chance"
    return f"{signed(key, value.mean)} ({signed(key, value.low)} to {signed(key, value.high)}), {said}"


def fact(key: str, value: Any) -> str:
    """A value of FACTS."""
    if value is None:
        return UNKNOWN
    if key == "elapsed":
        return duration(value)
    if key in ("parameters", "tokens"):
        return count(value)
    return f"{value:,.0f}" if isinstance(value, (int, float)) else short(str(value))


def value_text(value: Any) -> str:
    """The value of a setting; a dash for one that a run does not have."""
    return UNKNOWN if value is None else short('""' if value == "" else str(value))


def short(text: str, letters: int = _LONGEST) -> str:
    """The text on one line, cut where it is longer."""
    text = " ".join(text.split())
    return text if len(text) <= letters else text[: letters - 1] + "…"
