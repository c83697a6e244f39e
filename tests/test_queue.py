"""Runs that wait for one another: first come, first served, however those before them end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PROJECT, MakeRun
from waiting import wait_for

from cortex import queue
from cortex.creating import create_run
from cortex.graph import Graph
from cortex.places import Places
from cortex.processes import process_started
from cortex.queue import slots, take_slot, take_ticket, waiting_before
from cortex.runs import Run
from cortex.status import Status
from cortex.worker import work

_HOLD = """
import sys, time
from pathlib import Path
from cortex.queue import take_slot
from cortex.runs import Run
slot = take_slot(Run(Path(sys.argv[1])), lambda word: None)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """Three runs in the order in which they came."""
    made = [create_run(tmp_path / "runs", Graph(name), fingerprint="f") for name in ("zebra", "ape", "newt")]
    for run in made:
        take_ticket(run)
    return made


@pytest.fixture(autouse=True)
def one_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CORTEXNODUS_SLOTS", raising=False)
    monkeypatch.setattr(queue, "_LOOK_SECONDS", 0.01)


class GivenUp(Exception):
    """Whoever waits has had enough."""


def told_while_waiting(run: Run) -> str:
    """What a run that does not get a slot is told; "" when it gets one at once."""

    tickets = list(run.path.parent.glob(f".queue/*~{run.id}"))

    def give_up(word: str) -> None:
        raise GivenUp(word)

    try:
        take_slot(run, give_up).close()
    except GivenUp as word:
        for ticket in tickets:  # it comes back to where it was
            ticket.touch()
        return str(word)
    return ""


@contextlib.contextmanager
def held_by_another_process(run: Run) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(run.path)], env=environment, text=True, stdout=subprocess.PIPE
    ) as child:
        try:
            assert child.stdout.readline() == "held\n"
            yield child
        finally:
            child.kill()


def test_runs_wait_in_the_order_in_which_they_came(runs: list[Run]) -> None:
    first, second, third = runs
    assert [waiting_before(run) for run in runs] == [[], [first], [first, second]]
    assert told_while_waiting(third) == "2 runs wait before it"
    assert told_while_waiting(second) == "1 run waits before it"
    assert told_while_waiting(first) == ""
    assert [waiting_before(run) for run in runs[1:]] == [[], [second]]


def test_one_run_trains_at_once_unless_more_slots_are_given(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = runs
    with take_slot(first, lambda word: None):
        assert told_while_waiting(second) == "next, as soon as a running one ends"
        monkeypatch.setenv("CORTEXNODUS_SLOTS", "2")
        assert waiting_before(third) == [second]
        with take_slot(second, lambda word: None):
            assert waiting_before(third) == []
            assert told_while_waiting(third) == "next, as soon as a running one ends"
        assert told_while_waiting(third) == ""
    assert list(first.path.parent.glob(".queue/*~*")) == []


@pytest.mark.parametrize(("text", "number"), [("", 1), ("3", 3), ("0", 1), ("-2", 1), ("many", 1), ("²", 1), ("1.5", 1)])
def test_a_number_of_slots_that_is_none_means_one(text: str, number: int) -> None:
    assert slots({"CORTEXNODUS_SLOTS": text}) == number
    assert slots({}) == 1


def test_a_run_resumed_from_a_terminal_lines_up_behind_those_that_wait(runs: list[Run]) -> None:
    late = create_run(runs[0].path.parent, Graph("late"), fingerprint="f")  # has no ticket of its own
    heard: list[str] = []

    def wait(word: str) -> None:
        heard.append(word)
        newcomer = create_run(runs[0].path.parent, Graph("newcomer"), fingerprint="f")
        take_ticket(newcomer)
        assert late in waiting_before(newcomer)
        raise GivenUp

    with pytest.raises(GivenUp):
        take_slot(late, wait)
    assert heard == ["3 runs wait before it"]
    assert late not in waiting_before(create_run(runs[0].path.parent, Graph("last"), fingerprint="f"))


def test_the_ticket_of_a_run_that_died_while_it_waited_is_dropped(runs: list[Run]) -> None:
    first, second, _ = runs
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=subprocess.PIPE, check=True)
    facts = f'{{"state": "queued", "pid": {int(dead.stdout)}, "pid_started": 1}}'
    (first.path / "status.json").write_text(facts)
    assert first.state() == "interrupted"
    assert waiting_before(second) == []
    assert not list(first.path.parent.glob(f".queue/*~{first.id}"))
    live = f'{{"state": "queued", "pid": {os.getpid()}, "pid_started": {process_started(os.getpid())}}}'
    (second.path / "status.json").write_text(live)
    assert waiting_before(runs[2]) == [second]


def test_a_slot_is_free_again_as_soon_as_its_holder_is_killed(runs: list[Run]) -> None:
    first, second, _ = runs
    with held_by_another_process(first) as child:
        assert told_while_waiting(second) == "next, as soon as a running one ends"
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert told_while_waiting(second) == ""


@pytest.mark.parametrize(("what", "state"), [("stop", "stopped"), ("pause", "paused")])
def test_a_run_can_be_stopped_or_paused_while_it_waits(what: str, state: str, make_run: MakeRun, home: Places) -> None:
    before, run = make_run(), make_run()
    ended: list[str] = []
    with take_slot(before, lambda word: None):
        take_ticket(run)
        status = Status(run)
        worker = threading.Thread(target=lambda: ended.append(work(run, home.store, status, queued=True)))
        worker.start()
        wait_for(lambda: run.state() == "queued")
        assert run.status()["message"] == "next, as soon as a running one ends"
        run.request(what)
        worker.join()
        assert ended == [state] and run.state() == state and run.events() == []
        assert told_while_waiting(run) != ""  # the slot was not taken from its holder
    assert not list(run.path.parent.glob(".queue/*~*"))


def test_a_run_that_waited_is_trained_when_its_turn_has_come(make_run: MakeRun, home: Places) -> None:
    before, run = make_run(), make_run()
    slot, states = take_slot(before, lambda word: None), []
    take_ticket(run)
    status = Status(run)
    worker = threading.Thread(target=lambda: states.append(work(run, home.store, status, queued=True)))
    worker.start()
    wait_for(lambda: run.state() == "queued")
    slot.close()
    worker.join()
    assert states == ["finished"] and told_while_waiting(make_run()) == ""
