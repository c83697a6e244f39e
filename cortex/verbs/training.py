"""Verbs that train: train, resume, extend; and those that ask something of a run: stop, pause, save.

torch is imported late, so that a run is claimed, and a request made, at once.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex.graph import Graph
from cortex.processes import process_started
from cortex.report import Reporter, print_json
from cortex.run_summary import summary
from cortex.runs import ACTIVE, Run, RunError, find_run, list_runs
from cortex.units import loss, perplexity, share
from cortex.verbs.common import FAILED, INTERRUPTED, OK, Told, UserError, load_graph, places_of, prepared_for, refuse

if TYPE_CHECKING:
    from cortex.ranks import Ranks
    from cortex.status import Status
    from cortex.store import Prepared


def train(arguments: argparse.Namespace) -> int:
    """Train a graph, or start a run that was created."""
    folder = Path(arguments.graph) if arguments.graph else None
    if folder and os.path.isfile(folder / "run.json"):
        _alone("a run that was created")
        return _start_created(arguments, Run(folder.absolute()))
    if arguments.seeds:
        _alone("--seeds")
        if arguments.now:
            raise UserError("--now does not go with --seeds; CORTEXNODUS_SLOTS=N lets N runs train at once")
    from cortex import launch

    graph, where = _with_budget(load_graph(arguments), arguments), places_of(arguments)
    prepared = ready(graph, arguments)
    processes = _join_others(graph)
    if processes and processes.rank:
        return _follow(processes, where.store)
    facts = {"name": arguments.name, "max_steps": arguments.max_steps, "launcher": _launcher() if processes else None}
    if arguments.seeds:
        return _train_seeds(arguments, graph, prepared, where.runs)
    run = _restarted(where.runs) if processes else None
    again = run is not None
    run = run or launch.create(graph, prepared.fingerprint, where.runs, **facts)
    _say_run(arguments, run)
    from cortex.status import Status

    return _work(arguments, run, Status(run, again=again), queued=not arguments.now, processes=processes)


def ready(graph: Graph, arguments: argparse.Namespace) -> Prepared:
    """The data of a graph that can be trained here; UserError says what stands in the way."""
    import sys

    from cortex import data, graph_source
    from cortex.builder import plan

    refuse(plan(graph).issues)
    _check_device(graph)
    node = graph_source.source_node(graph)
    prepared = prepared_for(node, places_of(arguments), Told(sys.stderr.isatty()))
    refuse(plan(graph, *prepared.sizes).issues)
    short = data.too_short(node, prepared)
    if short:
        raise UserError(f"{node.id}: {short}; set seq_len to at most {prepared.count('train')}, or give a longer text")
    return prepared


def _with_budget(graph: Graph, arguments: argparse.Namespace) -> Graph:
    return graph.with_training("max_minutes", arguments.max_minutes) if arguments.max_minutes else graph


def _check_device(graph: Graph) -> None:
    from cortex.builder import train_config
    from cortex.config import TrainingError
    from cortex.device import pick_device

    try:
        pick_device(train_config(graph).device)
    except TrainingError as error:
        raise UserError(str(error)) from None


def _start_created(arguments: argparse.Namespace, run: Run) -> int:
    """Take up a run that a page has created; the same process from then on."""
    if run.status().get("pid") is not None:  # its state hangs on the clock: a worker may be slow to start
        raise UserError(f"run {run.id} is {run.state()}; only a run that was just created can be started; see resume")
    given = (arguments.preset, arguments.settings, arguments.name, arguments.max_steps, arguments.max_minutes, arguments.seeds)
    if any(given):
        raise UserError(f"run {run.id} was created with its settings; no other option but --json and --now goes with it")
    from cortex.status import Status

    return _work(arguments, run, Status(run), queued=not arguments.now)


def resume(arguments: argparse.Namespace) -> int:
    """Go on with a run from its last checkpoint."""
    from cortex.launch import check_resumable
    from cortex.status import Status

    run = find_run(arguments.run, places_of(arguments).runs)
    if not run.requested("resume"):  # a page has asked for this very worker
        check_resumable(run)
    processes = _join_others(run.graph())
    if processes and processes.rank:
        return _follow(processes, places_of(arguments).store)
    status = Status(run, again=True)
    return _work(arguments, run, status, queued=not arguments.now, processes=processes)


def extend(arguments: argparse.Namespace) -> int:
    """Train further in a child run."""
    from cortex import launch
    from cortex.status import Status

    _alone("extend")
    parent = find_run(arguments.run, places_of(arguments).runs)
    if bool(arguments.epochs) == bool(arguments.steps):
        raise UserError("give either --epochs N or --steps N")
    run = launch.extend(parent, steps=arguments.steps or 0, epochs=arguments.epochs or 0, name=arguments.name)
    _say_run(arguments, run)
    return _work(arguments, run, Status(run), queued=not arguments.now)


def _work(arguments: argparse.Namespace, run: Run, status: Status, *, queued: bool, processes: Ranks | None = None) -> int:
    from cortex.worker import work

    reporter = Reporter(arguments.json)
    store = places_of(arguments).store
    state = work(run, store, status, on_event=reporter, queued=queued and not processes, processes=processes)
    _leave_others(processes)
    return _ended(arguments, run, state, reporter)


def _say_run(arguments: argparse.Namespace, run: Run) -> None:
    if arguments.json:
        print_json({"event": "run", "run": run.id, "directory": str(run.path)})
    else:
        print(f"run {run.path}", flush=True)


def _ended(arguments: argparse.Namespace, run: Run, state: str, reporter: Reporter) -> int:
    reporter.close()
    row = summary(run)
    if arguments.json:
        print_json({"event": "summary", **row})
    elif row["best_loss"] is not None:
        print(_result(row))
    if state == "failed":
        import sys

        print(f"run {run.id} failed: {row['error']}", file=sys.stderr)
    return FAILED if state == "failed" else OK


def _result(row: dict[str, Any]) -> str:
    if row["best_loss"] is None:
        return f"{row['run']}: {row['state']}" + (f", {row['error']}" if row["error"] else "")
    found = f", perplexity {perplexity(row['best_perplexity'])}" if row["best_perplexity"] is not None else ""
    found += f", {row['metric']} {share(row['best_metric'])}" if row["best_metric"] is not None else ""
    best = f"best validation loss {loss(row['best_loss'])}{found} at step {row['best_step']:,}"
    return f"{row['state']} after {row['step']:,} steps: {best}"


# Several seeds


def _train_seeds(arguments: argparse.Namespace, graph: Graph, prepared: Prepared, root: Path) -> int:
    """Workers of their own go through the queue; this process waits for them and tells."""
    from cortex import launch

    facts = {"name": arguments.name, "max_steps": arguments.max_steps}
    runs = launch.create_seeds(graph, prepared.fingerprint, root, arguments.seeds, **facts)
    children = [launch.spawn(run) for run in runs]
    for run in runs:
        _say_run(arguments, run)
    try:
        for run, child in zip(runs, children, strict=True):
            child.wait()
            _tell_seed(arguments, run)
    except KeyboardInterrupt:
        for run in runs:
            if run.state() in ACTIVE:
                run.request("stop")
        for child in children:
            child.wait()
        return INTERRUPTED
    rows = [summary(run) for run in runs]
    found = [row["best_perplexity"] for row in rows if row["best_perplexity"] is not None]
    if len(found) > 1 and not arguments.json:
        import statistics

        spread = statistics.stdev(found)
        print(f"best perplexity over {len(found)} seeds: mean {statistics.mean(found):,.1f}, standard deviation {spread:,.2f}")
    return FAILED if any(row["state"] == "failed" for row in rows) else OK


def _tell_seed(arguments: argparse.Namespace, run: Run) -> None:
    row = summary(run)
    if arguments.json:
        print_json({"event": "summary", **row})
    else:
        print(f"{row['name']}: {_result(row)}", flush=True)


# Several processes under torchrun


def _join_others(graph: Graph) -> Ranks | None:
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    from cortex import ranks
    from cortex.builder import train_config
    from cortex.device import pick_device

    device = ranks.local_device(pick_device(train_config(graph).device))
    return ranks.join(device)


def _alone(what: str) -> None:
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise UserError(f"torchrun does not go with {what}; it trains a GRAPH.json, or resumes a run")


def _leave_others(processes: Ranks | None) -> None:
    if processes:
        from cortex import ranks

        ranks.leave()


def _follow(processes: Ranks, store: Path) -> int:
    from cortex.session import Follower

    Follower(processes.share(None), store, processes).train()
    _leave_others(processes)
    return OK


def _launcher() -> dict[str, Any]:
    """The process that starts all of them again when one has failed."""
    return {"pid": os.getppid(), "started": process_started(os.getppid())}


def _restarted(root: Path) -> Run | None:
    """The run that this launcher began, where it has started its processes again."""
    from cortex.ranks import restarts

    if not restarts():
        return None
    mine = [run for run in list_runs(root) if _launcher_of(run) == _launcher()]
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


# What is asked of a run


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
