"""What is folded away on the Train page; drawn only while it is open, since drawing takes processor time from training."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import streamlit as st

from cortex import units
from cortex.runs import Run
from ui import charts, reading, start
from ui.plot import show_chart
from ui.theme import theme


def details(run: Run, row: dict[str, Any], curve: charts.Curve) -> None:
    """Each part under its name, closed at first."""
    parts: dict[str, Callable[[], None]] = {
        "Learning rate, gradient norm, throughput": lambda: _other_curves(curve),
        "Samples along the way": lambda: _samples(run),
        "Checkpoints": lambda: _checkpoints(run, row),
        "Log": lambda: _log(run),
        "The command, and what this run was started with": lambda: _started_with(run, row),
    }
    for name, draw in parts.items():
        part = st.expander(name, on_change="rerun", key=f"train.open.{name}")
        if part.open:
            with part:
                draw()


def _other_curves(curve: charts.Curve) -> None:
    for column, metric in zip(st.columns(3), ("lr", "grad_norm", "tokens_per_second"), strict=True):
        chart = charts.figure([curve], metric, "step", theme(), height=260)
        chart.update_layout(showlegend=False)
        with column:
            show_chart(chart, key=f"train.{metric}")


def _samples(run: Run) -> None:
    samples = [event for event in reading.read_events(run) if event["event"] == "sample"]
    if not samples:
        st.caption("None yet; the model writes some words at each validation, unless sample_tokens is 0.")
    for event in samples[:-6:-1]:
        st.caption(f"step {event.get('step', 0):,}")
        st.code(f"{event.get('prompt') or ''}{event.get('text') or ''}", language=None, wrap_lines=True)


def _checkpoints(run: Run, row: dict[str, Any]) -> None:
    from cortex.checkpoints import saved_step

    kept = run.kept()
    if not kept:
        st.caption("None yet; the first comes with the first validation.")
    for name in kept:
        path = run.checkpoint(name)
        left, right = st.columns([3, 1], vertical_alignment="center")
        left.markdown(f"**{name}** · step {saved_step(path) or 0:,} · {units.size(path.stat().st_size)}")
        right.download_button(
            "Download", lambda path=path: path.read_bytes(), f"{run.id}-{name}.safetensors", key=f"checkpoint.{name}",
            on_click="ignore", width="stretch",
        )  # fmt: skip
    if row["state"] == "running":
        st.button("Save now", key="train.save", on_click=run.request, args=("save",), disabled=run.requested("save"))


def _log(run: Run) -> None:
    st.code(run.log_tail() or "nothing written yet", language=None)


def _started_with(run: Run, row: dict[str, Any]) -> None:
    st.code(shlex.join(["python", *start.train_command(run)[1:]]), language="bash")
    st.caption("To train the same again:")
    st.code(start.repeat_command(run), language="bash")
    if row["bits_per_byte"] is not None:
        st.write(f"Best validation: {row['bits_per_byte']:.3f} bits per byte")
    elif row["why_not_bits"]:
        st.write(f"Bits per byte: {units.UNKNOWN} ({row['why_not_bits']})")
    if row["state"] != "damaged":
        st.json(run.record(), expanded=1)
