"""Verbs over the runs there are: runs lists them, label names and tags them, delete takes them off the disk."""

from __future__ import annotations

import argparse
import sys

from cortex import deleting, labels, units
from cortex import run_columns as columns
from cortex.conditions import FilterError
from cortex.filters import matching
from cortex.index import Index, Row
from cortex.measured import RATES
from cortex.report import print_json, print_table
from cortex.runs import find_run, summary_name
from cortex.verbs.common import OK, UserError, places_of

_SHOWN = ("run", "name", "state", "step", "parameters", "best_loss", "best_perplexity", "best_step", "elapsed")


def runs(arguments: argparse.Namespace) -> int:
    """List the runs."""
    root = places_of(arguments).runs
    everything = Index(root).rows()
    try:
        rows = [row for row in everything if arguments.archived or not row["archived"]]
        hidden = len(everything) - len(rows)
        rows = _filtered(rows, arguments.filter or "")
        if arguments.sort or arguments.reverse:
            rows = columns.in_order(rows, columns.column_name(arguments.sort or "created", everything), arguments.reverse)
        keys = [columns.column_name(name, everything) for name in arguments.columns.split(",")] if arguments.columns else None
    except FilterError as error:
        raise UserError(str(error)) from None
    if arguments.json:
        for row in rows:
            print_json(row)
        return OK
    if not everything:
        print(f"no runs in {root}; python -m cortex train --preset small starts one")
        return OK
    keys = keys or _shown(rows)
    cells = [[_cell(columns.in_words(columns.value(row, key), key)) for key in keys] for row in rows]
    print_table([columns.title(key) for key in keys], cells)
    if hidden:
        print(f"{hidden:,} archived {'run' if hidden == 1 else 'runs'} not listed; --archived lists them too")
    return OK


def _shown(rows: list[Row]) -> list[str]:
    """The columns that nobody has chosen: those of tasks only where there are some beside running text."""
    rates = [key for key in RATES if any(columns.value(row, key) is not None for row in rows)]
    first, last = _SHOWN[: _SHOWN.index("best_step")], _SHOWN[_SHOWN.index("best_step") :]
    return [*first, *(["task", *rates] if rates else []), *last]


def _filtered(rows: list[Row], text: str) -> list[Row]:
    try:
        return matching(rows, text)
    except FilterError as error:
        raise UserError(f"--filter: {error}") from None


def label(arguments: argparse.Namespace) -> int:
    """Name, note, tag, star or archive a run."""
    run = find_run(arguments.run, places_of(arguments).runs)
    changes = {key: getattr(arguments, key) for key in ("name", "note") if getattr(arguments, key) is not None}
    for key, yes, no in (("starred", "star", "unstar"), ("archived", "archive", "unarchive")):
        if getattr(arguments, yes) and getattr(arguments, no):
            raise UserError(f"--{yes} and --{no} were both given; give one of them")
        if getattr(arguments, yes) or getattr(arguments, no):
            changes[key] = getattr(arguments, yes)
    try:
        before = labels.read(run)
        if arguments.tag or arguments.untag:
            changes["tags"] = labels.with_tags(before.tags, arguments.tag, arguments.untag)
        now = labels.update(run, **changes) if changes else before
    except labels.LabelError as error:
        raise UserError(f"{run.id}: {error}") from None
    shown = {"run": run.id, "name": summary_name(run), "note": now.note, "tags": list(now.tags)}
    shown |= {"starred": now.starred, "archived": now.archived}
    if arguments.json:
        print_json(shown)
        return OK
    said = [f"name {shown['name']}"]
    said += [f"tags {', '.join(now.tags)}"] if now.tags else []
    said += [f"note {now.note}"] if now.note else []
    said += [word for word, on in (("starred", now.starred), ("archived", now.archived)) if on]
    print(f"{run.id}: {'; '.join(said)}")
    if now.problem:
        print(now.problem, file=sys.stderr)
    return OK


def delete(arguments: argparse.Namespace) -> int:
    """Take runs off the disk, after asking."""
    root = places_of(arguments).runs
    runs = list(dict.fromkeys(find_run(name, root) for name in arguments.run))
    for run in runs:
        deleting.check_deletable(run)
    freed = deleting.what_it_frees(runs)
    what = runs[0].id if len(runs) == 1 else f"{len(runs)} runs ({', '.join(run.id for run in runs)})"
    if freed.children:
        print(f"went on from there, and keep working: {', '.join(freed.children)}")
    if freed.shared:
        print(f"{units.size(freed.shared)} stay on disk, since other runs have the same weights")
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise UserError(f"deleting {what} frees {units.size(freed.octets)} and cannot be undone; say --yes to do it")
        question = f"delete {what}? This frees {units.size(freed.octets)} and cannot be undone [y/N] "
        if input(question).strip().lower() not in ("y", "yes"):
            print("kept")
            return OK
    for run in runs:
        deleting.delete_run(run)
    print(f"deleted {what}, {units.size(freed.octets)} are free")
    return OK


def _cell(text: str, most: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
