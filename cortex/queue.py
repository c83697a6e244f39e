"""Runs that wait for one another: each takes a ticket when it is created and a slot when its turn has come.

There is no server of the queue: every waiting worker looks for itself, and the kernel frees a slot when its holder ends,
however that happens. Loads no torch, so waiting costs little memory.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from cortex.runs import Run

_FOLDER = ".queue"
_LOOK_SECONDS = 0.3


def slots(environment: Mapping[str, str] = os.environ) -> int:
    """How many runs may train at once: CORTEXNODUS_SLOTS, 1 where it is not set. Two that share a processor slow each other."""
    text = environment.get("CORTEXNODUS_SLOTS", "")
    return max(1, int(text)) if text.isdecimal() else 1


def take_ticket(run: Run) -> None:
    """Put a run at the end of the queue."""
    folder = _folder(run)
    folder.mkdir(exist_ok=True)
    (folder / f"{time.time_ns():020d}~{run.id}").touch()


def waiting_before(run: Run) -> list[Run]:
    """The runs that are to have a slot before this one, first come first; tickets of the dead are taken away."""
    before: list[Run] = []
    for ticket in sorted(_folder(run).glob("*~*")):
        name = ticket.name.partition("~")[2]
        if name == run.id:
            return before
        other = Run(run.path.parent / name)
        if other.state() in ("starting", "queued"):
            before.append(other)
        else:
            ticket.unlink(missing_ok=True)
    return before


def take_slot(run: Run, on_wait: Callable[[str], None]) -> IO[str]:
    """Wait until it is this run's turn; the slot is held as long as the file that comes out is open.

    Args:
        on_wait: called again and again with a word on what is waited for; it can end the waiting by raising.
    """
    folder = _folder(run)
    folder.mkdir(exist_ok=True)
    try:
        while True:
            if not _tickets(run):  # resumed from a terminal, or so slow to start that it was given up
                take_ticket(run)
            before = waiting_before(run)
            if not before and (slot := _free_slot(folder)):
                return slot
            on_wait(_place(len(before)))
            time.sleep(_LOOK_SECONDS)
    finally:
        for ticket in _tickets(run):
            ticket.unlink(missing_ok=True)


def _tickets(run: Run) -> list[Path]:
    return [ticket for ticket in _folder(run).glob("*~*") if ticket.name.partition("~")[2] == run.id]


def _place(before: int) -> str:
    if not before:
        return "next, as soon as a running one ends"
    return f"{before} {'run waits' if before == 1 else 'runs wait'} before it"


def _free_slot(folder: Path) -> IO[str] | None:
    for number in range(slots()):
        file = open(folder / f"slot-{number}.lock", "w")  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            file.close()
    return None


def _folder(run: Run) -> Path:
    return run.path.parent / _FOLDER
