"""What is folded away on the Train page; drawn only while it is open, since drawing takes processor time from training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from cortex.runs import Run
from ui import charts, reading, run_files, run_parts
from ui.curve import Curve
from ui.plot import show_chart
from ui.theme import theme


def details(run: Run, row: dict[str, Any], curve: Curve) -> None:
    """Each part under its name, closed at first."""
    parts: dict[str, Callable[[], None]] = {
        "Learning rate, gradient norm, throughput": lambda: _other_curves(curve),
        "Samples along the way": lambda: run_parts.samples(reading.columns(run).others, 5),
        "Checkpoints": lambda: run_files.checkpoints(run, row["state"], "train"),
        "Log": lambda: run_parts.log(run),
        "The command, and what this run was started with": lambda: _started_with(run, row),
    }
    for name, draw in parts.items():
        part = st.expander(name, on_change="rerun", key=f"train.open.{name}")
        if part.open:
            with part:
                draw()


def _other_curves(curve: Curve) -> None:
    for column, metric in zip(st.columns(3), ("lr", "grad_norm", "tokens_per_second"), strict=True):
        chart = charts.figure([curve], metric, "step", theme(), height=260)
        chart.update_layout(showlegend=False)
        with column:
            show_chart(chart, key=f"train.{metric}")


def _started_with(run: Run, row: dict[str, Any]) -> None:
    run_parts.commands(run)
    run_parts.bits_line(row)
    run_parts.record(run)
