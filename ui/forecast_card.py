"""The card beside Train: what training will take, and what this machine makes of it where that is measured."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st

from cortex import units
from cortex.builder import Plan
from cortex.forecast import AMBER, GREEN, Forecast, forecast, verdict
from cortex.graph import Graph, model_document, to_json
from cortex.honest import Honesty, honesty
from cortex.metrics import EventReader
from cortex.places import Places, write_atomically
from cortex.room import room
from cortex.run_length import counts
from cortex.store import Prepared
from ui import jobs, notices, session
from ui.plain import plain

_MINE = "forecast.mine"  # the file of the probe that this session started last
_STARTING = threading.Lock()  # two tabs can press at once, each in a thread of its own
_SECONDS = 20  # that a probe takes, about: loading, warming up, six seconds of steps, a part of a validation


@st.cache_resource(show_spinner=False)
def _counter() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "forecast")


@st.cache_resource(show_spinner=False, max_entries=64)
def _counting(key: str, _planned: Plan, tokens: tuple[int, ...]) -> Future[tuple[Forecast | None, Honesty]]:
    """The forecast and the trial of a graph, which are worked out beside the page, once for each graph."""
    return _counter().submit(lambda: (forecast(_planned, *tokens), honesty(_planned)))


def forecast_card(graph: Graph, planned: Plan, prepared: Prepared | None) -> None:
    """Draw the card; nothing while the graph has faults or its text is not prepared."""
    if planned.issues or prepared is None or planned.total is None:
        return
    key = _key(graph, prepared)
    going = _counting(key, planned, counts(prepared))
    with st.container(border=True):
        if not going.done():
            st.fragment(_wait, run_every=0.3)(going)
            return
        found, honest = going.result()
        if found is None:
            return
        _numbers(found, prepared)
        _verdict(found, planned)
        if not honest.ok:
            _leak(honest)
        _measured(graph, found, session.where(), key)


def _wait(going: Future[tuple[Forecast | None, Honesty]]) -> None:
    if going.done():
        st.rerun()
    st.caption("Counting what training will take …")


def _numbers(found: Forecast, prepared: Prepared) -> None:
    table = f"{found.embedding:,} of them in embeddings" if found.embedding else "none of them in embeddings"
    parts = st.columns(5)
    parts[0].metric("Parameters", units.count(found.parameters), help=f"{found.parameters:,}, {table}")
    parts[1].metric("FLOPs a token", units.count(found.flops), help="Forward and back; 6 N + 12 L d T (docs/performance.md).")
    parts[2].metric("Memory at its peak", units.size(found.peak), help=_memory(found))
    parts[3].metric(
        "Tokens a parameter", units.UNKNOWN if found.tokens_per_parameter is None else f"{found.tokens_per_parameter:.2g}",
        help=f"{prepared.count('train'):,} tokens of text; about 20 are usual where each is read once (Hoffmann et al. 2022).",
    )  # fmt: skip
    parts[4].metric("Checkpoints", units.size(found.disk), help="On disk: the best and the last weights, and the state.")
    heavy = [node for node in found.nodes if node.heavy]
    if heavy:
        shares = [
            f"{node.node} {node.parameters / max(1, found.parameters):.0%} of the parameters, "
            f"{units.size(node.activations)} of activations"
            for node in heavy[:3]
        ]
        st.caption(plain(f"Heavy: {'; '.join(shares)}{f'; and {len(heavy) - 3} more' if len(heavy) > 3 else ''}."))


def _memory(found: Forecast) -> str:
    parts = found.footprint
    sizes = {
        "weights": parts.weights, "optimizer": parts.optimizer, "gradients": parts.gradients, "activations": parts.activations,
    }  # fmt: skip
    told = ", ".join(f"{name} {units.size(size)}" for name, size in sizes.items())
    return f"{told[0].upper()}{told[1:]}; the rest is the program and what the allocator keeps."


def _verdict(found: Forecast, planned: Plan) -> None:
    said = verdict(found, room(session.where().runs), planned)
    text = plain(said.message[0].upper() + said.message[1:])
    ways = "".join(f"  \n{plain('Try ' + way)}" for way in said.shrink)
    if said.level == GREEN:
        st.success(f"It fits: {plain(said.message)}.", icon=":material/check_circle:")
    elif said.level == AMBER:
        st.warning(f"It is tight. {text}.{ways}", icon=":material/warning:")
    else:
        st.error(f"It does not fit. {text}.{ways}", icon=":material/error:")


def _leak(honest: Honesty) -> None:
    if honest.error is not None or not honest.leaks:
        st.error(plain(str(honest)), icon=":material/error:")
    for leak in honest.leaks:
        words, mend = st.columns([5, 1], vertical_alignment="center")
        words.error(plain(f"{leak.node}: {leak.message}; {leak.hint}"), icon=":material/visibility:")
        if leak.field:
            mend.button(
                "Make causal", key=f"forecast.causal.{leak.node}", width="stretch",
                on_click=_make_causal, args=(leak.node, leak.field),
            )  # fmt: skip


def _make_causal(node_id: str, field: str) -> None:
    """Its node can have been deleted since, in another tab."""
    session.edit(lambda graph: graph.with_param(node_id, field, True) if node_id in graph else graph)


def _measured(graph: Graph, found: Forecast, where: Places, key: str) -> None:
    """What a probe of this graph has told, or the button that starts one."""
    path = where.jobs / f"probe-{key}.jsonl"
    job = _job(path)
    events = EventReader(path).read() if path.exists() else []
    told = next((event for event in events if event.get("event") == "probe"), None)
    if jobs.is_alive(job) and told is None:
        st.fragment(_watch, run_every=0.5)(path, job)
        return
    words, go = st.columns([4.2, 1.8], vertical_alignment="center")
    if told:
        words.markdown(_found(told, found))
    elif job:
        words.caption(plain(_why(path)))
    else:
        words.caption(f"How fast is that here? Takes about {_SECONDS} s of both cores; nothing is kept.")
    go.button(
        "Measure again" if told else "Measure on this machine", key="forecast.probe", width="stretch", icon=":material/speed:",
        on_click=_start, args=(graph, path, where), help=f"Trains a few steps, about {_SECONDS} s.",
    )  # fmt: skip


def _found(told: dict[str, Any], found: Forecast) -> str:
    run, epoch = told.get("minutes_per_run"), told.get("minutes_per_epoch")
    spans = f"an epoch {units.duration(60 * epoch)}, the run {units.duration(60 * run)}" if run else ""
    return (
        f"**{told['tokens_per_second']:,.0f} tokens/s** here: {spans}. Measured over {told['steps']} steps of "
        f"{told['seconds_per_step']:.2f} s; {units.size(told['peak_memory'])} of memory at its peak."
    )


def _watch(path: Path, job: dict[str, int]) -> None:
    if _job(path) != job or not jobs.is_alive(job):  # Cancel runs this fragment alone
        st.rerun()
    done = sum(event.get("event") == "step" for event in EventReader(path).read())
    words, stop = st.columns([4.2, 1.8], vertical_alignment="center")
    words.status(f"Measuring: {done} steps made" if done else "Loading torch and the text", state="running")
    stop.button("Cancel", key="forecast.cancel", width="stretch", on_click=_cancel, args=(path,), icon=":material/close:")


def _job(path: Path) -> dict[str, int]:
    """The process of a probe, `pid` and `started`, beside its file, so that every tab and a reload know it; empty for none."""
    try:
        job = json.loads(path.with_suffix(".job").read_text())
        return {"pid": int(job["pid"]), "started": int(job["started"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _start(graph: Graph, path: Path, where: Places) -> None:
    """Start a probe of this graph, unless one is going on; one that this session has left behind is ended."""
    with _STARTING:
        if jobs.is_alive(_job(path)):
            return
        before = st.session_state.pop(_MINE, None)
        if before and before != str(path):
            _cancel(Path(before))
        try:
            where.jobs.mkdir(parents=True, exist_ok=True)
            document = path.with_suffix(".json")
            write_atomically(document, to_json(graph), durable=False)
            path.unlink(missing_ok=True)
            job = jobs.begin(["probe", str(document), "--json"], path.with_suffix(".log"), output=path)
            write_atomically(path.with_suffix(".job"), json.dumps(job), durable=False)
        except OSError as error:
            notices.notify(f"It could not be measured: {error.strerror}: {where.jobs}")
            return
        st.session_state[_MINE] = str(path)


def _cancel(path: Path) -> None:
    """End the probe; one that has told already keeps what it told."""
    job = _job(path)
    if not jobs.is_alive(job):
        return
    with suppress(ProcessLookupError):
        os.kill(job["pid"], signal.SIGTERM)
    path.with_suffix(".job").unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _why(path: Path) -> str:
    return f"It could not be measured: {jobs.last_line(path.with_suffix('.log')) or 'the process ended without a word'}"


def _key(graph: Graph, prepared: Prepared) -> str:
    """What the forecast of a graph hangs on: model, training and text, not its name nor where its boxes stand."""
    facts = json.dumps([model_document(graph), prepared.fingerprint], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
