"""Combinations that Optuna chooses from the results of those before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import Say
from sweeping import Killed, only, outcome

from cortex.places import Places
from cortex.runs import Run
from cortex.sweep_driver import Driver
from cortex.trials import trials
from cortex.worker import work

pytestmark = pytest.mark.usefixtures("trained_here")


@pytest.fixture
def optuna() -> Iterator[Callable[..., Any]]:
    yield pytest.importorskip("optuna", reason="Optuna is not installed; it is an optional dependency")


def test_tpe_suggests_the_same_for_the_same_history(optuna: Any) -> None:
    from cortex.space import Axis
    from cortex.tpe import Tried, suggest

    axes = [Axis("a", (), 1e-4, 1e-1, log=True), Axis("b", ("x", "y")), Axis("c", (), 1, 8, whole=True)]
    tried: list[Tried] = []
    for number in range(1, 30):
        values = suggest(axes, tried, 1, number)
        assert values == suggest(axes, tried, 1, number)
        step = 5 if number % 5 == 0 else None
        tried.append(Tried(values, None if number == 3 else abs(values["a"] - 0.01) + (values["b"] == "x"), step))
    late = [trial.values for trial in tried[15:]]
    assert sum(values["b"] == "y" for values in late) > 8  # it has learned what is better


def test_a_tpe_sweep_that_is_killed_goes_on_with_the_same_values(
    optuna: Any, say: Say, brief: str, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = ("--random", "training.lr=log:1e-4..1e-1", "--method", "tpe", "--trials", "13", "--max-steps", "1")
    assert say("sweep", brief, *space)[0] == 0
    expected = outcome(trials(only(home)))
    shutil.rmtree(home.runs)
    made = Driver.__init__

    def killed(run: Run) -> None:
        if run.record()["sweep"]["trial"] == 12:
            raise Killed
        work(run, home.store)

    with monkeypatch.context() as patch:
        patch.setattr(Driver, "__init__", lambda self, *given, **more: made(self, *given, **{**more, "begin": killed}))
        with pytest.raises(Killed):
            say("sweep", brief, *space)
    run = trials(only(home))[11].run
    (run.path / "status.json").write_text(json.dumps(run.status() | {"heartbeat": 0}))
    assert say("sweep", "--resume", only(home).id)[0] == 0
    assert outcome(trials(only(home))) == expected
