"""Taking a sweep off the disk, alone or with its runs, or out of sight. Loads no torch."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from cortex import labels
from cortex.deleting import Freed, check_deletable, delete_run, what_it_frees
from cortex.runs import ACTIVE, Run
from cortex.sweep import Sweep, SweepError
from cortex.trials import GOING, runs_of, sweep_state

_GOING = ".deleted-"  # beside the runs, where the next deletion of anything removes what a killed one left


@dataclass(frozen=True)
class Goes:
    """What deleting a sweep takes away: bytes of its own folder, its runs, and what deleting these as well would free."""

    octets: int
    runs: tuple[Run, ...]
    with_runs: Freed


def what_goes(sweep: Sweep) -> Goes:
    """What there is of a sweep to be deleted."""
    own = 0
    for place, _, names in os.walk(sweep.path):
        for name in names:
            with contextlib.suppress(OSError):
                own += 512 * os.lstat(os.path.join(place, name)).st_blocks
    runs = tuple(run for _, run in sorted(runs_of(sweep).items()))
    return Goes(own, runs, what_it_frees(runs))


def check_sweep_deletable(sweep: Sweep) -> None:
    """SweepError unless nothing of it is going on."""
    state = sweep_state(sweep)
    if state in GOING:
        raise SweepError(f"sweep {sweep.id} is {state}; stop it before it is deleted")
    for number, run in sorted(runs_of(sweep).items()):
        if run.state() in ACTIVE:
            raise SweepError(f"trial {number} of sweep {sweep.id} is {run.state()}; stop {run.id} before it is deleted")


def delete_sweep(sweep: Sweep, *, with_runs: bool = False) -> None:
    """Delete a sweep that is not going on. Its runs stay as they are unless `with_runs`; they go first, each whole.

    The folder is renamed before it is removed, so that no reader ever meets half a sweep, whenever this is ended.

    Raises:
        RunError: something of it is going on.
        OSError: the disk refuses; what could not be removed is hidden, and tried again at the next deletion.
    """
    check_sweep_deletable(sweep)
    with _no_driver(sweep):
        if with_runs:
            runs = list(runs_of(sweep).values())
            for run in runs:
                check_deletable(run)
            for run in runs:
                delete_run(run)
        hidden = sweep.root / f"{_GOING}{secrets.token_hex(6)}"
        os.rename(sweep.path, hidden)
    shutil.rmtree(hidden)


def archived(sweep: Sweep) -> bool:
    """Whether somebody has put it away: lists leave it out until they are asked for it."""
    return labels.read(sweep).archived


def archive(sweep: Sweep, away: bool) -> None:
    """Put a sweep away, or back. Its runs are not touched.

    Raises:
        LabelError: its labels.json is of a newer version.
    """
    labels.update(sweep, archived=away)


@contextlib.contextmanager
def _no_driver(sweep: Sweep) -> Iterator[None]:
    """Hold the lock that a driver holds while it lives, so that none begins meanwhile."""
    with open(sweep.path / "driver.lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SweepError(f"sweep {sweep.id} has a driver; stop it before it is deleted") from None
        yield
