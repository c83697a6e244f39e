"""What the training verbs do in the processes of torchrun: join, follow the first, and find the run to go on with."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex.graph import Graph
from cortex.processes import process_started
from cortex.runs import ACTIVE, Run, RunError, list_runs
from cortex.verbs.common import OK, UserError

if TYPE_CHECKING:
    from cortex.ranks import Ranks


def join_others(graph: Graph) -> Ranks | None:
    """This process among the others of torchrun; None where it was started by itself."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    from cortex import ranks
    from cortex.builder import train_config
    from cortex.device import pick_device

    device = ranks.local_device(pick_device(train_config(graph).device))
    return ranks.join(device)


def refuse_torchrun(what: str) -> None:
    """UserError under torchrun, which `what` does not go with."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise UserError(f"torchrun does not go with {what}; it trains a GRAPH.json, or resumes a run")


def leave_others(processes: Ranks | None) -> None:
    """Part from the other processes, where there are any."""
    if processes:
        from cortex import ranks

        ranks.leave()


def follow(processes: Ranks, store: Path) -> int:
    """Train along with the first process, which alone writes; the exit status comes out."""
    from cortex.follower import Follower

    Follower(processes.share(None), store, processes).train()
    leave_others(processes)
    return OK


def launcher() -> dict[str, Any]:
    """The process that starts all of them again when one has failed."""
    return {"pid": os.getppid(), "started": process_started(os.getppid())}


def restarted(root: Path) -> Run | None:
    """The run that this launcher began, where it has started its processes again."""
    from cortex.ranks import restarts

    if not restarts():
        return None
    mine = [run for run in list_runs(root) if _launcher_of(run) == launcher()]
    if not mine:
        return None
    deadline = time.monotonic() + 30
    while mine[0].state() in ACTIVE and time.monotonic() < deadline:  # its first process has yet to end
        time.sleep(0.1)
    if mine[0].requested("stop") or mine[0].state() == "finished":
        raise UserError(f"run {mine[0].id} is {mine[0].state()}; there is nothing to start again")
    return mine[0]


def _launcher_of(run: Run) -> dict[str, Any] | None:
    try:
        return run.record().get("launcher")
    except RunError:  # damaged, so not the one that is looked for
        return None
