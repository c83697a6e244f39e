"""The Generate page: pick a run and ask it: a prompt that it goes on with, or a text of which it says something."""

from __future__ import annotations

import html
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import streamlit as st

from cortex.answers import AnswerError
from cortex.checkpoints import Trained, load_trained
from cortex.judge import continue_text, write_for
from cortex.params import Float, Int
from cortex.runs import CHECKPOINTS, Run, RunError, list_runs
from ui import forms, page, reading, session
from ui.answers_panel import answers_panel
from ui.plain import plain
from ui.theme import Theme, theme

SAMPLING = {
    "max_tokens": Int(default=100, low=1, high=5000, help="Tokens to write."),
    "temperature": Float(default=0.8, low=0.0, high=5.0, help="Below 1 keeps to likely tokens, above 1 dares more."),
    "top_k": Int(default=0, low=0, high=100_000, help="Only the k likeliest tokens can be drawn; 0 for all."),
    "top_p": Float(default=1.0, low=0.01, high=1.0, help="Only the likeliest tokens that together reach this probability."),
    "seed": Int(default=1, low=0, high=2**31 - 1, help="The same seed and settings write the same text."),
}  # fmt: skip


def show() -> None:
    """Draw the page."""
    page.begin("Generate")
    session.keep_in_url()
    usable = {run.id: run for run in list_runs(session.where().runs) if run.checkpoint("best").is_file()}
    if not usable:
        st.info("No trained weights yet. A run can write text after its first validation.", icon=":material/monitoring:")
        if st.button("Go to Build", type="primary"):
            st.switch_page("pages/build.py")
        return
    run, checkpoint, replaced = _choice(usable)
    try:
        trained = _load(str(run.path), checkpoint, run.checkpoint(checkpoint).stat().st_mtime_ns)
    except RunError as error:
        st.error(plain(error), icon=":material/error:")
        return
    if trained.task not in ("Text", "Pairs"):
        answers_panel(trained)
        return
    with st.sidebar:
        st.subheader("Sampling", anchor=False)
        sampling = {name: _setting(name) for name in SAMPLING}
    if trained.task == "Pairs":
        _pairs(trained, sampling, replaced)
        return
    prompt = st.text_area(
        "Prompt", key="generate.prompt", height=110, persist_state="session", placeholder="For example: O Romeo, Romeo,"
    )
    _marked(trained, prompt, theme())
    st.caption(
        f"Writes {sampling['max_tokens']:,} tokens. The model was trained on {trained.seq_len} tokens at a time and sees "
        "no more of what stands before; when they are full, the older half is forgotten."
    )
    if st.button("Write on", type="primary", icon=":material/edit_note:") and not replaced:
        _write(trained, prompt, sampling)
    elif session.WRITTEN in st.session_state:
        _shown(st, st.session_state[session.WRITTEN])


def _choice(usable: dict[str, Run]) -> tuple[Run, str, bool]:
    """The run, its weights, and whether it stands in for one that is not there any more."""
    left, right = st.columns([4, 1])
    wanted = st.query_params.get("run") or st.session_state.get(session.RUN)
    key = "generate.run"
    before = st.session_state.get(key) or st.query_params.get("run")
    replaced = before is not None and before not in usable
    if replaced:
        st.warning(
            plain(f"Run {before} is not there any more, or has no weights; another one is chosen."), icon=":material/info:"
        )
        st.query_params.pop("run", None)
    if st.session_state.get(key) not in usable:
        st.session_state[key] = wanted if wanted in usable else next(iter(usable))
    names = list(usable)
    name = left.selectbox(
        "Run", names, names.index(st.session_state[key]), key=key, format_func=lambda name: _label(usable[name]),
        persist_state="session",
    )  # fmt: skip
    checkpoint = right.selectbox("Weights", CHECKPOINTS, key="generate.checkpoint", persist_state="session")
    return usable[name], checkpoint, replaced


def _label(run: Run) -> str:
    row = reading.read_summary(run)
    title, best = reading.best_of(row)
    return f"{row['name']} · {title} {best} · {row['source']} · {run.id[:15]}"


def _setting(name: str) -> Any:
    param, key = SAMPLING[name], f"generate.{name}"
    st.session_state.setdefault(key, param.default)
    step = 1 if isinstance(param, Int) else 0.05
    return st.number_input(
        name, min_value=param.low, max_value=param.high, value=st.session_state[key], step=step, key=key,
        help=forms.help_of(param), persist_state="session",
    )  # fmt: skip


@st.cache_resource(max_entries=2, show_spinner="Loading the weights …")
def _load(path: str, checkpoint: str, written: int) -> Trained:
    return load_trained(Run(Path(path)), checkpoint)


def _marked(trained: Trained, prompt: str, look: Theme) -> None:
    """The prompt with what the vocabulary lacks marked, before anything is written."""
    unknown = trained.tokenizer.unknown(prompt)
    if not unknown:
        return
    mark = f"background:{look.fault}33;color:inherit;border-bottom:2px solid {look.fault}"
    marked = "".join(
        f'<mark style="{mark}">{html.escape(piece)}</mark>'
        if lacks else html.escape(piece)
        for piece, lacks in trained.tokenizer.pieces(prompt)
    )  # fmt: skip
    box = f"white-space:pre-wrap;padding:0.5rem 0.75rem;border:1px solid {look.line};border-radius:6px"
    st.html(f'<div style="{box}">{marked}</div>')
    what = "is not" if len(unknown) == 1 else "are not"
    st.caption(f"{len(unknown)} marked {what} in the vocabulary of this run; the model reads `<unk>` there.")


def _pairs(trained: Trained, sampling: dict[str, Any], replaced: bool) -> None:
    """A text that is read, and what the model writes for it."""
    source = st.text_area(
        "Text to read", key="generate.source", height=110, persist_state="session",
        placeholder="A text like those of the source column",
    )  # fmt: skip
    _marked(trained, source, theme())
    st.caption(
        f"Reads at most {trained.seq_len} tokens and writes at most as many, until it ends the text itself. Temperature 0 "
        "takes the likeliest token each time."
    )
    if st.button("Write", type="primary", icon=":material/edit_note:", disabled=not source.strip()) and not replaced:
        try:
            _write(trained, "", sampling, write_for(trained, source, **sampling))
        except AnswerError as error:
            st.error(plain(error), icon=":material/error:")
    elif session.WRITTEN in st.session_state:
        _shown(st, st.session_state[session.WRITTEN])


def _write(trained: Trained, prompt: str, sampling: dict[str, Any], written: Iterator[str] | None = None) -> None:
    place, text, begun, pieces = st.empty(), prompt, time.perf_counter(), 0
    shown = 0.0
    for piece in written if written is not None else continue_text(trained, prompt, **sampling):
        text, pieces = text + piece, pieces + 1
        if time.perf_counter() - shown > 0.05:  # twenty pictures a second are enough to read along
            _shown(place, text)
            shown = time.perf_counter()
    _shown(place, text)
    st.session_state[session.WRITTEN] = text
    seconds, tokens = time.perf_counter() - begun, pieces if written is not None else sampling["max_tokens"]
    st.caption(f"{tokens:,} tokens in {seconds:.1f} s, {tokens / seconds:,.0f} tokens/s")


def _shown(place: Any, text: str) -> None:
    place.code(text, language=None, wrap_lines=True)
