"""What a trained run is asked: its loss over a split, and the text that follows a prompt."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
from conftest import MakeRun

from cortex.checkpoints import Trained, load_trained
from cortex.judge import continue_text, evaluate_run, prepared_of
from cortex.places import Places, places
from cortex.run_summary import summary
from cortex.runs import Run, RunError
from cortex.worker import work


@pytest.fixture
def store(trained_home: Path) -> Path:
    return places({"CORTEXNODUS_HOME": str(trained_home)}).store


@pytest.fixture
def small(make_run: MakeRun, home: Places) -> Run:
    """A finished run of this test's own."""
    run = make_run(max_steps=2)
    assert work(run, home.store) == "finished"
    return run


def test_a_runs_best_weights_have_the_loss_of_its_best_validation(trained: Run, store: Path) -> None:
    found, row = evaluate_run(trained, store), summary(trained)
    assert found["loss"] == pytest.approx(row["best_loss"], rel=1e-6) and found["step"] == row["best_step"]
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))
    assert found["bits_per_byte"] == pytest.approx(row["bits_per_byte"], rel=1e-6)
    assert found["tokens"] == prepared_of(trained, store).count("validation")


def test_training_has_made_the_loss_smaller_than_a_guess(trained: Run, store: Path) -> None:
    vocabulary = prepared_of(trained, store).vocab_size
    assert evaluate_run(trained, store, "test")["perplexity"] < vocabulary * 0.7


def test_a_split_without_tokens_is_told(make_run: MakeRun, home: Places, small: Run) -> None:
    node = small.graph().with_param("data", "test", 0.0)
    run = make_run(node, max_steps=1)
    work(run, home.store)
    with pytest.raises(RunError, match="test split has no tokens; the share of text kept for it is 0"):
        evaluate_run(run, home.store, "test")


def test_a_store_that_lost_the_tokens_makes_them_again(small: Run, home: Places) -> None:
    wanted = evaluate_run(small, home.store)
    shutil.rmtree(home.store)
    assert evaluate_run(small, home.store) == wanted


def test_tokens_in_the_store_are_enough_when_the_text_is_gone(small: Run, home: Places, text: Path) -> None:
    wanted = evaluate_run(small, home.store)
    text.unlink()
    assert evaluate_run(small, home.store) == wanted
    shutil.rmtree(home.store)
    with pytest.raises(RunError, match=f"run {small.id}: path: {text} does not exist"):
        evaluate_run(small, home.store)


def test_a_text_that_is_another_one_now_is_not_judged(small: Run, home: Places, text: Path) -> None:
    shutil.rmtree(home.store)
    text.write_text(text.read_text().upper())
    with pytest.raises(RunError, match="its text has changed since it was trained"):
        evaluate_run(small, home.store)


def test_text_is_continued_in_pieces_the_same_for_the_same_seed(trained: Run) -> None:
    model = load_trained(trained)
    pieces = list(continue_text(model, "the cat", max_tokens=12, seed=3))
    assert len(pieces) == 12 and "".join(pieces) == "".join(continue_text(model, "the cat", max_tokens=12, seed=3))
    known = set(model.tokenizer.backend.get_vocab())
    assert set("".join(pieces).split()) <= known


@pytest.mark.parametrize("prompt", ["", "\n", "zebra", "the cat\n\nthe", "🙂"])
def test_any_prompt_is_continued(trained: Run, prompt: str) -> None:
    assert "".join(continue_text(load_trained(trained), prompt, max_tokens=20)).strip()


@pytest.mark.parametrize("tokenizer", ["bpe", "character"])
def test_prompt_and_continuation_are_the_text_of_the_tokens(
    make_run: MakeRun, small: Run, home: Places, text: Path, tokenizer: str
) -> None:
    text.write_text("敏捷的 🙂 größe\n" * 60)
    graph = small.graph().with_param("data", "tokenizer", tokenizer)
    run = make_run(graph, max_steps=20)
    work(run, home.store)
    trained: Trained = load_trained(run)
    pieces = list(continue_text(trained, "敏捷", max_tokens=60, temperature=1.0))
    assert pieces and "".join(pieces)
    if tokenizer == "character":
        assert len(pieces) == 60 and "\ufffd" not in "".join(pieces)
    assert not any(piece.endswith("\ufffd") for piece in pieces)  # a character of several bytes comes when it is whole
