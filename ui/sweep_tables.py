"""The tables of the Sweeps page: every sweep, and the trials of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from cortex import units
from cortex.runs import RunError
from cortex.sweep import OBJECTIVES, Sweep
from cortex.trials import Trial, best_of, overview, trials
from ui import reading


def all_sweeps(sweeps: Mapping[str, Sweep]) -> None:
    """Every sweep in a row; ticking one shows it."""
    part = st.expander(f"All {len(sweeps):,} sweeps", on_change="rerun", key="sweep.open.all")
    if not part.open:
        return
    with part:
        rows = [overview(sweep, _known(sweep)) for sweep in sweeps.values()]
        frame = pd.DataFrame(
            {
                "name": [row["name"] for row in rows],
                "state": [row["state"] for row in rows],
                "over": [row["over"] / row["trials"] if row.get("trials") else None for row in rows],
                "trials": [row.get("trials") for row in rows],
                "method": [row.get("method") for row in rows],
                "best": [row.get("best") for row in rows],
                "compared by": [OBJECTIVES.get(row.get("objective")) for row in rows],
                "begun": [pd.to_datetime(row.get("created"), errors="coerce") for row in rows],
            }
        )
        event = st.dataframe(
            frame, key=f"sweep.all.{len(rows)}", hide_index=True, placeholder=units.UNKNOWN, on_select="rerun",
            selection_mode="single-row", height=min(38 + 35 * len(rows), 240),
            column_config={
                "over": st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0, width="small"),
                "best": st.column_config.NumberColumn(format="%.4f"),
                "begun": st.column_config.DatetimeColumn(format="D MMM HH:mm"),
            },
        )  # fmt: skip
        for index in event.selection.rows:
            if index < len(rows) and st.query_params.get("sweep") != rows[index]["sweep"]:
                st.query_params["sweep"] = rows[index]["sweep"]
                st.rerun()


def _known(sweep: Sweep) -> list[Trial] | None:
    try:
        return trials(sweep, reading.read_summary)
    except RunError:
        return None


def trials_table(sweep: Sweep, record: Mapping[str, Any], found: list[Trial], show_run: Callable[[str], None]) -> None:
    """Draw the trials; `show_run` is called with the run whose row is ticked."""
    rows = [trial.row or {} for trial in found]
    best = best_of(found)
    names = [axis["key"] for axis in record["space"]]
    columns: dict[str, list[Any]] = {
        "trial": [trial.number for trial in found],
        "state": [trial.state + (", best" if best and trial.number == best.number else "") for trial in found],
        **{name: _column([(trial.values or {}).get(name) for trial in found]) for name in names},
        "loss": [row.get("best_loss") for row in rows],
        "bits per byte": [row.get("bits_per_byte") for row in rows],
        "perplexity": [row.get("best_perplexity") for row in rows],
        "at step": [row.get("best_step") for row in rows],
        "parameters": [row.get("parameters") for row in rows],
        "minutes": [row["elapsed"] / 60 if row.get("elapsed") else None for row in rows],
        "why": [trial.why for trial in found],
    }
    hidden = {"loss", "perplexity"} if record["objective"] == "bits_per_byte" else {"bits per byte"}
    hidden |= {name for name in ("why", "minutes") if not any(columns[name])}
    hidden |= {"parameters"} if len(set(columns["parameters"]) - {None}) < 2 else set()
    frame = pd.DataFrame({name: values for name, values in columns.items() if name not in hidden})
    number = st.column_config.NumberColumn
    event = st.dataframe(
        frame,
        key=f"sweep.table.{sweep.id}.{sum(trial.run is not None for trial in found)}",
        hide_index=True,
        placeholder=units.UNKNOWN,
        on_select="rerun",
        selection_mode="single-row",
        height=min(38 + 35 * len(found), 360),
        column_config={
            "loss": number(format="%.4f", help="Lowest validation loss, nats per token."),
            "bits per byte": number(format="%.4f"),
            "perplexity": number(format="%,.1f"),
            "at step": number(format="localized"),
            "parameters": number(format="localized"),
            "minutes": number(format="%.2f"),
            **{name: number(format="%.4g") for name in names if frame[name].dtype.kind in "if"},
        },
    )
    st.caption("Tick a row to see its run. A head sorts.")
    for index in event.selection.rows:
        if index < len(found) and found[index].run:
            show_run(found[index].run.id)


def _column(values: list[Any]) -> list[Any]:
    """A column of one type, which a table can sort."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in known):
        return values
    return [None if value is None else str(value) for value in values]
