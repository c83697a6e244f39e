"""What a new sweep is made of, and the sweep made of it: its combinations drawn, checked and written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex.space import Axis
from cortex.sweep import Sweep, SweepError, create_sweep
from cortex.sweep_check import Checker, planned_trials
from cortex.tpe import MISSING, installed


@dataclass(frozen=True)
class Settings:
    """What a new sweep is made of, besides its graph and its space."""

    name: str
    method: str
    count: int
    seed: int
    budget: Mapping[str, Any]
    early_stop: Mapping[str, Any] | None


def make_sweep(root: Path, checker: Checker, axes: list[Axis], settings: Settings) -> Sweep:
    """A new sweep with every combination checked; nobody drives it yet.

    Raises:
        SpaceError: there is nothing to train, or the space does not suit the method.
        SweepError: the method needs what is not installed.
    """
    if settings.method == "tpe" and installed() is None:
        raise SweepError(MISSING)
    from cortex import __version__
    from cortex.graph import to_document

    chosen, faults = planned_trials(checker, axes, settings.method, settings.count, settings.seed)
    early = settings.early_stop
    return create_sweep(
        root,
        name=settings.name,
        graph=to_document(checker.graph),
        method=settings.method,
        seed=settings.seed,
        space=[axis.document() for axis in axes],
        count=settings.count if chosen is None else len(chosen),
        budget=dict(settings.budget),
        early_stop={"rule": "median", **early, "by": checker.by} if early else None,
        objective=checker.objective,
        trials=chosen,
        skipped=[{"values": fault.values, "fault": fault.message} for fault in faults[:100]],
        versions={"cortexnodus": __version__, "optuna": installed() if settings.method == "tpe" else None},
    )
