"""Differences and downloads of the chosen runs."""

from __future__ import annotations

import html
from typing import Any

import pandas as pd
import streamlit as st

from cortex import units
from cortex.compare import settings as settings_of
from cortex.runs import Run, RunError
from ui import reading, session, start
from ui.plain import plain
from ui.theme import PALETTE

_RESULTS = (
    "best validation perplexity", "best validation loss", "perplexity per word", "bits per byte", "at step", "parameters",
)  # fmt: skip


def differences(rows: list[dict[str, Any]]) -> None:
    """What differs."""
    _differences([Run(session.where().runs / row["run"]) for row in rows])


def downloads(rows: list[dict[str, Any]]) -> None:
    """What can be taken away."""
    _downloads([Run(session.where().runs / row["run"]) for row in rows])


def settings(run: Run) -> dict[str, Any]:
    return settings_of(run.graph())


def _differences(chosen: list[Run]) -> None:
    st.subheader("What differs", anchor=False)
    columns: dict[str, dict[str, Any]] = {}
    rows = {run.id: reading.read_summary(run) for run in chosen}
    names = reading.names(rows)
    for run in chosen:
        row = rows[run.id]
        try:
            flat = settings(run)
        except RunError as error:
            st.error(plain(error))
            continue
        best = {
            "best validation perplexity": units.perplexity(row["best_perplexity"]),
            "best validation loss": units.loss(row["best_loss"]),
            "perplexity per word": units.perplexity(row["word_perplexity"]),
            "bits per byte": units.loss(row["bits_per_byte"]),
            "at step": units.UNKNOWN if row["best_step"] is None else f"{row['best_step']:,}",
            "parameters": units.count(row["parameters"]),
        }
        columns[names[run.id]] = best | {key: str(value) for key, value in flat.items()}
    frame = pd.DataFrame(columns)
    every = st.toggle("Show all settings", key="runs.all")
    if not every:
        results = frame.index.isin(_RESULTS)
        differs = frame.nunique(axis=1, dropna=False) > 1
        frame = frame[differs | results]
    st.dataframe(frame.fillna(units.UNKNOWN), width="stretch", height=min(38 + 35 * len(frame), 600))


def _downloads(chosen: list[Run]) -> None:
    st.subheader("Take away", anchor=False)
    for run in chosen:
        row = reading.read_summary(run)
        name, weights, tokenizer, document, look = st.columns([2.4, 1.6, 1.4, 1.4, 1.2], vertical_alignment="center")
        colour = PALETTE[reading.curve(run, run.path.parent, "").colour % len(PALETTE)]
        name.html(f'<span style="color:{colour}">●</span> {_escaped(row["name"])} <small>{_escaped(run.id)}</small>')
        best = run.checkpoint("best")
        if best.is_file():
            label = f"Weights, {units.size(best.stat().st_size)}"
            weights.download_button(
                label, lambda best=best: best.read_bytes(), f"{run.id}.safetensors", key=f"weights.{run.id}",
                width="stretch", on_click="ignore", help=f"The best weights, of step {row['best_step']:,}, as safetensors.",
            )  # fmt: skip
        else:
            weights.caption("no weights yet")
        words = run.path / "tokenizer.json"
        if words.is_file():
            tokenizer.download_button(
                "Tokenizer", words.read_bytes(), f"{run.id}-tokenizer.json", key=f"tokenizer.{run.id}",
                width="stretch", on_click="ignore",
            )  # fmt: skip
        if row["state"] != "damaged":
            document.download_button(
                "Document", start.document_of(run), f"{run.id}.json", key=f"document.{run.id}",
                width="stretch", on_click="ignore", help="The graph and training settings that the run was started with.",
            )  # fmt: skip
        look.button("Watch", key=f"watch.{run.id}", on_click=_watch, args=(run.id,), width="stretch")
    if st.session_state.pop(session.WATCH, False):
        st.switch_page("pages/train.py")


def _watch(run_id: str) -> None:
    st.session_state[session.RUN] = run_id
    st.session_state[session.WATCH] = True


def _escaped(text: str) -> str:
    return html.escape(text)
