"""Taking runs off the disk: whole or not at all, never one that is going on, never what another run needs."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from cortex.checkpoints import same_as
from cortex.creating import create_run
from cortex.deleting import delete_run, what_it_frees
from cortex.graph import Graph
from cortex.places import to_json
from cortex.processes import process_started
from cortex.runs import Run, RunError, list_runs


def ended(root: Path, name: str, parent: str | None = None) -> Run:
    run = create_run(root, Graph(name), fingerprint="f", parent=parent)
    (run.path / "status.json").write_text(to_json({"state": "finished", "pid": 2**22 + 1, "pid_started": 1}))
    return run


def test_a_deleted_run_is_gone_and_the_others_are_not(root: Path) -> None:
    run, other = ended(root, "a"), ended(root, "b")
    delete_run(run)
    assert list_runs(root) == [other] and sorted(os.listdir(root)) == [other.id]


@pytest.mark.parametrize("state", ["starting", "queued", "preparing", "running"])
def test_a_run_that_is_going_on_is_not_deleted(root: Path, state: str) -> None:
    run = ended(root, "a")
    alive = {"state": state, "pid": os.getpid(), "pid_started": process_started(os.getpid())}
    (run.path / "status.json").write_text(to_json(alive))
    with pytest.raises(RunError, match=f"is {state}; stop it before it is deleted"):
        delete_run(run)
    assert (run.path / "run.json").is_file()


def test_a_run_whose_worker_holds_its_lock_is_not_deleted_whatever_its_status_says(root: Path) -> None:
    run = ended(root, "a")
    with open(run.path / "worker.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="has a worker"):
            delete_run(run)
    assert (run.path / "run.json").is_file()


def test_weights_that_a_child_has_too_are_not_counted_as_freed_and_stay_readable(root: Path) -> None:
    parent = ended(root, "parent")
    child = ended(root, "child", parent.id)
    weights = bytes(range(256)) * 4096
    parent.checkpoint("last").write_bytes(weights)
    parent.checkpoint("best").write_bytes(weights)
    same_as(parent.checkpoint("last"), child.checkpoint("last"))
    freed = what_it_frees([parent])
    assert freed.children == (child.id,) and freed.shared >= len(weights)
    assert len(weights) <= freed.octets < 2 * len(weights)  # best alone, and the small files
    assert what_it_frees([parent, child]).shared == 0
    delete_run(parent)
    assert child.checkpoint("last").read_bytes() == weights and list_runs(root) == [child]


def test_a_deletion_that_was_cut_off_leaves_no_half_run_and_is_finished_by_the_next(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, other = ended(root, "a"), ended(root, "b")
    with monkeypatch.context() as broken:
        broken.setattr("cortex.deleting.shutil.rmtree", lambda path: (_ for _ in ()).throw(OSError("disk")))
        with pytest.raises(OSError):
            delete_run(run)
    assert list_runs(root) == [other] and len(os.listdir(root)) == 2
    delete_run(other)
    assert os.listdir(root) == []


def test_a_link_to_a_folder_elsewhere_is_taken_away_and_the_folder_is_not(root: Path, tmp_path: Path) -> None:
    run = ended(tmp_path / "elsewhere", "a")
    root.mkdir()
    (root / "linked").symlink_to(run.path)
    delete_run(Run(root / "linked"))
    assert os.listdir(root) == [] and (run.path / "run.json").is_file()


def test_a_damaged_run_can_be_deleted(root: Path) -> None:
    run = ended(root, "a")
    (run.path / "run.json").write_bytes(b"\0\xff")
    delete_run(run)
    assert list_runs(root) == []
