"""Starting things from a page: every long job is the ordinary command line in a process of its own."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from cortex import data, fingerprints, graph_source, launch, units
from cortex.builder import Plan, plan, train_config
from cortex.checks import Issue
from cortex.corpus import CorpusError
from cortex.graph import Graph, Node, to_json
from cortex.honest import known_leaks, leaks
from cortex.places import Places, write_atomically
from cortex.repeat import Repeat, repeat
from cortex.run_length import length_on
from cortex.runs import ACTIVE, RESUMABLE, Run, list_runs
from cortex.statistics import known_statistics
from cortex.store import Prepared
from cortex.verbs.common import share_in
from ui import jobs, reading, session
from ui.plain import plain

# A text up to this size is prepared at once; a larger one when the user says so.
_AT_ONCE = 32 * 2**20


def look(graph: Graph, where: Places, *, wait: bool = True) -> tuple[Plan, Prepared | None]:
    """The plan of a graph with what is known of its data, and the data where it is prepared.

    Faults of the data (no file named, not UTF-8, too short) are issues of the source node like any other, and so is a node
    through which the model would see the tokens that it is to foretell.

    Args:
        wait: try the model out for that, where it has not been tried yet; else `tried` has to follow.
    """
    node = graph_source.source_node(graph)
    planned = plan(graph)
    if node is None or planned.issues_of(node.id):
        return planned, None
    fault = graph_source.outside(node, where.readable)
    prepared = None
    if fault is None:
        try:
            prepared = data.lookup(node, where.store)
        except CorpusError as error:
            fault = str(error).removeprefix("path: ")
    if prepared is not None:
        planned = plan(graph, *prepared.sizes)
        fault = data.too_short(node, prepared)
    if fault is None:
        fault = st.session_state.get(session.PREPARING, {}).get("error", {}).get(_key(node))
    if fault:
        field = "seq_len" if prepared else "path" if "path" in node.params else None
        return replace(planned, calls=(), issues=(Issue(node.id, field, fault), *planned.issues)), prepared
    return tried(planned, wait=wait), prepared


def tried(planned: Plan, *, wait: bool = True) -> Plan:
    """The plan with the nodes through which its model sees the future as faults; a kind can be declared causal and not be."""
    seen = leaks(planned) if wait else known_leaks(planned)
    return replace(planned, calls=(), issues=seen) if seen else planned


def prepare_data(graph: Graph, where: Places) -> None:
    """Where the data of this graph is not prepared: start doing it, show how far it is, rerun when it is done."""
    node = graph_source.source_node(graph)
    job = st.session_state.get(session.PREPARING, {})
    if job.get("key") != _key(node) or "pid" not in job:
        size = fingerprints.text_size(node)
        if graph_source.is_remote(node):
            st.info(
                plain(f"{node.kind} is not on this machine yet. It comes from the Hugging Face hub, once; after that no "
                "network is needed."), icon=":material/cloud_download:",
            )  # fmt: skip
            if not st.button("Fetch and tokenise", type="primary", help="Downloads the text and tokenises it; both are kept."):
                return
        elif size and size > _AT_ONCE:
            st.info(f"The text ({units.size(size)}) is not tokenised yet; shapes and parameters wait for its vocabulary.")
            if not st.button("Tokenise the text", help="Reads the whole text once; the result is kept on disk."):
                return
        begun = _begin_measure(graph, node, where)
        if begun is None:
            return
        st.session_state[session.PREPARING] = {"key": _key(node), **begun}
    _watch_preparing(node, where)


def try_again() -> None:
    """A button that forgets the last failure of a preparation, where there was one."""
    if st.session_state.get(session.PREPARING, {}).get("error"):
        st.button("Try again", key="prepare.again", on_click=st.session_state.pop, args=(session.PREPARING, None))


@st.fragment(run_every=0.5)
def _watch_preparing(node: Node, where: Places) -> None:
    job = st.session_state.get(session.PREPARING, {})
    alive, said = _heard(job)
    try:
        found = data.lookup(node, where.store)
        error = None if found else said or "the preparation ended without a word"
    except CorpusError as problem:
        found, error = None, str(problem)
    if alive and found is None:
        _bar(f"Preparing {node.kind}", said or "reading the text")
        return
    if found:  # the process goes on: it measures what it has prepared
        st.session_state.setdefault(session.MEASURING, {})[found.fingerprint] = dict(job)
    job.pop("pid", None)
    if error:
        message = error.removeprefix(f"{node.id}: ").removeprefix("path: ")
        st.session_state[session.PREPARING] = {"error": {_key(node): message}}
    else:
        st.session_state.pop(session.PREPARING, None)
    st.rerun()


def measure_data(graph: Graph, prepared: Prepared, where: Places) -> None:
    """Where prepared data is not measured (statistics, reference perplexities): start doing it, show how far it is, rerun
    when it is done."""
    measuring = st.session_state.setdefault(session.MEASURING, {})
    if prepared.fingerprint not in measuring:
        begun = _begin_measure(graph, graph_source.source_node(graph), where)
        if begun is None:
            return
        measuring[prepared.fingerprint] = begun
    _watch_measuring(prepared)


@st.fragment(run_every=0.5)
def _watch_measuring(prepared: Prepared) -> None:
    measuring = st.session_state.setdefault(session.MEASURING, {})
    alive, said = _heard(measuring.get(prepared.fingerprint, {}))
    if known_statistics(prepared):
        measuring.pop(prepared.fingerprint, None)
        st.rerun()
    if alive:
        _bar("Measuring the text", said or "starting")
        return
    st.error(plain(f"The text could not be measured: {said or 'the process ended without a word'}"), icon=":material/error:")
    st.button("Try again", on_click=measuring.pop, args=(prepared.fingerprint, None), key="measure.again")


def _bar(what: str, said: str) -> None:
    """How far a process is, by the last line that it wrote."""
    part, share = share_in(said)
    done = "" if share is None else f", {share:.0%}"
    st.progress(share or 0.0, text=plain(f"{what}: {part}{done}"))


def _heard(job: dict[str, Any]) -> tuple[bool, str]:
    """Whether the process of a job still runs, and the last thing that it said."""
    return jobs.is_alive(job), jobs.last_line(job.get("log", ""))


def _begin_measure(graph: Graph, node: Node, where: Places) -> dict[str, Any] | None:
    """The job that prepares and measures the text of a node; None, told, where the disk is full."""
    job = where.store / fingerprints.fingerprint(node)
    document, log = job.with_suffix(".json"), job.with_suffix(".log")
    try:
        where.store.mkdir(parents=True, exist_ok=True)
        write_atomically(document, to_json(graph), durable=False)
        return jobs.begin(["measure", str(document)], log)
    except OSError as error:
        st.error(plain(f"The preparation cannot be started: {error.strerror}, in {where.store}"), icon=":material/error:")
        return None


def _key(node: Node) -> str:
    try:
        return fingerprints.fingerprint(node)
    except CorpusError:
        return ""


def start_run(graph: Graph, prepared: Prepared, where: Places, name: str | None = None) -> Run:
    """Create a run and start its worker, which goes on whatever happens to this page, browser or server."""
    with _told(where):
        run = launch.create(graph, prepared.fingerprint, where.runs, name=name)
        launch.spawn(run)
    return run


def start_seeds(graph: Graph, prepared: Prepared, where: Places, count: int) -> list[Run]:
    """Create runs that differ in their seed and start their workers, which take turns."""
    with _told(where):
        runs = launch.create_seeds(graph, prepared.fingerprint, where.runs, count)
        for run in runs:
            launch.spawn(run)
    return runs


@contextlib.contextmanager
def _told(where: Places) -> Iterator[None]:
    """A full disk is told, and the page ends there."""
    try:
        yield
    except OSError as error:
        st.error(plain(f"The training cannot be started: {error.strerror}, in {where.runs}. Make room and try again."))
        st.stop()


def train_command(run: Run) -> list[str]:
    """The command that starts a created run, or takes it up again."""
    return [sys.executable, "-m", "cortex", "resume" if run.state() in RESUMABLE else "train", str(run.path)]


def repeat_command(run: Run) -> Repeat:
    """The command that a person types to train the same run again."""
    return repeat(run, reading.columns(run).others, home=os.environ.get("CORTEXNODUS_HOME"))


def cost(graph: Graph, prepared: Prepared, parameters: int | None, where: Places) -> str:
    """What training this graph takes, in words: steps and tokens, time where an equal run was measured here, and who shares
    the machine."""
    others = len(active_runs(where))
    beside = f". It waits for {others} {'run' if others == 1 else 'runs'} before it" if others else ""
    return _alone(graph, prepared, parameters, where) + beside


def _alone(graph: Graph, prepared: Prepared, parameters: int | None, where: Places) -> str:
    config, source = train_config(graph), graph_source.source_of(graph_source.source_node(graph))
    length = length_on(graph, prepared)
    what = "the text" if prepared.task == "Text" else f"the {prepared.row_count('train'):,} rows"
    times = length.steps / length.steps_per_epoch
    text = f"{length.steps:,} steps, {units.count(length.tokens)} tokens, reads {what} {times:,.1f} times"
    speed = measured_speed(parameters, source.batch_size, source.seq_len, where.runs)
    if speed and not config.max_minutes:
        about = units.duration(length.tokens / speed)
        return f"{text}; about {about} at the {speed:,.0f} tokens/s that this machine last made of it"
    if config.max_minutes:
        return f"{text}, or what fits into {units.duration(60 * config.max_minutes)}"
    return f"{text}; how long that takes shows after its first seconds, and it can be stopped at any time"


@st.cache_data(ttl=10, show_spinner=False, max_entries=64)
def measured_speed(parameters: int | None, batch_size: int, seq_len: int, runs: Path) -> float | None:
    """Tokens per second, validation included, of the last run of this size on this machine; None when there is none."""
    for run in list_runs(runs)[:50]:
        row = reading.read_summary(run)
        if row["parameters"] != parameters or not row["elapsed"] or (row["step"] or 0) < 20:
            continue
        source = graph_source.source_node(run.graph())
        values = graph_source.source_of(source)
        if (values.batch_size, values.seq_len) == (batch_size, seq_len):
            return row["tokens"] / row["elapsed"]
    return None


def active_runs(where: Places) -> list[Run]:
    """Runs that are going on now."""
    return [run for run in list_runs(where.runs) if run.state() in ACTIVE]


def document_of(run: Run) -> str:
    """The document a run was started with, for download."""
    return to_json(run.graph())
