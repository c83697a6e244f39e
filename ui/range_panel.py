"""The learning-rate range test on the Train page: a short training in a process of its own, its curve and what it suggests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from cortex.graph import Graph, to_json
from cortex.lr_range import STEPS
from cortex.metrics import EventReader
from cortex.places import Places, write_atomically
from ui import jobs, notices, session
from ui.plain import plain
from ui.plot import show_chart
from ui.strokes import frame_layout
from ui.theme import PALETTE, theme


def range_panel(graph: Graph, where: Places) -> None:
    """A button that starts the test, and what came of the last one of this graph."""
    st.caption(
        f"Trains the graph for at most {STEPS} steps while the learning rate grows from 1e-6 to 1, and shows where the loss "
        "falls. Nothing is saved; the graph stays as it is."
    )
    path = _path(graph, where)
    job = st.session_state.get(session.RANGE, {})
    going = job.get("path") == str(path) and jobs.is_alive(job)
    st.button(
        "Testing …" if going else "Find a learning rate", key="range.start", disabled=going, icon=":material/search:",
        on_click=_start, args=(graph, where),
    )  # fmt: skip
    if going or path.exists():
        st.fragment(_show, run_every=1.0 if going else None)(path, going)


def _path(graph: Graph, where: Places) -> Path:
    """Where the test of this graph is kept: by its content, its layout and name left out."""
    document = {key: value for key, value in json.loads(to_json(graph)).items() if key not in ("layout", "name")}
    return where.jobs / f"range-{hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]}.jsonl"


def _start(graph: Graph, where: Places) -> None:
    where.jobs.mkdir(parents=True, exist_ok=True)
    path = _path(graph, where)
    document = path.with_suffix(".json")
    write_atomically(document, to_json(graph), durable=False)
    path.unlink(missing_ok=True)
    st.session_state[session.RANGE] = jobs.begin(["lr-range", str(document), "--json"], path.with_suffix(".log"), output=path)


def _show(path: Path, going: bool) -> None:
    job = st.session_state.get(session.RANGE, {})
    if going and not jobs.is_alive(job):
        st.rerun()
    events = EventReader(path).read()
    points = [event for event in events if event["event"] == "point"]
    if not points:
        if going:
            st.status("Loading torch and the text", state="running")
        else:
            st.error(plain(jobs.last_line(path.with_suffix(".log")) or "The test ended without a word."))
        return
    show_chart(_chart(points), key="train.range")
    found = next((event for event in events if event["event"] == "suggestion"), None)
    if found is None:
        st.caption(f"step {points[-1]['step']} of at most {STEPS}")
    elif found["lr"] is None:
        st.warning("The loss never fell; no rate can be suggested.")
    else:
        lr = float(f"{found['lr']:.1e}")
        st.write(f"Suggested: **{lr:g}**, a tenth of the rate at which the smoothed loss was lowest.")
        st.button(f"Set lr to {lr:g}", key="range.use", on_click=_use, args=(lr,))


def _use(lr: float) -> None:
    session.edit(lambda graph: graph.with_training("lr", lr))
    notices.notify(f"The learning rate of the graph is {lr:g} now.", done=True)


def _chart(points: list[dict[str, Any]]) -> go.Figure:
    look, chart = theme(), go.Figure()
    rates = [point["lr"] for point in points]
    for name, width, opacity in (("loss", 1.4, 0.6), ("smoothed", 3.0, 1.0)):
        chart.add_scatter(
            x=rates, y=[point[name] for point in points], name=name, mode="lines", opacity=opacity,
            line=dict(color=PALETTE[0], width=width), hovertemplate="%{y:.3f}",
        )  # fmt: skip
    frame_layout(chart, look, "Loss while the learning rate grows", 300)
    grid = dict(gridcolor=look.line, zeroline=False, automargin=True, linecolor=look.line)
    chart.update_xaxes(title="learning rate", type="log", **grid, showgrid=False, exponentformat="power", dtick=1)
    chart.update_yaxes(title="nats per token", **grid)
    return chart
