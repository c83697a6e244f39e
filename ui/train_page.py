"""The Train page: one run as it goes, found again after a reload; the start of a new one."""

from __future__ import annotations

import shlex
from typing import Any

import streamlit as st

from cortex import units
from cortex.data import source_node
from cortex.runs import ACTIVE, Run, list_runs, summary_name
from ui import charts, page, reading, session, start
from ui.plain import plain
from ui.plot import show_chart
from ui.theme import theme

_POLL_SECONDS = 1.0
_CHOICE = "train.choice"


def show() -> None:
    """Draw the page."""
    where = session.where()
    runs = {run.id: run for run in list_runs(where.runs)}
    page.begin("Train")
    session.show_notice()
    shown = _chosen(runs)
    left, right = st.columns([3, 2])
    if runs:
        with left:
            if st.session_state.get(_CHOICE) != shown:
                st.session_state[_CHOICE] = shown
            st.selectbox("Run", list(runs), key=_CHOICE, format_func=lambda name: _label(runs[name]), on_change=_choose)
    with right:
        _new_run()
    if not runs:
        st.info("No run yet. Open a preset on the Build page and press Train.", icon=":material/account_tree:")
        if st.button("Go to Build", type="primary"):
            st.switch_page("pages/build.py")
        return
    session.keep_in_url(run=shown)
    run = runs[shown]
    state = reading.read_summary(run)["state"]
    st.fragment(_live, run_every=_POLL_SECONDS if state in ACTIVE else None)(run, state)


def _chosen(runs: dict[str, Run]) -> str | None:
    """The run of the URL, else of the session, else one that is going on, else the newest."""
    asked = st.query_params.get("run")
    for name in (asked, st.session_state.get(session.RUN)):
        if name in runs:
            if asked and asked != name:
                _gone(asked)
            st.session_state[session.RUN] = name
            return name
    if asked:
        _gone(asked)
    active = [name for name, run in runs.items() if run.state() in ACTIVE]
    return next(iter(active or runs), None)


def _gone(name: str) -> None:
    st.warning(plain(f"There is no run {name} any more; another one is shown."), icon=":material/info:")
    st.query_params.pop("run", None)


def _choose() -> None:
    st.session_state[session.RUN] = st.session_state[_CHOICE]
    st.query_params["run"] = st.session_state[_CHOICE]


def _label(run: Run) -> str:
    return f"{summary_name(run)} · {run.id[:15]}"


def _new_run() -> None:
    graph = session.graph()
    if graph is None:
        return
    where = session.where()
    planned, prepared = start.look(graph, where)
    node = source_node(graph)
    if planned.issues:
        st.warning(plain(f"{graph.name} has a fault: {planned.issues[0]}"), icon=":material/error:")
    elif prepared is None:
        start.prepare_data(graph, where)
    else:
        if st.button(
            plain(f"Train {graph.name} on {node.kind}"), type="primary", width="stretch", icon=":material/play_arrow:"
        ):
            run = start.start_run(graph, prepared, where)
            st.session_state[session.RUN] = run.id
            st.query_params["run"] = run.id
            st.rerun()
        st.caption(start.cost(graph, prepared, planned.total, where))


def _live(run: Run, state_before: str) -> None:
    """What changes while the run goes on."""
    row = reading.read_summary(run)
    if row["state"] != state_before:
        st.rerun()
    _header(run, row)
    _progress(run, row)
    curve = reading.curve(run, run.path.parent, row["name"])
    left, right = st.columns(2)
    look = theme()
    if not curve.empty:
        for column, metric in ((left, "loss"), (right, "perplexity")):
            chart = charts.figure([curve], metric, "step", look)
            with column:
                show_chart(chart, key=f"train.{metric}")
        thinned = f" One of every {curve.every} training points is drawn." if curve.every > 1 else ""
        st.caption(
            "Thin: training, each point the mean since the last one, with dropout. Bold: the whole validation split, without."
            + thinned
        )
    elif row["state"] in ACTIVE:
        st.info("The first point comes after the first step.", icon=":material/hourglass_empty:")
    _folded(run, row, curve)


def _header(run: Run, row: dict[str, Any]) -> None:
    state, best, speed, left, stop = st.columns([1.2, 2, 1.2, 1.2, 1])
    state.metric("State", row["state"])
    at = f"step {row['best_step']:,}" if row["best_step"] is not None else None
    value = f"{units.perplexity(row['best_perplexity'])}"
    best.metric("Best validation perplexity", value, delta=at, delta_color="off", delta_arrow="off")
    per_second = row["tokens_per_second"]
    speed.metric("Tokens per second", f"{per_second:,.0f}" if per_second else units.UNKNOWN)
    if row["state"] in ACTIVE:
        left.metric("Time left", units.duration(row["seconds_left"]))
        asked = run.requested("stop")
        stop.button(
            "Stopping …" if asked else "Stop",
            key="train.stop", on_click=run.request, args=("stop",), disabled=asked, icon=":material/stop:", width="stretch",
            help="Ends the run after its current step. Its best and its last weights are kept.",
        )  # fmt: skip
    else:
        left.metric("Time taken", units.duration(row["elapsed"]))


def _progress(run: Run, row: dict[str, Any]) -> None:
    if row["state"] in ("failed", "damaged"):
        st.error(plain(row["error"] or "the run failed; the log has the details"), icon=":material/error:")
    saved = run.checkpoint("best").is_file()
    what = "its best and its last weights are saved and can be used" if saved else "it had saved no weights yet; train it again"
    if row["state"] == "interrupted":
        gone = "The worker of this run is gone: it was killed, or the machine was switched off"
        st.warning(f"{gone}; {what}.", icon=":material/power_off:")
    if row["state"] == "stopped":
        st.info(f"Stopped on request; {what}.", icon=":material/stop_circle:")
    message = run.status().get("message")
    if row["state"] in ("starting", "preparing") and row["step"] is None:
        st.progress(0.0, text=message or "starting the worker; it loads torch first")
    elif row["last_step"]:
        step, steps = row["step"] or 0, row["last_step"]
        epoch = f", epoch {row['epoch']:.2f}" if row["epoch"] is not None else ""
        seen = f", {units.count(row['tokens'])} tokens seen" if row["tokens"] else ""
        st.progress(min(1.0, step / steps), text=f"step {step:,} of {steps:,}{epoch}{seen}")


def _folded(run: Run, row: dict[str, Any], curve: charts.Curve) -> None:
    look = theme()
    with st.expander("Learning rate, gradient norm, throughput"):
        for column, metric in zip(st.columns(3), ("lr", "grad_norm", "tokens_per_second"), strict=True):
            chart = charts.figure([curve], metric, "step", look, height=260)
            chart.update_layout(showlegend=False)
            with column:
                show_chart(chart, key=f"train.{metric}")
    with st.expander("Log"):
        st.code(run.log_tail() or "nothing written yet", language=None)
    with st.expander("The command, and what this run was started with"):
        st.code(shlex.join(["python", *start.train_command(run)[1:]]), language="bash")
        st.caption("To train the same again:")
        st.code(start.repeat_command(run), language="bash")
        if row["bits_per_byte"] is not None:
            st.write(f"Best validation: {row['bits_per_byte']:.3f} bits per byte")
        elif row["why_not_bits"]:
            st.write(f"Bits per byte: {units.UNKNOWN} ({row['why_not_bits']})")
        if row["state"] != "damaged":
            st.json(run.record(), expanded=1)
