"""What an exported script does: trains to the app's losses bit for bit, keeps and loads weights, says what is wrong."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MakeGraph
from exported import load, losses_of, start, told
from safetensors.torch import save_file

from cortex.checkpoints import load_trained
from cortex.export import script, script_of_run
from cortex.graph import Graph
from cortex.judge import continue_text, evaluate_run
from cortex.places import Places
from cortex.runs import Run
from cortex.worker import work

SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "words": ({}, {}),
    "characters, AdamW, cosine": (
        dict(tokenizer="character", seq_len=16, batch_size=3),
        dict(optimizer="AdamW", schedule="cosine", warmup_steps=5, weight_decay=0.1, clip_norm=0.5, seed=7),
    ),
    "bpe, Muon": (dict(tokenizer="bpe", vocab_size=300), dict(optimizer="Muon", ema=0.9, steps=12, eval_every=5)),
    "punctuation, SGD, accumulated": (
        dict(pre_tokenizer="punctuation", min_frequency=1, validation=0.2),
        dict(optimizer="SGD", accumulate=3, schedule="warmup_stable_decay", steps=0, epochs=1, log_every=3),
    ),
    "few words": (dict(vocab_size=9, test=0.2), dict(schedule="inverse_sqrt", warmup_steps=3, eval_every=0)),
    "patience": ({}, dict(lr=0.5, patience=1, eval_every=3, max_rise=0.0)),
}  # fmt: skip


def app_trains(graph: Graph, make_run: Callable[..., Run], home: Places, **settings: Any) -> Run:
    run = make_run(graph, **settings)
    assert work(run, home.store) in ("finished", "stopped"), run.log_tail()
    return run


@pytest.mark.parametrize("name", SETTINGS)
def test_the_script_trains_to_the_losses_of_the_app_bit_for_bit(
    tmp_path: Path,
    name: str,
    make_graph: MakeGraph,
    make_run: Callable[..., Run],
    home: Places,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, training = SETTINGS[name]
    graph = make_graph(data, blocks=2, **training)
    run = app_trains(graph, make_run, home)
    lines = told(load(script(graph), tmp_path), capsys)
    ours = losses_of(run.events())
    assert losses_of(lines) == ours and len(ours) > 3
    assert [lines[-1][key] for key in ("event", "state", "step")] == [
        run.events()[-1][key] for key in ("event", "state", "step")
    ]


def isolated(file: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(file), *options], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_script_runs_alone_in_an_empty_folder_where_the_app_cannot_be_imported(
    make_graph: MakeGraph, make_run: Callable[..., Run], home: Places, tmp_path: Path
) -> None:
    graph = make_graph(blocks=2, log_every=1).with_param("head", "tie_to", "embedding").rename('a "name"\nof two lines')
    run = app_trains(graph, make_run, home, max_steps=7)
    file, empty = tmp_path / "script.py", tmp_path / "empty"
    file.write_text(script(graph))
    empty.mkdir()
    gone = subprocess.run([sys.executable, "-I", "-c", "import cortex"], cwd=empty, capture_output=True, check=False)
    assert gone.returncode != 0
    done = isolated(file, empty, "--steps", "7", "--json")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert losses_of([json.loads(line) for line in done.stdout.splitlines()]) == losses_of(run.events())
    assert list(empty.iterdir()) == []


def test_without_json_each_event_is_a_line_with_all_digits_of_its_loss(
    tmp_path: Path, make_graph: MakeGraph, capsys: pytest.CaptureFixture[str]
) -> None:
    module = load(script(make_graph(steps=4, log_every=2)), tmp_path)
    lines = told(module, capsys)
    assert start(module, "--steps", "4") == 0
    said = capsys.readouterr().out
    words = {"train": "training", "validation": "validation"}
    assert all(f"step {step}: {words[event]} loss {loss!r}" in said for event, step, loss in losses_of(lines))


def test_another_text_is_read_where_one_is_named(
    make_graph: MakeGraph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = make_graph(steps=3)
    usual = told(load(script(graph), tmp_path), capsys)
    moved = graph.with_param("data", "path", "gone.txt")
    module = load(script(moved), tmp_path)
    assert start(module) == 1
    assert capsys.readouterr().err == "path: gone.txt does not exist\n"
    assert losses_of(told(module, capsys, "--data", graph.node("data").params["path"])) == losses_of(usual)


@pytest.mark.parametrize(
    "name", ['it\'s "quoted".txt', "line\nbreak.txt", "größe 模型.txt", "%s {0} \\n.txt", "'''.txt"], ids=ascii
)
def test_a_path_may_have_any_letters(
    tmp_path: Path, name: str, text: Path, make_graph: MakeGraph, capsys: pytest.CaptureFixture[str]
) -> None:
    path = text.rename(text.with_name(name))
    graph = make_graph(steps=1).with_param("data", "path", str(path))
    module = load(script(graph), tmp_path)
    assert module.SOURCE.path == str(path)
    assert losses_of(told(module, capsys))
    with pytest.raises(SystemExit):
        start(module, "--help")
    assert "--data" in capsys.readouterr().out


# Weights


def test_kept_weights_are_the_best_and_give_their_loss_when_loaded(
    make_graph: MakeGraph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = load(
        script(make_graph(steps=12, eval_every=3, lr=0.3, ema=0.5).with_param("head", "tie_to", "embedding")), tmp_path
    )
    file = tmp_path / "best.safetensors"
    lines = told(module, capsys, "--save", str(file))
    best = min(line["loss"] for line in lines if line["event"] == "validation")
    (loaded,) = told(module, capsys, "--weights", str(file))
    assert loaded == {"event": "weights", "loss": best, "perplexity": math.exp(best)}
    assert not list(tmp_path.glob("*.tmp"))


def test_the_script_of_a_run_loads_the_run_s_weights_and_says_its_loss(
    tmp_path: Path, trained: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = trained.path / "model.py"
    module = load(script_of_run(trained), tmp_path)
    monkeypatch.setattr(sys, "argv", [str(file)])
    assert module.WEIGHTS == "checkpoints/best.safetensors"
    (loaded,) = told(module, capsys, "--weights")
    assert loaded["loss"] == min(event["loss"] for event in trained.events() if event["event"] == "validation")
    (start,) = [event for event in trained.events() if event["event"] == "start"]
    assert start["threads"] == module.CONFIG.threads


def test_the_script_of_a_run_writes_on_as_the_app_does(
    tmp_path: Path, trained: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load(script_of_run(trained), tmp_path)
    ours = "".join(continue_text(load_trained(trained), "the cat", max_tokens=30))
    weights = str(trained.checkpoint("best"))
    lines = told(module, capsys, "--weights", weights, "--prompt", "the cat", "--max-tokens", "30")
    assert lines[1] == {"prompt": "the cat", "text": ours, "unknown": []} and len(ours) > 20
    assert start(module, "--weights", weights, "--prompt", "the zebra") == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1].startswith("the zebra") and err == "not in the vocabulary, read as <unk>: zebra\n"


def test_the_script_of_a_run_finds_the_weights_from_where_it_lies(trained: Run, tmp_path: Path) -> None:
    home = trained.path.parents[1]
    assert f'WEIGHTS = "runs/{trained.id}/checkpoints/best.safetensors"' in script_of_run(trained, home)
    assert str(home) not in script_of_run(trained, home).replace(trained.graph().node("data").params["path"], "")


def test_a_run_that_was_cut_short_is_exported_with_its_length(
    tmp_path: Path, make_graph: MakeGraph, make_run: Callable[..., Run], home: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    run = app_trains(make_graph(schedule="linear"), make_run, home, max_steps=6)
    module = load(script_of_run(run), tmp_path)
    assert module.MAX_STEPS == 6
    assert losses_of(told(module, capsys)) == losses_of(run.events())


def test_a_run_with_a_time_budget_is_exported_with_the_length_that_came_of_it(
    tmp_path: Path, make_graph: MakeGraph, make_run: Callable[..., Run], home: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    run = app_trains(make_graph(schedule="cosine", max_minutes=0.5, steps=30, log_every=1), make_run, home)
    (fitted,) = [event for event in run.events() if event["event"] == "horizon"]
    module = load(script_of_run(run), tmp_path)
    assert (module.CONFIG.max_minutes, module.CONFIG.steps) == (0.0, fitted["steps"])
    ours, its = (losses_of(lines) for lines in (run.events(), told(module, capsys)))
    assert set(its) <= set(ours), "but for a validation more, which measured the speed, they are the same"
    assert len(its) == fitted["last_step"] + len([loss for loss in its if loss[0] == "validation"])


def test_evaluation_in_the_app_says_the_loss_that_the_script_says(
    tmp_path: Path, trained: Run, trained_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = evaluate_run(trained, trained_home / "workspace" / "store")
    (loaded,) = told(load(script_of_run(trained), tmp_path), capsys, "--weights", str(trained.checkpoint("best")))
    assert (loaded["loss"], loaded["perplexity"]) == (ours["loss"], ours["perplexity"])


# What people get wrong


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--weights", "gone.safetensors"], "gone.safetensors: there is no such file; name the weights: --weights FILE"),
        (["--weights", "other.safetensors"], "other.safetensors: does not fit this model"),
        (
            ["--weights", "torn.safetensors"],
            "torn.safetensors: does not fit this model, or the text is another one, or it is damaged",
        ),
        (["--data", "empty.txt"], "path: empty.txt is empty"),
        (["--save", "nowhere/best.safetensors"], "nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_one_line(
    options: list[str], says: str, make_graph: MakeGraph, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    save_file({"x": torch.zeros(1)}, "other.safetensors")
    Path("torn.safetensors").write_bytes(b"\0" * 5)
    Path("empty.txt").write_text("")
    module = load(script(make_graph(steps=1)), tmp_path)
    assert start(module, *options) == 1
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    ["--steps 0", "--log-every -1", "--max-tokens 0", "--weights", "--weights x --steps 3", "--weights x --save y"],
)
def test_options_without_effect_are_refused(
    tmp_path: Path, options: str, make_graph: MakeGraph, capsys: pytest.CaptureFixture[str]
) -> None:
    module = load(script(make_graph()), tmp_path)
    with pytest.raises(SystemExit) as ended:
        start(module, *options.split())
    assert ended.value.code == 2 and "error: " in capsys.readouterr().err


def test_a_reader_that_closes_early_ends_the_script_quietly(make_graph: MakeGraph, tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text(script(make_graph(steps=500, log_every=1)))
    child = subprocess.Popen([sys.executable, "-I", str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with child, contextlib.suppress(BrokenPipeError):
        assert child.stdout.readline().startswith("step 1: training loss ")
        child.stdout.close()
        assert child.stderr.read() == ""
    assert child.returncode == 0
