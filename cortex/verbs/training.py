"""Verbs that train: train, resume, extend.

torch is imported late, so that a run is claimed at once.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex.graph import Graph
from cortex.report import Reporter, print_json
from cortex.run_summary import summary
from cortex.runs import ACTIVE, Run, find_run
from cortex.units import loss, perplexity, share
from cortex.verbs.common import FAILED, INTERRUPTED, OK, Told, UserError, load_graph, places_of, prepared_for, refuse

if TYPE_CHECKING:
    from cortex.ranks import Ranks
    from cortex.status import Status
    from cortex.store import Prepared
from cortex.verbs.torchrun import follow, join_others, launcher, leave_others, refuse_torchrun, restarted


def train(arguments: argparse.Namespace) -> int:
    """Train a graph, or start a run that was created."""
    folder = Path(arguments.graph) if arguments.graph else None
    if folder and os.path.isfile(folder / "run.json"):
        refuse_torchrun("a run that was created")
        return _start_created(arguments, Run(folder.absolute()))
    if arguments.seeds:
        refuse_torchrun("--seeds")
        if arguments.now:
            raise UserError("--now does not go with --seeds; CORTEXNODUS_SLOTS=N lets N runs train at once")
    from cortex import launch

    graph, where = _with_budget(load_graph(arguments), arguments), places_of(arguments)
    prepared = ready(graph, arguments)
    processes = join_others(graph)
    if processes and processes.rank:
        return follow(processes, where.store)
    facts = {"name": arguments.name, "max_steps": arguments.max_steps, "launcher": launcher() if processes else None}
    if arguments.seeds:
        return _train_seeds(arguments, graph, prepared, where.runs)
    run = restarted(where.runs) if processes else None
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
    from cortex.honest import leaks

    refuse(plan(graph).issues)
    _check_device(graph)
    node = graph_source.source_node(graph)
    prepared = prepared_for(node, places_of(arguments), Told(sys.stderr.isatty()))
    planned = plan(graph, *prepared.sizes)
    refuse(planned.issues or leaks(planned))
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
    processes = join_others(run.graph())
    if processes and processes.rank:
        return follow(processes, places_of(arguments).store)
    status = Status(run, again=True)
    return _work(arguments, run, status, queued=not arguments.now, processes=processes)


def extend(arguments: argparse.Namespace) -> int:
    """Train further in a child run."""
    from cortex import launch
    from cortex.status import Status

    refuse_torchrun("extend")
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
    leave_others(processes)
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
