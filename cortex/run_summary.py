"""What tables and headers show of a run: one row, put together of run.json, its events, its status and its labels."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from cortex import labels
from cortex.graph import GraphError, from_document
from cortex.metrics import Progress
from cortex.runs import ACTIVE, Run, RunError

SUMMARY = (
    "run", "name", "state", "created", "source", "task", "step", "steps", "last_step", "progress", "epoch", "tokens",
    "parameters", "vocabulary", "labels", "train_loss", "tokens_per_second", "mean_tokens_per_second", "elapsed",
    "seconds_left", "best_loss", "best_perplexity", "has_perplexity", "best_step", "best_tokens", "best_elapsed",
    "bits_per_byte", "why_not_bits", "word_perplexity",
    "why_not_words", "tokenizer", "data", "validation_text", "device", "error", "problem", "directory", "parent", "group",
    "unit", "metric", "best_metric", "best_metrics",
    "cut_rows", "sweep", "seed", "note", "tags", "starred", "archived",
)  # fmt: skip


def summary(run: Run, progress: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What tables and headers show of a run: every key of SUMMARY, None where it is not known.

    `best_*` are of the lowest validation loss, not the last. `best_metric` is what `metric` names, of the main loss;
    `best_perplexity` is None where exp of that loss is no perplexity. `tokens_per_second` is of the last point of the curve,
    without validations; `mean_tokens_per_second` of the whole run, all tokens over all time. `error` is why a run failed or
    cannot be read, `problem` what else of its folder cannot. `progress` is what the caller has read of the events already.
    """
    found = Progress(run.path / "metrics.jsonl").read() if progress is None else progress
    return summary_of(run, recorded(run), found, run.status(), labels.read(run))


def recorded(run: Run) -> dict[str, Any]:
    """What a summary needs of run.json, which never changes; `error` where it cannot be read."""
    try:
        record = run.record()
        from_document(record["graph"], "run.json graph")
    except GraphError as error:
        return {"name": record["name"], "error": f"{run.path}: {error}"}
    except RunError as error:
        return {"error": str(error)}
    training, sweep = (record[key] if isinstance(record.get(key), dict) else {} for key in ("training", "sweep"))
    texts = {key: record.get(key) for key in ("name", "created", "parent", "group")}
    texts |= {"data": record["data"].get("fingerprint"), "sweep": sweep.get("id")}
    numbers = {"seed": training.get("seed"), "budget": training.get("max_minutes"), "order": record.get("order")}
    return {
        **{key: value if isinstance(value, str) else None for key, value in texts.items()},
        **{key: value if type(value) in (int, float) else None for key, value in numbers.items()},
    }


def summary_of(
    run: Run,
    record: Mapping[str, Any],
    found: Mapping[str, Any],
    status: Mapping[str, Any],
    given: labels.Labels,
) -> dict[str, Any]:
    """The summary of a run whose parts have been read: `recorded`, progress, status and labels."""
    row: dict[str, Any] = dict.fromkeys(SUMMARY)
    row |= {"run": run.id, "directory": str(run.path), "state": run.state(status=status)}
    row |= {key: value for key, value in record.items() if key in row and value is not None}
    row |= {key: value for key, value in found.items() if key in row}
    row |= {"name": given.name or record.get("name") or run.id, "note": given.note, "tags": list(given.tags)}
    row |= {"starred": given.starred, "archived": given.archived, "problem": _problem(found, given, row["state"])}
    if record.get("error"):
        row["state"] = "damaged"
    if row["step"] is not None and row["last_step"]:
        row["progress"] = min(1.0, row["step"] / row["last_step"])
    if row["tokens"] and row["elapsed"]:
        row["mean_tokens_per_second"] = row["tokens"] / row["elapsed"]
    if row["best_loss"] is not None and found.get("has_perplexity", True):
        row["best_perplexity"] = _exp(row["best_loss"])
        tokens = found.get("validation_tokens")
        if found.get("validation_bytes") and tokens:
            row["bits_per_byte"] = row["best_loss"] * tokens / (found["validation_bytes"] * math.log(2))
        if found.get("validation_words") and tokens:
            row["word_perplexity"] = _exp(row["best_loss"] * tokens / found["validation_words"])
    if row["state"] == "running" and row["step"] and row["last_step"]:
        row["seconds_left"] = row["elapsed"] / row["step"] * (row["last_step"] - row["step"])
        if record.get("budget"):  # before it has been measured, the number of steps is not yet the run's
            row["seconds_left"] = min(row["seconds_left"], max(0.0, 60 * record["budget"] - row["elapsed"]))
    if row["state"] != "damaged":
        said = status.get("error")
        said = said if isinstance(said, str | None) else json.dumps(said)
        row["error"] = run.why_interrupted(status) if row["state"] == "interrupted" else said
    return {key: shown(value) for key, value in row.items()}


def shown(value: Any) -> Any:
    """The value, where it is text as one that a page and a file can hold: half a surrogate pair is none."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and not value.isascii() else value


def _exp(loss: float) -> float:
    """As cortex.evaluate.perplexity, without its torch, which listing, stopping or claiming a run does not need."""
    return math.exp(loss) if loss < 700 else math.inf


def _problem(found: Mapping[str, Any], given: labels.Labels, state: str) -> str | None:
    said, lines = [], found.get("passed_over")
    if lines:
        said.append(f"metrics.jsonl: {lines:,} {'line' if lines == 1 else 'lines'} passed over that cannot be read")
    if found.get("torn") and state not in ACTIVE:
        said.append("metrics.jsonl: its last line is torn off")
    if given.problem:
        said.append(given.problem)
    return "; ".join(said) or None
