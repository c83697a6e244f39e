"""What the Data page shows of a measured text: its sizes, a tokenised sample, what counting models reach."""

from __future__ import annotations

import html
import random
from typing import Any

import numpy as np
import streamlit as st

from cortex import units
from cortex.answers import Answer
from cortex.line_hashes import line_from
from cortex.preview import Span, spans_of_ids, spans_of_text
from cortex.references import NAMES, References
from cortex.store import Prepared
from cortex.tokenizer import Tokenizer
from cortex.words import line_ends
from ui.answers_panel import tagged
from ui.plain import plain
from ui.theme import PALETTE, Theme, theme

_TINTS = (PALETTE[0], PALETTE[1], PALETTE[2], PALETTE[3])
_MOST_CHARACTERS, _MOST_TOKENS = 2000, 300
_TEXT, _LINE = "A text of yours", "A line of the validation split"
_FIRST_TEXT = "To be, or not to be, that is the question."

_EXPLAINED = {
    "uniform": "Every token of the vocabulary equally likely: the perplexity before anything is learned.",
    "unigram": "Each token as likely as it is frequent in the training text, whatever stands before it.",
    "bigram": "Looks at the one token before: how often the pair stands in the training text, mixed with the unigram.",
}


def sizes(prepared: Prepared, found: dict[str, Any] | None) -> None:
    """Splits, vocabulary and coverage in one row."""
    columns = st.columns([1.15, 1, 1, 1, 1.15])
    for column, (split, label) in zip(
        columns, (("train", "Training tokens"), ("validation", "Validation tokens"), ("test", "Test tokens")), strict=False
    ):
        part = prepared.meta["splits"][split]
        lines = f"{found['splits'][split]['lines']:,} lines, " if found and found["line_ends"] else ""
        lines = f"{part['rows']:,} rows, " if "rows" in part else lines
        below = f"{lines}{units.size(part['bytes'])}" if part["tokens"] else "no text kept for it"
        column.metric(label, units.count(part["tokens"]), below, **_QUIET, help=f"{part['tokens']:,} tokens")
    half = f"{found['vocabulary']['covering'][0][1]:,} are half the text" if found else None
    about = "Different tokens, and how few of them half the training text is made of."
    columns[3].metric("Vocabulary", f"{prepared.vocab_size:,}", half, **_QUIET, help=about)
    part = prepared.meta["splits"]["validation"]
    unknown = part["unknown"] / max(1, part["tokens"])
    known = "every one has a token" if not part["unknown"] else f"{1 - unknown:.1%} covered"
    columns[4].metric(
        "Unknown in validation", f"{unknown:.1%}", known, **_QUIET,
        help="Share of the validation tokens that are <unk>: what they stand for is not in the vocabulary. They hide what they "
        "cost, so perplexities with many of them look better than they are.",
    )  # fmt: skip


_QUIET = {"delta_color": "off", "delta_arrow": "off"}


def sample(prepared: Prepared) -> None:
    """A text in the colours of its tokens."""
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    which = left.segmented_control(
        "How it is tokenised",
        [_TEXT, _LINE],
        default=_TEXT if prepared.task == "Text" else _LINE,
        key=f"data.sample.{prepared.task}",
        required=True,
        persist_state="session",
        format_func=lambda name: name if prepared.task == "Text" else name.replace("A line", "A row"),
    )
    tokenizer = _tokenizer(str(prepared.path))
    if which == _TEXT:
        st.session_state.setdefault("data.text", _FIRST_TEXT)
        text = st.text_area(
            "Text", st.session_state["data.text"], key="data.text", height=80, max_chars=_MOST_CHARACTERS,
            label_visibility="collapsed", persist_state="session", placeholder="Type something",
        )  # fmt: skip
        spans = spans_of_text(tokenizer, text)
    elif prepared.task != "Text":
        turn = st.session_state.setdefault("data.turn", 0)
        right.button("Another row", key="data.another", on_click=_turn, icon=":material/casino:", width="stretch")
        shown, about = _row(prepared, tokenizer, turn)
        st.html(shown)
        st.caption(plain(about))
        return
    else:
        turn = st.session_state.setdefault("data.turn", 0)
        right.button("Another line", key="data.another", on_click=_turn, icon=":material/casino:", width="stretch")
        spans = spans_of_ids(tokenizer, _line(prepared, tokenizer, turn).tolist())
    st.html(coloured(spans, tokenizer, theme()))
    st.caption(_counted(spans))


def _turn() -> None:
    st.session_state["data.turn"] = st.session_state.get("data.turn", 0) + 1


@st.cache_resource(max_entries=4, show_spinner=False)
def _tokenizer(folder: str) -> Tokenizer:
    return Tokenizer.load(f"{folder}/tokenizer.json")


def _line(prepared: Prepared, tokenizer: Tokenizer, turn: int) -> np.ndarray:
    """A line of the validation split drawn by the number of the turn; the first that is not too short."""
    tokens = prepared.tokens("validation")
    place = random.Random(turn).randrange(1, len(tokens))
    least = 12 if tokenizer.kind != "character" else 60
    return line_from(tokens, _ends(str(prepared.path)), place, least, _MOST_TOKENS)


def _row(prepared: Prepared, tokenizer: Tokenizer, turn: int) -> tuple[str, str]:
    """A row of the validation split, as HTML and in a sentence: with its label, its tags, or what is written for it."""
    rows = prepared.rows("validation")
    row = random.Random(turn).randrange(len(rows))
    ids = rows.tokens[slice(*rows.offsets[row : row + 2])][:_MOST_TOKENS].tolist()
    if rows.task == "Pairs":
        read = rows.source[slice(*rows.source_offsets[row : row + 2])][:_MOST_TOKENS].tolist()
        spans = [spans_of_ids(tokenizer, side) for side in (read, ids)]
        shown = "".join(coloured(side, tokenizer, theme()) for side in spans)
        return shown, "Above what is read, below what is written for it."
    if rows.task == "Labelled":
        shown = coloured(spans_of_ids(tokenizer, ids), tokenizer, theme())
        return shown, f"Its label: {prepared.labels[int(rows.labels[row])]}"
    tags = rows.labels[slice(*rows.offsets[row : row + 2])][:_MOST_TOKENS]
    starts = np.flatnonzero(tags >= 0)
    words = [tokenizer.decode(ids[low:high]).strip() for low, high in zip(starts, [*starts[1:], len(ids)], strict=True)]
    answers = [Answer(word, ((prepared.labels[int(tags[at])], 1.0),)) for word, at in zip(words, starts, strict=True)]
    return tagged(answers, prepared.labels, theme()), f"{len(words):,} words with their tags, {len(ids):,} tokens"


@st.cache_resource(max_entries=4, show_spinner=False)
def _ends(folder: str) -> np.ndarray:
    return line_ends(_tokenizer(folder))


def coloured(spans: list[Span], tokenizer: Tokenizer, look: Theme) -> str:
    """The pieces as HTML: tokens in tints that take turns, unknown ones red, their numbers on hover; all text escaped."""
    pieces, number = [], 0
    for span in spans:
        if not span.ids:
            pieces.append(html.escape(span.text))
            continue
        title = html.escape(_title(span, tokenizer), quote=True)
        tint = f"{_TINTS[number % len(_TINTS)]}{'59' if look.dark else '38'}"
        style = f"background:{tint};border-radius:3px"
        if span.unknown:
            style = f"background:{look.fault}3d;border-bottom:2px solid {look.fault};border-radius:3px 3px 0 0"
        shown = html.escape(span.text.replace("\n", "↵"))
        pieces.append(f'<span title="{title}" style="{style}">{shown}</span>' + "\n" * span.text.count("\n"))
        number += 1
    box = (
        f"white-space:pre-wrap;overflow-wrap:anywhere;padding:0.6rem 0.8rem;border:1px solid {look.line};border-radius:6px;"
        "line-height:1.75;max-height:240px;overflow-y:auto"
    )
    return f'<div class="tokens" style="{box}">{"".join(pieces).rstrip() or "&nbsp;"}</div>'


def _title(span: Span, tokenizer: Tokenizer) -> str:
    names = [f"{token} {tokenizer.backend.id_to_token(token) or ''}".strip() for token in span.ids]
    what = "token" if len(names) == 1 else "tokens"
    return f"{'unknown, read as ' if span.unknown else ''}{what} {', '.join(names)}"


def _counted(spans: list[Span]) -> str:
    tokens, characters = sum(len(span.ids) for span in spans), sum(len(span.text) for span in spans)
    unknown = sum(span.unknown for span in spans)
    if not tokens:
        return "No tokens yet."
    hidden = f", {unknown:,} of them unknown (red)" if unknown else ""
    return f"{tokens:,} tokens{hidden}, {characters / tokens:.1f} characters a token. Hover shows a token's number and name."


def reference_row(found: References) -> None:
    """What a model has to beat."""
    st.subheader("Perplexity that counting alone reaches on the validation split", anchor=False)
    columns = st.columns([1, 1, 1, 2])
    for column, name in zip(columns, NAMES, strict=False):
        column.metric(name.capitalize(), units.perplexity(getattr(found, name)), help=_EXPLAINED[name])
    part = "" if found.counted == found.tokens else f" Counted over the first {units.count(found.counted)} training tokens."
    columns[3].caption(
        "Dashed lines on the perplexity charts. A model that stays above the bigram has not learned to look further back than "
        f"one token. Weight of the pairs in the bigram: {found.weight:.2f}, fitted on training text.{part}"
    )
