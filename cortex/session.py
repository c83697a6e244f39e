"""One sitting of a training: from the start or from the last checkpoint, to the end or to the next pause.

The first process of a training writes metrics and checkpoints; where there are others (ranks.py) they train along.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cortex import ranks
from cortex.asked import Asked, Stopped
from cortex.backward import OneProcess
from cortex.builder import PlanError
from cortex.checkpoints import (
    Trained,
    drop_other_states,
    find_room,
    load_state,
    load_weights,
    same_as,
    save_state,
    save_weights,
    saved_step,
)
from cortex.export import script_of_run
from cortex.follower import Follower
from cortex.honest import leaks
from cortex.hopeless import judge_of
from cortex.judge import sample_of
from cortex.measures import asked_for
from cortex.places import json_line, to_json, write_atomically
from cortex.runs import Run
from cortex.start_event import start_event, words_beside
from cortex.status import Status
from cortex.tokenizer import Tokenizer
from cortex.train import Event, Trainer

# A checkpoint to go on from is never older than this, however far apart the validations are.
_SAVE_SECONDS = 600.0


class Session(Follower):
    """The process that writes: it also hears requests, records events and saves checkpoints."""

    def __init__(
        self,
        run: Run,
        store: Path,
        processes: OneProcess | None,
        *,
        status: Status,
        asked: Asked,
        log: Callable[[str], None],
        on_event: Callable[[Event], None],
    ) -> None:
        run.graph()  # says what is wrong with run.json
        super().__init__(run.record(), store, processes)
        self.run = run
        self._status, self._asked, self._log, self._tell = status, asked, log, on_event
        self._saved, self._saved_at = -1, time.monotonic()
        self._judge, self._judged, self._hopeless = judge_of(run, self.record), 0, ""

    def train(self) -> str:
        """Train to the end or to a request; "finished", "stopped" or "paused" comes out."""
        if isinstance(self.processes, ranks.Ranks):
            self.processes.share(self.record)
        self._preparing("preparing the data", None)
        prepared = self._prepare(self._preparing)
        words = words_beside(prepared, self._log)
        write_atomically(self.run.path / "tokenizer.json", (prepared.path / "tokenizer.json").read_bytes())
        if prepared.labels:
            write_atomically(self.run.path / "classes.json", to_json(list(prepared.labels)))
        self._tokenizer = Tokenizer.load(self.run.path / "tokenizer.json")
        self._checkpoint = checkpoint = load_state(self.run.path / "checkpoints")
        self._make(prepared)
        if seen := leaks(self.planned):
            raise PlanError(seen)
        if checkpoint:
            load_weights(self.model, self.run.checkpoint("last"))
            checkpoint["inherited"] = checkpoint["run"] != self.run.id
        find_room(self.run.path, self.model, self.config)
        with open(self.run.path / "metrics.jsonl", "ab") as self._metrics:
            self._cut_back(checkpoint)
            self._go_on(checkpoint)
            if self._metrics.tell() == 0:
                self._write(start_event(self, words))
                self._explain()
            if checkpoint:
                self._saved = self.trainer.step
                parent = self.record.get("parent") if checkpoint["inherited"] else None
                self._write({"event": "resumed", "step": self.trainer.step, "parent": parent})
            self._log(
                f"{self.planned.total:,} parameters on {self.device}, {self.blocks.steps_per_epoch:,} steps an epoch, "
                f"from step {self.trainer.step:,}"
            )
            self._status.set(state="running", message="")
            return self.trainer.run()

    # Before training

    def _preparing(self, what: str, share: float | None) -> None:
        if self._asked.stop():
            raise Stopped("stopped")
        if self._asked.pause():
            raise Stopped("paused")
        self._status.note(share=share)
        self._status.say("preparing", what)

    def _threads(self) -> int:
        """The number of threads of the checkpoint, its own or a parent's: the last bits of losses hang on it."""
        return self.config.threads or (self._checkpoint or {}).get("threads") or self._began().get("threads") or 0

    def _began(self) -> Event:
        return next((event for event in self.run.events() if event["event"] == "start"), {})

    def _cut_back(self, checkpoint: dict[str, Any] | None) -> None:
        """Take away the events of steps that are made again, and finish what a kill left between checkpoint and event."""
        mine = checkpoint is not None and not checkpoint["inherited"]
        self._metrics.truncate(min(checkpoint["metrics"], self._metrics.tell()) if mine else 0)
        self._metrics.seek(0, os.SEEK_END)
        if not mine:
            return
        self._append(checkpoint["pending"])
        best = self.run.checkpoint("best")
        if checkpoint["is_best"] and saved_step(best) != checkpoint["step"]:
            same_as(self.run.checkpoint("last"), best)
        self._keep(checkpoint["step"])
        drop_other_states(self.run.path / "checkpoints", checkpoint["step"])

    def _explain(self) -> None:
        """Keep the run as a script beside it, with the threads and the length that it has by now."""
        write_atomically(self.run.path / "model.py", script_of_run(self.run))

    # While training

    def _leaves_validation(self) -> bool:
        alone = self.processes.world == 1  # others would wait for ever for the part of the one that left
        return alone and bool(self.trainer.validated) and self._asked.stop()

    def _between(self, trainer: Trainer) -> str:
        if self._asked.stop():
            return "stopped"
        if self._asked.pause():
            return "paused"
        if self._judge and trainer.validated != self._judged:
            self._judged, self._hopeless = trainer.validated, self._judge.why_hopeless()
        if self._hopeless:
            self._status.note(why=self._hopeless)
            return "stopped"
        if self._due(trainer.step):
            self._save()
        return ""

    def _due(self, step: int) -> bool:
        if self._asked.save():
            self._asked.answered("save")
            return True
        if not step or step == self._saved:
            return False
        regular = (every and step % every == 0 for every in (self.config.save_every, self.config.keep_every))
        return any(regular) or time.monotonic() - self._saved_at > _SAVE_SECONDS

    def _on_event(self, event: Event) -> None:
        kind = event["event"]
        if kind == "validation":
            sample = self._sample(event["step"])
            self._save([event, sample] if sample else [event], best=event["best"])
            text = f"validation loss {event['loss']:.4f}{', best so far' if event['best'] else ''}"
            self._log(f"step {event['step']:,}: {text}")
        elif kind == "horizon":
            self._save([event])
            self._explain()
            self._log(f"{event['last_step']:,} steps fit the time budget, at {event['seconds_per_step']:.3f} s each")
        elif kind == "end":
            if self._hopeless and event["state"] == "stopped":
                event["why"] = self._hopeless
                self._log(self._hopeless)
            if self._saved != event["step"]:
                self._save()
            self._write(event)
        else:
            self._write(event)

    def _sample(self, step: int) -> Event | None:
        """Some text that the model writes; it draws from a random state of its own."""
        if not self.config.sample_tokens:
            return None
        trained = Trained(self.model, self._tokenizer, self.seq_len, step, asked_for(self.graph), self.prepared.labels)
        with self.trainer.judged():
            found = sample_of(trained, self.prepared, self.config.sample_prompt, self.config.sample_tokens, self.config.seed)
        return {"event": "sample", "step": step, **found} if found else None

    # Writing

    def _save(self, events: list[Event] | None = None, *, best: bool = False) -> None:
        """Save a checkpoint of this moment, and write the events that belong to it.

        The events are also in the checkpoint: whatever moment a kill comes at, either both are there or neither counts.
        """
        self.trainer.check_numbers()
        step, folder = self.trainer.step, self.run.path / "checkpoints"
        lines = [self._line(event) for event in events or []]
        os.fsync(self._metrics.fileno())
        own = {
            "run": self.run.id,
            "threads": torch.get_num_threads(),
            "metrics": self._metrics.tell(),
            "pending": "".join(lines),
            "is_best": best,
        }
        save_state(self.trainer.state() | own, folder, step)
        try:
            with self.trainer.judged():
                save_weights(self.model, self.run.checkpoint("last"), step)
        except OSError:
            drop_other_states(folder, saved_step(self.run.checkpoint("last")))  # the new one belongs to nothing
            raise
        drop_other_states(folder, step)
        if best:
            same_as(self.run.checkpoint("last"), self.run.checkpoint("best"))
        self._keep(step)
        self._saved, self._saved_at = step, time.monotonic()
        for event, line in zip(events or [], lines, strict=True):
            self._append(line)
            self._told(event)

    def _keep(self, step: int) -> None:
        """Keep the last weights for good where it is their turn."""
        if self.config.keep_every and step and step % self.config.keep_every == 0:
            same_as(self.run.checkpoint("last"), self.run.checkpoint(f"step-{step}"))

    def _write(self, event: Event) -> None:
        self._append(self._line(event))
        self._told(event)

    def _line(self, event: Event) -> str:
        event["time"] = time.time()
        return json_line(event) + "\n"

    def _append(self, lines: str) -> None:
        self._metrics.write(lines.encode())
        self._metrics.flush()

    def _told(self, event: Event) -> None:
        self._status.note(step=event.get("step", 0))
        self._tell(event)
