"""What training a graph will take, before it is started: parameters, arithmetic, memory, disk; and what to shrink where this
machine has not got it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cortex.builder import Plan, train_config
from cortex.expand import expand
from cortex.flops import flops_per_token
from cortex.footprint import Footprint, footprint
from cortex.graph_source import source_node, source_of
from cortex.registry import KINDS
from cortex.room import Room
from cortex.run_length import Length, run_length
from cortex.units import count, size

# Memory of a worker before it has a model: Python, torch, the other libraries and their code, pages of the text.
RUNTIME = 330 * 2**20
# Times what is alive that the allocator holds: it keeps what was freed, in pieces that do not always fit again.
SLACK = 1.3
# Both measured by benchmarks/forecast.py; docs/performance.md has the table.

# A node is heavy with more than this share of the parameters, or of the memory of activations.
_HEAVY = 0.25
_TIGHT, _NEARLY, _FULL = 0.7, 0.9, 0.95

GREEN, AMBER, RED = "green", "amber", "red"


@dataclass(frozen=True)
class NodeCost:
    """What one node takes: parameters, bytes of float32 that it leaves alive for the way back, and whether that is much."""

    node: str
    kind: str
    parameters: int
    activations: int
    heavy: bool


@dataclass(frozen=True)
class Forecast:
    """Bytes unless said otherwise.

    Args:
        embedding: parameters of the tables that tokens and positions are looked up in.
        flops: of training on one token, forward and back; None where no formula is known.
        tokens_per_parameter: tokens of the text for each parameter; None while the text is not prepared.
    """

    parameters: int
    embedding: int
    nodes: tuple[NodeCost, ...]
    flops: float | None
    footprint: Footprint
    length: Length | None
    tokens_per_parameter: float | None

    @property
    def peak(self) -> int:
        """The most memory that a worker will hold at once."""
        parts = self.footprint
        return round(
            RUNTIME + parts.weights + parts.optimizer + SLACK * max(parts.activations, parts.gradients + parts.evaluation)
        )

    @property
    def disk(self) -> int:
        """Checkpoints: the best and the last weights, the state to go on from, and a second of the last two while written."""
        return 3 * self.footprint.weights + 2 * self.footprint.optimizer


@dataclass(frozen=True)
class Verdict:
    """`level`: green, amber or red; `message`: why; `shrink`: what to do about it, empty where nothing is needed."""

    level: str
    message: str
    shrink: tuple[str, ...] = ()


def forecast(
    planned: Plan,
    train_tokens: int | None = None,
    validation_tokens: int | None = None,
    train_rows: int = 0,
    validation_rows: int = 0,
) -> Forecast | None:
    """What the plan will take; None while it has issues or its data is not prepared.

    Args:
        train_tokens: of the text, where it is prepared.
        train_rows: examples of a task that has rows; 0 for running text, which is cut into blocks.
    """
    if planned.issues or planned.total is None or planned.vocabulary is None:
        return None
    length = source_of(source_node(planned.graph)).seq_len
    found = footprint(
        planned,
        _rows(train_tokens, train_rows, length) if train_tokens else 0,
        _rows(validation_tokens, validation_rows, length) if validation_tokens else 0,
    )
    tables = sum(planned.parameters.get(node.id) or 0 for node in planned.graph.nodes if _is_table(node.kind))
    length = run_length(planned.graph, train_tokens, validation_tokens or 0, train_rows) if train_tokens else None
    flops = flops_per_token(planned.graph, planned.vocabulary, planned.labels)
    per = train_tokens / planned.total if train_tokens and planned.total else None
    return Forecast(planned.total, tables, tuple(_nodes(planned, found)), flops, found, length, per)


def _rows(tokens: int, rows: int, length: int) -> int:
    """Most rows that a batch can have: a text has so many blocks, the last of them shorter."""
    return rows or max(1, math.ceil(tokens / length))


def _nodes(planned: Plan, found: Footprint) -> list[NodeCost]:
    alive_of = by_card(planned, found.nodes)
    whole = max(1, sum(alive_of.values()))
    costs = []
    for node in planned.graph.nodes:
        parameters, alive = planned.parameters.get(node.id) or 0, max(0, alive_of.get(node.id, 0))
        heavy = parameters > _HEAVY * max(1, planned.total or 0) or alive > _HEAVY * whole
        costs.append(NodeCost(node.id, node.kind, parameters, alive, heavy))
    return costs


def _is_table(kind: str) -> bool:
    return kind in KINDS and KINDS[kind].family == "embedding"


def by_card(planned: Plan, numbers: Mapping[str, int]) -> dict[str, int]:
    """Numbers of nodes as those of the graph's own nodes: what is in a subgraph counts for its card."""
    places = expand(planned.graph).places
    found: dict[str, int] = {}
    for node, value in numbers.items():
        card = places[node].card if node in places else node
        found[card] = found.get(card, 0) + value
    return found


def verdict(found: Forecast, has: Room, planned: Plan) -> Verdict:
    """Whether this machine has what a forecast asks for, and what to shrink where it has not."""
    said = _of_memory(found, has, planned)
    if has.disk is None or found.disk <= has.disk:
        return said
    message = f"checkpoints take {size(found.disk)}, the disk has {size(has.disk)} free"
    ways = ("free some disk, or make the model smaller",)
    return Verdict(RED, f"{message}; {said.message}", ways + said.shrink) if said.level == RED else Verdict(RED, message, ways)


def _of_memory(found: Forecast, has: Room, planned: Plan) -> Verdict:
    if has.memory is None:
        return Verdict(GREEN, f"about {size(found.peak)} of memory at its peak; how much is free, this system does not tell")
    share = found.peak / has.memory if has.memory else math.inf
    message = f"about {size(found.peak)} of memory at its peak, {size(has.memory)} are free"
    if share <= _TIGHT:
        return Verdict(GREEN, message)
    return Verdict(RED if share > _FULL else AMBER, message, tuple(_shrink(found, has.memory, planned)))


def _shrink(found: Forecast, free: int, planned: Plan) -> list[str]:
    """What would bring the peak below the mark, the mildest first."""
    config, source = train_config(planned.graph), source_of(source_node(planned.graph))
    parts, ways = found.footprint, []
    fixed = RUNTIME + parts.weights + parts.optimizer
    least = SLACK * (parts.gradients + parts.evaluation)  # which no smaller batch makes less
    left = next((room for mark in (_TIGHT, _NEARLY) if (room := mark * free - fixed) > least), 0.0)
    per_row = SLACK * parts.activations / parts.rows
    if left and per_row:
        rows = int(left / per_row)
        if 1 <= rows < parts.rows:
            times = math.ceil(parts.rows * config.accumulate / rows)
            ways.append(f"batch_size={rows} with accumulate={times}: the same step in less memory, a little slower")
        elif rows < 1 and source.seq_len > 1:
            ways.append(f"batch_size=1 and a seq_len below {max(2, int(source.seq_len * left / per_row)):,}")
    else:
        ways.append("a smaller embedding_dim, or fewer blocks: weights, gradients and optimizer alone do not fit")
        if config.optimizer in ("Adam", "AdamW"):
            ways.append("optimizer=SGD keeps one number a weight instead of two, but trains these models worse")
        if config.ema:
            ways.append("ema=0: the moving average is one more copy of the weights")
    return ways


def describe_forecast(found: Forecast | None, has: Room | None = None, planned: Plan | None = None) -> dict[str, Any] | None:
    """A forecast as JSON-ready data; with what the machine has, the verdict too."""
    if found is None:
        return None
    bytes_ = found.footprint
    row: dict[str, Any] = {
        "parameters": {"total": found.parameters, "embedding": found.embedding},
        "nodes": [dict(vars(node)) for node in found.nodes],
        "flops_per_token": found.flops,
        "memory": {
            "peak": found.peak, "weights": bytes_.weights, "gradients": bytes_.gradients, "optimizer": bytes_.optimizer,
            "activations": bytes_.activations, "evaluation": bytes_.evaluation, "runtime": RUNTIME,
        },
        "disk": found.disk,
        "length": dict(vars(found.length)) if found.length else None,
        "tokens_per_parameter": found.tokens_per_parameter,
    }  # fmt: skip
    if has is not None and planned is not None:
        said = verdict(found, has, planned)
        row |= {"free": dict(vars(has)), "verdict": {"level": said.level, "message": said.message, "shrink": list(said.shrink)}}
    return row


def in_a_line(found: Forecast, said: Verdict) -> str:
    """A forecast as one line for a terminal, and one more where something has to shrink."""
    parts = [f"{count(found.flops)}FLOPs a token" if found.flops else "", f"{said.level}: {said.message}"]
    if found.length:
        parts.insert(1, f"{found.length.steps:,} steps, {count(found.length.tokens)} tokens")
    if found.tokens_per_parameter:
        parts.insert(1, f"{found.tokens_per_parameter:.2g} tokens of text a parameter")
    return "; ".join(filter(None, parts)) + "".join(f"\n  {way}" for way in said.shrink)
