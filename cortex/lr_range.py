"""The learning-rate range test: train briefly while the rate grows from tiny to far too large, and see where it helps most.

Smith 2017, section 3.3, with the rate growing by the same factor at each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from cortex.builder import build, plan, train_config
from cortex.config import TrainingError
from cortex.device import pick_device
from cortex.feed import training_feed
from cortex.graph import Graph
from cortex.graph_source import source_node, source_of
from cortex.store import Prepared
from cortex.train import Event, Trainer

LOW, HIGH, STEPS = 1e-6, 1.0, 100
_SMOOTHING = 0.9
# The test ends when the smoothed loss is so many times its lowest: the rate is far too large then.
_RUNAWAY = 2.0


@dataclass(frozen=True)
class Point:
    """One step: its learning rate, its loss, and the smoothed loss, both in nats per token."""

    step: int
    lr: float
    loss: float
    smoothed: float


def range_test(
    graph: Graph,
    prepared: Prepared,
    *,
    low: float = LOW,
    high: float = HIGH,
    steps: int = STEPS,
    on_point: Callable[[Point], None] = lambda point: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Point]:
    """The points of a range test from the graph's own first weights; they end early where the loss runs away.

    The smoothed loss is the moving average with factor 0.9, divided by 1 - 0.9^n so that it does not begin at 0.
    """
    source, config = source_of(source_node(graph)), train_config(graph)
    config = replace(config, log_every=1, steps=steps, max_minutes=0, patience=0, max_rise=0, ema=0)
    torch.manual_seed(config.seed)
    model = build(plan(graph, *prepared.sizes)).to(pick_device(config.device))
    blocks = training_feed(
        prepared.split("train"), model, seq_len=source.seq_len, batch_size=source.batch_size * config.accumulate,
        seed=config.seed, eos=prepared.tokenizer().eos, vocabulary=prepared.vocab_size,
    )  # fmt: skip
    points: list[Point] = []
    average = 0.0

    def hear(event: Event) -> None:
        nonlocal average
        if event["event"] == "train":
            average = _SMOOTHING * average + (1 - _SMOOTHING) * event["loss"]
            smoothed = average / (1 - _SMOOTHING ** event["step"])
            points.append(Point(event["step"], event["lr"], event["loss"], smoothed))
            on_point(points[-1])

    def runaway(trainer: Trainer) -> str:
        lowest = min((point.smoothed for point in points), default=math.inf)
        return "stopped" if should_stop() or (points and points[-1].smoothed > _RUNAWAY * lowest) else ""

    try:
        Trainer(
            model,
            blocks,
            config,
            validate=lambda: 0.0,
            on_event=hear,
            between=runaway,
            eval_every=steps + 1,
            rate=lambda step, config, steps: low * (high / low) ** (step / max(1, steps - 1)),
        ).run()
    except TrainingError:  # no number any more: as far as this test goes
        if not points:
            raise
    return points


def suggested(points: list[Point]) -> float | None:
    """A learning rate to start with: a tenth of the one at which the smoothed loss is lowest; None where it never fell."""
    if len(points) < 3:
        return None
    lowest = min(points, key=lambda point: point.smoothed)
    return lowest.lr / 10 if lowest.smoothed < points[0].loss else None
