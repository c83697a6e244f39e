"""What this machine has left: memory and disk. Importable alone: standard library."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Room:
    """Bytes that are free; None where the system does not tell."""

    memory: int | None
    disk: int | None


def room(folder: Path, proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> Room:
    """The memory that a new process could take, a limit on this one's group of processes included, and the room on the disk
    of a folder that may not exist yet."""
    free = [found for found in (_available(proc / "meminfo"), _within_limit(groups)) if found is not None]
    return Room(min(free, default=None), _disk(folder))


def _available(path: Path) -> int | None:
    """MemAvailable: what programs can take without pushing others out (Linux)."""
    try:
        for line in path.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return 1024 * int(value.split()[0])
    except (OSError, ValueError, IndexError):
        pass
    return None


def _within_limit(groups: Path) -> int | None:
    """What a container may still take; its files in memory are given up when they are in the way."""
    try:
        limit = (groups / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((groups / "memory.current").read_text())
        facts = dict(line.split() for line in (groups / "memory.stat").read_text().splitlines())
        return max(0, int(limit) - used + int(facts.get("inactive_file", 0)))
    except (OSError, ValueError):
        return None


def _disk(folder: Path) -> int | None:
    for path in (folder, *folder.parents):
        if os.path.isdir(path):
            try:
                return shutil.disk_usage(path).free
            except OSError:
                return None
    return None
