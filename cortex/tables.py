"""The metrics of runs as one tidy table: a row a point, as CSV or parquet, with the values of metrics.jsonl unchanged."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex.runs import Run

if TYPE_CHECKING:
    import pyarrow

POINTS = ("train", "validation")
PLACES = ("run", "event", "step", "epoch", "tokens", "elapsed", "time")
SUFFIXES = (".csv", ".parquet")

_WHOLE = ("step", "tokens")
_LARGEST = 2**63 - 1
_DEEPEST = 4


def metrics_table(runs: Iterable[Run]) -> dict[str, list[Any]]:
    """Columns by name: PLACES first, then every metric that any of the runs has logged, in the order they are met.

    A value is as metrics.jsonl has it, None where an event does not have it or has something other than a number there
    (true and false for `best`). A number in a nested object is named `losses.ID`, as charts name it. `epoch` stands with
    training points alone, since validation events have none.
    """
    columns: dict[str, list[Any]] = {name: [] for name in PLACES}
    rows = 0
    for run in runs:
        for event in run.events():
            if event["event"] not in POINTS:
                continue
            found = {"run": run.id, **dict(told(event))}
            for name in found:
                columns.setdefault(name, [None] * rows)
            for name, values in columns.items():
                values.append(found.get(name))
            rows += 1
    return columns


def to_csv(columns: Mapping[str, Sequence[Any]]) -> str:
    """The table with one line of names; an empty cell for None, and numbers with all their digits."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return out.getvalue()


def to_parquet(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """The table as a parquet file: text, 64-bit whole numbers for steps and tokens, true and false, and doubles."""
    import pyarrow
    import pyarrow.parquet

    arrays = {name: pyarrow.array(*_typed(name, values)) for name, values in columns.items()}
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(arrays), out)
    return out.getvalue()


def to_file(runs: Iterable[Run], suffix: str) -> bytes:
    """The table of these runs as the content of a file that ends in `.csv` or `.parquet`."""
    columns = metrics_table(runs)
    return to_parquet(columns) if suffix == ".parquet" else to_csv(columns).encode()


def is_table(path: Path) -> bool:
    """Whether a file of this name is one of the two."""
    return path.suffix.lower() in SUFFIXES


def told(event: Mapping[str, Any], before: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Names and values of what an event says in numbers, its kind, and whether it is the best."""
    for key, value in event.items():
        kind = not before and ((key == "event" and isinstance(value, str)) or (key == "best" and isinstance(value, bool)))
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind or (number and before + key not in ("run", "event", "best")):
            yield before + key, value
        elif isinstance(value, dict) and depth < _DEEPEST:
            yield from told(value, f"{before}{key}.", depth + 1)


def _typed(name: str, values: Sequence[Any]) -> tuple[list[Any], pyarrow.DataType]:
    """The values of a column and the type that holds all of them."""
    import pyarrow

    if name in ("run", "event"):
        return list(values), pyarrow.string()
    if name == "best":
        return list(values), pyarrow.bool_()
    if name in _WHOLE and all(value is None or (type(value) is int and abs(value) <= _LARGEST) for value in values):
        return list(values), pyarrow.int64()
    return [None if value is None else as_double(value) for value in values], pyarrow.float64()


def as_double(value: float) -> float:
    """The number as a float, infinite where it is too large for one."""
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return float("inf") if value > 0 else float("-inf")
