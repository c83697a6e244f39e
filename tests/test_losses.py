"""The loss against torch's cross-entropy of full logits."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cortex.losses import Loss


@pytest.fixture
def loss() -> Loss:
    return Loss("CrossEntropy", "Label", 1.0, 0.0)


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
    loss = Loss("CrossEntropy", "Label", 1.0, smoothing)
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
    smoothed, plain = (Loss("CrossEntropy", "Label", 1.0, smoothing) for smoothing in (0.5, 0.0))
    head, x, targets = nn.Linear(8, 50), torch.randn(3, 7, 8), torch.randint(50, (3, 7))
    for loss_of in (
        lambda loss: loss.from_hidden(x, head, {"targets": targets})[0],
        lambda loss: loss(head(x), {"targets": targets})[0],
    ):
        smoothed.train()
        assert not torch.equal(loss_of(smoothed), loss_of(plain))
        smoothed.eval()
        assert torch.equal(loss_of(smoothed), loss_of(plain))
