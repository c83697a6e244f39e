"""What the losses of a graph measure: in which unit, by which metrics, and what a model trained on them can be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cortex.graph import Graph
from cortex.params import complete
from cortex.registry import KINDS
from cortex.targets import LABELLED, TAGGED, TEXT, task_of

PAIRS, MASKED = "Pairs", "Masked"

# Titles of metrics, and of an F1 by what it is over.
METRICS = {"accuracy": "Accuracy", "f1": "F1", "exact": "Rows right as a whole"}
SPAN_F1, MACRO_F1 = "F1 over spans", "macro F1"


@dataclass(frozen=True)
class Measure:
    """One loss: `unit` of its mean, `metrics` as titles by their keys, `main` the key that says most of it."""

    kind: str
    target: str
    weight: float
    unit: str
    metrics: dict[str, str]
    main: str


def measures(graph: Graph, labels: Sequence[str] = ()) -> dict[str, Measure]:
    """The losses of a graph without faults, the main one first.

    Args:
        labels: names of classes or tags, once the data is prepared.
    """
    task = task_of(graph)
    losses = [node for node in graph.nodes if node.kind in KINDS and KINDS[node.kind].role == "loss"]
    return {node.id: _measure(complete(KINDS[node.kind].params, node.params), task, labels) for node in losses}


def _measure(values: dict[str, Any], task: str, labels: Sequence[str]) -> Measure:
    target, of_data = values["target"], values["target"] == "Label"
    each = {LABELLED: "text", TAGGED: "tag"}.get(task, "token") if of_data else "token"
    unit = f"nats per {each}" if values["kind"] == "CrossEntropy" else f"squared error per {each}"
    metrics, main = {"accuracy": METRICS["accuracy"]}, "accuracy"
    if of_data and task in (LABELLED, TAGGED):
        from cortex.scores import are_spans  # loads torch, which a look at a graph does not need

        over_spans = task == TAGGED and are_spans(labels)
        metrics["f1"] = SPAN_F1 if over_spans else MACRO_F1
        main = "f1" if task == TAGGED else "accuracy"
    if of_data and task == PAIRS:
        metrics["exact"], main = METRICS["exact"], "exact"
    return Measure(values["kind"], target, values["weight"], unit, metrics, main)


def has_perplexity(graph: Graph) -> bool:
    """Whether exp of the main loss is the perplexity of a text: a cross-entropy of next tokens, or of tokens to write."""
    found = next(iter(measures(graph).values()), None)
    return bool(found) and found.kind == "CrossEntropy" and found.target == "Label" and task_of(graph) in (TEXT, PAIRS)


def tells_all(graph: Graph) -> bool:
    """Whether there is more to tell than one loss of next tokens."""
    found = list(measures(graph).values())
    return len(found) > 1 or task_of(graph) != TEXT or any(one.target != "Label" for one in found)


def asked_for(graph: Graph) -> str | None:
    """What a trained model can be asked: Text goes on with a prompt, Labelled names a class, Tagged a tag for each word, Pairs
    writes what belongs to a text, Masked fills gaps. None where its main loss learns nothing that can be asked."""
    found = next(iter(measures(graph).values()), None)
    if found is None:
        return None
    return {"Label": task_of(graph), "Masked": MASKED}.get(found.target)
