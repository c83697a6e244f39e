"""Turns text into token numbers and back: words, characters, byte-level BPE, or what somebody else's tokenizer.json says.

Importable alone. The file tokenizer.json says everything; what kind it is is read off what stands in it.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import tokenizers

from cortex.codes import CODE_POINTS, LINE_END, WordNumbers, code_points

# Made from the training text; the other two are read: a file, or a file of the hub.
TRAINED = ("word", "character", "bpe")
KINDS = (*TRAINED, "file", "hub")
PRE_TOKENIZERS = ("whitespace", "punctuation")
EOS, UNK = "<eos>", "<unk>"
BYTES = 256

# What stands for the end of a text in a tokenizer that was made elsewhere: the first of these that it has.
ENDS = (
    EOS, "<|endoftext|>", "<|end_of_text|>", "</s>", "<|eos|>", "[EOS]", "<|im_end|>", "[SEP]", "<sep>", "<|end|>",
)  # fmt: skip

WORD = r"\w+(?:['’-]\w+)*|[^\w\s]"  # a word with its apostrophes and hyphens, or one mark
WORD_CUT = re.compile(WORD + r"|\n")
SPACE = r"[\s\x1c-\x1f]+"  # with str.split's idea of white space, which is wider than Rust's


class TokenizerError(ValueError):
    """A tokenizer that cannot be used; the text says why."""


class Tokenizer:
    """A tokenizer. Words have no token for a line's end: there `<eos>` stands for it, one a line.

    `kind` is `word`, `character` or `bpe` for one of those that are trained here, else `other`; `end` is the token that stands
    for the end of a text, `eos` its number.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        backend.no_truncation()
        backend.no_padding()
        self.backend = backend
        description = json.loads(backend.to_str())
        self.kind = _kind(description)
        cut = (description["pre_tokenizer"] or {}) if self.kind == "word" else {}
        self.pre_tokenizer = "punctuation" if cut.get("invert") else "whitespace"
        self._ids: dict[str, int] = backend.get_vocab(with_added_tokens=True)
        # Numbers may have gaps between them in a tokenizer of others.
        self.vocab_size: int = max(self._ids.values(), default=-1) + 1
        self.end = _end(self._ids, description)
        self.eos: int = self._ids[self.end]
        self.unk: int | None = self._ids.get(_unknown(description))
        self._characters: np.ndarray | None = None
        self._words = WordNumbers(lambda word: self.eos if word == LINE_END else self._ids.get(word, self.unk))
        # Words and characters are looked up in our own tables, which are ten times as fast as the library's.
        self._drops_line_ends = self.kind == "other" and not self._keeps_line_ends()

    def encode_blocks(self, blocks: Iterable[str]) -> Iterator[np.ndarray]:
        """Token ids of each block of a text (N,); memory does not grow with the text. See `encode` for what a block may be."""
        for block in blocks:
            yield self._encode(block)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text or a prompt; its end is not a line end."""
        return self._encode(text).tolist()

    @property
    def ends_lines(self) -> bool:
        """Whether `eos` stands for the end of each line."""
        return self.kind == "word" or self._drops_line_ends

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these tokens: `<eos>` of a word tokenizer as a line end."""
        ids = list(ids)
        if self._drops_line_ends:
            lines = [list(group) for is_end, group in itertools.groupby(ids, lambda token: token == self.eos) if not is_end]
            return "\n".join(self.backend.decode(line, skip_special_tokens=False) for line in lines) + "\n" * (
                bool(ids) and ids[-1] == self.eos
            )
        if self.kind != "word":
            return self.backend.decode(ids, skip_special_tokens=False)
        words = [self.backend.id_to_token(token) for token in ids]
        text = " ".join("\n" if word == EOS else word for word in words)
        text = re.sub(r" ?\n ?", "\n", text)
        if self.pre_tokenizer == "punctuation":
            text = re.sub(r" ([.,;:!?)\]])", r"\1", text)
            text = re.sub(r"([(\[]) ", r"\1", text)
        return text

    def unknown(self, text: str) -> list[str]:
        """The words or characters of a text that have no token, in order of appearance, each once."""
        if self.unk is None:
            return []
        if self.kind == "other":
            found = self.backend.encode(text, add_special_tokens=False)
            pieces = [text[low:high] for token, (low, high) in zip(found.ids, found.offsets, strict=True) if token == self.unk]
            return list(dict.fromkeys(piece for piece in pieces if piece))
        pieces = text if self.kind == "character" else self._cut(text).split()
        return list(dict.fromkeys(piece for piece in pieces if piece not in self._ids))

    def pieces(self, text: str) -> list[tuple[str, bool]]:
        """The text cut in parts, each with whether the vocabulary lacks it; together they are the text again."""
        lacking = sorted(self.unknown(text), key=len, reverse=True)
        if not lacking:
            return [(text, False)] if text else []
        edge = r"(?<!\w){}(?!\w)" if self.kind == "word" and self.pre_tokenizer == "punctuation" else "{}"
        if self.kind == "word" and self.pre_tokenizer == "whitespace":
            edge = r"(?<!\S){}(?!\S)"
        # A mark stands by itself whatever is beside it.
        edges = {word: edge if self.pre_tokenizer == "whitespace" or re.match(r"\w", word) else "{}" for word in lacking}
        pattern = "(" + "|".join(edges[word].format(re.escape(word)) for word in lacking) + ")"
        return [(part, part in lacking) for part in re.split(pattern, text) if part]

    def save(self, path: str | Path) -> None:
        self.backend.save(str(path))

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        return cls(tokenizers.Tokenizer.from_file(str(path)))

    def _encode(self, text: str) -> np.ndarray:
        if self.kind == "word":
            return self._words(self._cut(text))
        if self.kind == "character":
            return self._character_table()[code_points(text)]
        lines = whole_lines(text)
        kept = [line.removesuffix("\n") for line in lines] if self._drops_line_ends else lines
        ids: list[int] = []
        for line, found in zip(lines, self.backend.encode_batch_fast(kept, add_special_tokens=False), strict=True):
            ids.extend(found.ids)
            if self._drops_line_ends and line.endswith("\n"):
                ids.append(self.eos)
        return np.array(ids, np.int64)

    def _cut(self, text: str) -> str:
        """The text with white space between what are words here."""
        return " ".join(WORD_CUT.findall(text)) if self.pre_tokenizer == "punctuation" else text

    def _character_table(self) -> np.ndarray:
        if self._characters is None:
            self._characters = np.full(CODE_POINTS, self.unk, np.int64)
            for piece, token in self._ids.items():
                if len(piece) == 1:
                    self._characters[ord(piece)] = token
        return self._characters

    def _keeps_line_ends(self) -> bool:
        found = self.backend.encode("a\nb", add_special_tokens=False)
        return "\n" in self.backend.decode(found.ids, skip_special_tokens=False)


def whole_lines(text: str) -> list[str]:
    """The lines of a text with their ends; only a line feed ends a line."""
    parts = text.split("\n")
    last = parts.pop()
    return [part + "\n" for part in parts] + ([last] if last else [])


# What is read off a description


def _kind(description: dict) -> str:
    model, cut, joined = description["model"], description["pre_tokenizer"] or {}, description["decoder"] or {}
    if description["normalizer"] or EOS not in model.get("vocab", ()):
        return "other"
    if model["type"] == "WordLevel" and model["unk_token"] == UNK and cut.get("type") in ("Split", "WhitespaceSplit"):
        ours = cut["type"] == "WhitespaceSplit" or cut.get("pattern") in ({"Regex": WORD}, {"Regex": SPACE})
        return "word" if ours and not joined and UNK in model["vocab"] else "other"
    if model["type"] == "BPE" and not model["merges"] and model["unk_token"] == UNK and not cut:
        return "character" if joined.get("type") == "Fuse" else "other"
    if model["type"] == "BPE" and cut.get("type") == joined.get("type") == "ByteLevel" and not cut["add_prefix_space"]:
        return "bpe" if UNK not in model["vocab"] else "other"
    return "other"


def _end(ids: dict[str, int], description: dict) -> str:
    special = [token["content"] for token in description["added_tokens"] if token["special"]]
    line_end = [token for token in ("\n", "Ċ", "<0x0A>") if token in ids]
    for token in (*ENDS, *line_end, *special):
        if token in ids:
            return token
    raise TokenizerError(
        f"the tokenizer has no token for the end of a text; expected one of {', '.join(ENDS)}, a line feed or a special token"
    )


def _unknown(description: dict) -> str | None:
    model = description["model"]
    if model["type"] == "Unigram":
        number = model.get("unk_id")
        return None if number is None or model.get("byte_fallback") else model["vocab"][number][0]
    return None if model.get("byte_fallback") else model.get("unk_token")
