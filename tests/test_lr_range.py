"""The learning-rate range test: rates that grow by one factor, an end where the loss runs away, a rate to start with."""

from __future__ import annotations

import itertools
import math

import pytest
from conftest import MakeGraph

from cortex.lr_range import Point, range_test, suggested
from cortex.store import Prepared


def test_the_rate_grows_by_the_same_factor_at_each_step_from_low_to_high(make_graph: MakeGraph, prepared: Prepared) -> None:
    heard: list[Point] = []
    points = range_test(make_graph(), prepared, low=1e-5, high=1e-1, steps=9, on_point=heard.append)
    assert heard == points and [point.step for point in points] == list(range(1, 10))
    assert points[0].lr == pytest.approx(1e-5) and points[-1].lr == pytest.approx(1e-1)
    factors = [after.lr / before.lr for before, after in itertools.pairwise(points)]
    assert factors == pytest.approx([math.sqrt(10)] * 8)


def test_the_smoothed_loss_is_the_moving_average_without_its_start_at_nothing(
    make_graph: MakeGraph, prepared: Prepared
) -> None:
    points = range_test(make_graph(), prepared, steps=5)
    for number, point in enumerate(points):
        weights = [0.9 ** (number - earlier) for earlier in range(number + 1)]
        losses = [earlier.loss for earlier in points[: number + 1]]
        by_hand = sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights)
        assert point.smoothed == pytest.approx(by_hand)


@pytest.mark.parametrize("settings", [{}, {"optimizer": "SGD", "momentum": 0.99}, {"ema": 0.9, "accumulate": 2}])
def test_it_ends_early_where_the_loss_runs_away(make_graph: MakeGraph, prepared: Prepared, settings: dict) -> None:
    points = range_test(make_graph(**settings), prepared, low=1e-3, high=1e4, steps=200)
    assert len(points) < 200
    lowest = list(itertools.accumulate((point.smoothed for point in points), min))
    ran_away = [point.smoothed > 2 * low for point, low in zip(points, lowest, strict=True)]
    assert not any(ran_away[:-1]) and all(math.isfinite(point.loss) for point in points)


def test_settings_that_would_end_or_move_it_do_not(make_graph: MakeGraph, prepared: Prepared) -> None:
    plain = range_test(make_graph(), prepared, steps=12)
    graph = make_graph(
        max_minutes=0.01, patience=1, max_rise=0.001, ema=0.5, schedule="cosine", warmup_steps=5, log_every=7, eval_every=1
    )
    assert range_test(graph, prepared, steps=12) == plain


def test_the_suggestion_is_a_tenth_of_the_rate_at_the_lowest_smoothed_loss() -> None:
    losses = [3.0, 2.5, 2.0, 2.2, 9.0]
    points = [Point(step, 10.0**step, loss, loss) for step, loss in enumerate(losses)]
    assert suggested(points) == pytest.approx(10.0)


def test_a_loss_that_never_fell_suggests_nothing() -> None:
    assert suggested([]) is None
    assert suggested([Point(step, 0.1, 3.0 + step, 3.0 + step) for step in range(5)]) is None


def test_a_stop_is_heard_at_the_next_step(make_graph: MakeGraph, prepared: Prepared) -> None:
    heard: list[Point] = []
    points = range_test(
        make_graph(), prepared, steps=50, on_point=heard.append, should_stop=lambda: len(heard) == 7
    )  # fmt: skip
    assert len(points) == 7
