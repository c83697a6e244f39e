"""The honest-model check: a proof by trial that no score of a next token hangs on that token or on a later one.

The model is built with random weights and given two texts that are equal up to a place and differ from there on. Whatever it
gives before that place has to be equal bit by bit. It tells what a kind does, not what it is declared to do.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cortex.builder import Model, Plan, plan
from cortex.checks import Issue
from cortex.expand import expand
from cortex.footprint import empty_batch
from cortex.graph import Graph, model_document
from cortex.params import AUTO, complete
from cortex.registry import KINDS

# Sizes of the trial: rows, positions at most, tokens of the vocabulary where the graph leaves that open.
_ROWS, _LENGTH, _VOCABULARY, _LABELS = 2, 12, 31, 5
# Vocabularies for a graph that 31 does not fit, since layers are as wide as it: heads divide them. The data's own, with which
# such a layer has hundreds of millions of weights, comes last.
_FITTING = (32, 60, 8, 2, 5040)


@dataclass(frozen=True)
class Leak:
    """The first node whose output before a place hangs on tokens from there on.

    Args:
        loss: the loss of a next token that is compared with what this node has seen.
        field: the setting that makes the node causal, None where its kind has none.
    """

    node: str
    kind: str
    loss: str
    field: str | None

    @property
    def message(self) -> str:
        inside = f"its part {self.kind.partition(' ')[2]}: " if " " in self.kind else ""
        return f"{inside}its output hangs on later tokens, and {self.loss} compares the next one: the answer would be seen"

    @property
    def hint(self) -> str:
        return "set causal to true" if self.field else "choose a causal kind, or a Loss with target Masked"


@dataclass(frozen=True)
class Honesty:
    """What the trial found. `losses`: those of a next token, which were tried; `leaks`: one for each that leaks; `error`: why
    the model could not be run, None where it could."""

    losses: tuple[str, ...]
    leaks: tuple[Leak, ...]
    error: str | None = None

    @property
    def ok(self) -> bool:
        return not self.leaks and self.error is None

    def __str__(self) -> str:
        if self.error is not None:
            return f"the model cannot be run: {self.error}"
        if not self.losses:
            return "nothing to prove: no Loss compares the next token"
        return (
            "no score hangs on a later token" if self.ok else "\n".join(f"{leak.node}: {leak.message}" for leak in self.leaks)
        )


def honesty(planned: Plan) -> Honesty:
    """Try out the model of a plan, whose data need not be prepared.

    Raises:
        ValueError: the plan has issues, so that there is no model.
    """
    if planned.issues:
        raise ValueError("only a plan without issues has a model to try out")
    small = _small(planned)
    if small is None:
        return Honesty((), ())
    losses = tuple(call.node for call in small.calls if _of_next_token(small, call.node))
    if not losses:
        return Honesty((), ())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = Model(small.calls)
        model.eval()
        _stir(model)
        try:
            leaking = _leaking(model, small, losses)
        except (ValueError, RuntimeError, IndexError) as error:
            return Honesty(losses, (), " ".join(str(error).split())[:300])
    return Honesty(losses, tuple(_first(small, loss, nodes) for loss, nodes in leaking.items()))


def _small(planned: Plan) -> Plan | None:
    """The plan with few rows, positions and tokens, and narrow layers where they still fit together; as much of that as leaves
    a plan without issues, since a size that comes from the data can be one that something else has to fit. None where only the
    data, which is not prepared yet, can tell what fits."""
    short = _short(planned.graph)
    narrow = _narrow(short)
    for graph, vocabulary, labels in (
        *((graph, guess, _LABELS) for graph in (narrow, short) for guess in (_VOCABULARY, *_FITTING)),
        (short, planned.vocabulary, planned.labels or _LABELS),
        (planned.graph, planned.vocabulary, planned.labels or _LABELS),
    ):
        if vocabulary and not (found := plan(graph, vocabulary, labels)).issues:
            return found
    return None


def _short(graph: Graph) -> Graph:
    """With few rows of few positions."""
    length = _LENGTH
    for node in graph.nodes:
        kind = KINDS.get(node.kind)
        if kind and kind.role == "source":
            found = complete(kind.params, node.params)["seq_len"]
            length = min(found, _LENGTH) if type(found) is int else _LENGTH
            graph = graph.with_param(node.id, "batch_size", _ROWS).with_param(node.id, "seq_len", length)
    for node in graph.nodes:
        offset = node.params.get("offset")
        if node.kind in KINDS and KINDS[node.kind].role == "loss" and type(offset) is int and offset >= length > 1:
            graph = graph.with_param(node.id, "offset", length - 1)
    return graph


def _narrow(graph: Graph) -> Graph:
    """Four numbers a head, and feed-forward parts as wide as that."""
    heads = [node.params.get(name, 1) for node in graph.nodes for name in ("nhead", "num_heads")]
    width = 4 * math.lcm(*(count for count in heads if type(count) is int and 0 < count <= 64), 2)
    sizes = {"embedding_dim": width, "dim_feedforward": width, "num_embeddings": AUTO, "max_len": _LENGTH}
    for node in graph.nodes:
        for name, value in sizes.items():
            found = node.params.get(name)
            if type(found) is int and (value == AUTO or found > value):
                graph = graph.with_param(node.id, name, value)
    return graph


def _of_next_token(planned: Plan, node: str) -> bool:
    """Whether a node is a loss that compares a token that the model has not read yet."""
    (source,) = [call for call in planned.calls if KINDS[call.kind].role == "source"]
    call = next(call for call in planned.calls if call.node == node)
    if KINDS[call.kind].role != "loss":
        return False
    task_of = KINDS[source.kind].task
    task = task_of(source.args) if task_of else "Text"
    target = call.args.get("target", "Label")
    return (target == "Label" and task in ("Text", "Pairs")) or target == "Offset"


def _stir(model: nn.Module) -> None:
    """Random weights everywhere: what begins at zero would hide what it lets through."""
    with torch.no_grad():
        for parameter in model.parameters():
            spread = parameter.size(-1) ** -0.5 if parameter.ndim > 1 else 0.3
            parameter.normal_(0.0 if parameter.ndim > 1 else 0.7, spread)


def _leaking(model: Model, planned: Plan, losses: tuple[str, ...]) -> dict[str, list[str]]:
    """For each loss whose scores leak the nodes whose outputs do, in the order in which they are computed."""
    batch = empty_batch(planned.calls)
    length = batch["inputs"].size(1)
    tokens = torch.randint(planned.vocabulary, batch["inputs"].shape)  # (B, T)
    aligned = _of_every_position(planned)
    found: dict[str, list[str]] = {}
    for place in sorted({1, length // 2, length - 1} - {0}):
        changed = tokens.clone()
        shift = torch.randint(1, max(2, planned.vocabulary), changed[:, place:].shape)  # (B, T - place)
        changed[:, place:] = (changed[:, place:] + shift) % planned.vocabulary
        one, two = (_values(model, {**batch, "inputs": given}) for given in (tokens, changed))
        leaking = [name for name in one if name in aligned and not torch.equal(one[name][:, :place], two[name][:, :place])]
        for loss in losses:
            scores = f"{loss} scores"
            if scores in one and one[scores].ndim == 3 and not torch.equal(one[scores][:, :place], two[scores][:, :place]):
                found[loss] = [name for name in one if name in {*found.get(loss, ()), *leaking}]
    return found


def _of_every_position(planned: Plan) -> set[str]:
    """The calls that give a vector for each position of the tokens that are read."""
    laid_out = plan(expand(planned.graph).graph, planned.vocabulary, planned.labels)
    return {node for node, shape in laid_out.shapes.items() if len(shape) > 1 and shape[1].letter == "T"}


@torch.no_grad()
def _values(model: Model, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """What each node gives, by its id in the order of computation, and the scores of each loss."""
    values: dict[str, Tensor] = {}
    hooks = [
        child.register_forward_hook(lambda _, __, out, name=name: values.__setitem__(name, out))
        for name, child in model.named_children()
    ]
    try:
        scores = model.outputs(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return values | {f"{loss} scores": out for loss, out in scores.items()}


def _first(planned: Plan, loss: str, leaking: list[str]) -> Leak:
    """The first of the leaking nodes that the loss hangs on."""
    feeds = {call.node: (*call.inputs, *([call.head] if call.head else [])) for call in planned.calls}
    waiting, before = [loss], set()
    while waiting:
        for source in feeds.get(waiting.pop(), ()):
            if source not in before:
                before.add(source)
                waiting.append(source)
    node = next((name for name in leaking if name in before), loss)
    kind = next(call.kind for call in planned.calls if call.node == node)
    place = expand(planned.graph).places.get(node)
    field = "causal" if "causal" in KINDS[kind].params and place is None else None
    return Leak(place.card if place else node, f"{kind} {place.words}" if place else kind, loss, field)


def leaks(planned: Plan) -> tuple[Issue, ...]:
    """The faults of a plan whose model sees the tokens that it is to foretell, or cannot be run; none for a plan that has
    faults already.

    A graph is tried out once: about 50 ms for twelve blocks.
    """
    if planned.issues:
        return ()
    key = _key(planned)
    if key not in _TRIED:
        if len(_TRIED) > 64:
            _TRIED.clear()
        _TRIED[key] = tuple(issues(honesty(planned)))
    return _TRIED[key]


def known_leaks(planned: Plan) -> tuple[Issue, ...]:
    """What `leaks` says where the graph has been tried out already, else none: at once in either case."""
    return () if planned.issues else _TRIED.get(_key(planned), ())


def _key(planned: Plan) -> str:
    return json.dumps([model_document(planned.graph), planned.vocabulary, planned.labels], sort_keys=True)


_TRIED: dict[str, tuple[Issue, ...]] = {}


def issues(found: Honesty) -> list[Issue]:
    """What was found as faults of their nodes."""
    if found.error is not None:
        return [Issue(None, None, str(found))]
    return [Issue(leak.node, leak.field, leak.message, leak.hint) for leak in found.leaks]
