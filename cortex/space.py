"""What a sweep varies: settings by their key, each with values to try or a range to draw from."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cortex.edit import SettingError, apply_setting, param_of
from cortex.graph import Graph
from cortex.params import Float, Int, Param

Values = dict[str, Any]  # one combination: key of a setting -> its value

_RANGE = re.compile(r"(?:(log|lin|int):)?([^:]+?)\.\.([^:\s]+?)(?:\s*[x×]\s*(\d+))?(?:\s+(log|lin|int))?(?:\s*[x×]\s*(\d+))?")
_MOST_VALUES = 10_000  # that a range is spread over
_DIGITS = 4  # of a number that is drawn, so that it can be read and typed again


@dataclass(frozen=True)
class Axis:
    """One setting: `values` to try or, where these are empty, a range from `low` to `high`, both included.

    Args:
        key: as `--set` has it.
        log: draw the logarithm evenly instead of the number.
        whole: whole numbers alone.
    """

    key: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    @property
    def count(self) -> int | None:
        """How many values there are; None for a range of numbers that need not be whole."""
        if self.values:
            return len(self.values)
        return int(self.high - self.low) + 1 if self.whole else None

    @property
    def listed(self) -> Sequence[Any] | None:
        """The values that a grid tries: those typed, or every whole number of an even range; None for another range."""
        if self.values:
            return self.values
        return range(int(self.low), int(self.high) + 1) if self.whole and not self.log else None

    def draw(self, chance: random.Random) -> Any:
        """A value; all are equally likely, or their logarithms are."""
        share = chance.random()
        if self.values:
            return self.values[int(share * len(self.values))]
        high = self.high + 1 if self.whole else self.high
        if self.log:
            value = math.exp(math.log(self.low) + share * (math.log(high) - math.log(self.low)))
        else:
            value = self.low + share * (high - self.low)
        return self.sound(math.floor(value) if self.whole else value)

    def spread(self, number: int) -> list[Any]:
        """So many numbers of a range at equal distances, or their logarithms are; both ends are among them."""
        shares = [place / (number - 1) for place in range(number)]
        if self.log:
            found = [math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low))) for share in shares]
        else:
            found = [self.low + share * (self.high - self.low) for share in shares]
        inner = [self.sound(round(value) if self.whole else value) for value in found[1:-1]]
        return [self.low, *inner, self.high]

    def sound(self, value: Any) -> Any:
        """A number of the range as it is kept: whole, or with four digits, and never past an end."""
        if self.values:
            return value
        value = int(value) if self.whole else float(f"{value:.{_DIGITS}g}")
        return min(max(value, self.low), self.high)

    def text(self) -> str:
        """The values as they are typed: `1e-05,0.001` or `log:1e-05..0.01`."""
        if self.values:
            return ",".join(map(written, self.values))
        scale = "log:" if self.log else "int:" if self.whole else ""
        return f"{scale}{written(self.low)}..{written(self.high)}"

    def document(self) -> dict[str, Any]:
        """JSON-ready; `axis_of` gives an equal axis back."""
        if self.values:
            return {"key": self.key, "values": list(self.values)}
        return {"key": self.key, "low": self.low, "high": self.high, "log": self.log, "whole": self.whole}


def axis_of(document: Mapping[str, Any]) -> Axis:
    """The axis of a document that `Axis.document` wrote; TypeError or KeyError for another."""
    return Axis(**{**document, "key": str(document["key"]), "values": tuple(document.get("values", ()))})


def parse_axis(graph: Graph, text: str) -> Axis:
    """`training.lr=1e-4,3e-4`, `training.lr=log:1e-5..1e-2`, `model.nhead=int:1..8`, `training.optimizer=choice:Adam,SGD`.

    `log:1e-5..1e-2 x4` are four values of the range, its ends among them; `1e-5..1e-2 x4 log` is the same.

    Raises:
        SettingError: the graph has no such setting, or it cannot have one of these values.
    """
    key, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not values:
        raise SettingError("expected KEY=VALUE,VALUE,…, KEY=log:LOW..HIGH or KEY=log:LOW..HIGH x5")
    param = param_of(graph, key)
    found = _RANGE.fullmatch(values)
    if found and isinstance(param, (Int, Float)):
        return _range(key, param, found)
    scale = values.partition(":")[0]
    if scale in ("log", "lin", "int") and isinstance(param, (Int, Float)):
        raise SettingError(f"{key}: {values!r} is not a range, expected {scale}:LOW..HIGH")
    kept: list[Any] = []
    for part in values.removeprefix("choice:").split(","):
        try:
            value = param.parse(part)
        except ValueError as error:
            raise SettingError(f"{key}: {error}") from None
        if value in kept:
            raise SettingError(f"{key}: {written(value)} stands twice")
        kept.append(value)
    return Axis(key, tuple(kept))


def _range(key: str, param: Param, found: re.Match[str]) -> Axis:
    before, *ends, first, after, second = found.groups()
    if (before and after) or (first and second):
        raise SettingError(f"{key}: {found[0]!r} says something twice, expected {before or 'log'}:LOW..HIGH x5")
    scale, number = before or after, first or second
    try:
        low, high = (param.parse(end) for end in ends)
    except ValueError as error:
        raise SettingError(f"{key}: {error}") from None
    if isinstance(low, str) or isinstance(high, str):
        raise SettingError(f"{key}: a range goes from a number to a number")
    if low >= high:
        raise SettingError(f"{key}: the range {ends[0]}..{ends[1]} does not go from low to high")
    if scale == "log" and low <= 0:
        raise SettingError(f"{key}: a log range begins above 0, not at {ends[0]}")
    whole = isinstance(param, Int) or scale == "int"
    if whole and (low != int(low) or high != int(high)):
        raise SettingError(f"{key}: an int range goes from a whole number to a whole number")
    axis = Axis(key, (), int(low) if whole else low, int(high) if whole else high, scale == "log", whole)
    return axis if number is None else Axis(key, tuple(_spread(axis, int(number))))


def _spread(axis: Axis, number: int) -> list[Any]:
    """The values of a range that says how many; SettingError where they would not all be different."""
    if not 2 <= number <= _MOST_VALUES:
        raise SettingError(f"{axis.key}: x{number}: a range is spread over 2 to {_MOST_VALUES:,} values")
    if axis.whole and number > axis.count:
        raise SettingError(f"{axis.key}: x{number}: there are {axis.count:,} whole numbers in {axis.text()}")
    values = axis.spread(number)
    different = list(dict.fromkeys(values))
    if len(different) < number:
        few = ",".join(map(written, different[:20])) + (",…" if len(different) > 20 else "")
        kind = "whole numbers" if axis.whole else "numbers of four digits"
        raise SettingError(f"{axis.key}: x{number} gives {len(different):,} different {kind} alone; as a list they are {few}")
    return values


def written(value: Any) -> str:
    """A value as it is typed after `KEY=`."""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if _short(value) else str(value)


def _short(value: Any) -> bool:
    return isinstance(value, float) and float(f"{value:g}") == value


def with_values(graph: Graph, values: Mapping[str, Any]) -> Graph:
    """The graph with these settings, made in their order; SettingError says which cannot be."""
    for key, value in values.items():
        try:
            graph = apply_setting(graph, f"{key}={written(value)}")
        except SettingError as error:
            raise SettingError(f"{key}: {error}" if not str(error).startswith(key) else str(error)) from None
    return graph


def combinations(axes: Sequence[Axis]) -> int | None:
    """How many combinations the space has; None where a range has no end of values."""
    counts = [axis.count for axis in axes]
    return None if None in counts else math.prod(counts)


def grid(axes: Sequence[Axis]) -> Iterator[Values]:
    """Every combination once; the last setting changes first."""
    for values in itertools.product(*(axis.listed or () for axis in axes)):
        yield {axis.key: value for axis, value in zip(axes, values, strict=True)}


def draws(axes: Sequence[Axis], seed: int) -> Iterator[Values]:
    """Combinations drawn at random without end, the same for the same seed."""
    chance = random.Random(seed)
    while True:
        yield {axis.key: axis.draw(chance) for axis in axes}


def shown(values: Mapping[str, Any]) -> str:
    """A combination in words: `training.lr=0.001, model.nhead=2`."""
    return ", ".join(f"{key}={written(value)}" for key, value in values.items())
