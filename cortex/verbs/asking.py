"""Verbs that ask something of a run that is going on: stop, pause, save. No torch, so that it is asked at once."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cortex.runs import ACTIVE, find_run
from cortex.verbs.common import OK, UserError, places_of

if TYPE_CHECKING:
    pass


def stop(arguments: argparse.Namespace) -> int:
    """Ask a run to stop."""
    return _ask(arguments, "stop", "it keeps its best and its last weights; resume goes on from there")


def pause(arguments: argparse.Namespace) -> int:
    """Ask a run to pause."""
    return _ask(arguments, "pause", "resume goes on as if it had never been left")


def save(arguments: argparse.Namespace) -> int:
    """Ask a run to save a checkpoint."""
    return _ask(arguments, "save", "its last checkpoint is of that moment then")


def _ask(arguments: argparse.Namespace, what: str, then: str) -> int:
    run = find_run(arguments.run, places_of(arguments).runs)
    state = run.state()
    if state not in ACTIVE:
        raise UserError(f"run {run.id} is {state}; there is nothing to {what}")
    run.request(what)
    print(f"asked run {run.id} to {what}; {then}")
    return OK
