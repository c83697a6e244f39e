"""What an exported script prints of its training: an event as a line of words, with all digits of a loss, or as JSON.

Importable alone with evaluate.py and places.py.
"""

from __future__ import annotations

import argparse
from typing import Any

from cortex.evaluate import perplexity
from cortex.places import json_line
from cortex.train import Event


def tell(event: Event, arguments: argparse.Namespace) -> None:
    """Print an event as the command line asks for it: `json`, and whether exp of a loss is a perplexity, `perplexities`."""
    if event["event"] in ("weights", "validation") and arguments.perplexities:
        event = event | {"perplexity": perplexity(event["loss"])}
    print(json_line(event) if arguments.json else _line(event), flush=True)


def _line(event: dict[str, Any]) -> str:
    """An event in words; losses with all their digits, so that two trainings can be compared."""
    if event["event"] == "train":
        return f"step {event['step']}: training loss {event['loss']!r}, {event['tokens_per_second']:,.0f} tokens/s"
    if event["event"] in ("validation", "weights"):
        at = f"step {event['step']}: " if "step" in event else ""
        exp = f", perplexity {event['perplexity']:.4f}" if "perplexity" in event else ""
        return f"{at}validation loss {event['loss']!r}{exp}{_more(event)}{', best so far' if event.get('best') else ''}"
    if event["event"] == "end":
        return f"{event['state']} after {event['step']} steps, {event['tokens']:,} tokens, {event['elapsed']:.1f} s"
    return ", ".join(f"{name} {value}" for name, value in event.items())


def _more(event: dict[str, Any]) -> str:
    """The other losses and the metrics of an event."""
    losses = list(event.get("losses", {}).items())[1:]
    found = [f"{name} {loss!r}" for name, loss in losses]
    for name, metrics in event.get("metrics", {}).items():
        found += [f"{name} {key} {value:.4f}" for key, value in metrics.items()]
    return "".join(f", {one}" for one in found)
