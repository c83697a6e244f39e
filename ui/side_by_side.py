"""What the compared models write: their samples of the same step, and new text for the same prompt and seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from cortex import units
from cortex.comparison import Comparison, Subject
from cortex.curves import Columns
from cortex.runs import RunError
from ui import reading
from ui.plain import plain

Sample = dict[str, Any]
_ROW = 3  # texts beside each other
_WRITTEN = "compare.written"


def samples_part(found: Comparison) -> None:
    """Samples along the way, then a prompt for all of them."""
    st.subheader("Samples", anchor=False)
    samples = {subject.run.id: samples_of(reading.columns(subject.run)) for subject in found.subjects}
    steps = sorted({step for own in samples.values() for step in own})
    if not steps:
        st.caption("None of these runs has written a sample; they do at each validation, unless sample_tokens is 0.")
    else:
        shared = [step for step in steps if all(step in own for own in samples.values() if own)]
        step = (shared or steps)[-1]
        if len(steps) > 1:
            step = st.select_slider(
                "Step", steps, value=step, key=f"compare.step.{steps[0]}-{steps[-1]}", format_func="{:,}".format
            )
        _beside(found.subjects, lambda subject: _sample(samples[subject.run.id], step))
        prompts = {at[step].get("prompt") for at in samples.values() if step in at}
        if len(prompts) > 1:
            st.caption("Their prompts differ, so these texts do not answer the same question.")
    _write(found.subjects)


def samples_of(columns: Columns) -> dict[int, Sample]:
    """The samples of a run by their step."""
    events = (event for event in columns.others if event["event"] == "sample" and isinstance(event.get("text"), str))
    return {event["step"]: event for event in events if type(event.get("step")) is int}


def _sample(samples: dict[int, Sample], step: int) -> tuple[str, str]:
    """Where a text comes from, and the text: that of the step, else of the last one before it."""
    before = [at for at in samples if at <= step]
    if not before:
        return "no sample up to this step", ""
    at = max(before)
    event = samples[at]
    prompt = event.get("prompt") if isinstance(event.get("prompt"), str) else ""
    return f"step {at:,}" + ("" if at == step else ", the last one before"), f"{prompt}{event['text']}"


def _beside(subjects: Sequence[Subject], text_of: Callable[[Subject], tuple[str, str]]) -> None:
    for first in range(0, len(subjects), _ROW):
        row = subjects[first : first + _ROW]
        for column, subject in zip(st.columns(max(2, min(_ROW, len(subjects))))[: len(row)], row, strict=True):
            where, text = text_of(subject)
            with column:
                st.markdown(f"**{plain(subject.name)}**")
                st.caption(plain(where))
                if text:
                    st.code(text, language=None, wrap_lines=True)


def _write(subjects: Sequence[Subject]) -> None:
    """The same prompt and seed for the best weights of each run."""
    having = [subject for subject in subjects if subject.run.checkpoint("best").is_file()]
    if not having:
        return
    left, middle, right = st.columns([6, 1.5, 1.5], vertical_alignment="bottom")
    prompt = left.text_input("Prompt for all of them", key="compare.prompt", placeholder="empty: as a text begins")
    tokens = middle.number_input("Tokens", 1, 1000, 60, key="compare.tokens")
    seed = right.number_input("Seed", 0, 2**31 - 1, 1, key="compare.seed")
    size = sum(subject.run.checkpoint("best").stat().st_size for subject in having)
    label = (
        f"Write with {'both' if len(having) == 2 else 'the one that has weights' if len(having) == 1 else f'all {len(having)}'}"
    )
    if st.button(label, key="compare.write", icon=":material/edit_note:"):
        asked = {"prompt": prompt, "max_tokens": int(tokens), "seed": int(seed)}
        with st.spinner("Loading weights and writing …"):
            written = {subject.run.id: _written(subject, asked) for subject in having}
        st.session_state[_WRITTEN] = {**asked, "texts": written}
    st.caption(f"Loads the best weights of {len(having)}, {units.size(size)} in turn, and writes {tokens:,} tokens with each.")
    shown = st.session_state.get(_WRITTEN)
    if shown and shown["texts"].keys() & {subject.run.id for subject in subjects}:
        _beside(
            [subject for subject in subjects if subject.run.id in shown["texts"]],
            lambda subject: (f"best weights, seed {shown['seed']}, temperature 0.8", shown["texts"][subject.run.id]),
        )


def _written(subject: Subject, asked: dict[str, Any]) -> str:
    from cortex.checkpoints import load_trained
    from cortex.judge import continue_text

    sampling = {"max_tokens": asked["max_tokens"], "seed": asked["seed"], "temperature": 0.8}
    try:
        return asked["prompt"] + "".join(continue_text(load_trained(subject.run), asked["prompt"], **sampling))
    except RunError as error:
        return f"cannot be loaded: {error}"
