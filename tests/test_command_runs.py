"""The verbs over the runs there are: runs, label, delete."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from conftest import Say, tiny_graph

from cortex import labels
from cortex.creating import create_run
from cortex.places import Places, to_json
from cortex.runs import Run, list_runs


@pytest.fixture
def runs(home: Places, tmp_path: Path) -> list[Run]:
    """Three runs, the second of which is the best, the third archived."""
    made = []
    for name, lr, loss in (("one", 0.1, 3.0), ("two", 0.2, 1.0), ("three", 0.3, 2.0)):
        run = create_run(home.runs, tiny_graph(tmp_path / "text.txt", lr=lr), fingerprint="f", name=name)
        (run.path / "status.json").write_text(to_json({"state": "finished", "pid": 2**22 + 1, "pid_started": 1}))
        event = {"event": "validation", "step": 5, "tokens": 40, "loss": loss, "elapsed": 2.0}
        (run.path / "metrics.jsonl").write_text(json.dumps(event) + "\n")
        made.append(run)
    labels.update(made[2], archived=True)
    return made


def listed(out: str) -> list[str]:
    return [line.split()[0] for line in out.splitlines()[1:] if "archived" not in line]


def test_runs_are_listed_filtered_sorted_and_with_the_columns_that_were_asked_for(say: Say, runs: list[Run]) -> None:
    assert listed(say("runs", "--columns", "name")[1]) == ["two", "one"]
    assert "1 archived run not listed; --archived lists them too" in say("runs")[1]
    assert listed(say("runs", "--columns", "name", "--archived", "--sort", "perplexity")[1]) == ["two", "three", "one"]
    assert listed(say("runs", "--columns", "name", "--archived", "--sort", "lr", "--reverse")[1]) == ["three", "two", "one"]
    assert listed(say("runs", "--columns", "name,lr", "--filter", "lr<0.15")[1]) == ["one"]
    assert say("runs", "--columns", "name,lr,best_loss", "--filter", "lr<0.15")[1].splitlines()[1].split() == [
        "one",
        "0.1",
        "3.000",
    ]


def test_runs_as_json_carry_everything_and_nothing_else_is_printed(say: Say, runs: list[Run]) -> None:
    rows = [json.loads(line) for line in say("runs", "--json", "--sort", "best_loss")[1].splitlines()]
    assert [(row["name"], row["best_loss"], row["settings"]["training.lr"]) for row in rows] == [
        ("two", 1.0, 0.2),
        ("one", 3.0, 0.1),
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--filter", "lrr<1"], "--filter: lrr: there is no such setting or measure; nearest: lr"),
        (["--sort", "best_los"], "best_los: there is no such setting or measure; nearest: best_loss"),
        (["--columns", "name,colour"], "colour: there is no such setting or measure"),
    ],
)
def test_a_mistake_is_one_line(say: Say, runs: list[Run], arguments: list[str], expected: str) -> None:
    status, out, error = say("runs", *arguments)
    assert (status, out) == (2, "") and error.startswith(expected) and error.count("\n") == 1


def test_a_run_is_labelled_and_found_by_its_new_name(say: Say, runs: list[Run]) -> None:
    assert say("label", "one", "--name", "first", "--tag", "a", "--tag", "b", "--note", "why", "--star")[0] == 0
    status, out, _ = say("label", "first", "--untag", "a", "--unstar", "--json")
    found = {"run": runs[0].id, "name": "first", "note": "why", "tags": ["b"], "starred": False, "archived": False}
    assert status == 0 and json.loads(out) == found
    assert say("label", "first", "--name", "")[0] == 0 and labels.read(runs[0]).name is None
    assert "--star and --unstar were both given" in say("label", "one", "--star", "--unstar")[2]
    assert "no comma" in say("label", "one", "--tag", "a,b")[2]
    assert say("label", "nobody", "--star")[0] == 2


def test_deleting_asks_on_a_terminal_and_wants_yes_elsewhere(
    say: Say, runs: list[Run], home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, error = say("delete", "one")
    assert status == 2 and "cannot be undone; say --yes to do it" in error and "frees" in error
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert "kept" in say("delete", "one")[1] and len(list_runs(home.runs)) == 3
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert say("delete", "one")[0] == 0 and len(list_runs(home.runs)) == 2
    status, out, _ = say("delete", "two", "three", "--yes")
    assert status == 0 and out.startswith("deleted 2 runs") and list_runs(home.runs) == []


def test_nothing_is_deleted_where_one_of_the_runs_is_going_on(say: Say, runs: list[Run], home: Places) -> None:
    create_run(home.runs, runs[0].graph(), fingerprint="f", name="begun")  # starting, for its first seconds
    status, _, error = say("delete", "one", "begun", "--yes")
    assert status == 2 and "is starting; stop it before it is deleted" in error and len(list_runs(home.runs)) == 4


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True
