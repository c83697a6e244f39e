"""Processes of the command line that a page starts: what a session keeps of one, whether it lives, what it said last."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cortex.processes import process_started


def spawn_cortex(arguments: list[str], log: Path, output: Path | None = None) -> subprocess.Popen[bytes]:
    """The command line in a process of its own; what it says goes to the log, what it prints to `output`."""
    with open(log, "wb") as errors, open(output or os.devnull, "wb") as printed:
        return subprocess.Popen(
            [sys.executable, "-m", "cortex", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=errors,
            start_new_session=True,
            cwd=Path(__file__).parents[1],
            env={**os.environ, "CORTEXNODUS_HOME": str(_home())},
        )


def begin(arguments: list[str], log: Path, output: Path | None = None) -> dict[str, Any]:
    """Start the command line; the job that comes out is plain data, which a session can keep."""
    process = spawn_cortex(arguments, log, output)
    found = {"pid": process.pid, "started": process_started(process.pid), "log": str(log)}
    return found | ({"path": str(output)} if output else {})


def is_alive(job: Mapping[str, Any]) -> bool:
    """Whether the process of a job still runs; an empty one has none."""
    return job.get("started") is not None and process_started(job["pid"]) == job["started"]


def last_line(log: Path | str) -> str:
    """The last thing that a process said; empty where it has said nothing."""
    path = Path(log)
    lines = path.read_text(errors="replace").strip().splitlines() if path.is_file() else []
    return lines[-1] if lines else ""


def _home() -> Path:
    return Path(os.environ.get("CORTEXNODUS_HOME") or ".").absolute()
