"""Data sets of the hub through the real `datasets` library, against a stand-in; what goes wrong is one line each."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT
from hub_stand_in import PTB, PTB_COMMIT, WIKITEXT, WIKITEXT_COMMIT, Hub, Repo, card, of_splits, parquet, serving

from cortex import hub as hub_module
from cortex.corpus import CorpusError
from cortex.data import lookup
from cortex.fingerprints import fingerprint
from cortex.graph import Node
from cortex.graph_source import is_remote
from cortex.hub import check_id
from cortex.tokenizer_training import train_tokenizer

SPLITS = ("train", "validation", "test")
ROWS = {
    "train": ["", " = A cat = \n", "", " the cat <unk> sat . \n"] * 20,
    "validation": ["", " the cat sat . \n"] * 9,
    "test": [" the dog sat . \n", ""] * 9,
}
RAW = {split: [row.replace("<unk>", "truly") for row in rows] for split, rows in ROWS.items()}
OWN = dict(id="me/own", text_column="body", validation_split="", test_split="", validation=0.1, test=0.2, min_frequency=1)

# Loads the libraries once, with the address of the hub, which they read at import; each preparation is a fork of that.
PREPARE = """
import json, os, sys, time
from pathlib import Path
import datasets, huggingface_hub
import cortex.hub
from cortex import hub as hub_module
from cortex.corpus import CorpusError
from cortex.data import prepare
from cortex.graph import Node

sleep = time.sleep
time.sleep = lambda seconds: sleep(min(seconds, 0.05))  # between the attempts of the library
cortex.hub._REQUEST = float(sys.argv[1])

def answer(kind, params, store):
    said = []
    try:
        found = prepare(Node("data", kind, params), Path(store), lambda what, share: said.append((what, share)))
        text = found.tokenizer().decode(found.tokens("train")[1:].tolist())
        return {"meta": found.meta, "text": text, "said": said}
    except CorpusError as error:
        return {"error": str(error), "said": said}

for line in sys.stdin:
    if os.fork() == 0:
        print(json.dumps(answer(*json.loads(line))), flush=True)
        assert "torch" not in sys.modules
        os._exit(0)
    assert os.wait()[1] == 0
"""

Prepare = Callable[..., dict[str, Any]]


def repos() -> dict[str, Repo]:
    """What the hub has when a test begins."""
    wikitext = (
        card("wikitext-2-v1", "wikitext-2-raw-v1") | of_splits("wikitext-2-v1", ROWS) | of_splits("wikitext-2-raw-v1", RAW)
    )
    trees = {f"penn_treebank/{split}/0000.parquet": parquet(["the cat sat"] * 9, "sentence") for split in SPLITS}
    own = {"data/train-00000-of-00001.parquet": parquet([f"row {number}" for number in range(100)], "body")}
    model = {"tokenizer.json": train_tokenizer("bpe", ["a b\n"], vocab_size=260).backend.to_str().encode()}
    return {
        "me/own": Repo(own),
        "me/model": Repo(model, kind="model"),
        WIKITEXT: Repo(wikitext, WIKITEXT_COMMIT),
        PTB: Repo(trees, PTB_COMMIT, {"refs/convert/parquet": PTB_COMMIT}),
    }


class Child:
    """A process that prepares, with this environment; it waits so many seconds for the first answer of a hub."""

    def __init__(self, folder: Path, seconds: float, **environment: str) -> None:
        self._errors = open(folder / "errors", "w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-c", PREPARE, str(seconds)],
            env={**os.environ, "PYTHONPATH": str(PROJECT), "HF_HOME": str(folder / "hf"), **environment},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
        )  # fmt: skip

    def __call__(self, kind: str, params: dict[str, Any], store: Path) -> dict[str, Any]:
        self._process.stdin.write(json.dumps([kind, params, str(store)]) + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        self._errors.seek(0)
        assert (said, self._errors.read()) == (said or "an answer", "")
        return json.loads(said)

    def end(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(20) == 0
        self._errors.close()


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Path, Child]]:
    """A hub, the home of the library and a process that prepares, for all tests."""
    folder = tmp_path_factory.mktemp("hub")
    with serving() as hub:
        child = Child(folder, hub_module._REQUEST, HF_ENDPOINT=hub.endpoint)
        yield hub, folder / "hf", child
        child.end()


@pytest.fixture
def hub(online: tuple[Hub, Path, Child]) -> Hub:
    """The hub as it is at first, and nothing in the cache of the library."""
    hub, home, _ = online
    hub.repos = repos()
    hub.asked.clear()
    shutil.rmtree(home, ignore_errors=True)
    return hub


@pytest.fixture
def prepare(hub: Hub, online: tuple[Hub, Path, Child], tmp_path: Path) -> Prepare:
    """A function that prepares in another process; with an environment of its own in one that has that."""

    def run(kind: str, params: dict[str, Any], **environment: str) -> dict[str, Any]:
        if not environment:
            return online[2](kind, params, tmp_path / "store")
        child = Child(online[1].parent, 0.5, **{"HF_ENDPOINT": hub.endpoint, **environment})
        try:
            return child(kind, params, tmp_path / "store")
        finally:
            child.end()

    return run


def test_words_of_wikitext_are_those_of_papers_with_an_eos_a_row_also_a_blank_one(prepare: Prepare, tmp_path: Path) -> None:
    found = prepare("WikiText2", {})
    text = "".join(" ".join(row.split()) + "\n" for row in ROWS["train"])
    assert found["text"] == text and "wikitext-2-v1" in found["meta"]["title"]
    assert found["meta"]["splits"]["train"]["tokens"] == sum(len(row.split()) + 1 for row in ROWS["train"])
    assert found["meta"]["vocab_size"] == len({word for row in ROWS["train"] for word in row.split()} | {"<eos>"})
    said = [what for what, _ in found["said"]]
    steps = ["contacting", "downloading", "reading", "learning", "tokenising"]
    firsts = [next(number for number, what in enumerate(said) if what.startswith(step)) for step in steps]
    assert firsts == sorted(firsts)
    assert any(what.startswith("downloading") and 0 <= share <= 1 for what, share in found["said"])
    node = Node("data", "WikiText2")
    assert is_remote(node) and lookup(node, tmp_path / "store").fingerprint == found["meta"]["fingerprint"]


@pytest.mark.parametrize("tokenizer", ["character", "bpe"])
def test_other_tokenizers_get_the_raw_text_letter_for_letter(prepare: Prepare, tokenizer: str) -> None:
    found = prepare("WikiText2", {"tokenizer": tokenizer})
    assert found["text"] == "".join(row.removesuffix("\n") + "\n" for row in RAW["train"])
    assert "wikitext-2-raw-v1" in found["meta"]["title"] and found["meta"]["splits"]["validation"]["lossless"]


def test_penn_treebank_comes_from_its_parquet_branch(prepare: Prepare, hub: Hub) -> None:
    found = prepare("PennTreebank", {})
    assert found["text"] == "the cat sat\n" * 9
    assert any("refs%2Fconvert%2Fparquet" in request for request in hub.asked)


def test_a_prepared_set_never_needs_the_hub_again_and_a_branch_stays_what_it_was(prepare: Prepare, hub: Hub) -> None:
    first = prepare("HubDataset", OWN)
    assert "error" not in first and first["meta"]["revision"].endswith("c" * 40)
    hub.repos["me/own"].commit = "d" * 40
    asked = len(hub.asked)
    again = prepare("HubDataset", OWN)
    assert again["meta"] == first["meta"] and again["said"] == [] and len(hub.asked) == asked
    assert prepare("HubDataset", OWN, HF_ENDPOINT="http://127.0.0.1:9")["meta"] == first["meta"]


def test_where_a_set_has_one_split_the_last_rows_are_held_out(prepare: Prepare) -> None:
    found = prepare("HubDataset", OWN)
    assert found["text"] == "".join(f"row {number}\n" for number in range(70))
    assert [found["meta"]["splits"][split]["tokens"] for split in SPLITS] == [210, 30, 60]


def test_a_tokenizer_of_the_hub_is_fetched_and_kept(prepare: Prepare) -> None:
    params = {**OWN, "tokenizer": "hub", "tokenizer_id": "me/model"}
    params.pop("min_frequency")
    found = prepare("HubDataset", params)
    assert found["meta"]["tokenizer_of"] == "me/model " + "c" * 40
    assert found["text"] == "".join(f"row {number}\n" for number in range(70))


# What goes wrong


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"id": "me/none"}, "id: there is no data set 'me/none' on http"),
        ({"id": "me/own", "revision": "nope"}, "id: me/own has no revision 'nope'"),
        ({"id": WIKITEXT}, "config: Salesforce/wikitext has several configurations, expected one of wikitext-2-v1"),
        ({"id": WIKITEXT, "config": "x"}, "config: Salesforce/wikitext has no configuration 'x', expected one of wikitext"),
        ({**OWN, "text_column": "text"}, "text_column: me/own has no column 'text', expected one of body"),
        ({"id": "me/own", "text_column": "body"}, "validation_split: me/own has no split 'validation', expected one of train"),
        ({"id": "csv"}, "id: there is no data set 'csv'"),
    ],
    ids=["id", "revision", "no config", "config", "column", "split", "format"],
)  # fmt: skip
def test_what_does_not_exist_is_said_with_what_there_is(prepare: Prepare, params: dict[str, Any], says: str) -> None:
    error = prepare("HubDataset", params)["error"]
    assert error.startswith(says) and "\n" not in error


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("gated", "me/own is gated: accept its terms on http"),
        ("short", "is damaged, also when fetched again"),
        ("cut", "was cut short"),
        ("error", "it answers with the error 503. Nothing was put in its place. Try again later"),
    ],
)
def test_each_fault_of_the_hub_has_a_message_of_its_own_and_leaves_nothing(
    prepare: Prepare, hub: Hub, tmp_path: Path, fault: str, says: str
) -> None:
    hub.repos["me/own"].fault = fault
    error = prepare("HubDataset", OWN)["error"]
    assert says in error and "\n" not in error
    assert [path for path in (tmp_path / "store").iterdir() if path.is_dir()] == []
    hub.repos["me/own"].fault = ""
    assert "meta" in prepare("HubDataset", OWN)


def test_a_hub_out_of_reach_is_told_within_30_seconds_with_the_ways_out(prepare: Prepare) -> None:
    assert hub_module._REQUEST < hub_module.PATIENCE < 30
    with socket.socket() as deaf:  # takes a connection and says nothing
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        for port, reason in ((9, "Connection refused"), (deaf.getsockname()[1], "timed out")):
            began = time.monotonic()
            error = prepare("WikiText2", {}, HF_ENDPOINT=f"http://127.0.0.1:{port}")["error"]
            assert time.monotonic() - began < 30
            ways = ("Salesforce/wikitext", f"http://127.0.0.1:{port}", reason, "Nothing was put", "HF_ENDPOINT", "CustomData")
            assert [part for part in ways if part not in error] == []


def test_offline_the_cache_of_the_library_is_enough_and_without_it_nothing_is_waited_for(
    prepare: Prepare, tmp_path: Path
) -> None:
    assert "HF_HUB_OFFLINE is set" in prepare("WikiText2", {}, HF_HUB_OFFLINE="1")["error"]
    first = prepare("WikiText2", {})
    for path in (tmp_path / "store" / first["meta"]["fingerprint"]).iterdir():
        path.unlink()
    (tmp_path / "store" / first["meta"]["fingerprint"]).rmdir()
    offline = prepare("WikiText2", {}, HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9")
    assert offline.get("meta") == first["meta"], offline


@pytest.mark.parametrize("id", ["", "/etc", "..", "../x", "a/b/c", "a b", "hf://x", "x" * 3 + "/.."])
def test_what_is_no_id_of_the_hub_is_refused_before_it_could_be_taken_for_a_folder(id: str) -> None:
    with pytest.raises(CorpusError, match="expected"):
        check_id(id, "id")
    with pytest.raises(CorpusError, match="expected"):
        fingerprint(Node("data", "HubDataset", {"id": id}))
