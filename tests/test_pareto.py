"""Which points nothing dominates."""

from __future__ import annotations

import math
import random

from cortex.pareto import front


def by_definition(points: list[tuple[float, float]]) -> set[int]:
    def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] <= b[0] and a[1] <= b[1] and a != b

    return {at for at, point in enumerate(points) if not any(dominates(other, point) for other in points)}


def test_the_front_is_what_nothing_dominates() -> None:
    draw = random.Random(3)
    for _ in range(200):
        points = [(draw.randrange(12), draw.randrange(12)) for _ in range(draw.randrange(15))]
        found = front(points)
        wanted = by_definition(points)
        assert {points[at] for at in found} == {points[at] for at in wanted}
        assert len({points[at] for at in found}) == len(found)
        assert [points[at][0] for at in found] == sorted(points[at][0] for at in found)


def test_what_is_not_finite_is_on_no_front() -> None:
    assert front([(1.0, math.inf), (2.0, 3.0), (math.nan, 0.0)]) == [1]
    assert front([]) == []
