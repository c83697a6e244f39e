"""What a run's process does around train.py: queue, claim, faults; the run ends in a state and says why it failed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import torch

from cortex.asked import Asked, Stopped
from cortex.backward import OneProcess
from cortex.builder import PlanError
from cortex.checkpoints import saved_step
from cortex.config import TrainingError
from cortex.corpus import CorpusError
from cortex.machine import keep_pages
from cortex.queue import take_slot
from cortex.runs import Run, RunError
from cortex.session import Session
from cortex.status import Status
from cortex.train import Event

_OUT_OF_MEMORY = "out of memory; try a smaller batch_size (accumulate keeps the step as it is), seq_len or model"


def work(
    run: Run,
    store: Path,
    status: Status | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    *,
    queued: bool = False,
    processes: OneProcess | None = None,
) -> str:
    """Train a run, from its start or from its last checkpoint, and end its directory in a state: "finished", "stopped",
    "paused" or "failed".

    Args:
        status: made by the caller before torch was loaded, so that the run is claimed at once.
        on_event: hears every event after it has been written.
        queued: wait for a slot of the queue first.
        processes: those that train it together; this one is the first of them.
    """
    status = status or Status(run)
    asked, log = Asked(run), Log(run.path / "log.txt")
    log(f"run {run.id}, process {os.getpid()}, {date.today()}")  # the lines that follow say the hour alone
    state, error, slot = "failed", None, None
    try:
        if queued:
            slot = take_slot(run, lambda word: _while_queued(word, status, asked))
        keep_pages()
        state = Session(run, store, processes, status=status, asked=asked, log=log, on_event=on_event).train()
    except Stopped as word:
        state = str(word)
    except TrainingError as problem:
        step = saved_step(run.checkpoint("last"))
        error = f"{problem}; the weights of step {step:,} are kept" if step else str(problem)
    except (CorpusError, PlanError, RunError) as problem:
        error = str(problem)
    except (MemoryError, torch.OutOfMemoryError):
        error = _OUT_OF_MEMORY
    except OSError as problem:
        where = problem.filename2 or problem.filename or run.path
        error = f"{problem.strerror or problem}: {where}; what was written before is kept"
    except Exception as problem:
        log.traceback()
        error = f"{type(problem).__name__}: {problem}; the log has the details"
        if "DefaultCPUAllocator" in str(problem):  # how torch tells of it on a CPU
            error = _OUT_OF_MEMORY
    except BaseException:
        status.end("stopped", "ended by a second interrupt")
        raise
    finally:
        asked.release()
        if slot:
            slot.close()
    log(f"{state}{': ' + error if error else ''}")
    status.end(state, error)
    return state


def _while_queued(word: str, status: Status, asked: Asked) -> None:
    if asked.stop():
        raise Stopped("stopped")
    if asked.pause():
        raise Stopped("paused")
    status.say("queued", word)


class Log:
    """log.txt of a run: lines for people, each with its time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, line: str) -> None:
        line = f"{datetime.now():%H:%M:%S} {line}"
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:  # the log is for people; a run does not fail for want of it
            print(f"{line} (log.txt: {error.strerror})", file=sys.stderr, flush=True)

    def traceback(self) -> None:
        import traceback

        self(traceback.format_exc())
