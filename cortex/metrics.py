"""Reading metrics.jsonl: only what has come since the last look, so that watching a long run costs no more than a short one."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cortex.tail import Tail

Event = dict[str, Any]

# What an event must carry to be drawn or counted; one that does not is passed over like a torn line.
_NEEDED = {"train": ("step", "tokens", "loss", "elapsed"), "validation": ("step", "tokens", "loss", "elapsed")}
# What else is a number or a text wherever it stands; of another type it is as if it were not known.
_NUMBERS = frozenset(
    (
        "step", "tokens", "loss", "elapsed", "time", "epoch", "lr", "grad_norm", "tokens_per_second", "steps", "last_step",
        "steps_per_epoch", "eval_every", "hold_steps", "seconds_per_step", "parameters", "vocabulary", "labels", "train_tokens",
        "validation_tokens", "validation_bytes", "validation_words", "threads", "processes",
    )
)  # fmt: skip
_TEXTS = frozenset(
    (
        "source", "tokenizer", "validation_text", "why_not_bits", "why_not_words", "device", "precision", "prompt", "text",
        "state", "why", "parent",
    )
)  # fmt: skip
_DECODE = json.JSONDecoder(parse_constant=lambda name: None).decode  # NaN and infinity are not known
_LARGEST = 2.0**63  # of a number that a chart or a table can hold

# A run of many points is mostly train events, and of them the table needs only the last: the others are not even looked at,
# where they begin as the worker writes them.
_TRAIN = b'{"event": "train", '
_OTHER = re.compile(rb'\n(?!\{"event": "train", )')
_TRAIN_ANYHOW = re.compile(rb'"event"\s*:\s*"train"')


_OF_START = (
    "steps", "last_step", "steps_per_epoch", "parameters", "vocabulary", "labels", "device", "source", "tokenizer",
    "train_tokens", "validation_tokens", "validation_bytes", "why_not_bits", "validation_words", "validation_text",
    "why_not_words",
)  # fmt: skip


class EventReader:
    """All events of a run's metrics.jsonl; a torn last line waits until it is whole."""

    def __init__(self, path: Path) -> None:
        self._tail = Tail(path)
        self._events: list[Event] = []

    def read(self) -> list[Event]:
        """Every whole event so far, as `event_of` gives it; a line that is not one is passed over."""
        again, chunks = self._tail.read()
        new = [event for lines in chunks for line in lines if (event := event_of(line))]
        self._events = new if again else [*self._events, *new] if new else self._events
        return self._events


class Progress:
    """What the events so far say of a run, kept without the events themselves.

    Args:
        kept: what `state` gave before, in this process or another, to go on from.
    """

    def __init__(self, path: Path, kept: Mapping[str, Any] | None = None) -> None:
        self._tail = Tail(path, (kept or {}).get("tail"))
        self._facts: Event = dict((kept or {}).get("facts", {}))

    @property
    def state(self) -> dict[str, Any]:
        """What has been read and how far, as plain data."""
        return {"tail": self._tail.state, "facts": dict(self._facts)}

    def read(self) -> Event:
        """`step`, `steps`, `tokens`, `train_loss`, `best_loss` with the step it came at …; what is not known yet is left out.

        `best_*` are of the lowest validation loss, not the last; the first of equals. `step` is the furthest. `passed_over`
        counts the lines that are seen to be no event; `torn` is there where the last line has no end.
        """
        again, blocks = self._tail.blocks()
        if again:
            self._facts = {}
        for block in blocks:
            self._take(block)
        return {**self._facts, "torn": True} if self._tail.torn else dict(self._facts)

    def _take(self, block: bytes) -> None:
        """Add a block of whole lines, the last of which ends in a line's end."""
        starts = [0, *(found.end() for found in _OTHER.finditer(block, 0, len(block) - 1))]
        passed, last = 0, None
        for start in starts:
            line = block[start : block.find(b"\n", start)]
            if line.startswith(_TRAIN):
                continue
            if b'"train"' in line and _TRAIN_ANYHOW.search(line):  # written by another hand: the last of them is enough
                last = line
            elif event := event_of(line):
                self._add(event)
            else:
                passed += bool(line)
        self._add_last(block)
        if last and (event := event_of(last)):
            self._add(event)
        if passed:
            self._facts["passed_over"] = self._facts.get("passed_over", 0) + passed

    def _add_last(self, block: bytes) -> None:
        """Add the last sound train event of those that begin as the worker writes them."""
        end = len(block)
        while (start := block.rfind(b"\n" + _TRAIN, 0, end)) >= 0 or (end and block.startswith(_TRAIN)):
            start += 1
            if event := event_of(block[start : block.find(b"\n", start)]):
                return self._add(event)
            end = start
        return None

    def _add(self, event: Event) -> None:
        facts, kind = self._facts, event["event"]
        if kind == "start":
            facts |= {key: event.get(key) for key in _OF_START}
            facts |= _of_losses(event)
        if kind == "horizon":
            facts |= {key: event.get(key) for key in ("steps", "last_step")}
        if kind in ("train", "validation") and event["step"] >= facts.get("step", 0):
            facts |= {key: event[key] for key in ("step", "tokens", "elapsed")}
        if kind == "train":
            facts |= {"train_loss": event["loss"], "epoch": event.get("epoch")}
            facts |= {"tokens_per_second": event.get("tokens_per_second")}
        if kind == "validation" and event["loss"] < facts.get("best_loss", math.inf):
            facts |= {f"best_{key}": event[key] for key in ("loss", "step", "tokens", "elapsed")}
            metrics = _object(_object(event.get("metrics")).get(facts.get("main_loss")))
            facts |= {"best_metrics": metrics, "best_metric": metrics.get(facts.get("metric_key"))}


def _of_losses(start: Event) -> Event:
    """What a run's first event says of its task; of a run from before there were several, a text's next tokens."""
    losses = _object(start.get("losses"))
    name, main = next(iter(losses.items()), ("", {}))
    main = _object(main)
    if not main:
        return {"task": "Text", "has_perplexity": True, "unit": "nats per token"}
    masked = main.get("target") == "Masked"
    found = {"task": "Masked" if masked else start.get("task"), "main_loss": name, "unit": main.get("unit")}
    told = len(losses) > 1 or found["task"] != "Text" or main.get("target") != "Label"
    if told and main.get("main"):
        found |= {"metric": _object(main.get("metrics")).get(main["main"]), "metric_key": main["main"]}
    return found | {"has_perplexity": start.get("perplexity", True) is True, "cut_rows": _object(start.get("cut_rows"))}


def _object(value: Any) -> Mapping[str, Any]:
    """The value, where it is an object; else an empty one."""
    return value if isinstance(value, dict) else {}


def event_of(line: bytes) -> Event | None:
    """The event on a line; None where it is none that can be drawn or counted.

    A number that is none (NaN, infinity, text) is None; a train or validation event that then lacks step, tokens, loss or time
    is no event.
    """
    try:
        event = _DECODE(line.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    for key, value in event.items():
        endless = isinstance(value, float) and not math.isfinite(value)  # 1e999
        if endless or (key in _NUMBERS and not _is_number(value)):
            event[key] = None
        elif key in _TEXTS and value is not None:
            event[key] = value.encode("utf-8", "replace").decode() if isinstance(value, str) else None
    needed = _NEEDED.get(event["event"], ())
    return event if all(event.get(key) is not None for key in needed) and (event.get("step") or 0) >= 0 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST
