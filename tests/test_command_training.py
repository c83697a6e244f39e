"""The verbs around a training: train, evaluate, generate, pause, resume, save, extend, lr-range, seeds, a time budget."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import MakeGraph, MakeRun, Say, Start, json_lines
from waiting import wait_for

from cortex.checkpoints import saved_step
from cortex.graph import to_json
from cortex.places import Places
from cortex.runs import Run, list_runs
from cortex.status import Status

pytestmark = pytest.mark.usefixtures("home")


# One run


def test_training_makes_a_run_and_says_how_it_went(say: Say, document: str, home: Places) -> None:
    status, out, _ = say("train", document, "--name", "first", "--set", "training.steps=12")
    assert status == 0
    (run,) = list_runs(home.runs)
    assert out.startswith(f"run {run.path}\n") and "finished after 12 steps: best validation loss" in out
    assert run.record()["name"] == "first" and run.record()["graph"]["training"]["steps"] == 12
    status, out, _ = say("runs")
    assert run.id in out and "finished" in out
    assert say("stop", "first")[2] == f"run {run.id} is finished; there is nothing to stop\n"


def test_training_as_json_prints_nothing_but_json(say: Say, document: str) -> None:
    status, out, err = say("train", document, "--json", "--max-steps", "5")
    rows = json_lines(out)
    assert status == 0 and "Traceback" not in err
    assert [row["event"] for row in rows] == ["run", "start", "train", "train", "validation", "sample", "end", "summary"]
    assert rows[-1]["step"] == 5 and rows[-1]["best_loss"] == rows[-4]["loss"]


def test_a_run_that_a_page_created_is_taken_up_once(say: Say, make_run: MakeRun) -> None:
    run = make_run()
    assert say("train", str(run.path))[0] == 0 and run.state() == "finished"
    status, out, err = say("train", str(run.path))
    assert (status, out) == (2, "") and "only a run that was just created can be started" in err


def test_settings_do_not_go_with_a_run_that_was_created(say: Say, make_run: MakeRun) -> None:
    run = make_run()
    status, _, err = say("train", str(run.path), "--max-steps", "3")
    assert status == 2 and "was created with its settings" in err and run.state() == "starting"


def test_a_run_that_fails_has_status_one_and_its_reason_on_standard_error(say: Say, make_run: MakeRun, text: Path) -> None:
    run = make_run()
    text.write_text("changed\n" * 50)
    shutil.rmtree(run.path.parents[1] / "workspace")
    status, _, err = say("train", str(run.path))
    assert status == 1 and err == f"run {run.id} failed: {run.status()['error']}\n"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("nodes.data.path=/no/such/file", "data: path: /no/such/file does not exist"),
        ("nodes.data.seq_len=60000", "less than seq_len=60000; set seq_len to at most"),
        ("training.device=cuda", "this machine has none"),
    ],
)
def test_a_training_that_cannot_begin_says_why(say: Say, document: str, setting: str, says: str) -> None:

    if "cuda" in setting and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    status, _, err = say("train", document, "--set", setting, "--set", "nodes.positions.max_len=60000")
    assert status in (1, 2) and says in err and "Traceback" not in err


def test_a_runs_perplexity_is_told_for_both_splits(say: Say, trained: Run) -> None:
    for split in ("validation", "test"):
        (row,) = json_lines(say("evaluate", "tiny", "--split", split, "--json")[1])
        assert row["run"] == trained.id and row["split"] == split and row["tokens"] > 50
    status, out, _ = say("evaluate", trained.id, "--checkpoint", "last")
    assert status == 0 and f"{trained.id}, checkpoint last of step 60, validation: loss " in out


def test_text_follows_the_prompt_the_same_for_the_same_seed(say: Say, trained: Run) -> None:
    arguments = ("generate", "tiny", "--prompt", "the cat", "--max-tokens", "12")
    status, out, err = say(*arguments)
    assert status == 0 and err == "" and out.startswith("the cat") and len(out.split()) >= 8
    assert say(*arguments)[1] == out and say(*arguments, "--seed", "2")[1] != out
    (row,) = json_lines(say(*arguments, "--json")[1])
    assert row["prompt"] + row["text"] == out.removesuffix("\n") and row["unknown"] == []
    _, out, err = say("generate", "tiny", "--prompt", "the zebra", "--json")
    assert err == "not in the vocabulary, read as <unk>: zebra\n" and json_lines(out)[0]["unknown"] == ["zebra"]


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999", "-99999999999999999999"])
def test_a_seed_is_used_or_refused_in_one_line(say: Say, trained: Run, seed: str) -> None:
    status, _, err = say("generate", "tiny", "--prompt", "the", "--max-tokens", "2", "--seed", seed)
    assert status == 0 or (status == 2 and "seed" in err and len(err.splitlines()) == 1)


# Asking something of a run


@pytest.mark.parametrize("what", ["stop", "pause", "save"])
def test_a_request_is_left_for_a_run_that_is_going_on_and_refused_for_one_that_has_ended(
    what: str, say: Say, make_run: MakeRun
) -> None:
    run = make_run()
    status = Status(run)
    status.set(state="running")
    code, out, err = say(what, run.id)
    assert (code, err) == (0, "") and out.startswith(f"asked run {run.id} to {what}; ") and run.requests() == {what}
    status.end("finished")
    assert say(what, run.id) == (2, "", f"run {run.id} is finished; there is nothing to {what}\n")


def test_a_training_is_saved_paused_and_resumed_through_real_processes(
    start: Start, say: Say, make_graph: MakeGraph, tmp_path: Path, home: Places
) -> None:
    path = tmp_path / "graph.json"
    path.write_text(to_json(make_graph(steps=1_000_000, eval_every=1_000_000, log_every=5)))
    child = start("-m", "cortex", "train", str(path), "--json", "--name", "long")
    while json.loads(child.stdout.readline()).get("step", 0) < 10:
        pass
    (run,) = list_runs(home.runs)
    assert saved_step(run.checkpoint("last")) is None
    assert say("save", "long")[0] == 0
    wait_for(lambda: saved_step(run.checkpoint("last")), told=run.log_tail)
    assert run.state() == "running" and not run.requested("save")
    assert say("pause", "long")[0] == 0
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0 and "Traceback" not in err and json_lines(out)[-1]["state"] == "paused"
    paused_at = saved_step(run.checkpoint("last"))
    assert paused_at == json_lines(out)[-2]["step"]
    record = run.record()
    record["max_steps"] = paused_at + 5
    (run.path / "run.json").write_text(json.dumps(record))
    code, out, _ = say("resume", "long", "--json")
    rows = json_lines(out)
    assert code == 0 and rows[0]["event"] == "resumed" and rows[0]["step"] == paused_at
    assert rows[-1]["state"] == "finished" and rows[-1]["step"] == paused_at + 5


# Extending


def test_a_finished_run_is_extended_in_a_child(say: Say, document: str, home: Places) -> None:
    assert say("train", document, "--name", "first", "--max-steps", "4")[0] == 0
    (parent,) = list_runs(home.runs)
    assert say("resume", "first")[2].endswith("can be resumed; extend it to train it further\n")
    code, out, _ = say("extend", "first", "--steps", "3", "--name", "second", "--json")
    rows = json_lines(out)
    assert code == 0 and rows[0]["event"] == "run" and rows[-1]["step"] == 7
    assert (rows[-1]["parent"], rows[-1]["name"]) == (parent.id, "second")


@pytest.mark.parametrize("length", [(), ("--steps", "3", "--epochs", "1")])
def test_extending_wants_one_length(length: tuple[str, ...], say: Say, make_run: MakeRun) -> None:
    code, out, err = say("extend", make_run().id, *length)
    assert (code, out, err) == (2, "", "give either --epochs N or --steps N\n")


def test_a_run_that_has_not_ended_or_has_no_weights_is_not_extended(say: Say, make_run: MakeRun, home: Places) -> None:
    run = make_run()
    assert "is starting; extend it when it has ended" in say("extend", run.id, "--steps", "3")[2]
    Status(run).end("stopped")
    assert "has no checkpoint to go on from" in say("extend", run.id, "--steps", "3")[2]
    assert list_runs(home.runs) == [run]


# Time budget, seeds, range test


def test_a_time_budget_is_a_setting_of_the_run_and_its_length_an_event(say: Say, document: str, home: Places) -> None:
    arguments = ("--max-minutes", "0.05", "--set", "training.steps=1000000", "--set", "training.eval_every=1000")
    code, out, _ = say("train", document, *arguments, "--json")
    rows = json_lines(out)
    (horizon,) = (row for row in rows if row["event"] == "horizon")
    assert code == 0 and rows[-1]["state"] == "finished"
    assert rows[-1]["step"] == rows[-1]["steps"] == horizon["steps"] < 1_000_000
    (run,) = list_runs(home.runs)
    assert run.record()["training"]["max_minutes"] == 0.05


def test_several_seeds_are_several_runs_one_after_the_other(say: Say, document: str, home: Places) -> None:
    code, out, err = say("train", document, "--seeds", "2", "--name", "mine", "--max-steps", "2")
    assert code == 0, err
    runs = sorted(list_runs(home.runs), key=lambda run: run.record()["order"])
    assert [run.record()["training"]["seed"] for run in runs] == [1, 2]
    assert [run.state() for run in runs] == ["finished", "finished"]
    assert out.splitlines()[-1].startswith("best perplexity over 2 seeds: mean ")
    ends = [next(event["time"] for event in run.events() if event["event"] == "end") for run in runs]
    assert runs[1].events()[0]["time"] > ends[0]  # one slot


@pytest.mark.parametrize("arguments", [("--seeds", "2", "--now"), ("--max-minutes", "0"), ("--seeds", "0")])
def test_arguments_that_have_no_effect_or_no_sense_are_refused(
    arguments: tuple[str, ...], say: Say, document: str, home: Places
) -> None:
    code, out, err = say("train", document, *arguments)
    assert (code, out) == (2, "") and len(err.splitlines()) == 1 and arguments[0] in err
    assert list_runs(home.runs) == []


def test_what_torchrun_does_not_go_with_is_refused(
    say: Say, document: str, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    for arguments in (("train", document, "--seeds", "2"), ("train", str(run.path)), ("extend", run.id, "--steps", "2")):
        code, _, err = say(*arguments)
        assert code == 2 and err.startswith("torchrun does not go with ") and len(err.splitlines()) == 1
    assert run.status()["pid"] is None


def test_a_worker_that_is_slow_to_start_still_gets_its_run(say: Say, make_run: MakeRun) -> None:
    run = make_run(max_steps=2)
    status = run.status()
    (run.path / "status.json").write_text(json.dumps(status | {"heartbeat": status["heartbeat"] - 60}))
    assert run.state() == "interrupted"
    assert say("train", str(run.path))[0] == 0 and run.state() == "finished"


def test_a_range_test_is_a_table_with_a_suggestion_and_makes_no_run(say: Say, document: str, home: Places) -> None:
    code, out, _ = say("lr-range", document, "--steps", "40", "--high", "0.1")
    assert code == 0 and out.splitlines()[0].split() == ["lr", "loss", "smoothed"]
    assert "suggested: --set training.lr=" in out.splitlines()[-1]
    rows = json_lines(say("lr-range", document, "--steps", "40", "--high", "0.1", "--json")[1])
    assert [row["event"] for row in rows] == ["point"] * (len(rows) - 1) + ["suggestion"]
    assert rows[0]["lr"] == pytest.approx(1e-6) and rows[-1]["lr"] < 0.1
    assert list_runs(home.runs) == [] and "--low 1 is not less" in say("lr-range", document, "--low", "1", "--high", "0.1")[2]


def test_a_run_that_another_process_holds_is_not_resumed(say: Say, make_run: MakeRun) -> None:
    run: Run = make_run()
    worker = Status(run)
    assert say("resume", run.id)[2].startswith(f"run {run.id} is starting; only a run that is interrupted")
    worker.end("stopped")
