"""The Export page: a graph or a run as one script, what it needs, and the proof that it computes the same."""

from __future__ import annotations

import contextlib
from typing import Any

import streamlit as st

from cortex import graph_source, units
from cortex.builder import PlanError, train_config
from cortex.export import graph_of_run, packages, script, script_of_run
from cortex.graph import Graph
from cortex.places import file_name
from cortex.prove import ProofError, Row, proving
from cortex.runs import Run, RunError, list_runs, summary_name
from cortex.store import Prepared
from ui import notices, page, session, start
from ui.plain import plain

_CHOICE, _GRAPH = "export.choice", ""
_STEPS = 20
_START_SECONDS = 10  # that a process takes to load torch and read the text, about


def show() -> None:
    """Draw the page."""
    page.begin("Export")
    notices.show()
    graph, runs = session.graph(), {run.id: run for run in list_runs(session.where().runs)}
    if graph is None and not runs:
        st.info("Nothing to export yet. Open a preset on the Build page.", icon=":material/account_tree:")
        if st.button("Go to Build", type="primary"):
            st.switch_page("pages/build.py")
        return
    run = _chosen(graph, runs)
    try:
        shown = graph_of_run(run) if run else graph
        text = script_of_run(run) if run else script(graph)
    except (RunError, PlanError) as error:
        for problem in str(error).splitlines():
            st.error(plain(problem), icon=":material/error:")
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _preview(shown, run, text)
    with right:
        _needs(shown, run, text)
        _proof(shown, run)


def _chosen(graph: Graph | None, runs: dict[str, Run]) -> Run | None:
    """The run to export, None for the graph being edited; the URL names a run that was chosen."""
    options = [_GRAPH] * (graph is not None) + list(runs)
    if st.session_state.get(_CHOICE) not in options:
        asked = st.query_params.get("run")
        if asked and asked not in runs:
            st.warning(plain(f"There is no run {asked} any more; something else is shown."), icon=":material/info:")
        st.session_state[_CHOICE] = asked if asked in runs else options[0]

    def label(name: str) -> str:
        return f"{summary_name(runs[name])} · run {name[:15]}" if name else f"{graph.name} · the graph being edited"

    chosen = st.selectbox("What to export", options, options.index(st.session_state[_CHOICE]), key=_CHOICE, format_func=label)
    st.query_params.pop("run", None)
    session.keep_in_url(run=chosen or None)
    return runs.get(chosen)


def _preview(graph: Graph, run: Run | None, text: str) -> None:
    file = _file_name(graph, run)
    title, button = st.columns([3, 2], vertical_alignment="bottom")
    title.caption(f"{plain(file)} · {len(text.splitlines()):,} lines · {units.size(len(text.encode()))}")
    button.download_button(
        "Download", text, file, "text/x-python", type="primary", width="stretch", icon=":material/download:", on_click="ignore"
    )
    st.code(text, language="python", height=560)


def _file_name(graph: Graph, run: Run | None) -> str:
    return "model.py" if run else file_name(graph.name, "train") + ".py"


def _needs(graph: Graph, run: Run | None, text: str) -> None:
    st.subheader("What it needs", anchor=False)
    file = _file_name(graph, run)
    st.code(f"pip install {' '.join(packages(graph, with_weights=run is not None))}", language="bash", wrap_lines=True)
    options = [
        "",
        "--steps 20 --log-every 1",
        "--save best.safetensors",
        *(["--weights", '--weights --prompt "…"'] if run else []),
    ]
    st.code("\n".join(f"python {file} {option}".strip() for option in options), language="bash", wrap_lines=True)
    if run:
        st.caption(
            "--weights loads the best weights of the run where the script lies in the run's folder; elsewhere name the file: "
            "--weights FILE."
        )
    path = graph_source.source_node(graph).params.get("path")
    if path:
        st.caption(plain(f"It reads {path}; --data FILE reads another text. The text itself is not in the script."))


# The proof


def _proof(graph: Graph, run: Run | None) -> None:
    st.subheader("The same losses?", anchor=False)
    planned, prepared = start.look(graph, session.where())
    if planned.issues:
        st.warning(plain(f"It cannot be tried here: {planned.issues[0]}"), icon=":material/error:")
        return
    key = f"{run.id if run else ''} {hash(script(graph))}"
    place = st.empty()
    pressed = place.button("Prove it", icon=":material/balance:", help="Leaving the page, or Stop, ends it.")
    st.caption(_cost(graph, prepared, planned.total))
    verdict, table = st.empty(), st.empty()
    if pressed:
        place.button("Stop", icon=":material/stop:", key="export.stop")
        _try(graph if run is None else run, key, verdict, table)
        st.rerun()
    found = st.session_state.get(session.PROOF, {})
    if found.get("key") == key:
        _tell(found, verdict)
        _draw(found["rows"], table)


def _cost(graph: Graph, prepared: Prepared | None, parameters: int | None) -> str:
    """What a proof takes, in words."""
    source = graph_source.source_of(graph_source.source_node(graph))
    block = source.batch_size * source.seq_len * train_config(graph).accumulate
    text = (
        f"Trains {_STEPS} steps of {block:,} tokens and validates, once in the app and once as the script with python -I in an "
        "empty folder, one after the other. Takes as much memory as training it; keeps nothing; can be stopped at any time."
    )
    speed = start.measured_speed(parameters, source.batch_size, source.seq_len, session.where().runs)
    if speed and prepared:
        tokens = 2 * (_STEPS * block + prepared.count("validation") / 3)  # validation is forward alone
        text += f" About {units.duration(2 * _START_SECONDS + tokens / speed)}."
    else:
        text += f" To load it all takes about {2 * _START_SECONDS} s, then each loss shows as it comes."
    others = len(start.active_runs(session.where()))
    return text + (f" {others} {'run is' if others == 1 else 'runs are'} going on; all get slower together." if others else "")


def _try(subject: Graph | Run, key: str, verdict: Any, table: Any) -> None:
    """Run the proof and show it as it goes on. Whatever ends this script run, Stop for one, ends the two trainings as well."""
    st.session_state.pop(session.PROOF, None)
    rows: list[Row] = []
    try:
        with contextlib.closing(proving(subject, session.where().store, steps=_STEPS)) as states:
            for rows in states:
                where = "as the script" if any(row.script is not None for row in rows) else "in the app"
                verdict.status(f"Training {where}: {_count(rows)}", state="running")
                _draw(rows, table)
        st.session_state[session.PROOF] = {"key": key, "rows": rows, "error": ""}
    except (ProofError, RunError, PlanError, OSError) as error:
        st.session_state[session.PROOF] = {"key": key, "rows": rows, "error": str(error)}


def _count(rows: list[Row]) -> str:
    done = [row for row in rows if row.script is not None] or rows
    return f"step {done[-1].step} of {_STEPS}" if done else "starting"


def _tell(found: dict[str, Any], verdict: Any) -> None:
    rows, different = found["rows"], [row for row in found["rows"] if not row.equal]
    if found["error"]:
        verdict.error(plain(found["error"]), icon=":material/error:")
    elif not rows or different:
        first = f"; the first at step {different[0].step}" if different else ""
        verdict.error(f"Not the same: {len(different)} of {len(rows)} losses differ{first}.", icon=":material/close:")
    else:
        verdict.success(f"The same: all {len(rows)} losses are equal, bit for bit.", icon=":material/check:")


def _draw(rows: list[Row], table: Any) -> None:
    if not rows:
        return
    shown = [
        {
            "step": f"{row.step}, validation" if row.what == "validation" else str(row.step),
            "in the app": units.UNKNOWN if row.app is None else repr(row.app),
            "in the script": units.UNKNOWN if row.script is None else repr(row.script),
            "": "" if row.script is None else "=" if row.equal else "≠",
        }
        for row in rows
    ]
    widths = {"step": 110, "in the app": 155, "in the script": 155, "": 30}
    columns = {name: st.column_config.TextColumn(width=width) for name, width in widths.items()}
    table.dataframe(shown, hide_index=True, height=min(35 * (len(shown) + 1) + 3, 400), column_config=columns)
