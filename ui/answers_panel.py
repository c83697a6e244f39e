"""What a trained run says of a text: its class, a tag for each word, or what stands in its gaps."""

from __future__ import annotations

import html

import streamlit as st

from cortex import units
from cortex.answers import MASK, Answer, AnswerError, ask
from cortex.checkpoints import Trained
from ui.plain import plain
from ui.theme import PALETTE, Theme, theme

_ASKS = {
    "Labelled": ("Text", "A text like those of the text column", "Name its label", "Which of its labels the text has."),
    "Tagged": ("Sentence", "Words with spaces between them", "Tag its words", "Words are what stands between spaces."),
    "Masked": ("Text with gaps", f"the cat {MASK} on the mat", "Fill the gaps", f"Write {MASK} where a token is to be found."),
}
_SHOWN_LABELS = 12


def answers_panel(trained: Trained) -> None:
    """A text, and what the model says of it."""
    if trained.task is None:
        st.info("The main loss of this run compares nothing that it could be asked for.", icon=":material/help:")
        return
    label, example, button, about = _ASKS[trained.task]
    text = st.text_area(label, key="generate.text", height=110, persist_state="session", placeholder=example)
    st.caption(f"{about} At most {trained.seq_len} tokens, as in training.")
    unknown = trained.tokenizer.unknown(text.replace(MASK, " "))
    if unknown:
        st.caption(plain(f"Not in the vocabulary, read as <unk>: {', '.join(unknown[:20])}"))
    st.button(button, type="primary", icon=":material/help_center:", disabled=not text.strip())
    if not text.strip():
        return
    try:
        answers = ask(trained, text)
    except AnswerError as error:
        st.error(plain(f"{str(error)[:1].upper()}{str(error)[1:]}."), icon=":material/error:")
        return
    if trained.task == "Tagged":
        st.html(tagged(answers, trained.labels, theme()))
        st.caption("Hover shows how sure the model is.")
        return
    for answer in answers:
        st.html(bars(answer, theme()))


def bars(answer: Answer, look: Theme) -> str:
    """The choices with a bar for the probability of each; all text escaped."""
    rows = []
    for place, (name, share) in enumerate(answer.choices[:_SHOWN_LABELS]):
        colour = PALETTE[0] if place == 0 else look.muted
        rows.append(
            f'<div style="display:grid;grid-template-columns:minmax(8rem,16rem) 1fr 4.5rem;gap:0.75rem;align-items:center;'
            f'padding:0.2rem 0"><span style="overflow-wrap:anywhere;font-weight:{600 if place == 0 else 400}">'
            f'{html.escape(name)}</span><span style="background:{look.line};border-radius:4px;height:0.6rem">'
            f'<span style="display:block;background:{colour};border-radius:4px;height:0.6rem;width:{100 * share:.1f}%"></span>'
            f'</span><span style="text-align:right;font-variant-numeric:tabular-nums">{units.share(share)}</span></div>'
        )
    more = len(answer.choices) - _SHOWN_LABELS
    rest = f'<small style="color:{look.muted}">and {more} more</small>' if more > 0 else ""
    return f'<div style="border:1px solid {look.line};border-radius:6px;padding:0.6rem 0.9rem">{"".join(rows)}{rest}</div>'


def tagged(answers: list[Answer], labels: tuple[str, ...], look: Theme) -> str:
    """The words, those that are tagged in the colour of their type with the tag beneath; all text escaped."""
    types = sorted({name.partition("-")[2] or name for name in labels if name != "O"})
    pieces = []
    for answer in answers:
        word, tag, title = html.escape(answer.piece), answer.best, _title(answer)
        if tag == "O":
            pieces.append(f'<span title="{title}" style="padding:0.1rem 0.15rem">{word}</span>')
            continue
        colour = PALETTE[types.index(tag.partition("-")[2] or tag) % len(PALETTE)]
        pieces.append(
            f'<span title="{title}" style="display:inline-block;background:{colour}{"59" if look.dark else "38"};'
            f'border-radius:4px;padding:0.1rem 0.4rem;text-align:center;line-height:1.25">{word}<br>'
            f'<small style="font-weight:600">{html.escape(tag)}</small></span>'
        )
    box = f"border:1px solid {look.line};border-radius:6px;padding:0.7rem 0.9rem;line-height:2.6"
    return f'<div class="tagged" style="{box}">{" ".join(pieces)}</div>'


def _title(answer: Answer) -> str:
    return html.escape(", ".join(f"{name} {units.share(share)}" for name, share in answer.choices[:3]), quote=True)
