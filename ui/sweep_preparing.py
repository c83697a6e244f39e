"""Texts of a sweep that have to be tokenised before anything can be checked: a process that does it, and watching it."""

from __future__ import annotations

import streamlit as st

from cortex.graph import Graph, to_json
from cortex.places import Places, write_atomically
from cortex.space import written
from cortex.sweep_making import Settings
from ui import jobs
from ui.plain import plain

_JOB = "sweep.job"  # the preparation that this session started: process and log


def sweep_command(texts: list[str], settings: Settings, document: str) -> list[str]:
    """The words of the command line that make the sweep, from the verb on."""
    option = "--grid" if settings.method == "grid" else "--random"
    spread = [part for text in texts for part in (option, text)]
    drawn = [] if settings.method == "grid" else ["--trials", str(settings.count), "--seed", str(settings.seed)]
    method = ["--method", "tpe"] if settings.method == "tpe" else []
    options = {"steps": "--max-steps", "minutes": "--max-minutes", "epochs": "--epochs"}
    budget = [part for name, value in settings.budget.items() for part in (options[name], written(value))]
    early = ["--early-stop"] if settings.early_stop else []
    return ["sweep", document, *spread, *method, *drawn, *budget, *early, "--name", settings.name]


def is_preparing() -> bool:
    """Whether the process that this session started is at work."""
    return jobs.is_alive(st.session_state.get(_JOB, {}))


def prepare_first(graph: Graph, texts: list[str], settings: Settings, where: Places, count: int, going: bool) -> None:
    """The button that tokenises so many texts, or how far that is."""
    if not going:
        text = "text is" if count == 1 else "texts are"
        st.caption(f"{count} {text} not tokenised yet; whether everything can be trained shows when that is done.")
        if st.session_state.get(_JOB):
            st.error(plain(_last_line() or "The preparation ended without a word."), icon=":material/error:")
        label = f"Tokenise {count} {'text' if count == 1 else 'texts'} first"
        st.button(label, key="sweep.prepare", type="primary", on_click=_begin_preparing, args=(graph, texts, settings, where))
    else:
        st.fragment(_watch, run_every=0.5)()


def _begin_preparing(graph: Graph, texts: list[str], settings: Settings, where: Places) -> None:
    where.jobs.mkdir(parents=True, exist_ok=True)
    document = where.jobs / "sweep.json"
    write_atomically(document, to_json(graph), durable=False)
    command = [*sweep_command(texts, settings, str(document)), "--dry-run"]
    st.session_state[_JOB] = jobs.begin(command, document.with_suffix(".log"))


def _watch() -> None:
    if not is_preparing():
        if not _last_line():
            st.session_state.pop(_JOB, None)
        st.rerun()
    st.status(plain(f"Preparing the texts: {_last_line() or 'starting'}"), state="running")


def _last_line() -> str:
    return jobs.last_line(st.session_state.get(_JOB, {}).get("log", ""))
