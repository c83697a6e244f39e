"""What a run was made with: versions, machine, device, precision, threads, processes; and how its pieces are read by people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cortex.runs import Run, RunError
from cortex.units import UNKNOWN


def origin(run: Run, events: Sequence[Mapping[str, Any]] | None = None) -> dict[str, str]:
    """Name and value of each thing that is known; nothing raises.

    Args:
        events: what the caller has read of metrics.jsonl already.
    """
    facts: dict[str, str] = {}
    try:
        record = run.record()
    except RunError:
        record = {}
    for key in ("versions", "machine"):
        found = record.get(key)
        facts |= {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
    events = run.events() if events is None else events
    begun = next((event for event in events if event["event"] == "start"), {})
    for key in ("device", "precision", "threads", "processes"):
        if begun.get(key) is not None:
            facts[key] = str(begun[key])
    if isinstance(begun.get("compiled"), bool):
        facts["compiled"] = "yes" if begun["compiled"] else "no"
    return facts


def moment_text(time: float | None) -> str:
    """`2026-11-23 14:05:09`, in the time zone of the machine; a dash where it is not known."""
    return UNKNOWN if time is None else f"{datetime.fromtimestamp(time):%Y-%m-%d %H:%M:%S}"
