"""Numbers as a person reads them; one place for terminal and pages. Unknown is an en dash, never 0."""

from __future__ import annotations

import math

UNKNOWN = "–"


def loss(value: float | None) -> str:
    """Nats per token with 3 decimals."""
    return UNKNOWN if value is None else f"{value:.3f}"


def perplexity(value: float | None) -> str:
    """One decimal, thousands separated."""
    if value is None:
        return UNKNOWN
    return f"{value:,.1f}" if math.isfinite(value) and value < 1e9 else "> 1e9"


def share(value: float | None) -> str:
    """A share of 0 to 1 in per cent with one decimal."""
    return UNKNOWN if value is None else f"{100 * value:.1f} %"


def count(value: float | None) -> str:
    """`9.15 M`, `512`, `12.8 k`: a number of parameters, tokens or steps in three digits."""
    if value is None:
        return UNKNOWN
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= (9999.5 if letter == "k" else size * 0.9995):
            scaled = value / size
            return f"{scaled:.{0 if abs(scaled) >= 99.95 else 1 if abs(scaled) >= 9.995 else 2}f} {letter}"
    return f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """`3 min 20 s`, `2 h 5 min`, `45 s`."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(octets: float | None) -> str:
    """KiB, MiB or GiB."""
    if octets is None:
        return UNKNOWN
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if octets >= 1024**power * (1 if power == 1 else 0.99995):
            return f"{octets / 1024**power:.1f} {unit}"
    return f"{octets:,.0f} bytes"
