"""Sampling: what can be drawn, from how much context, the same for the same seed."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from conftest import MakeGraph

from cortex.builder import Model, build, plan
from cortex.generate import generate, pick

V = 12
LOGITS = torch.tensor([0.5, 0.25, 0.15, 0.1]).log()


@pytest.fixture
def model(make_graph: MakeGraph) -> Model:
    torch.manual_seed(1)
    model = build(plan(make_graph(blocks=2), V))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)  # scores far enough apart that a wrong context would show
    return model


def drawn(count: int = 3000, **settings: float) -> dict[int, float]:
    """Shares of the tokens drawn from LOGITS."""
    generator = torch.Generator().manual_seed(1)
    settings = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, **settings}
    counts = Counter(pick(LOGITS, generator=generator, **settings) for _ in range(count))
    return {token: number / count for token, number in sorted(counts.items())}


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    assert drawn() == pytest.approx({0: 0.5, 1: 0.25, 2: 0.15, 3: 0.1}, abs=0.03)


def test_a_temperature_sharpens_and_zero_takes_the_likeliest() -> None:
    squared = [0.25, 0.0625, 0.0225, 0.01]
    assert drawn(temperature=0.5) == pytest.approx({i: p / sum(squared) for i, p in enumerate(squared)}, abs=0.03)
    assert drawn(50, temperature=0) == {0: 1.0}


def test_top_k_keeps_the_k_likeliest() -> None:
    assert drawn(top_k=2) == pytest.approx({0: 2 / 3, 1: 1 / 3}, abs=0.03)
    assert drawn(100, top_k=1) == {0: 1.0} and set(drawn(200, top_k=99)) == {0, 1, 2, 3}


def test_top_p_keeps_the_likeliest_that_together_reach_it() -> None:
    assert set(drawn(200, top_p=0.5)) == {0} and set(drawn(200, top_p=0.51)) == {0, 1}
    assert set(drawn(200, top_p=0.76)) == {0, 1, 2} and set(drawn(200, top_p=0.99, top_k=2)) == {0, 1}


@pytest.mark.parametrize("top_p", [0.0, 1e-300])
def test_the_least_top_p_takes_the_likeliest(top_p: float) -> None:
    assert drawn(20, top_p=top_p) == {0: 1.0}


def test_equal_scores_and_minus_infinity_can_be_drawn_from() -> None:
    generator = torch.Generator().manual_seed(1)
    flat = {pick(torch.zeros(5), temperature=1.0, top_k=3, top_p=1.0, generator=generator) for _ in range(200)}
    assert len(flat) == 3
    lone = torch.tensor([-torch.inf, 0.0, -torch.inf])
    assert pick(lone, temperature=0.7, top_k=0, top_p=0.9, generator=generator) == 1


def likeliest(model: Model, prompt: list[int], count: int, context: int) -> list[int]:
    """The same without a cache: every token from all that is seen, the older half forgotten when the context is full."""
    model.eval()
    seen, said = prompt[-context:], []
    for _ in range(count):
        if len(seen) > context:
            seen = seen[-max(1, context // 2) :]
        token = int(model.logits(torch.tensor([seen]))[0, -1].argmax())
        seen, said = [*seen, token], [*said, token]
    return said


@pytest.mark.parametrize("context", [1, 5, 8, 64])
@pytest.mark.parametrize("prompt", [[3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]], ids=["one token", "ten tokens"])
def test_the_cache_changes_nothing_whatever_the_context(model: Model, prompt: list[int], context: int) -> None:
    found = list(generate(model, prompt, context=context, vocab_size=V, max_tokens=20, temperature=0))
    assert found == likeliest(model, prompt, 20, context)


def test_the_same_seed_gives_the_same_text_and_touches_no_other_random_state(model: Model) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    texts = [list(generate(model, [1], context=8, vocab_size=V, max_tokens=20, seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2] and len(texts[0]) == 20
    assert torch.equal(torch.rand(3), wanted)


def test_tokens_without_a_text_are_never_drawn(model: Model) -> None:
    with torch.no_grad():
        model.head.bias[5:] = 100.0
    assert set(generate(model, [1], context=8, vocab_size=5, max_tokens=50, temperature=2.0)) <= set(range(5))


def test_a_model_in_training_is_in_training_again_also_when_the_reader_leaves_early(model: Model) -> None:
    for mode in (True, False):
        model.train(mode)
        list(generate(model, [1], context=8, vocab_size=V, max_tokens=2))
        assert model.training is mode
    model.train()
    text = generate(model, [1], context=8, vocab_size=V)
    next(text)
    text.close()
    assert model.training


def test_a_temperature_near_zero_takes_the_likeliest_token() -> None:
    logits = torch.tensor([1.0, 3.0, 2.0])
    assert pick(logits, temperature=1e-308, top_k=0, top_p=1.0) == 1
