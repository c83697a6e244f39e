"""Memory of one training step, counted without computing it: the model runs on tensors that have a size and no content.

Every storage that comes to life in the forward pass is counted as long as it lives, whatever kinds the graph is made of, so
that what autograd keeps for the way back is in it and what is thrown away is not.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from cortex.builder import Call, Model, Plan, train_config
from cortex.config import TrainConfig
from cortex.feed import is_scored, tokens_at_once
from cortex.losses import most_rows
from cortex.optimize import make_optimizer
from cortex.params import complete
from cortex.registry import KINDS

# Buffers of logits alive at once in the chunked loss: the logits and what becomes of them (torch.nn.functional).
_CHUNK_BUFFERS = 2
_FLOAT = 4


@dataclass(frozen=True)
class Footprint:
    """Bytes of one step of training in float32.

    Args:
        weights: parameters and buffers.
        optimizer: what the optimizer keeps from step to step, a moving average of the weights included.
        gradients: one for each parameter, when the way back is done.
        activations: most that is alive beside weights and optimizer on the way forward.
        evaluation: most that is alive beside weights, optimizer and gradients while a split is evaluated.
        nodes: of these, what each node leaves alive for the way back.
        rows: of the batch that is counted.
    """

    weights: int
    optimizer: int
    gradients: int
    activations: int
    evaluation: int
    nodes: Mapping[str, int]
    rows: int


def footprint(planned: Plan, rows: int = 0, validation_rows: int = 0) -> Footprint:
    """The footprint of a plan without issues whose vocabulary is known; the second time it costs nothing.

    Args:
        rows: most rows that a batch of the data can have, 0 where that is not known.
        validation_rows: the same of the data that validates.

    Raises:
        ValueError: the plan has issues, or its sizes are not known.
    """
    if planned.issues or planned.total is None:
        raise ValueError("only a plan without issues, of data that is prepared, has a footprint")
    config = train_config(planned.graph)
    return _known(_Key(planned.calls, config, _most(planned.calls, rows), planned.vocabulary, validation_rows))


def _most(calls: tuple[Call, ...], rows: int) -> int:
    """Rows of a batch: those that the source says, unless the data has fewer."""
    (source,) = [call for call in calls if KINDS[call.kind].role == "source"]
    wanted = complete(KINDS[source.kind].params, source.args)["batch_size"]
    return min(wanted, rows) if rows else wanted


class _Key:
    """Calls and settings as something that a cache can look up."""

    def __init__(self, calls: tuple[Call, ...], config: TrainConfig, rows: int, vocabulary: int, validation_rows: int) -> None:
        self.calls, self.config, self.rows = calls, config, rows
        # As many as a batch of an evaluation can have, so that a longer text makes no new footprint.
        batch = empty_batch(calls)
        targets = [call.args["target"] for call in calls if KINDS[call.kind].role == "loss"]
        self.scored = is_scored(targets, rows="lengths" in batch)
        length = batch["inputs"].size(1)
        most = max(1, tokens_at_once(self.scored, length, vocabulary) // length)
        self.validation_rows = min(most, validation_rows or most)
        # Names, files and rates change no size.
        self._facts = repr([(call.node, call.kind, call.args, call.inputs, call.head) for call in calls]), (
            config.optimizer, config.ema > 0, rows, self.validation_rows,
        )  # fmt: skip

    def __hash__(self) -> int:
        return hash(self._facts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._facts == other._facts


@functools.lru_cache(maxsize=64)
def _known(key: _Key) -> Footprint:
    with FakeTensorMode(), _Alive() as alive:
        model = Model(key.calls)
        model.train()
        weights = alive.now
        gradients = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
        optimizer = _optimizer(model, key.config, alive)
        _compare_all(model, key.calls)
        nodes = _told_by_nodes(model, alive)
        batch = empty_batch(key.calls, key.rows)
        alive.peak = before = alive.now
        losses = model(batch)
        activations = alive.peak - before + _chunk(key.calls, model)
        del losses, batch
        kept = dict(nodes)
        evaluation = _evaluation(model, key, alive)
    return Footprint(weights, optimizer, gradients, activations, evaluation, kept, key.rows)


class _Alive(TorchDispatchMode):
    """Bytes of all storages that were made while this lasts and are still alive, and the most that there ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.peak = 0, 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for value in tree_iter(out):
            if isinstance(value, Tensor):
                self._count(value)
        return out

    def _count(self, value: Tensor) -> None:
        storage = value.untyped_storage()
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


def _optimizer(model: nn.Module, config: TrainConfig, alive: _Alive) -> int:
    """What an optimizer and a moving average keep after a step; the gradients are gone again."""
    before = alive.now
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    states = {"SGD": 1, "Adam": 2, "AdamW": 2, "Muon": 1}[config.optimizer]
    size = states * sum(parameter.numel() * parameter.element_size() for parameter in parameters)
    if config.optimizer == "Muon":  # what AdamW takes beside it has two numbers a weight
        size += sum(
            parameter.numel() * parameter.element_size()
            for part in make_optimizer(model, config).parts
            if isinstance(part, torch.optim.AdamW)
            for group in part.param_groups
            for parameter in group["params"]
        )
    assert alive.now - before < _FLOAT * 4096, "an optimizer has taken memory before its first step"
    return size + (sum(p.numel() * p.element_size() for p in parameters) if config.ema else 0)


def _told_by_nodes(model: nn.Module, alive: _Alive) -> dict[str, int]:
    """Filled while the model runs: what each of its children has left alive."""
    nodes: dict[str, int] = {}
    marks: dict[str, int] = {}

    def begin(name: str) -> None:
        marks[name] = alive.now

    def end(name: str) -> None:
        nodes[name] = nodes.get(name, 0) + alive.now - marks[name]

    def watch(name: str, child: nn.Module) -> None:
        child.register_forward_pre_hook(lambda *_: begin(name))
        child.register_forward_hook(lambda *_: end(name))
        with_head = getattr(child, "from_hidden", None)
        if with_head:
            child.from_hidden = watched(name, with_head)

    def watched(name: str, compute: Callable[..., Any]) -> Callable[..., Any]:
        def around(*arguments: Any) -> Any:
            begin(name)
            out = compute(*arguments)
            end(name)
            return out

        return around

    for name, child in model.named_children():
        watch(name, child)
    return nodes


@torch.no_grad()
def _evaluation(model: nn.Module, key: _Key, alive: _Alive) -> int:
    """Most that is alive while a batch of a validation is computed, which has a size of its own."""
    model.eval()
    alive.peak = before = alive.now
    batch = empty_batch(key.calls, key.validation_rows)
    if not key.scored:
        model(batch)
        return alive.peak - before + _chunk(key.calls, model)
    for name, scores in model.outputs(batch).items():  # as judge() has them: all at once, then one loss after the other
        getattr(model, name)(scores, batch)
    return alive.peak - before


def _compare_all(model: nn.Module, calls: tuple[Call, ...]) -> None:
    """Let a loss over hidden tokens compare all of them: how many there are hangs on the content."""
    for call in calls:
        if call.args.get("target") == "Masked":
            getattr(model, call.node).target = "Input"


def empty_batch(calls: tuple[Call, ...], rows: int = 0) -> dict[str, Tensor]:
    """A batch as the source of these calls gives it, full rows of token 0; as many as it says, or `rows`."""
    (source,) = [call for call in calls if KINDS[call.kind].role == "source"]
    values = complete(KINDS[source.kind].params, source.args)
    rows, length = rows or values["batch_size"], values["seq_len"]
    task_of = KINDS[source.kind].task
    task = task_of(values) if task_of else "Text"
    tokens = torch.zeros(rows, length, dtype=torch.int64)  # (B, T)
    batch = {"inputs": tokens, "targets": torch.zeros_like(tokens)}
    if task != "Text":
        batch["lengths"] = torch.full((rows,), length)  # (B,)
    if task == "Labelled":
        batch["targets"] = torch.zeros(rows, dtype=torch.int64)  # (B,)
    if task == "Pairs":
        batch |= {"source": torch.zeros_like(tokens), "source_lengths": torch.full((rows,), length)}
    return batch


def _chunk(calls: tuple[Call, ...], model: nn.Module) -> int:
    """Logits of one chunk of the loss, which torch makes out of sight."""
    sizes = [getattr(model, call.head).out_features for call in calls if call.head]
    return max((_CHUNK_BUFFERS * _FLOAT * most_rows(scores) * scores for scores in sizes), default=0)
