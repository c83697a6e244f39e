"""The Train page: one run as it goes, found again after a reload; the start of a new one."""

from __future__ import annotations

from typing import Any

import streamlit as st

from cortex import units
from cortex.builder import train_config
from cortex.graph import Graph
from cortex.graph_source import source_node
from cortex.lines import MOST_POINTS
from cortex.places import Places
from cortex.queue import slots
from cortex.report import start_notes
from cortex.runs import ACTIVE, RESUMABLE, Run, list_runs, summary_name
from cortex.store import Prepared
from ui import charts, notices, page, reading, session, start
from ui.controls import AGAIN, controls
from ui.plain import plain
from ui.plot import show_chart
from ui.range_panel import range_panel
from ui.sweep_panel import sweep_panel
from ui.theme import theme
from ui.train_details import details

_POLL_SECONDS, _IDLE_SECONDS = 1.0, 5.0
_CHART_SECONDS = ((100, 2.0), (1000, 4.0), (float("inf"), 8.0))  # up to so many points: seconds between drawings
_CHOICE, _MORE = "train.choice", "train.more"


def show() -> None:
    """Draw the page."""
    where = session.where()
    runs = {run.id: run for run in list_runs(where.runs)}
    page.begin("Train")
    notices.show()
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
        _tools()
        return
    session.keep_in_url(run=shown)
    run = runs[shown]
    state = reading.read_summary(run)["state"]
    live = state in ACTIVE
    # A run that has not finished can be taken up from elsewhere, a terminal or a sweep.
    again = _POLL_SECONDS if live else _IDLE_SECONDS if state in RESUMABLE else None
    st.fragment(_live, run_every=again)(run, state)
    st.fragment(_curves, run_every=_chart_seconds(run) if live else None)(run)
    _tools()


def _tools() -> None:
    """What else can be done with the graph being edited."""
    graph = session.graph()
    if graph is None:
        return
    with st.expander(plain(f"Find a learning rate for {graph.name}")):
        range_panel(graph, session.where())
    part = st.expander(plain(f"Sweep: train {graph.name} with other settings"), on_change="rerun", key="train.open.sweep")
    if part.open:
        with part:
            sweep_panel(graph, session.where())


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
        label = plain(f"Train {graph.name} on {node.kind}")
        go, more = st.columns([3, 1])
        if go.button(label, type="primary", width="stretch", icon=":material/play_arrow:"):
            _watch(start.start_run(graph, prepared, where))
        with more.popover("More", width="stretch", key=_MORE, on_change="rerun"):
            _other_starts(graph, prepared, where)
        st.caption(start.cost(graph, prepared, planned.total, where))


def _watch(run: Run) -> None:
    st.session_state[session.RUN] = run.id
    st.query_params["run"] = run.id
    st.rerun()


def _other_starts(graph: Graph, prepared: Prepared, where: Places) -> None:
    minutes = st.number_input(
        "Minutes at most", 0.0, 1e6, 0.0, step=5.0, key="start.minutes",
        help="The first minute measures the speed; then the run and its schedule are shortened to fit. 0: as long as set.",
    )  # fmt: skip
    seeds = st.number_input("Seeds", 1, 100, 1, key="start.seeds", help="So many runs that differ in their seed, in turn.")
    if minutes:
        graph = graph.with_training("max_minutes", float(minutes))
    turns = "one after the other" if slots() == 1 else f"{slots()} at a time"
    st.caption("1 run" if seeds == 1 else f"{seeds} runs, {turns}, from seed {train_config(graph).seed} on")
    if st.button("Train", key="start.go", type="primary", width="stretch", on_click=_close_more):
        _watch(start.start_run(graph, prepared, where) if seeds == 1 else start.start_seeds(graph, prepared, where, seeds)[0])


def _close_more() -> None:
    st.session_state[_MORE] = False


def _live(run: Run, state_before: str) -> None:
    """State and progress: cheap, so that they are looked at every second."""
    row = reading.read_summary(run)
    if row["state"] != state_before or st.session_state.pop(AGAIN, False):
        st.rerun()
    _header(run, row)
    _progress(run, row)


def _curves(run: Run) -> None:
    """The charts and what is folded away."""
    row = reading.read_summary(run)
    curve = reading.curve(run, run.path.parent, row["name"])
    if not curve.empty:
        levels = reading.levels([run], session.where().store) if curve.has_perplexity else {}
        panels = curve.panels()
        for first in range(0, len(panels), 2):
            for column, metric in zip(st.columns(2), panels[first : first + 2], strict=False):
                across = levels if metric == "perplexity" else None
                with column:
                    show_chart(charts.figure([curve], metric, "step", theme(), levels=across), key=f"train.{metric}")
        for note in start_notes({"cut_rows": curve.cut_rows, "unseen_labels": curve.unseen_labels}):
            st.caption(plain(f"{note[:1].upper()}{note[1:]}."))
        dashed = " Dashed: models that only count tokens, on the same split." if levels else ""
        points, most = curve.columns.points("train"), MOST_POINTS
        thinned = f" Of {points:,} training points {most:,} are drawn, every extreme among them." if points > most else ""
        st.caption(
            "Thin: training, each point the mean since the last one, with dropout. Bold: the whole validation split, without."
            + dashed
            + thinned
        )
    elif row["state"] in ACTIVE:
        st.info("The first point comes after the first step.", icon=":material/hourglass_empty:")
    details(run, row, curve)


def _chart_seconds(run: Run) -> float:
    """Seconds between two drawings of the charts: each takes processor time from the training, the more the more points."""
    points = reading.columns(run).points("train")
    return next(seconds for most, seconds in _CHART_SECONDS if points <= most)


def _header(run: Run, row: dict[str, Any]) -> None:
    state, best, speed, left, first, second = st.columns([1, 1.9, 1.2, 1.2, 0.95, 0.95])
    state.metric("State", row["state"])
    at = f"step {row['best_step']:,}" if row["best_step"] is not None else None
    title, value = reading.best_of(row)
    best.metric(f"Best validation {title}", value, delta=at, delta_color="off", delta_arrow="off")
    name, value, help = reading.speed_of(row)
    speed.metric(name, value, help=help)
    if row["state"] in ACTIVE:
        left.metric("Time left", units.duration(row["seconds_left"]))
    else:
        left.metric("Time taken", units.duration(row["elapsed"]))
    controls(run, row, first, second)


def _progress(run: Run, row: dict[str, Any]) -> None:
    if row["state"] in ("failed", "damaged"):
        st.error(plain(row["error"] or "the run failed; the log has the details"), icon=":material/error:")
    saved = run.checkpoint("best").is_file()
    nothing = "it had saved no weights yet; Resume starts it anew"
    what = "its best and its last weights are saved and can be used" if saved else nothing
    if row["state"] == "interrupted":
        why = row["error"] or ""
        st.warning(plain(f"{why[:1].upper()}{why[1:]}; {what}."), icon=":material/power_off:")
    if row["state"] == "stopped":
        why = run.status().get("why")
        said = f"Stopped: {why}" if isinstance(why, str) else "Stopped on request"
        st.info(plain(f"{said}; {what}."), icon=":material/stop_circle:")
    if row["state"] == "paused":
        st.info("Paused; Resume goes on as if it had never been left.", icon=":material/pause_circle:")
    status = run.status()
    message, share = status.get("message"), status.get("share")
    if row["state"] == "queued":
        st.info(f"Waiting for its turn: {message}.", icon=":material/hourglass_empty:")
    elif row["state"] in ("starting", "preparing") and row["step"] is None:
        done = f"{message}, {share:.0%}" if share is not None else message
        st.progress(share or 0.0, text=plain(done or "starting the worker; it loads torch first"))
    elif row["last_step"]:
        step, steps = row["step"] or 0, row["last_step"]
        epoch = f", epoch {row['epoch']:.2f}" if row["epoch"] is not None else ""
        seen = f", {units.count(row['tokens'])} tokens seen" if row["tokens"] else ""
        first = row["state"] == "running" and row["best_step"] is None and run.requested("stop")
        ending = "; stopping: it validates once, then it saves" if first else ""
        st.progress(min(1.0, step / steps), text=f"step {step:,} of {steps:,}{epoch}{seen}{ending}")
