"""The columns of the table of runs, for page and terminal: what each is, which are shown, how rows are sorted and grouped."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any

from cortex import units
from cortex.conditions import full_name
from cortex.measured import RATES

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column: its title, how its values read (`count`, `loss`, `perplexity`, `share`, `time`, `date`, `text`), what it is."""

    title: str
    form: str = "text"
    help: str | None = None


COLUMNS: dict[str, Column] = {
    "starred": Column("starred", "flag"),
    "state": Column("state"),
    "name": Column("name"),
    "progress": Column("progress", "share", "Step of the step at which the run ends."),
    "best_perplexity": Column(
        "perplexity", "perplexity", "Per token: exp of the lowest validation loss. Compares runs on the same tokens alone."
    ),
    "best_loss": Column("loss", "loss", "Nats per token: the lowest of all validations, not the last."),
    "best_step": Column("at step", "count", "The step at which the lowest validation loss came."),
    "word_perplexity": Column(
        "per word", "perplexity",
        "Perplexity per word, whatever the tokens: exp(loss × tokens / words of the validation text). A dash where it would "
        "not be honest: words hidden by <unk>, as published or not, or tokens that do not say where a word ends.",
    ),
    "bits_per_byte": Column(
        "bits per byte", "loss",
        "A dash where it would not be honest: words hidden by <unk>, as published or not, or text lost.",
    ),
    "task": Column("task", help="What is learned: the next token of a text, labels, tags, pairs, hidden tokens."),
    "accuracy": Column("accuracy", "share", "Share of the answers that are right, at the lowest validation loss."),
    "f1": Column("F1", "share", "Over spans where tags mark them, else the mean over classes (macro), at the lowest loss."),
    "exact": Column("exact", "share", "Share of rows whose every token is right, at the lowest loss."),
    "source": Column("data"),
    "tokenizer": Column("tokenizer"),
    "vocabulary": Column("vocabulary", "count"),
    "parameters": Column("parameters", "count"),
    "nodes": Column("nodes", "count", "Boxes of the graph."),
    "tokens": Column("tokens seen", "count"),
    "mean_tokens_per_second": Column(
        "tokens/s", "count", "Mean of the run: all tokens over all of its time, validations included."
    ),
    "elapsed": Column("time taken", "time", "Of training and validation; waiting and pauses are not in it."),
    "created": Column("started", "date"),
    "device": Column("device"),
    "group": Column("group", help="A name shared by runs that were started together and differ in their seed."),
    "sweep": Column("sweep"),
    "seed": Column("seed", "count"),
    "note": Column("note"),
    "tags": Column("tags", "list"),
    "error": Column("fault", help="Why a run failed, or what of its folder cannot be read."),
    "step": Column("step", "count"),
    "epoch": Column("epoch", "loss"),
    "train_loss": Column("training loss", "loss", "Of the last point of the curve, with dropout."),
    "tokens_per_second": Column("last tokens/s", "count", "Of the last point of the curve, validations not counted."),
    "best_elapsed": Column("time to best", "time", "Time taken when the lowest validation loss came."),
    "parent": Column("goes on from"),
    "run": Column("folder"),
}  # fmt: skip
# Shown whatever is in them; then those that differ; the others when somebody asks for them.
ALWAYS = ("state", "name", "best_perplexity", "best_loss", "best_step", "created")
WHERE_THEY_DIFFER = (
    "starred", "progress", "task", "bits_per_byte", "source", "tokenizer", "parameters", "tokens",
    "mean_tokens_per_second", "elapsed", "device", "sweep", "note", "tags", "error",
)  # fmt: skip
_FIRST = ("starred", "state", "name", "progress", "best_perplexity", "best_loss", "best_step", "bits_per_byte", "source",
          "tokenizer", "parameters", "created")  # fmt: skip
MOST_SETTINGS = 8  # shown by themselves; a table is no wider than a screen

SORTS = (
    "created", "best_perplexity", "best_loss", "bits_per_byte", "name", "state", "parameters", "tokens",
    "mean_tokens_per_second", "elapsed",
)  # fmt: skip
_UPWARDS = ("best_perplexity", "best_loss", "bits_per_byte", "word_perplexity", "train_loss", "name", "state", "best_elapsed")

NO_GROUPS, BY_SEEDS, BY_GROUP = "", "seeds", "group"


def value(row: Row, key: str) -> Any:
    """What a run has in a column: a fact of its row, or a setting by its full or short name; None where it has none."""
    if key == "error":
        return " ".join(filter(None, (_without_folder(row), row.get("problem")))) or None
    if key == "nodes":
        return sum("." not in name for name in row.get("settings") or ()) or None
    if key in RATES:
        return (row.get("best_metrics") or {}).get(key)
    if key in COLUMNS:
        return row.get(key)
    settings = row.get("settings") or {}
    if key in settings:
        return settings[key]
    if "." in key:
        return None
    return next((found for name, found in settings.items() if name.endswith(f".{key}") and found is not None), None)


def shown_by_themselves(rows: Sequence[Row]) -> list[str]:
    """The columns of a table that nobody has chosen columns for: results and facts, and the settings that differ."""
    facts = [
        key
        for key in COLUMNS
        if key in ALWAYS
        or (key in WHERE_THEY_DIFFER and _differs(value(row, key) for row in rows))
        or (key in RATES and any(value(row, key) is not None for row in rows))
    ]
    first = [key for key in facts if key in _FIRST]
    if "error" in facts:  # what is wrong with a damaged run is all that its row can say
        place = first.index("name") + 1 if any(row.get("state") == "damaged" for row in rows) else len(first)
        first.insert(place, "error")
    facts = [key for key in facts if key not in first]
    return [*first, *differing_settings(rows)[:MOST_SETTINGS], *facts]


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
            if _differs(some[0] if some else None for some in values):
                found.append(short if len(names) > 1 else names[0])
        else:
            found += [name for name in names if _differs(settings.get(name) for settings in known)]
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


def alike(rows: Sequence[Row]) -> dict[str, str]:
    """The facts that all runs have in common, by their titles."""
    found = {}
    for key in ("source", "tokenizer", "device"):
        values = {value(row, key) for row in rows}
        if len(values) == 1 and None not in values:
            found[COLUMNS[key].title] = str(values.pop())
    return found


def column_name(text: str, rows: Sequence[Row]) -> str:
    """The key of a column by its key, its title, or the name of a setting. FilterError when there is none."""
    wanted = text.strip().lower()
    for key, column in COLUMNS.items():
        if wanted in (key, column.title):
            return key
    found = full_name(text.strip(), rows)
    return found if found in COLUMNS else text.strip()


def title(key: str) -> str:
    """What stands above a column."""
    return COLUMNS[key].title if key in COLUMNS else key.removeprefix("training.")


def in_order(rows: Sequence[Row], key: str, reverse: bool = False) -> list[Row]:
    """The rows sorted by a column, the best, newest or largest first; `reverse` turns that around. What is not known is last
    both ways, and equals stay newest first."""
    found = [(_moment(value(row, key)) if key == "created" else value(row, key), row) for row in rows]
    known = [pair for pair in found if _known(pair[0])]
    if key == "created":  # runs of the same second are newest first already
        known.sort(key=lambda pair: pair[0], reverse=True)
        known = known[::-1] if reverse else known
    else:
        downwards = (key not in _UPWARDS and (key in COLUMNS)) != reverse
        known.sort(key=lambda pair: _rank(pair[0]), reverse=downwards)
    return [row for _, row in [*known, *(pair for pair in found if not _known(pair[0]))]]


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


def in_words(found: Any, key: str) -> str:
    """A value as a person reads it on a terminal."""
    form = COLUMNS[key].form if key in COLUMNS else "setting"
    if found is None or found == "":
        return units.UNKNOWN
    if form == "flag" or isinstance(found, bool):
        return "yes" if found else "no"
    if form == "list":
        return ", ".join(found) or units.UNKNOWN
    if isinstance(found, (int, float)):
        return {
            "loss": units.loss, "perplexity": units.perplexity, "time": units.duration, "share": lambda share: f"{share:.0%}",
            "count": lambda number: f"{number:,.0f}",
        }.get(form, lambda number: f"{number:g}" if isinstance(number, float) else str(number))(found)  # fmt: skip
    return str(found).replace("T", " ")[:16] if form == "date" else str(found)


def _without_folder(row: Row) -> str | None:
    error = row.get("error")
    return error.removeprefix(f"{row.get('directory')}: ") if isinstance(error, str) else None


def _without_seed(name: str) -> str:
    return name.rpartition(", seed ")[0] or name


def _differs(values: Iterable[Any]) -> bool:
    return len({json.dumps(found) if isinstance(found, list) else (type(found) is bool, found) for found in values}) > 1


def _moment(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _known(found: Any) -> bool:
    return found is not None and found != "" and found != [] and not (isinstance(found, float) and math.isnan(found))


def _rank(found: Any) -> tuple[int, Any]:
    """Numbers before texts, so that a column of both can be sorted."""
    if isinstance(found, (int, float)):
        return 0, found
    return 1, (", ".join(map(str, found)) if isinstance(found, list) else str(found)).casefold()
