"""Accuracy, macro F1 and F1 over spans, beside scikit-learn's and seqeval's."""

from __future__ import annotations

import random
import warnings
from types import SimpleNamespace

import pytest
import torch

from cortex.scores import Tally, are_spans, spans

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "E-PER", "S-LOC")


@pytest.fixture(scope="module")
def theirs() -> SimpleNamespace:
    """The scores of others; loading them takes a second, which no process pays that only collects."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from seqeval.metrics import f1_score as seqeval_f1
        from seqeval.metrics.sequence_labeling import get_entities
        from sklearn.metrics import f1_score
    return SimpleNamespace(spans=get_entities, seqeval_f1=seqeval_f1, f1=f1_score)


def tally(labels: tuple[str, ...], task: str, target: str = "Label") -> Tally:
    return Tally(SimpleNamespace(targets=lambda batch: batch["targets"], target=target), labels, task)


def scores_of(found: torch.Tensor, number: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(found.clamp(min=0), number).float()


def test_spans_are_those_of_seqeval_whatever_stands_beside_what(theirs: SimpleNamespace) -> None:
    draw = random.Random(1)
    for _ in range(2000):
        tags = [draw.choice(TAGS) for _ in range(draw.randint(0, 8))]
        assert spans(tags) == theirs.spans(tags), tags


@pytest.mark.parametrize("few", [False, True])
def test_f1_over_spans_is_that_of_seqeval(few: bool, theirs: SimpleNamespace) -> None:
    draw = torch.Generator().manual_seed(1)
    counted = tally(TAGS, "Tagged")
    wanted, given = [], []
    for _ in range(5):
        targets = torch.randint(len(TAGS), (8, 6), generator=draw)
        found = torch.where(torch.rand(8, 6, generator=draw) < (0.9 if few else 0.3), targets, 0)
        ends = torch.randint(1, 7, (8,), generator=draw)
        targets = targets.masked_fill(torch.arange(6) >= ends[:, None], -100)
        counted.add(scores_of(found, len(TAGS)), {"targets": targets})
        for row in range(8):
            wanted.append([TAGS[tag] for tag in targets[row, : ends[row]].tolist()])
            given.append([TAGS[tag] for tag in found[row, : ends[row]].tolist()])
    assert counted.result()["f1"] == pytest.approx(theirs.seqeval_f1(wanted, given))


def test_macro_f1_is_that_of_scikit_learn_over_the_classes_that_occur(theirs: SimpleNamespace) -> None:
    names = tuple("abcdef")
    draw = torch.Generator().manual_seed(2)
    targets, found = torch.randint(4, (60,), generator=draw), torch.randint(1, 5, (60,), generator=draw)
    counted = tally(names, "Labelled")
    for part in range(0, 60, 20):
        counted.add(scores_of(found[part : part + 20], 6), {"targets": targets[part : part + 20]})
    f1 = theirs.f1(targets, found, average="macro", zero_division=0)
    assert counted.result() == pytest.approx({"accuracy": float((targets == found).float().mean()), "f1": f1})


def test_a_row_of_pairs_is_right_where_all_its_tokens_are() -> None:
    targets = torch.tensor([[1, 2, -100], [3, 1, 0]])
    counted = tally((), "Pairs")
    counted.add(scores_of(torch.tensor([[1, 2, 0], [3, 1, 1]]), 5), {"targets": targets})
    assert counted.result() == pytest.approx({"accuracy": 4 / 5, "exact": 1 / 2})


def test_scores_past_the_labels_are_never_the_answer() -> None:
    counted = tally(("a", "b"), "Labelled")
    counted.add(torch.tensor([[0.0, 1.0, 9.0]]), {"targets": torch.tensor([1])})
    assert counted.result()["accuracy"] == 1


def test_tags_without_a_prefix_are_classes_and_no_spans() -> None:
    assert are_spans(TAGS) and are_spans(("O", "B-X")) and not are_spans(("NOUN", "VERB")) and not are_spans(("O", "B-X", "Y"))
    assert not are_spans(("O",))
    counted = tally(("NOUN", "VERB"), "Tagged")
    counted.add(scores_of(torch.tensor([[0, 1]]), 2), {"targets": torch.tensor([[0, 1]])})
    assert counted.result() == {"accuracy": 1.0, "f1": 1.0}


def test_nothing_compared_gives_no_number() -> None:
    counted = tally((), "Text", "Offset")
    counted.add(torch.zeros(1, 2, 3), {"targets": torch.full((1, 2), -100)})
    assert counted.result() == {}
