"""Which columns a table of runs has, and how its rows are sorted and grouped."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cortex.conditions import FilterError
from cortex.measured import RATES
from cortex.run_columns import COLUMNS, alike, column_name, in_order, in_words, shown_by_themselves, value
from cortex.run_groups import BY_GROUP, BY_SEEDS, grouped, groups_in_order
from cortex.run_settings import differing_settings
from cortex.run_summary import SUMMARY


def row(run: str, settings: dict[str, Any] | None = None, **facts: Any) -> dict[str, Any]:
    return {**dict.fromkeys(SUMMARY), "run": run, "name": run, "tags": [], "note": "", **facts, "settings": settings or {}}


def names(rows: Any) -> str:
    return "".join(row["run"] for row in rows)


def test_settings_that_differ_are_columns_and_the_others_are_not() -> None:
    rows = [
        row("a", {"training.lr": 0.1, "training.seed": 1, "norm": "LayerNorm", "norm.eps": 1e-5, "data.tokenizer": "word"}),
        row("b", {"training.lr": 0.2, "training.seed": 2, "norm": "LayerNorm", "norm.eps": 1e-5, "data.tokenizer": "bpe"}),
    ]
    assert differing_settings(rows) == ["training.lr"]
    assert differing_settings(rows[:1]) == []


def test_a_setting_of_many_nodes_that_agrees_within_each_run_is_one_column() -> None:
    rows = [row("a", {"b1.p": 0.1, "b2.p": 0.1}), row("b", {"b1.p": 0.2, "b2.p": 0.2, "b3.p": 0.2})]
    assert differing_settings(rows) == ["p"] and [value(one, "p") for one in rows] == [0.1, 0.2]
    rows[1]["settings"] = {"b1.p": 0.1, "b2.p": 0.3}
    assert differing_settings(rows) == ["b2.p"]


def test_facts_that_are_alike_are_told_once_and_have_no_column() -> None:
    rows = [row("a", source="WikiText2", tokenizer="word", note="n"), row("b", source="WikiText2", tokenizer="bpe")]
    shown = shown_by_themselves(rows)
    assert alike(rows) == {"data": "WikiText2"} and "source" not in shown
    assert {"tokenizer", "note", "best_perplexity", "state"} <= set(shown) and "starred" not in shown


def test_what_is_wrong_with_a_damaged_run_stands_beside_its_name() -> None:
    failed, damaged = (
        row("a", state="failed", error="nan"),
        row("b", state="damaged", error="/runs/b: run.json", directory="/runs/b"),
    )
    assert shown_by_themselves([failed, row("c")]).index("error") > shown_by_themselves([failed, row("c")]).index("created")
    shown = shown_by_themselves([damaged, row("c")])
    assert shown[shown.index("name") + 1] == "error" and value(damaged, "error") == "run.json"


def test_every_column_is_of_the_row_or_computed() -> None:
    assert [key for key in COLUMNS if key not in SUMMARY] == [*RATES, "nodes"]


def test_the_best_come_first_what_is_not_known_last_and_equals_stay_as_they_were() -> None:
    rows = [row("a", best_loss=3.0), row("b"), row("c", best_loss=1.0), row("d", best_loss=math.nan), row("e", best_loss=3.0)]
    assert names(in_order(rows, "best_loss")) == "caebd"
    assert names(in_order(rows, "best_loss", reverse=True)) == "aecbd"
    assert names(in_order([row("a", tokens=1), row("b", tokens=5)], "tokens")) == "ba"
    assert names(in_order([row("a", {"training.lr": "auto"}), row("b", {"training.lr": 0.1})], "training.lr")) == "ba"


def test_the_newest_come_first_by_the_moment_and_not_by_the_letters() -> None:
    times = ("2026-11-23T01:00:00+01:00", "2026-11-23T00:30:00+00:00", "2026-11-22T01:00:00+01:00", None, "yesterday")
    rows = [row(name, created=time) for name, time in zip("abcde", times, strict=True)]
    assert names(in_order(rows, "created")) == "bacde"
    same = [row(name, created=times[0]) for name in "ab"]
    assert names(in_order(same, "created")) == "ab" and names(in_order(same, "created", reverse=True)) == "ba"


def test_runs_that_differ_in_their_seed_alone_are_one_configuration() -> None:
    made = [(0.1, 1), (0.1, 2), (0.2, 1)]
    rows = [
        row(f"r{n}", {"training.lr": lr, "training.seed": seed}, name=f"x, seed {seed}", data="d")
        for n, (lr, seed) in enumerate(made)
    ]
    groups = grouped(rows, BY_SEEDS)
    assert [(group.name, len(group.rows)) for group in groups] == [("x", 2), ("x", 1)]
    rows[1]["data"] = "other"
    assert len(grouped(rows, BY_SEEDS)) == 3


def test_a_run_without_a_group_is_a_group_of_its_own() -> None:
    rows = [row("a", group="g"), row("b", group="g"), row("c"), row("d")]
    assert [(group.name, names(group.rows)) for group in grouped(rows, BY_GROUP)] == [("g", "ab"), ("c", "c"), ("d", "d")]
    assert [group.name for group in grouped([row("a", {"t.lr": 0.1}), row("b")], "t.lr")] == ["0.1", "–"]


def test_groups_are_sorted_by_their_mean_whatever_their_best_run() -> None:
    rows = [row("a", best_loss=1.0, group="g"), row("b", best_loss=9.0, group="g"), row("c", best_loss=2.0), row("d")]
    assert [group.name for group in groups_in_order(grouped(rows, BY_GROUP), "best_loss")] == ["c", "g", "d"]


def test_a_column_is_named_by_key_title_or_setting() -> None:
    rows = [row("a", {"training.lr": 0.1})]
    assert [column_name(text, rows) for text in ("best_loss", "perplexity", "started", "lr", "training.lr")] == [
        "best_loss", "best_perplexity", "created", "lr", "training.lr",
    ]  # fmt: skip
    with pytest.raises(FilterError, match="there is no such setting or measure"):
        column_name("lrr", rows)


@pytest.mark.parametrize(
    ("found", "key", "text"),
    [(None, "note", "–"), (["a", "b"], "tags", "a, b"), (0.5, "progress", "50%"), (3.14159, "best_loss", "3.142"),
     (9147518, "parameters", "9,147,518"), ("2026-11-23T01:02:03+01:00", "created", "2026-11-23 01:02"),
     (True, "x.bias", "yes")],
)  # fmt: skip
def test_a_value_reads_as_its_column_says(found: Any, key: str, text: str) -> None:
    assert in_words(found, key) == text
