"""What a run is asked by its names: measures, texts and settings, and conditions on them.

A condition gives True, False, or None where the run does not have what it asks for (as SQL's NULL).
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cortex.runs import ACTIVE, ENDED

Row = Mapping[str, Any]
STATES = (*ACTIVE, *ENDED, "interrupted", "damaged")

# What a run is measured by: the names that it goes by here, the first being the one that is shown, and the key of its row.
MEASURES: dict[str, tuple[str, ...]] = {
    "best_perplexity": ("perplexity", "ppl"),
    "best_loss": ("loss", "validation_loss", "val_loss"),
    "best_step": ("at_step",),
    "bits_per_byte": ("bpb",),
    "word_perplexity": ("perplexity_per_word",),
    "train_loss": ("training_loss",),
    "step": (),
    "last_step": (),
    "epoch": (),
    "tokens": ("tokens_seen",),
    "parameters": ("params",),
    "vocabulary": ("vocab",),
    "tokens_per_second": (),
    "mean_tokens_per_second": ("speed",),
    "elapsed": ("duration", "seconds", "time_taken"),
    "progress": (),
    "seed": (),
}
# What is text of a run.
TEXTS: dict[str, tuple[str, ...]] = {
    "name": (),
    "note": (),
    "tags": ("tag",),
    "run": ("id", "folder"),
    "source": ("data", "dataset"),
    "state": (),
    "tokenizer": (),
    "device": (),
    "created": ("started", "date"),
    "group": (),
    "sweep": (),
    "parent": (),
    "error": ("fault",),
}
FLAGS = ("starred", "archived")
_FREE = ("name", "note", "tags", "run", "source", "tokenizer", "state")

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
_ORDER = ("<", "<=", ">", ">=")

_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "s": 1.0, "min": 60.0, "h": 3600.0, "%": 0.01}
_NUMBER = re.compile(r"([-+]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(k|m|g|s|min|h|%)?", re.IGNORECASE)


class FilterError(ValueError):
    """A filter that says nothing: one line with what was found and what was expected."""


def value_of(row: Row, name: str) -> Any:
    """A measure, text or setting of a run by its full name; None where the run does not have it."""
    if name == "error":
        return "; ".join(filter(None, (row.get("error"), row.get("problem")))) or None
    if name in MEASURES or name in TEXTS or name in FLAGS:
        return row.get(name)
    return (row.get("settings") or {}).get(name)


def full_name(name: str, rows: Sequence[Row]) -> str:
    """The name that `value_of` takes, of a name as people write it: `lr` for `training.lr`, `ppl` for `best_perplexity`.

    Raises:
        FilterError: no run has it, or several settings of different values end in it.
    """
    found = _full_names(name, rows)
    return found[0]


Condition = Callable[[Row], bool | None]


def any_of(found: Iterable[bool | None]) -> bool | None:
    """Whether one of them holds; None where none does and one is not known."""
    known = list(found)
    return True if True in known else None if None in known else False


def every_of(found: Iterable[bool | None]) -> bool | None:
    """Whether all of them hold; None where one is not known and none fails."""
    known = list(found)
    return False if False in known else None if None in known else True


def free_text(text: str) -> Condition:
    """Whether a word stands anywhere in what is looked through without a field."""
    wanted = text.casefold()
    return lambda row: any(wanted in part.casefold() for field in _FREE for part in _parts(row.get(field)))


def _parts(value: Any) -> list[str]:
    return [str(part) for part in value] if isinstance(value, (list, tuple)) else [] if value is None else [str(value)]


def field_condition(name: str, text: str, rows: Sequence[Row]) -> Condition:
    """`tag:x` is that very tag, `state:a,b` one of these states, any other text is looked for within."""
    wanted = [part.strip().casefold() for part in text.split(",") if part.strip()]
    if name.lower() == "is":
        return _flag(text)
    try:
        names = _full_names(name, rows)
    except FilterError as error:
        raise FilterError(f"{error}; a text with a colon belongs in quotation marks") from None
    if not wanted:
        raise FilterError(f"{name}: found nothing, expected a text")
    if names == ["state"]:
        for part in wanted:
            if part not in STATES:
                raise FilterError(f"state:{part}: there is no such state{_nearest(part, STATES)}; expected {', '.join(STATES)}")
    if names[0] in MEASURES:
        return comparison(name, "=", text, rows)
    exact = names[0] in ("state", "tags")

    def looked_for(row: Row) -> bool | None:
        parts = [part.casefold() for part in _parts(_agreed(row, names))]
        if not parts:
            return False if names[0] == "tags" else None
        return any(part == one if exact else one in part for part in parts for one in wanted)

    return looked_for


def _flag(text: str) -> Condition:
    if text.lower() not in FLAGS:
        raise FilterError(f"is:{text}: expected is:{' or is:'.join(FLAGS)}")
    return lambda row: bool(row.get(text.lower()))


def comparison(name: str, operator: str, text: str, rows: Sequence[Row]) -> Condition:
    """A measure or a setting against a number or a text. FilterError where a text has no order."""
    names, compare = _full_names(name, rows), _COMPARE[operator]
    wanted = _number(text)
    if wanted is None and operator in _ORDER and names[0] != "created":
        raise FilterError(f"{name}{operator}{text}: found the text {text}, expected a number")

    def compared(row: Row) -> bool | None:
        value = _agreed(row, names)
        if value is None or value == [] or (isinstance(value, float) and not math.isfinite(value)):
            return None
        if isinstance(value, bool):
            return compare(str(value).lower(), text.lower()) if operator not in _ORDER else None
        if isinstance(value, (int, float)):
            # A text is never the same as a number: `lr = auto` on a run whose lr is 0.001.
            return compare(value, wanted) if wanted is not None else operator == "!="
        if operator in _ORDER:
            return compare(str(value)[: len(text)], text) if names[0] == "created" else None
        if operator == "!=":
            return text.casefold() not in [part.casefold() for part in _parts(value)]
        begins = str(value).startswith(text) if names[0] == "created" else False
        return begins or text.casefold() in [part.casefold() for part in _parts(value)]

    return compared


def _number(text: str) -> float | None:
    """`1e-3`, `10k`, `9.15M`, `5min`, `80%`; None for a text."""
    match = _NUMBER.fullmatch(text)
    if not match:
        return None
    return float(match[1].replace("_", "").replace(",", "")) * _UNITS[(match[2] or "").lower()]


def _agreed(row: Row, names: list[str]) -> Any:
    """The value of the one name, or the one that all names have which the run has; `_full_names` has seen that they agree."""
    values = (value_of(row, name) for name in names)
    return next((value for value in values if value is not None), None)


def _full_names(name: str, rows: Sequence[Row]) -> list[str]:
    wanted = name.lower()
    for known in (MEASURES, TEXTS):
        for key, others in known.items():
            if wanted == key or wanted in others:
                return [key]
    if wanted in FLAGS:
        return [wanted]
    settings = dict.fromkeys(setting for row in rows for setting in row.get("settings") or ())
    if name in settings:
        return [name]
    ends = [setting for setting in settings if setting.lower() == wanted or setting.lower().endswith(f".{wanted}")]
    if not ends:
        known = [*MEASURES, *TEXTS, *(other for others in MEASURES.values() for other in others), *settings]
        short = {setting.rpartition(".")[2]: setting for setting in settings}
        raise FilterError(f"{name}: there is no such setting or measure{_nearest(name, [*known, *short])}")
    for row in rows:
        has = [end for end in ends if value_of(row, end) is not None]
        if any(value_of(row, end) != value_of(row, has[0]) for end in has[1:]):
            said = ", ".join(has[:4]) + (" …" if len(has) > 4 else "")
            raise FilterError(f"{name}: several settings end in it and differ in {row.get('run')}; give one of {said}")
    return ends


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name.lower(), list(dict.fromkeys(known)), 3, 0.6)
    return f"; nearest: {', '.join(near)}" if near else ""
