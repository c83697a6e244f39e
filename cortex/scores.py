"""How often a model is right: accuracy, macro F1, F1 over spans, whole rows. Importable alone: torch and rows.py.

Everything is counted in sums, so that batches, and processes that read parts of a split, can be added up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cortex.rows import IGNORED

_SPAN_TAG = re.compile(r"[BIES]-.")

Span = tuple[str, int, int]


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a row of tags: type, first and last place. Tags are O, B-, I-, E- or S- and a type; a tag that does not fit
    the one before it begins a span of its own, as in conlleval (Tjong Kim Sang & Buchholz 2000) and seqeval."""
    found, begun = [], 0
    before, type_before = "O", "_"
    for place, name in enumerate([*tags, "O"]):
        tag, type_ = name[:1], name[1:].partition("-")[2] or name[1:] or "_"
        other = type_ != type_before
        if before in "ES" or (before in "BI" and tag in "BSO") or (before not in "O." and other):
            found.append((type_before, begun, place - 1))
        if tag in "BS" or (before in "ESO" and tag in "EI") or (tag not in "O." and other):
            begun = place
        before, type_before = tag, type_
    return found


def are_spans(labels: Sequence[str]) -> bool:
    """Whether tags of these names mark spans, as those of named entities do, and are not classes of words."""
    return any(_SPAN_TAG.match(name) for name in labels) and all(name == "O" or _SPAN_TAG.match(name) for name in labels)


class Tally:
    """The counts of one loss: how many of its answers the likeliest score gets right, and what follows from the task.

    Args:
        loss: the loss module, whose `targets(batch)` are the right answers.
        labels: names of classes or tags where these are what it compares; empty where it compares tokens.
        task: of the data. Labelled: macro F1; Tagged: F1 over spans, or macro F1 where tags mark none; Pairs: share of rows
            that are right as a whole, which is what writing the likeliest token each time would give.
    """

    def __init__(self, loss: nn.Module, labels: Sequence[str], task: str) -> None:
        self.loss, self.labels = loss, tuple(labels)
        self._spans = bool(self.labels) and task == "Tagged" and are_spans(self.labels)
        self._classes = bool(self.labels) and not self._spans
        self._rows = task == "Pairs" and loss.target == "Label"
        more = 3 * len(self.labels) if self._classes else 3 if self._spans else 2 if self._rows else 0
        self.sums = torch.zeros(2 + more, dtype=torch.float64)  # right, all, then what the task asks for

    def add(self, scores: Tensor, batch: dict[str, Tensor]) -> None:
        """Count a batch; scores (B, T, V), or (B, V) for labels."""
        targets = self.loss.targets(batch).cpu()  # (B, T) or (B,)
        if self.labels:
            scores = scores[..., : len(self.labels)]
        found, counts = scores.argmax(-1).cpu(), targets != IGNORED
        right = (found == targets) & counts
        self.sums[:2] += torch.tensor([right.sum(), counts.sum()])
        if self._classes:
            number = len(self.labels)
            parts = [targets[right], found[counts], targets[counts]]
            self.sums[2:] += torch.cat([torch.bincount(part, minlength=number) for part in parts])
        elif self._spans:
            for row in range(len(targets)):
                kept = counts[row]
                wanted, given = (self._spans_of(tags[row][kept]) for tags in (targets, found))
                self.sums[2:] += torch.tensor([len(wanted & given), len(given), len(wanted)])
        elif self._rows:
            self.sums[2:] += torch.tensor([(right | ~counts).all(1).sum(), len(targets)])

    def _spans_of(self, tags: Tensor) -> set[Span]:
        return set(spans([self.labels[tag] for tag in tags.tolist()]))

    def result(self) -> dict[str, float]:
        """`accuracy`, and by the task `f1` or `exact`, from 0 to 1; nothing where nothing was compared."""
        right, number = self.sums[:2].tolist()
        if not number:
            return {}
        found = {"accuracy": right / number}
        if self._classes:
            found["f1"] = _macro_f1(*self.sums[2:].view(3, -1))
        elif self._spans:
            both, given, wanted = self.sums[2:].tolist()
            found["f1"] = 2 * both / (given + wanted) if given + wanted else 0.0
        elif self._rows:
            whole, rows = self.sums[2:].tolist()
            found["exact"] = whole / rows
        return found


def tallies(model: nn.Module, labels: Sequence[str], task: str) -> dict[str, Tally]:
    """A new tally for each loss of a model.

    Args:
        labels: names of the classes or tags of the data.
        task: Text, Labelled, Tagged or Pairs.
    """
    losses = {name: getattr(model, name) for name in model.loss_weights}
    return {name: Tally(loss, labels if loss.target == "Label" else (), task) for name, loss in losses.items()}


def _macro_f1(right: Tensor, given: Tensor, wanted: Tensor) -> float:
    """The mean F1 over the classes that occur, in what was given or in what is right (as scikit-learn has it)."""
    occurs = given + wanted > 0
    return float((2 * right[occurs] / (given + wanted)[occurs]).mean())
