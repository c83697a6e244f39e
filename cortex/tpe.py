"""The next combination by the tree-structured Parzen estimator (Bergstra et al. 2011, section 4), which Optuna computes."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata, util
from typing import Any

from cortex.space import Axis, Values

MISSING = "the method tpe needs Optuna, which is not installed: pip install optuna; or take the method random"


@dataclass(frozen=True)
class Tried:
    """A trial that is over: its objective, None where it has none; `step` where the sweep's rule stopped it."""

    values: Values
    loss: float | None
    step: int | None = None


def installed() -> str | None:
    """The version of Optuna; None when there is none."""
    return metadata.version("optuna") if util.find_spec("optuna") else None


def suggest(axes: Sequence[Axis], tried: Sequence[Tried], seed: int, number: int, attempt: int = 0) -> Values:
    """A combination for trial `number`, the same for the same history and seed; the first ten are drawn at random.

    Args:
        tried: the trials that are over, in the order of their numbers. One that the sweep's rule stopped tells of its best
            until that step alone.
        attempt: counts what was suggested for this trial before and could not be trained.

    Raises:
        ImportError: Optuna is not installed.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    spread = {axis.key: _distribution(axis) for axis in axes}
    sampler = optuna.samplers.TPESampler(seed=_seed(seed, number, attempt))
    study = optuna.create_study(direction="minimize", sampler=sampler)
    for trial in tried:
        study.add_trial(_frozen(axes, spread, trial))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Optuna says of its own experiments is no matter of ours
        found = study.ask(spread).params
    return {axis.key: axis.values[found[axis.key]] if axis.values else axis.sound(found[axis.key]) for axis in axes}


def _distribution(axis: Axis) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if axis.values:  # by their places, since Optuna takes 1 and true for the same
        return CategoricalDistribution(tuple(range(len(axis.values))))
    kind = IntDistribution if axis.whole else FloatDistribution
    return kind(axis.low, axis.high, log=axis.log)


def _frozen(axes: Sequence[Axis], spread: dict[str, Any], trial: Tried) -> Any:
    from optuna.trial import TrialState, create_trial

    params = {a.key: a.values.index(trial.values[a.key]) if a.values else trial.values[a.key] for a in axes}
    if trial.loss is None:
        return create_trial(params=params, distributions=spread, state=TrialState.FAIL)
    if trial.step is not None:
        until = {trial.step: trial.loss}
        return create_trial(params=params, distributions=spread, state=TrialState.PRUNED, intermediate_values=until)
    return create_trial(params=params, distributions=spread, value=trial.loss)


def _seed(*parts: int) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:4])
