"""Sweeps: what is trained, what is told of faults, and which trials are stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import MakeGraph, Say, made_lines
from sweeping import GRID, only

from cortex import sweep_driver
from cortex.graph import to_json
from cortex.places import Places
from cortex.runs import list_runs
from cortex.sweep import list_sweeps
from cortex.trials import best_of, sweep_state, trials

pytestmark = pytest.mark.usefixtures("trained_here")

# What is trained


def test_a_grid_trains_every_combination_once_through_ordinary_runs(say: Say, brief: str, home: Places) -> None:
    code, out, err = say("sweep", brief, *GRID, "--name", "mine")
    assert (code, err) == (0, "")
    sweep = only(home)
    found = trials(sweep)
    assert [dict(t.values) for t in found] == [
        {"training.lr": lr, "model.dim_feedforward": width} for lr in (0.001, 0.01) for width in (8, 16)
    ]
    assert {t.state for t in found} == {"finished"} and sweep_state(sweep) == "finished"
    assert len(list_runs(home.runs)) == 4 and list(home.runs.glob(".queue/*~*")) == []
    for trial in found:
        record = trial.run.record()
        assert record["sweep"] == {"id": sweep.id, "trial": trial.number, "values": trial.values}
        assert record["name"] == f"mine, trial {trial.number}"
        assert record["graph"]["training"]["lr"] == trial.values["training.lr"] == record["training"]["lr"]
    best = min(found, key=lambda trial: min(e["loss"] for e in trial.run.events() if e["event"] == "validation"))
    assert best_of(found) == best and f"best: trial {best.number}, best validation loss {best.loss:.3f} with" in out
    assert "4 trials, grid, compared by best validation loss; 512 training tokens at most" in out


def test_json_lines_tell_of_plan_trials_and_summary(say: Say, brief: str, home: Places) -> None:
    code, out, err = say("sweep", brief, "--grid", "training.lr=0.001,0.01", "--max-steps", "2", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [row["event"] for row in rows] == ["sweep", "plan", "trial", "over", "trial", "over", "summary"]
    assert rows[-1]["state"] == "finished" and rows[-1]["over"] == 2 and rows[-1]["best"] == best_of(trials(only(home))).loss
    assert [run.record()["max_steps"] for run in list_runs(home.runs)] == [2, 2]
    listed = json.loads(say("sweeps", "--json")[1])
    assert {key: listed[key] for key in ("sweep", "state", "best")} == {
        key: rows[-1][key] for key in ("sweep", "state", "best")
    }
    each = [json.loads(line) for line in say("sweeps", rows[0]["sweep"], "--json")[1].splitlines()]
    assert [row["values"] for row in each] == [{"training.lr": 0.001}, {"training.lr": 0.01}]
    assert say("sweeps")[1].splitlines()[1].startswith(rows[0]["sweep"])
    assert say("sweeps", "tiny")[1].splitlines()[0].split()[:3] == ["trial", "state", "training.lr"]


def test_random_trials_repeat_from_their_seed_and_are_all_different(say: Say, brief: str, home: Places) -> None:
    space = ("--random", "training.lr=log:1e-4..1e-1", "--grid", "model.nhead=1,2", "--trials", "5", "--dry-run")
    drawn = []
    for seed in ("1", "1", "2"):
        assert say("sweep", brief, *space[:-1], "--seed", seed, "--max-steps", "1")[0] == 0
        drawn.append(list_sweeps(home.runs)[0].record()["trials"])
        shutil.rmtree(home.runs)
    assert drawn[0] == drawn[1] != drawn[2] and len({str(values) for values in drawn[0]}) == 5
    few = say("sweep", brief, "--random", "model.nhead=1,2,4", "--trials", "20", "--dry-run")
    assert few[0] == 0 and "3 trials of 20 asked for, random" in few[1] and list_sweeps(home.runs) == []


@pytest.mark.parametrize(
    ("budget", "steps"), [(("--max-steps", "3"), 3), (("--epochs", "1"), None), (("--max-minutes", "5"), 4)], ids=str
)
def test_a_budget_holds_for_every_trial(budget: tuple[str, ...], steps: int | None, say: Say, brief: str, home: Places) -> None:
    assert say("sweep", brief, "--grid", "training.lr=0.001", *budget)[0] == 0
    (run,) = list_runs(home.runs)
    events = run.events()
    assert events[-1]["step"] == (steps or events[0]["steps_per_epoch"])


# Faults


def test_combinations_with_a_fault_are_listed_and_not_trained(say: Say, brief: str, home: Places) -> None:
    code, out, err = say("sweep", brief, "--grid", "model.nhead=2,3", "--grid", "training.lr=0.001,0.01", "--max-steps", "1")
    assert code == 0
    fault = "block_1.nhead: nhead=3 must divide d_model=8; try 2 or 4"
    assert err.splitlines() == [f"skipped: model.nhead=3, training.lr={lr}: {fault}" for lr in ("0.001", "0.01")]
    assert "2 combinations have a fault and are not trained" in out
    assert [t.values["model.nhead"] for t in trials(only(home))] == [2, 2]
    assert [skip["values"]["model.nhead"] for skip in only(home).record()["skipped"]] == [3, 3]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "nothing is varied; give --grid KEY=VALUE,VALUE or --random"),
        (("--grid", "training.lr=fast"), "--grid training.lr=fast: training.lr: 'fast' is not a number"),
        (("--grid", "training.lr=log:1e-4..1e-2"), "or a range that says how many: log:0.0001..0.01 x5; --random draws"),
        (("--random", "training.lr=1e-4..1e-2", "--method", "grid"), "training.lr: a grid takes a list of values"),
        (("--grid", "model.nhead=3,5"), "no combination can be trained:"),
        (("--grid", "training.lr=1,2", "--grid", "training.lr=3"), "training.lr is given twice"),
        (("--grid", "training.epochs=1,2"), "training.epochs has no effect while training.steps=4"),
        (("--grid", "training.momentum=0.5"), "has no effect unless optimizer is SGD or Muon"),
        (("--grid", "training.device=cuda"), "no combination can be trained:"),
        (("--grid", "training.lr=1,2", "--trials", "3"), "--trials does not go with a grid"),
        (("--grid", "training.lr=1,2", "--grace", "3"), "--grace has no effect without --early-stop"),
        (("--grid", "training.lr=1", "--max-steps", "3", "--epochs", "1"), "give one budget of a trial"),
        (("--grid", "training.epochs=1", "--epochs", "1"), "training.epochs is varied and is the budget"),
        (("--random", "training.seed=0..1000000", "--trials", "20000"), "20,000 trials are more than 10,000"),
        (("--grid", "nodes.data.validation=0.1,0.2"), ""),
        (("--grid", "training.lr=1", "--resume", "x"), "does not go with --resume"),
        (("--grid", "training.lr=1", "--seed", "-1"), "--seed -1: expected a whole number"),
        (("--method", "tpe", "--grid", "model.nhead=1,2"), "Optuna"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_starts(
    arguments: tuple[str, ...], expected: str, say: Say, brief: str, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_driver, "installed", lambda: None)
    if not expected:  # the combinations that validate on another text than the first are skipped
        code, out, err = say("sweep", brief, *arguments, "--dry-run")
        assert code == 0 and "it validates on another text" in err and "1 trial, grid, compared by bits per byte" in out
    else:
        code, _, err = say("sweep", brief, *arguments)
        assert code == 2 and expected in err and "Traceback" not in err
    assert list_runs(home.runs) == [] and list_sweeps(home.runs) == []


def test_trials_whose_tokens_differ_are_compared_by_bits_per_byte(say: Say, brief: str, home: Places) -> None:
    code, out, err = say("sweep", brief, "--grid", "nodes.data.tokenizer=character,word", "--max-steps", "2")
    assert code == 0, err
    assert "2 trials, grid, compared by bits per byte, since their tokens differ" in out
    found = trials(only(home))
    assert [t.loss for t in found] == [t.row["bits_per_byte"] for t in found] and None not in [t.loss for t in found]
    assert found[0].row["vocabulary"] != found[1].row["vocabulary"]


def test_a_tokenizer_that_hides_words_cannot_be_compared_and_is_skipped(
    say: Say, make_graph: MakeGraph, tmp_path: Path, home: Places
) -> None:
    graph = make_graph(steps=2)
    Path(graph.node("data").params["path"]).write_text(
        "\n".join([*made_lines(), *(f"once{number}" for number in range(200))]) + "\n"
    )
    (tmp_path / "g.json").write_text(to_json(graph))
    code, out, err = say("sweep", str(tmp_path / "g.json"), "--grid", "nodes.data.tokenizer=word,character", "--dry-run")
    assert code == 0 and "1 trial, grid, compared by bits per byte" in out
    assert "nodes.data.tokenizer=word: its trials are compared by bits per byte, since their tokens differ, and here" in err
    assert "of its tokens are <unk>" in err


def test_a_trial_that_fails_is_told_and_the_others_are_trained(say: Say, brief: str, home: Places) -> None:
    wild = (
        "--set",
        "training.max_rise=0.5",
        "--set",
        "training.log_every=1",
        "--set",
        "training.optimizer=SGD",
        "--set",
        "training.eval_every=4",
    )
    code, out, _ = say("sweep", brief, *wild, "--grid", "training.lr=10,0.001")
    found = trials(only(home))
    assert code == 0 and [t.state for t in found] == ["failed", "finished"]
    assert "trial 1 of 2: failed, best validation loss –" in out and found[0].why.startswith("the training loss rose")
    assert best_of(found) == found[1] and sweep_state(only(home)) == "finished"


def test_five_failures_in_a_row_end_the_sweep(say: Say, brief: str, home: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex.session.Session.train", lambda self: (_ for _ in ()).throw(MemoryError()))
    code, _, err = say("sweep", brief, "--grid", "training.seed=1,2,3,4,5,6,7")
    assert code == 1 and "failed: 5 trials in a row failed before their first validation; the last: out of memory" in err
    states = [t.state for t in trials(only(home))]
    assert states[:5] == ["failed"] * 5 and states[6] == "waiting" and sweep_state(only(home)) == "failed"


# Hopeless trials


def test_a_hopeless_trial_is_stopped_says_why_and_goes_on_only_when_a_person_resumes_it(
    say: Say, brief: str, home: Places
) -> None:
    rates = "training.lr=0.02,0.021,0.022,0.023,0.00000001,0.024"
    code, out, _ = say("sweep", brief, "--grid", rates, "--set", "training.steps=10", "--early-stop")
    assert code == 0
    sweep = only(home)
    found = trials(sweep)
    assert [t.state for t in found] == ["finished"] * 4 + ["stopped", "finished"]
    hopeless = found[4]
    end = hopeless.run.events()[-1]
    assert end["event"] == "end" and end["step"] == 6 and end["state"] == "stopped"  # the third validation
    losses = sorted(min(e["loss"] for e in t.run.events() if e["event"] == "validation" and e["step"] <= 6) for t in found[:4])
    median = (losses[1] + losses[2]) / 2
    assert end["why"] == hopeless.why == hopeless.run.status()["why"]
    assert end["why"].endswith(f"at step 6 is worse than {median:.4f}, the median of 4 other trials there")
    assert f"({end['why']})" in out and sweep_state(sweep) == "finished"
    assert say("sweep", "--resume", sweep.id)[0] == 0 and hopeless.run.state() == "stopped"  # the sweep itself leaves it
    assert say("resume", hopeless.run.id)[0] == 0
    assert hopeless.run.state() == "finished" and hopeless.run.events()[-1]["step"] == 10


def test_no_trial_is_stopped_where_nobody_asked_for_it(say: Say, brief: str, home: Places) -> None:
    rates = "training.lr=0.02,0.021,0.022,0.023,0.00000001"
    assert say("sweep", brief, "--grid", rates, "--set", "training.steps=8")[0] == 0
    assert {t.state for t in trials(only(home))} == {"finished"}
