"""Folders of runs that no worker has filled: their events and their status are written by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from conftest import tiny_graph

from cortex.creating import create_run
from cortex.index import Index
from cortex.places import to_json
from cortex.processes import process_started
from cortex.runs import Run


def made(root: Path, name: str = "tiny", state: str = "finished", **training: Any) -> Run:
    run = create_run(root, tiny_graph(root / "text.txt", **training), fingerprint="f", name=name, group="g")
    alive = {"pid": os.getpid(), "pid_started": process_started(os.getpid())}
    (run.path / "status.json").write_text(to_json({"state": state, **alive}))
    add(run, {"event": "start", "steps": 40, "last_step": 40, "source": "CustomData"}, validation(10, 3.0))
    return run


def validation(step: int, loss: Any, **more: Any) -> dict[str, Any]:
    return {"event": "validation", "step": step, "tokens": step * 10, "loss": loss, "elapsed": step / 10} | more


def train(step: int, loss: Any = 1.0, **more: Any) -> dict[str, Any]:
    return {"event": "train", "step": step, "tokens": step * 10, "loss": loss, "elapsed": step / 10} | more


def add(run: Run, *events: Any) -> None:
    with open(run.path / "metrics.jsonl", "a") as file:
        file.writelines((event if isinstance(event, str) else json.dumps(event)) + "\n" for event in events)


def write_events(run: Run, *lines: Any) -> None:
    (run.path / "metrics.jsonl").write_text(
        "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    )


def write_status(run: Run, **facts: Any) -> None:
    (run.path / "status.json").write_text(json.dumps(facts))


def only(root: Path) -> dict[str, Any]:
    (row,) = Index(root).rows()
    return row
