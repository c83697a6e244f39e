"""The Sweeps page: every sweep, and of one its progress, its best so far, its trials; stop and resume as a whole."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import streamlit as st

from cortex import units
from cortex.runs import RunError
from cortex.sweep import OBJECTIVES, Sweep, list_sweeps, name_of
from cortex.sweep_deleting import archived
from cortex.trials import GOING, OVER, Trial, best_of, seconds_left, sweep_state, trials
from ui import notices, page, reading, session, sweep_away, sweep_charts
from ui.plain import plain
from ui.plot import show_chart
from ui.sweep_tables import all_sweeps, trials_table
from ui.theme import theme

_POLL_SECONDS = 2.0
_CHOICE = "sweep.choice"
_GO = "sweep.go"  # the run whose page is to be shown next
_MEASURES = {"best_loss": "nats per token", "bits_per_byte": "bits per byte"}


def show() -> None:
    """Draw the page."""
    page.begin("Sweeps")
    if run := st.session_state.pop(_GO, None):  # before anything that was clicked is drawn, and told of, again
        st.switch_page("pages/run.py", query_params={"run": run})
    notices.show()
    session.keep_in_url()
    everything = {sweep.id: sweep for sweep in list_sweeps(session.where().runs)}
    sweeps = sweep_away.listed(everything, st.query_params.get("sweep"))
    if not sweeps:
        st.info(
            "No sweep yet. Open a graph on the Build page, then Train, and unfold “Sweep” there: it trains the graph again and "
            "again with other settings.", icon=":material/tune:",
        )  # fmt: skip
        if st.button("Go to Train", type="primary"):
            st.switch_page("pages/train.py")
        return
    chosen = _chosen(sweeps)
    if st.session_state.get(_CHOICE) != chosen:
        st.session_state[_CHOICE] = chosen
    choice, away = st.columns([7, 3], vertical_alignment="bottom")
    choice.selectbox("Sweep", list(sweeps), key=_CHOICE, format_func=lambda name: _label(sweeps[name]), on_change=_choose)
    session.keep_in_url(sweep=chosen)
    if len(sweeps) > 1:
        all_sweeps(sweeps)
    sweep = sweeps[chosen]
    try:
        state = sweep_state(sweep, trials(sweep, reading.read_summary))
    except RunError:
        state = "damaged"
    with away:
        sweep_away.away_menu(sweep, state, everything)
    st.fragment(_live, run_every=_POLL_SECONDS if state in GOING else None)(sweep, state)


def _chosen(sweeps: Mapping[str, Sweep]) -> str:
    """The sweep of the URL, else the newest."""
    asked = st.query_params.get("sweep")
    if asked and asked not in sweeps:
        st.warning(plain(f"There is no sweep {asked} any more; the newest is shown."), icon=":material/info:")
        st.query_params.pop("sweep", None)
    return asked if asked in sweeps else next(iter(sweeps))


def _choose() -> None:
    st.query_params["sweep"] = st.session_state[_CHOICE]


def _label(sweep: Sweep) -> str:
    return f"{name_of(sweep)} · {sweep.id[:15]}" + (" · archived" if archived(sweep) else "")


def _live(sweep: Sweep, state_before: str) -> None:
    try:
        record, found = sweep.record(), trials(sweep, reading.read_summary)
    except RunError as error:
        st.error(plain(error), icon=":material/error:")
        st.caption("Its runs are untouched; they are on the Runs page.")
        return
    state = sweep_state(sweep, found)
    if state != state_before:
        st.rerun()
    _header(sweep, record, found, state)
    _said(sweep, found, state)
    if any(trial.loss is not None for trial in found):
        _charts(record, found)
    trials_table(sweep, record, found, _go)
    _folded(sweep, record)
    if _GO in st.session_state:
        st.rerun()


def _header(sweep: Sweep, record: Mapping[str, Any], found: list[Trial], state: str) -> None:
    first, over, best, left, act, use = st.columns([1, 1.1, 1.5, 1.2, 1.0, 1.5], vertical_alignment="center")
    first.metric("State", state)
    done = sum(trial.state in OVER for trial in found)
    over.metric("Trials over", f"{done:,} of {len(found):,}")
    winner = best_of(found)
    best.metric(
        f"Best {OBJECTIVES[record['objective']].removeprefix('best ')}",
        units.loss(winner.loss if winner else None),
        delta=f"trial {winner.number}" if winner else None, delta_color="off", delta_arrow="off",
    )  # fmt: skip
    if state in GOING:
        left.metric("Time left", units.duration(seconds_left(record, found)), help="At the mean time of the trials so far.")
    else:
        taken = sum((trial.row or {}).get("elapsed") or 0.0 for trial in found)
        left.metric("Time trained", units.duration(taken or None))
    if state in GOING:
        act.button(
            "Stopping …" if state == "stopping" else "Stop", key="sweep.stop", on_click=_stop, args=(sweep,),
            disabled=state == "stopping", icon=":material/stop:", width="stretch",
            help="Begins no further trial and pauses those that are going on; Resume goes on as if it had never been left.",
        )  # fmt: skip
    elif state != "finished":
        waiting = sum(trial.state not in OVER for trial in found)
        act.button(
            "Resume", key="sweep.resume", on_click=_resume, args=(sweep,), type="primary", icon=":material/play_arrow:",
            width="stretch", help=f"{waiting} {'trial is' if waiting == 1 else 'trials are'} not over yet.",
        )  # fmt: skip
    if winner and winner.run:
        use.button(
            "Open the best graph", key="sweep.best", on_click=_open, args=(winner,), icon=":material/account_tree:",
            width="stretch", help=f"The graph of trial {winner.number} with its settings, as a new document on the Build page.",
        )  # fmt: skip
    if st.session_state.pop("sweep.built", False):
        st.switch_page("pages/build.py")
    st.progress(done / len(found) if found else 0.0)


def _said(sweep: Sweep, found: list[Trial], state: str) -> None:
    error = sweep.status().get("error")
    if state == "failed":
        st.error(plain(error or "the sweep failed; its log says why"), icon=":material/error:")
    if state == "interrupted":
        log = sweep.log_tail(3).strip()
        said = f" It last said: {log.splitlines()[-1]}" if log else ""
        st.warning(plain(f"Its driver was killed, or the machine was switched off; Resume loses and repeats nothing.{said}"),
                   icon=":material/power_off:")  # fmt: skip
    if state == "stopped":
        paused = sum(trial.state == "paused" for trial in found)
        them = "trial is" if paused == 1 else "trials are"
        waiting = f"; {paused} {them} paused and will be taken up again" if paused else ""
        st.info(f"Stopped as a whole{waiting}.", icon=":material/stop_circle:")
    hopeless = [trial.number for trial in found if trial.state == "stopped" and trial.why]
    if hopeless:
        numbers = ", ".join(map(str, hopeless[:12])) + (" …" if len(hopeless) > 12 else "")
        trial = "Trial" if len(hopeless) == 1 else "Trials"
        st.caption(f"{trial} {numbers} stopped early: worse than the median of the others at the same point.")


def _charts(record: Mapping[str, Any], found: list[Trial]) -> None:
    axes, measure = record["space"], _MEASURES[record["objective"]]
    names = [axis["key"] for axis in axes]
    left, right = st.columns(2, vertical_alignment="center")
    across = left.segmented_control(
        "Across", ["trial", "minutes"], default="trial", key="sweep.across", required=True, label_visibility="collapsed"
    )
    views = [*names, "all settings"] if len(names) > 1 else names
    view = right.selectbox("Against", views, key="sweep.against", label_visibility="collapsed")
    left, right = st.columns(2)
    with left:
        show_chart(sweep_charts.best_so_far(found, measure, across, theme()), key="sweep.progress", clicked=_go)
    with right:
        if view == "all settings":
            show_chart(sweep_charts.in_parallel(found, axes, measure, theme()), key="sweep.parallel")
        else:
            chart = sweep_charts.setting_against(found, view, axes[names.index(view)], measure, theme())
            show_chart(chart, key="sweep.setting", clicked=_go)


def _folded(sweep: Sweep, record: Mapping[str, Any]) -> None:
    from cortex.space import shown

    with st.expander("The command, what was skipped, and the log"):
        for line in plan_in_words(record):
            st.caption(plain(line))
        st.code(shlex.join(["python", "-m", "cortex", "sweep", "--resume", sweep.id]), language="bash")
        for skip in record.get("skipped") or []:
            if isinstance(skip, dict) and isinstance(skip.get("values"), dict):
                st.caption(plain(f"Skipped: {shown(skip['values'])}: {skip.get('fault')}"))
        log = sweep.log_tail(20)
        if log:
            st.code(log, language=None)


def plan_in_words(record: Mapping[str, Any]) -> list[str]:
    """What a sweep was asked for."""
    from cortex.space import axis_of

    budget = record["budget"]
    for_each = {"steps": "at most {:,} steps each", "minutes": "at most {:g} minutes each", "epochs": "{:,} epochs each"}
    length = next((text.format(budget[name]) for name, text in for_each.items() if name in budget), "as long as the graph says")
    lines = [f"{record['count']:,} trials, {record['method']}, {length}, seed {record['seed']}"]
    lines += [f"{axis.key}={axis.text()}" for axis in map(axis_of, record["space"])]
    early = record.get("early_stop")
    if early:
        lines.append(
            f"Hopeless trials are stopped: after {early['grace']} validations, one whose best is worse than the median of at "
            f"least {early['others']} others at the same {early['by'].removesuffix('s')}"
        )
    return lines


def _go(run: str | None) -> None:
    if run:
        st.session_state[_GO] = run


def _stop(sweep: Sweep) -> None:
    from cortex.trials import stop_sweep

    try:
        stop_sweep(sweep)
    except RunError as error:
        notices.notify(str(error))


def _resume(sweep: Sweep) -> None:
    from cortex import launch

    launch.spawn_sweep(sweep)


def _open(trial: Trial) -> None:
    try:
        session.open_graph(trial.run.graph())
    except RunError as error:
        notices.notify(str(error))
        return
    st.session_state["sweep.built"] = True
