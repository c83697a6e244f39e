"""Sweeps: what is trained, what is told of faults, and that nothing is lost or repeated when a sweep is left and resumed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGraph, MakeRun, Start, made_lines
from tables import facts
from waiting import wait_for

from cortex import sweep_driver
from cortex.command import main
from cortex.graph import Graph, to_json
from cortex.places import Places
from cortex.queue import take_slot
from cortex.runs import Run, list_runs, process_started
from cortex.status import Status
from cortex.sweep import Sweep, SweepError, Trial, best_of, find_sweep, list_sweeps, stop_sweep, sweep_state, trials
from cortex.sweep_driver import Driver
from cortex.worker import work

GRID = ("--grid", "training.lr=0.001,0.01", "--grid", "model.dim_feedforward=8,16")


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], home: Places) -> Any:
    """A function that runs the command line: status, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(list(arguments))
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def document(make_graph: MakeGraph, tmp_path: Path) -> str:
    path = tmp_path / "graph.json"
    path.write_text(to_json(make_graph(steps=4, eval_every=2, sample_tokens=0)))
    return str(path)


@pytest.fixture(autouse=True)
def trained_here(home: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials are trained in this process, which has torch, and one after the other."""
    monkeypatch.delenv("CORTEXNODUS_SLOTS", raising=False)
    made = Driver.__init__

    def begin(run: Run) -> None:
        work(run, home.store, queued=True)

    def take_up(run: Run) -> None:
        work(run, home.store, Status(run, again=True), queued=True)

    def init(self: Driver, sweep: Sweep, store: Path, **settings: Any) -> None:
        made(self, sweep, store, **{"begin": begin, "take_up": take_up, "look_seconds": 0.01, **settings})

    monkeypatch.setattr(Driver, "__init__", init)


def only(home: Places) -> Sweep:
    (found,) = list_sweeps(home.runs)
    return found


def outcome(found: list[Trial]) -> list[tuple[Any, ...]]:
    """All of the trials that no clock decides."""
    return [(t.number, t.values, t.state, t.loss, facts(t.run.events()) if t.run else None) for t in found]


# What is trained


def test_a_grid_trains_every_combination_once_through_ordinary_runs(say: Any, document: str, home: Places) -> None:
    code, out, err = say("sweep", document, *GRID, "--name", "mine")
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


def test_json_lines_tell_of_plan_trials_and_summary(say: Any, document: str, home: Places) -> None:
    code, out, err = say("sweep", document, "--grid", "training.lr=0.001,0.01", "--max-steps", "2", "--json")
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


def test_random_trials_repeat_from_their_seed_and_are_all_different(say: Any, document: str, home: Places) -> None:
    space = ("--random", "training.lr=log:1e-4..1e-1", "--grid", "model.nhead=1,2", "--trials", "5", "--dry-run")
    drawn = []
    for seed in ("1", "1", "2"):
        assert say("sweep", document, *space[:-1], "--seed", seed, "--max-steps", "1")[0] == 0
        drawn.append(list_sweeps(home.runs)[0].record()["trials"])
        shutil.rmtree(home.runs)
    assert drawn[0] == drawn[1] != drawn[2] and len({str(values) for values in drawn[0]}) == 5
    few = say("sweep", document, "--random", "model.nhead=1,2,4", "--trials", "20", "--dry-run")
    assert few[0] == 0 and "3 trials of 20 asked for, random" in few[1] and list_sweeps(home.runs) == []


@pytest.mark.parametrize(
    ("budget", "steps"), [(("--max-steps", "3"), 3), (("--epochs", "1"), None), (("--max-minutes", "5"), 4)], ids=str
)
def test_a_budget_holds_for_every_trial(
    budget: tuple[str, ...], steps: int | None, say: Any, document: str, home: Places
) -> None:
    assert say("sweep", document, "--grid", "training.lr=0.001", *budget)[0] == 0
    (run,) = list_runs(home.runs)
    events = run.events()
    assert events[-1]["step"] == (steps or events[0]["steps_per_epoch"])


# Faults


def test_combinations_with_a_fault_are_listed_and_not_trained(say: Any, document: str, home: Places) -> None:
    code, out, err = say("sweep", document, "--grid", "model.nhead=2,3", "--grid", "training.lr=0.001,0.01", "--max-steps", "1")
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
    arguments: tuple[str, ...], expected: str, say: Any, document: str, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_driver, "installed", lambda: None)
    if not expected:  # the combinations that validate on another text than the first are skipped
        code, out, err = say("sweep", document, *arguments, "--dry-run")
        assert code == 0 and "it validates on another text" in err and "1 trial, grid, compared by bits per byte" in out
    else:
        code, _, err = say("sweep", document, *arguments)
        assert code == 2 and expected in err and "Traceback" not in err
    assert list_runs(home.runs) == [] and list_sweeps(home.runs) == []


def test_trials_whose_tokens_differ_are_compared_by_bits_per_byte(say: Any, document: str, home: Places) -> None:
    code, out, err = say("sweep", document, "--grid", "nodes.data.tokenizer=character,word", "--max-steps", "2")
    assert code == 0, err
    assert "2 trials, grid, compared by bits per byte, since their tokens differ" in out
    found = trials(only(home))
    assert [t.loss for t in found] == [t.row["bits_per_byte"] for t in found] and None not in [t.loss for t in found]
    assert found[0].row["vocabulary"] != found[1].row["vocabulary"]


def test_a_tokenizer_that_hides_words_cannot_be_compared_and_is_skipped(
    say: Any, make_graph: MakeGraph, tmp_path: Path, home: Places
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


def test_a_trial_that_fails_is_told_and_the_others_are_trained(say: Any, document: str, home: Places) -> None:
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
    code, out, _ = say("sweep", document, *wild, "--grid", "training.lr=10,0.001")
    found = trials(only(home))
    assert code == 0 and [t.state for t in found] == ["failed", "finished"]
    assert "trial 1 of 2: failed, best validation loss –" in out and found[0].why.startswith("the training loss rose")
    assert best_of(found) == found[1] and sweep_state(only(home)) == "finished"


def test_five_failures_in_a_row_end_the_sweep(say: Any, document: str, home: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex.session.Session.train", lambda self: (_ for _ in ()).throw(MemoryError()))
    code, _, err = say("sweep", document, "--grid", "training.seed=1,2,3,4,5,6,7")
    assert code == 1 and "failed: 5 trials in a row failed before their first validation; the last: out of memory" in err
    states = [t.state for t in trials(only(home))]
    assert states[:5] == ["failed"] * 5 and states[6] == "waiting" and sweep_state(only(home)) == "failed"


# Leaving and taking up again


class Killed(BaseException):
    """The process ends here without a word."""


@pytest.fixture
def reference(say: Any, document: str, home: Places) -> list[tuple[Any, ...]]:
    """What comes of the grid when nobody disturbs it."""
    assert say("sweep", document, *GRID)[0] == 0
    found = outcome(trials(only(home)))
    shutil.rmtree(home.runs)
    return found


@pytest.mark.parametrize("moment", ["before its worker", "after its worker", "while nothing was noted"])
def test_a_sweep_whose_driver_is_killed_goes_on_as_if_it_had_not_been(
    moment: str, reference: list, say: Any, document: str, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(run: Run) -> None:
        if run.record()["sweep"]["trial"] == 3:
            if moment == "after its worker":
                work(run, home.store)
            raise Killed
        work(run, home.store)

    made = Driver.__init__
    with monkeypatch.context() as patch:
        patch.setattr(Driver, "__init__", lambda self, *given, **more: made(self, *given, **{**more, "begin": killed}))
        with pytest.raises(Killed):
            say("sweep", document, *GRID)
    sweep = only(home)
    if moment == "while nothing was noted":
        notes = (sweep.path / "trials.jsonl").read_text()
        (sweep.path / "trials.jsonl").write_text(notes[:-20])  # torn
    left = trials(sweep)
    assert [t.state for t in left][:2] == ["finished", "finished"] and left[3].state == "waiting"
    if left[2].state == "starting":  # nobody works on it, as shows after ten seconds
        status = json.loads((left[2].run.path / "status.json").read_text())
        (left[2].run.path / "status.json").write_text(json.dumps(status | {"heartbeat": 0}))
    (sweep.path / "status.json").write_text(json.dumps(sweep.status() | {"state": "running", "pid_started": 1, "pid": 1}))
    assert sweep_state(sweep) == "interrupted"
    code, _, err = say("sweep", "--resume", sweep.id)
    assert (code, err) == (0, "")
    assert outcome(trials(sweep)) == reference and len(list_runs(home.runs)) == 4
    assert say("sweep", "--resume", sweep.id)[1].startswith("finished: 4 of 4 trials") and len(list_runs(home.runs)) == 4


def test_a_sweep_stops_as_a_whole_and_goes_on(reference: list, say: Any, document: str, home: Places) -> None:
    workers: list[threading.Thread] = []

    def begin(run: Run) -> None:
        status = Status(run)
        workers.append(threading.Thread(target=lambda: work(run, home.store, status, queued=True)))
        if run.record()["sweep"]["trial"] == 2:
            stop_sweep(only(home))  # before its first step, so that it cannot be over before it is asked
        workers[-1].start()

    sweep = _made(document, home)
    assert Driver(sweep, home.store, begin=begin).run() == "stopped"
    for worker in workers:
        worker.join()
    states = [t.state for t in trials(sweep)]
    assert states[1:] == ["paused", "waiting", "waiting"] and states[0] in ("paused", "finished")
    assert sweep_state(sweep) == "stopped"
    with pytest.raises(SweepError, match="is stopped; there is nothing to stop"):
        stop_sweep(sweep)
    assert say("sweep", "--stop", sweep.id)[0] == 2
    assert say("sweep", "--resume", "tiny")[0] == 0
    assert [without_resumed(row) for row in outcome(trials(sweep))] == reference and sweep_state(sweep) == "finished"


def _made(document: str, home: Places) -> Sweep:
    """The sweep of GRID as a page makes it, for somebody else to drive."""
    from cortex.data import prepare
    from cortex.graph import from_json
    from cortex.space import parse_axis
    from cortex.sweep_check import Checker
    from cortex.sweep_driver import Settings, make_sweep

    graph = from_json(Path(document).read_text())
    axes = [parse_axis(graph, text) for text in GRID[1::2]]
    checker = Checker(graph, [axis.key for axis in axes], lambda node: prepare(node, home.store))
    return make_sweep(home.runs, checker, axes, Settings("tiny", "grid", 0, 1, {}, None))


def test_a_second_driver_is_refused_and_an_asked_one_starts_no_more(document: str, home: Places) -> None:
    sweep = _made(document, home)
    heard: list[dict] = []

    def hear(event: dict) -> None:
        heard.append(event)
        assert sweep_state(sweep) in ("running", "stopping")
        with pytest.raises(SweepError, match="is driven by another process already"):
            Driver(sweep, home.store).run()
        sweep.request("stop")

    assert Driver(sweep, home.store, hear=hear).run() == "stopped"
    assert [t.state for t in trials(sweep)] == ["finished", "waiting", "waiting", "waiting"]
    assert [event["event"] for event in heard] == ["trial", "over"] and Driver(sweep, home.store).run() == "finished"


def test_a_driver_that_is_asked_to_stop_pauses_the_trials_that_wait_in_the_queue(
    document: str, home: Places, make_run: MakeRun
) -> None:
    sweep, workers = _made(document, home), []

    def begin(run: Run) -> None:
        status = Status(run)
        workers.append(threading.Thread(target=lambda: work(run, home.store, status, queued=True)))
        workers[-1].start()
        if len(workers) == 2:
            sweep.request("stop")

    with take_slot(make_run(), lambda word: None):  # another run trains meanwhile
        assert Driver(sweep, home.store, begin=begin).run() == "stopped"
    for worker in workers:
        worker.join()
    assert [t.state for t in trials(sweep)] == ["paused", "paused", "waiting", "waiting"]
    assert Driver(sweep, home.store).run() == "finished"


def test_a_sweep_that_is_stopped_before_its_driver_has_come_begins_nothing(document: str, home: Places) -> None:
    sweep = _made(document, home)
    sweep.request("resume")
    assert sweep_state(sweep) == "starting"
    wait_for(lambda: stop_sweep(sweep) or sweep.asked_at("stop") > sweep.asked_at("resume"))
    assert Driver(sweep, home.store).run() == "stopped" and list_runs(home.runs) == []
    assert Driver(sweep, home.store).run() == "finished"  # an old request stands in nobody's way


def test_an_interrupt_stops_the_sweep_as_a_whole(
    say: Any, document: str, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Driver.__init__

    def init(self: Driver, *given: Any, **more: Any) -> None:
        made(self, *given, **{**more, "hear": lambda event: os.kill(os.getpid(), signal.SIGINT)})

    with monkeypatch.context() as patch:
        patch.setattr(Driver, "__init__", init)
        patch.setattr(Driver, "_tell_over", lambda self, found, told: found)
        code, out, _ = say("sweep", document, *GRID)
    sweep = only(home)
    assert code == 130 and f"python -m cortex sweep --resume {sweep.id} goes on with it" in out
    assert [t.state for t in trials(sweep)] == ["finished", "waiting", "waiting", "waiting"]
    assert sweep_state(sweep) == "stopped" and say("sweep", "--resume", sweep.id)[0] == 0


def test_a_driver_and_its_worker_that_are_killed_lose_and_repeat_nothing(
    start: Start, say: Any, make_graph: MakeGraph, tmp_path: Path, home: Places
) -> None:
    path = tmp_path / "long.json"
    path.write_text(to_json(make_graph(steps=300, eval_every=150, save_every=20, log_every=1, sample_tokens=0)))
    driver = start("-m", "cortex", "sweep", str(path), "--grid", "training.lr=0.001,0.002", "--json")

    def begun() -> list[Path]:
        return list(home.runs.glob("*/checkpoints/last.safetensors"))

    wait_for(begun, told=lambda: driver.poll() and driver.communicate())
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    pids = [run.status().get("pid") for run in list_runs(home.runs)]  # the one that trains, and the next that waits
    for pid in filter(None, pids):
        os.kill(pid, signal.SIGKILL)
    sweep = only(home)
    wait_for(lambda: sweep_state(sweep) == trials(sweep)[0].state == "interrupted")
    left = trials(sweep)
    assert left[0].state == "interrupted" and 20 <= left[0].row["step"] < 300 and left[1].state != "finished"
    for trial in left:  # one that was made, and whose worker had not said a word yet
        if trial.state == "starting":
            (trial.run.path / "status.json").write_text(json.dumps(trial.run.status() | {"heartbeat": 0}))
    code, out, err = say("sweep", "--resume", sweep.id)
    assert (code, err) == (0, "") and "trial 1 of 2: goes on" in out
    found = trials(sweep)
    assert [t.state for t in found] == ["finished"] * 2 and len(list_runs(home.runs)) == 2
    resumed = [event for event in found[0].run.events() if event["event"] == "resumed"]
    assert len(resumed) == 1 and resumed[0]["step"] >= 20

    shutil.move(home.runs, tmp_path / "killed")
    assert say("sweep", str(path), "--grid", "training.lr=0.001,0.002")[0] == 0
    killed = outcome(trials(Sweep(tmp_path / "killed" / ".sweeps" / sweep.id)))
    assert [without_resumed(row) for row in killed] == outcome(trials(only(home)))


def without_resumed(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row[:4], [event for event in row[4] if event["event"] != "resumed"])


def test_a_trial_whose_worker_is_killed_is_taken_up_again_and_at_last_left(document: str, home: Places) -> None:
    sweep, heard = _made(document, home), []

    def dies(run: Run) -> None:
        facts = {"state": "running", "pid": os.getpid(), "pid_started": 1, "step": 1}
        (run.path / "status.json").write_text(json.dumps(facts))

    def begin(run: Run) -> None:
        dies(run) if run.record()["sweep"]["trial"] == 1 else work(run, home.store)

    assert Driver(sweep, home.store, begin=begin, take_up=dies, hear=heard.append).run() == "stopped"
    assert [t.state for t in trials(sweep)] == ["interrupted", "finished", "finished", "finished"]
    assert [event.get("resumed") for event in heard if event["event"] == "trial" and event["trial"] == 1] == [None, *[True] * 3]
    (left,) = (event for event in heard if event["event"] == "left")
    assert left["trial"] == 1 and left["why"] == "its worker was killed, or the machine was switched off"
    assert Driver(sweep, home.store).run() == "finished"


def test_a_trial_whose_run_was_deleted_keeps_its_result_and_is_not_repeated(say: Any, document: str, home: Places) -> None:
    assert say("sweep", document, *GRID)[0] == 0
    sweep = only(home)
    before = trials(sweep)
    shutil.rmtree(before[1].run.path)
    (before[2].run.path / "run.json").write_text("{")
    found = trials(sweep)
    assert [t.state for t in found] == ["finished", "deleted", "deleted", "finished"]
    assert [t.loss for t in found] == [t.loss for t in before] and [t.values for t in found] == [t.values for t in before]
    assert sweep_state(sweep) == "finished" and say("sweep", "--resume", sweep.id)[0] == 0
    assert trials(sweep) == found
    assert "its run was deleted" in say("sweeps", sweep.id)[1]


# Hopeless trials


def test_a_hopeless_trial_is_stopped_says_why_and_goes_on_only_when_a_person_resumes_it(
    say: Any, document: str, home: Places
) -> None:
    rates = "training.lr=0.02,0.021,0.022,0.023,0.00000001,0.024"
    code, out, _ = say("sweep", document, "--grid", rates, "--set", "training.steps=10", "--early-stop")
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


def test_no_trial_is_stopped_where_nobody_asked_for_it(say: Any, document: str, home: Places) -> None:
    rates = "training.lr=0.02,0.021,0.022,0.023,0.00000001"
    assert say("sweep", document, "--grid", rates, "--set", "training.steps=8")[0] == 0
    assert {t.state for t in trials(only(home))} == {"finished"}


# What is on disk


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "sweep.json cannot be read"),
        ('{"format": "cortexnodus/sweep", "vers', "sweep.json cannot be read"),
        ("[]", 'is not of format "cortexnodus/sweep" version 1'),
        ('{"format": "cortexnodus/sweep", "version": 2}', 'is not of format "cortexnodus/sweep" version 1'),
        ('{"format": "cortexnodus/sweep", "version": 1, "name": 3}', "name, graph, method, seed"),
        ("\x00\xff", "sweep.json cannot be read"),
    ],
)
def test_a_damaged_sweep_is_told_and_disturbs_no_other(
    content: str, expected: str, say: Any, document: str, home: Places
) -> None:
    say("sweep", document, "--grid", "training.lr=0.001", "--max-steps", "1", "--name", "sound")
    bad = home.runs / ".sweeps" / "20200101-000000-bad"
    bad.mkdir()
    (bad / "sweep.json").write_bytes(content.encode("latin-1"))
    code, out, err = say("sweeps")
    assert (code, err) == (0, "") and "finished" in out.splitlines()[1] and "damaged" in out.splitlines()[2]
    assert sweep_state(Sweep(bad)) == "damaged"
    for arguments in (("sweep", "--resume", bad.name), ("sweep", "--stop", bad.name), ("sweeps", bad.name)):
        code, _, err = say(*arguments)
        assert code == 2 and expected in err and len(err.splitlines()) == 1


def test_damaged_values_are_refused_and_odd_files_beside_do_no_harm(say: Any, document: str, home: Places) -> None:
    say("sweep", document, "--grid", "training.lr=0.001,0.01", "--max-steps", "1")
    sweep = only(home)
    for name, content in (("status.json", "[1"), ("trials.jsonl", "{\n[]\nnull\n")):
        (sweep.path / name).write_text(content)
    (home.runs / "not-a-run").write_text("")
    (home.runs / ".sweeps" / "a-file").write_text("")
    assert sweep_state(sweep) == "finished" and say("sweep", "--resume", sweep.id)[0] == 0
    record = sweep.record()
    (sweep.path / "sweep.json").write_text(json.dumps(record | {"trials": [1, 2]}))
    assert "trials is missing or not what it should be" in say("sweep", "--resume", sweep.id)[2]
    (sweep.path / "sweep.json").write_text(json.dumps(record | {"space": [{"low": 1}]}))
    assert "sweep.json is damaged: space" in say("sweep", "--resume", sweep.id)[2]


def test_a_sweep_is_found_by_id_name_or_directory(document: str, home: Places) -> None:
    first, second = _made(document, home), _made(document, home)
    assert find_sweep(first.id, home.runs) == first and find_sweep(str(second.path), home.runs) == second
    with pytest.raises(SweepError, match="sweep tiny: 2 have this name; give one of"):
        find_sweep("tiny", home.runs)
    with pytest.raises(SweepError, match=r"sweep \.\./x: not found in"):
        find_sweep("../x", home.runs)


def test_the_state_is_that_of_the_driver_and_its_trials(document: str, home: Places) -> None:
    sweep = _made(document, home)
    assert sweep_state(sweep) == "interrupted"  # made, and nobody came
    sweep.request("resume")
    assert sweep_state(sweep) == "starting" and sweep_state(sweep, now=4e9) == "interrupted"
    on_its_way = {"pid": os.getpid(), "pid_started": process_started(os.getpid())}
    (sweep.path / "requests" / "resume").write_text(json.dumps(on_its_way))
    assert sweep_state(sweep, now=4e9) == "starting"
    alive = {"state": "running", "pid": os.getpid(), "pid_started": process_started(os.getpid())}
    (sweep.path / "status.json").write_text(json.dumps(alive))
    assert sweep_state(sweep) == "running"
    sweep.request("stop")
    assert sweep_state(sweep) == "stopping"


# Optuna


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
    optuna: Any, say: Any, document: str, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = ("--random", "training.lr=log:1e-4..1e-1", "--method", "tpe", "--trials", "13", "--max-steps", "1")
    assert say("sweep", document, *space)[0] == 0
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
            say("sweep", document, *space)
    run = trials(only(home))[11].run
    (run.path / "status.json").write_text(json.dumps(run.status() | {"heartbeat": 0}))
    assert say("sweep", "--resume", only(home).id)[0] == 0
    assert outcome(trials(only(home))) == expected


def test_a_graph_is_kept_as_it_was_when_the_sweep_began(document: str, home: Places, make_graph: MakeGraph) -> None:
    sweep = _made(document, home)
    kept: Graph = sweep.graph()
    Path(document).unlink()
    assert kept.training["steps"] == 4 and sweep.record()["space"][0] == {"key": "training.lr", "values": [0.001, 0.01]}
