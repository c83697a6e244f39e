"""What is asked of a worker: by a file in its requests folder, by Ctrl-C or by SIGTERM. Loads no torch."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

from cortex.runs import Run

_LOOK_SECONDS = 0.2  # a look at the disk, not at every step of a fast model


class Stopped(Exception):
    """The user asked to stop or to pause before training had begun; its text is the state to end in."""


class Asked:
    """The requests of a run, looked at now and then. A first signal asks to stop, a second one ends the process."""

    def __init__(self, run: Run) -> None:
        self._run, self._signalled, self._looked = run, False, 0.0
        self._found: set[str] = set()
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(self) -> bool:
        return self._signalled or "stop" in self._look()

    def pause(self) -> bool:
        return "pause" in self._look()

    def save(self) -> bool:
        return "save" in self._look()

    def answered(self, what: str) -> None:
        """A request has been done."""
        self._run.answer(what)
        self._found.discard(what)

    def release(self) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _look(self) -> set[str]:
        now = time.monotonic()
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            self._found |= self._run.requests()
        return self._found

    def _on_signal(self, number: int, frame: Any) -> None:
        if self._signalled:
            raise KeyboardInterrupt
        self._signalled = True
