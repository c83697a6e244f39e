"""The language that finds runs: what it lets through, and what it says of a mistake."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cortex.conditions import FilterError
from cortex.filters import matching


def row(name: str, settings: dict[str, Any] | None = None, **facts: Any) -> dict[str, Any]:
    given = {"run": name, "name": name, "note": "", "tags": [], "state": "finished", "source": "WikiText2", "tokenizer": "word"}
    return {**given, "starred": False, "archived": False, **facts, "settings": settings or {}}


ROWS = [
    row(
        "alpha",
        {"training.lr": 3e-4, "training.optimizer": "Adam", "embedding.embedding_dim": 64, "a.dropout": 0.1, "b.dropout": 0.1},
        best_perplexity=90.0,
        best_loss=4.5,
        tags=["keep"],
        note="warm-up too short",
        created="2026-11-20T10:30:00+01:00",
    ),
    row(
        "beta",
        {
            "training.lr": 1e-3,
            "training.optimizer": "AdamW",
            "embedding.embedding_dim": 128,
            "a.dropout": 0.2,
            "b.dropout": 0.2,
        },
        best_perplexity=150.0,
        best_loss=5.0,
        state="failed",
        source="Shakespeare",
        starred=True,
        elapsed=400.0,
        created="2026-11-22T08:00:00+01:00",
    ),
    row(
        "gamma",
        {"training.lr": 3e-3, "training.optimizer": "Adam"},
        state="running",
        tags=["wide", "keep on"],
        parameters=9_147_518,
    ),
]


def found(text: str, rows: list[dict[str, Any]] = ROWS) -> str:
    return " ".join(row["run"] for row in matching(rows, text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "alpha beta gamma"),
        ("   ", "alpha beta gamma"),
        ("alp", "alpha"),
        ("WARM-UP", "alpha"),
        ('"too short"', "alpha"),
        ("shakespeare", "beta"),
        ("state:finished", "alpha"),
        ("state:finished,FAILED", "alpha beta"),
        ("state = failed", "beta"),
        ("tag:keep", "alpha"),
        ('tag:"keep on"', "gamma"),
        ("data:wikitext", "alpha gamma"),
        ("data = WikiText2", "alpha gamma"),
        ("data = wiki", ""),
        ("is:starred", "beta"),
        ("starred = true", "beta"),
        ("training.lr < 1e-3", "alpha"),
        ("lr<1e-3", "alpha"),
        ("lr<=.001", "alpha beta"),
        ("lr==0.001", "beta"),
        ("lr != 1e-3", "alpha gamma"),
        ("best_perplexity <= 120", "alpha"),
        ("ppl>100", "beta"),
        ("loss<4.6", "alpha"),
        ("embedding.embedding_dim >= 128", "beta"),
        ("embedding_dim>=64 lr<1e-3", "alpha"),
        ("dropout=0.1", "alpha"),
        ("optimizer:adam", "alpha beta gamma"),
        ("optimizer=adam", "alpha gamma"),
        ("parameters>9M", "gamma"),
        ("elapsed>5min", "beta"),
        ("lr<1e-3 or state:running", "alpha gamma"),
        ("not state:running", "alpha beta"),
        ("not (lr<1e-3 or state:running)", "beta"),
        ("lr<1e-3 and data:wiki", "alpha"),
        ("(alpha or beta) not is:starred", "alpha"),
        ("started>=2026-11-21", "beta"),
        ("started=2026-11-20", "alpha"),
        ("started>=2026-11-20T10:31", "beta"),
    ],
)
def test_a_filter_lets_these_runs_through(text: str, expected: str) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    ["best_perplexity<1e9", "best_perplexity>=0", "best_perplexity!=1", "not best_perplexity<1", "not best_perplexity>1e9",
     "not (best_perplexity<1 or best_perplexity>1e9)", "embedding_dim>0", "not embedding_dim<0"],
)  # fmt: skip
def test_a_value_that_a_run_does_not_have_meets_neither_a_condition_nor_its_opposite(text: str) -> None:
    assert found(text) == "alpha beta"


def test_a_fault_is_found_in_what_a_run_failed_of_and_in_what_of_its_folder_cannot_be_read() -> None:
    rows = [row("a", error="the loss is nan"), row("b", error=None, problem="labels.json is empty"), row("c")]
    assert found("fault:nan", rows) == "a" and found("error:labels", rows) == "b" and found("not error:nan", rows) == "b"


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_loss_that_is_no_number_meets_no_condition(value: float | None) -> None:
    assert found("best_loss<9", [row("x", best_loss=value)]) == found("not best_loss<9", [row("x", best_loss=value)]) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lrr<1", "lrr: there is no such setting or measure; nearest: lr"),
        ("best_perplexty<1", "nearest: best_perplexity"),
        ("embeding_dim>1", "nearest: embedding_dim"),
        ("state:finshed", "state:finshed: there is no such state; nearest: finished"),
        ("lr<abc", "found the text abc, expected a number"),
        ("lr<", "found the end after <, expected a value"),
        ("<5", "found <, expected a word or the name"),
        ("(lr<1", "found the end, expected a closing bracket"),
        ("lr<1)", "found ), which closes no bracket"),
        ("alpha or", "found the end after or"),
        ("not", "found the end after not"),
        ("and", "found and"),
        ('"open', 'found ", expected a closing quotation mark'),
        ("tag:", "found the end after :"),
        ('tag:""', "tag: found nothing, expected a text"),
        ("is:green", "is:green: expected is:starred or is:archived"),
        ("12:30", "a text with a colon belongs in quotation marks"),
        ("(" * 60 + "a" + ")" * 60, "brackets more than 50 deep"),
        ("not " * 10_000 + "a", "brackets more than 50 deep"),
    ],
)
def test_a_mistake_is_told_in_one_line(text: str, expected: str) -> None:
    with pytest.raises(FilterError) as caught:
        found(text)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_a_short_name_of_settings_that_differ_within_a_run_is_refused_with_their_full_names() -> None:
    rows = [row("x", {"a.dropout": 0.1, "b.dropout": 0.2})]
    with pytest.raises(
        FilterError, match=r"dropout: several settings end in it and differ in x; give one of a\.dropout, b\.dropout"
    ):
        matching(rows, "dropout<1")
    assert found("b.dropout=0.2", rows) == "x"


@pytest.mark.parametrize(
    "text", ["__import__('os').system('x')", "name.__class__", "lr<__import__", "{}[]", "$(reboot)", "a;b", "\0", "🙂", "<b>"]
)
def test_code_and_odd_signs_are_words_or_mistakes_and_nothing_more(text: str) -> None:
    try:
        assert found(text) == ""
    except FilterError as error:
        assert "\n" not in str(error)
