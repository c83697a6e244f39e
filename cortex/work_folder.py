"""A folder that one process fills: everybody may read it, and ask for something by a file in its `requests`."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from cortex.places import write_atomically
from cortex.processes import worker_alive

# Seconds in which a process that was started may claim its folder: a worker does so before it loads torch.
START_GRACE = 10.0


@dataclass(frozen=True)
class WorkFolder:
    """The folder of a run or a sweep. Reading it never changes it."""

    path: Path

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    def request(self, what: str) -> None:
        """Ask the process for something; it answers by doing it."""
        folder = self.path / "requests"
        folder.mkdir(exist_ok=True)
        write_atomically(folder / what, "")

    def requested(self, what: str) -> bool:
        return (self.path / "requests" / what).exists()

    def asked_at(self, what: str) -> float:
        """When somebody last asked for this, `resume` for a process to take the work up again; 0 where it is not asked for."""
        try:
            return os.stat(self.path / "requests" / what).st_mtime
        except OSError:
            return 0.0

    def on_its_way(self, now: float) -> bool:
        """Whether a process was started that has not claimed this folder yet: a moment ago, or it lives.

        On a machine with much to do that can take a minute; the one who claims takes the mark away.
        """
        mark = self.path / "requests" / "resume"
        try:
            asked = os.stat(mark).st_mtime
            return now - asked < START_GRACE or worker_alive(json.loads(mark.read_text()))
        except (OSError, ValueError, AttributeError):
            return False

    def requests(self) -> set[str]:
        """All that is asked of the process now."""
        try:
            return set(os.listdir(self.path / "requests"))
        except OSError:
            return set()

    def answer(self, what: str) -> None:
        """Take a request away, since it has been done."""
        (self.path / "requests" / what).unlink(missing_ok=True)

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of what the process said."""
        try:
            with open(self.path / "log.txt", "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 200 * lines))
                return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""
