"""Runs that are told together: by a column, by their settings but for the seed, or as they were started."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from cortex import units
from cortex.conditions import Row
from cortex.run_columns import COLUMNS, in_order, in_words, value

NO_GROUPS, BY_SEEDS, BY_GROUP = "", "seeds", "group"


@dataclass(frozen=True)
class Group:
    """Runs that are told together, and by what."""

    name: str
    rows: tuple[Row, ...]


def grouped(rows: Sequence[Row], by: str) -> list[Group]:
    """The runs that have the same in a column; by BY_SEEDS those whose settings differ in the seed alone, by BY_GROUP those
    that were started together. A run that has nothing there is in a group of its own name, or in that of the unknown."""
    found: dict[str, list[Row]] = {}
    names: dict[str, str] = {}
    for row in rows:
        if by == BY_SEEDS:
            key = json.dumps({k: v for k, v in (row.get("settings") or {}).items() if k != "training.seed"}, sort_keys=True)
            key += str(row.get("data")) if row.get("settings") else row["run"]
            names.setdefault(key, _without_seed(row["name"]))
        elif by == BY_GROUP:
            key = row.get("group") or row["run"]
            names.setdefault(key, row.get("group") or row["name"])
        else:
            here = value(row, by)
            key = json.dumps(here)
            names.setdefault(key, units.UNKNOWN if here is None else in_words(here, by))
        found.setdefault(key, []).append(row)
    return [Group(names[key], tuple(members)) for key, members in found.items()]


def groups_in_order(groups: Sequence[Group], key: str, reverse: bool = False) -> list[Group]:
    """The groups sorted by the mean of a column of numbers; of another column they stay as their first runs stand."""
    if key not in COLUMNS or COLUMNS[key].form not in ("perplexity", "loss", "count", "time"):
        return list(groups)
    means = [{key: fmean(known) if (known := _finite(group.rows, key)) else None, "at": at} for at, group in enumerate(groups)]
    return [groups[mean["at"]] for mean in in_order(means, key, reverse)]


def _finite(rows: Sequence[Row], key: str) -> list[float]:
    return [found for row in rows if (found := value(row, key)) is not None and math.isfinite(found)]


def _without_seed(name: str) -> str:
    return name.rpartition(", seed ")[0] or name
