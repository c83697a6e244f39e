"""The settings of runs, and those in which they differ."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cortex.conditions import Row


def differing_settings(rows: Sequence[Row]) -> list[str]:
    """The settings that are not the same in all runs, by the shortest name that is honest.

    Settings of one name that agree within every run (`dropout` of all blocks) are one. The kinds of nodes are left out: the
    number of nodes tells of them, and the comparer.
    """
    return _remembered(_differing, rows)


def all_settings(rows: Sequence[Row]) -> list[str]:
    """The names of all settings that any run has."""
    return _remembered(lambda known: [name for name in _names(known) if "." in name], rows)


def _names(known: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for settings in known for name in settings))


def _differing(known: Sequence[Mapping[str, Any]]) -> list[str]:
    families: dict[str, list[str]] = {}
    for name in _names(known):
        # The seed is chance, and the tokenizer has a column of its own.
        if "." in name and name.rpartition(".")[2] not in ("seed", "tokenizer"):
            families.setdefault(name.rpartition(".")[2], []).append(name)
    found: list[str] = []
    for short, names in families.items():
        values = [[settings[name] for name in names if settings.get(name) is not None] for settings in known]
        if all(one == some[0] for some in values for one in some[1:]):
            if differs(some[0] if some else None for some in values):
                found.append(short if len(names) > 1 else names[0])
        else:
            found += [name for name in names if differs(settings.get(name) for settings in known)]
    return found


# The last questions with their answers. A page asks the same several times over, of settings that are the same objects.
_ANSWERS: deque[tuple[str, list[Mapping[str, Any]], list[str]]] = deque(maxlen=6)


def _remembered(question: Callable[[Sequence[Mapping[str, Any]]], list[str]], rows: Sequence[Row]) -> list[str]:
    known = [row["settings"] for row in rows if row.get("settings")]
    for asked, before, answer in list(_ANSWERS):
        same = asked == question.__qualname__ and len(before) == len(known)
        if same and all(one is other for one, other in zip(before, known, strict=True)):
            return answer
    answer = question(known)
    _ANSWERS.append((question.__qualname__, known, answer))
    return answer


def differs(values: Iterable[Any]) -> bool:
    """Whether they are not all the same; 1 and True are not, nor are 0 and False."""
    told = (json.dumps(found) if isinstance(found, list) else (type(found) is bool, found) for found in values)
    first = next(told, None)
    return any(one != first for one in told)
