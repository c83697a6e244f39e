"""The verb lr-range: a learning-rate range test of a graph."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from cortex.report import print_json, print_table
from cortex.verbs.common import OK, UserError, load_graph
from cortex.verbs.training import ready


def lr_range(arguments: argparse.Namespace) -> int:
    """Loss against learning rate, and a rate to start with."""
    from cortex import lr_range as test

    graph = load_graph(arguments)
    low, high = arguments.low or test.LOW, arguments.high or test.HIGH
    if low >= high:
        raise UserError(f"--low {low:g} is not less than --high {high:g}")
    prepared = ready(graph, arguments)
    told = (lambda point: print_json({"event": "point", **asdict(point)})) if arguments.json else lambda point: None
    points = test.range_test(graph, prepared, low=low, high=high, steps=arguments.steps or test.STEPS, on_point=told)
    lr = test.suggested(points)
    if arguments.json:
        print_json({"event": "suggestion", "lr": lr})
        return OK
    shown = points[:: max(1, len(points) // 20)]
    print_table(["lr", "loss", "smoothed"], [[f"{p.lr:.2e}", f"{p.loss:.3f}", f"{p.smoothed:.3f}"] for p in shown])
    if lr is None:
        print("the loss never fell; no rate can be suggested")
    else:
        print(f"suggested: --set training.lr={lr:.1e}, a tenth of the rate at which the smoothed loss was lowest")
    return OK
