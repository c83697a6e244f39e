"""The command that trains a run once more, to the same losses: from what its run directory says, never from a form."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex.builder import TRAINING
from cortex.export import graph_of_run
from cortex.graph import Graph
from cortex.params import complete
from cortex.runs import Run, RunError

SAME = "bit for bit on the same text, version, device and number of threads"


@dataclass(frozen=True)
class Repeat:
    """`words` of a shell command, none where there is no such command; `note` says what it needs or why there is none."""

    words: tuple[str, ...]
    note: str

    def __str__(self) -> str:
        return shlex.join(self.words)


def repeat(
    run: Run,
    events: Sequence[Mapping[str, Any]] | None = None,
    *,
    home: str | None = None,
    here: Path | None = None,
) -> Repeat:
    """The command, for a shell in the project's folder.

    Length and threads are given where the document leaves them to the machine: the steps that a time budget came to, the
    threads that training had. A setting that the document leaves out and whose default was another one then is given as well.

    Args:
        events: what the caller has read of metrics.jsonl already; those that are no points will do.
        home: what CORTEXNODUS_HOME is for this application, where it is set; the new run is kept there too.
        here: the folder that a path is given relative to, where the run is below it; the working directory.
    """
    events = run.events() if events is None else events
    try:
        record, graph = run.record(), graph_of_run(run, events)
    except RunError as error:
        return Repeat((), str(error))
    before = (f"CORTEXNODUS_HOME={home}",) if home else ()
    if record.get("parent"):
        return _extended(run, record, graph, events, before, here)
    begun = next((event for event in events if event["event"] == "start"), {})
    processes = begun.get("processes")
    several = isinstance(processes, int) and processes > 1
    start = ("torchrun", "--nproc-per-node", str(processes), "-m", "cortex") if several else ("python", "-m", "cortex")
    words = [*before, *start, "train", _path(run.path / "run.json", here)]
    for name, value in _settings(record, run.graph(), graph).items():
        words += ["--set", f"training.{name}={value}"]
    words += ["--name", str(record["name"])] if record["name"] != graph.name else []
    words += ["--max-steps", str(record["max_steps"])] if record.get("max_steps") else []
    note = f"Repeats the losses {SAME}."
    if several:
        note = "Trained by several processes: with dropout each draws its own, so the losses are as good but not the same."
    return Repeat(tuple(words), note)


def _extended(
    run: Run,
    record: Mapping[str, Any],
    graph: Graph,
    events: Sequence[Mapping[str, Any]],
    before: Sequence[str],
    here: Path | None,
) -> Repeat:
    """A run that went on where another had ended is repeated by extending that one again."""
    parent, begun = record["parent"], next((event for event in events if event.get("parent")), {})
    if not isinstance(parent, str) or Path(parent).name != parent or not (run.path.parent / parent / "run.json").is_file():
        return Repeat((), f"It went on where run {parent} had ended, which is not there any more; it cannot be repeated.")
    steps, first = graph.training.get("steps"), begun.get("step")
    if not isinstance(steps, int) or not isinstance(first, int) or steps <= first:
        return Repeat((), f"It goes on where run {parent} had ended; the command is known once it has begun.")
    words = (*before, "python", "-m", "cortex", "extend", _path(run.path.parent / parent, here))
    words += ("--steps", str(steps - first), "--name", str(record["name"]))
    return Repeat(words, f"Repeats the losses {SAME}, as long as run {parent} has not been trained on since.")


def _settings(record: Mapping[str, Any], document: Graph, graph: Graph) -> dict[str, Any]:
    """Training settings that the document does not have, or has otherwise than the run."""
    told = record.get("training")
    was = {name: value for name, value in told.items() if name in TRAINING} if isinstance(told, Mapping) else {}
    was |= {name: value for name, value in graph.training.items() if document.training.get(name) != value}
    now = complete(TRAINING, document.training)
    return {name: value for name, value in was.items() if value != now.get(name)}


def _path(path: Path, here: Path | None) -> str:
    here = here or Path.cwd()
    return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)
