"""Whether the perplexities of several runs can be laid beside each other, and what can be where they cannot."""

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
        told = [row["best_metrics"] or {} for row in rows if row["best_loss"] is not None]
        return [key for key in ("f1", "accuracy", "exact") if told and all(key in metrics for metrics in told)] or ["loss"]
    same_text = _shared(rows, "validation_text")
    others = [
        name
        for name, key in (("bits_per_byte", "bits_per_byte"), ("word_perplexity", "word_perplexity"))
        if same_text and all(row[key] is not None for row in rows if row["best_loss"] is not None)
    ]
    return [*others, "perplexity"] if others and not _shared(rows, "data") else ["perplexity", *others]


def why_not(rows: Mapping[str, Row]) -> str:
    """Why the perplexities of these runs, by their names, are not comparable, and what is; empty where they are."""
    found = [row for row in rows.values() if row["vocabulary"] and row.get("has_perplexity") is not False]
    if len(found) < 2 or _shared(found, "data"):
        return ""
    said = f"These perplexities are not comparable: the runs predict different tokens ({_tokens(found)})"
    texts = {row["validation_text"] for row in found}
    if texts == {found[0]["validation_text"]} and texts != {None}:
        comparable = [_NAMES[name] for name in measures(found) if name != "perplexity"]
        return f"{said}. They validate on the same text, so their {' and '.join(comparable)} are." if comparable else f"{said}."
    if len(texts - {None}) > 1:
        return f"{said}, and they validate on different texts, so no other number makes them comparable."
    hidden = [f"{name}: {row['why_not_words']}" for name, row in rows.items() if row["why_not_words"]]
    because = "; ".join(hidden) or "whether they validate on the same text was not recorded when they started"
    return f"{said}. Perplexity per word and bits per byte would not be honest either ({because})."


_NAMES = {"bits_per_byte": "bits per byte", "word_perplexity": "perplexities per word"}


def _tokens(rows: Sequence[Row]) -> str:
    listed = {(str(row["source"]), str(row["tokenizer"] or "tokens"), row["vocabulary"]) for row in rows}
    return "; ".join(f"{source}, {tokenizer}, vocabulary {vocabulary:,}" for source, tokenizer, vocabulary in sorted(listed))


def _shared(rows: Sequence[Row], key: str) -> bool:
    """Whether all of them have the same value, and have one."""
    values = {row[key] for row in rows}
    return len(values) == 1 and values != {None}
