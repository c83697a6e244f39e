"""Reading metrics.jsonl: only what has come since the last look, so that watching a long run costs no more than a short one."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

Event = dict[str, Any]

# What an event must carry to be drawn or counted; one that does not is passed over like a torn line.
_NEEDED = {"train": ("step", "tokens", "loss", "elapsed"), "validation": ("step", "tokens", "loss", "elapsed")}


class EventReader:
    """All events of a run's metrics.jsonl; a torn last line waits until it is whole."""

    def __init__(self, path: Path) -> None:
        self._tail = _Tail(path)
        self._events: list[Event] = []

    def read(self) -> list[Event]:
        """Every whole event so far; a line that is not one is passed over."""
        again, new = self._tail.read()
        self._events = new if again else [*self._events, *new] if new else self._events
        return self._events


class Progress:
    """What the events so far say of a run, kept without the events themselves."""

    def __init__(self, path: Path) -> None:
        self._tail = _Tail(path)
        self._facts: Event = {}

    def read(self) -> Event:
        """`step`, `steps`, `tokens`, `train_loss`, `best_loss` with the step it came at …; what is not known yet is left out.

        `best_*` are of the lowest validation loss, not the last.
        """
        again, new = self._tail.read()
        if again:
            self._facts = {}
        for event in new:
            self._add(event)
        return dict(self._facts)

    def _add(self, event: Event) -> None:
        facts, kind = self._facts, event["event"]
        if kind == "start":
            known = ("steps", "last_step", "parameters", "vocabulary", "device", "source", "why_not_bits")
            text = ("tokenizer", "validation_text", "validation_words", "why_not_words")
            facts |= {key: event.get(key) for key in (*known, *text, "validation_bytes", "validation_tokens")}
            facts |= _of_losses(event)
        if kind == "horizon":
            facts |= {key: event.get(key) for key in ("steps", "last_step")}
        if kind in ("train", "validation"):
            facts |= {key: event[key] for key in ("step", "tokens", "elapsed")}
        if kind == "train":
            facts |= {"train_loss": event["loss"], "epoch": event.get("epoch")}
            facts |= {"tokens_per_second": event.get("tokens_per_second")}
        if kind == "validation" and event["loss"] < facts.get("best_loss", math.inf):
            facts |= {"best_loss": event["loss"], "best_step": event["step"]}
            metrics = event.get("metrics", {}).get(facts.get("main_loss"), {})
            facts |= {"best_metrics": metrics, "best_metric": metrics.get(facts.get("metric_key"))}


def _of_losses(start: Event) -> Event:
    """What a run's first event says of its task; of a run from before there were several, a text's next tokens."""
    losses = start.get("losses")
    if not isinstance(losses, dict) or not losses:
        return {"task": "Text", "has_perplexity": True, "unit": "nats per token"}
    name, main = next(iter(losses.items()))
    found = {"task": "Masked" if main["target"] == "Masked" else start.get("task"), "main_loss": name, "unit": main["unit"]}
    told = len(losses) > 1 or found["task"] != "Text" or main["target"] != "Label"
    found |= {"metric": main["metrics"][main["main"]], "metric_key": main["main"]} if told else {}
    return found | {"has_perplexity": start.get("perplexity", True), "cut_rows": start.get("cut_rows") or {}}


class _Tail:
    """The whole lines that have come to a file since the last look."""

    def __init__(self, path: Path) -> None:
        self._path, self._inode, self._offset = path, 0, 0

    def read(self) -> tuple[bool, list[Event]]:
        """Whether the file is another one or was cut back, so that what was read before no longer counts; and the events."""
        try:
            with open(self._path, "rb") as file:
                found = os.fstat(file.fileno())
                again = found.st_ino != self._inode or found.st_size < self._offset
                if again:
                    self._inode, self._offset = found.st_ino, 0
                file.seek(self._offset)
                new = file.read()
        except OSError:
            self._inode, self._offset = 0, 0
            return True, []
        whole = new.rfind(b"\n") + 1
        self._offset += whole
        return again, [event for line in new[:whole].splitlines() if (event := _event(line))]


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    needed = _NEEDED.get(event["event"], ())
    return event if all(isinstance(event.get(key), (int, float)) for key in needed) else None
