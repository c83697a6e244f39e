"""A few steps of a training, to see how fast this machine makes them and how much memory they take; nothing is kept."""

from __future__ import annotations

import contextlib
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cortex.checkpoints import save_weights
from cortex.feed import is_scored, masked_losses, targets_of, tokens_at_once
from cortex.follower import Follower
from cortex.forecast import Forecast, forecast
from cortex.graph import Graph, to_document
from cortex.machine import keep_pages
from cortex.run_length import counts, minutes
from cortex.store import Prepared
from cortex.train import Trainer

# The first steps allocate and warm up; of the others at least so many are measured, for about so long.
WARM_UP, LEAST, MOST, SECONDS = 2, 3, 200, 6.0
_VALIDATION_SECONDS = 3.0

Tell = Callable[[dict[str, Any]], None]


def probe(
    graph: Graph, prepared: Prepared, store: Path, tell: Tell = lambda event: None, *, steps: int = 0, seconds: float = SECONDS
) -> dict[str, Any]:
    """Speed and memory of a training of this graph on this machine, measured in this very process, which should be a new one.

    Args:
        tell: hears `step` after each step.
        steps: measured ones; 0 measures for about `seconds`, at least 3 steps.

    Returns:
        `tokens_per_second`, `seconds_per_step`, `steps`, `seconds_per_validation`, `seconds_per_checkpoint`, `peak_memory` and
        `forecast_memory` in bytes, `minutes_per_epoch`, `minutes_per_run`, `threads`.
    """
    keep_pages()
    record = {"graph": to_document(graph), "data": {"fingerprint": prepared.fingerprint}}
    training = _Probe(record, store, tell, steps, seconds)
    training.measure()
    expected = forecast(training.planned, *counts(prepared))
    return training.found(expected)


class _Probe(Follower):
    """A training that times its steps and ends."""

    def __init__(self, record: dict[str, Any], store: Path, tell: Tell, steps: int, seconds: float) -> None:
        super().__init__(record, store)
        self._tell, self._wanted, self._seconds = tell, steps, seconds
        self._marks: list[tuple[float, int]] = []  # before each step: the time and the tokens read by then
        self._looks, self._began = 0, 0.0

    def measure(self) -> None:
        self._make(self._prepare(lambda what, share: None))
        self.trainer.run()
        self._validation = self._timed_validation()
        self._checkpoint = self._timed_checkpoint()

    def found(self, expected: Forecast | None) -> dict[str, Any]:
        (began, tokens_before), (ended, tokens_after) = self._marks[min(WARM_UP, len(self._marks) - 2)], self._marks[-1]
        times = [after - before for (before, _), (after, _) in zip(self._marks, self._marks[1:], strict=False)]
        measured = len(times) - min(WARM_UP, len(self._marks) - 2)
        row = {
            "seconds_per_step": (ended - began) / measured,
            "median_seconds_per_step": statistics.median(times[-measured:]),
            "tokens_per_second": (tokens_after - tokens_before) / (ended - began),
            "steps": measured,
            "seconds_per_validation": self._validation,
            "seconds_per_checkpoint": self._checkpoint,
            "peak_memory": peak_memory(),
            "forecast_memory": expected.peak if expected else None,
            "threads": torch.get_num_threads(),
            "parameters": expected.parameters if expected else None,
        }
        spans = minutes(expected.length, row) if expected and expected.length else {}
        return row | {"minutes_per_epoch": spans.get("epoch"), "minutes_per_run": spans.get("run")}

    def _between(self, trainer: Trainer) -> str:
        self._marks.append((time.perf_counter(), trainer.tokens))
        done = len(self._marks) - 1 - WARM_UP
        if len(self._marks) > 1:
            self._tell({"event": "step", "step": len(self._marks) - 1, "seconds": self._marks[-1][0] - self._marks[-2][0]})
        if self._wanted:
            enough = done >= max(LEAST, self._wanted)
        else:
            enough = done >= LEAST and (done >= MOST or self._marks[-1][0] - self._marks[WARM_UP][0] >= self._seconds)
        return "paused" if enough else ""  # unlike one that is stopped, a paused training does not validate

    def _timed_validation(self) -> float:
        """Seconds of a whole validation, from a part of it where it takes long."""
        self.model.eval()
        self._looks, self._began = 0, time.perf_counter()
        with contextlib.suppress(InterruptedError):
            self._validate()
        spent, count = time.perf_counter() - self._began, self.prepared.count("validation")
        targets, hidden = targets_of(self.model), len(masked_losses(self.model))
        scored = is_scored(targets, self.prepared.task != "Text")
        read = self._looks * tokens_at_once(scored, self.seq_len, self.prepared.vocab_size)
        times = 2 if 0 < hidden < len(targets) else 1  # that the split is read
        return spent * max(1.0, times * count / max(1, read))

    def _leaves_validation(self) -> bool:
        self._looks += 1
        return time.perf_counter() - self._began > _VALIDATION_SECONDS

    def _timed_checkpoint(self) -> float:
        """Seconds of a checkpoint, from those of the weights: the optimizer's numbers are written at the same speed."""
        self.store.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".probe-", dir=self.store))
        try:
            began = time.perf_counter()
            save_weights(self.model, folder / "weights.safetensors", 0)
            return 3 * (time.perf_counter() - began)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):  # ru_maxrss begins with what the parent held when it forked
                return 1024 * int(line.split()[1])
    except (OSError, ValueError):
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
