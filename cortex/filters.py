"""The language that finds runs, on the page and on a terminal alike; parsed here, nothing of it is ever evaluated as code.

    shakespeare state:finished,stopped tag:baseline lr<1e-3 best_perplexity <= 120 not (dropout = 0.2 or is:starred)

Words are looked for in name, note, tags, folder, data, tokenizer and state; `field:text` looks in one field. A condition
compares a measure or a setting with a number or a text; a value that a run does not have never meets a condition, nor its
opposite. Conditions beside each other must all hold; `or`, `not` and brackets do as they say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cortex.conditions import Condition, FilterError, Row, any_of, comparison, every_of, field_condition, free_text

_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|(<=|>=|!=|==|<|>|=)|([()])|([^\s()"<>=!:]+)|(:)|(.))')
_MOST_NESTED = 50


def matching(rows: Sequence[Row], text: str) -> list[Row]:
    """The rows that the filter lets through, in their order. FilterError where it cannot be understood."""
    matches = parse(text, rows)
    return [row for row in rows if matches(row)]


def parse(text: str, rows: Sequence[Row]) -> Callable[[Row], bool]:
    """The filter as a function of a row.

    Args:
        rows: the runs that there are, whose settings are the names that conditions can use.

    Raises:
        FilterError: it cannot be understood, or names something that no run has.
    """
    tokens = _tokens(text)
    if not tokens:
        return lambda row: True
    condition = _Parser(tokens, rows).whole()
    return lambda row: condition(row) is True


@dataclass(frozen=True)
class _Token:
    kind: str  # "text", "word", "operator", "bracket", "colon"
    text: str


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    for match in _TOKEN.finditer(text.strip()):
        quoted, operator, bracket, word, colon, other = match.groups()
        if quoted is not None:
            found.append(_Token("text", re.sub(r"\\(.)", r"\1", quoted)))
        elif operator:
            found.append(_Token("operator", operator))
        elif bracket:
            found.append(_Token("bracket", bracket))
        elif word:
            found.append(_Token("word", word))
        elif colon:
            found.append(_Token("colon", ":"))
        else:
            hint = "a closing quotation mark" if other == '"' else "a word, a condition such as lr<1e-3, or state:finished"
            raise FilterError(f"found {other}, expected {hint}")
    return found


class _Parser:
    """Recursive descent: or, then and, then not, then a word, a field or a condition."""

    def __init__(self, tokens: list[_Token], rows: Sequence[Row]) -> None:
        self._tokens, self._at, self._rows, self._depth = tokens, 0, rows, 0

    def whole(self) -> Condition:
        condition = self._either()
        if self._at < len(self._tokens):
            raise FilterError(f"found {self._tokens[self._at].text}, which closes no bracket")
        return condition

    def _either(self) -> Condition:
        parts = [self._all()]
        while self._word("or"):
            self._at += 1
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda row: any_of(part(row) for part in parts)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._at < len(self._tokens) and not self._word("or") and not self._bracket(")"):
            if self._word("and"):
                self._at += 1
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda row: every_of(part(row) for part in parts)

    def _one(self) -> Condition:
        if self._at >= len(self._tokens):
            raise FilterError(f"found the end after {self._tokens[-1].text}, expected a word or a condition")
        if self._word("not"):
            self._at += 1
            self._deeper()
            inner = self._one()
            self._depth -= 1
            return lambda row: None if (found := inner(row)) is None else not found
        if self._bracket("("):
            self._at += 1
            self._deeper()
            inner = self._either()
            self._depth -= 1
            if not self._bracket(")"):
                raise FilterError("found the end, expected a closing bracket")
            self._at += 1
            return inner
        return self._term()

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _MOST_NESTED:
            raise FilterError(f"brackets more than {_MOST_NESTED} deep")

    def _term(self) -> Condition:
        token = self._next()
        if token.kind in ("operator", "colon", "bracket") or self._is_word(token, "and", "or"):
            raise FilterError(f"found {token.text}, expected a word or the name of a setting or measure before it")
        following = self._tokens[self._at] if self._at < len(self._tokens) else None
        if token.kind == "word" and following and following.kind == "operator":
            self._at += 1
            return comparison(token.text, following.text, self._value(following.text), self._rows)
        if token.kind == "word" and following and following.kind == "colon":
            self._at += 1
            return field_condition(token.text, self._value(":"), self._rows)
        return free_text(token.text)

    def _value(self, after: str) -> str:
        token = self._next() if self._at < len(self._tokens) else None
        if token is None or token.kind not in ("word", "text"):
            raise FilterError(f"found {token.text if token else 'the end'} after {after}, expected a value")
        text = token.text
        # A time of day has colons within: started>=2026-11-20T10:30
        while self._at + 1 < len(self._tokens) and self._tokens[self._at].kind == "colon" and text[-1:].isdigit():
            text += ":" + self._tokens[self._at + 1].text
            self._at += 2
        return text

    def _next(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _word(self, word: str) -> bool:
        return self._at < len(self._tokens) and self._is_word(self._tokens[self._at], word)

    def _bracket(self, bracket: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at] == _Token("bracket", bracket)

    @staticmethod
    def _is_word(token: _Token, *words: str) -> bool:
        return token.kind == "word" and token.text.lower() in words
