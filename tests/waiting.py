"""Waiting for another process, shared by the tests."""

from __future__ import annotations

import time
from collections.abc import Callable

from cortex.runs import Run


def wait_for(condition: Callable[[], object], seconds: float = 120, told: Callable[[], object] = lambda: "") -> None:
    """Return as soon as the condition holds; fail with what `told` says when it does not for so long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, told()
        time.sleep(0.02)


def wait_for_step(run: Run, step: int) -> None:
    """Return as soon as the run has told of that step."""

    def told() -> bool:
        return any(event.get("step", 0) >= step for event in run.events())

    wait_for(told, told=lambda: f"no step {step}: {run.status()}, {run.log_tail()}")
