"""What the losses of a graph compare, and what follows from it for the layers before them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cortex.graph import Graph, Node
from cortex.params import complete
from cortex.registry import KINDS

TEXT = "Text"
# Tasks whose data has labels: one a text, one a token.
LABELLED, TAGGED = "Labelled", "Tagged"
TOKENS, TOKENS_AND_MASK, LABELS = "vocabulary", "vocabulary + 1", "labels"


@dataclass(frozen=True)
class Need:
    """What a loss has to be given: scores for each of `number`, one row a text where `per_text`, else one a token."""

    number: str
    per_text: bool

    @property
    def what(self) -> str:
        return "label" if self.number == LABELS else "token"

    @property
    def each(self) -> str:
        return "label of the data" if self.number == LABELS else "token of the vocabulary"


class Targets:
    """The losses of a graph against its data.

    Args:
        vocabulary: number of tokens; None while the data is not prepared.
        labels: number of labels of the data; None while it is not prepared or has none.
    """

    def __init__(self, graph: Graph, vocabulary: int | None, labels: int | None) -> None:
        self.graph, self.vocabulary, self.labels = graph, vocabulary, labels
        self.task = task_of(graph)
        self._targets = {node.id: _values(node).get("target", "Label") for node in graph.nodes if _role(node) == "loss"}
        # Where tokens are hidden, the last row of an Embedding stands for them.
        self.rows = TOKENS_AND_MASK if "Masked" in self._targets.values() else TOKENS

    @property
    def tokens(self) -> int | None:
        """Rows that an Embedding needs."""
        return self.number(self.rows)

    def number(self, what: str) -> int | None:
        """How many there are of what an `auto` stands for; None where not known."""
        if what == LABELS:
            return self.labels
        return self.vocabulary + (what == TOKENS_AND_MASK) if self.vocabulary else None

    def needs(self, loss: str) -> Need:
        """What this loss has to be given."""
        of_label = self._targets[loss] == "Label"
        number = LABELS if of_label and self.task in (LABELLED, TAGGED) else TOKENS
        return Need(number, of_label and self.task == LABELLED)

    def of_next_token(self) -> Iterator[str]:
        """The losses that compare a token with what was made of those before it."""
        for loss, target in self._targets.items():
            if target == "Offset" or (target == "Label" and self.task not in (LABELLED, TAGGED)):
                yield loss

    def hiding_faults(self) -> Iterator[tuple[str, str, str, str]]:
        """Losses whose hidden tokens cannot be had: node, setting, what is wrong, what to do."""
        masked = [self.graph.node(loss) for loss, target in self._targets.items() if target == "Masked"]
        for node in masked:
            rate, first = _values(node)["mask_rate"], masked[0]
            if self.task == "Pairs":
                what = "hides tokens of what a decoder is told to write, which would have to guess both"
                yield node.id, "target", what, "choose Label, which compares the target side of Pairs"
            elif rate != _values(first)["mask_rate"]:
                what = f"mask_rate={rate} is not that of {first.id}, {_values(first)['mask_rate']}, the first of them"
                yield node.id, "mask_rate", what, "make them equal"

    def scores_behind(self, node_id: str) -> set[str]:
        """What a layer's scores are for: as many as the losses behind it compare, as rows of the embedding that it shares."""
        if self.rows == TOKENS_AND_MASK and self._shares_rows(node_id):
            return {TOKENS_AND_MASK}
        found, waiting, seen = set(), [node_id], {node_id}
        while waiting:
            for edge in self.graph.out_of(waiting.pop()):
                if edge.target in self._targets:
                    found.add(self.needs(edge.target).number)
                elif edge.target not in seen:
                    seen.add(edge.target)
                    waiting.append(edge.target)
        return found or {TOKENS}

    def _shares_rows(self, node_id: str) -> bool:
        wanted = _values(self.graph.node(node_id)).get("tie_to")
        others = [wanted] if wanted else [node.id for node in self.graph.nodes if _values(node).get("tie_to") == node_id]
        return any(name in self.graph and "num_embeddings" in _values(self.graph.node(name)) for name in others)


def task_of(graph: Graph) -> str:
    """Text, Labelled, Tagged or Pairs: what the graph's source makes of its text."""
    for node in graph.nodes:
        if _role(node) == "source":
            kind = KINDS[node.kind]
            return kind.task(_values(node)) if kind.task else TEXT
    return TEXT


def _role(node: Node) -> str | None:
    return KINDS[node.kind].role if node.kind in KINDS else None


def _values(node: Node) -> Mapping[str, Any]:
    return complete(KINDS[node.kind].params, node.params) if node.kind in KINDS else node.params
