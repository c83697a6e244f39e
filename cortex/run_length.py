"""How long the training of a graph is: steps, tokens, validations, and the minutes of them where a step was timed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cortex.builder import Plan, train_config
from cortex.config import eval_interval, total_steps
from cortex.graph import Graph
from cortex.graph_source import source_node, source_of
from cortex.store import Prepared


@dataclass(frozen=True)
class Length:
    """How long a run is: steps, tokens read in them, steps in one reading of the text, validations on the way."""

    steps: int
    tokens: int
    steps_per_epoch: int
    validations: int


def counts(prepared: Prepared) -> tuple[int, int, int, int]:
    """Tokens to train and to validate on, and rows of each: what `forecast` has to know of the data."""
    splits = ("train", "validation")
    return (*(prepared.count(split) for split in splits), *(prepared.row_count(split) for split in splits))


def run_length(
    graph: Graph, train_tokens: int, validation_tokens: int, train_rows: int = 0, *, max_steps: int | None = None
) -> Length:
    """The length of a run of a graph that has a source. Rows have tokens of their own number, so theirs are those on average.

    Args:
        train_rows: examples of a task that has rows; 0 for running text, which is cut into blocks.
        max_steps: where training ends early.
    """
    config, source = train_config(graph), source_of(source_node(graph))
    rows = source.batch_size * config.accumulate
    blocks = train_rows or train_tokens // source.seq_len
    per_epoch = max(1, math.ceil(blocks / rows))
    steps = total_steps(config, per_epoch)
    steps = min(steps, max_steps or steps)
    every = eval_interval(config, validation_tokens, rows * source.seq_len)
    if train_rows:
        tokens = steps * train_tokens // per_epoch
    else:  # the last batch of an epoch has what is left
        tokens = steps // per_epoch * blocks * source.seq_len + steps % per_epoch * rows * source.seq_len
    return Length(steps, tokens, per_epoch, max(1, math.ceil(steps / every)))


def length_on(graph: Graph, prepared: Prepared, *, max_steps: int | None = None) -> Length:
    """The length of a run on prepared data."""
    return run_length(graph, *counts(prepared)[:3], max_steps=max_steps)


def run_steps(planned: Plan, prepared: Prepared) -> int | None:
    """Steps of a run on prepared data; None while the plan has issues."""
    return length_on(planned.graph, prepared).steps if prepared.count("train") and not planned.issues else None


def minutes(length: Length, probe: Mapping[str, Any]) -> dict[str, float]:
    """Minutes of an epoch and of the whole run from a probe's seconds: a step, a validation, a checkpoint.

    Args:
        probe: `seconds_per_step`, `seconds_per_validation`, `seconds_per_checkpoint`.
    """
    beside = length.validations * (probe["seconds_per_validation"] + probe["seconds_per_checkpoint"])
    run = length.steps * probe["seconds_per_step"] + beside
    return {"epoch": run / length.steps * length.steps_per_epoch / 60, "run": run / 60}
