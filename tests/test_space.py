"""What a sweep varies: lists and ranges as they are typed, grids, draws."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import pytest
from conftest import MakeGraph

from cortex.edit import SettingError
from cortex.space import Axis, axis_of, combinations, draws, grid, parse_axis, shown, with_values

LR = Axis("training.lr", (), 1e-5, 1e-2, log=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.lr=1e-4, 3e-4,1e-3", Axis("training.lr", (1e-4, 3e-4, 1e-3))),
        ("training.lr=log:1e-5..1e-2", LR),
        ("training.lr = 0.001..0.1", Axis("training.lr", (), 0.001, 0.1)),
        ("training.lr=lin:0.001..0.1", Axis("training.lr", (), 0.001, 0.1)),
        ("model.dim_feedforward=int:16..64", Axis("model.dim_feedforward", (), 16, 64, whole=True)),
        ("model.dim_feedforward=16..64", Axis("model.dim_feedforward", (), 16, 64, whole=True)),
        ("model.dim_feedforward=log:16..64", Axis("model.dim_feedforward", (), 16, 64, log=True, whole=True)),
        ("training.optimizer=choice:Adam,SGD", Axis("training.optimizer", ("Adam", "SGD"))),
        ("nodes.block_1.dropout=0,0.5", Axis("nodes.block_1.dropout", (0.0, 0.5))),
        ("nodes.norm.kind=LayerNorm", Axis("nodes.norm.kind", ("LayerNorm",))),
        ("nodes.data.vocab_size=auto,10", Axis("nodes.data.vocab_size", ("auto", 10))),
    ],
)
def test_values_are_read_as_they_are_typed_and_written_the_same_way(text: str, expected: Axis, make_graph: MakeGraph) -> None:
    axis = parse_axis(make_graph(), text)
    assert axis == expected
    assert parse_axis(make_graph(), f"{axis.key}={axis.text()}") == axis
    assert axis_of(json.loads(json.dumps(axis.document()))) == axis


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.lr", "expected KEY=VALUE,VALUE"),
        ("training.lr=", "expected KEY=VALUE,VALUE"),
        ("lr=1", "lr names no setting"),
        ("training.rate=1", "rate is not a setting here"),
        ("nodes.block_9.dropout=0", "there is no node block_9"),
        ("nodes.block_1.width=0", "width is not a setting here"),
        ("training.lr=1,fast", "'fast' is not a number from 1e-08 to 10"),
        ("training.lr=1,1.0", "1 stands twice"),
        ("training.lr=1,,2", "'' is not a number"),
        ("training.lr=log:0..1", "'0' is not a number from 1e-08"),
        ("training.weight_decay=log:0..1", "a log range begins above 0"),
        ("training.lr=0.1..0.01", "does not go from low to high"),
        ("training.lr=log:0.1", "is not a range, expected log:LOW..HIGH"),
        ("training.momentum=int:0.1..0.9", "from a whole number to a whole number"),
        ("model.nhead=1..100000", "is not a whole number from"),
        ("nodes.data.vocab_size=auto..10", "from a number to a number"),
        ("training.optimizer=Adam..SGD", "is not one of"),
    ],
)
def test_what_is_no_setting_or_no_value_of_it_is_refused(text: str, expected: str, make_graph: MakeGraph) -> None:
    with pytest.raises(SettingError) as error:
        parse_axis(make_graph(), text)
    assert expected in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.lr=log:1e-4..1e-2 x5", (1e-4, 0.0003162, 1e-3, 0.003162, 1e-2)),
        ("training.lr=0.0001..0.01 x5 log", (1e-4, 0.0003162, 1e-3, 0.003162, 1e-2)),
        ("training.lr=0.0001..0.01 log x5", (1e-4, 0.0003162, 1e-3, 0.003162, 1e-2)),
        ("training.lr=log:1e-4..1e-2x3", (1e-4, 1e-3, 1e-2)),
        ("model.dropout=0..0.3 x4", (0.0, 0.1, 0.2, 0.3)),
        ("model.dropout=lin:0..0.3 × 2", (0.0, 0.3)),
        ("model.dim_feedforward=16..64 x4", (16, 32, 48, 64)),
        ("model.dim_feedforward=log:16..128 x4", (16, 32, 64, 128)),
        ("model.dim_feedforward=int:16..18 x3", (16, 17, 18)),
    ],
)
def test_a_range_that_says_how_many_is_that_many_values_with_both_ends(
    text: str, expected: tuple[float, ...], make_graph: MakeGraph
) -> None:
    axis = parse_axis(make_graph(), text)
    assert axis.values == expected and {type(value) for value in axis.values} == {type(expected[0])}
    assert parse_axis(make_graph(), f"{axis.key}={axis.text()}") == axis
    assert [values[axis.key] for values in grid([axis])] == list(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.lr=1e-4..1e-2 x1", "x1: a range is spread over 2 to 10,000 values"),
        ("training.lr=1e-4..1e-2 x99999", "x99999: a range is spread over 2 to 10,000 values"),
        ("training.lr=log:1e-4..1e-2 x5 log", "says something twice, expected log:LOW..HIGH x5"),
        ("training.lr=1e-4..1e-2 x5 log x5", "says something twice"),
        ("training.lr=0.01..0.0101 x500", "different numbers of four digits alone"),
        ("training.lr=0..1e-2 x3 log", "'0' is not a number from 1e-08"),
        ("training.lr=1e-4..1e-2 x", "'1e-4..1e-2 x' is not a number"),
        ("model.nhead=1..4 x9", "x9: there are 4 whole numbers in int:1..4"),
        ("model.dim_feedforward=log:1..10 x8", "x8 gives 7 different whole numbers alone; as a list they are 1,2,3,4,5,7,10"),
        ("training.optimizer=Adam..SGD x2", "is not one of"),
    ],
)
def test_a_range_that_cannot_be_so_many_values_is_refused(text: str, expected: str, make_graph: MakeGraph) -> None:
    with pytest.raises(SettingError) as error:
        parse_axis(make_graph(), text)
    assert expected in str(error.value) and "\n" not in str(error.value)


def test_a_grid_takes_every_whole_number_of_a_range_and_no_endless_one(make_graph: MakeGraph) -> None:
    axis = parse_axis(make_graph(), "model.nhead=1..4")
    assert [values["model.nhead"] for values in grid([axis])] == [1, 2, 3, 4] and LR.listed is None
    assert parse_axis(make_graph(), "model.dim_feedforward=log:16..64").listed is None  # every one would ignore the word


def test_a_grid_has_every_combination_once() -> None:
    axes = [Axis("a", (1, 2, 3)), Axis("b", ("x", "y")), Axis("c", (True, False))]
    found = list(grid(axes))
    assert len(found) == len({shown(values) for values in found}) == combinations(axes) == 12
    assert found[:2] == [{"a": 1, "b": "x", "c": True}, {"a": 1, "b": "x", "c": False}]
    assert combinations([*axes, LR]) is None and combinations([Axis("d", (), 2, 5, whole=True)]) == 4


def test_draws_are_the_same_for_the_same_seed_and_differ_for_another() -> None:
    axes = [LR, Axis("b", (), 1, 3, whole=True)]

    def first(seed: int) -> list[dict]:
        return list(itertools.islice(draws(axes, seed), 5))

    assert first(1) == first(1) != first(2)
    # The numbers themselves, so that another version draws the same.
    assert [values["training.lr"] for values in first(1)] == [2.53e-05, 0.001956, 0.0003064, 0.0009011, 1.912e-05]


def test_draws_fill_their_range_evenly_and_never_leave_it() -> None:
    drawn = [values["training.lr"] for values in itertools.islice(draws([LR], 1), 3000)]
    assert min(drawn) >= 1e-5 and max(drawn) <= 1e-2
    for decade in (-5, -4, -3):  # as many in each power of ten
        assert sum(decade <= math.log10(value) < decade + 1 for value in drawn) == pytest.approx(1000, abs=90)
    whole = [values["n"] for values in itertools.islice(draws([Axis("n", (), 1, 4, whole=True)], 1), 2000)]
    assert {type(value) for value in whole} == {int}
    assert all(whole.count(value) == pytest.approx(500, abs=80) for value in (1, 2, 3, 4)) and set(whole) == {1, 2, 3, 4}
    log = [values["n"] for values in itertools.islice(draws([Axis("n", (), 1, 4, log=True, whole=True)], 1), 500)]
    assert set(log) == {1, 2, 3, 4}


def test_a_drawn_number_makes_the_same_graph_as_its_text(make_graph: MakeGraph) -> None:
    graph = make_graph()
    for values in itertools.islice(draws([LR, replace(LR, key="training.weight_decay")], 3), 50):
        after = with_values(graph, values)
        assert {f"training.{name}": after.training[name] for name in ("lr", "weight_decay")} == values


def test_settings_are_made_in_their_order_and_a_fault_names_its_setting(make_graph: MakeGraph) -> None:
    graph = with_values(make_graph(), {"model.num_layers": 2, "nodes.block_2.dropout": 0.5})
    assert graph.node("block_2").params["dropout"] == 0.5
    with pytest.raises(SettingError, match=r"^nodes.block_2.dropout: there is no node block_2"):
        with_values(make_graph(), {"nodes.block_2.dropout": 0.5})
