"""From a source to token arrays on disk: made once, whole or not at all, found again, damage told."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Start

from cortex.corpus import SPLITS, CorpusError
from cortex.data import lookup, prepare, too_short
from cortex.fingerprints import fingerprint, text_size
from cortex.graph import Graph, Node
from cortex.graph_source import outside, source_node, source_of
from cortex.store import find

MakeNode = Callable[..., Node]
PTB = Path(__file__).parents[2] / "shared" / "data" / "ptb"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def node(text: Path) -> MakeNode:
    return lambda **params: Node("data", "CustomData", {"path": str(text), **params})


def test_prepared_tokens_are_those_of_the_text_each_split_beginning_with_eos(node: MakeNode, store: Path, text: Path) -> None:
    found = prepare(node(validation=0.1, test=0.1, min_frequency=1), store)
    tokenizer, said = found.tokenizer(), ""
    for split in SPLITS:
        tokens = found.tokens(split)
        assert tokens[0] == tokenizer.eos and len(tokens) == found.count(split) + 1
        said += tokenizer.decode(tokens[1:].tolist())
    assert said == text.read_text()
    assert found.vocab_size == len(set(text.read_text().split())) + 2
    assert found.tokens("train").dtype == np.uint8


def test_no_line_stands_in_two_splits(tmp_path: Path, store: Path) -> None:
    path = tmp_path / "numbered.txt"
    path.write_text("".join(f"{number}\n" for number in range(1000)))
    source = source_of(Node("data", "CustomData", {"path": str(path), "validation": 0.1, "test": 0.2}))
    parts = {split: "".join(source.blocks(split)).splitlines(keepends=True) for split in SPLITS}
    assert [line for split in SPLITS for line in parts[split]] == [f"{number}\n" for number in range(1000)]
    size = path.stat().st_size
    for split, share in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
        assert sum(map(len, parts[split])) == pytest.approx(share * size, abs=5)


def test_preparing_twice_gives_the_same_folder_and_makes_nothing_again(node: MakeNode, store: Path) -> None:
    first = prepare(node(), store)
    made = (first.path / "train.bin").stat().st_mtime_ns
    said: list[str] = []
    second = prepare(node(), store, lambda what, share: said.append(what))
    assert second.path == first.path and said == []
    assert (second.path / "train.bin").stat().st_mtime_ns == made
    assert lookup(node(), store) == find(first.fingerprint, store) == first


@pytest.mark.parametrize("change", [{"batch_size": 3}, {"seq_len": 5}, {"vocab_size": "auto"}, {"type": "Text"}], ids=str)
def test_what_changes_no_token_changes_no_fingerprint(node: MakeNode, change: dict[str, Any]) -> None:
    assert fingerprint(node(**change)) == fingerprint(node())


@pytest.mark.parametrize(
    "change",
    [{"tokenizer": "character"}, {"vocab_size": 9}, {"min_frequency": 3}, {"pre_tokenizer": "punctuation"}, {"test": 0.1}],
    ids=str,
)
def test_what_changes_the_tokens_changes_the_fingerprint(node: MakeNode, change: dict[str, Any]) -> None:
    assert fingerprint(node(**change)) != fingerprint(node())


def test_a_changed_file_changes_the_fingerprint_and_the_same_text_elsewhere_does_not(
    node: MakeNode, text: Path, tmp_path: Path
) -> None:
    before = fingerprint(node())
    copy = tmp_path / "copy.txt"
    shutil.copy(text, copy)
    assert fingerprint(node(path=str(copy))) == before
    text.write_text(text.read_text().replace("cat", "cow", 1))  # of the same length
    assert fingerprint(node()) != before


def test_a_text_that_changes_while_it_is_read_is_refused_and_leaves_nothing(node: MakeNode, store: Path, text: Path) -> None:
    def meddle(what: str, share: float | None) -> None:
        if what == "tokenising validation":
            text.write_text(text.read_text() + "one more line\n")

    with pytest.raises(CorpusError, match="changed while it was read"):
        prepare(node(), store, meddle)
    assert [path for path in store.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(("size", "kind"), [(200, "uint8"), (300, "uint16"), (80_000, "uint32")])
def test_token_numbers_are_stored_in_the_smallest_type_that_holds_them(
    tmp_path: Path, store: Path, size: int, kind: str
) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(f"w{number}" for number in range(size)) + "\nw1\nw2\n")
    node = Node("data", "CustomData", {"path": str(path), "min_frequency": 1})
    found = prepare(node, store)
    assert found.tokens("train").dtype == kind
    assert found.tokens("train").max() == found.vocab_size - 1


# Texts that cannot be used


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty, expected a UTF-8 text"),
        ("läuft\n".encode("utf-16"), "is UTF-16, expected UTF-8; convert it: iconv"),
        (b"one\ntwo\nl\xe4uft\n" * 9, r"is not UTF-8 at byte 9 \(line 3\): 0xe4; .*iconv -f ISO-8859-1"),
        (b"one\n\x7fELF\0\0\n" * 9, r"has a zero byte at byte 8 \(line 2\)"),
        (b"only one line without an end", "no line of its own; expected a text of several lines"),
        (b"only one line\n", "no line of its own"),
        (b"\xef\xbb\xbf", "the training text has no "),
    ],
    ids=["empty", "UTF-16", "Latin-1", "binary", "one line", "one line with an end", "only a byte order mark"],
)
def test_a_text_that_cannot_be_used_is_refused_with_the_reason_and_leaves_nothing(
    text: Path, node: MakeNode, store: Path, content: bytes, says: str
) -> None:
    text.write_bytes(content)
    with pytest.raises(CorpusError, match=says):
        prepare(node(tokenizer="character"), store)
    assert not store.exists() or [path for path in store.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "no text file is named"),
        ("missing.txt", "does not exist"),
        ("empty", "is a folder without a text, expected files that end in .txt, .md, .conll, .jsonl"),
        ("x" * 300, "cannot be read|does not exist"),
    ],
    ids=["none", "missing", "folder", "too long"],
)
def test_a_path_that_leads_to_no_text_is_refused(node: MakeNode, store: Path, tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "empty").mkdir()
    broken = node(path=str(tmp_path / name) if name else "")
    for attempt in (fingerprint, lambda node: prepare(node, store), lambda node: lookup(node, store)):
        with pytest.raises(CorpusError, match=says):
            attempt(broken)


def test_a_training_text_shorter_than_a_block_is_said_with_both_lengths(node: MakeNode, store: Path) -> None:
    found = prepare(node(), store)
    count = found.count("train")
    assert too_short(node(seq_len=count), found) is None
    assert too_short(node(seq_len=count + 1), found) == f"the training text has {count:,} tokens, less than seq_len={count + 1}"


# Damage


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("damage", ["cut", "gone", "longer"])
def test_a_damaged_array_is_told_with_its_lengths(node: MakeNode, store: Path, split: str, damage: str) -> None:
    found = prepare(node(), store)
    file = found.path / f"{split}.bin"
    content = file.read_bytes()
    file.unlink()
    if damage != "gone":
        file.write_bytes(content[:-1] if damage == "cut" else content + b"\0")
    with pytest.raises(CorpusError, match=rf"{split}.bin: [\d,]+ bytes, expected [\d,]+; delete its folder"):
        lookup(node(), store)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"splits": {}}'])
def test_a_damaged_description_is_told(node: MakeNode, store: Path, content: str) -> None:
    found = prepare(node(), store)
    (found.path / "meta.json").write_text(content)
    with pytest.raises(CorpusError, match=r"meta\.json is damaged; delete this folder"):
        lookup(node(), store)


@pytest.mark.parametrize("damage", ["missing", "torn"])
def test_a_lost_or_torn_tokenizer_is_told(node: MakeNode, store: Path, damage: str) -> None:
    path = prepare(node(), store).path / "tokenizer.json"
    path.unlink() if damage == "missing" else path.write_text('{"version"')
    with pytest.raises(CorpusError, match=r"tokenizer\.json"):
        prepare(node(), store).tokenizer()


# Kills and races

PREPARE = """
import os, signal, sys
from pathlib import Path
import cortex.sources
from cortex.data import prepare
from cortex.graph import Node

path, store, moment = sys.argv[1:]

def progress(what, share):
    print(what, flush=True)
    if what == moment:
        os.kill(os.getpid(), signal.SIGKILL)

if moment == "renaming":
    os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
print(prepare(Node("data", "CustomData", {"path": path, "tokenizer": "bpe"}), Path(store), progress).path)
"""


def big_text(path: Path) -> Node:
    """Enough text that preparing takes a while."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(3, 9))) for _ in range(4000)]
    path.write_text("".join(" ".join(draw.choices(words, k=12)) + "\n" for _ in range(12_000)))
    return Node("data", "CustomData", {"path": str(path), "tokenizer": "bpe"})


def folders(store: Path) -> list[str]:
    return sorted(path.name for path in store.iterdir() if path.is_dir() and ".tmp-" not in path.name)


def test_a_killed_preparation_leaves_nothing_half_made_and_can_be_done_again(start: Start, store: Path, text: Path) -> None:
    node = big_text(text)
    for moment in ("learning the vocabulary", "tokenising train", "tokenising test", "renaming"):
        child = start("-c", PREPARE, str(text), str(store), moment)
        said = child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL, said
        assert folders(store) == [] and lookup(node, store) is None
    child = start("-c", PREPARE, str(text), str(store), "")
    while child.stdout.readline().strip() != "tokenising train":
        assert child.poll() is None
    child.kill()  # at no moment in particular
    child.wait()
    found = prepare(node, store)
    assert sorted(path.name for path in store.iterdir()) == [found.fingerprint, f"{found.fingerprint}.lock"]
    assert found.count("train") > 0


def test_two_processes_at_once_give_one_whole_data_set(start: Start, store: Path, text: Path) -> None:
    node = big_text(text)
    children = [start("-c", PREPARE, str(text), str(store), "") for _ in range(2)]
    said = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0, 0], said
    name = fingerprint(node)
    assert [out.splitlines()[-1] for out, _ in said] == [str(store / name)] * 2
    assert sum("tokenising train" in out for out, _ in said) == 1
    assert folders(store) == [name] and find(name, store) is not None


# Bits per byte


@pytest.mark.parametrize(
    ("params", "honest"),
    [
        (dict(tokenizer="bpe"), True),
        (dict(tokenizer="character"), True),
        (dict(tokenizer="character", vocab_size=10), False),
        (dict(min_frequency=1), True),
        (dict(vocab_size=10), False),
    ],
    ids=["bpe", "characters", "few characters", "words", "few words"],
)
def test_bits_per_byte_are_known_just_where_nothing_is_hidden_by_unk(
    node: MakeNode, store: Path, params: dict[str, Any], honest: bool
) -> None:
    found = prepare(node(**params), store)
    split = found.meta["splits"]["validation"]
    assert (split["unknown"] == 0) == honest
    if honest:
        text = "".join(source_of(node(**params)).blocks("validation"))
        assert found.honest_bytes("validation") == len(text.encode()) and found.why_not_bytes("validation") == ""
    else:
        assert found.honest_bytes("validation") is None and "<unk>" in found.why_not_bytes("validation")


def test_bits_per_byte_are_unknown_where_the_text_itself_says_unk(text: Path, node: MakeNode, store: Path) -> None:
    text.write_text("a <unk> word\n" * 50)  # as in the Penn Treebank: decoding gives it back, and what it stood for is hidden
    found = prepare(node(), store)
    assert found.meta["splits"]["validation"]["lossless"] and found.honest_bytes("validation") is None


def test_bits_per_byte_are_unknown_where_decoding_does_not_give_the_text_back(text: Path, node: MakeNode, store: Path) -> None:
    text.write_text("two  spaces here\n" * 50)
    found = prepare(node(), store)
    assert found.honest_bytes("validation") is None
    assert found.why_not_bytes("validation") == "the tokens do not give the text back letter for letter"


# Around it


def test_a_graph_has_a_source_only_if_it_has_exactly_one(node: MakeNode) -> None:
    assert source_node(Graph(nodes=(node(), Node("x", "Unknown")))) == node()
    assert source_node(Graph()) is None
    assert source_node(Graph(nodes=(node(), Node("more", "Shakespeare")))) is None


def test_a_file_outside_the_folders_is_told_also_behind_a_link(node: MakeNode, tmp_path: Path, text: Path) -> None:
    inside = tmp_path / "uploads"
    inside.mkdir()
    link = inside / "link.txt"
    link.symlink_to(text)
    copy = inside / "copy.txt"
    copy.write_text("x\n")
    assert outside(node(path=str(copy)), [inside]) is None
    for path in (text, link, inside / ".." / text.name, Path(f"{inside}-more/a.txt")):
        assert "outside the folders" in (outside(node(path=str(path)), [inside]) or "")
    assert text_size(node()) == text.stat().st_size and text_size(Node("data", "Shakespeare")) is None


def test_shakespeare_is_there_and_holds_whole_plays_out() -> None:
    plays = source_of(Node("data", "Shakespeare"))
    lines = {split: "".join(plays.blocks(split)).splitlines(keepends=True) for split in SPLITS}
    assert any("MACBETH" in line.upper() for line in lines["validation"])
    assert not set(filter(lambda line: len(line) > 60, lines["validation"])) & set(lines["train"])
    assert len(lines["train"]) > 5 * len(lines["validation"]) > 0 and len(lines["test"]) > 1000


@pytest.mark.skipif(not PTB.is_dir(), reason="Penn Treebank is not beside this checkout")
def test_the_penn_treebank_has_its_published_numbers(store: Path) -> None:
    params = dict(path=str(PTB / "ptb.train.txt"), min_frequency=1, validation=0.001, test=0.0)
    found = prepare(Node("data", "CustomData", params), store)
    assert found.vocab_size <= 10_000
    assert sum(found.count(split) for split in SPLITS) == 929_589
