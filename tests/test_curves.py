"""A run's events as columns, and the axes they are drawn over."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeGraph

from cortex import curves
from cortex.curves import Columns, CurveReader, along, columns_of, values
from cortex.flops import flops_per_token
from cortex.graph import Graph
from cortex.presets import preset, set_model

START = {
    "event": "start", "time": 100.0, "steps_per_epoch": 5, "parameters": 9, "validation_tokens": 100, "validation_words": 50,
    "validation_bytes": 200,
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def train(step: int, loss: Any, **rest: Any) -> dict[str, Any]:
    places = {"time": 100.0 + step, "step": step, "tokens": 8 * step, "elapsed": step / 10}
    return {"event": "train", **places, "loss": loss, **rest}


def validation(step: int, loss: float) -> dict[str, Any]:
    return train(step, loss, best=True) | {"event": "validation"}


def write(path: Path, *events: dict[str, Any]) -> None:
    with open(path, "a") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


def test_columns_grow_with_the_file(path: Path) -> None:
    reader = CurveReader(path)
    assert reader.read() == Columns()
    write(path, START, train(1, 4.0, lr=0.1), validation(1, 3.5))
    assert reader.read().train["loss"].tolist() == [4.0]
    write(path, train(2, 3.0, lr=0.2), {"event": "sample", "step": 2, "text": "so"})
    found = reader.read()
    assert found.train["loss"].tolist() == [4.0, 3.0]
    assert found.validation["step"].tolist() == [1.0]
    assert [event["event"] for event in found.others] == ["start", "sample"]
    assert reader.read() is found


def test_a_metric_that_comes_late_is_unknown_before(path: Path) -> None:
    reader = CurveReader(path)
    write(path, train(1, 4.0), train(2, 4.0))
    reader.read()
    write(path, train(3, 4.0, aux=7))
    assert np.isnan(reader.read().train["aux"][:2]).all()
    assert reader.read().train["aux"][2] == 7


def test_every_number_of_an_event_is_a_metric_and_nested_ones_have_dotted_names() -> None:
    nested = {"losses": {"main": 2.0, "second": 3.0}, "metrics": {"main": {"accuracy": 0.5, "name": "x"}}}
    found = columns_of([train(1, 2.5, lr=0.1, gate_entropy=1.5, **nested)])
    assert found.metrics() == ["loss", "lr", "gate_entropy", "losses.main", "losses.second", "metrics.main.accuracy"]
    assert values(found, "train", "metrics.main.accuracy").tolist() == [0.5]


@pytest.mark.parametrize("bad", [None, "12", True, [1], math.inf, -math.inf, math.nan, 10**400, {"a": {"b": {}}}])
def test_a_value_that_is_no_number_is_a_gap(bad: Any) -> None:
    found = columns_of([train(1, 2.0, lr=0.1), train(2, 2.0, lr=bad), train(3, 2.0, lr=0.3)])
    assert found.train["loss"].tolist() == [2.0, 2.0, 2.0]
    assert np.isnan(found.train["lr"]).tolist() == [False, True, False]


@pytest.mark.parametrize("bad", [None, "12", True, math.nan, 10**400])
def test_an_event_without_a_step_is_no_point(bad: Any) -> None:
    assert columns_of([train(1, 2.0) | {"step": bad}, train(2, 1.0)]).train["step"].tolist() == [2.0]


def test_damaged_lines_do_not_take_their_neighbours_with_them(path: Path) -> None:
    write(path, train(1, 4.0))
    with open(path, "ab") as file:
        file.write(b'{"event": "train", "st\n\xff\xfe\x00binary\n[]\n\n{"event": "train", "step": 2, "loss": NaN}\n')
        file.write(b"[" * 99_999 + b"\n")
    write(path, train(3, 3.0))
    assert CurveReader(path).read().train["step"].tolist() == [1.0, 3.0]


def test_of_steps_that_come_twice_the_later_one_counts() -> None:
    events = [train(step, 9.0) for step in range(1, 6)] + [train(step, 1.0) for step in range(3, 8)]
    found = columns_of(events)
    assert found.train["step"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert found.train["loss"].tolist() == [9, 9, 1, 1, 1, 1, 1]


def test_what_a_resumed_run_does_anew_replaces_what_it_had_done() -> None:
    """Also where its points fall between the old ones."""
    old = [train(step, 9.0) for step in (10, 20, 30, 40)] + [validation(35, 9.0)]
    found = columns_of([*old, {"event": "resumed", "step": 20}, train(25, 1.0), validation(25, 1.0)])
    assert found.train["step"].tolist() == [10, 20, 25]
    assert found.validation["step"].tolist() == [25]


def test_a_file_that_was_cut_back_is_read_anew(path: Path) -> None:
    reader = CurveReader(path)
    write(path, train(1, 4.0))
    size = path.stat().st_size
    write(path, train(2, 3.0), train(3, 2.0))
    assert len(reader.read().train["step"]) == 3
    os.truncate(path, size)
    write(path, train(2, 5.0))
    assert reader.read().train["loss"].tolist() == [4.0, 5.0]


@pytest.mark.parametrize(
    ("metric", "value"),
    [("perplexity", math.exp(1.5)), ("word_perplexity", math.exp(3.0)), ("bits_per_byte", 0.75 / math.log(2))],
)
def test_what_is_derived_of_the_loss_is_its_formula(metric: str, value: float) -> None:
    found = columns_of([START, train(1, 1.5), validation(1, 1.5)])
    assert values(found, "validation", metric).tolist() == pytest.approx([value])
    of_training = values(found, "train", metric).tolist()
    assert of_training == pytest.approx([value]) if metric == "perplexity" else math.isnan(of_training[0])


@pytest.mark.parametrize("field", [None, "many", 0, -3, math.inf])
def test_a_split_whose_words_are_not_known_has_no_perplexity_per_word(field: Any) -> None:
    found = columns_of([START | {"validation_words": field}, validation(1, 1.5)])
    assert np.isnan(values(found, "validation", "word_perplexity")).all()


def test_a_loss_past_what_a_float_holds_is_infinite() -> None:
    assert values(columns_of([train(1, 1000.0)]), "train", "perplexity").tolist() == [math.inf]


@pytest.mark.parametrize(
    ("axis", "place"), [("step", 10), ("tokens", 80), ("epoch", 2.0), ("elapsed", 1.0), ("time", 110.0), ("flops", 80 * 7.0)]
)
def test_a_point_lies_where_its_event_says(axis: str, place: float) -> None:
    found = columns_of([START, train(10, 1.5), validation(10, 1.5)])
    for kind in ("train", "validation"):
        assert along(found, kind, axis, 7.0).tolist() == [place]


def test_a_place_that_is_not_known_is_none() -> None:
    found = columns_of([train(10, 1.5)])
    assert np.isnan(along(found, "train", "flops")).all()
    assert np.isnan(along(found, "train", "epoch")).all()


@pytest.mark.parametrize(
    "odd",
    [
        {"loss": "text"}, {"loss": None}, {"lr": None}, {"lr": "high"}, {"lr": True}, {"losses": {"a": 1.0}}, {"lr": 1e400},
        {"step": 7}, {"extra": 5}, {"event": "validation"}, {"event": "resumed", "step": 150}, {"step": 2.5}, {"tokens": 2**70},
    ],
)  # fmt: skip
def test_many_lines_at_once_give_what_they_give_one_by_one(
    odd: dict[str, Any], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        path, START, *(train(step, 3.0, lr=step / 7) for step in range(1, 301)), train(301, 2.0, lr=0.5) | odd, train(302, 2.0)
    )
    write(path, *(train(step, 3.0, lr=1) for step in range(303, 600)))
    quick = CurveReader(path).read()
    monkeypatch.setattr(curves, "_MANY", 10**9)
    slow = CurveReader(path).read()
    for kind in ("train", "validation"):
        assert quick.of(kind).keys() == slow.of(kind).keys()
        for name in slow.of(kind):
            assert np.array_equal(quick.of(kind)[name], slow.of(kind)[name], equal_nan=True)
    assert quick.others == slow.others


def test_ten_thousand_points_take_less_than_a_megabyte(path: Path) -> None:
    extra = {"lr": 1e-3, "grad_norm": 1.0, "tokens_per_second": 9000.0, "epoch": 0.1}
    write(path, *(train(step, 3.0, **extra) for step in range(10_000)))
    found = CurveReader(path).read()
    assert sum(column.nbytes for column in found.train.values()) < 1e6


# FLOPs, by hand: n blocks of width d, feed-forward width f, V tokens, T positions, an untied head with bias.
def by_hand(V: int, d: int, n: int, f: int, T: int) -> float:
    block = 4 * d * d + 2 * d * f + f + 9 * d
    return 6 * (n * block + 2 * d + V * d + V) + 12 * n * d * T


def test_flops_of_the_small_preset_are_those_counted_by_hand() -> None:
    small = preset("small")
    sizes = small.node("block_1").params
    blocks = len(small.of_kind("GPTBlock"))
    length = small.node("data").params.get("seq_len", 64)
    hand = by_hand(10_000, small.node("embedding").params["embedding_dim"], blocks, sizes["dim_feedforward"], length)
    assert flops_per_token(small, 10_000) == hand


def test_a_head_that_shares_the_weights_of_the_embedding_costs_the_same(make_graph: MakeGraph) -> None:
    graph = make_graph().with_param("head", "bias", False)
    assert flops_per_token(graph, 50) == by_hand(50, 8, 1, 16, 8) - 6 * 50
    assert flops_per_token(graph.with_param("head", "tie_to", "embedding"), 50) == flops_per_token(graph, 50)


def test_longer_sequences_cost_attention_alone(make_graph: MakeGraph) -> None:
    short, long = (flops_per_token(make_graph({"seq_len": length}, blocks=3), 50) for length in (8, 16))
    assert long - short == 12 * 3 * 8 * 8


def test_flops_of_a_graph_with_faults_or_without_a_vocabulary_are_not_known(make_graph: MakeGraph) -> None:
    assert flops_per_token(make_graph(), None) is None
    assert flops_per_token(Graph(), 50) is None
    assert flops_per_token(set_model(preset("small"), "embedding_dim", 127), 50) is None
