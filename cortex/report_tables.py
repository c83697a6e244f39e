"""The tables of a report: results, groups of seeds, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cortex import labels
from cortex.colours import PALETTE
from cortex.comparison import FACTS, JUDGED, Comparison, Subject, against
from cortex.comparison_words import difference, fact, interval, judged, short, value_text
from cortex.markup import quiet, row, safe, section, table, warning

_APART = ("state", "source", "tokenizer", "vocabulary")  # in columns of their own


def results(found: Comparison, places: Mapping[str, int]) -> str:
    """A row a run: its best values with the differences that mean something, and what else is known of it.

    Args:
        places: of each run in the palette.
    """
    used = [key for key in JUDGED if any(subject.row[key] is not None for subject in found.subjects)]
    facts = [key for key in FACTS if key not in _APART]
    heads = ["run", "state", *(JUDGED[key] for key in used), *(FACTS[key] for key in facts), "data, tokens, vocabulary"]
    numbers = [False, False, *[True] * (len(used) + len(facts)), False]
    several = len(found.subjects) > 1
    rows = []
    for subject in found.subjects:
        cells = [_name(subject, places), safe(str(subject.row["state"]))]
        for key in used:
            best = ' class="best"' if several and found.best_of(key, subject) else ""
            told = "" if subject is found.subjects[0] or subject.row[key] is None else against(found, key, subject)
            small = f'<div class="quiet">{told}</div>' if told and found.subjects[0].row[key] is not None else ""
            cells.append(f"<span{best}>{judged(key, subject.row[key])}</span>{small}")
        cells += [safe(fact(key, subject.row[key])) for key in facts]
        tokens = ", ".join(fact(key, subject.row[key]) for key in ("tokenizer", "vocabulary"))
        cells.append(f'{safe(fact("source", subject.row["source"]))}<div class="quiet">{safe(tokens)}</div>')
        rows.append(row(cells, numbers))
    said = warning(found.why_not) if found.why_not else ""
    said += "".join(warning(f"{one.name} is damaged: {one.problem}") for one in found.subjects if one.problem)
    if several:
        said += quiet(
            "Below a number: how far it lies above that of the first run. Bold: the best of those that compare with each other."
        )
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
    rows = []
    for group in found.groups:
        cells = [f"<b>{safe(short(group.name))}</b>", str(len(group.members))]
        for key in used:
            first = group.against[key]
            small = f'<div class="quiet">{safe(difference(key, first))}</div>' if first else ""
            cells.append(f"{safe(interval(key, group.means[key]))}{small}")
        rows.append(row(cells, [False, True]))
    said = "Means with their 95 % confidence intervals"
    said += "; below them the difference to the first group, with its interval." if len(found.groups) > 1 else "."
    heads = ["group", "runs", *(JUDGED[key] for key in used)]
    return section("Runs that differ in their seed alone", quiet(said) + table(heads, rows, [False, True]))


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
    return table(["setting", *map(short, names)], rows, names=True)


def _name(subject: Subject, places: Mapping[str, int]) -> str:
    known = labels.read(subject.run)
    tags = "".join(f'<span class="tag">{safe(tag)}</span>' for tag in known.tags)
    note = f'<div class="quiet">{safe(known.note)}</div>' if known.note else ""
    name = f'<b>{safe(subject.name)}</b><div class="quiet">{safe(subject.run.id)}</div>'
    return f'<div class="run">{dot(subject, places)}{name}{tags}{note}</div>'
