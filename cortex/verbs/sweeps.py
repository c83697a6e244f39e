"""Verb: sweeps, which lists the sweeps, or the trials of one, or puts one away."""

from __future__ import annotations

import argparse

from cortex.report import print_json, print_table
from cortex.run_summary import summary
from cortex.sweep import OBJECTIVES, Sweep, find_sweep, list_sweeps
from cortex.sweep_deleting import archived
from cortex.trials import best_of, overview, trials
from cortex.units import UNKNOWN, duration, loss
from cortex.verbs.common import OK, places_of
from cortex.verbs.sweep_away import check_away, put_away


def sweeps(arguments: argparse.Namespace) -> int:
    """The sweeps, or the trials of one; or one put away or deleted."""
    root = places_of(arguments).runs
    check_away(arguments)
    if arguments.sweep:
        found = find_sweep(arguments.sweep, root)
        return OK if put_away(arguments, found) else _list_trials(arguments, found)
    everything = [overview(found) | {"archived": archived(found)} for found in list_sweeps(root)]
    rows = [row for row in everything if arguments.archived or not row["archived"]]
    if arguments.json:
        for row in rows:
            print_json(row)
        return OK
    if not everything:
        print(f"no sweeps in {root}; python -m cortex sweep --preset small --grid training.lr=3e-4,1e-3 starts one")
        return OK
    print_table(
        ["sweep", "state", "trials over", "best", "compared by", "of trial", "time left"],
        [
            [row["sweep"], row["state"], f"{row['over']} of {row['trials']}", loss(row["best"]),
             OBJECTIVES.get(row["objective"], UNKNOWN), row["best_trial"] or UNKNOWN, duration(row["seconds_left"])]
            if row["state"] != "damaged" else [row["sweep"], f"damaged: {row['error']}"] + [""] * 5
            for row in rows
        ],
    )  # fmt: skip
    hidden = len(everything) - len(rows)
    if hidden:
        print(f"{hidden:,} archived {'sweep' if hidden == 1 else 'sweeps'} not listed; --archived lists them too")
    return OK


def _list_trials(arguments: argparse.Namespace, found: Sweep) -> int:
    from cortex.space import written

    known = trials(found, summary)
    if arguments.json:
        for trial in known:
            row = trial.row or {}
            facts = {"trial": trial.number, "run": trial.run.id if trial.run else None, "values": dict(trial.values or {})}
            facts |= {"state": trial.state, "loss": trial.loss, "why": trial.why}
            print_json(facts | {key: row.get(key) for key in ("best_step", "step", "elapsed", "best_loss", "bits_per_byte")})
        return OK
    keys = [axis["key"] for axis in found.record()["space"]]
    best = best_of(known)
    print_table(
        ["trial", "state", *keys, OBJECTIVES[found.record()["objective"]], "at step", "time", "run"],
        [
            [f"{trial.number}{' *' if trial is best else ''}", trial.state,
             *(written((trial.values or {}).get(key, UNKNOWN)) for key in keys), loss(trial.loss),
             (trial.row or {}).get("best_step") or UNKNOWN, duration((trial.row or {}).get("elapsed")),
             trial.run.id if trial.run else UNKNOWN]
            for trial in known
        ],
    )  # fmt: skip
    for trial in known:
        if trial.why:
            print(f"trial {trial.number}: {trial.why}")
    return OK
