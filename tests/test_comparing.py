"""When perplexities of several runs can be laid side by side, and what can be where they cannot."""

from __future__ import annotations

from typing import Any

import pytest

from cortex.comparable import measures, why_not
from ui.charts import figure
from ui.curve import Curve
from ui.theme import LIGHT

WORD = {
    "data": "a", "source": "CustomData", "tokenizer": "word", "vocabulary": 10_000, "validation_text": "t", "best_loss": 4.0,
    "word_perplexity": 60.0, "bits_per_byte": 1.2, "why_not_words": "",
}  # fmt: skip
BPE = WORD | {"data": "b", "tokenizer": "bpe", "vocabulary": 8192}
HIDDEN = WORD | {"data": "c", "validation_text": None, "word_perplexity": None, "bits_per_byte": None}


def rows(*found: dict[str, Any]) -> dict[str, Any]:
    return {f"run {number}": row for number, row in enumerate(found)}


def test_runs_on_the_same_tokens_are_compared_by_perplexity() -> None:
    assert why_not(rows(WORD, WORD | {"best_loss": 3.9})) == ""
    assert measures([WORD, WORD])[0] == "perplexity"


def test_tokens_of_the_same_text_are_compared_by_its_bytes_and_words() -> None:
    said = why_not(rows(WORD, BPE))
    assert "not comparable: the runs predict different tokens (CustomData, bpe, vocabulary 8,192; CustomData, word" in said
    assert said.endswith("They validate on the same text, so their bits per byte and perplexities per word are.")
    assert measures([WORD, BPE]) == ["bits_per_byte", "word_perplexity", "perplexity"]


def test_only_what_every_run_has_is_offered() -> None:
    assert measures([WORD | {"bits_per_byte": None}, BPE]) == ["word_perplexity", "perplexity"]
    assert measures([WORD, BPE | {"best_loss": None, "bits_per_byte": None, "word_perplexity": None}])[0] == "bits_per_byte"


def test_unk_that_hides_words_is_named_with_its_run() -> None:
    said = why_not(rows(BPE, HIDDEN | {"why_not_words": "4.7% of its tokens are <unk>, which hides what they cost"}))
    assert "would not be honest either (run 1: 4.7% of its tokens are <unk>, which hides what they cost)" in said
    assert measures([BPE, HIDDEN]) == ["perplexity"]


def test_different_texts_are_never_comparable() -> None:
    assert "no other number makes them comparable" in why_not(rows(WORD, BPE | {"validation_text": "u"}))
    assert measures([WORD, BPE | {"validation_text": "u"}]) == ["perplexity"]


def test_a_run_from_before_texts_were_recorded_says_so() -> None:
    assert "was not recorded when they started" in why_not(rows(WORD, HIDDEN))


START = {
    "event": "start", "steps_per_epoch": 5, "validation_tokens": 100, "validation_words": 50, "validation_bytes": 200,
}  # fmt: skip
EVENTS = [
    START,
    {"event": "train", "step": 1, "tokens": 9, "loss": 2.0, "elapsed": 1.0},
    {"event": "validation", "step": 1, "tokens": 9, "loss": 1.0, "elapsed": 1.0},
]


@pytest.mark.parametrize(("metric", "value"), [("word_perplexity", 7.389056), ("bits_per_byte", 0.7213475)])
def test_words_and_bytes_are_those_of_the_validation_split_alone(metric: str, value: float) -> None:
    curve = Curve("r", "r", 0, EVENTS)
    assert curve.points("validation", metric, "step")[1].tolist() == pytest.approx([value])
    assert not len(curve.points("train", metric, "step")[0])
    unknown = [START | {"validation_words": None, "validation_bytes": None}, *EVENTS[1:]]
    assert not len(Curve("r", "r", 0, unknown).points("validation", metric, "step")[0])


def test_reference_perplexities_are_dashed_lines_with_their_name_and_value() -> None:
    chart = figure([Curve("r", "r", 0, EVENTS)], "perplexity", "step", LIGHT, levels={"unigram": 684.7, "bigram": 225.6})
    assert [(line.y0, line.line.dash) for line in chart.layout.shapes] == [(684.7, "dash"), (225.6, "dash")]
    assert [label.text for label in chart.layout.annotations] == ["unigram 684.7", "bigram 225.6"]
    assert chart.layout.annotations[1].y == pytest.approx(2.3533, abs=1e-4)  # log10: the axis is logarithmic
