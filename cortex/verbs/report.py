"""The verb report: runs in one HTML file that opens without a network."""

from __future__ import annotations

import argparse

from cortex.places import write_atomically
from cortex.report import print_json
from cortex.units import size
from cortex.verbs.common import OK, UserError, output_path, places_of
from cortex.verbs.metrics import named_runs

AXES = ("step", "tokens", "epoch", "elapsed", "flops")


def report(arguments: argparse.Namespace) -> int:
    """Write the report of the runs that are named."""
    from cortex.report_html import report_html

    runs, path = named_runs(arguments), output_path(arguments.output)
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{path}: expected a name that ends in .html")
    text = report_html(runs, places_of(arguments).store, axis=arguments.axis)
    write_atomically(path, text)
    if arguments.json:
        print_json({"output": str(path.absolute()), "bytes": len(text.encode()), "runs": [run.id for run in runs]})
    else:
        print(f"{path}: {len(runs)} {'run' if len(runs) == 1 else 'runs'}, {size(len(text.encode()))}")
    return OK
