"""The table of runs: one row a run, or one a group of runs; what is ticked is kept by run, never by place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from cortex import run_columns as columns
from cortex import run_groups, run_settings, units
from cortex.comparable import predicts
from cortex.run_columns import COLUMNS
from cortex.spread import mean_interval
from ui import runs_view
from ui.runs_view import View

_DRAWN = "runs.drawn"  # of each row of the table as the browser has it: the runs that it stands for
TICKED = "runs.ticked"  # set for one script run: somebody has ticked something
_MOST_HEIGHT = 318
_ROW, _HEAD = 35, 38
_WIDTHS = {
    "name": 190, "state": 86, "tokenizer": 82, "device": 70, "source": 100, "best_perplexity": 88, "best_loss": 66,
    "best_step": 76, "bits_per_byte": 100, "parameters": 96, "tokens": 104, "note": 200, "error": 260,
}  # fmt: skip


def first_look(rows: Sequence[dict[str, Any]]) -> None:
    """The table before the settings are known, with nothing to tick yet."""
    frame, config = _run_frame(rows, columns.shown_by_themselves(rows))
    st.dataframe(frame, hide_index=True, placeholder=units.UNKNOWN, height=_height(len(frame)), column_config=config)


def table(view: View) -> None:
    """Draw the table. Ticking sets TICKED and keeps the runs in the URL."""
    if view.by:
        groups = run_groups.groups_in_order(run_groups.grouped(view.rows, view.by), view.sort, view.reverse)
        frame, config = _group_frame(groups, view.by)
        members = [[row["run"] for row in group.rows] for group in groups]
    else:
        frame, config = _run_frame(view.rows, view.keys)
        members = [[row["run"]] for row in view.rows]
    key = f"runs.table.{view.by or 'runs'}"
    ticked = set(runs_view.chosen_ids())
    wanted = [place for place, runs in enumerate(members) if runs and ticked.issuperset(runs)]
    drawn = st.session_state.get(_DRAWN)
    state = st.session_state.get(key)
    if state is not None and (drawn != members or sorted(state["selection"]["rows"]) != wanted):
        st.session_state[key] = {"selection": {"rows": wanted, "columns": [], "cells": []}}  # the same runs at new places
    st.session_state[_DRAWN] = members
    st.dataframe(
        frame, key=key, hide_index=True, placeholder=units.UNKNOWN, selection_mode="multi-row",
        on_select=lambda: _tick(key), height=_height(len(frame)), column_config=config,
        selection_default={"selection": {"rows": wanted}},
    )  # fmt: skip


def _height(rows: int) -> int:
    return min(_HEAD + _ROW * max(rows, 1), _MOST_HEIGHT)


def _tick(key: str) -> None:
    members = st.session_state.get(_DRAWN) or []
    rows = st.session_state[key]["selection"]["rows"]
    now = [run for place in rows if place < len(members) for run in members[place]]
    shown = {run for runs in members for run in runs}
    hidden = [run for run in runs_view.chosen_ids() if run not in shown]  # ticked before they were filtered out
    runs_view.choose([*hidden, *now])
    st.session_state[TICKED] = True


def _run_frame(rows: Sequence[dict[str, Any]], keys: Sequence[str]) -> tuple[pd.DataFrame, dict[str, Any]]:
    frame: dict[str, Any] = {}
    config: dict[str, Any] = {}
    for key in keys:
        name = columns.title(key) if columns.title(key) not in frame else key
        values = [columns.value(row, key) for row in rows]
        frame[name], config[name] = _cells(values, key)
    if not frame:
        return pd.DataFrame(index=range(len(rows))), {}
    return pd.DataFrame(frame), config


def _cells(values: list[Any], key: str) -> tuple[Any, Any]:
    """The values of a column as the table takes them, and how it shows them."""
    column = COLUMNS.get(key)
    form, help = (column.form, column.help) if column else ("setting", f"The setting {key}.")
    number = st.column_config.NumberColumn
    if form == "flag":
        return ["★" if value else "" for value in values], st.column_config.TextColumn("★", width=36, help=help, pinned=True)
    if form == "date":
        return _dates(values), st.column_config.DatetimeColumn(format="D MMM HH:mm", width=96, help=help)
    if form == "share":
        shares = [None if value is None else 100 * value for value in values]
        return shares, st.column_config.ProgressColumn(format="%.0f%%", min_value=0, max_value=100, width=92, help=help)
    if form == "list":
        return [value or [] for value in values], st.column_config.ListColumn(width=110, help=help)
    if form == "time":
        return [units.duration(value) if value is not None else None for value in values], st.column_config.TextColumn(
            width=92, help=help, alignment="right"
        )
    if form in ("count", "loss", "perplexity"):
        shown = {"count": "%,.0f", "loss": "%.3f", "perplexity": "%,.1f"}[form]
        return _numbers(values), number(format=shown, help=help, width=_WIDTHS.get(key, 92))
    if form == "setting" and all(type(value) in (int, float) or value is None for value in values):
        return _numbers(values), number(help=help, width=92)
    width = _WIDTHS.get(key, 92 if form == "setting" else 130)
    texts = [None if value is None or value == "" else " ".join(str(value).split())[:300] for value in values]
    return texts, st.column_config.TextColumn(width=width, help=help, pinned=key in ("state", "name"))


def _dates(values: list[Any]) -> Any:
    return pd.to_datetime(pd.Series(values, dtype=object), errors="coerce", utc=True, format="ISO8601").dt.tz_convert(_zone())


def _zone() -> str:
    return st.context.timezone or "UTC"


def _numbers(values: list[Any]) -> Any:
    return pd.Series([value if type(value) in (int, float) else None for value in values], dtype="Float64")


def _group_frame(groups: Sequence[run_groups.Group], by: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """n, mean and 95 % interval of each group; a dash where its runs do not predict the same tokens."""
    settings = run_settings.differing_settings([row for group in groups for row in group.rows])[: columns.MOST_SETTINGS]
    settings = [name for name in settings if columns.title(name) != columns.title(by)]
    head = {run_groups.BY_SEEDS: "configuration", run_groups.BY_GROUP: "group"}.get(by) or columns.title(by)
    table: list[dict[str, Any]] = []
    for group in groups:
        done = [row for row in group.rows if row["best_loss"] is not None]
        alike = len({predicts(row) for row in done}) == 1
        same = done if alike else []
        perplexity, loss = (mean_interval([row[key] for row in same]) for key in ("best_perplexity", "best_loss"))
        bits = [row["bits_per_byte"] for row in done]
        texts = {row["validation_text"] for row in done}
        bits_mean = mean_interval(bits if bits and None not in bits and len(texts) == 1 else [])
        best = min(same, key=lambda row: row["best_loss"], default=None)
        states = Counter(row["state"] for row in group.rows)
        table.append(
            {
                head: group.name, "runs": len(group.rows), "n": len(done),
                "mean perplexity": perplexity.mean, "± perplexity": _half(perplexity),
                "mean loss": loss.mean, "± loss": _half(loss), "mean bits/byte": bits_mean.mean,
                "± bits": _half(bits_mean), "best perplexity": best["best_perplexity"] if best else None,
                "best run": best["name"] if best else None,
                "states": ", ".join(f"{count} {state}" for state, count in states.most_common()),
                **{columns.title(name): _shared(group.rows, name) for name in settings},
            }
        )  # fmt: skip
    number = st.column_config.NumberColumn
    wide = "Half the width of the 95 % confidence interval of the mean (Student t); a dash for fewer than two runs."
    mixed = "A dash where the runs of the group do not predict the same tokens."
    config = {
        head: st.column_config.TextColumn(width=250, pinned=True),
        "n": number(width=48, help="Runs with at least one validation: those that the means are of."),
        "runs": number(width=56),
        "mean perplexity": number(format="%,.1f", width=110, help=f"Of the best perplexities. {mixed}"),
        "± perplexity": number(format="%,.2f", width=96, help=wide),
        "mean loss": number(format="%.3f", width=90, help=f"Of the lowest validation losses. {mixed}"),
        "± loss": number(format="%.4f", width=80, help=wide),
        "mean bits/byte": number(format="%.3f", width=110),
        "± bits": number(format="%.4f", width=80, help=wide),
        "best perplexity": number(format="%,.1f", width=100),
    }
    frame = pd.DataFrame(table, columns=list(table[0]) if table else [head])
    return frame.dropna(axis="columns", how="all"), config


def _shared(rows: Sequence[dict[str, Any]], name: str) -> str | None:
    """The value of a setting that all runs of a group have; None where they differ in it."""
    values = {columns.in_words(columns.value(row, name), name) for row in rows}
    return values.pop() if len(values) == 1 else None


def _half(interval: Any) -> float | None:
    return (interval.high - interval.low) / 2 if interval.low is not None else None
