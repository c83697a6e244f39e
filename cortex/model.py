"""The torch module of a list of calls. Children and keys carry the ids of the nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from cortex.call import Call
from cortex.padding import SEQUENCES, padding
from cortex.registry import KINDS


@dataclass(frozen=True)
class Route:
    """Which calls are run for what; the printed class is made of it as well.

    Args:
        trunk: all calls between source and losses.
        losses: the losses in the document's order; the first is the main one, whose scores `logits` gives.
        memory: the calls of `path` that hang on no token of the main sequence: what an encoder makes of the other.
        path: the calls that the main loss's scores need, without `memory`.
        kept: the calls of `memory` whose values the path takes; a cache keeps them.
        letters: the sequences whose padding some call is told of, T+S for two one after the other.
    """

    source: str
    trunk: tuple[Call, ...]
    losses: tuple[Call, ...]
    memory: tuple[Call, ...]
    path: tuple[Call, ...]
    kept: tuple[str, ...]
    letters: tuple[str, ...]

    @property
    def simple(self) -> bool:
        """Whether the scores need all calls, and all of them each time."""
        return len(self.path) == len(self.trunk)

    @property
    def cached(self) -> tuple[str, ...]:
        """The nodes that have a part of the cache, in the order in which they are computed."""
        return (*self.kept, *(call.node for call in self.path if KINDS[call.kind].cached))


def route(calls: tuple[Call, ...]) -> Route:
    """The route through the calls of a plan without issues."""
    heads = {call.head for call in calls}
    (source,) = [call.node for call in calls if KINDS[call.kind].role == "source"]
    losses = tuple(call for call in calls if KINDS[call.kind].role == "loss")
    trunk = tuple(call for call in calls if KINDS[call.kind].role not in ("source", "loss") and call.node not in heads)
    needed, of_tokens = set(losses[0].inputs), {source}
    for call in trunk:
        if not KINDS[call.kind].reads and of_tokens & set(call.inputs):
            of_tokens.add(call.node)
    for call in reversed(trunk):
        if call.node in needed and not KINDS[call.kind].reads:
            needed.update(call.inputs)
    memory = tuple(call for call in trunk if call.node in needed and call.node not in of_tokens)
    path = tuple(call for call in trunk if call.node in needed and call.node in of_tokens)
    taken = {name for call in (*path, losses[0]) for name in call.inputs}
    kept = tuple(call.node for call in memory if call.node in taken)
    letters = tuple(dict.fromkeys(letter for call in trunk for _, letter in call.masks))
    return Route(source, trunk, losses, memory, path, kept, letters)


class Model(nn.Module):
    """The model of a plan.

    `model(batch)` gives {loss id: (sum in nats, number)} for a batch of `inputs` (B, T), what the losses compare, and where
    rows are padded the `lengths` (B,) of what is real; Pairs have `source` (B, S) and `source_lengths` (B,) besides.
    """

    def __init__(self, calls: tuple[Call, ...]) -> None:
        super().__init__()
        self._route = found = route(calls)
        for call in calls:
            if KINDS[call.kind].role != "source":
                self.add_module(call.node, KINDS[call.kind].cls(**call.args))
        for call in calls:
            if call.args.get("tie_to"):
                getattr(self, call.node).weight = getattr(self, call.args["tie_to"]).weight
        self.loss_weights: dict[str, float] = {call.node: call.args["weight"] for call in found.losses}
        # The modules that score tokens: their rows are looked up one by one, which optimizers may treat apart.
        self.heads = tuple(dict.fromkeys(call.head or call.inputs[0] for call in found.losses))
        self._trunk, self._memory, self._path = map(_steps, (found.trunk, found.memory, found.path))

    def forward(self, batch: dict[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        values = self._run(self._trunk, {self._route.source: batch["inputs"]}, batch, None)
        losses = {}
        for call in self._route.losses:
            loss, x = getattr(self, call.node), values[call.inputs[0]]
            losses[call.node] = loss(x, batch) if call.head is None else loss.from_hidden(x, getattr(self, call.head), batch)
        return losses

    def outputs(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The scores that each loss compares: (B, T, V), or (B, V) where a text has one label."""
        values = self._run(self._trunk, {self._route.source: batch["inputs"]}, batch, None)
        return {call.node: self._scores(call, values) for call in self._route.losses}

    def logits(self, tokens: Tensor, cache: dict[str, dict] | None = None, batch: dict[str, Tensor] | None = None) -> Tensor:
        """Scores of the next token after each of tokens (B, T): (B, T, V). With a cache, tokens follow those seen before.

        Args:
            batch: `source` and `source_lengths` where the model reads another sequence; with a cache only the first time.
        """
        given = {name: batch[name] for name in SEQUENCES["S"] if batch and name in batch}
        values = {self._route.source: tokens}
        if cache is not None and all(cache[name] for name in self._route.kept):
            values.update({name: cache[name]["value"] for name in self._route.kept})
        else:
            self._run(self._memory, values, given, None)
            for name in self._route.kept if cache is not None else ():
                cache[name]["value"] = values[name]
        return self._scores(self._route.losses[0], self._run(self._path, values, given, cache))  # (B, T, V)

    def new_cache(self) -> dict[str, dict]:
        """An empty cache for `logits`: a dict for each module that mixes or counts positions."""
        return {name: {} for name in self._route.cached}

    def _scores(self, call: Call, values: Mapping[str, Tensor]) -> Tensor:
        x = values[call.inputs[0]]
        return x if call.head is None else getattr(self, call.head)(x)

    def _run(
        self, steps: tuple[tuple, ...], values: dict[str, Tensor], batch: dict[str, Tensor], cache: dict[str, dict] | None
    ) -> dict[str, Tensor]:
        """The values with those of these steps added."""
        letters = self._route.letters
        masks = {letter: mask for letter in letters if (mask := padding(letter, batch)) is not None} if letters else {}
        for name, inputs, cached, masked, reads in steps:
            module = getattr(self, name)
            if reads:
                values[name] = module(batch[reads])
                continue
            extra = {argument: masks[letter] for argument, letter in masked if letter in masks} if masks else {}
            if cached and cache is not None:
                extra["cache"] = cache[name]
            values[name] = module(*[values[source] for source in inputs], **extra)
        return values


def _steps(calls: tuple[Call, ...]) -> tuple[tuple, ...]:
    """What the forward pass reads of each call: node, inputs, whether it takes a cache, masks, part of the batch."""
    kinds = [KINDS[call.kind] for call in calls]
    return tuple((call.node, call.inputs, kind.cached, call.masks, kind.reads) for call, kind in zip(calls, kinds, strict=True))
