"""What a run's process does around train(): data, checkpoints, status, metrics and requests of one run directory."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from cortex import data
from cortex.builder import PlanError, build, plan, train_config
from cortex.checkpoints import save_weights
from cortex.corpus import CorpusError
from cortex.evaluate import evaluate
from cortex.graph import Graph
from cortex.places import json_line
from cortex.runs import Run, RunError
from cortex.status import Status
from cortex.train import Blocks, Event, TrainingError, eval_interval, pick_device, total_steps, train

_OUT_OF_MEMORY = "out of memory; try a smaller batch_size, seq_len or model"


class Stopped(Exception):
    """The user asked to stop before training had begun."""


def work(run: Run, store: Path, status: Status | None = None, on_event: Callable[[Event], None] = lambda event: None) -> str:
    """Train a run that was created and end its directory in a state: "finished", "stopped" or "failed".

    Args:
        status: made by the caller before torch was loaded, so that the run is claimed at once.
        on_event: hears every event after it has been written.
    """
    status = status or Status(run)
    stop = _StopFlag(run)
    log = _Log(run.path / "log.txt")
    log(f"run {run.id}, process {os.getpid()}")
    state, error = "failed", None
    try:
        with open(run.path / "metrics.jsonl", "ab") as metrics:
            state = _train(run, store, status, stop, log, _Recorder(metrics, status, on_event))
    except Stopped:
        state = "stopped"
    except (CorpusError, PlanError, TrainingError, RunError) as problem:
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
        stop.release()
    log(f"{state}{': ' + error if error else ''}")
    status.end(state, error)
    return state


def _train(run: Run, store: Path, status: Status, stop: _StopFlag, log: _Log, record: _Recorder) -> str:
    graph, row = run.graph(), run.record()
    prepared = _prepare(graph, row["data"]["fingerprint"], store, status, stop)
    shutil.copyfile(prepared.path / "tokenizer.json", run.path / "tokenizer.json")
    planned = plan(graph, prepared.vocab_size)
    if planned.issues:
        raise PlanError(planned.issues)
    node = data.source_node(graph)
    short = data.too_short(node, prepared)
    if short:
        raise CorpusError(f"{node.id}: {short}")
    config, source = train_config(graph), data.source_of(node)
    device = pick_device(config.device)
    torch.manual_seed(config.seed)
    model = build(planned).to(device)
    blocks = Blocks(prepared.tokens("train"), source.seq_len, source.batch_size, config.seed)
    validation = prepared.tokens("validation")
    tokens_per_step = source.batch_size * source.seq_len
    steps = total_steps(config, blocks.steps_per_epoch)
    interval = eval_interval(config, prepared.count("validation"), tokens_per_step)
    record(
        {
            "event": "start",
            "steps": steps,
            "last_step": min(steps, row["max_steps"] or steps),
            "steps_per_epoch": blocks.steps_per_epoch,
            "eval_every": interval,
            "parameters": planned.total,
            "source": node.kind,
            "tokenizer": prepared.meta["tokenizer"],
            "vocabulary": prepared.vocab_size,
            "train_tokens": prepared.count("train"),
            "validation_tokens": prepared.count("validation"),
            "validation_bytes": prepared.honest_bytes("validation"),
            "why_not_bits": prepared.why_not_bytes("validation"),
            "device": device.type,
            "threads": torch.get_num_threads(),
        }
    )
    log(f"{planned.total:,} parameters on {device}, {blocks.steps_per_epoch:,} steps an epoch")
    status.set(state="running", message="")
    validated = False

    def on_event(event: Event) -> None:
        nonlocal validated
        if event["event"] == "end":
            save_weights(model, run.checkpoint("last"), event["step"])
        elif event["event"] == "validation":
            validated = True
            # Weights before the event: a best that the curve shows is a best that exists.
            if event["best"]:
                save_weights(model, run.checkpoint("best"), event["step"])
            save_weights(model, run.checkpoint("last"), event["step"])
            log(f"step {event['step']:,}: validation loss {event['loss']:.4f}{', best so far' if event['best'] else ''}")
        record(event)

    return train(
        model,
        blocks,
        config,
        validate=lambda: evaluate(model, validation, source.seq_len, should_stop=lambda: validated and stop()).loss,
        on_event=on_event,
        eval_every=interval,
        should_stop=stop,
        max_steps=row.get("max_steps"),
    )


def _prepare(graph: Graph, fingerprint: str, store: Path, status: Status, stop: _StopFlag) -> data.Prepared:
    said = ""

    def progress(what: str, share: float | None) -> None:
        nonlocal said
        if stop():
            raise Stopped
        if what != said:
            said = what
            status.set(state="preparing", message=what)

    progress("preparing the data", None)
    prepared = data.find(fingerprint, store) or data.prepare(data.source_node(graph), store, progress)
    if prepared.fingerprint != fingerprint:
        raise CorpusError("the text has changed since this run was created; create it again")
    return prepared


class _StopFlag:
    """Whether the run is to stop: asked by a request, by Ctrl-C or by SIGTERM. A second signal ends the process."""

    def __init__(self, run: Run) -> None:
        self._run, self._signalled, self._looked = run, False, 0.0
        self._asked = False
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._asked and now - self._looked > 0.2:  # a look at the disk, not at every step of a fast model
            self._looked = now
            self._asked = self._run.requested("stop")
        return self._asked or self._signalled

    def release(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: Any) -> None:
        if self._signalled:
            raise KeyboardInterrupt
        self._signalled = True


class _Recorder:
    """Writes events to metrics.jsonl, one whole line at a time, and passes them on."""

    def __init__(self, file: Any, status: Status, on_event: Callable[[Event], None]) -> None:
        self._file, self._status, self._on_event = file, status, on_event

    def __call__(self, event: Event) -> None:
        event = {**event, "time": time.time()}
        self._file.write(json_line(event).encode() + b"\n")
        self._file.flush()
        self._status.note(step=event.get("step", 0))
        self._on_event(event)


class _Log:
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
