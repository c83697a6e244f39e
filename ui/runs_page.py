"""The Runs page: every run in a table, the chosen ones overlaid, what differs between them, and what can be taken away."""

from __future__ import annotations

import html
from typing import Any

import pandas as pd
import streamlit as st

from cortex import units
from cortex.builder import TRAINING
from cortex.graph import Graph
from cortex.params import complete
from cortex.registry import KINDS
from cortex.runs import ACTIVE, Run, RunError, list_runs
from ui import charts, comparing, page, reading, session, start
from ui.plain import plain
from ui.plot import show_chart
from ui.theme import PALETTE, theme

_TABLE = "runs.table"
_POLL_SECONDS = 2.0
_RESULTS = (
    "best validation perplexity", "best validation loss", "perplexity per word", "bits per byte", "at step", "parameters",
)  # fmt: skip
_RATES = {"accuracy": "accuracy", "f1": "F1", "exact": "exact"}


def show() -> None:
    """Draw the page."""
    page.begin("Runs")
    session.keep_in_url()
    runs = list_runs(session.where().runs)
    if not runs:
        st.info("No run yet. Open a preset on the Build page and press Train; each run then has a row here.")
        if st.button("Go to Build", type="primary"):
            st.switch_page("pages/build.py")
        return
    live = any(run.state() in ACTIVE for run in runs)
    st.fragment(_shown, run_every=_POLL_SECONDS if live else None)(live, len(runs))


def _shown(live: bool, count: int) -> None:
    """Table, charts and comparison, drawn again together while a run goes on, so that they never disagree."""
    runs = list_runs(session.where().runs)
    if len(runs) != count or live != any(run.state() in ACTIVE for run in runs):
        st.rerun()
    chosen = _table(runs, [reading.read_summary(run) for run in runs])
    if not chosen:
        st.caption("Tick runs at the left of the table to lay them over each other.")
        return
    _overlay([run.id for run in chosen])
    _differences(chosen)
    _downloads(chosen)


def _table(runs: list[Run], rows: list[dict[str, Any]]) -> list[Run]:
    """The table; the chosen runs come out, those of the URL when the page has just been opened."""
    told = {key for row in rows for key in row["best_metrics"] or {}}
    # Several tasks together leave no room for what only runs on one text are compared by.
    rates = {key: title for key, title in _RATES.items() if key in told and key != "exact"}
    frame = pd.DataFrame(
        {
            "name": [row["name"] for row in rows],
            "state": [row["state"] for row in rows],
            "progress": [(row["step"] or 0) / row["last_step"] if row["last_step"] else None for row in rows],
            **({"task": [row["task"] for row in rows]} if rates else {}),
            "perplexity": [row["best_perplexity"] for row in rows],
            **{title: [_rate(row, key) for row in rows] for key, title in rates.items()},
            "loss": [row["best_loss"] for row in rows],
            "at step": [row["best_step"] for row in rows],
            "per word": [row["word_perplexity"] for row in rows],
            "bits per byte": [row["bits_per_byte"] for row in rows],
            "data": [row["source"] for row in rows],
            **({} if rates else {"vocabulary": [row["vocabulary"] for row in rows]}),
            "parameters": [row["parameters"] for row in rows],
            **({} if rates else {"tokens seen": [row["tokens"] for row in rows]}),
            "tokens/s": [row["tokens_per_second"] for row in rows],
            "minutes": [row["elapsed"] / 60 if row["elapsed"] else None for row in rows],
            "started": [pd.to_datetime(row["created"]) for row in rows],
        }
    )
    number = st.column_config.NumberColumn
    event = st.dataframe(
        frame,
        # Rows are chosen by their place: other runs make another table, which takes the choice from the URL.
        key=f"{_TABLE}.{hash(tuple(run.id for run in runs))}",
        hide_index=True,
        placeholder=units.UNKNOWN,
        on_select="rerun",
        selection_mode="multi-row",
        height=min(38 + 35 * len(rows), 320),
        column_config={
            "progress": st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0, width="small"),
            "perplexity": number(
                format="%,.1f",
                help="Per token: exp of the best validation loss. Compares runs on the same tokens.",
            ),
            "per word": number(
                format="%,.1f",
                help="Perplexity per word, whatever the tokens: exp(loss × tokens / words of the validation text). "
                "A dash where it would not be honest: words hidden by <unk>, or tokens that do not say where a word ends.",
            ),
            "loss": number(format="%.3f", help="The lowest of all validations: nats per token, text or tag by the task."),
            "accuracy": number(format="percent", help="Share of the answers that are right, at the lowest loss."),
            "F1": number(
                format="percent", width=72, help="Over spans where tags mark them, else the mean over classes (macro)."
            ),
            "at step": number(format="localized"),
            "bits per byte": number(
                format="%.3f", help="A dash where it would not be honest: words hidden by <unk>, or text lost."
            ),
            "vocabulary": number(format="localized"),
            "parameters": number(format="localized"),
            "tokens seen": number(format="localized"),
            "minutes": number(format="%.1f"),
            "tokens/s": number(format="%,.0f"),
            "started": st.column_config.DatetimeColumn(format="D MMM HH:mm"),
        },
        selection_default={"selection": {"rows": _from_url(runs)}},
    )
    chosen = [runs[index] for index in event.selection.rows if index < len(runs)]
    wanted = ",".join(run.id for run in chosen)
    if wanted and st.query_params.get("runs") != wanted:
        st.query_params["runs"] = wanted
    elif not wanted and "runs" in st.query_params:
        del st.query_params["runs"]
    return chosen


def _rate(row: dict[str, Any], key: str) -> float | None:
    return (row["best_metrics"] or {}).get(key)


def _from_url(runs: list[Run]) -> list[int]:
    wanted = st.query_params.get("runs", "").split(",")
    return [index for index, run in enumerate(runs) if run.id in wanted]


def _overlay(ids: list[str]) -> None:
    root = session.where().runs
    chosen = [run for run in list_runs(root) if run.id in ids]
    rows = {run.id: reading.read_summary(run) for run in chosen}
    names = reading.names(rows)
    honest = comparing.measures(list(rows.values()))
    why = comparing.why_not({names[name]: row for name, row in rows.items()})
    if why:
        st.warning(plain(why), icon=":material/balance:")
    left, right = st.columns(2)
    axis = left.segmented_control(
        "Horizontal axis", list(charts.AXES), default="step", key="runs.axis", format_func=charts.AXES.get, required=True
    )
    measure = right.segmented_control(
        "Measured by", honest, default=honest[0], key=f"runs.measure.{'-'.join(honest)}", required=True,
        format_func=lambda name: charts.METRICS[name][0], help=comparing.HELP,
    )  # fmt: skip
    curves = [reading.curve(run, root, names[run.id]) for run in chosen]
    levels = reading.levels(chosen, session.where().store)
    for column, metric in zip((left, right), dict.fromkeys(("loss", measure)), strict=False):
        across = levels if metric == "perplexity" else None
        chart = charts.figure(curves, metric, axis, theme(), height=380, levels=across)
        with column:
            show_chart(chart, key=f"runs.{metric}")
    if levels and measure == "perplexity":
        st.caption("Dashed: models that only count tokens, on the same validation split.")


def settings(run: Run) -> dict[str, Any]:
    """Every setting of a run by its name: of the training, and of each node."""
    graph: Graph = run.graph()
    flat = {f"training.{name}": value for name, value in complete(TRAINING, graph.training).items()}
    for node in graph.nodes:
        flat[f"{node.id}"] = node.kind
        params = KINDS[node.kind].params if node.kind in KINDS else {}
        flat |= {f"{node.id}.{name}": value for name, value in complete(params, node.params).items()}
    return flat


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
            **{title: units.share(_rate(row, key)) for key, title in _RATES.items() if _rate(row, key) is not None},
            "perplexity per word": units.perplexity(row["word_perplexity"]),
            "bits per byte": units.loss(row["bits_per_byte"]),
            "at step": units.UNKNOWN if row["best_step"] is None else f"{row['best_step']:,}",
            "parameters": units.count(row["parameters"]),
        }
        columns[names[run.id]] = best | {key: str(value) for key, value in flat.items()}
    frame = pd.DataFrame(columns)
    every = st.toggle("Show all settings", key="runs.all")
    if not every:
        results = frame.index.isin((*_RESULTS, *_RATES.values()))
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
