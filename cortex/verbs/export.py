"""The verb export: a graph or a run as one stand-alone script, and the proof that it trains alike."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cortex.graph import Graph
from cortex.places import write_atomically
from cortex.report import print_json, print_table
from cortex.runs import Run, RunError, find_run
from cortex.verbs.common import FAILED, OK, UserError, load_graph, output_path, places_of, refuse

if TYPE_CHECKING:
    from cortex.prove import Row


def export(arguments: argparse.Namespace) -> int:
    """Write the script, or prove that it prints the losses of the app."""
    from cortex.builder import plan
    from cortex.export import script, script_of_run

    subject = _subject(arguments)
    refuse(plan(subject.graph() if isinstance(subject, Run) else subject).issues)
    if arguments.prove:
        return _prove(arguments, subject)
    output = output_path(arguments.output) if arguments.output else None
    folder = output.absolute().parent if output else Path.cwd()
    text = script_of_run(subject, folder) if isinstance(subject, Run) else script(subject)
    if output is None:
        print(text, end="")
        return OK
    write_atomically(output, text)
    print(f"{output}: {len(text.splitlines()):,} lines; start it with python -I {output}", file=sys.stderr)
    return OK


def _subject(arguments: argparse.Namespace) -> Graph | Run:
    """A run where the name is that of one, else a graph."""
    name = arguments.graph
    if name and not os.path.isfile(name) and not arguments.preset:
        try:
            run = find_run(name, places_of(arguments).runs)
        except RunError:
            if name.endswith(".json"):
                return load_graph(arguments)  # says that there is no such file
            raise
        if arguments.settings:
            raise UserError(f"run {run.id} was made with its settings; --set does not go with it")
        return run
    return load_graph(arguments)


def _prove(arguments: argparse.Namespace, subject: Graph | Run) -> int:
    from cortex.prove import ProofError, prove

    if not arguments.json:
        print(f"training {arguments.steps} steps twice, in the app and as a script", file=sys.stderr)
    try:
        rows = prove(subject, places_of(arguments).store, steps=arguments.steps)
    except ProofError as error:
        print(error, file=sys.stderr)
        return FAILED
    equal = all(row.equal for row in rows)
    if arguments.json:
        for row in rows:
            print_json({"what": row.what, "step": row.step, "app": row.app, "script": row.script, "equal": row.equal})
        print_json({"equal": equal})
        return OK if equal else FAILED
    print_table(["", "step", "app", "script", "equal"], [_cells(row) for row in rows])
    print("equal, bit for bit" if equal else "NOT equal")
    return OK if equal else FAILED


def _cells(row: Row) -> list[str]:
    return [row.what, f"{row.step}", repr(row.app), repr(row.script), "yes" if row.equal else "no"]
