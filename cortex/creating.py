"""A new run directory: its name, what run.json says of the run and of the machine."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from cortex import __version__
from cortex.graph import Graph, to_document
from cortex.places import dated_folder, to_json, write_atomically
from cortex.runs import FORMAT, VERSION, Run


def create_run(
    root: Path,
    graph: Graph,
    *,
    fingerprint: str,
    training: Mapping[str, Any] | None = None,
    name: str | None = None,
    max_steps: int | None = None,
    parent: str | None = None,
    group: str | None = None,
    sweep: Mapping[str, Any] | None = None,
    launcher: Mapping[str, Any] | None = None,
) -> Run:
    """A new run directory with run.json and a first status; whoever calls this starts a worker on it next.

    Args:
        training: every training setting with its value, also those that the graph leaves at their default.
        parent: the run that this one goes on from.
        group: a name shared by runs that differ in their seed alone.
        sweep: the `id` of the sweep that this run is a trial of, its number `trial`, and the `values` that it tries.
        launcher: the process that starts this run's workers again when they fail.
    """
    name = (name or graph.name).strip() or "run"
    created = datetime.now().astimezone()
    root.mkdir(parents=True, exist_ok=True)
    path = dated_folder(root, created, name, "run")
    record = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "created": created.isoformat(timespec="seconds"),
        "order": time.time_ns(),
        "parent": parent,
        "group": group,
        "sweep": dict(sweep) if sweep else None,
        "launcher": dict(launcher) if launcher else None,
        "graph": to_document(graph),
        "training": dict(training or graph.training),
        "max_steps": max_steps,
        "data": {"fingerprint": fingerprint},
        "versions": _versions(),
        "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
    }
    try:
        (path / "checkpoints").mkdir()
        (path / "requests").mkdir()
        write_atomically(path / "status.json", to_json({"state": "starting", "pid": None, "heartbeat": time.time()}))
        # Last: a folder without run.json is not a run, so a reader never meets half of one.
        write_atomically(path / "run.json", to_json(record))
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return Run(path)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {"cortexnodus": __version__, "python": platform.python_version(), "torch": version("torch")}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
