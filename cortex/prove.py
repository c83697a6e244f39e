"""Trains a graph in the app and as an exported script, one after the other, and lays their losses side by side."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from cortex.builder import PlanError, plan
from cortex.export import graph_of_run, script
from cortex.graph import Graph, to_json
from cortex.graph_source import placed, source_node
from cortex.runs import Run

_PROJECT = Path(__file__).parents[1]
_LOOK_SECONDS = 0.3
_TOLD = ("train", "validation")


class ProofError(RuntimeError):
    """The proof came to no end: which of the two failed, and what it said."""


@dataclass(frozen=True)
class Row:
    """A loss of both, in nats per token: `what` is train or validation. None where one has not told it, or not yet."""

    what: str
    step: int
    app: float | None = None
    script: float | None = None

    @property
    def equal(self) -> bool:
        """Whether both have told it and every bit of it is the same."""
        return self.app is not None and self.app == self.script


def prove(subject: Graph | Run, store: Path, *, steps: int = 20, time_limit: float = 900.0) -> list[Row]:
    """The losses of each of so many first steps, and of the validation after them, in the app and in the script.

    Args:
        subject: a graph, or a run, whose graph and threads are taken.
        store: prepared data sets; the text is prepared there where it is not yet.
        time_limit: seconds for both together.

    Raises:
        PlanError: the graph has issues.
        RunError: the run cannot be read.
        ProofError: one of the two failed, or both took too long.
    """
    *_, rows = proving(subject, store, steps=steps, time_limit=time_limit)
    return rows


def proving(subject: Graph | Run, store: Path, *, steps: int = 20, time_limit: float = 900.0) -> Iterator[list[Row]]:
    """The same as it goes on: all rows so far, several times a second. Whoever stops reading ends what was started."""
    graph = graph_of_run(subject) if isinstance(subject, Run) else subject
    if plan(graph).issues:
        raise PlanError(plan(graph).issues)
    # How a time budget is spent hangs on the clock, so it is left out of both.
    graph = replace(graph, training={key: value for key, value in graph.training.items() if key != "max_minutes"})
    source, options = source_node(graph), []
    if source.params.get("path"):
        path = placed(source.params["path"])
        graph, options = graph.with_param(source.id, "path", path), ["--data", path]
    rows: dict[tuple[str, int], Row] = {}
    deadline = time.monotonic() + time_limit
    with tempfile.TemporaryDirectory(prefix="cortexnodus-proof-") as name:
        folder = Path(name)
        for who, command, environment in (
            _in_the_app(graph.with_training("log_every", 1), folder, store, steps),
            _as_a_script(graph, folder, steps, options),
        ):
            for event in _events(who, command, environment, folder, deadline):
                if event and event.get("event") in _TOLD:
                    key = event["event"], event["step"]
                    side = "app" if who == "the app" else "script"
                    rows[key] = replace(rows.get(key, Row(*key)), **{side: event["loss"]})
                yield list(rows.values())


def _in_the_app(graph: Graph, folder: Path, store: Path, steps: int) -> tuple[str, list[str], dict[str, str]]:
    home, document = folder / "home", folder / "graph.json"
    store.mkdir(parents=True, exist_ok=True)
    (home / "workspace").mkdir(parents=True)
    (home / "workspace" / "store").symlink_to(store.absolute())
    document.write_text(to_json(graph), encoding="utf-8")
    command = [sys.executable, "-m", "cortex", "train", str(document), "--json", "--max-steps", str(steps)]
    return "the app", command, {**os.environ, "CORTEXNODUS_HOME": str(home), "PYTHONPATH": str(_PROJECT)}


def _as_a_script(graph: Graph, folder: Path, steps: int, options: list[str]) -> tuple[str, list[str], dict[str, str]]:
    file = folder / "script.py"
    file.write_text(script(graph), encoding="utf-8")
    command = [sys.executable, "-I", str(file), "--json", "--log-every", "1", "--steps", str(steps), *options]
    return "the script", command, dict(os.environ)


def _events(who: str, command: list[str], environment: dict[str, str], folder: Path, deadline: float) -> Iterator[dict | None]:
    """What a process tells as JSON lines, None now and then in between; it is dead when this ends, however that happens."""
    empty, faults = folder / f"empty-{who}", folder / "faults.txt"
    empty.mkdir()
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    with open(faults, "w") as errors:
        child = subprocess.Popen(
            command, cwd=empty, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            start_new_session=True, text=True, encoding="utf-8",
        )  # fmt: skip
    reader = threading.Thread(target=_read, args=(child.stdout, lines), daemon=True)
    reader.start()
    try:
        while line := _next(lines):
            if time.monotonic() > deadline:
                raise ProofError(f"{who} did not come to an end in the time that was given; try a smaller model or fewer steps")
            yield json.loads(line) if line.startswith("{") else None
        if child.wait() != 0:
            said = faults.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise ProofError(f"{who} failed: {said[-1] if said else f'exit status {child.returncode}'}")
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        reader.join()
        child.stdout.close()


def _read(stream: IO[str], lines: queue.SimpleQueue[str]) -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def _next(lines: queue.SimpleQueue[str]) -> str:
    """The next line, a lone line end when none has come for a while, an empty text after the last."""
    try:
        return lines.get(timeout=_LOOK_SECONDS)
    except queue.Empty:
        return "\n"
