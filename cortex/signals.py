"""Ctrl-C and SIGTERM, heard by a process that has something to bring to an end first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Signals:
    """Once taken, the first signal is noted, and a second one ends the process. A thread that is not the main one has none."""

    def __init__(self) -> None:
        self.heard = False
        self._before: dict[int, Any] = {}

    def take(self) -> None:
        """Hear them from now on."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}

    def release(self) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hear them while this lasts."""
        self.take()
        try:
            yield
        finally:
            self.release()

    def _on_signal(self, number: int, frame: Any) -> None:
        if self.heard:
            raise KeyboardInterrupt
        self.heard = True
