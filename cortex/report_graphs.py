"""The graphs of a report: each different one as a picture, marked where it differs from the first, and that in words."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cortex.compare import GraphDifference
from cortex.comparison import Comparison, Subject
from cortex.comparison_words import short
from cortex.graph import Graph, model_document
from cortex.markup import quiet, safe, section
from cortex.picture import picture_of

_MOST, _NAMED = 12, 8  # pictures, names above one


def marks(difference: GraphDifference, *, earlier: bool = False) -> dict[str, str]:
    """Node id: "added", "removed" or "changed", for the picture of the later graph or of the earlier one."""
    found = {(change.was if earlier else change.node): "changed" for change in difference.changed}
    whole = difference.removed if earlier else difference.added
    return found | {node.id: "removed" if earlier else "added" for node in whole}


def graphs(found: Comparison) -> str:
    """The section; empty where no graph can be read."""
    readable = found.readable
    if not readable:
        return ""
    kinds: dict[str, list[Subject]] = {}
    for subject in readable:
        kinds.setdefault(_model(subject.graph), []).append(subject)
    differences = {subject.run.id: difference for subject, difference in found.graphs}
    parts = []
    for members in list(kinds.values())[:_MOST]:
        parts.append(_one(members, differences.get(members[0].run.id), readable[0]))
    if len(kinds) > _MOST:
        parts.append(quiet(f"{len(kinds) - _MOST} more graphs differ; their settings are in the table above."))
    return section("Graphs", "".join(parts))


def _one(members: Sequence[Subject], difference: GraphDifference | None, first: Subject) -> str:
    subject = members[0]
    vocabulary = subject.row["vocabulary"] if isinstance(subject.row["vocabulary"], int) else None
    names = ", ".join(short(member.name) for member in members[:_NAMED])
    names += f" and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
    drawn = picture_of(subject.graph, vocabulary, marks(difference) if difference else None)
    words = difference.in_words() if difference else []
    said = "".join(f"<li>{safe(line)}</li>" for line in words)
    against = f"{quiet(f'Against {short(first.name)}:')}<ul>{said}</ul>" if said else ""
    return f'<h3>{safe(names)}</h3>{against}<div class="picture">{drawn}</div>'


def _model(graph: Graph) -> str:
    """The same text for graphs that are the same model, however they are trained and laid out."""
    document = model_document(graph)
    return json.dumps([document["nodes"], document["edges"]], sort_keys=True, default=str)
