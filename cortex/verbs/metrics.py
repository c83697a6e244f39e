"""The verb metrics: the points of runs as CSV or parquet, as event files of TensorBoard, or in a project of Trackio."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from cortex.places import write_atomically
from cortex.report import print_json
from cortex.runs import Run, find_run
from cortex.tables import SUFFIXES, is_table, to_file
from cortex.verbs.common import OK, UserError, output_path, places_of


def metrics(arguments: argparse.Namespace) -> int:
    """Write the points of the runs to where they are asked for; CSV on standard output where nothing is said."""
    runs = named_runs(arguments)
    wanted = [arguments.output, arguments.tensorboard, arguments.trackio]
    if sum(map(bool, wanted)) > 1:
        raise UserError("give one of -o FILE, --tensorboard DIR and --trackio PROJECT")
    if arguments.tensorboard:
        return _tensorboard(arguments, runs)
    if arguments.trackio:
        return _trackio(arguments, runs)
    if not arguments.output:
        if arguments.json:
            raise UserError("--json goes with -o, --tensorboard or --trackio; python -m cortex train --json prints events")
        sys.stdout.write(to_file(runs, ".csv").decode())
        return OK
    path = output_path(arguments.output)
    if not is_table(path):
        raise UserError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}")
    content = to_file(runs, path.suffix.lower())
    write_atomically(path, content)
    return _said(arguments, str(path), runs, f"{path}: {len(content):,} bytes")


def named_runs(arguments: argparse.Namespace) -> list[Run]:
    """The runs that the command line names, each once."""
    root = places_of(arguments).runs
    found = {run.path: run for run in (find_run(name, root) for name in arguments.run)}
    return list(found.values())


def _tensorboard(arguments: argparse.Namespace, runs: list[Run]) -> int:
    from cortex.loggers import MissingPackage, write_tensorboard

    try:
        written = write_tensorboard(runs, Path(arguments.tensorboard))
    except MissingPackage as error:
        raise UserError(str(error)) from None
    text = f"{arguments.tensorboard}: event files of {len(written)} of {len(runs)} runs; tensorboard --logdir shows them"
    return _said(arguments, arguments.tensorboard, [Run(path.parent) for path in written], text)


def _trackio(arguments: argparse.Namespace, runs: list[Run]) -> int:
    from cortex.loggers import import_into_trackio

    try:
        came, known = import_into_trackio(runs, arguments.trackio)
    except ValueError as error:
        raise UserError(f"--trackio {arguments.trackio}: {error}") from None
    there = f", {len(known)} were there already" if known else ""
    if arguments.json:
        print_json({"project": arguments.trackio, "imported": came, "there_already": known})
    else:
        print(
            f"{arguments.trackio}: {len(came)} of {len(runs)} runs imported{there}; trackio show --project {arguments.trackio}"
        )
    return OK


def _said(arguments: argparse.Namespace, where: str, runs: list[Run], text: str) -> int:
    if arguments.json:
        print_json({"output": os.path.abspath(where), "runs": [run.id for run in runs]})
    else:
        print(text)
    return OK
