"""The loss against torch's cross-entropy of full logits."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cortex.losses import Loss
from cortex.params import complete
from cortex.registry import KINDS


def make(**settings: Any) -> Loss:
    return Loss(**complete(KINDS["Loss"].params, settings))


@pytest.fixture
def loss() -> Loss:
    return make()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (3, 7), (20, 64)], ids=["one token", "a few", "more than one chunk"])
def test_the_loss_of_hidden_states_is_the_cross_entropy_of_their_logits(loss: Loss, batch: int, time: int, bias: bool) -> None:
    torch.manual_seed(1)
    head, targets = nn.Linear(8, 50, bias=bias), torch.randint(50, (batch, time))
    x = torch.randn(batch, time, 8, requires_grad=True)
    total, count = loss.from_hidden(x, head, {"targets": targets})
    gradients = torch.autograd.grad(total, [x, *head.parameters()])
    wanted = F.cross_entropy(head(x).flatten(0, 1), targets.flatten(), reduction="sum")
    torch.testing.assert_close(total, wanted, rtol=1e-5, atol=1e-4)
    for found, right in zip(gradients, torch.autograd.grad(wanted, [x, *head.parameters()]), strict=True):
        torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-4)
    assert count == batch * time


def test_the_loss_of_logits_is_a_sum_in_nats(loss: Loss) -> None:
    logits, targets = torch.randn(3, 7, 50), torch.randint(50, (3, 7))
    total, count = loss(logits, {"targets": targets})
    by_hand = -sum(logits[b, t].log_softmax(-1)[targets[b, t]] for b in range(3) for t in range(7))
    torch.testing.assert_close(total, by_hand)
    assert count == 21


def test_equal_scores_cost_the_logarithm_of_the_vocabulary(loss: Loss) -> None:
    total, count = loss(torch.zeros(2, 5, 1000), {"targets": torch.randint(1000, (2, 5))})
    assert total.item() / count == pytest.approx(math.log(1000))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("smoothing", [0.1, 0.9])
def test_a_smoothed_loss_of_hidden_states_is_that_of_their_logits(smoothing: float, bias: bool) -> None:
    torch.manual_seed(1)
    loss = make(label_smoothing=smoothing)
    head, targets = nn.Linear(8, 50, bias=bias), torch.randint(50, (20, 64))  # more than one chunk
    x = torch.randn(20, 64, 8, requires_grad=True)
    total, count = loss.from_hidden(x, head, {"targets": targets})
    gradients = torch.autograd.grad(total, [x, *head.parameters()])
    wanted = F.cross_entropy(head(x).flatten(0, 1), targets.flatten(), reduction="sum", label_smoothing=smoothing)
    torch.testing.assert_close(total, wanted, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(loss(head(x), {"targets": targets})[0], wanted)
    for found, right in zip(gradients, torch.autograd.grad(wanted, [x, *head.parameters()]), strict=True):
        torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-4)
    assert count == 1280


def test_smoothing_is_for_training_alone() -> None:
    torch.manual_seed(1)
    smoothed, plain = (make(label_smoothing=smoothing) for smoothing in (0.5, 0.0))
    head, x, targets = nn.Linear(8, 50), torch.randn(3, 7, 8), torch.randint(50, (3, 7))
    for loss_of in (
        lambda loss: loss.from_hidden(x, head, {"targets": targets})[0],
        lambda loss: loss(head(x), {"targets": targets})[0],
    ):
        smoothed.train()
        assert not torch.equal(loss_of(smoothed), loss_of(plain))
        smoothed.eval()
        assert torch.equal(loss_of(smoothed), loss_of(plain))


# What does not count


def both(loss: Loss, x: torch.Tensor, head: nn.Linear, batch: dict[str, torch.Tensor]) -> tuple[Any, Any]:
    """Value, number and gradients of a loss, from the hidden states and from the scores."""
    found = []
    for total, count in (loss.from_hidden(x, head, batch), loss(head(x), batch)):
        found.append((total, int(count), *torch.autograd.grad(total, [x, *head.parameters()])))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    return found[0][0], found[0][1]


@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.3}, {"kind": "MSE"}], ids=str)
def test_what_is_minus_100_counts_in_no_loss(settings: dict[str, Any]) -> None:
    torch.manual_seed(1)
    loss, head = make(**settings), nn.Linear(8, 50)
    x, targets = torch.randn(20, 64, 8, requires_grad=True), torch.randint(50, (20, 64))
    targets[torch.rand(20, 64) < 0.5] = -100
    counts = targets != -100
    total, count = both(loss, x, head, {"targets": targets})
    alone, number = both(loss, x[counts].unsqueeze(0), head, {"targets": targets[counts].unsqueeze(0)})
    torch.testing.assert_close(total, alone, rtol=1e-4, atol=1e-4)
    assert count == number == loss.count({"targets": targets}) == int(counts.sum())


def test_labels_are_compared_with_one_row_of_scores_each() -> None:
    torch.manual_seed(1)
    x, labels, head = torch.randn(6, 8, requires_grad=True), torch.tensor([0, 1, 2, 0, 1, 2]), nn.Linear(8, 3)
    total, count = both(make(), x, head, {"inputs": torch.zeros(6, 4), "targets": labels})
    torch.testing.assert_close(total, F.cross_entropy(head(x), labels, reduction="sum"))
    assert count == 6


def test_mse_is_the_brier_score_of_the_probabilities() -> None:
    scores, targets = torch.randn(2, 3, 5), torch.randint(5, (2, 3))
    total, count = make(kind="MSE")(scores, {"targets": targets})
    by_hand = ((scores.softmax(-1) - F.one_hot(targets, 5)) ** 2).sum()
    torch.testing.assert_close(total, by_hand)
    sure = 1000.0 * F.one_hot(targets, 5).float()
    assert make(kind="MSE")(sure, {"targets": targets})[0] == 0
    assert make(kind="MSE")(-sure, {"targets": targets})[0] / count == pytest.approx(1.25)  # the four others: 1 + 4 / 16


def test_the_next_token_is_one_place_ahead_and_other_offsets_further_on() -> None:
    tokens = torch.arange(1, 8).unsqueeze(0)  # 1 … 7
    batch = {"inputs": tokens[:, :-1], "targets": tokens[:, 1:]}
    assert make(target="Offset", offset=1).targets(batch).tolist() == [[2, 3, 4, 5, 6, 7]]
    assert make(target="Offset", offset=3).targets(batch).tolist() == [[4, 5, 6, 7, -100, -100]]
    assert make(target="Offset", offset=9).targets(batch).tolist() == [[-100] * 6]
    assert make(target="Offset", offset=3).count(batch) == 4


def test_where_the_targets_are_labels_an_offset_looks_into_the_text() -> None:
    batch = {"inputs": torch.tensor([[5, 6, 7]]), "next": torch.tensor([[6, 7, -100]]), "targets": torch.tensor([1])}
    assert make(target="Offset", offset=2).targets(batch).tolist() == [[7, -100, -100]]


def test_the_input_itself_is_compared_as_it_was_before_masking_and_without_padding() -> None:
    batch = {
        "inputs": torch.tensor([[1, 99, 3], [4, 5, 0]]),
        "masked": torch.tensor([[-100, 2, -100], [-100, -100, -100]]),
        "lengths": torch.tensor([3, 2]),
    }
    assert make(target="Input").targets(batch).tolist() == [[1, 2, 3], [4, 5, -100]]
    assert make(target="Masked").targets(batch) is batch["masked"]


def test_masked_tokens_alone_are_scored() -> None:
    torch.manual_seed(1)
    masked = torch.full((4, 16), -100)
    masked[:, 3], masked[2, 7] = 5, 9
    x, head = torch.randn(4, 16, 8, requires_grad=True), nn.Linear(8, 50)
    total, count = both(make(target="Masked"), x, head, {"masked": masked})
    torch.testing.assert_close(total, F.cross_entropy(head(x).flatten(0, 1), masked.flatten(), reduction="sum"))
    assert count == 5


def test_scores_that_are_not_one_row_for_each_answer_are_refused() -> None:
    with pytest.raises(ValueError, match="12 rows of scores for 3 answers"):
        make()(torch.randn(3, 4, 5), {"targets": torch.tensor([0, 1, 2])})
