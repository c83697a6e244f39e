"""What is folded away on the Data page: frequencies, lengths of lines, duplicates; drawn only while open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from cortex.statistics import duplicates_in_words
from ui.plain import plain
from ui.plot import show_chart
from ui.strokes import frame_layout
from ui.theme import PALETTE, theme

# From this share of duplicate lines on the page warns before anything is unfolded.
_WARNS = 0.01
_MOST_LABELS = 40
_COLOURS = {"train": PALETTE[0], "validation": PALETTE[5], "test": PALETTE[2]}


def folds(found: dict[str, Any], fingerprint: str) -> None:
    """Each part under its name, closed at first."""
    worst = _worst(found)
    if worst:
        st.warning(
            plain(f"Duplicates between splits: {duplicates_in_words(worst, found['least'])}."), icon=":material/content_copy:"
        )
    parts: dict[str, Callable[[], None]] = {
        "Frequencies": lambda: _frequencies(found, fingerprint),
        "Lengths of lines": lambda: _lengths(found, fingerprint),
        "Duplicates between splits": lambda: _duplicates(found),
    }
    for name, draw in parts.items():
        part = st.expander(name, on_change="rerun", key=f"data.open.{name}")
        if part.open:
            with part:
                draw()


def label_row(labels: list[list[Any]], fingerprint: str) -> None:
    """How often each label occurs, as a share of its split."""
    shown, names = labels[:_MOST_LABELS], ("training", "validation", "test")
    chart = go.Figure()
    for place, (split, colour) in enumerate(_COLOURS.items(), 1):
        whole = sum(row[place] for row in labels)
        if whole:
            chart.add_bar(
                x=[row[0] for row in shown], y=[100 * row[place] / whole for row in shown], name=names[place - 1],
                marker=dict(color=colour, opacity=0.45 if split == "train" else 0.9), hovertemplate="%{y:.1f} %",
                customdata=[row[place] for row in shown],
            )  # fmt: skip
    look = theme()
    frame_layout(chart, look, f"Labels: {len(labels):,}", 280)
    grid = dict(gridcolor=look.line, zeroline=False, automargin=True, linecolor=look.line)
    chart.update_xaxes(type="category", **grid, showgrid=False)
    chart.update_yaxes(title="% of a split", **grid)
    show_chart(chart, key=f"data.labels.{fingerprint}")
    common = max(labels, key=lambda row: row[2])
    told = sum(row[2] for row in labels)
    if told:
        st.caption(
            plain(f"Always saying {common[0]} would be right for {common[2] / told:.1%} of the validation labels: what the "
            "accuracy of a model has to beat.")
        )  # fmt: skip


def _worst(found: dict[str, Any]) -> dict[str, Any] | None:
    """The pair of splits with the largest share of duplicates, where that is worth a warning."""
    rows = [row for row in found["duplicates"] if row["compared"] and row["repeated"] / row["compared"] >= _WARNS]
    return max(rows, key=lambda row: row["repeated"] / row["compared"], default=None)


def _frequencies(found: dict[str, Any], fingerprint: str) -> None:
    sizes = found["vocabulary"]
    shares = ", ".join(f"{count:,} tokens make up {share:.0%}" for share, count in sizes["covering"])
    st.caption(
        f"{shares} of the training text. {sizes['seen']:,} of the {sizes['size']:,} tokens of the vocabulary occur in it, "
        f"{sizes['once']:,} of them once."
    )
    chart, most, least = st.columns([1.4, 1, 1])
    with chart:
        show_chart(_ranks(found), key=f"data.ranks.{fingerprint}")
    most.dataframe(_table(found["frequent"], "most frequent"), hide_index=True, height=330)
    least.dataframe(_table(found["rarest"], "rarest"), hide_index=True, height=330)


def _table(rows: list[list[Any]], title: str) -> pd.DataFrame:
    # White space would not be seen.
    shown = [text.replace("\n", "↵").replace("\t", "⇥").replace(" ", "␣") for _, text, _ in rows]
    return pd.DataFrame({title: shown, "times": [times for *_, times in rows], "id": [token for token, *_ in rows]})


def _ranks(found: dict[str, Any]) -> go.Figure:
    look, chart = theme(), go.Figure()
    ranks, times = zip(*found["ranks"], strict=True)
    chart.add_scatter(
        x=ranks, y=times, mode="lines+markers", line=dict(color=PALETTE[0], width=2), marker=dict(size=4),
        hovertemplate="%{y:,} times", name="",
    )  # fmt: skip
    frame_layout(chart, look, "Frequency by rank", 330)
    grid = dict(
        gridcolor=look.line, zeroline=False, automargin=True, linecolor=look.line, type="log", dtick=1, tickformat=",~s"
    )
    chart.update_xaxes(title="rank of the token", **grid, showgrid=False)
    chart.update_yaxes(title="times in training text", **grid)
    return chart


def _lengths(found: dict[str, Any], fingerprint: str) -> None:
    if not found["line_ends"]:
        st.caption("This tokenizer has no token for a line's end, so lines cannot be told apart.")
        return
    show_chart(_histogram(found), key=f"data.lengths.{fingerprint}")
    told = []
    for split, part in found["splits"].items():
        if part["lines"]:
            most, beyond = part["histogram"][-1][0] - 1, part["histogram"][-1][2]
            longer = f", {beyond:,} longer than {most:,}" if beyond else ""
            name, half = "training" if split == "train" else split, part["median_length"]
            told.append(f"{name}: {part['lines']:,} lines, half of them up to {half:,} tokens{longer}")
    st.caption(". ".join(told) + ". A line's end counts as a token.")


def _histogram(found: dict[str, Any]) -> go.Figure:
    look, chart = theme(), go.Figure()
    for split, part in found["splits"].items():
        if not part["lines"]:
            continue
        bars = part["histogram"][:-1]
        shares = [100 * lines / part["lines"] for *_, lines in bars]
        middles = [(low + high) / 2 for low, high, _ in bars]
        if split == "train":
            chart.add_bar(
                x=middles, y=shares, name="training", marker=dict(color=_COLOURS[split], opacity=0.45),
                width=bars[0][1] - bars[0][0] + 1, hovertemplate="%{y:.2f} %",
            )  # fmt: skip
        else:
            chart.add_scatter(
                x=middles, y=shares, name=split, mode="lines", line=dict(color=_COLOURS[split], width=2),
                hovertemplate="%{y:.2f} %",
            )  # fmt: skip
    frame_layout(chart, look, "Lengths of lines", 300)
    grid = dict(gridcolor=look.line, zeroline=False, automargin=True, linecolor=look.line)
    chart.update_xaxes(title="tokens in a line", **grid, showgrid=False)
    chart.update_yaxes(title="% of the lines", **grid)
    chart.update_layout(bargap=0.05)
    return chart


def _duplicates(found: dict[str, Any]) -> None:
    st.caption(
        f"Lines of at least {found['least']} tokens that stand in two splits, token for token: a model has seen them when it "
        "is judged by them. Shorter lines repeat in any text. Where words are `<unk>`, lines that differ in those words alone "
        "count as the same."
    )
    for row in found["duplicates"]:
        st.markdown(plain(f"{duplicates_in_words(row, found['least'])}."))
        if row["examples"]:
            st.code("\n".join(row["examples"]), language=None, wrap_lines=True)
