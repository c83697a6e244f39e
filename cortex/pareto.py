"""Which of several things nothing else beats in both of two respects."""

from __future__ import annotations

import math
from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Places of the points that no other dominates, in the order of the first number; of equal points the first.

    A point dominates another when neither of its numbers is larger and one is smaller. What is not finite is on no front.
    """
    order = sorted((at for at, point in enumerate(points) if all(map(math.isfinite, point))), key=lambda at: (*points[at], at))
    found: list[int] = []
    lowest = math.inf
    for at in order:
        if points[at][1] < lowest:
            found.append(at)
            lowest = points[at][1]
    return found
