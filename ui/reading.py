"""Runs as pages read them: each file only as far as it has grown, so that watching costs the same all the time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import streamlit as st

from cortex import units
from cortex.metrics import EventReader, Progress
from cortex.references import NAMES, known_references
from cortex.runs import Run, RunError, list_runs, summary
from ui.charts import Curve


def read_events(run: Run) -> list[dict[str, Any]]:
    """The run's events; not to be changed, other sessions share them."""
    lock, reader = _reader(str(run.path))
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


def curve(run: Run, root: Path, name: str) -> Curve:
    """The run for a chart. Its colour is its place among all runs, oldest first, so it stays when others are toggled."""
    oldest_first = sorted(other.id for other in list_runs(root))
    colour = oldest_first.index(run.id) if run.id in oldest_first else 0  # a run can be deleted while it is watched
    return Curve(run.id, name, colour, read_events(run))


def levels(runs: list[Run], store: Path) -> dict[str, float]:
    """The reference perplexities of the data that these runs share; none where they differ in it, or it is not measured."""
    try:
        data = {run.record()["data"].get("fingerprint") for run in runs}
    except RunError:
        return {}
    shared = data.pop() if len(data) == 1 else None
    plain_name = isinstance(shared, str) and shared.isalnum()
    found = known_references(store / shared) if plain_name else None
    return {name: getattr(found, name) for name in NAMES} if found else {}


def names(rows: dict[str, dict[str, Any]]) -> dict[str, str]:
    """A name for each run that no other of them has: its own; with its time, else its folder's, where two are alike."""
    given = [row["name"] for row in rows.values()]
    timed = {run: row["name"] if given.count(row["name"]) == 1 else f"{row['name']} {run[9:15]}" for run, row in rows.items()}
    return {run: name if list(timed.values()).count(name) == 1 else run for run, name in timed.items()}


@st.cache_resource(max_entries=24, show_spinner=False)  # the runs whose curves are looked at; their events take memory
def _reader(path: str) -> tuple[threading.Lock, EventReader]:
    return threading.Lock(), EventReader(Path(path) / "metrics.jsonl")


@st.cache_resource(max_entries=4096, show_spinner=False)
def _progress(path: str) -> tuple[threading.Lock, Progress]:
    return threading.Lock(), Progress(Path(path) / "metrics.jsonl")
