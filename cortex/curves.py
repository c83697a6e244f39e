"""A run's events as columns of numbers, read only as far as metrics.jsonl has grown, and the axes they are drawn over."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cortex.measured import RATES
from cortex.metrics import Event, event_of
from cortex.tail import Tail

KINDS = ("train", "validation")
AXES = ("step", "tokens", "epoch", "elapsed", "time", "flops")

# What says where a point lies, and not what was measured there.
_PLACES = ("event", "step", "tokens", "epoch", "elapsed", "time", "best")
_MOST_COLUMNS = 400  # of a kind; a foreign file could have a new name in every line
_DEEPEST = 4
_TRAIN = b'{"event": "train", '  # as the worker writes them
_MANY = 200

Column = np.ndarray


@dataclass(frozen=True)
class Columns:
    """All points of a run. `train` and `validation` map names to (N,) arrays of float64 in the order of `step`, which rises;
    NaN where an event does not have the number. Values in nested objects are `losses.ID`, `metrics.ID.accuracy`.

    `others` are the events that are no points (start, sample, resumed, end …) as they came. Not to be changed: it is shared.
    `memo` is for whoever draws them: what was computed of these very points, so that it need not be again.
    """

    train: Mapping[str, Column] = field(default_factory=dict)
    validation: Mapping[str, Column] = field(default_factory=dict)
    others: tuple[Event, ...] = ()
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def of(self, kind: str) -> Mapping[str, Column]:
        """The columns of `train` or `validation`."""
        return self.train if kind == "train" else self.validation

    def points(self, kind: str) -> int:
        """How many points of that kind there are."""
        return len(self.of(kind).get("step", ()))

    @property
    def start(self) -> Event:
        """What the run said when it started; empty before."""
        return next((event for event in self.others if event["event"] == "start"), {})

    def metrics(self) -> list[str]:
        """Names of what was measured, in training or validation, in the order in which they came."""
        found = dict.fromkeys(name for kind in KINDS for name in self.of(kind) if name not in _PLACES)
        return [name for name in found if any(np.isfinite(self.of(kind).get(name, np.nan)).any() for kind in KINDS)]


class CurveReader:
    """The columns of a run's metrics.jsonl; of steps that come twice the later one counts."""

    def __init__(self, path: Path) -> None:
        self._tail = Tail(path)
        self._found = Columns()

    def read(self) -> Columns:
        """All there is by now; the same object where nothing has come."""
        again, chunks = self._tail.read()
        if again:
            self._found = Columns()
        for lines in chunks:
            many = [line for line in lines if line.startswith(_TRAIN)] if len(lines) >= _MANY else []
            quick = _parsed(many) if many and not any(b'"resumed"' in line for line in lines) else None
            rest = lines if quick is None else (line for line in lines if not line.startswith(_TRAIN))
            events = [event for line in rest if (event := event_of(line))]
            if quick is not None:
                self._found = replace(self._found, train=_with(self._found.train, quick), memo={})
            if events:
                self._found = _extended(self._found, events)
        return self._found


def columns_of(events: list[Event]) -> Columns:
    """The columns of events that have been read already."""
    return _extended(Columns(), events)


def values(columns: Columns, kind: str, metric: str) -> Column:
    """(N,) values of a metric at every point of that kind; NaN where there is none.

    `perplexity` is exp(loss). `word_perplexity` and `bits_per_byte` share the loss of the whole validation text out among its
    words or bytes, so training points have none: exp(loss × tokens / words) and loss × tokens / (ln 2 × bytes). `accuracy`,
    `f1` and `exact` are of the main loss; `NAME.loss` and `NAME.accuracy` of a further one.
    """
    known, start = columns.of(kind), columns.start
    missing = np.full(columns.points(kind), np.nan)
    if metric == "perplexity" and start.get("perplexity") is False:  # exp of this loss is none
        return missing
    if metric == "perplexity":
        return as_perplexity(known.get("loss", missing))
    if metric in ("word_perplexity", "bits_per_byte"):
        units = start.get("validation_words" if metric == "word_perplexity" else "validation_bytes")
        tokens = start.get("validation_tokens")
        if kind == "train" or not _positive(units) or not _positive(tokens):
            return missing
        loss = known.get("loss", missing) * tokens / units
        return as_perplexity(loss) if metric == "word_perplexity" else loss / math.log(2)
    if metric in known:
        return known[metric]
    name, _, key = metric.rpartition(".")
    if key in RATES:
        return known.get(f"metrics.{name or next(iter(losses_of(columns)), '')}.{key}", missing)
    return known.get(f"losses.{name}", missing) if key == "loss" else missing


def losses_of(columns: Columns) -> Mapping[str, Mapping[str, Any]]:
    """The losses by name, the main one first, with `unit`, `target`, `metrics` and the `main` one of these; empty for a run
    of a text's next tokens from before there were several."""
    losses = columns.start.get("losses")
    return {name: loss for name, loss in losses.items() if isinstance(loss, dict)} if isinstance(losses, dict) else {}


def as_perplexity(loss: Column) -> Column:
    """exp(loss), infinite past what a float holds."""
    with np.errstate(over="ignore"):
        return np.exp(loss)


def along(columns: Columns, kind: str, axis: str, flops_per_token: float | None = None) -> Column:
    """(N,) places of the points of that kind on an axis; NaN where that is not known.

    `step`, `tokens` (seen in training), `epoch` (step / steps of an epoch), `elapsed` (seconds of the run; interruptions are
    not counted), `time` (seconds since 1970), `flops` (tokens × `flops_per_token`, see cortex/flops.py).
    """
    known = columns.of(kind)
    missing = np.full(columns.points(kind), np.nan)
    if axis == "flops":
        return known.get("tokens", missing) * (np.nan if flops_per_token is None else flops_per_token)
    if axis == "epoch" and _positive(columns.start.get("steps_per_epoch")):
        return known.get("step", missing) / columns.start["steps_per_epoch"]
    return known.get(axis, missing)


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 < value < math.inf


def _extended(found: Columns, events: list[Event]) -> Columns:
    tables = {kind: dict(found.of(kind)) for kind in KINDS}
    rows: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    others = list(found.others)
    for event in events:
        kind = event["event"]
        if kind not in KINDS:
            others.append(event)
            if kind == "resumed" and _is_number(event.get("step")):  # what it had done past there is done anew
                for name in KINDS:
                    tables[name], rows[name] = _until(_joined(tables[name], rows[name]), event["step"]), []
            continue
        row = dict(_numbers(event))
        if "step" in row:
            rows[kind].append(row)
    return Columns(*(_joined(tables[kind], rows[kind]) for kind in KINDS), tuple(others))


def _numbers(event: Mapping[str, Any], before: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    for name, value in event.items():
        if _is_number(value):
            yield f"{before}{name}", float(value)
        elif isinstance(value, dict) and depth < _DEEPEST:
            yield from _numbers(value, f"{before}{name}.", depth + 1)


def _is_number(value: Any) -> bool:
    """Whether this is a finite number that a float can hold; true and false are none."""
    return math.isfinite(value) if type(value) is float else type(value) is int and abs(value) < 2**63


def _parsed(lines: list[bytes]) -> dict[str, Column] | None:
    """The columns of many lines as the worker writes them, in a tenth of the time that they take one by one; None where one of
    them is damaged or holds something else, which is then looked at line by line."""
    import pyarrow as pa
    from pyarrow import json

    text = b"\n".join(lines)
    whole = json.ReadOptions(use_threads=False, block_size=len(text) + 1)  # types are told from all of it
    try:
        table = json.read_json(io.BytesIO(text), whole)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            if column.null_count:
                return None
            columns[name] = column.to_numpy().astype(float)
        elif name != "event":
            return None
    sound = len(table) == len(lines) and columns.keys() >= {"step", "tokens", "loss", "elapsed"}
    return columns if sound and all(np.isfinite(column).all() for column in columns.values()) else None


def _joined(table: Mapping[str, Column], rows: list[dict[str, float]]) -> Mapping[str, Column]:
    """The table with the rows added."""
    if not rows:
        return table
    names = list(dict.fromkeys(name for row in rows for name in row))[:_MOST_COLUMNS]
    return _with(table, {name: np.array([row.get(name, math.nan) for row in rows]) for name in names})


def _with(table: Mapping[str, Column], new: Mapping[str, Column]) -> Mapping[str, Column]:
    """The table with new columns below its own: in the order of steps, each step once, the later of equals."""
    before, added = len(table.get("step", ())), len(new["step"])
    joined = {}
    for name in list(dict.fromkeys([*table, *new]))[:_MOST_COLUMNS]:
        parts = [table.get(name, np.full(before, np.nan)), new.get(name, np.full(added, np.nan))]
        joined[name] = np.concatenate(parts)
    steps = joined["step"]
    if (np.diff(steps[max(0, before - 1) :]) > 0).all():
        return joined
    order = np.argsort(steps, kind="stable")
    last = np.append(np.diff(steps[order]) > 0, True)
    return {name: column[order[last]] for name, column in joined.items()}


def _until(table: Mapping[str, Column], step: float) -> Mapping[str, Column]:
    kept = table["step"] <= step if table else None
    return {name: column[kept] for name, column in table.items()}
