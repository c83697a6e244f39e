"""From a Graph to a model: `plan()` gives ordered calls or issues, `build()` makes the torch module of the calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from torch import nn

import cortex.layers
import cortex.losses
import cortex.sources
import cortex.sources_hub  # noqa: F401  the four fill the registry
from cortex.bypass import passed_by
from cortex.call import Call
from cortex.checks import Issue, Wiring, wiring_issues
from cortex.config import TrainConfig
from cortex.expand import Expanded, expand, to_cards
from cortex.graph import Graph
from cortex.model import Model
from cortex.params import complete, params_of, problems
from cortex.registry import KINDS
from cortex.resolve import Resolver
from cortex.shapes import Dim, Shape, shape_text
from cortex.sound import leaks, tie
from cortex.targets import LABELS, Targets

__all__ = ["TRAINING", "Call", "Dim", "Model", "Plan", "PlanError", "Shape", "build", "plan", "shape_text", "train_config"]

TRAINING = params_of(TrainConfig)


@dataclass(frozen=True)
class Plan:
    """What `plan()` found. `calls` is empty when there are issues; a size that hangs on data not prepared yet is None."""

    graph: Graph
    calls: tuple[Call, ...]
    issues: tuple[Issue, ...]
    shapes: Mapping[str, Shape]
    parameters: Mapping[str, int | None]
    vocabulary: int | None = field(default=None)
    labels: int | None = None

    @property
    def total(self) -> int | None:
        """Number of parameters of the whole model."""
        counts = self.parameters.values()
        return None if None in counts or not counts else sum(counts)

    @property
    def compares_labels(self) -> bool:
        """Whether some layer has as many outputs as the data has labels."""
        return any(LABELS in call.open.values() for call in self.calls)

    def issues_of(self, node_id: str) -> list[Issue]:
        return [issue for issue in self.issues if issue.node == node_id]


class PlanError(ValueError):
    """A graph with issues was to be built; `issues` has all of them."""

    def __init__(self, issues: tuple[Issue, ...]) -> None:
        super().__init__("\n".join(map(str, issues)))
        self.issues = issues


def plan(graph: Graph, vocabulary: int | None = None, labels: int | None = None) -> Plan:
    """The calls that compute this graph, or every issue that stands in the way, roots before what follows from them.

    Args:
        vocabulary: number of tokens, V; None while the data is not prepared, which is no fault.
        labels: number of classes or tags of the data; None where it has none, or while it is not prepared.
    """
    shown, (graph, faults) = graph, passed_by(graph)
    drawn, expanded = wiring_issues(graph), expand(graph)
    drawn.issues += [Issue(node, "bypass", message, hint) for node, (message, hint) in faults.items()]
    laid_out, faults = passed_by(expanded.graph)
    wiring = wiring_issues(laid_out) if expanded.places else drawn
    wiring.issues += [Issue(node, "bypass", message, hint) for node, (message, hint) in faults.items() if expanded.places]
    targets = Targets(laid_out, vocabulary, labels or None)
    resolver = Resolver(laid_out, wiring, targets)
    for node in wiring.order:
        resolver.visit(node)
    tie(resolver)
    leaks(resolver)
    for fault in targets.hiding_faults():
        resolver.fault(*fault)
    issues = [*drawn.issues, *expanded.issues, *_found(drawn, wiring, resolver, expanded), *_training_issues(graph)]
    issues.sort(key=lambda issue: issue.follows is not None)
    calls = () if issues else tuple(_lower(laid_out, resolver.calls))
    shapes, parameters = dict(resolver.shapes), dict(resolver.parameters)
    for card, output in expanded.outputs.items():
        if output in shapes:
            shapes[card] = shapes[output]
    for name, place in expanded.places.items():
        if name in parameters:
            number, before = parameters.pop(name), parameters.get(place.card, 0)
            parameters[place.card] = None if None in (number, before) else number + before
    return Plan(shown, calls, tuple(issues), shapes, parameters, vocabulary, labels or None)


def _found(drawn: Wiring, wiring: Wiring, resolver: Resolver, expanded: Expanded) -> Iterator[Issue]:
    """What is found where the subgraphs are laid out, told at their cards; faults of the wiring as drawn are told already."""
    faulty = {issue.node for issue in drawn.issues}
    places = expanded.places
    inside = [issue for issue in wiring.issues if issue.node in places and places[issue.node].card not in faulty]
    yield from to_cards([*inside, *resolver.issues], expanded)


def _training_issues(graph: Graph) -> Iterator[Issue]:
    for name, problem in problems(TRAINING, graph.training).items():
        value = f"={graph.training[name]!r}" if name in TRAINING else ""
        yield Issue(None, f"training.{name}", f"{name}{value} {problem}")


def _lower(graph: Graph, calls: list[Call]) -> Iterator[Call]:
    """The calls, losses last in the document's order, each Linear that feeds only a loss computed together with that loss."""
    made = {call.node: call for call in calls}
    yield from (call for call in calls if KINDS[call.kind].role != "loss")
    for call in (made[node.id] for node in graph.nodes if KINDS[node.kind].role == "loss"):
        feeds = made[call.inputs[0]]
        linear = issubclass(KINDS[feeds.kind].cls, nn.Linear) and len(graph.out_of(feeds.node)) == 1
        yield replace(call, inputs=feeds.inputs, head=feeds.node) if linear else call


def train_config(graph: Graph) -> TrainConfig:
    """The training settings of a graph without issues, defaults filled in."""
    return TrainConfig(**complete(TRAINING, graph.training))


def build(planned: Plan) -> Model:
    """The torch module of a plan, freshly initialised from torch's global random state.

    Raises:
        PlanError: the plan has issues.
        ValueError: the vocabulary, or the number of labels, is not known yet.
    """
    if planned.issues:
        raise PlanError(planned.issues)
    if planned.vocabulary is None or (planned.compares_labels and planned.labels is None):
        what = "vocabulary is" if planned.vocabulary is None else "labels of the data are"
        raise ValueError(f"the {what} not known; prepare the data first")
    return Model(planned.calls)
