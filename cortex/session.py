"""One sitting of a training: from the start or from the last checkpoint, to the end or to the next pause.

The first process of a training writes metrics and checkpoints; where there are others (ranks.py) they train along.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cortex import data, graph_source, ranks
from cortex.asked import Asked, Stopped
from cortex.builder import PlanError, build, plan, train_config
from cortex.checkpoints import (
    Trained,
    drop_other_states,
    load_state,
    load_weights,
    same_as,
    save_state,
    save_weights,
    saved_step,
)
from cortex.config import eval_interval
from cortex.corpus import CorpusError
from cortex.device import pick_compile, pick_device, pick_precision
from cortex.encode import Progress
from cortex.export import script_of_run
from cortex.feed import judged, training_feed
from cortex.graph import from_document
from cortex.honest import leaks
from cortex.hopeless import judge_of
from cortex.judge import sample_of
from cortex.measures import asked_for, has_perplexity, measures, tells_all
from cortex.places import json_line, to_json, write_atomically
from cortex.references import quick_references
from cortex.runs import Run, RunError
from cortex.status import Status
from cortex.store import Prepared, find
from cortex.tokenizer import Tokenizer
from cortex.train import Event, OneProcess, Trainer
from cortex.units import size
from cortex.words import Words, quick_words

# A checkpoint to go on from is never older than this, however far apart the validations are.
_SAVE_SECONDS = 600.0


class Follower:
    """Data, model and trainer of a run, the same in every process that trains it. Writes nothing.

    Args:
        record: what is in run.json.
    """

    def __init__(self, record: dict[str, Any], store: Path, processes: OneProcess | None = None) -> None:
        self.record, self.store, self.processes = record, store, processes or OneProcess()
        self.graph = from_document(record["graph"], "run.json graph")

    def train(self) -> str:
        """Train along; raises what train.py raises."""
        self._make(self._prepare(lambda what, share: None))
        self._go_on(None)
        return self.trainer.run()

    def _prepare(self, progress: Progress) -> Prepared:
        fingerprint, node = self.record["data"]["fingerprint"], graph_source.source_node(self.graph)
        found = find(fingerprint, self.store) or data.prepare(node, self.store, progress)
        if found.fingerprint != fingerprint:
            raise CorpusError("the text has changed since this run was created; create it again")
        return found

    def _make(self, prepared: Prepared) -> None:
        self.planned = plan(self.graph, *prepared.sizes)
        if self.planned.issues:
            raise PlanError(self.planned.issues)
        node = graph_source.source_node(self.graph)
        short = data.too_short(node, prepared)
        if short:
            raise CorpusError(f"{node.id}: {short}")
        self.node, self.prepared, self.config = node, prepared, train_config(self.graph)
        threads = self._threads()
        if threads:
            torch.set_num_threads(threads)
        self.device = ranks.local_device(pick_device(self.config.device))
        torch.manual_seed(self.config.seed)
        self.model = build(self.planned).to(self.device)
        source = graph_source.source_of(node)
        rows = source.batch_size * self.config.accumulate
        self.seq_len, self._eos = source.seq_len, prepared.tokenizer().eos
        self._scale = {"seq_len": source.seq_len, "eos": self._eos, "vocabulary": prepared.vocab_size}
        self.blocks = training_feed(
            prepared.split("train"), self.model, batch_size=rows, seed=self.config.seed, **self._scale
        )  # fmt: skip
        self.interval = eval_interval(self.config, *data.validation_share(prepared, source.seq_len, rows))
        self.trainer = Trainer(
            self.model, self.blocks, self.config, validate=self._validate, on_event=self._on_event, between=self._between,
            eval_every=self.interval, max_steps=self.record.get("max_steps"), forward=self._forward(),
            processes=self.processes,
        )  # fmt: skip

    def _threads(self) -> int:
        return self.config.threads

    def _forward(self) -> nn.Module:
        model: nn.Module = self.model
        if isinstance(self.processes, ranks.Ranks):
            model = self.processes.wrap(model)
        return torch.compile(model) if pick_compile(self.config.compile, self.device) else model

    def _go_on(self, checkpoint: dict[str, Any] | None) -> None:
        """Take up what the first process has read of its last checkpoint; None where there was none."""
        others = isinstance(self.processes, ranks.Ranks)
        if others:
            weights = self.model.state_dict() if checkpoint else None
            weights, checkpoint = self.processes.share((weights, checkpoint))
            if weights:
                self.model.load_state_dict(weights)
        if checkpoint:
            self.trainer.load_state(checkpoint, same_length=not checkpoint["inherited"])
        if others and self.processes.rank:  # each draws its own dropout; the first as it would alone
            torch.manual_seed(hash((self.config.seed, self.processes.rank, self.trainer.step)))

    def _validate(self) -> float | Event:
        part = (self.processes.rank, self.processes.world) if isinstance(self.processes, ranks.Ranks) else (0, 1)
        found = judged(
            self.model, self.prepared.split("validation"), labels=self.prepared.labels, part=part,
            total=self.processes.total, should_stop=self._leaves_validation, **self._scale,
        )  # fmt: skip
        return found.facts() if tells_all(self.graph) else found.loss

    def _leaves_validation(self) -> bool:
        return False

    def _on_event(self, event: Event) -> None:
        """Only the first process tells."""

    def _between(self, trainer: Trainer) -> str:
        return ""


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
        self._measured(prepared)
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
        self._find_room()
        with open(self.run.path / "metrics.jsonl", "ab") as self._metrics:
            self._cut_back(checkpoint)
            self._go_on(checkpoint)
            if self._metrics.tell() == 0:
                self._write(self._start_event())
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

    def _measured(self, prepared: Prepared) -> None:
        """What the charts lay beside the run's perplexity; a long text is not counted while a training waits."""
        if prepared.task != "Text":
            self._words = Words(None, None, "it is no running text")
            return
        try:
            quick_references(prepared)
            self._words = quick_words(prepared)
        except OSError as error:  # the store can be a place that only others may write to
            self._log(f"reference perplexities cannot be kept: {error}")
            self._words = Words(None, None, "they could not be kept in the store")

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

    def _start_event(self) -> Event:
        prepared, trainer = self.prepared, self.trainer
        return {
            "event": "start",
            "steps": trainer.steps,
            "last_step": trainer.last_step,
            "steps_per_epoch": self.blocks.steps_per_epoch,
            "eval_every": self.interval,
            "parameters": self.planned.total,
            "source": self.node.kind,
            "task": prepared.task,
            "losses": {name: asdict(found) for name, found in measures(self.graph, prepared.labels).items()},
            "perplexity": has_perplexity(self.graph),
            "labels": len(prepared.labels),
            "unseen_labels": prepared.meta.get("unseen_labels", []),
            "train_rows": prepared.row_count("train"),
            "validation_rows": prepared.row_count("validation"),
            "cut_rows": data.cut_rows(prepared, self.seq_len),
            "tokenizer": prepared.meta["tokenizer"],
            "vocabulary": prepared.vocab_size,
            "train_tokens": prepared.count("train"),
            "validation_tokens": prepared.count("validation"),
            "validation_bytes": prepared.honest_bytes("validation"),
            "why_not_bits": prepared.why_not_bytes("validation"),
            "validation_words": self._words.count,
            "validation_text": self._words.text,
            "why_not_words": self._words.why_not,
            "device": self.device.type,
            "precision": str(pick_precision(self.config.precision, self.device)).removeprefix("torch."),
            "compiled": pick_compile(self.config.compile, self.device),
            "threads": torch.get_num_threads(),
            "processes": self.processes.world,
        }

    def _find_room(self) -> None:
        """RunError where the disk has no room for a single checkpoint, which would else show after minutes of training."""
        kept = (1 if self.config.optimizer == "SGD" else 2) + (2 if self.config.ema else 0)
        needed = (1 + kept) * sum(parameter.nbytes for parameter in self.model.parameters())
        free = shutil.disk_usage(self.run.path).free
        if free < needed:
            raise RunError(
                f"{self.run.path}: {size(free)} are free on this disk, and a checkpoint of this model takes about "
                f"{size(needed)}; make room, or set CORTEXNODUS_HOME or --runs to another disk"
            )

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
