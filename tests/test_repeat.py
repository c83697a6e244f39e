"""The command that repeats a run really does."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from conftest import MakeGraph, MakeRun

from cortex import launch
from cortex.command import main
from cortex.places import Places
from cortex.repeat import repeat
from cortex.runs import Run, list_runs
from cortex.worker import work


def losses(run: Run) -> list[float]:
    return [event["loss"] for event in run.events() if event["event"] in ("train", "validation")]


def pasted(run: Run, home: Places) -> Run:
    """The run that the command makes, typed into a shell."""
    words = shlex.split(str(repeat(run)))
    assert words[:3] == ["python", "-m", "cortex"]
    before = {other.id for other in list_runs(home.runs)}
    assert main([*words[3:], "--json"]) == 0
    (new,) = [other for other in list_runs(home.runs) if other.id not in before]
    return new


def test_the_pasted_command_repeats_every_loss_bit_for_bit(make_run: MakeRun, make_graph: MakeGraph, home: Places) -> None:
    run = make_run(make_graph(steps=6, eval_every=3, log_every=1), name="a 'name' of its own", max_steps=4)
    assert work(run, home.store) == "finished"
    again = pasted(run, home)
    assert losses(run) and losses(again) == losses(run)
    assert again.record()["name"] == "a 'name' of its own"
    assert "--set training.threads=1" in str(repeat(run))  # the last bits hang on them


def test_a_time_budget_is_repeated_by_the_length_that_came_of_it(make_run: MakeRun, make_graph: MakeGraph) -> None:
    run = make_run(make_graph(max_minutes=5.0))
    event = '{"event": "horizon", "time": 1, "step": 5, "steps": 17, "last_step": 17, "hold_steps": 5}\n'
    (run.path / "metrics.jsonl").write_text(event)
    words = repeat(run).words
    assert "training.max_minutes=0.0" in words
    assert "training.steps=17" in words


def test_a_setting_whose_default_was_another_one_is_given(make_run: MakeRun, make_graph: MakeGraph) -> None:
    run = make_run(make_graph(), training={"beta2": 0.123, "lr": 0.01})
    assert "training.beta2=0.123" in repeat(run).words
    assert not [word for word in repeat(run).words if word.startswith("training.lr")]  # the document has it


def test_a_child_run_is_repeated_by_extending_its_parent(make_run: MakeRun, make_graph: MakeGraph, home: Places) -> None:
    parent = make_run(make_graph(steps=3, eval_every=3, log_every=1))
    assert work(parent, home.store) == "finished"
    child = launch.extend(parent, steps=3, name="longer")
    assert work(child, home.store) == "finished"
    again = pasted(child, home)
    assert losses(child) and losses(again) == losses(child)


def test_a_child_whose_parent_is_gone_says_that_it_cannot_be_repeated(make_run: MakeRun) -> None:
    found = repeat(make_run(parent="20200101-000000-gone"))
    assert not found.words
    assert "20200101-000000-gone had ended, which is not there any more" in found.note


def test_a_damaged_run_says_why_there_is_no_command(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    found = repeat(Run(tmp_path))
    assert not found.words
    assert "run.json cannot be read" in found.note


@pytest.mark.parametrize("home_of", [None, "/somewhere/a b"])
def test_the_command_names_the_home_that_the_app_has(make_run: MakeRun, home_of: str | None) -> None:
    words = shlex.split(str(repeat(make_run(), home=home_of)))
    assert words[0] == ("python" if home_of is None else "CORTEXNODUS_HOME=/somewhere/a b")


def test_a_path_below_the_working_directory_is_given_from_there(make_run: MakeRun) -> None:
    run = make_run()
    assert f"{run.id}/run.json" in repeat(run, here=run.path.parent).words
    assert str(run.path / "run.json") in repeat(run, here=Path("/elsewhere")).words
