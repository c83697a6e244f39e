"""Taking runs off the disk, whole or not at all. Loads no torch."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cortex.run_summary import recorded
from cortex.runs import ACTIVE, Run, RunError, list_runs

_GOING = ".deleted-"  # what a folder is called from the moment on at which it is no run any more


@dataclass(frozen=True)
class Freed:
    """What deleting some runs gives back.

    `shared` are bytes of weights that stay, since other runs have the same file; `children` are runs that went on from one
    of these: they have weights of their own and go on as they are.
    """

    octets: int
    shared: int
    children: tuple[str, ...]


def what_it_frees(runs: Sequence[Run]) -> Freed:
    """What deleting these runs would free. Files that cannot be looked at count nothing."""
    links: dict[tuple[int, int], list[int]] = {}  # of each file: its bytes on disk, its names, how many of them are ours
    for run in runs:
        for path in _files(run.path):
            with contextlib.suppress(OSError):
                found = os.lstat(path)
                links.setdefault((found.st_dev, found.st_ino), [512 * found.st_blocks, found.st_nlink, 0])[2] += 1
    octets = sum(size for size, names, ours in links.values() if ours >= names)
    shared = sum(size for size, names, ours in links.values() if ours < names)
    gone = {run.id for run in runs}
    roots = dict.fromkeys(run.path.parent for run in runs)
    others = [other for root in roots for other in list_runs(root) if other.id not in gone]
    return Freed(octets, shared, tuple(other.id for other in others if recorded(other).get("parent") in gone))


def check_deletable(run: Run) -> None:
    """RunError unless the run has ended."""
    state = run.state()
    if state in ACTIVE:
        raise RunError(f"run {run.id} is {state}; stop it before it is deleted")


def delete_run(run: Run) -> None:
    """Delete a run that is not going on. A run that went on from it keeps working: its weights are its own.

    The folder is renamed first, so that no reader ever meets half a run, whenever this is ended.

    Raises:
        RunError: it is going on.
        OSError: the disk refuses; what could not be removed is hidden, and tried again at the next deletion.
    """
    check_deletable(run)
    root = run.path.parent
    hidden = root / f"{_GOING}{secrets.token_hex(6)}"
    with _no_worker(run):
        os.rename(run.path, hidden)
    with contextlib.suppress(OSError):
        (root / ".index" / f"{run.id}.json").unlink(missing_ok=True)
    _remove(hidden)
    for left in root.glob(f"{_GOING}*"):  # of a deletion that was killed
        with contextlib.suppress(OSError):
            _remove(left)


@contextlib.contextmanager
def _no_worker(run: Run) -> Iterator[None]:
    """Hold the lock that a worker holds while it lives, so that none takes the run up meanwhile."""
    try:
        lock = open(run.path / "worker.lock", "a")  # noqa: SIM115
    except OSError:  # a link that leads nowhere, a damaged or foreign folder: no worker can have it either
        yield
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"run {run.id} has a worker; stop it before it is deleted") from None
        yield


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path)


def _files(folder: Path) -> Iterator[str]:
    if folder.is_symlink():
        return
    for place, _, names in os.walk(folder):
        for name in names:
            yield os.path.join(place, name)
