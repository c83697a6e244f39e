"""Parts of a run that more than one page shows: what it was started with, its samples, its log."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from cortex import units
from cortex.runs import ACTIVE, RESUMABLE, Run, RunError
from ui import start
from ui.plain import plain


def commands(run: Run) -> None:
    """The command that trains the run now or takes it up again, where there is one, and the one that repeats it."""
    state = run.state()
    if state in (*ACTIVE, *RESUMABLE):
        st.caption("What trains it:" if state in ACTIVE else "To go on with it:")
        st.code(shlex.join(["python", *start.train_command(run)[1:]]), language="bash", wrap_lines=True)
    again = start.repeat_command(run)
    st.caption("To train the same again, in the folder of this project:" if again.words else "To train the same again:")
    if again.words:
        st.code(str(again), language="bash", wrap_lines=True)
    st.caption(plain(again.note))


def bits_line(row: Mapping[str, Any]) -> None:
    """Bits per byte, or why there are none."""
    if row["bits_per_byte"] is not None:
        st.write(f"Best validation: {row['bits_per_byte']:.3f} bits per byte")
    elif row["why_not_bits"]:
        st.text(f"Bits per byte: {units.UNKNOWN} ({row['why_not_bits']})")


def record(run: Run) -> None:
    """run.json as it is; where it cannot be read, nothing, since the page says so."""
    try:
        st.json(run.record(), expanded=1)
    except RunError:
        st.caption("run.json cannot be read.")


def samples(events: Sequence[Mapping[str, Any]], most: int) -> None:
    """What the model wrote after each validation, newest first, at most so many."""
    told = [event for event in events if event["event"] == "sample" and isinstance(event.get("text"), str)]
    if not told:
        st.caption("None yet; the model writes some words at each validation, unless sample_tokens is 0.")
    for event in told[: -most - 1 : -1]:
        step = event.get("step")
        st.caption(f"step {step:,}" if isinstance(step, int) else "step not known")
        st.code(f"{event.get('prompt') or ''}{event['text']}", language=None, wrap_lines=True)
    if len(told) > most:
        st.caption(f"The last {most:,} of {len(told):,}.")


def log(run: Run, lines: int = 40) -> None:
    """The last lines of the log."""
    st.code(run.log_tail(lines) or "nothing written yet", language=None)
