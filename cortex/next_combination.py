"""What the next trial of a sweep tries, where that is chosen from what came of the trials before (method `tpe`)."""

from __future__ import annotations

from collections.abc import Sequence

from cortex.space import Axis, Values, combinations, draws
from cortex.sweep import SweepError
from cortex.sweep_check import MOST_DRAWS, Checker
from cortex.tpe import Tried, suggest
from cortex.trials import OVER, Trial


def next_combination(axes: list[Axis], seed: int, number: int, found: Sequence[Trial], checker: Checker) -> Values:
    """The combination of trial `number`: one that can be trained and has not been tried.

    Args:
        found: the trials of the sweep as they are now.

    Raises:
        SweepError: there is none left.
    """
    over = [trial for trial in found if trial.number < number and trial.values is not None and trial.state in OVER]
    tried = [Tried(dict(trial.values), trial.loss, _stopped_at(trial)) for trial in over]
    seen = [trial.values for trial in found if trial.values is not None]
    for attempt in range(MOST_DRAWS):
        values = suggest(axes, tried, seed, number, attempt)
        if values not in seen and not checker.fault(values):
            return values
    most = MOST_DRAWS * (len(found) + 1)
    for values, _ in zip(draws(axes, seed + number), range(most), strict=False):
        if values not in seen and not checker.fault(values):
            return values
    total = combinations(axes)
    of = f" of {total:,}" if total else ""
    raise SweepError(f"no further combination{of} was found that can be trained and has not been tried")


def _stopped_at(trial: Trial) -> int | None:
    """The step at which the sweep's rule, or a person, stopped a trial; None for one that was trained as far as it should."""
    return trial.row["step"] if trial.state == "stopped" and trial.row else None
