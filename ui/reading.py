"""Runs as pages read them: each file only as far as it has grown, so that watching costs the same all the time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from cortex import units
from cortex.comparable import names
from cortex.curves import Columns, CurveReader
from cortex.metrics import Progress
from cortex.run_columns import COLUMNS
from cortex.run_summary import summary
from cortex.runs import ACTIVE, Run, RunError
from ui.curve import Curve

__all__ = ["best_of", "columns", "curve", "curves", "flops_of", "levels", "names", "read_summary", "speed_of"]


def columns(run: Run) -> Columns:
    """The run's points, and its other events."""
    lock, reader = _curve_reader(str(run.path))
    with lock:
        return reader.read()


def read_summary(run: Run) -> dict[str, Any]:
    """The run's row: state and progress as they are now."""
    lock, progress = _progress(str(run.path))
    with lock:
        found = progress.read()
    return summary(run, found)


def best_of(row: dict[str, Any]) -> tuple[str, str]:
    """What says most of a run's best validation, and its value: its perplexity, else its main metric."""
    if row["has_perplexity"] is not False:
        return "perplexity", units.perplexity(row["best_perplexity"])
    return row["metric"] if row["metric"][1:2].isdigit() else row["metric"].lower(), units.share(row["best_metric"])


def speed_of(row: dict[str, Any]) -> tuple[str, str, str]:
    """The speed of a run with its name before it and behind it what it is of: the last point while it goes on, else the whole
    run. The names and explanations are those of the table's columns."""
    key = "tokens_per_second" if row["state"] in ACTIVE else "mean_tokens_per_second"
    column, value = COLUMNS[key], row[key]
    return column.title.capitalize(), f"{value:,.0f}" if value else units.UNKNOWN, column.help or ""


def colours(root: Path) -> dict[str, int]:
    """The number of each run in the palette: its place among all runs, oldest first, so it stays when others are toggled."""
    from cortex import comparison  # loads torch

    return comparison.colour_places(root)


def curve(run: Run, root: Path, name: str) -> Curve:
    """The run for a chart."""
    return curves([run], root, {run.id: name})[0]


def curves(runs: Iterable[Run], root: Path, names: dict[str, str], *, flops: bool = False) -> list[Curve]:
    """The runs for a chart, in this order.

    Args:
        flops: they are drawn over FLOPs, so those of a token are needed too.
    """
    numbers = colours(root)
    return [
        Curve(run.id, names[run.id], numbers.get(run.id, 0), columns(run), flops_of(run) if flops else None)
        for run in runs  # one can be deleted while it is watched, and has no number then
    ]


def flops_of(run: Run, row: Mapping[str, Any] | None = None) -> float | None:
    """FLOPs of training this run on one token; None where they cannot be told.

    Args:
        row: its summary, where the caller has it: what its data is like then need not be read from its events.
    """
    try:
        found = os.stat(run.path / "run.json")
    except OSError:
        return None
    known = row if row and row["vocabulary"] else columns(run).start
    sizes = (size if type(size := known.get(name)) is int and size > 0 else None for name in ("vocabulary", "labels"))
    mark = found.st_ino, found.st_size, found.st_mtime_ns
    return _flops(str(run.path), mark, *sizes)


def levels(runs: list[Run], store: Path) -> dict[str, float]:
    """The reference perplexities of the data that these runs share; none where they differ in it, or it is not measured."""
    from cortex import comparison  # loads torch

    return comparison.levels(runs, store)


@st.cache_resource(max_entries=512, show_spinner=False)  # 10,000 points take less than a megabyte
def _curve_reader(path: str) -> tuple[threading.Lock, CurveReader]:
    return threading.Lock(), CurveReader(Path(path) / "metrics.jsonl")


@st.cache_data(max_entries=4096, show_spinner=False)
def _flops(path: str, mark: tuple[int, ...], vocabulary: int | None, labels: int | None) -> float | None:
    from cortex.flops import flops_per_token  # loads torch, which a page that only lists runs does without

    try:
        return flops_per_token(Run(Path(path)).graph(), vocabulary, labels)
    except RunError:
        return None


@st.cache_resource(max_entries=4096, show_spinner=False)
def _progress(path: str) -> tuple[threading.Lock, Progress]:
    return threading.Lock(), Progress(Path(path) / "metrics.jsonl")
