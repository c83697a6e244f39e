"""What is asked of a worker: by a file, by a signal; each heard once it is looked for."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

import cortex.asked
from cortex.asked import Asked
from cortex.runs import Run


@pytest.fixture
def asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    monkeypatch.setattr(cortex.asked, "_LOOK_SECONDS", -1.0)
    asked = Asked(run)
    yield asked
    asked.release()


@pytest.mark.parametrize("what", ["stop", "pause", "save"])
def test_a_request_is_heard_and_no_other(run: Run, asked: Asked, what: str) -> None:
    def heard() -> dict[str, bool]:
        return {name: getattr(asked, name)() for name in ("stop", "pause", "save")}

    assert not any(heard().values())
    run.request(what)
    assert heard() == {name: name == what for name in ("stop", "pause", "save")}


def test_a_save_that_was_done_is_asked_no_more_until_it_is_asked_again(run: Run, asked: Asked) -> None:
    run.request("save")
    assert asked.save()
    asked.answered("save")
    assert not asked.save() and not run.requested("save")
    run.request("save")
    assert asked.save()


def test_the_disk_is_not_looked_at_before_every_step(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cortex.asked, "_LOOK_SECONDS", 1e6)
    asked = Asked(run)
    assert not asked.stop()
    run.request("stop")
    assert not asked.stop()  # looked a moment ago
    asked.release()


def test_a_folder_of_requests_that_is_gone_is_no_request(run: Run, asked: Asked) -> None:
    (run.path / "requests").rmdir()
    assert not asked.stop()
    run.request("stop")
    assert asked.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_asks_to_stop_and_a_second_one_ends_the_process(asked: Asked, number: int) -> None:
    os.kill(os.getpid(), number)
    assert asked.stop() and not asked.pause() and not asked.save()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


def test_the_signals_are_given_back_and_left_alone_in_a_thread(run: Run) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    asked = Asked(run)
    assert signal.getsignal(signal.SIGINT) != before[0]
    asked.release()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    thread = threading.Thread(target=lambda: Asked(run).release())
    thread.start()
    thread.join()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
