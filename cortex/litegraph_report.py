"""What came of a document of the Flask original: node by node, in words for a terminal and as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WHOLE = "the whole document"
_MOST_LINES = 40  # of a refusal


@dataclass(frozen=True)
class Translated:
    """One node: what it was called there, its id and kind here, and what was changed on the way. The whole document has
    neither id nor kind."""

    there: str
    node: str
    kind: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Remark:
    """A sentence about a node, by its id here and its name there; both empty where it is about the whole document."""

    node: str
    there: str
    message: str

    def __str__(self) -> str:
        return f"{self.node or self.there}: {self.message}" if self.node or self.there else self.message


@dataclass(frozen=True)
class Report:
    """What came of a document. `refused`: why there is no graph; empty where there is one."""

    translated: tuple[Translated, ...] = ()
    wrong_there: tuple[Remark, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def nodes(self) -> int:
        """How many nodes were translated, those inside subgraphs and their cards too."""
        return sum(bool(one.node) for one in self.translated)


def describe_report(report: Report) -> dict[str, Any]:
    """A report as JSON-ready data: `translated`, `wrong_there`, `refused`."""
    return {
        "translated": [{**vars(one), "changes": list(one.changes)} for one in report.translated],
        "wrong_there": [dict(vars(remark)) for remark in report.wrong_there],
        "refused": list(report.refused),
    }


def in_words(report: Report) -> str:
    """A report as lines for a terminal."""
    lines = list(report.refused)
    if report.translated:
        lines.append(f"{report.nodes} nodes translated:")
    for one in report.translated:
        changes = f": {'; '.join(one.changes)}" if one.changes else ""
        here = f" -> {one.node} ({one.kind})" if one.node else ""
        lines.append(f"  {one.there}{here}{changes}")
    if report.wrong_there:
        lines.append("What the original would have done without a word:")
        lines.extend(f"  {remark}" for remark in report.wrong_there)
    return "\n".join(lines)


def shortened(lines: list[str]) -> tuple[str, ...]:
    """The first of the lines of a refusal, and how many more there are."""
    more = len(lines) - _MOST_LINES
    return (*lines[:_MOST_LINES], f"and {more:,} more") if more > 0 else tuple(lines)
