"""Undo and redo: every edit is a step on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortex import documents, history
from cortex.graph import Graph, to_json
from cortex.places import Places
from cortex.presets import preset


@pytest.fixture
def name(home: Places) -> str:
    return documents.create(home.documents, preset("small"))


def set_lr(home: Places, name: str, lr: float) -> Graph:
    return documents.update(home.documents, name, lambda graph: graph.with_training("lr", lr))


def set_epochs(home: Places, name: str, epochs: int) -> Graph:
    return documents.update(home.documents, name, lambda graph: graph.with_training("epochs", epochs))


def steps(home: Places, name: str) -> history.History:
    return documents.steps(home.documents, name, documents.load(home.documents, name))


def test_every_edit_can_be_undone_and_made_again(home: Places, name: str) -> None:
    graphs = [preset("small"), set_lr(home, name, 0.5), set_epochs(home, name, 7)]
    assert (steps(home, name).undo, steps(home, name).redo) == ("Set epochs to 7", "")
    assert documents.go(home.documents, name, -1) == graphs[1] == documents.load(home.documents, name)
    assert (steps(home, name).undo, steps(home, name).redo) == ("Set lr to 0.5", "Set epochs to 7")
    assert documents.go(home.documents, name, -1) == graphs[0]
    assert steps(home, name).undo == ""
    assert documents.go(home.documents, name, -1) == graphs[0]
    assert documents.go(home.documents, name, 1) == graphs[1]
    assert documents.go(home.documents, name, 1) == graphs[2] == documents.go(home.documents, name, 1)


def test_a_new_edit_takes_the_place_of_what_was_undone(home: Places, name: str) -> None:
    set_lr(home, name, 0.5)
    set_epochs(home, name, 7)
    documents.go(home.documents, name, -1)
    last = documents.update(home.documents, name, lambda graph: graph.remove("norm"))
    assert (steps(home, name).undo, steps(home, name).redo) == ("Delete norm", "")
    assert documents.go(home.documents, name, 1) == last


def test_edits_of_one_thing_in_quick_succession_are_one_step(home: Places, name: str) -> None:
    for lr in (0.1, 0.2, 0.3):
        set_lr(home, name, lr)
    assert [step.name for step in steps(home, name).steps] == ["opened", "Set lr to 0.3"]
    assert documents.go(home.documents, name, -1) == preset("small")


def test_edits_of_one_thing_with_time_between_them_are_steps_of_their_own(tmp_path: Path) -> None:
    graphs = [preset("small").with_training("lr", lr) for lr in (0.1, 0.2, 0.3)]
    history.settle(tmp_path, *history.record(tmp_path, graphs[0], graphs[1], "one", "training.lr", now=100.0))
    history.settle(tmp_path, *history.record(tmp_path, graphs[1], graphs[2], "two", "training.lr", now=102.0))
    assert [step.name for step in history.read(tmp_path, graphs[2]).steps] == ["opened", "one", "two"]


def test_steps_survive_a_document_that_was_changed_outside_the_app(home: Places, name: str) -> None:
    set_lr(home, name, 0.5)
    outside = preset("small").with_training("seed", 99)
    documents.path_of(home.documents, name).write_text(to_json(outside))
    after = set_epochs(home, name, 3)
    assert after.training["seed"] == 99
    assert documents.go(home.documents, name, -1) == outside
    assert documents.go(home.documents, name, -1).training["lr"] == 0.5


def test_torn_and_foreign_files_among_the_steps_are_passed_over(home: Places, name: str) -> None:
    set_lr(home, name, 0.5)
    set_epochs(home, name, 7)
    folder = documents.path_of(home.documents, name).with_suffix(".history")
    (folder / "00000001.json").write_text('{"name": "torn')
    (folder / "notes.json").write_text("[]")
    (folder / "at").write_text("x")
    assert documents.go(home.documents, name, -1) == preset("small")


def test_two_equal_graphs_are_two_places_in_the_history(home: Places, name: str) -> None:
    set_epochs(home, name, 5)
    documents.update(home.documents, name, lambda graph: graph.remove("norm"))
    documents.update(home.documents, name, lambda graph: preset("small").with_training("epochs", 5))
    assert steps(home, name).at == 3
    for _ in range(2):
        documents.go(home.documents, name, -1)
    assert steps(home, name).at == 1
    assert "norm" not in documents.go(home.documents, name, 1)


def test_only_the_newest_steps_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_STEPS", 5)
    graph = preset("small")
    for number in range(12):
        after = graph.with_training("seed", number)
        made, outdated = history.record(tmp_path, graph, after, f"step {number}", now=float(number))
        history.settle(tmp_path, made, outdated)
        graph = after
    assert [step.name for step in history.read(tmp_path, graph).steps] == [f"step {number}" for number in range(7, 12)]


def test_an_undone_edit_that_was_only_a_layout_is_undone_too(home: Places, name: str) -> None:
    moved = documents.update(home.documents, name, lambda graph: graph.move({"norm": (1.0, 2.0)}))
    assert steps(home, name).undo == "Move norm"
    assert documents.go(home.documents, name, -1) == preset("small") != moved


def test_an_edit_that_stands_alone_is_not_taken_together_with_the_one_before(home: Places, name: str) -> None:
    set_lr(home, name, 0.5)
    documents.update(home.documents, name, lambda graph: graph.with_training("lr", 0.1), alone=True)
    set_lr(home, name, 0.2)
    assert [step.name for step in steps(home, name).steps[1:]] == ["Set lr to 0.5", "Set lr to 0.1", "Set lr to 0.2"]


def all_steps(home: Places, name: str) -> list[str]:
    return [step.name for step in steps(home, name).steps]


@pytest.mark.parametrize("killed", ["before the document is written", "right after the document is written"])
@pytest.mark.parametrize("edit", ["typing on", "after an undo"])
def test_a_process_killed_in_the_middle_of_an_edit_leaves_steps_that_agree_with_the_document(
    home: Places, name: str, killed: str, edit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_epochs(home, name, 7)
    before = set_lr(home, name, 0.5)
    if edit == "after an undo":
        before = documents.go(home.documents, name, -1)
    steps_before = all_steps(home, name)

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(*((documents, "write_atomically") if "before" in killed else (history, "settle")), kill)
        set_lr(home, name, 0.25)
    now = documents.load(home.documents, name)
    if "before" in killed:
        assert now == before
        assert all_steps(home, name) == steps_before
    else:
        assert now.training["lr"] == 0.25
        assert all_steps(home, name) == ["opened", "Set epochs to 7", "Set lr to 0.25"]
    undone = documents.go(home.documents, name, -1)
    assert undone == (
        preset("small") if now == before and edit == "after an undo" else preset("small").with_training("epochs", 7)
    )
    assert documents.go(home.documents, name, 1) == now
    after = documents.update(home.documents, name, lambda graph: graph.remove("norm"))
    assert documents.load(home.documents, name) == after and steps(home, name).undo == "Delete norm"
    assert documents.go(home.documents, name, -1) == now


def test_a_full_disk_costs_neither_a_step_nor_what_was_undone(home: Places, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_epochs(home, name, 7)
    set_lr(home, name, 0.5)
    now, before = documents.go(home.documents, name, -1), all_steps(home, name)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for module in (history, documents):  # the step cannot be written; the document cannot
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            patch.setattr(module, "write_atomically", full)
            set_lr(home, name, 0.25)
        assert documents.load(home.documents, name) == now and all_steps(home, name) == before
    assert documents.go(home.documents, name, 1).training["lr"] == 0.5
    assert set_lr(home, name, 0.25).training["lr"] == 0.25


def test_what_a_killed_process_left_half_written_goes_with_the_next_edit(home: Places, name: str) -> None:
    set_epochs(home, name, 7)
    path = documents.path_of(home.documents, name)
    left = [path.with_name(f".{path.name}.abc"), path.with_suffix(".history") / ".00000001.json.abc"]
    for file in left:
        file.write_text("{")
    set_lr(home, name, 0.5)
    assert not any(file.exists() for file in left)


def test_a_document_that_goes_on_from_another_can_undo_its_edits(home: Places, name: str) -> None:
    after = set_epochs(home, name, 7)
    other = documents.create(home.documents, after, like=name)
    assert documents.go(home.documents, other, -1) == preset("small")
    assert documents.load(home.documents, name) == after == documents.last_good(home.documents, name)
    assert documents.last_good(home.documents, "0123456789ab") is None
