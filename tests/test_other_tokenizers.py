"""Tokenizers that were made elsewhere: odd cuts, other ends of text, gaps in the numbers; each is sound or told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from conftest import made_lines
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers

from cortex.corpus import CorpusError
from cortex.data import prepare
from cortex.fingerprints import fingerprint
from cortex.graph import Node
from cortex.tokenizer import Tokenizer
from cortex.tokenizer_training import train_tokenizer

LINES = [line + "\n" for line in made_lines(200)]
Make = Callable[[], tokenizers.Tokenizer]


def trained(model: Any, cut: Any, decoder: Any, trainer: Any) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(model)
    if cut:
        backend.pre_tokenizer = cut
    backend.decoder = decoder
    backend.train_from_iterator(LINES, trainer)
    return backend


def like_gpt2() -> tokenizers.Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend = trained(models.BPE(), pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel(), trainer)
    backend.post_processor = processors.TemplateProcessing(single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", 0)])
    backend.enable_truncation(4)
    backend.enable_padding(length=8)
    return backend


def like_bert() -> tokenizers.Tokenizer:
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=["[UNK]", "[SEP]"], show_progress=False)
    backend = trained(models.WordPiece(unk_token="[UNK]"), pre_tokenizers.BertPreTokenizer(), decoders.WordPiece(), trainer)
    backend.normalizer = normalizers.Lowercase()
    return backend


def like_t5() -> tokenizers.Tokenizer:
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    return trained(models.Unigram(), pre_tokenizers.Metaspace(), decoders.Metaspace(), trainer)


def with_a_gap() -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.WordLevel({"the": 0, "[UNK]": 7, "\n": 300}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # which leaves out the line ends
    backend.add_special_tokens([AddedToken("<|extra|>", special=True)])
    return backend


@pytest.mark.parametrize(
    ("make", "end"), [(like_gpt2, "<|endoftext|>"), (like_bert, "[SEP]"), (like_t5, "</s>"), (with_a_gap, "\n")]
)
def test_a_tokenizer_of_others_prepares_a_text_and_says_what_ends_it(tmp_path: Path, make: Make, end: str) -> None:
    text, file = tmp_path / "text.txt", tmp_path / "tokenizer.json"
    text.write_text("".join(LINES))
    make().save(str(file))
    found = prepare(Node("data", "CustomData", {"path": str(text), "tokenizer": "file", "tokenizer_file": str(file)}), tmp_path)
    tokens, tokenizer = found.tokens("train"), found.tokenizer()
    assert found.meta["end"] == end == tokenizer.end and tokens[0] == tokenizer.eos and tokens.max() < found.vocab_size
    assert found.count("train") >= 2 * 150, "nothing was cut off or left out"
    text = tokenizer.decode(tokens[1:50].tolist())
    assert tokenizer.kind == "other" and ("the" in text.lower())


def test_a_byte_level_tokenizer_of_others_gives_the_text_back() -> None:
    tokenizer = Tokenizer(like_gpt2())
    assert tokenizer.decode(tokenizer.encode("the cat 🙂")).strip() == "the cat 🙂"
    assert tokenizer.unknown("🙂") == []


def test_what_a_tokenizer_of_others_lacks_is_told() -> None:
    tokenizer = Tokenizer(like_bert())
    assert tokenizer.unknown("the 🙂") == ["🙂"]
    assert "".join(piece for piece, _ in tokenizer.pieces("the 🙂 cat")) == "the 🙂 cat"


def test_our_own_file_is_taken_for_what_it_is(tmp_path: Path) -> None:
    for kind in ("word", "character", "bpe"):
        path = tmp_path / f"{kind}.json"
        train_tokenizer(kind, LINES).save(path)
        assert Tokenizer.load(path).kind == kind


def test_the_fingerprint_is_of_what_is_in_the_file(tmp_path: Path, text: Path) -> None:
    one, other, changed = (tmp_path / f"{name}.json" for name in "abc")
    train_tokenizer("bpe", LINES, vocab_size=262).save(one)
    other.write_bytes(one.read_bytes())
    train_tokenizer("bpe", LINES, vocab_size=258).save(changed)
    names = [
        fingerprint(Node("data", "CustomData", {"path": str(text), "tokenizer": "file", "tokenizer_file": str(file)}))
        for file in (one, other, changed)
    ]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{}", "not a tokenizer.json that can be used"),
        (b"\xff", "not a tokenizer.json that can be used"),
        (None, "does not exist"),
    ],
)
def test_a_file_that_is_no_tokenizer_is_told(tmp_path: Path, text: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "tokenizer.json"
    if content is not None:
        file.write_bytes(content)
    node = Node("data", "CustomData", {"path": str(text), "tokenizer": "file", "tokenizer_file": str(file)})
    with pytest.raises(CorpusError, match=f"tokenizer_file: .*{says}"):
        prepare(node, tmp_path / "store")
