"""Uniform, unigram and bigram perplexities: counted by hand, proper probabilities, kept beside the tokens."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cortex import references as module
from cortex.data import prepare
from cortex.graph import Node
from cortex.references import (
    FILE,
    PairCounts,
    best_weight,
    compute,
    interpolated,
    known_references,
    quick_references,
    references,
)
from cortex.store import Prepared

PTB = Path(__file__).parents[2] / "shared" / "data" / "ptb"


def random_text(length: int, vocabulary: int, seed: int) -> np.ndarray:
    """Tokens that mostly follow one another in a circle, with some drawn at random."""
    draw = np.random.default_rng(seed)
    steps = np.where(draw.random(length) < 0.7, 1, draw.integers(0, vocabulary, length))
    return np.cumsum(steps) % vocabulary


def test_a_text_small_enough_for_paper_gives_what_paper_gives() -> None:
    # Context 0, then 1 2 1 2 1 1 2 1 2: N 9, V 3; c(1) 5, c(2) 4. Too short to hold anything out: the weight is one half.
    train, validation = np.array([0, 1, 2, 1, 2, 1, 1, 2, 1, 2]), np.array([0, 1, 2, 0])
    found = compute(train, validation, 3)
    one, two, zero = 6 / 12, 5 / 12, 1 / 12
    assert found.uniform == 3
    assert found.unigram == pytest.approx((one * two * zero) ** (-1 / 3))
    # c(0, 1) / c(0) = 1 / 1; c(1, 2) / c(1) = 4 / 5, since 1 stands five times before another; c(2, 0) / c(2) = 0 / 3.
    steps = (1 / 2 + one / 2) * (4 / 5 / 2 + two / 2) * (0 / 2 + zero / 2)
    assert (found.weight, found.counted, found.tokens) == (0.5, 9, 9)
    assert found.bigram == pytest.approx(steps ** (-1 / 3))


def test_probabilities_of_all_tokens_after_any_token_add_up_to_one() -> None:
    vocabulary = 7
    counts = PairCounts(vocabulary, np.arange(vocabulary**2))
    counts.add(random_text(500, 6, seed=1))  # token 6 never occurs, so nothing is known of what follows it
    relative, add_one = counts.shares(np.arange(vocabulary**2))
    assert np.isnan(relative.reshape(vocabulary, vocabulary)[6]).all()
    for weight in (0.0, 0.4, 0.999):
        rows = interpolated(relative, add_one, weight).reshape(vocabulary, vocabulary)
        assert rows.sum(axis=1) == pytest.approx(np.ones(vocabulary))
        assert (rows > 0).all()
    assert add_one[:vocabulary].sum() == pytest.approx(1)


def test_pairs_counted_in_pieces_are_those_of_a_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE", 64)
    train, validation = random_text(3000, 11, seed=2), random_text(700, 11, seed=3)
    found = compute(train, validation, 11)
    unigrams, bigrams = Counter(train[1:].tolist()), Counter(zip(train[:-1].tolist(), train[1:].tolist(), strict=True))
    contexts = Counter(train[:-1].tolist())
    nats = 0.0
    for before, token in zip(validation[:-1].tolist(), validation[1:].tolist(), strict=True):
        single = (unigrams[token] + 1) / (2999 + 11)
        nats -= math.log(found.weight * bigrams[before, token] / contexts[before] + (1 - found.weight) * single)
    assert found.bigram == pytest.approx(math.exp(nats / 699))
    assert found.bigram < found.unigram < found.uniform + 0.5


def test_the_weight_is_the_best_on_held_out_training_text_and_validation_has_no_say() -> None:
    train = random_text(4000, 11, seed=4)
    one, other = (compute(train, random_text(500, 11, seed), 11) for seed in (5, 6))
    assert one.weight == other.weight
    counts = PairCounts(11, np.arange(121))
    counts.add(train[:3601])  # of 3,999 tokens the last 399 are held out
    held_out = np.bincount(train[3600:-1] * 11 + train[3601:], minlength=121)
    relative, add_one = counts.shares(np.arange(121))
    likelihood = [(held_out * np.log(interpolated(relative, add_one, weight))).sum() for weight in np.linspace(0, 0.999, 1000)]
    assert one.weight == pytest.approx(np.linspace(0, 0.999, 1000)[int(np.argmax(likelihood))], abs=0.002)


def test_a_weight_never_leaves_an_unseen_pair_without_a_chance() -> None:
    assert best_weight(np.array([1.0, 1.0]), np.array([0.5, 0.5]), np.array([3, 3])) == pytest.approx(0.999, abs=1e-6)
    assert best_weight(np.array([np.nan]), np.array([0.5]), np.array([3])) == 0.5


def test_a_longer_text_than_the_cap_is_counted_up_to_it_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation = random_text(3000, 11, seed=2), random_text(300, 11, seed=3)
    monkeypatch.setattr(module, "MOST_COUNTED", 1000)
    found = compute(train, validation, 11)
    assert (found.counted, found.tokens) == (1000, 2999)
    assert found.bigram == compute(train[:1001], validation, 11).bigram


def test_every_set_has_its_references_when_it_is_prepared(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, float | None]] = []
    monkeypatch.setattr(module, "QUICK", 10)
    found = prepare(Node("data", "CustomData", {"path": str(text)}), tmp_path / "store", lambda *what: said.append(what))
    assert quick_references(found) == compute(found.tokens("train"), found.tokens("validation"), found.vocab_size)
    assert ("counting pairs of tokens", 1.0) in said


def test_references_are_computed_once_and_kept_with_the_tokens(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    (prepared.path / FILE).unlink()  # as in a set that an earlier version prepared
    assert known_references(prepared.path) is None
    shares: list[float] = []
    found = references(prepared, shares.append)
    assert found.uniform == prepared.vocab_size and found.bigram < found.unigram < found.uniform
    assert shares == sorted(shares) and shares[-1] == 1.0
    monkeypatch.setattr(module, "compute", lambda *_: pytest.fail("computed again"))
    assert references(prepared) == found == known_references(prepared.path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 0}', '{"version": 1, "uniform": 1}'])
def test_a_damaged_file_of_references_is_made_again(content: str, prepared: Prepared) -> None:
    found = references(prepared)
    (prepared.path / FILE).write_text(content)
    assert known_references(prepared.path) is None
    assert references(prepared) == found
    assert json.loads((prepared.path / FILE).read_text())["version"] == 1


def test_a_large_text_is_not_counted_by_somebody_in_a_hurry(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    (prepared.path / FILE).unlink()
    monkeypatch.setattr(module, "QUICK", 10)
    assert quick_references(prepared) is None
    found = references(prepared)
    assert quick_references(prepared) == found


@pytest.mark.skipif(not PTB.is_dir(), reason="no Penn Treebank in ../shared/data")
def test_penn_treebank_has_the_perplexities_that_are_known_of_it(tmp_path: Path) -> None:
    # The files as one text: its split by bytes is not the published one, but its words are. An add-one unigram of Penn
    # Treebank is known to be between 600 and 1,000, interpolated bigrams between 180 and 320.
    path = tmp_path / "ptb.txt"
    path.write_bytes(b"".join((PTB / f"ptb.{name}.txt").read_bytes() for name in ("train", "valid", "test")))
    shares = {"validation": 399_782 / 5_951_345, "test": 449_945 / 5_951_345}
    node = Node("data", "CustomData", {"path": str(path), "min_frequency": 1, **shares})
    found = references(prepare(node, tmp_path / "store"))
    assert found.uniform == pytest.approx(10_000, abs=5)
    assert 600 < found.unigram < 1000
    assert 180 < found.bigram < 320
