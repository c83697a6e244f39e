"""Weights on disk: whole or not there, of this graph or refused, and never a pickle."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch
from conftest import PROJECT, MakeGraph, disk_with_room_for

from cortex.builder import build, plan
from cortex.checkpoints import load_trained, save_weights
from cortex.graph import to_document
from cortex.runs import Run, RunError


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    """A copy of the finished run that a test may damage."""
    return Run(Path(shutil.copytree(trained.path, tmp_path / "copied")))


def change_graph(run: Run, node: str, name: str, value: object) -> None:
    record = run.record()
    record["graph"] = to_document(run.graph().with_param(node, name, value))
    (run.path / "run.json").write_text(json.dumps(record))


def test_weights_that_were_saved_are_loaded_bitwise(make_graph: MakeGraph, run: Run) -> None:
    vocabulary = load_trained(run).tokenizer.vocab_size
    torch.manual_seed(7)
    model = build(plan(run.graph(), vocabulary))
    save_weights(model, run.checkpoint("last"), 123)
    trained = load_trained(run, "last")
    assert trained.step == 123 and trained.seq_len == 8 and not trained.model.training
    found = trained.model.state_dict()
    assert found.keys() == model.state_dict().keys()
    assert all(torch.equal(found[key], value) for key, value in model.state_dict().items())
    saved = [path.name for path in sorted(run.path.glob("checkpoints/*"))]
    assert saved == ["best.safetensors", "last.safetensors", "state-60.pt"]


def test_a_name_that_cannot_be_replaced_leaves_the_weights_before_whole(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before, model = run.checkpoint("best").read_bytes(), load_trained(run).model

    def refuse(*names: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(os, "replace", refuse)
        save_weights(model, run.checkpoint("best"), 999)
    assert run.checkpoint("best").read_bytes() == before and load_trained(run).step == 60
    assert not list(run.path.rglob("*.tmp"))


def test_a_disk_without_room_leaves_the_weights_before_whole(run: Run) -> None:
    before, model = run.checkpoint("best").read_bytes(), load_trained(run).model
    with pytest.raises(Exception, match=r"File too large|os error 27"), disk_with_room_for(1000):
        save_weights(model, run.checkpoint("best"), 999)
    assert run.checkpoint("best").read_bytes() == before and not list(run.path.rglob("*.tmp"))


def test_the_first_weights_of_a_run_need_a_folder_and_say_so(run: Run, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"No such file|os error 2"):
        save_weights(load_trained(run).model, tmp_path / "nowhere" / "best.safetensors", 1)


@pytest.mark.parametrize(
    ("node", "name", "value"),
    [("embedding", "embedding_dim", 16), ("block_1", "dim_feedforward", 17), ("head", "bias", False)],
)
def test_weights_of_another_graph_are_refused_in_one_clear_line(run: Run, node: str, name: str, value: object) -> None:
    change_graph(run, node, name, value)
    with pytest.raises(RunError) as caught:
        load_trained(run)
    message = str(caught.value)
    assert f"run {run.id}: checkpoint best does not fit its graph or is damaged: " in message
    assert node in message and "\n" not in message and len(message) < 500


def test_another_number_of_heads_is_a_setting_that_weights_do_not_show(run: Run) -> None:
    change_graph(run, "block_1", "nhead", 4)
    assert load_trained(run).step == 60


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "pickle", "huge header"])
def test_a_damaged_file_is_refused_and_nothing_in_it_is_run(run: Run, damage: str, tmp_path: Path) -> None:
    path = run.checkpoint("best")

    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "was-here",))

    content = {
        "cut": path.read_bytes()[:-100],
        "empty": b"",
        "text": b"hello" * 50,
        "pickle": pickle.dumps(Evil()),
        "huge header": b"\xff" * 64,
    }[damage]
    path.write_bytes(content)
    with pytest.raises(RunError, match="does not fit its graph or is damaged"):
        load_trained(run)
    assert not (tmp_path / "was-here").exists()


def test_a_checkpoint_that_is_not_there_yet_says_when_it_comes(run: Run) -> None:
    run.checkpoint("best").unlink()
    with pytest.raises(RunError, match="no checkpoint best yet; it is finished, the first comes with its first validation"):
        load_trained(run)
    for name in ("middle", "../../x", ""):
        with pytest.raises(RunError, match="expected best or last"):
            load_trained(run, name)


@pytest.mark.parametrize("damage", ["gone", "torn", "another"])
def test_a_tokenizer_that_is_lost_or_torn_or_another_is_told(run: Run, damage: str) -> None:
    path = run.path / "tokenizer.json"
    if damage == "gone":
        path.unlink()
    else:
        path.write_text("{" if damage == "torn" else path.read_text().replace('"cat":', '"cow":1000,"cat":'))
    with pytest.raises(RunError, match="tokenizer.json cannot be read" if damage != "another" else "checkpoint best"):
        load_trained(run)


@pytest.mark.parametrize("content", ["{}", "[]", "null", '{"model": {"type": "Unigram", "unk_id": null, "vocab": []}}'])
def test_a_tokenizer_file_of_something_else_is_told(run: Run, content: str) -> None:
    (run.path / "tokenizer.json").write_text(content)
    with pytest.raises(RunError, match=r"tokenizer\.json"):
        load_trained(run)


def test_a_graph_with_a_fault_is_told(run: Run) -> None:
    change_graph(run, "block_1", "nhead", 3)
    with pytest.raises(RunError, match=r"its graph has a fault: block_1\.nhead"):
        load_trained(run)


def test_nothing_of_ours_unpickles() -> None:
    unsafe = r"\bpickle\b|torch\.load\((?!.*weights_only=True)|allow_pickle|\bdill\b|\bshelve\b"
    found = [path.name for path in PROJECT.glob("cortex/**/*.py") if re.search(unsafe, path.read_text(encoding="utf-8"))]
    assert found == []
