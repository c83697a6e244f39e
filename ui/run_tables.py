"""The tables of a run's page: its settings, what happened to it, and the machine it ran on."""

from __future__ import annotations

import time
from typing import Any

import pandas as pd
import streamlit as st

from cortex import units
from cortex.graph import Graph
from cortex.graph_settings import settings as settings_of
from cortex.origin import moment_text, origin
from cortex.runs import ACTIVE, Run, RunError
from cortex.timeline import timeline
from ui import reading
from ui.plain import plain


def settings(run: Run) -> None:
    """Every setting that the run was started with; those that the document sets first asked for, defaults on demand."""
    try:
        graph = run.graph()
    except RunError as error:
        st.error(plain(error), icon=":material/error:")
        return
    given = _given(graph)
    every = st.toggle("Defaults too", key="run.defaults", help="Settings that the document leaves at their default.")
    found = {name: value for name, value in settings_of(graph).items() if every or name in given}
    frame = pd.DataFrame({"setting": list(found), "value": [str(value) for value in found.values()]})
    st.dataframe(frame, hide_index=True, width="stretch", height=min(38 + 35 * max(1, len(frame)), 500))


def _given(graph: Graph) -> set[str]:
    """Names of the settings that a document has, and its node kinds."""
    names = {f"training.{name}" for name in graph.training}
    for node in graph.nodes:
        names |= {node.id, *(f"{node.id}.{name}" for name in node.params)}
    return names


def history(run: Run) -> None:
    """What happened, in order, with the time since the first."""
    moments = timeline(run, reading.columns(run).others)
    if not moments:
        st.caption("Nothing is known of what happened to this run.")
        return
    first = next((moment.time for moment in moments if moment.time is not None), None)
    frame = pd.DataFrame(
        {
            "when": [moment_text(moment.time) for moment in moments],
            "after": [
                units.UNKNOWN if moment.time is None or first is None else units.duration(moment.time - first)
                for moment in moments
            ],
            "what": [moment.what for moment in moments],
            "": [moment.text for moment in moments],
        }
    )
    widths = {"when": 160, "after": 100, "what": 110}
    st.dataframe(
        frame, hide_index=True, width="stretch", height=min(38 + 35 * len(frame), 420),
        column_config={name: st.column_config.TextColumn(width=width) for name, width in widths.items()},
    )  # fmt: skip


def system(run: Run, row: dict[str, Any]) -> None:
    """Memory, threads, device, processes, versions and machine; what is not recorded is a dash."""
    status = run.status()
    facts = {"memory of its process": _memory(status, row["state"]), **origin(run, reading.columns(run).others)}
    facts |= {"process": _process(status, row["state"]), "disk": units.size(_on_disk(run))}
    names = {
        "cortexnodus": "CortexNodus", "python": "Python", "torch": "PyTorch", "system": "operating system",
        "cores": "processor cores", "threads": "threads of a process", "compiled": "compiled by torch",
    }  # fmt: skip
    frame = pd.DataFrame({"": [names.get(name, name) for name in facts], "value": list(facts.values())})
    st.dataframe(frame, hide_index=True, width="stretch", height=38 + 35 * len(frame))


def _memory(status: dict[str, Any], state: str) -> str:
    held, beat = status.get("memory"), status.get("heartbeat")
    if not isinstance(held, (int, float)):
        return units.UNKNOWN
    ago = time.time() - beat if isinstance(beat, (int, float)) else None
    when = f", {units.duration(ago)} ago" if state in ACTIVE and ago is not None else ", when it last said so"
    return f"{units.size(held)}{when}"


def _process(status: dict[str, Any], state: str) -> str:
    pid, host = status.get("pid"), status.get("host")
    if not isinstance(pid, int):
        return "no worker has taken it up"
    return f"{pid}{f' on {host}' if isinstance(host, str) else ''}" + ("" if state in ACTIVE else ", ended")


def _on_disk(run: Run) -> int:
    """Bytes of all files of the run; one file under two names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for path in run.path.rglob("*"):
        try:
            found = path.lstat()
        except OSError:
            continue
        seen[found.st_dev, found.st_ino] = found.st_size if path.is_file() else 0
    return sum(seen.values())
