"""A run's own page: all that is known of it, read from its directory and from nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from cortex import labels, units
from cortex.runs import ACTIVE, Run, RunError, list_runs, summary_name
from ui import notices, page, reading, run_files, run_parts, run_tables, runs_view, session
from ui.controls import AGAIN, controls
from ui.plain import plain
from ui.theme import theme

Row = dict[str, Any]
_HEAD_SECONDS, _PART_SECONDS = 1.0, 4.0
_GO = "run.go"  # the page to go to in this script run
_PARTS = ("Charts", "Graph", "Started with", "Samples", "Checkpoints and files", "History", "System")
_LIVE = ("Charts", "Samples", "Checkpoints and files", "History", "System")
_SAMPLES, _LOG_LINES = 50, 200


def show() -> None:
    """Draw the page of the run that the address names."""
    runs = {run.id: run for run in list_runs(session.where().runs)}
    asked = st.query_params.get("run") or st.session_state.get(session.RUN)
    run = runs.get(asked or "")
    page.begin(plain(summary_name(run)) if run else "Run")
    notices.show()
    _travel(asked)
    if run is None:
        _no_run(asked)
        return
    st.session_state[session.RUN] = run.id
    session.keep_in_url(run=run.id)
    state = reading.read_summary(run)["state"]
    live = state in ACTIVE
    _said_of(run, state)
    st.fragment(_head, run_every=_HEAD_SECONDS if live else None)(run, state)
    part = st.segmented_control(
        "Part", _PARTS, default=_PARTS[0], key="run.part", bind="query-params", required=True, label_visibility="collapsed"
    )
    st.fragment(_part, run_every=_PART_SECONDS if live and part in _LIVE else None)(run, part)


def _no_run(asked: str | None) -> None:
    if asked:
        st.warning(plain(f"There is no run {asked}; it may have been deleted."), icon=":material/info:")
    else:
        st.info("No run is chosen. Open one from the table of the Runs page.", icon=":material/table_rows:")
    if st.button("Go to Runs", type="primary"):
        st.switch_page("pages/runs.py")


# Where it comes from


def _said_of(run: Run, state: str) -> None:
    """Folder, tags and note, and beside them the other pages with this run."""
    known = labels.read(run)
    said = [plain(run.id), *(["starred"] if known.starred else []), *(["archived"] if known.archived else [])]
    tags = " ".join(f":gray-badge[{plain(tag)}]" for tag in known.tags)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(" · ".join(said) + (f" {tags}" if tags else ""), width="stretch")
        _links(run)
        _ways(run, state)
    if known.note:
        st.text(known.note)
    if known.problem:
        st.caption(plain(known.problem))


def _links(run: Run) -> None:
    """The run that this one goes on from, those that go on from it, its siblings and its sweep."""
    try:
        record = run.record()
    except RunError:
        return
    others = [row for row in runs_view.all_rows(at_once=True) if row["run"] != run.id]
    group, sweep = record.get("group"), record.get("sweep")
    related = [("goes on from", row) for row in others if row["run"] == record.get("parent")]
    related += [("extended by", row) for row in others if row["parent"] == run.id]
    siblings = [row for row in others if group and row["group"] == group]
    for how, other in related:
        st.button(
            plain(f"{how} {other['name']}"), key=f"run.related.{other['run']}", type="tertiary", icon=":material/link:",
            on_click=_open, args=(other["run"],),
        )  # fmt: skip
    if siblings:
        choices = {row["run"]: row["name"] for row in siblings}
        chosen = st.selectbox(
            "Runs of the same group", list(choices), index=None, key=f"run.siblings.{run.id}", label_visibility="collapsed",
            placeholder=f"{len(siblings)} more of the same group", format_func=choices.get, width=230,
        )  # fmt: skip
        if chosen:
            st.query_params["run"] = chosen
            st.rerun()
    if isinstance(sweep, dict) and isinstance(sweep.get("id"), str):
        st.button(
            plain(f"trial {sweep.get('trial', '?')} of sweep {sweep['id']}"), key="run.sweep", type="tertiary",
            on_click=_go, args=("sweeps", {"sweep": sweep["id"]}),
        )  # fmt: skip


def _open(run_id: str) -> None:
    st.query_params["run"] = run_id


# State and numbers


def _head(run: Run, state_before: str) -> None:
    row = reading.read_summary(run)
    if row["state"] != state_before or st.session_state.pop(AGAIN, False):
        st.rerun()
    state, best, bits, speed, time, first, second = st.columns([1, 1.5, 1, 1, 1.1, 0.95, 0.95])
    state.metric("State", row["state"])
    at = f"step {row['best_step']:,}" if row["best_step"] is not None else None
    best.metric(
        "Best validation perplexity", units.perplexity(row["best_perplexity"]), delta=at, delta_color="off", delta_arrow="off"
    )
    bits.metric("Bits per byte", units.loss(row["bits_per_byte"]), help=row["why_not_bits"] and plain(row["why_not_bits"]))
    name, value, help = reading.speed_of(row)
    speed.metric(name, value, help=help)
    live = row["state"] in ACTIVE
    time.metric("Time left" if live else "Time taken", units.duration(row["seconds_left" if live else "elapsed"]))
    controls(run, row, first, second)
    if row["error"] and not live:
        show = st.warning if row["state"] == "interrupted" else st.error
        show(plain(f"{row['state']}: {row['error']}"), icon=":material/error:")
    if row["last_step"]:
        step, steps = row["step"] or 0, row["last_step"]
        seen = f", {units.count(row['tokens'])} tokens seen" if row["tokens"] else ""
        size = f", {units.count(row['parameters'])} parameters" if row["parameters"] else ""
        text = f"step {step:,} of {steps:,}{seen}{size}"
        if row["state"] == "finished":
            st.caption(text)
        else:
            st.progress(min(1.0, max(0.0, step / steps)), text=text)


def _ways(run: Run, state: str) -> None:
    """Other pages with this run."""
    sound, trained = state != "damaged", run.checkpoint("best").is_file()
    for text, icon, target, on, help in (
        ("Watch", "monitoring", "train", True, "The run on the Train page."),
        ("Open in Build", "account_tree", "build", sound, "Its graph and settings, as a new document."),
        ("Generate", "edit_note", "generate", trained, "Text by its weights." if trained else "It has no weights yet."),
        ("Export", "code", "export", sound, "The run as one script."),
    ):
        st.button(
            text, key=f"run.to.{target}", icon=f":material/{icon}:", disabled=not on, help=help,
            on_click=_build if target == "build" else _go, args=(run,) if target == "build" else (target, {"run": run.id}),
        )  # fmt: skip


def _build(run: Run) -> None:
    try:
        session.open_graph(run.graph())
    except RunError as error:
        notices.notify(str(error))
        return
    _go("build", {"doc": st.session_state[session.DOCUMENT]})


def _go(target: str, query: dict[str, str]) -> None:
    st.session_state[_GO] = [target, query]


def _travel(asked: str | None) -> None:
    """Go where a button has sent the visitor: a page is switched from the script, not from a callback."""
    target = st.session_state.pop(_GO, None)
    if target:
        st.session_state[session.RUN] = asked
        st.switch_page(f"pages/{target[0]}.py", query_params=target[1])


# The parts


def _part(run: Run, part: str) -> None:
    row = reading.read_summary(run)
    draw: dict[str, Callable[[], None]] = {
        "Charts": lambda: _charts(row),
        "Graph": lambda: _graph(run, row),
        "Started with": lambda: _started_with(run, row),
        "Samples": lambda: run_parts.samples(reading.columns(run).others, _SAMPLES),
        "Checkpoints and files": lambda: _files(run, row),
        "History": lambda: _history(run),
        "System": lambda: run_tables.system(run, row),
    }
    draw[part]()


def _charts(row: Row) -> None:
    from ui.overlay import overlay

    if not row["step"] and row["best_loss"] is None:
        waits = "The first point comes after the first step." if row["state"] in ACTIVE else "It has logged no point."
        st.info(waits, icon=":material/hourglass_empty:")
        return
    overlay([row | {"settings": {}}])


def _graph(run: Run, row: Row) -> None:
    from cortex.picture import picture_of
    from ui.graph_difference import framed

    try:
        graph = run.graph()
    except RunError as error:
        st.error(plain(error), icon=":material/error:")
        return
    if not graph.nodes:
        st.caption("The graph has no node.")
        return
    st.html(framed(picture_of(graph, row["vocabulary"]), row["name"], theme()))
    st.caption(
        f"{len(graph.nodes):,} nodes, {len(graph.edges):,} edges, as the run was started. Open in Build makes a copy to edit."
    )


def _started_with(run: Run, row: Row) -> None:
    run_parts.commands(run)
    run_tables.settings(run)
    run_parts.bits_line(row)
    with st.expander("run.json"):
        run_parts.record(run)


def _files(run: Run, row: Row) -> None:
    from ui.take_away import selection

    st.subheader("Checkpoints", anchor=False)
    run_files.checkpoints(run, row["state"], "run")
    st.subheader("Files", anchor=False)
    run_files.downloads(run, "run")
    selection([run])


def _history(run: Run) -> None:
    run_tables.history(run)
    st.subheader("Log", anchor=False)
    st.caption(f"The last {_LOG_LINES} lines; Checkpoints and files has all of it.")
    run_parts.log(run, _LOG_LINES)
