"""The first event of a run: what it trains on, how long, and what its scores may be laid beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import torch

from cortex.data import cut_rows
from cortex.device import pick_compile, pick_precision
from cortex.follower import Follower
from cortex.measures import has_perplexity, measures
from cortex.references import quick_references
from cortex.store import Prepared
from cortex.train import Event
from cortex.words import Words, quick_words


def start_event(follower: Follower, words: Words) -> Event:
    """The `start` event of docs/formats.md, of a training that has its data, model and trainer."""
    prepared, trainer = follower.prepared, follower.trainer
    return {
        "event": "start",
        "steps": trainer.steps,
        "last_step": trainer.last_step,
        "steps_per_epoch": follower.blocks.steps_per_epoch,
        "eval_every": follower.interval,
        "parameters": follower.planned.total,
        "source": follower.node.kind,
        "task": prepared.task,
        "losses": {name: asdict(found) for name, found in measures(follower.graph, prepared.labels).items()},
        "perplexity": has_perplexity(follower.graph),
        "labels": len(prepared.labels),
        "unseen_labels": prepared.meta.get("unseen_labels", []),
        "train_rows": prepared.row_count("train"),
        "validation_rows": prepared.row_count("validation"),
        "cut_rows": cut_rows(prepared, follower.seq_len),
        "tokenizer": prepared.meta["tokenizer"],
        "vocabulary": prepared.vocab_size,
        "train_tokens": prepared.count("train"),
        "validation_tokens": prepared.count("validation"),
        "validation_bytes": prepared.honest_bytes("validation"),
        "why_not_bits": prepared.why_not_bytes("validation"),
        "validation_words": words.count,
        "validation_text": words.text,
        "why_not_words": words.why_not,
        "device": follower.device.type,
        "precision": str(pick_precision(follower.config.precision, follower.device)).removeprefix("torch."),
        "compiled": pick_compile(follower.config.compile, follower.device),
        "threads": torch.get_num_threads(),
        "processes": follower.processes.world,
    }


def words_beside(prepared: Prepared, log: Callable[[str], None]) -> Words:
    """What the charts lay beside a run's perplexity; a long text is not counted while a training waits."""
    if prepared.task != "Text":
        return Words(None, None, "it is no running text")
    try:
        quick_references(prepared)
        return quick_words(prepared)
    except OSError as error:  # the store can be a place that only others may write to
        log(f"reference perplexities cannot be kept: {error}")
        return Words(None, None, "they could not be kept in the store")
