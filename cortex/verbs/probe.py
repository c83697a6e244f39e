"""The verb probe: how fast this machine trains a graph, and how much memory that takes."""

from __future__ import annotations

import argparse
import signal
import sys

from cortex.report import print_json
from cortex.units import count, duration, size
from cortex.verbs.common import OK, load_graph, places_of
from cortex.verbs.training import ready


def probe(arguments: argparse.Namespace) -> int:
    """A few steps of the training, measured; nothing is kept."""
    from cortex import probe as measuring

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # cancelled: what was begun is cleared away

    graph = load_graph(arguments)
    prepared = ready(graph, arguments)
    told = print_json if arguments.json else lambda event: None
    found = measuring.probe(graph, prepared, places_of(arguments).store, told, steps=arguments.steps or 0)
    if arguments.json:
        print_json({"event": "probe", **found})
        return OK
    print(
        f"{found['tokens_per_second']:,.0f} tokens/s over {found['steps']} steps of {found['seconds_per_step']:.3f} s, "
        f"{found['threads']} threads"
    )
    print(f"peak memory {size(found['peak_memory'])}, forecast {size(found['forecast_memory'])}")
    if found["minutes_per_run"] is not None:
        print(
            f"an epoch {duration(60 * found['minutes_per_epoch'])}, the whole run {duration(60 * found['minutes_per_run'])}, "
            f"validations ({duration(found['seconds_per_validation'])} each) and checkpoints included; "
            f"{count(found['parameters'])} parameters"
        )
    return OK
