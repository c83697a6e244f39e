"""What is asked of a worker: by a file in its requests folder, by Ctrl-C or by SIGTERM. Loads no torch."""

from __future__ import annotations

import time

from cortex.runs import Run
from cortex.signals import Signals

_LOOK_SECONDS = 0.2  # a look at the disk, not at every step of a fast model


class Stopped(Exception):
    """The user asked to stop or to pause before training had begun; its text is the state to end in."""


class Asked:
    """The requests of a run, looked at now and then. A first signal asks to stop, a second one ends the process."""

    def __init__(self, run: Run) -> None:
        self._run, self._looked = run, 0.0
        self._found: set[str] = set()
        self._signals = Signals()
        self._signals.take()

    def stop(self) -> bool:
        return self._signals.heard or "stop" in self._look()

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
        self._signals.release()

    def _look(self) -> set[str]:
        now = time.monotonic()
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            self._found |= self._run.requests()
        return self._found
