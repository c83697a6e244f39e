"""What a sweep keeps on disk: damage is told, it is found, and its state is computed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import MakeGraph, Say
from sweeping import made_sweep, only

from cortex.graph import Graph
from cortex.places import Places
from cortex.processes import process_started
from cortex.sweep import Sweep, SweepError, find_sweep
from cortex.trials import sweep_state

pytestmark = pytest.mark.usefixtures("trained_here")


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
def test_a_damaged_sweep_is_told_and_disturbs_no_other(content: str, expected: str, say: Say, brief: str, home: Places) -> None:
    say("sweep", brief, "--grid", "training.lr=0.001", "--max-steps", "1", "--name", "sound")
    bad = home.runs / ".sweeps" / "20200101-000000-bad"
    bad.mkdir()
    (bad / "sweep.json").write_bytes(content.encode("latin-1"))
    code, out, err = say("sweeps")
    assert (code, err) == (0, "") and "finished" in out.splitlines()[1] and "damaged" in out.splitlines()[2]
    assert sweep_state(Sweep(bad)) == "damaged"
    for arguments in (("sweep", "--resume", bad.name), ("sweep", "--stop", bad.name), ("sweeps", bad.name)):
        code, _, err = say(*arguments)
        assert code == 2 and expected in err and len(err.splitlines()) == 1


def test_damaged_values_are_refused_and_odd_files_beside_do_no_harm(say: Say, brief: str, home: Places) -> None:
    say("sweep", brief, "--grid", "training.lr=0.001,0.01", "--max-steps", "1")
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


def test_a_sweep_is_found_by_id_name_or_directory(brief: str, home: Places) -> None:
    first, second = made_sweep(brief, home), made_sweep(brief, home)
    assert find_sweep(first.id, home.runs) == first and find_sweep(str(second.path), home.runs) == second
    with pytest.raises(SweepError, match="sweep tiny: 2 have this name; give one of"):
        find_sweep("tiny", home.runs)
    with pytest.raises(SweepError, match=r"sweep \.\./x: not found in"):
        find_sweep("../x", home.runs)


def test_the_state_is_that_of_the_driver_and_its_trials(brief: str, home: Places) -> None:
    sweep = made_sweep(brief, home)
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


def test_a_graph_is_kept_as_it_was_when_the_sweep_began(brief: str, home: Places, make_graph: MakeGraph) -> None:
    sweep = made_sweep(brief, home)
    kept: Graph = sweep.graph()
    Path(brief).unlink()
    assert kept.training["steps"] == 4 and sweep.record()["space"][0] == {"key": "training.lr", "values": [0.001, 0.01]}
