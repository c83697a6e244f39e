"""The command line: statuses, what goes to which stream, and the same verbs through a real process."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MakeGraph, Say, Start, json_lines

import cortex
from cortex.command import main
from cortex.graph import to_json
from cortex.places import Places
from cortex.registry import KINDS
from cortex.runs import Run, list_runs

Outcome = tuple[int, str, str]

pytestmark = pytest.mark.usefixtures("home")


# Listing


def test_presets_are_listed_as_a_table_and_as_json(say: Say) -> None:
    status, out, err = say("presets")
    assert status == 0 and err == "" and out.splitlines()[0].startswith("preset") and len(out.splitlines()) == 4
    rows = json_lines(say("presets", "--json")[1])
    assert [(row["preset"], row["embedding_dim"]) for row in rows] == [("small", 128), ("medium", 256), ("large", 512)]


def test_every_kind_is_listed_with_every_setting(say: Say) -> None:
    rows = {row["kind"]: row for row in json_lines(say("kinds", "--json")[1])}
    assert set(rows) == set(KINDS)
    for name, kind in KINDS.items():
        assert [param["name"] for param in rows[name]["params"]] == list(kind.params)
    out = say("kinds")[1]
    assert all(f"{name}  (" in out for name in KINDS) and "nhead = 4" in out


def test_no_runs_yet_says_how_to_start_one(say: Say) -> None:
    status, out, _ = say("runs")
    assert status == 0 and "no runs in" in out and "train --preset small" in out
    assert say("runs", "--json") == (0, "", "")


def test_the_node_reference_names_every_kind_and_setting(say: Say) -> None:
    status, out, err = say("kinds", "--markdown")
    assert (status, err) == (0, "")
    for name, kind in KINDS.items():
        assert f"\n## {name}\n" in out and all(f"| `{param}` |" in out for param in kind.params)


# Checking


def test_a_sound_graph_is_shown_with_shapes_and_parameters(say: Say, document: str) -> None:
    status, out, err = say("check", document)
    assert (status, err) == (0, "") and "B×T×8" in out and "no fault" in out
    (row,) = json_lines(say("check", document, "--json")[1])
    assert row["ok"] and row["issues"] == [] and row["nodes"][1]["id"] == "embedding"


def test_a_preset_is_checked_with_settings_made(say: Say) -> None:
    (row,) = json_lines(say("check", "--preset", "small", "--set", "model.embedding_dim=64", "--json")[1])
    assert {node["shape"] for node in row["nodes"] if node["kind"] == "GPTBlock"} == {"B×T×64"}


def test_every_fault_of_a_graph_is_a_line_on_standard_error(say: Say, document: str) -> None:
    status, out, err = say("check", document, "--set", "nodes.block_1.nhead=3", "--set", "nodes.data.path=/no/such/file")
    assert status == 2 and out == ""
    assert err.splitlines()[0] == "block_1.nhead: nhead=3 must divide d_model=8; try 2 or 4"
    assert len(err.splitlines()) == 2 and "data: path: /no/such/file does not exist" in err


def test_faults_as_json_are_one_object_and_the_status_is_two(say: Say, document: str) -> None:
    status, out, err = say("check", document, "--set", "nodes.block_1.nhead=3", "--json")
    (row,) = json_lines(out)
    assert status == 2 and err == "" and not row["ok"]
    assert (row["issues"][0]["node"], row["issues"][0]["field"]) == ("block_1", "nhead")


def test_a_kind_that_was_added_is_listed(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "Mine", KINDS["LayerNorm"])
    assert len(json_lines(say("kinds", "--json")[1])) == len(KINDS)


def test_the_graph_of_a_run_can_be_checked_again(say: Say, trained: Run) -> None:
    (row,) = json_lines(say("check", str(trained.path / "run.json"), "--json")[1])
    assert row["ok"] and row["name"] == "tiny" and row["parameters"] > 0


# Preparing


def test_a_text_is_prepared_beforehand_and_training_then_starts_at_once(say: Say, document: str) -> None:
    status, out, err = say("data", "prepare", document)
    assert status == 0 and "training tokens" in out and "tokenising train" in err
    assert say("data", "prepare", document) == (0, out, "")
    assert "tokenising" not in say("train", document, "--max-steps", "1")[2]


@pytest.mark.parametrize(
    ("name", "value"), [("validation", "x"), ("tokenizer", "Bpe"), ("colour", 1), ("path", "/no/such"), ("vocab_size", 0)]
)
def test_preparing_a_faulty_source_is_refused_in_one_line(
    say: Say, make_graph: MakeGraph, document: str, name: str, value: Any
) -> None:
    Path(document).write_text(to_json(make_graph().with_param("data", name, value)))
    status, out, err = say("data", "prepare", document)
    assert (status, out) == (2, "") and name in err and len(err.splitlines()) == 1


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "VERB"),
        (["dance"], "invalid choice: 'dance'"),
        (["check"], "give either a GRAPH.json or --preset"),
        (["check", "x.json", "--preset", "small"], "give either"),
        (["check", "--preset", "huge"], "--preset huge: expected one of small, medium, large"),
        (["check", "no.json"], "no.json: there is no such file"),
        (["check", "."], "is a folder, expected a graph document"),
        (["check", "x" * 300], "cannot be read: File name too long"),
        (["check", "--preset", "small", "--set", "training.lr"], "expected training.NAME=VALUE"),
        (["check", "--preset", "small", "--set", "training.lr=fast"], "--set training.lr=fast: lr: 'fast' is not a number"),
        (["check", "--preset", "small", "--set", "nodes.nope.x=1"], "there is no node nope; the nodes are data, embedding"),
        (["train", "x" * 300], "File name too long"),
        (["train", "--preset", "small", "--max-steps", "0"], "'0' is not a whole number from 1 on"),
        (["train", "--preset", "small", "--set", "model.nhead=5"], "nhead=5 must divide d_model=128"),
        (["data", "prepare", "no.json"], "no.json: there is no such file"),
        (["check", "no/run.json"], "run.json cannot be read"),
        (["stop", "nope"], "run nope: not found"),
        (["evaluate", "nope"], "run nope: not found"),
        (["evaluate", "x" * 300], "not found"),
        (["evaluate", "nope", "--split", "train"], "invalid choice: 'train'"),
        (["generate", "nope"], "--prompt"),
        (["generate", "nope", "--prompt", "a", "--top-p", "2"], "'2' is not a number from 0 to 1"),
        (["generate", "nope", "--prompt", "a", "--temperature", "nan"], "'nan' is not a number from 0 to 100"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_mistake_is_said_in_one_line_with_status_two(say: Say, arguments: list[str], says: str) -> None:
    status, out, err = say(*arguments)
    assert (status, out) == (2, "") and says in err
    assert len(set(err.splitlines())) <= (3 if "model.nhead=5" in arguments else 1)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "not JSON: line 1 column 2"),
        (b'{"format": "other"}', 'format: found "other", expected "cortexnodus/graph"'),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"[" * 100_000, "not JSON"),
    ],
    ids=["torn", "format", "UTF-16", "deep"],
)
def test_a_file_that_is_no_graph_is_told_and_as_json_too(say: Say, document: str, content: bytes, says: str) -> None:
    Path(document).write_bytes(content)
    for verb in ("check", "train"):
        status, out, err = say(verb, document)
        assert (status, out) == (2, "") and says in err and len(err.splitlines()) == 1
    if b"\xff" not in content:
        status, out, _ = say("check", document, "--json")
        (row,) = json_lines(out)
        assert status == 2 and not row["ok"] and says in row["issues"][0]["message"]


def test_the_version_and_the_help_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for argument, wanted in (("--version", cortex.__version__), ("--help", "VERB")):
        with pytest.raises(SystemExit) as ended:
            main([argument])
        assert ended.value.code == 0 and wanted in capsys.readouterr().out


# Through a real process


def test_a_mistake_in_a_real_process_is_one_line_and_no_traceback(start: Start) -> None:
    child = start("-m", "cortex", "evaluate", "nope")
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (2, "") and len(err.splitlines()) == 1 and "Traceback" not in err


def test_an_interrupt_stops_a_training_as_stop_does_and_prints_only_json(start: Start, document: str, tmp_path: Path) -> None:
    child = start("-m", "cortex", "train", document, "--json", "--set", "training.steps=1000000")
    first = json.loads(child.stdout.readline())
    while json.loads(child.stdout.readline())["event"] != "validation":
        pass
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    rows = json_lines(out)
    assert child.returncode == 0 and "Traceback" not in err
    assert rows[-2]["event"] == "end" and rows[-2]["state"] == "stopped" and rows[-1]["state"] == "stopped"
    run = Run(Path(first["directory"]))
    assert run.path.is_relative_to(tmp_path / "home" / "runs") and run.state() == "stopped"
    assert run.checkpoint("best").is_file() and run.checkpoint("last").is_file()


def test_a_reader_that_has_seen_enough_is_no_fault(start: Start) -> None:
    child = start("-m", "cortex", "runs")
    child.stdout.close()
    assert (child.wait(timeout=60), child.stderr.read()) == (0, "")


def test_a_reader_that_closes_early_does_not_end_the_run(
    make_graph: MakeGraph, start: Start, tmp_path: Path, home: Places
) -> None:
    path = tmp_path / "graph.json"
    path.write_text(to_json(make_graph(steps=30, log_every=1)))
    child = start("-m", "cortex", "train", str(path), "--json")
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(60) == 0
    (run,) = list_runs(home.runs)
    assert run.state() == "finished"


def test_a_text_that_cannot_be_used_is_a_fault_before_it_is_prepared(say: Say, make_graph: MakeGraph, tmp_path: Path) -> None:
    graph = make_graph()
    Path(graph.node("data").params["path"]).write_bytes("café\n".encode("latin-1") * 50)
    document = tmp_path / "graph.json"
    document.write_text(to_json(graph))
    status, out, _ = say("check", str(document), "--json")
    (issue,) = json.loads(out)["issues"]
    assert status == 2 and issue["node"] == "data" and "is not UTF-8 at byte 3 (line 1)" in issue["message"]
    assert set(issue) == {"node", "field", "message", "hint", "follows"}


@pytest.mark.parametrize("below", ["", "x"])
def test_a_runs_folder_that_cannot_be_made_is_one_line(below: str, say: Say, document: str, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    status, _, err = say("train", document, "--runs", str(blocked / below))
    assert status == 2 and err.strip().count("\n") == 0 and str(blocked) in err


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there_is_the_users_mistake_and_makes_no_run(say: Say, document: str, home: Places) -> None:
    status, _, err = say("train", document, "--set", "training.device=cuda")
    assert status == 2 and "training.device=cuda: this machine has none" in err
    assert not list_runs(home.runs)


def test_an_argument_that_is_not_utf8_is_refused(say: Say, document: str, home: Places) -> None:
    status, _, err = say("train", document, "--name", "caf\udce9")
    assert status == 2 and "not UTF-8" in err and not home.runs.exists()


def test_a_script_is_not_written_where_a_folder_is_or_none(say: Say, document: str, tmp_path: Path) -> None:
    assert say("export", document, "-o", str(tmp_path))[::2] == (2, f"{tmp_path}: is a folder, expected the name of a file\n")
    assert "there is no such folder; make it first" in say("export", document, "-o", str(tmp_path / "no" / "x.py"))[2]
