"""Runs as pages read them, cached by what their files look like, so that a page over many runs stays quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from cortex.runs import Run, list_runs, summary
from ui.charts import Curve


def read_events(run: Run) -> list[dict[str, Any]]:
    """The run's events."""
    return _events(str(run.path), *_stamp(run.path / "metrics.jsonl"))


def read_summary(run: Run) -> dict[str, Any]:
    """The run's row: state and progress as they are now."""
    state = run.state()
    row = dict(_summary(str(run.path), state, *_stamp(run.path / "metrics.jsonl"), *_stamp(run.path / "run.json")))
    return row | {"state": row["state"] if row["state"] == "damaged" else state}


def curve(run: Run, root: Path, name: str) -> Curve:
    """The run for a chart. Its colour is its place among all runs, oldest first, so it stays when others are toggled."""
    oldest_first = sorted(other.id for other in list_runs(root))
    return Curve(run.id, name, oldest_first.index(run.id), read_events(run))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


@st.cache_data(max_entries=256, show_spinner=False)
def _events(path: str, *stamp: int) -> list[dict[str, Any]]:
    return Run(Path(path)).events()


@st.cache_data(max_entries=1024, show_spinner=False)
def _summary(path: str, state: str, *stamp: int) -> dict[str, Any]:
    return summary(Run(Path(path)))
