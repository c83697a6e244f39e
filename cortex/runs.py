"""The run directory: created by whoever starts a run, filled by one worker, read by everybody else (docs/formats.md)."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex import labels
from cortex.graph import Graph, GraphError, from_document
from cortex.metrics import EventReader
from cortex.processes import as_seconds, oom_kills, worker_alive
from cortex.work_folder import START_GRACE, WorkFolder

FORMAT, VERSION = "cortexnodus/run", 1
CHECKPOINTS = ("best", "last")  # and step-N, where keep_every kept one
REQUESTS = ("stop", "pause", "save")
ENDED = ("finished", "stopped", "failed", "paused")
ACTIVE = ("starting", "queued", "preparing", "running")
RESUMABLE = ("interrupted", "paused", "stopped", "failed")


class RunError(ValueError):
    """No such run, or one that cannot be read or used: which, what was found, what to do."""


@dataclass(frozen=True)
class Run(WorkFolder):
    """A run on disk. Reading it never changes it."""

    def record(self) -> dict[str, Any]:
        """run.json: what the run was started with. RunError when it is damaged or of a newer version."""
        record = self._object("run.json")
        if record.get("format") != FORMAT or record.get("version") != VERSION:
            newer = isinstance(record.get("version"), int) and record["version"] > VERSION and record.get("format") == FORMAT
            hint = f", but {record['version']}: a newer CortexNodus has made it" if newer else ""
            raise RunError(f'{self.path}: run.json is not of format "{FORMAT}" version {VERSION}{hint}')
        if not isinstance(record.get("graph"), dict) or not isinstance(record.get("data"), dict) or "name" not in record:
            raise RunError(f"{self.path}: run.json lacks name, graph or data")
        if not isinstance(record["name"], str):
            raise RunError(f"{self.path}: run.json name: found {type(record['name']).__name__}, expected text")
        return record

    def graph(self) -> Graph:
        """The document that the run was started with."""
        try:
            return from_document(self.record()["graph"], "run.json graph")
        except GraphError as error:
            raise RunError(f"{self.path}: {error}") from None

    def status(self) -> dict[str, Any]:
        """What the worker last wrote of itself; empty when it has written nothing readable."""
        try:
            return self._object("status.json")
        except RunError:
            return {}

    def _object(self, name: str) -> dict[str, Any]:
        try:
            text = (self.path / name).read_text(encoding="utf-8")
            found = json.loads(text)
        except FileNotFoundError:
            raise RunError(f"{self.path}: {name} cannot be read: it is missing") from None
        except UnicodeDecodeError as error:
            raise RunError(f"{self.path}: {name} cannot be read: not UTF-8 at byte {error.start:,}") from None
        except OSError as error:
            raise RunError(f"{self.path}: {name} cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            why = str(error) if text.strip() else "it is empty"
            raise RunError(f"{self.path}: {name} cannot be read: {why}") from None
        if not isinstance(found, dict):
            raise RunError(f"{self.path}: {name} cannot be read: found {type(found).__name__}, expected an object")
        return found

    def state(self, now: float | None = None, status: Mapping[str, Any] | None = None) -> str:
        """starting, queued, preparing, running, finished, stopped, paused, failed or interrupted; computed, never guessed.

        Args:
            status: what the worker wrote of itself, where the caller has read it already.
        """
        status, now = self.status() if status is None else status, time.time() if now is None else now
        state = status.get("state")
        alive = state in ACTIVE and worker_alive(status)
        if not alive and self.on_its_way(now):
            return "starting"
        if state in ENDED:
            return state
        if status.get("pid") is None:
            return "starting" if now - as_seconds(status.get("heartbeat")) < START_GRACE else "interrupted"
        return state if alive else "interrupted"

    def events(self) -> list[dict[str, Any]]:
        """Every whole event of metrics.jsonl in order; a torn or foreign line is passed over."""
        return EventReader(self.path / "metrics.jsonl").read()

    def checkpoint(self, name: str) -> Path:
        return self.path / "checkpoints" / f"{name}.safetensors"

    def kept(self) -> list[str]:
        """The names of its checkpoints: best, last, then those kept for good in the order of their steps."""
        try:
            files = os.listdir(self.path / "checkpoints")
        except OSError:
            return []
        found = {name.removesuffix(".safetensors") for name in files if name.endswith(".safetensors")}
        steps = [name for name in found if re.fullmatch(r"step-[0-9]{1,18}", name)]
        return [*(name for name in CHECKPOINTS if name in found), *sorted(steps, key=lambda name: int(name[5:]))]

    def why_interrupted(self, status: Mapping[str, Any] | None = None) -> str:
        """What is known of the end of a worker that ended without a word."""
        status = self.status() if status is None else status
        before, now = status.get("oom_kills"), oom_kills()
        held = status.get("memory")
        if isinstance(before, int) and now is not None and now > before:
            size = f" (it held {held / 2**20:,.0f} MiB)" if isinstance(held, int) else ""
            return (
                "the system has killed a process for want of memory since this worker's last sign of life; if it was this one"
                f"{size}, try a smaller batch_size, seq_len or model, or accumulate with a smaller batch_size"
            )
        return "its worker was killed, or the machine was switched off"


def list_runs(root: Path) -> list[Run]:
    """The runs below `root`, newest first: every folder that has a run.json, and what is left of one that has lost it."""
    try:
        with os.scandir(root) as entries:
            # A name that is not UTF-8 can stand in no JSON and on no page.
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.name.isprintable()]
    except OSError:
        return []
    return [Run(root / name) for name in sorted(names, reverse=True) if _is_listed(f"{root}/{name}")]


def _is_listed(path: str) -> bool:
    try:
        os.stat(f"{path}/run.json")
        return True
    except PermissionError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        # A run that is just being made has no events yet.
        return os.path.isfile(f"{path}/metrics.jsonl")
    except OSError:
        return False


def find_run(name: str, root: Path) -> Run:
    """The run of that directory, folder name, or name; RunError when there is none or more than one.

    A run that was renamed is found by its new name, and by its old one where no other has that.
    """
    for path in (root / name if _is_plain(name) else Path(name), Path(name)):
        if _is_run(path):
            return Run(path.absolute())
    runs = list_runs(root)
    named = [run for run in runs if summary_name(run) == name] or [run for run in runs if _started_as(run) == name]
    if len(named) > 1:
        raise RunError(f"run {name}: {len(named)} runs have this name; give one of {', '.join(run.id for run in named)}")
    if named:
        return named[0]
    have = f"there are {', '.join(run.id for run in runs[:5])}" + (" …" if len(runs) > 5 else "") if runs else "there are none"
    raise RunError(f"run {name}: not found in {root}; {have}")


def _is_run(path: Path) -> bool:
    try:
        return (path / "run.json").is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def summary_name(run: Run) -> str:
    """The name the user gave the run last; its folder's name where run.json cannot be read."""
    return labels.read(run).name or _started_as(run) or run.id


def _started_as(run: Run) -> str | None:
    try:
        return run.record()["name"].encode("utf-8", "replace").decode()
    except RunError:
        return None


def _is_plain(name: str) -> bool:
    return bool(name) and Path(name).name == name and name not in (".", "..")
