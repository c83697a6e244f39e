"""Which processes live, and which the system has killed for want of memory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HEARTBEAT_GRACE = 10.0  # seconds; where the system does not tell when a process started


def worker_alive(status: Mapping[str, Any]) -> bool:
    """Whether the process that wrote this status still runs: not dead, not a zombie, not another one of the same number."""
    pid = status.get("pid")
    if type(pid) is not int or pid <= 0:
        return False
    if Path("/proc/self/stat").exists():
        return status.get("pid_started") is not None and process_started(pid) == status["pid_started"]
    return time.time() - as_seconds(status.get("heartbeat")) < _HEARTBEAT_GRACE


def oom_kills() -> int | None:
    """How many processes the kernel has killed for want of memory since the machine's start; None where it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def as_seconds(value: Any) -> float:
    """A time that was read from a file; 0 where it is none."""
    return value if isinstance(value, (int, float)) else 0.0


def process_started(pid: int) -> int | None:
    """When a live process started, in clock ticks since the machine's start; None for a dead one and for a zombie.

    Linux tells it in /proc/PID/stat; elsewhere None, and heartbeats tell who lives.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()  # the name before it may hold spaces and brackets
    return None if fields[0] in "ZX" else int(fields[19])
