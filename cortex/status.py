"""status.json of a run: what its worker says of itself. Loads no torch, so a run is claimed the moment its process starts."""

from __future__ import annotations

import fcntl
import os
import platform
import threading
import time
from datetime import datetime
from typing import IO, Any

from cortex.places import to_json, write_atomically
from cortex.processes import oom_kills, process_started
from cortex.runs import REQUESTS, Run, RunError

_HEARTBEAT_SECONDS = 2.0


class Status:
    """status.json of a run: what the worker says of itself, with a heartbeat from a thread of its own.

    Args:
        again: take up a run that had a worker before: one that was interrupted, paused, stopped or has failed.

    Raises:
        RunError: another worker has this run, or it is not one that can be taken up.
    """

    def __init__(self, run: Run, *, again: bool = False) -> None:
        before = run.status() if again else {}
        self._claim = _claim(run, again)
        self._path = run.path / "status.json"
        self._lock = threading.Lock()
        self._ended = threading.Event()
        pid = os.getpid()
        self._facts: dict[str, Any] = {
            "state": "starting", "pid": pid, "pid_started": process_started(pid), "host": platform.node(),
            "step": 0, "message": "", "error": None,
        }  # fmt: skip
        # Stopped by its sweep's rule and taken up again all the same: it is not judged a second time.
        if before.get("insisted") or (before.get("why") and before.get("state") == "stopped"):
            self._facts["insisted"] = True
        # Whoever asked for this worker took the old marks away before; a stop that stands there now was asked since.
        for what in (*REQUESTS, "resume") if again and not run.requested("resume") else ("resume",):
            run.answer(what)
        self.set()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def set(self, **facts: Any) -> None:
        """Change some facts and write them all."""
        with self._lock:
            self._facts |= facts | {"memory": _memory(), "oom_kills": oom_kills()}
            content = to_json({**self._facts, "heartbeat": time.time()})
            try:
                write_atomically(self._path, content, durable="state" in facts)
            except OSError:
                # A full disk has no room for a second file, but the block that the first one holds can be written again.
                self._write_in_place(content)

    def say(self, state: str, message: str) -> None:
        """State and message, written when they have changed."""
        if (self._facts["state"], self._facts["message"]) != (state, message):
            self.set(state=state, message=message)

    def note(self, **facts: Any) -> None:
        """Change some facts; the next heartbeat writes them."""
        with self._lock:
            self._facts |= facts

    def end(self, state: str, error: str | None = None) -> None:
        self._ended.set()
        self._thread.join()
        self.set(state=state, message="", error=error, ended=datetime.now().astimezone().isoformat(timespec="seconds"))
        self._claim.close()

    def _write_in_place(self, content: str) -> None:
        with open(self._path, "r+b") as file:
            file.write(content.encode())
            file.truncate()

    def _beat(self) -> None:
        while not self._ended.wait(_HEARTBEAT_SECONDS):
            try:
                self.set()
            except OSError as error:  # a full disk: the run itself will meet it and say so
                print(f"status.json cannot be written: {error}", flush=True)


def _memory() -> int | None:
    """Bytes of memory that this process holds; None where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def _claim(run: Run, again: bool) -> IO[str]:
    """The run's lock, held as long as the process lives; RunError when another worker has it, or had it and not `again`."""
    file = open(run.path / "worker.lock", "w")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        before = run.status()
        if before.get("pid") is not None and not again:
            raise RunError(f"run {run.id} has had a worker already; it is {run.state()}")
        if again and before.get("state") == "finished":
            raise RunError(f"run {run.id} is finished; extend it to train it further")
    except BlockingIOError:
        file.close()
        raise RunError(f"run {run.id} has a worker already") from None
    except RunError:
        file.close()
        raise
    return file
