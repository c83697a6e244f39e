"""Verb: sweep, which starts a sweep, resumes it or asks it to stop."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from cortex.report import print_json
from cortex.sweep import METHODS, OBJECTIVES, Sweep, find_sweep
from cortex.trials import Trial, best_of, overview, stop_sweep, trials
from cortex.units import count, loss
from cortex.verbs.common import FAILED, INTERRUPTED, OK, Told, UserError, load_graph, places_of
from cortex.verbs.numbers import between, positive

if TYPE_CHECKING:
    from cortex.graph import Graph
    from cortex.space import Axis
    from cortex.sweep_check import Checker
    from cortex.sweep_making import Settings

TRIALS = 20  # of a method that draws


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the verb sweep, besides its graph."""
    lists = (
        "values of a setting, every combination once: training.lr=1e-4,3e-4, five of a range: training.lr=log:1e-4..1e-2x5, "
        "all of a range: model.nhead=int:1..4; may be repeated"
    )
    parser.add_argument("--grid", action="append", default=[], metavar="KEY=VALUES", help=lists)
    ranges = "draw a setting: training.lr=log:1e-5..1e-2, model.dropout=0..0.3, nodes.data.seq_len=int:32..128, or a list"
    parser.add_argument("--random", action="append", default=[], metavar="KEY=RANGE", help=ranges)
    parser.add_argument("--method", choices=METHODS, help="default: grid, or random where --random is given; tpe needs Optuna")
    parser.add_argument("--trials", type=positive, metavar="N", help=f"trials that are drawn (default: {TRIALS})")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of what is drawn, not of the trials (default: 1)")
    parser.add_argument("--max-steps", type=positive, metavar="N", help="end each trial after N steps; changes nothing else")
    parser.add_argument(
        "--max-minutes", type=between(0.01, 1e6), metavar="M", help="time budget of each trial; its schedule is fitted"
    )
    parser.add_argument("--epochs", type=positive, metavar="N", help="length of each trial, and of its schedule")
    early = "stop a trial whose best so far is worse than the median of the others' at the same step"
    parser.add_argument("--early-stop", action="store_true", help=early)
    parser.add_argument("--grace", type=positive, metavar="N", help="validations of a trial that --early-stop never judges")
    parser.add_argument("--name", help="name of the sweep (default: that of the graph)")
    parser.add_argument("--dry-run", action="store_true", help="prepare and check everything, say what it takes, start nothing")
    parser.add_argument("--resume", metavar="SWEEP", help="go on with a sweep: its id, name or directory")
    parser.add_argument("--stop", metavar="SWEEP", help="ask a sweep to stop as a whole; --resume goes on with it")


_OF_NEW = (
    "graph", "preset", "recipe", "settings", "grid", "random", "method", "trials", "max_steps", "max_minutes", "epochs",
    "early_stop", "grace", "name", "dry_run",
)  # fmt: skip


def sweep(arguments: argparse.Namespace) -> int:
    """Start a sweep and drive it to its end; or resume one, or ask one to stop."""
    if arguments.resume and arguments.stop:
        raise UserError("--resume and --stop are two things; give one of them")
    if arguments.resume or arguments.stop:
        given = next((name for name in _OF_NEW if getattr(arguments, name)), None)
        if given:
            option = {"graph": "a graph", "settings": "--set"}.get(given, f"--{given.replace('_', '-')}")
            asked = "resume" if arguments.resume else "stop"
            raise UserError(f"{option} does not go with --{asked}; a sweep keeps its settings")
        found = find_sweep(arguments.resume or arguments.stop, places_of(arguments).runs)
        return _drive(arguments, found) if arguments.resume else _stop(found)
    return _start(arguments)


def _stop(found: Sweep) -> int:
    stop_sweep(found)
    print(f"asked sweep {found.id} to stop; its running trials pause, and --resume {found.id} goes on with them")
    return OK


def _start(arguments: argparse.Namespace) -> int:
    from cortex.data import prepare
    from cortex.sweep_check import Checker, SpaceError, planned_trials
    from cortex.sweep_making import make_sweep

    graph, where = load_graph(arguments), places_of(arguments)
    axes, settings = _axes(graph, arguments), _settings(graph, arguments)
    graph = _with_budget(graph, axes, settings)
    told = Told(sys.stderr.isatty() or arguments.dry_run)
    checker = Checker(graph, [axis.key for axis in axes], lambda node: prepare(node, where.store, told))
    try:
        if arguments.dry_run:
            chosen, faults = planned_trials(checker, axes, settings.method, settings.count, settings.seed)
            _say_plan(arguments, checker, settings, chosen, [{"values": f.values, "fault": f.message} for f in faults])
            return OK
        made = make_sweep(where.runs, checker, axes, settings)
    except SpaceError as error:
        raise UserError(str(error)) from None
    record = made.record()
    if arguments.json:
        print_json({"event": "sweep", "sweep": made.id, "directory": str(made.path)})
    else:
        print(f"sweep {made.path}", flush=True)
    _say_plan(arguments, checker, settings, record["trials"], record["skipped"])
    return _drive(arguments, made)


def _axes(graph: Graph, arguments: argparse.Namespace) -> list[Axis]:
    from cortex.edit import SettingError
    from cortex.space import parse_axis
    from cortex.sweep_check import of_a_grid

    found = []
    for option in ("grid", "random"):
        for text in getattr(arguments, option):
            try:
                found.append(parse_axis(graph, text))
            except SettingError as error:
                raise UserError(f"--{option} {text}: {error}") from None
            if option == "grid" and found[-1].listed is None:
                raise UserError(f"--grid {text}: {of_a_grid(found[-1])}; --random draws from a range")
    if not found:
        raise UserError("nothing is varied; give --grid KEY=VALUE,VALUE or --random KEY=LOW..HIGH: training.lr=1e-4,1e-3")
    return found


def _settings(graph: Graph, arguments: argparse.Namespace) -> Settings:
    from cortex.hopeless import GRACE, OTHERS
    from cortex.sweep_making import Settings

    budgets = {"steps": arguments.max_steps, "minutes": arguments.max_minutes, "epochs": arguments.epochs}
    budget = {name: value for name, value in budgets.items() if value}
    if len(budget) > 1:
        raise UserError("give one budget of a trial: --max-steps, --max-minutes or --epochs")
    method = arguments.method or ("random" if arguments.random else "grid")
    if method == "grid" and arguments.trials:
        raise UserError("--trials does not go with a grid, which tries every combination; --method random draws some of them")
    if arguments.grace and not arguments.early_stop:
        raise UserError("--grace has no effect without --early-stop")
    if not 0 <= arguments.seed < 2**63:
        raise UserError(f"--seed {arguments.seed}: expected a whole number from 0 to 2^63 - 1")
    early = {"grace": arguments.grace or GRACE, "others": OTHERS} if arguments.early_stop else None
    name = arguments.name or graph.name
    return Settings(name, method, arguments.trials or TRIALS, arguments.seed, budget, early)


def _with_budget(graph: Graph, axes: list[Axis], settings: Settings) -> Graph:
    """The graph that is checked and kept: with the budget in it, where that is a setting."""
    from cortex.sweep_check import with_budget

    taken = {"epochs": ("training.epochs", "training.steps"), "minutes": ("training.max_minutes",)}
    for budget in settings.budget:
        for axis in axes:
            if axis.key in taken.get(budget, ()):
                raise UserError(f"{axis.key} is varied and is the budget of each trial as well; give one of them")
    return with_budget(graph, settings.budget)


def _say_plan(
    arguments: argparse.Namespace,
    checker: Checker,
    settings: Settings,
    chosen: list[dict[str, Any]] | None,
    skipped: list[dict[str, Any]],
) -> None:
    from cortex.space import shown
    from cortex.sweep_check import trial_tokens

    number = settings.count if chosen is None else len(chosen)
    tokens = trial_tokens(checker, chosen, settings.budget)
    whole = None if tokens is None else sum(tokens) if chosen else tokens[0] * number
    if arguments.json:
        print_json({"event": "plan", "trials": number, "tokens": whole, "objective": checker.objective, "skipped": skipped})
        return
    for skip in skipped:
        print(f"skipped: {shown(skip['values'])}: {skip['fault']}", file=sys.stderr)
    asked = f" of {settings.count} asked for" if settings.method == "random" and number < settings.count else ""
    measure = OBJECTIVES[checker.objective]
    print(
        f"{number} {'trial' if number == 1 else 'trials'}{asked}, {settings.method}, compared by {measure}"
        + ("" if checker.objective == "best_loss" else ", since their tokens differ")
        + (f"; {count(whole)} training tokens at most" if whole else ""),
        flush=True,
    )
    if skipped:
        print(f"{len(skipped)} {'combination has' if len(skipped) == 1 else 'combinations have'} a fault and are not trained")


def _drive(arguments: argparse.Namespace, found: Sweep) -> int:
    from cortex.sweep_driver import Driver

    driver = Driver(found, places_of(arguments).store, hear=_Reporter(found, arguments.json))
    state = driver.run()
    return _ended(arguments, found, state, driver)


def _ended(arguments: argparse.Namespace, found: Sweep, state: str, driver: Any) -> int:
    known = trials(found)
    best = best_of(known)
    if arguments.json:
        print_json({"event": "summary", **overview(found, known)})
    else:
        over = sum(trial.loss is not None for trial in known)
        print(f"{state}: {over} of {len(known)} trials have a result" + (f"; best: {_told(found, best)}" if best else ""))
        if state == "stopped":
            print(f"python -m cortex sweep --resume {found.id} goes on with it")
    if state == "failed":
        print(f"sweep {found.id} failed: {driver.error()}", file=sys.stderr)
    if driver.interrupted:
        return INTERRUPTED
    return FAILED if state == "failed" or (state == "finished" and best is None) else OK


class _Reporter:
    """What a sweep's driver tells, as JSON lines or as lines for a person."""

    def __init__(self, found: Sweep, as_json: bool) -> None:
        self._sweep, self._json, self._count = found, as_json, found.record()["count"]
        self._best: float | None = min((t.loss for t in trials(found) if t.loss is not None), default=None)
        self._objective = OBJECTIVES[found.record()["objective"]]

    def __call__(self, event: dict[str, Any]) -> None:
        from cortex.space import shown

        if self._json:
            print_json(event)
            return
        at = f"trial {event['trial']} of {self._count}"
        if event["event"] == "trial":
            print(f"{at}: {'goes on' if event.get('resumed') else shown(event['values'])}", flush=True)
        elif event["event"] == "left":
            print(f"{at}: left as it is: {event['why']}", flush=True)
        else:
            found = event["loss"]
            better = found is not None and (self._best is None or found < self._best)
            self._best = found if better else self._best
            result = f"{self._objective} {loss(found)}{', best so far' if better else ''}"
            print(f"{at}: {event['state']}, {result}" + (f" ({event['why']})" if event["why"] else ""), flush=True)


def _told(found: Sweep, best: Trial) -> str:
    from cortex.space import shown

    return f"trial {best.number}, {OBJECTIVES[found.record()['objective']]} {loss(best.loss)} with {shown(best.values or {})}"
