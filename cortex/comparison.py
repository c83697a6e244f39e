"""Several runs beside each other, in numbers and words: what the verb compare prints and a report shows.

The numbers are those of the pages: rows by run_summary.py, settings by graph_settings.py, graph differences by compare.py,
intervals by spread.py, what may be compared at all by comparable.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex import comparable
from cortex.compare import GraphDifference, graph_difference
from cortex.comparison_words import signed
from cortex.graph import Graph
from cortex.graph_settings import differing, settings
from cortex.references import NAMES, known_references
from cortex.run_summary import summary
from cortex.runs import Run, RunError, list_runs
from cortex.spread import Difference, Interval, difference_interval, mean_interval

# What runs are judged by, the lower the better: key of a row, title.
JUDGED = {
    "best_loss": "best validation loss",
    "best_perplexity": "best validation perplexity",
    "word_perplexity": "perplexity per word",
    "bits_per_byte": "bits per byte",
}
# What else stands beside it.
FACTS = {
    "best_step": "at step",
    "state": "state",
    "parameters": "parameters",
    "tokens": "tokens seen",
    "elapsed": "time",
    "tokens_per_second": "last tokens/s",
    "source": "data",
    "tokenizer": "tokenizer",
    "vocabulary": "vocabulary",
}
# These two say something of the same tokens alone.
_PER_TOKEN = ("best_loss", "best_perplexity")
_SEED = "training.seed"


@dataclass(frozen=True)
class Subject:
    """One run of a comparison. `graph` is None and `problem` says why where run.json cannot be read."""

    run: Run
    name: str
    row: Mapping[str, Any]
    graph: Graph | None
    settings: Mapping[str, Any]
    problem: str = ""


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone, and for each key of JUDGED the mean of what they reached.

    `against` is the difference to the first group, None for that one itself and where the numbers do not compare.
    """

    name: str
    members: tuple[Subject, ...]
    means: Mapping[str, Interval]
    against: Mapping[str, Difference | None]


@dataclass(frozen=True)
class Comparison:
    """`why_not` says why losses or perplexities do not compare, `honest` holds the keys of JUDGED in which all of them do."""

    subjects: tuple[Subject, ...]
    why_not: str
    honest: tuple[str, ...]
    differing: tuple[str, ...]
    graphs: tuple[tuple[Subject, GraphDifference], ...]
    groups: tuple[Group, ...]

    @property
    def names(self) -> list[str]:
        return [subject.name for subject in self.subjects]

    @property
    def readable(self) -> list[Subject]:
        """Those whose run.json can be read."""
        return [subject for subject in self.subjects if subject.graph is not None]

    def settings(self, every: bool = False) -> dict[str, list[Any]]:
        """Settings by name with their values in the order of the subjects: those that differ, or all."""
        names = dict.fromkeys(name for subject in self.subjects for name in subject.settings)
        return {
            name: [subject.settings.get(name) for subject in self.subjects]
            for name in names
            if every or name in self.differing
        }  # fmt: skip

    def compares(self, key: str, subject: Subject) -> bool:
        """Whether the subject's number can be laid beside the first one's; False where one of them has none."""
        return _compare(key, self.subjects[0], subject)

    def difference(self, key: str, subject: Subject) -> float | None:
        """How far the subject's number lies above the first one's; None where they do not compare."""
        first = self.subjects[0]
        return subject.row[key] - first.row[key] if subject is not first and self.compares(key, subject) else None

    def best_of(self, key: str, subject: Subject) -> int:
        """Of how many that compare the subject has the lowest number, the first of equals; 0 where it has not.

        A number that nothing here compares with is the best of one only where no other run has any.
        """
        having = [other for other in self.subjects if other.row[key] is not None]
        alike = [other for other in having if _compare(key, subject, other)]
        lowest = min(alike, key=lambda other: other.row[key], default=None)
        return len(alike) if lowest is subject and (len(alike) > 1 or len(having) == 1) else 0


def marked(found: Comparison, key: str, subject: Subject) -> str:
    """` (best)` behind the best number of all; ` (best of 2 alike)` where not all of them compare; nothing behind another."""
    having = sum(other.row[key] is not None for other in found.subjects)
    number = found.best_of(key, subject)
    return "" if not number else " (best)" if number == having else f" (best of {number} alike)"


def against(found: Comparison, key: str, subject: Subject) -> str:
    """How far the subject's number lies above the first one's, with its sign; or that they do not compare."""
    first = found.subjects[0]
    if subject is not first and None not in (first.row[key], subject.row[key]) and not found.compares(key, subject):
        return "not comparable"
    return signed(key, found.difference(key, subject))


def comparison(runs: Sequence[Run], rows: Mapping[str, Mapping[str, Any]] | None = None) -> Comparison:
    """The runs compared, the first being what the others are measured against. Nothing raises: a damaged run says so.

    Args:
        rows: the summary of each run by its id, where the caller has them already.
    """
    rows = {run.id: summary(run) for run in runs} if rows is None else rows
    names = comparable.names(rows)
    subjects = tuple(_subject(run, rows[run.id], names[run.id]) for run in runs)
    readable = [subject for subject in subjects if subject.graph is not None]
    graphs = tuple((subject, graph_difference(readable[0].graph, subject.graph)) for subject in readable[1:])
    honest = _honest(list(rows.values()))
    return Comparison(
        subjects,
        comparable.why_not({subject.name: subject.row for subject in subjects}),
        honest,
        tuple(differing({subject.run.id: subject.settings for subject in readable})),
        graphs,
        _groups(readable),
    )


def levels(runs: Sequence[Run], store: Path) -> dict[str, float]:
    """The reference perplexities of the data that these runs share; none where they differ in it, or it is not measured."""
    try:
        data = {run.record()["data"].get("fingerprint") for run in runs}
    except (RunError, TypeError):
        return {}
    shared = data.pop() if len(data) == 1 else None
    plain_name = isinstance(shared, str) and shared.isalnum()
    found = known_references(store / shared) if plain_name else None
    return {name: getattr(found, name) for name in NAMES} if found else {}


def colour_places(root: Path) -> dict[str, int]:
    """Each run's place among all of a folder, oldest first: its colour, which stays when other runs are chosen or left out."""
    return {name: place for place, name in enumerate(sorted(run.id for run in list_runs(root)))}


def as_data(found: Comparison, every: bool = False) -> dict[str, Any]:
    """The comparison as JSON-ready data."""
    return {
        "runs": [_subject_data(found, subject) for subject in found.subjects],
        "settings": found.settings(every),
        "graphs": [
            {
                "run": subject.run.id,
                "against": found.readable[0].run.id,
                "words": difference.in_words(),
                "added": [node.id for node in difference.added],
                "removed": [node.id for node in difference.removed],
                "changed": [vars(change) for change in difference.changed],
            }
            for subject, difference in found.graphs
        ],
        "groups": [
            {
                "name": group.name,
                "runs": [subject.run.id for subject in group.members],
                **{key: vars(interval) for key, interval in group.means.items()},
                "against_first": {
                    key: {**vars(value), "more_than_chance": value.more_than_chance}
                    for key, value in group.against.items() if value is not None
                },
            }
            for group in found.groups
        ],
        "comparable": list(found.honest),
        "why_not": found.why_not,
    }  # fmt: skip


def _subject_data(found: Comparison, subject: Subject) -> dict[str, Any]:
    keys = ("run", "state", "data", *JUDGED, *FACTS)
    return {
        "name": subject.name,
        **{key: subject.row.get(key) for key in keys},
        "difference": {key: found.difference(key, subject) for key in JUDGED},
        "problem": subject.problem or None,
    }


def _subject(run: Run, row: Mapping[str, Any], name: str) -> Subject:
    try:
        graph = run.graph()
        return Subject(run, name, row, graph, settings(graph))
    except RunError as error:
        return Subject(run, name, row, None, {}, str(error))


def _honest(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The keys of JUDGED in which these runs compare."""
    judged = [row for row in rows if row["best_loss"] is not None]
    if not judged:
        return ()
    same_tokens = len({comparable.predicts(row) for row in judged}) == 1
    measures = comparable.measures(judged)
    return tuple(key for key in JUDGED if (same_tokens if key in _PER_TOKEN else key in measures))


def _compare(key: str, first: Subject, second: Subject) -> bool:
    """Whether the numbers of two runs can be laid beside each other."""
    known = first.row[key] is not None and second.row[key] is not None
    return known and key in _honest([first.row, second.row])


def _groups(subjects: Sequence[Subject]) -> tuple[Group, ...]:
    """Groups of at least two runs, in the order of their first; none where no run has a sibling."""
    found: dict[str, list[Subject]] = {}
    for subject in subjects:
        found.setdefault(_but_seed(subject), []).append(subject)
    if all(len(members) < 2 for members in found.values()):
        return ()
    groups: list[Group] = []
    first: Sequence[Subject] | None = None
    for members in found.values():
        against: dict[str, Difference | None] = dict.fromkeys(JUDGED)
        if first is not None:
            honest = _honest([subject.row for subject in (*first, *members)])
            against |= {key: difference_interval(_values(members, key), _values(first, key)) for key in honest}
        first = first or members
        means = {key: mean_interval(_values(members, key)) for key in JUDGED}
        groups.append(Group(_group_name(members), tuple(members), means, against))
    return tuple(groups)


def _values(members: Sequence[Subject], key: str) -> list[float | None]:
    return [subject.row[key] for subject in members]


def _but_seed(subject: Subject) -> str:
    """What is the same for runs that differ in their seed alone: data, edges and every other setting."""
    rest = {name: value for name, value in subject.settings.items() if name != _SEED}
    edges = sorted((edge.source, edge.target, edge.port) for edge in subject.graph.edges)
    cut_off = subject.run.record().get("max_steps")
    return json.dumps([subject.row["data"], subject.row["parent"], cut_off, edges, rest], sort_keys=True, default=str)


def _group_name(members: Sequence[Subject]) -> str:
    name = members[0].name.rpartition(", seed ")[0] or members[0].name
    return name if len(members) > 1 else members[0].name
