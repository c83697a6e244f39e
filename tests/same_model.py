"""Whether the model of an exported script is the model of the app."""

from __future__ import annotations

from types import ModuleType

import torch
from exported import model_of
from torch import Tensor

from cortex.builder import build, plan
from cortex.graph import Graph
from cortex.targets import Targets, task_of

V = 23

LABELS = 4


def batch_for(graph: Graph, vocabulary: int) -> dict[str, Tensor]:
    """Two rows of eight tokens with whatever the losses of this graph compare them with; the second is padded."""
    draw = torch.Generator().manual_seed(1)
    tokens = torch.randint(vocabulary, (2, 9), generator=draw)
    batch, task = {"inputs": tokens[:, :-1], "targets": tokens[:, 1:]}, task_of(graph)
    if task != "Text":
        batch |= {"lengths": torch.tensor([8, 5]), "next": tokens[:, 1:]}
    if task == "Pairs":
        batch |= {"source": torch.randint(vocabulary, (2, 6), generator=draw), "source_lengths": torch.tensor([3, 6])}
    if task == "Labelled":
        batch["targets"] = torch.tensor([1, 3])
    if task == "Tagged":
        batch["targets"] = tokens[:, 1:] % LABELS
    if any(node.params.get("target") == "Masked" for node in graph.nodes):
        batch["masked"] = torch.where(tokens[:, 1:] % 3 == 0, tokens[:, :-1], -100)
        batch["inputs"] = torch.where(batch["masked"] >= 0, vocabulary, batch["inputs"])
    return batch


def assert_same_model(graph: Graph, module: ModuleType, vocabulary: int = V) -> None:
    """Same keys, same first weights, same losses and scores, same logits with and without a cache."""
    planned = plan(graph, vocabulary, LABELS)
    torch.manual_seed(3)
    ours = build(planned)
    torch.manual_seed(3)
    its = model_of(module)(vocabulary, LABELS) if planned.compares_labels else model_of(module)(vocabulary)
    mine, theirs = ours.state_dict(), its.state_dict()
    assert list(mine) == list(theirs)
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in its.named_parameters()]
    assert (ours.heads, ours.loss_weights, ours.new_cache()) == (its.heads, its.loss_weights, its.new_cache())
    batch = batch_for(graph, vocabulary)
    writes = "loss" in Targets(graph, None, None).of_next_token()
    found = []
    for model in (ours, its):
        torch.manual_seed(4)  # of dropout
        losses = model.train()(batch)
        assert next(iter(losses)) == "loss"
        scores = model.eval().outputs(batch)
        found.append([*(total for total, _ in losses.values()), *scores.values()])
        if writes:
            tokens, cache = batch["inputs"], model.new_cache()
            cached = [
                model.logits(part, cache, None if number else batch) for number, part in enumerate(tokens.split((5, 1, 2), 1))
            ]
            found[-1] += [model.logits(tokens, batch=batch), *cached]
            torch.testing.assert_close(torch.cat(cached, 1), found[-1][-4], atol=1e-5, rtol=0)
    assert all(torch.isfinite(one).all() for one in found[0])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
