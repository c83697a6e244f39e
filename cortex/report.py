"""What the command line prints: progress of a training, tables, JSON lines."""

from __future__ import annotations

import os
import sys
from typing import Any

from cortex import units
from cortex.places import json_line
from cortex.units import UNKNOWN, count, duration, loss, perplexity


class Reporter:
    """Events of a running training as JSON lines, as a progress bar on a terminal, or as plain lines."""

    def __init__(self, json_lines: bool) -> None:
        self._json, self._live = json_lines, sys.stdout.isatty()
        self._steps, self._perplexity = 0, True
        self._said = 0.0

    def __call__(self, event: dict[str, Any]) -> None:
        try:
            self._report(event)
        except BrokenPipeError:  # the reader, `head` for one, has seen enough; the run goes on
            silence()

    def _report(self, event: dict[str, Any]) -> None:
        if self._json:
            print_json(event)
        elif event["event"] == "start":
            self._steps, self._perplexity = event["last_step"], event.get("perplexity", True)
            rows = f"{event['train_rows']:,} training rows, " if event.get("train_rows") else ""
            labels = f"{event['labels']:,} labels, " if event.get("labels") else ""
            print(
                f"{count(event['parameters'])} parameters, vocabulary {event['vocabulary']:,}, {labels}{rows}"
                f"{event['train_tokens']:,} training tokens, {event['steps']:,} steps, {event['device']}",
                flush=True,
            )
            for line in start_notes(event):
                self._line(line)
        elif event["event"] == "horizon":
            self._steps = event["last_step"]
            self._line(f"step {event['step']:,}: {event['last_step']:,} steps fit the time budget")
        elif event["event"] == "resumed":
            self._line(f"goes on from step {event['step']:,}")
        elif event["event"] == "validation":
            best = ", best so far" if event["best"] else ""
            self._line(f"step {event['step']:,}: {self._measure('validation', event)}{_scores(event)}{best}")
        elif event["event"] == "train":
            self._progress(event)

    def close(self) -> None:
        if self._live and not self._json:
            print("\r\033[K", end="", flush=True)

    def _progress(self, event: dict[str, Any]) -> None:
        text = f"{self._measure('training', event)}, {event['tokens_per_second']:,.0f} tokens/s"
        if self._live:
            share = event["step"] / self._steps
            left = duration(event["elapsed"] / event["step"] * (self._steps - event["step"]))
            print(f"\r\033[K{_bar(share)} {share:4.0%} step {event['step']:,}, {text}, {left} left", end="", flush=True)
        elif event["step"] == 1 or event["elapsed"] - self._said > 5.0:
            self._said = event["elapsed"]
            print(f"step {event['step']:,} of {self._steps:,}: {text}", flush=True)

    def _measure(self, what: str, event: dict[str, Any]) -> str:
        from cortex.evaluate import perplexity as of

        found = f"{what} loss {loss(event['loss'])}"
        found += f", perplexity {perplexity(of(event['loss']))}" if self._perplexity else ""
        return found + "".join(f", {name} {loss(value)}" for name, value in list(event.get("losses", {}).items())[1:])

    def _line(self, text: str) -> None:
        print(("\r\033[K" if self._live else "") + text, flush=True)


def _scores(event: dict[str, Any]) -> str:
    """The metrics of a validation: of several losses each with its name."""
    named = event.get("metrics", {})
    return "".join(
        f", {name + ' ' if len(named) > 1 else ''}{key} {units.share(value)}"
        for name, metrics in named.items() for key, value in metrics.items()
    )  # fmt: skip


def start_notes(event: dict[str, Any]) -> list[str]:
    """What a run's first event has to say of its rows: those that are cut, labels that are never trained on."""
    notes = []
    for split, number in (event.get("cut_rows") or {}).items():
        notes.append(f"{number:,} {split} {'row is' if number == 1 else 'rows are'} longer than seq_len and cut")
    unseen = event.get("unseen_labels") or []
    if unseen:
        listed = ", ".join(unseen[:5]) + (" …" if len(unseen) > 5 else "")
        what = "the label" if len(unseen) == 1 else "the labels"
        notes.append(f"only held-out rows have {what} {listed}; no model learns that")
    return notes


def _bar(share: float, width: int = 24) -> str:
    return "[" + "#" * int(share * width) + "." * (width - int(share * width)) + "]"


def silence() -> None:
    """Send what is still printed nowhere, so that Python's own flush at the end does not fail either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(row: dict[str, Any]) -> None:
    """One object on a line of its own."""
    print(json_line(row), flush=True)


def print_table(head: list[str], rows: list[list[Any]]) -> None:
    """Columns as wide as their widest cell."""
    cells = [head, *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def known(value: int | None) -> str:
    """The number with its thousands separated, a dash for an unknown one."""
    return UNKNOWN if value is None else f"{value:,}"
