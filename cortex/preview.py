"""A text cut into its tokens, for eyes: every piece of the text with the tokens that stand for it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cortex.tokenizer import Tokenizer


@dataclass(frozen=True)
class Span:
    """A piece of text with the ids of its tokens: several where a character takes more than one, none where the tokenizer
    passes it over (the space between words). `unknown`: the vocabulary has no token for it."""

    text: str
    ids: tuple[int, ...] = ()
    unknown: bool = False


def spans_of_text(tokenizer: Tokenizer, text: str) -> list[Span]:
    """The text in pieces, which together are the text again."""
    spans: list[Span] = []
    ends_lines = getattr(tokenizer, "ends_lines", tokenizer.kind == "word")
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        body = line.removesuffix("\n") if ends_lines else line
        spans += _of_line(tokenizer, body)
        if body != line:
            spans.append(Span("\n", (tokenizer.eos,)))
    return spans


def spans_of_ids(tokenizer: Tokenizer, ids: Iterable[int]) -> list[Span]:
    """The text of these tokens in pieces; words, whose own text `<unk>` hides, are told apart by a space."""
    ids = list(ids)
    if tokenizer.kind != "word":
        return spans_of_text(tokenizer, tokenizer.decode(ids))
    spans: list[Span] = []
    for token in ids:
        end = token == tokenizer.eos
        spans.append(Span("\n" if end else tokenizer.backend.id_to_token(token), (token,), token == tokenizer.unk))
        spans += [] if end else [Span(" ")]
    return spans


def _of_line(tokenizer: Tokenizer, line: str) -> list[Span]:
    found = tokenizer.backend.encode(line, add_special_tokens=False)
    spans: list[tuple[int, int, list[int]]] = []
    for token, (low, high) in zip(found.ids, found.offsets, strict=True):
        if spans and low < spans[-1][1]:  # another part of the same character
            start, end, ids = spans[-1]
            spans[-1] = (start, max(end, high), [*ids, token])
        else:
            spans.append((low, high, [token]))
    pieces, at = [], 0
    for low, high, ids in spans:
        if low > at:
            pieces.append(Span(line[at:low]))
        pieces.append(Span(line[low:high], tuple(ids), tokenizer.unk is not None and tokenizer.unk in ids))
        at = high
    return [*pieces, Span(line[at:])] if at < len(line) else pieces
