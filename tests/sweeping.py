"""A small sweep for tests: made, looked at, and ended without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tables import facts

from cortex.data import prepare
from cortex.graph import from_json
from cortex.places import Places
from cortex.space import parse_axis
from cortex.sweep import Sweep, list_sweeps
from cortex.sweep_check import Checker
from cortex.sweep_making import Settings, make_sweep
from cortex.trials import Trial

GRID = ("--grid", "training.lr=0.001,0.01", "--grid", "model.dim_feedforward=8,16")


class Killed(BaseException):
    """The process ends here without a word."""


def made_sweep(document: str, home: Places) -> Sweep:
    """The sweep of GRID as a page makes it, for somebody else to drive."""
    graph = from_json(Path(document).read_text())
    axes = [parse_axis(graph, text) for text in GRID[1::2]]
    checker = Checker(graph, [axis.key for axis in axes], lambda node: prepare(node, home.store))
    return make_sweep(home.runs, checker, axes, Settings("tiny", "grid", 0, 1, {}, None))


def only(home: Places) -> Sweep:
    (found,) = list_sweeps(home.runs)
    return found


def outcome(found: list[Trial]) -> list[tuple[Any, ...]]:
    """All of the trials that no clock decides."""
    return [(t.number, t.values, t.state, t.loss, facts(t.run.events()) if t.run else None) for t in found]
