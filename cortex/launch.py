"""Starts the workers of runs: every training, from a page or a terminal, is `python -m cortex train RUN` or `resume RUN`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

from cortex.builder import train_config
from cortex.creating import create_run
from cortex.graph import Graph
from cortex.places import to_json
from cortex.processes import process_started
from cortex.queue import take_ticket
from cortex.runs import ACTIVE, REQUESTS, RESUMABLE, Run, RunError, summary_name
from cortex.sweep import Sweep

_PROJECT = Path(__file__).parents[1]


def create(graph: Graph, fingerprint: str, root: Path, *, name: str | None = None, **facts: object) -> Run:
    """A new run at the end of the queue; `facts` go to `create_run`. Nobody works on it yet."""
    settings = asdict(train_config(graph))
    run = create_run(root, graph, fingerprint=fingerprint, training=settings, name=name, **facts)
    take_ticket(run)
    return run


def create_seeds(
    graph: Graph, fingerprint: str, root: Path, count: int, *, name: str | None = None, **facts: object
) -> list[Run]:
    """`count` runs that differ in their seed alone, from the graph's own seed on, and share a group."""
    first, name = train_config(graph).seed, name or graph.name
    group = f"{name} {datetime.now():%Y-%m-%d %H:%M:%S}"
    return [
        create(
            graph.with_training("seed", seed), fingerprint, root, name=f"{name}, seed {seed}", group=group, **facts
        )
        for seed in range(first, first + count)
    ]  # fmt: skip


def extend(parent: Run, *, steps: int = 0, epochs: int = 0, name: str | None = None) -> Run:
    """A new run at the end of the queue that goes on where another ended, for so many more steps or epochs.

    Its schedule is that of the longer run, from the step on at which the other ended.

    Raises:
        RunError: the other is still going on, or has no checkpoint to go on from.
    """
    from cortex.checkpoints import inherit, step_to_go_on_from

    state = parent.state()
    if state in ACTIVE:
        raise RunError(f"run {parent.id} is {state}; extend it when it has ended")
    done = step_to_go_on_from(parent)
    per_epoch = next((event.get("steps_per_epoch") for event in parent.events() if event["event"] == "start"), None)
    if epochs and not per_epoch:
        raise RunError(f"run {parent.id} does not say how long an epoch is; give steps instead")
    graph = parent.graph()
    kept = {key: value for key, value in graph.training.items() if key not in ("epochs", "max_minutes")}
    graph = replace(graph, training={**kept, "steps": done + steps + epochs * (per_epoch or 0)})
    fingerprint = parent.record()["data"]["fingerprint"]
    child = create(graph, fingerprint, parent.path.parent, name=name or f"{summary_name(parent)}, extended", parent=parent.id)
    inherit(parent, child)
    return child


def spawn(run: Run) -> subprocess.Popen[bytes]:
    """Start a worker on a run that was created; it goes on whatever happens to this process."""
    run.request("resume")  # the state is "starting" until the worker is there
    return _spawn("train", str(run.path), log=run.path)


def spawn_sweep(sweep: Sweep) -> subprocess.Popen[bytes]:
    """Start a driver on a sweep that was created, or left; it goes on whatever happens to this process."""
    sweep.request("resume")
    return _spawn("sweep", "--resume", str(sweep.path), log=sweep.path)


def spawn_resume(run: Run) -> subprocess.Popen[bytes]:
    """Start a worker on a run that is interrupted, paused, stopped or has failed; it goes on from its last checkpoint."""
    check_resumable(run)
    take_ticket(run)
    for what in REQUESTS:  # what ended it is not asked of the next worker
        run.answer(what)
    run.request("resume")
    return _spawn("resume", str(run.path), log=run.path)


def check_resumable(run: Run) -> None:
    """RunError unless a worker may take this run up again."""
    state = run.state()
    if state not in RESUMABLE:
        hint = "; extend it to train it further" if state == "finished" else ""
        raise RunError(f"run {run.id} is {state}; only a run that is {', '.join(RESUMABLE)} can be resumed{hint}")


def _spawn(*arguments: str, log: Path) -> subprocess.Popen[bytes]:
    with open(log / "log.txt", "ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "cortex", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            cwd=_PROJECT,
            env={**os.environ, "CORTEXNODUS_HOME": str(Path(os.environ.get("CORTEXNODUS_HOME") or ".").absolute())},
        )
    with contextlib.suppress(FileNotFoundError), open(log / "requests" / "resume", "r+") as mark:  # it may have come already
        mark.write(to_json({"pid": process.pid, "pid_started": process_started(process.pid), "heartbeat": time.time()}))
    return process
