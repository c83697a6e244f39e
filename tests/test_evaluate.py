"""Loss, perplexity and bits per byte against a naive computation that predicts every token exactly once."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from conftest import MakeGraph
from torch import Tensor, nn

from cortex.builder import Model, build, plan
from cortex.evaluate import Evaluation, evaluate, perplexity
from cortex.store import Prepared


@pytest.fixture
def model(make_graph: MakeGraph, prepared: Prepared) -> Model:
    torch.manual_seed(1)
    return build(plan(make_graph(), prepared.vocab_size)).eval()


def naive_loss(model: Model, tokens: list[int], seq_len: int) -> float:
    """Minus the mean log-probability of every token, one at a time, each block beginning anew."""
    total = 0.0
    for position in range(1, len(tokens)):
        first = (position - 1) // seq_len * seq_len
        with torch.no_grad():
            scores = model.logits(torch.tensor([tokens[first:position]]))[0, -1].double()
        total -= torch.log_softmax(scores, -1)[tokens[position]].item()
    return total / (len(tokens) - 1)


@pytest.mark.parametrize("seq_len", [1, 7, 32])
def test_the_loss_is_that_of_a_naive_computation(model: Model, prepared: Prepared, seq_len: int) -> None:
    tokens = prepared.tokens("validation")
    assert tokens[0] == prepared.tokenizer().eos and (len(tokens) - 1) % 8 != 0
    found = evaluate(model, tokens, seq_len)
    assert found.tokens == prepared.count("validation") == len(tokens) - 1
    assert found.loss == pytest.approx(naive_loss(model, tokens.tolist(), seq_len), rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(found.loss))


class Counting(nn.Module):
    """Remembers which targets it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.some = nn.Parameter(torch.zeros(()))
        self.pairs: list[tuple[int, int]] = []

    def forward(self, batch: dict[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        self.pairs += zip(batch["inputs"].flatten().tolist(), batch["targets"].flatten().tolist(), strict=True)
        count = batch["targets"].numel()
        return {"first": (torch.tensor(2.0 * count), count), "second": (torch.tensor(3.0 * count), count)}


@pytest.mark.parametrize(
    ("count", "seq_len", "batch_tokens"), [(1, 8, 64), (7, 8, 64), (8, 8, 8), (100, 8, 24), (100, 200, 10)]
)
def test_every_token_is_predicted_exactly_once_from_the_one_before(count: int, seq_len: int, batch_tokens: int) -> None:
    model = Counting()
    found = evaluate(model, np.arange(count + 1), seq_len, batch_tokens=batch_tokens)
    assert model.pairs == [(token, token + 1) for token in range(count)]
    assert found == Evaluation(2.0, count, losses={"first": 2.0, "second": 3.0})


def test_another_loss_can_be_named_and_bits_per_byte_are_of_the_bytes_given() -> None:
    found = evaluate(Counting(), np.arange(41), 8, loss="second", text_bytes=100)
    assert found.loss == 3.0 and found.bits_per_byte == pytest.approx(3.0 * 40 / math.log(2) / 100)
    assert evaluate(Counting(), np.arange(41), 8).bits_per_byte is None


@pytest.mark.parametrize("tokens", [[], [0]])
def test_a_split_without_tokens_is_refused(tokens: list[int]) -> None:
    with pytest.raises(ValueError, match="no tokens"):
        evaluate(Counting(), np.array(tokens), 8)


def test_an_evaluation_that_is_to_stop_says_so_and_leaves_no_gradients(model: Model, prepared: Prepared) -> None:
    with pytest.raises(InterruptedError):
        evaluate(model, prepared.tokens("train"), 8, should_stop=lambda: True)
    evaluate(model, prepared.tokens("validation"), 8)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_perplexity_is_the_exponential_and_infinite_past_what_a_float_holds() -> None:
    assert perplexity(0.0) == 1.0 and perplexity(math.log(33_278)) == pytest.approx(33_278)
    assert perplexity(1000.0) == math.inf and perplexity(math.inf) == math.inf
