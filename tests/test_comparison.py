"""Runs beside each other: best values, differences, groups and what may be compared, recomputed here by hand."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from typing import Any

import pytest
from conftest import MakeGraph, MakeRun

from cortex.command import main
from cortex.comparison import as_data, comparison
from cortex.places import Places
from cortex.runs import Run

START = {
    "event": "start", "time": 1, "steps": 40, "last_step": 40, "steps_per_epoch": 10, "parameters": 500, "vocabulary": 20,
    "source": "CustomData", "tokenizer": "word", "validation_tokens": 1000, "validation_bytes": 5000, "validation_words": 900,
    "validation_text": "abc", "device": "cpu",
}  # fmt: skip
# Two-sided 95 % point of Student's t with 2 degrees of freedom, from any printed table.
T_2 = 4.303

Judged = Callable[..., Run]


@pytest.fixture
def judged(make_run: MakeRun, make_graph: MakeGraph) -> Judged:
    """A function that makes a run with these validation losses, one every ten steps."""

    def make(losses: list[float], start: dict[str, Any] | None = None, **training: Any) -> Run:
        run = make_run(make_graph(**training))
        events = [START | (start or {})]
        for place, loss in enumerate(losses):
            step = 10 * (place + 1)
            events.append(
                {"event": "validation", "time": step, "step": step, "tokens": step * 32, "loss": loss, "elapsed": step}
            )
        (run.path / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
        return run

    return make


def test_the_best_value_counts_and_not_the_last(judged: Judged) -> None:
    found = comparison([judged([3.0, 2.0, 2.5]), judged([2.2, 2.1, 2.4])])
    assert [subject.row["best_loss"] for subject in found.subjects] == [2.0, 2.1]
    assert [subject.row["best_step"] for subject in found.subjects] == [20, 20]
    assert found.difference("best_loss", found.subjects[1]) == pytest.approx(0.1)
    assert found.difference("best_perplexity", found.subjects[1]) == pytest.approx(math.exp(2.1) - math.exp(2.0))
    assert found.difference("bits_per_byte", found.subjects[1]) == pytest.approx(0.1 * 1000 / (5000 * math.log(2)))
    assert [found.best_of("best_loss", subject) for subject in found.subjects] == [2, 0]
    assert found.difference("best_loss", found.subjects[0]) is None


def test_only_settings_that_differ_are_named(judged: Judged) -> None:
    found = comparison([judged([2.0], lr=0.01), judged([2.0], lr=0.02)])
    assert found.settings() == {"training.lr": [0.01, 0.02]}
    assert len(found.settings(every=True)) > 40


def test_groups_of_seeds_have_intervals_and_their_difference_too(judged: Judged) -> None:
    slow = [judged([loss], lr=0.01, seed=seed) for seed, loss in enumerate((2.0, 2.1, 2.2))]
    fast = [judged([loss], lr=0.02, seed=seed) for seed, loss in enumerate((1.0, 1.1, 1.3))]
    groups = comparison([*slow, *fast]).groups
    assert [len(group.members) for group in groups] == [3, 3]
    mean = groups[0].means["best_loss"]
    reach = T_2 * statistics.stdev([2.0, 2.1, 2.2]) / math.sqrt(3)
    assert (mean.mean, mean.low, mean.high) == pytest.approx((2.1, 2.1 - reach, 2.1 + reach), rel=1e-4)
    against = groups[1].against["best_loss"]
    assert against.mean == pytest.approx(statistics.mean([1.0, 1.1, 1.3]) - 2.1)
    assert against.more_than_chance is True
    assert groups[0].against["best_loss"] is None


def test_runs_without_siblings_make_no_groups(judged: Judged) -> None:
    assert comparison([judged([2.0], lr=0.01), judged([2.0], lr=0.02)]).groups == ()


def test_a_run_cut_off_earlier_is_no_sibling(make_run: MakeRun, make_graph: MakeGraph) -> None:
    assert comparison([make_run(make_graph(seed=1)), make_run(make_graph(seed=2), max_steps=3)]).groups == ()


def test_numbers_that_do_not_compare_have_no_difference(judged: Judged, make_run: MakeRun, make_graph: MakeGraph) -> None:
    words = judged([2.0])
    letters = judged([1.0], start={"tokenizer": "character", "vocabulary": 30, "validation_tokens": 5000})
    record = json.loads((letters.path / "run.json").read_text())
    record["data"]["fingerprint"] = "another"
    (letters.path / "run.json").write_text(json.dumps(record))
    found = comparison([words, letters])
    assert "not comparable" in found.why_not
    assert found.difference("best_perplexity", found.subjects[1]) is None
    assert [found.best_of("best_loss", subject) for subject in found.subjects] == [0, 0]
    assert [found.best_of("bits_per_byte", subject) for subject in found.subjects] == [2, 0]
    bits = [2.0 * 1000 / (5000 * math.log(2)), 1.0 * 5000 / (5000 * math.log(2))]
    assert found.difference("bits_per_byte", found.subjects[1]) == pytest.approx(bits[1] - bits[0])


def other_data(run: Run, fingerprint: str = "another") -> Run:
    record = json.loads((run.path / "run.json").read_text())
    record["data"]["fingerprint"] = fingerprint
    (run.path / "run.json").write_text(json.dumps(record))
    return run


FAR = {"source": "WikiText2", "vocabulary": 30, "validation_text": "xyz"}


def test_those_that_compare_are_compared_though_others_do_not(
    judged: Judged, capsys: pytest.CaptureFixture[str], home: Places
) -> None:
    first, second = judged([2.0], lr=0.01), judged([1.5], lr=0.02)
    apart = [other_data(judged([loss], start=FAR, lr=0.01)) for loss in (1.0, 1.2)]
    found = comparison([first, *apart, second])
    assert [found.difference("best_loss", subject) for subject in found.subjects] == [None, None, None, pytest.approx(-0.5)]
    assert [found.best_of("best_perplexity", subject) for subject in found.subjects] == [0, 2, 0, 2]
    assert found.honest == () and "the runs predict different tokens" in found.why_not
    names = [subject.name for subject in found.subjects]
    assert found.why_not.endswith(f"compare: “{names[0]}”, “{names[3]}”; “{names[1]}”, “{names[2]}”.")
    assert main(["compare", *(run.id for run in (first, *apart, second))]) == 0
    said = capsys.readouterr().out
    assert "-0.500" in said and "not comparable" in said and said.count("*") >= 2


def test_one_run_apart_is_said_by_name_and_the_others_are_compared(judged: Judged) -> None:
    found = comparison([judged([2.0]), judged([1.5], lr=0.02), other_data(judged([1.0], start=FAR))])
    names = [subject.name for subject in found.subjects]
    assert found.why_not.endswith(f"These predict the same and compare with each other: “{names[0]}”, “{names[1]}”.")
    assert found.difference("best_loss", found.subjects[1]) == pytest.approx(-0.5)
    assert found.difference("best_loss", found.subjects[2]) is None


def test_groups_on_other_data_have_no_difference_and_the_rest_have(judged: Judged) -> None:
    slow = [judged([loss], lr=0.01, seed=seed) for seed, loss in enumerate((2.0, 2.1))]
    fast = [judged([loss], lr=0.02, seed=seed) for seed, loss in enumerate((1.0, 1.1))]
    far = [other_data(judged([loss], start=FAR, lr=0.01, seed=seed)) for seed, loss in enumerate((0.5, 0.6))]
    groups = comparison([*slow, *fast, *far]).groups
    assert groups[1].against["best_loss"].mean == pytest.approx(-1.0) and groups[2].against["best_loss"] is None
    assert groups[2].means["best_loss"].mean == pytest.approx(0.55)


def test_a_loss_of_hidden_tokens_is_no_loss_of_next_tokens_though_the_text_is_the_same(judged: Judged) -> None:
    masked = {"task": "Text", "losses": {"loss": {"target": "Masked", "unit": "nats per token", "main": "accuracy"}}}
    found = comparison([judged([2.0]), judged([0.5], start=masked | {"perplexity": False})])
    assert found.difference("best_loss", found.subjects[1]) is None and "learn different things" in found.why_not
    assert "Masked" in found.why_not


def test_a_damaged_run_stands_beside_the_others_and_says_what_is_wrong(judged: Judged, make_run: MakeRun) -> None:
    sound, torn = judged([2.0]), make_run()
    (torn.path / "run.json").write_text('{"format": "cortexnodus/run", "version": 99}')
    found = comparison([torn, sound])
    assert "version 1" in found.subjects[0].problem
    assert found.best_of("best_loss", found.subjects[1]) == 1
    assert as_data(found)["runs"][0]["state"] == "damaged"


def test_the_terminal_says_the_same_numbers(judged: Judged, capsys: pytest.CaptureFixture[str], home: Places) -> None:
    runs = [judged([2.0], lr=0.01), judged([2.5], lr=0.02, weight_decay=0.25)]
    assert main(["compare", *(run.id for run in runs), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"] == {"training.lr": [0.01, 0.02], "training.weight_decay": [0.0, 0.25]}
    assert found["runs"][1]["difference"]["best_loss"] == pytest.approx(0.5)
    assert found["graphs"][0]["words"] == []
    assert main(["compare", *(run.id for run in runs)]) == 0
    said = capsys.readouterr().out
    assert "best validation loss        2.000*" in said
    assert "+0.500" in said
    assert "training.weight_decay  0.0" in said
    assert f"Graph of {runs[1].id} against {runs[0].id}: the same" in said
    assert main(["compare", *(run.id for run in runs), "--all"]) == 0
    assert "data.seq_len" in capsys.readouterr().out


def test_graphs_that_differ_are_told_in_words(
    make_run: MakeRun, make_graph: MakeGraph, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = make_run(make_graph()), make_run(make_graph(blocks=2).with_param("block_1", "nhead", 4))
    assert main(["compare", one.id, two.id]) == 0
    said = capsys.readouterr().out
    assert "block_2 (GPTBlock) is added between block_1 and norm" in said
    assert "block_1: nhead 2 became 4" in said


def test_an_infinite_perplexity_is_null_in_json(judged: Judged, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [judged([2.0]), judged([5000.0])]
    assert main(["compare", *(run.id for run in runs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][1]["best_perplexity"] is None


def test_one_run_is_nothing_to_compare(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run()
    assert main(["compare", run.id, str(run.path)]) == 2
    assert "at least two different runs" in capsys.readouterr().err
