"""What a trained model says of a text: its class, a tag for each word, or what stands in its gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cortex.checkpoints import Trained
from cortex.encode_rows import words_as_text

MASK = "<mask>"

# Likeliest tokens that are given for a gap.
_SHOWN = 5


class AnswerError(ValueError):
    """A text that a model cannot be asked about; the message says why."""


@dataclass(frozen=True)
class Answer:
    """What is said of one piece of a text: `choices` are names with their probabilities, likeliest first."""

    piece: str
    choices: tuple[tuple[str, float], ...]

    @property
    def best(self) -> str:
        return self.choices[0][0]


def ask(trained: Trained, text: str) -> list[Answer]:
    """What the model says of the text: of the whole where it tells classes apart, of each word where it tags, of each <mask>.

    Raises:
        AnswerError: the text has no token, is too long, or has no gap; or the model writes and says nothing of texts.
    """
    if trained.task == "Labelled":
        return [Answer(text, _ranked(_scores(trained, text_tokens(trained, text))[0], trained.labels))]
    if trained.task == "Tagged":
        return _tags(trained, text)
    if trained.task == "Masked":
        return _gaps(trained, text)
    raise AnswerError("this run writes texts; ask it with generate")


def text_tokens(trained: Trained, text: str) -> list[int]:
    """The tokens of a text that a model is to read whole. AnswerError where it has none or too many."""
    ids = trained.tokenizer.encode(text)
    if not ids:
        raise AnswerError("the text has no token; type a word")
    return _not_too_long(trained, ids)


def _not_too_long(trained: Trained, ids: list[int]) -> list[int]:
    if len(ids) > trained.seq_len:
        raise AnswerError(
            f"the text has {len(ids):,} tokens, and the model was trained on at most {trained.seq_len:,} at a time"
        )
    return ids


def _tags(trained: Trained, text: str) -> list[Answer]:
    words = text.split()
    pieces = [trained.tokenizer.encode(word) for word in words_as_text(words, trained.tokenizer)]
    ids = _not_too_long(trained, [token for piece in pieces for token in piece])
    if not ids or not all(pieces):
        raise AnswerError("the text has no token; type a word" if not ids else f"{words[pieces.index([])]!r} has no token")
    scores, answers, place = _scores(trained, ids)[0], [], 0
    for word, piece in zip(words, pieces, strict=True):
        answers.append(Answer(word, _ranked(scores[place], trained.labels)))
        place += len(piece)
    return answers


def _gaps(trained: Trained, text: str) -> list[Answer]:
    tokenizer, ids, gaps = trained.tokenizer, [], []
    for number, part in enumerate(text.split(MASK)):
        if number:
            gaps.append(len(ids))
            ids.append(tokenizer.vocab_size)
        # The space before a word is part of the word that is to be found, where tokens have spaces in them.
        ids += tokenizer.encode(part if tokenizer.kind == "character" else part.rstrip(" "))
    if not gaps:
        raise AnswerError(f"the text has no gap; write {MASK} where a word is to be found")
    scores = _scores(trained, _not_too_long(trained, ids))[0]
    return [Answer(MASK, _likeliest(scores[gap, : tokenizer.vocab_size], trained)) for gap in gaps]


def _likeliest(scores: Tensor, trained: Trained) -> tuple[tuple[str, float], ...]:
    found = scores.float().softmax(-1).topk(min(_SHOWN, len(scores)))
    names = [trained.tokenizer.backend.id_to_token(token) or "" for token in found.indices.tolist()]
    return tuple(zip(names, found.values.tolist(), strict=True))


def _ranked(scores: Tensor, labels: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    shares: list[Any] = scores[: len(labels)].float().softmax(-1).tolist()
    return tuple(sorted(zip(labels, shares, strict=True), key=lambda pair: -pair[1]))


@torch.inference_mode()
def _scores(trained: Trained, ids: list[int]) -> Tensor:
    """Scores of the main loss for one row of tokens: (1, V) or (1, T, V)."""
    tokens = torch.tensor([ids], device=next(trained.model.parameters()).device)
    return next(iter(trained.model.outputs({"inputs": tokens}).values()))
