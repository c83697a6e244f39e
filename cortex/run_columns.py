"""The columns of the table of runs, for page and terminal: what each is, which are shown, how rows are sorted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cortex import units
from cortex.conditions import Row, full_name
from cortex.measured import RATES
from cortex.run_settings import differing_settings, differs


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


def value(row: Row, key: str) -> Any:
    """What a run has in a column: a fact of its row, or a setting by its full or short name; None where it has none."""
    if key in COLUMNS:  # a table asks for thousands of these
        if key == "error":
            return " ".join(filter(None, (_without_folder(row), row.get("problem")))) or None
        if key == "nodes":
            return sum("." not in name for name in row.get("settings") or ()) or None
        return (row.get("best_metrics") or {}).get(key) if key in RATES else row.get(key)
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
        or (key in WHERE_THEY_DIFFER and differs(value(row, key) for row in rows))
        or (key in RATES and any(value(row, key) is not None for row in rows))
    ]
    first = [key for key in facts if key in _FIRST]
    if "error" in facts:  # what is wrong with a damaged run is all that its row can say
        place = first.index("name") + 1 if any(row.get("state") == "damaged" for row in rows) else len(first)
        first.insert(place, "error")
    facts = [key for key in facts if key not in first]
    return [*first, *differing_settings(rows)[:MOST_SETTINGS], *facts]


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
