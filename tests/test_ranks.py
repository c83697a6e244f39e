"""Two processes under torchrun train as one would: the same losses, an uneven batch, a rank that is killed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from conftest import MakeGraph, MakeRun, Start
from waiting import wait_for, wait_for_step

from cortex.graph import Graph, to_json
from cortex.places import Places
from cortex.ranks import Ranks
from cortex.runs import Run, list_runs
from cortex.worker import work


def curve(run: Run) -> dict[tuple[str, int], float]:
    return {(event["event"], event["step"]): event["loss"] for event in run.events() if "loss" in event}


def others_of(launcher: int, worker: int) -> list[int]:
    """The processes that torchrun started besides the one that writes."""
    listed = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return [int(pid) for pid in listed if int(pid) != worker]


@pytest.fixture
def uneven(make_graph: MakeGraph) -> Graph:
    """Without dropout; 25 rows to a step: 13 of them in five pieces for one process, 12 in four for the other."""
    settings = {"steps": 120, "log_every": 1, "eval_every": 25, "save_every": 10, "lr": 0.003, "ema": 0.5, "accumulate": 5}
    graph = make_graph({"batch_size": 5}, **settings)
    return graph.with_param("block_1", "dropout", 0.0)


def test_two_ranks_equal_one_process_even_when_one_of_them_is_killed(
    uneven: Graph, make_run: MakeRun, home: Places, start: Start, tmp_path: Path
) -> None:
    alone = make_run(uneven)
    assert work(alone, home.store) == "finished"
    assert {event["state"] for event in alone.events() if event["event"] == "end"} == {"finished"}
    (damaged := make_run(uneven, name="damaged")).path.joinpath("run.json").write_text("{")  # must not be in the way
    document = tmp_path / "graph.json"
    document.write_text(to_json(uneven))
    launcher = start(
        "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "1",
        "-m", "cortex", "train", str(document), "--name", "shared",
    )  # fmt: skip

    def shared() -> list[Run]:
        return [run for run in list_runs(home.runs) if run.id != damaged.id and run.record()["name"] == "shared"]

    wait_for(shared)
    (run,) = shared()
    wait_for_step(run, 30)
    first = run.status()["pid"]
    (other,) = others_of(launcher.pid, first)
    os.kill(other, signal.SIGKILL)
    out, err = launcher.communicate(timeout=240)
    assert launcher.returncode == 0, err[-3000:]
    assert shared() == [run] and run.state() == "finished" and run.status()["pid"] != first
    assert run.events()[0]["processes"] == 2 and "resumed" in [event["event"] for event in run.events()]
    ours, theirs = curve(alone), curve(run)
    assert ours.keys() == theirs.keys()
    assert max(abs(loss - theirs[key]) for key, loss in ours.items()) < 1e-5
    assert out.count("finished after 120 steps") == 1  # one of them tells
    assert json.loads((run.path / "run.json").read_text())["launcher"]["pid"] == launcher.pid


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_every_row_is_one_processs_and_the_shares_are_those_of_the_whole(rows: int, world: int) -> None:
    batch = {"inputs": torch.arange(rows * 2).view(rows, 2), "targets": torch.arange(rows * 2).view(rows, 2)}
    seen, shares = [], 0.0
    for rank in range(world):
        processes = Ranks.__new__(Ranks)  # without meeting any others
        processes.rank, processes.world = rank, world
        part, share = processes.part(batch)
        shares += share
        assert part["targets"].size(0) > 0  # each has something to compute, so that none waits for another
        if share:
            assert share == part["targets"].size(0) / rows
            seen += part["targets"][:, 0].tolist()
    assert sorted(seen) == batch["targets"][:, 0].tolist() and shares == pytest.approx(1.0)
