"""Data, model and trainer of a run, as every process has them that trains it; what the first one adds is in session.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from cortex import data, graph_source, ranks
from cortex.backward import OneProcess
from cortex.builder import PlanError, build, plan, train_config
from cortex.config import eval_interval
from cortex.corpus import CorpusError
from cortex.device import pick_compile, pick_device
from cortex.encode import Progress
from cortex.feed import judged, training_feed
from cortex.graph import from_document
from cortex.measures import tells_all
from cortex.store import Prepared, find
from cortex.train import Event, Trainer


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
