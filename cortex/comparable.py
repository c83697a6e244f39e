"""Whether the perplexities of several runs can be laid beside each other, and what can be where they cannot; their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

HELP = (
    "Perplexity is per token, so it compares runs on the same tokens alone. Perplexity per word and bits per byte share the "
    "cost of the whole validation text out among its words or bytes: they compare runs whose tokenizers differ, where the "
    "text is the same and nothing of it is hidden by <unk>."
)


def measures(rows: Sequence[Row]) -> list[str]:
    """What these runs can be measured by, the best suited first; perplexity per token is always there, unless one has none."""
    if any(row.get("has_perplexity") is False for row in rows):
        told = [row.get("best_metrics") or {} for row in rows if row["best_loss"] is not None]
        return [key for key in ("f1", "accuracy", "exact") if told and all(key in metrics for metrics in told)] or ["loss"]
    same_text = _shared(rows, "validation_text")
    others = [
        name
        for name, key in (("bits_per_byte", "bits_per_byte"), ("word_perplexity", "word_perplexity"))
        if same_text and all(row[key] is not None for row in rows if row["best_loss"] is not None)
    ]
    return [*others, "perplexity"] if others and not _shared(rows, "data") else ["perplexity", *others]


def predicts(row: Row) -> tuple[Any, ...]:
    """What the loss of a run is the mean of: losses compare among runs with the same tokens, or labels, to predict."""
    return row["data"], row.get("task"), row.get("unit"), row.get("has_perplexity") is not False


def sets(rows: Mapping[str, Row]) -> list[list[str]]:
    """The runs, by their names, that predict the same, together."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for name, row in rows.items():
        found.setdefault(predicts(row), []).append(name)
    return list(found.values())


def why_not(rows: Mapping[str, Row]) -> str:
    """Why the losses and perplexities of these runs, by their names, are not comparable, and what is; empty where they are."""
    known = {name: row for name, row in rows.items() if row["vocabulary"]}
    if len(sets(known)) < 2:
        return ""
    return _why_not(known) + _within(sets(known))


def _why_not(rows: Mapping[str, Row]) -> str:
    found = list(rows.values())
    if any(row.get("has_perplexity") is False for row in found):
        return f"These losses are not comparable: the runs learn different things ({_tokens(found)})."
    said = f"These perplexities are not comparable: the runs predict different tokens ({_tokens(found)})"
    texts = {row["validation_text"] for row in found}
    if texts == {found[0]["validation_text"]} and texts != {None}:
        comparable = [_NAMES[name] for name in measures(found) if name != "perplexity"]
        return f"{said}. They validate on the same text, so their {' and '.join(comparable)} are." if comparable else f"{said}."
    if len(texts - {None}) > 1:
        return f"{said}, and they validate on different texts, so no other number makes them comparable."
    hidden: dict[str, list[str]] = {}
    for name, row in rows.items():
        if row["why_not_words"]:
            hidden.setdefault(row["why_not_words"], []).append(name)
    listed = [f"{_some(those)}: {why}" for why, those in hidden.items()]
    because = "; ".join(listed) or "whether they validate on the same text was not recorded when they started"
    return f"{said}. Perplexity per word and bits per byte would not be honest either ({because})."


def names(rows: Mapping[str, Row]) -> dict[str, str]:
    """A name for each run that no other of them has: its own; with its time, else its folder's, where two are alike."""
    given = [row["name"] for row in rows.values()]
    timed = {run: row["name"] if given.count(row["name"]) == 1 else f"{row['name']} {run[9:15]}" for run, row in rows.items()}
    return {run: name if list(timed.values()).count(name) == 1 else run for run, name in timed.items()}


_NAMES = {"bits_per_byte": "bits per byte", "word_perplexity": "perplexities per word"}


def _some(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _within(found: Sequence[Sequence[str]]) -> str:
    """Which of them compare all the same."""
    several = [_some([f"“{name}”" for name in names], 4) for names in found if len(names) > 1]
    if not several:
        return ""
    if len(several) == 1:
        return f" These predict the same and compare with each other: {several[0]}."
    return f" Within each of these sets they compare: {'; '.join(several)}."


def _tokens(rows: Sequence[Row]) -> str:
    tasks = len({row.get("task") for row in rows}) > 1
    listed = {
        (str(row["source"]), str(row["tokenizer"] or "tokens"), row["vocabulary"], str(row.get("task")) if tasks else "")
        for row in rows
    }
    return "; ".join(
        f"{source}, {tokenizer}, vocabulary {vocabulary:,}{task and f', {task}'}"
        for source, tokenizer, vocabulary, task in sorted(listed)
    )


def _shared(rows: Sequence[Row], key: str) -> bool:
    """Whether all of them have the same value, and have one."""
    values = {row[key] for row in rows}
    return len(values) == 1 and values != {None}
