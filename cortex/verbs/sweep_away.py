"""What the verb sweeps does to a sweep besides showing it: archives, deletes."""

from __future__ import annotations

import argparse
import sys

from cortex import units
from cortex.labels import LabelError
from cortex.sweep import Sweep
from cortex.sweep_deleting import archive, check_sweep_deletable, delete_sweep, what_goes
from cortex.verbs.common import UserError

_OF_DELETE = ("with_runs", "yes")
_DEEDS = ("delete", "archive", "unarchive")


def add_away_options(parser: argparse.ArgumentParser) -> None:
    """The options of the verb sweeps."""
    parser.add_argument("--archived", action="store_true", help="list archived sweeps too")
    parser.add_argument("--archive", action="store_true", help="put the sweep out of sight; nothing of it is lost")
    parser.add_argument("--unarchive", action="store_true", help="put it back into the list")
    parser.add_argument("--delete", action="store_true", help="take the sweep off the disk, after asking; its runs stay")
    parser.add_argument("--with-runs", action="store_true", help="with --delete: its runs go too")
    parser.add_argument("--yes", action="store_true", help="with --delete: do not ask")


def check_away(arguments: argparse.Namespace) -> None:
    """UserError where these options do not go together."""
    deeds = [f"--{name}" for name in _DEEDS if getattr(arguments, name)]
    if len(deeds) > 1:
        raise UserError(f"{' and '.join(deeds)} were both given; give one of them")
    if deeds and not arguments.sweep:
        raise UserError(f"{deeds[0]} of which sweep? python -m cortex sweeps lists them")
    idle = next((name for name in _OF_DELETE if getattr(arguments, name) and not arguments.delete), None)
    if idle:
        raise UserError(f"--{idle.replace('_', '-')} has no effect without --delete")


def put_away(arguments: argparse.Namespace, found: Sweep) -> bool:
    """Do what was asked of the sweep; False where nothing but to show it."""
    if arguments.delete:
        _delete(found, arguments.with_runs, arguments.yes)
        return True
    if not (arguments.archive or arguments.unarchive):
        return False
    try:
        archive(found, arguments.archive)
    except LabelError as error:
        raise UserError(f"{found.id}: {error}") from None
    print(f"{found.id}: archived; sweeps --archived lists it" if arguments.archive else f"{found.id}: listed again")
    return True


def _delete(found: Sweep, with_runs: bool, yes: bool) -> None:
    check_sweep_deletable(found)
    goes = what_goes(found)
    number = len(goes.runs)
    runs = f"{number} {'run' if number == 1 else 'runs'}"
    freed = goes.octets + (goes.with_runs.octets if with_runs else 0)
    stays = "" if not number else f" and its {runs}" if with_runs else f"; its {runs} stay{'s' if number == 1 else ''}"
    if with_runs and goes.with_runs.children:
        print(f"went on from its runs, and keep working: {', '.join(goes.with_runs.children)}")
    if with_runs and goes.with_runs.shared:
        print(f"{units.size(goes.with_runs.shared)} stay on disk, since other runs have the same weights")
    if not yes:
        said = f"sweep {found.id}{stays}. This frees {units.size(freed)} and cannot be undone"
        if not sys.stdin.isatty():
            raise UserError(f"this would delete {said}; say --yes to do it")
        if input(f"delete {said} [y/N] ").strip().lower() not in ("y", "yes"):
            print("kept")
            return
    delete_sweep(found, with_runs=with_runs)
    print(f"deleted sweep {found.id}{stays}; {units.size(freed)} are free")
