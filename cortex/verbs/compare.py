"""The verb compare: runs side by side on a terminal, with the numbers that the pages show."""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

from cortex.comparison import FACTS, JUDGED, Comparison, Group, against, as_data, comparison
from cortex.comparison_words import difference, fact, interval, judged, short, value_text
from cortex.report import print_table
from cortex.verbs.common import OK, UserError
from cortex.verbs.metrics import named_runs


def compare(arguments: argparse.Namespace) -> int:
    """What differs between runs, in settings, graph and results."""
    runs = named_runs(arguments)
    if len(runs) < 2:
        raise UserError("compare needs at least two different runs: python -m cortex compare A B")
    found = comparison(runs)
    if arguments.json:
        print(json.dumps(_finite(as_data(found, arguments.all)), ensure_ascii=False, allow_nan=False))
        return OK
    names = [short(name) for name in found.names]
    print_table(["", *names], _results(found))
    for subject in found.subjects:
        if subject.problem:
            print(f"\n{subject.name} is damaged: {subject.problem}")
    if found.why_not:
        print(f"\n{found.why_not}")
    chosen = found.settings(arguments.all)
    print(f"\n{'Settings' if arguments.all else 'Settings that differ'}{'' if chosen else ': none'}")
    if chosen:
        print_table(["", *names], [[name, *(value_text(value) for value in values)] for name, values in chosen.items()])
    alike: dict[tuple[str, ...], list[str]] = {}
    for subject, changes in found.graphs:
        alike.setdefault(tuple(changes.in_words()), []).append(subject.name)
    for words, whose in alike.items():
        what = f"Graph{'' if len(whose) == 1 else 's'} of {', '.join(map(short, whose))}"
        print(f"\n{what} against {short(found.readable[0].name)}{'' if words else ': the same'}")
        for line in words:
            print(f"  {line}")
    if found.groups:
        print("\nRuns that differ in their seed alone, with 95 % confidence intervals")
        for group in found.groups:
            print("\n".join(_group_lines(group)))
    return OK


def _results(found: Comparison) -> list[list[str]]:
    rows = []
    for key, title in JUDGED.items():
        values = [subject.row[key] for subject in found.subjects]
        if all(value is None for value in values):
            continue
        marks = ["*" if found.best_of(key, subject) else "" for subject in found.subjects]
        rows.append([title, *(f"{judged(key, value)}{mark}" for value, mark in zip(values, marks, strict=True))])
        if any(found.difference(key, subject) is not None for subject in found.subjects):
            rows.append(["  against the first", *(against(found, key, subject) for subject in found.subjects)])
    for key, title in FACTS.items():
        rows.append([title, *(fact(key, subject.row[key]) for subject in found.subjects)])
    return rows


def _group_lines(group: Group) -> list[str]:
    size = len(group.members)
    lines = [f"  {group.name}, {size} {'run' if size == 1 else 'runs'}"]
    for key, title in JUDGED.items():
        if group.means[key].mean is None:
            continue
        line = f"    {title}: {interval(key, group.means[key])}"
        first = group.against[key]
        lines.append(line + (f"; against the first group {difference(key, first)}" if first else ""))
    return lines


def _finite(value: Any) -> Any:
    """The data with null for numbers that JSON has no word for."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
