"""The tables of a report: results, groups of seeds, settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cortex import labels
from cortex.colours import PALETTE
from cortex.comparison import FACTS, JUDGED, Comparison, Subject
from cortex.comparison_words import difference, fact, interval, judged, signed, value_text
from cortex.markup import quiet, row, safe, section, table, warning
from cortex.units import UNKNOWN

_FIRST = "against the first"
_TEXTS = ("source", "tokenizer")


def results(found: Comparison, places: Mapping[str, int]) -> str:
    """A row a run: its best values with the differences that mean something, and what else is known of it.

    Args:
        places: of each run in the palette.
    """
    used = [key for key in JUDGED if any(subject.row[key] is not None for subject in found.subjects)]
    compared = [key for key in used if len(found.subjects) > 1 and key in found.honest]
    facts = [key for key in FACTS if key != "state"]
    heads = ["run", "state", *_with_differences(used, compared), *(FACTS[key] for key in facts)]
    numbers = [False, False, *[True] * (len(used) + len(compared)), *(key not in _TEXTS for key in facts)]
    rows = []
    for subject in found.subjects:
        cells = [_name(subject, places), safe(str(subject.row["state"]))]
        for key in used:
            best = ' class="best"' if len(found.subjects) > 1 and found.best(key) is subject else ""
            cells.append(f"<span{best}>{judged(key, subject.row[key])}</span>")
            if key in compared:
                cells.append(signed(key, found.difference(key, subject)))
        cells += [safe(fact(key, subject.row[key])) for key in facts]
        rows.append(row(cells, numbers))
    said = warning(found.why_not) if found.why_not else ""
    said += "".join(warning(f"{one.name} is damaged: {one.problem}") for one in found.subjects if one.problem)
    return section("Results", said + table(heads, rows, numbers))


def dot(subject: Subject, places: Mapping[str, int]) -> str:
    """The run's colour."""
    colour = PALETTE[places.get(subject.run.id, 0) % len(PALETTE)]
    return f'<span class="dot" style="background:{colour}"></span>'


def groups(found: Comparison) -> str:
    """A row a group with the intervals of its means; empty where no run has a sibling."""
    if not found.groups:
        return ""
    used = [key for key in JUDGED if any(group.means[key].mean is not None for group in found.groups)]
    several = len(found.groups) > 1
    rows = []
    for place, group in enumerate(found.groups):
        cells = [f"<b>{safe(group.name)}</b>", str(len(group.members))]
        for key in used:
            cells.append(safe(interval(key, group.means[key])))
            against = group.against[key]
            if several:
                cells.append("" if not place else safe(difference(key, against)) if against else UNKNOWN)
        rows.append(row(cells, [False, True]))
    heads = ["group", "runs", *_with_differences(used, used if several else ())]
    return section(
        "Runs that differ in their seed alone",
        quiet("Means with their 95 % confidence intervals.") + table(heads, rows, [False, True]),
    )


def settings(found: Comparison) -> str:
    """The settings that differ, and folded away those that do not; of a single run all of them."""
    if not found.readable:
        return ""
    if len(found.readable) == 1:
        return section("Settings", _settings(found.names, found.settings(every=True)))
    chosen = found.settings()
    shared = {name: values for name, values in found.settings(every=True).items() if name not in chosen}
    differ = _settings(found.names, chosen) if chosen else quiet("None: every setting is the same.")
    same = {name: [next(value for value in values if value is not None)] for name, values in shared.items()}
    folded = f"<details><summary>{len(same)} settings are the same</summary>{_settings(['value'], same)}</details>"
    return section("Settings that differ", differ + folded)


def _settings(names: Sequence[str], chosen: Mapping[str, Sequence[Any]]) -> str:
    rows = [row([f"<b>{safe(name)}</b>", *(safe(value_text(value)) for value in values)]) for name, values in chosen.items()]
    return table(["setting", *names], rows, names=True)


def _with_differences(used: Iterable[str], compared: Sequence[str]) -> Iterator[str]:
    for key in used:
        yield JUDGED[key]
        if key in compared:
            yield _FIRST


def _name(subject: Subject, places: Mapping[str, int]) -> str:
    known = labels.read(subject.run)
    tags = "".join(f'<span class="tag">{safe(tag)}</span>' for tag in known.tags)
    note = f'<div class="quiet">{safe(known.note)}</div>' if known.note else ""
    name = f'<b>{safe(subject.name)}</b><div class="quiet">{safe(subject.run.id)}</div>'
    return f'<div class="run">{dot(subject, places)}{name}{tags}{note}</div>'
