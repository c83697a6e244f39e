"""The store: what is left of the dead goes, what is in use stays, and killing leaves nothing half made."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeGraph, MakeRun, Say, Start

from cortex import store
from cortex.corpus import SPLITS, CorpusError
from cortex.data import lookup, prepare
from cortex.export import packages, script
from cortex.fingerprints import fingerprint
from cortex.graph import Graph, Node, to_json
from cortex.places import Places
from cortex.status import Status
from cortex.store import find

SHARED = Path(__file__).parents[2] / "shared" / "data"
PREPARE = """
import sys
from pathlib import Path
from cortex.data import prepare
from cortex.graph import Node

path, store, tokenizer = sys.argv[1:]
print("begins", flush=True)
prepare(Node("data", "CustomData", {"path": path, "tokenizer": tokenizer}), Path(store))
"""


def test_killed_at_random_moments_and_prepared_again_every_set_is_whole(start: Start, tmp_path: Path) -> None:
    path, folder, draw = tmp_path / "big.txt", tmp_path / "store", random.Random(7)
    path.write_text("".join(" ".join(f"w{draw.randrange(5000)}" for _ in range(12)) + "\n" for _ in range(6_000)))
    for _ in range(8):
        child = start("-c", PREPARE, str(path), str(folder), draw.choice(("word", "bpe", "character")))
        assert child.stdout.readline() == "begins\n"
        time.sleep(draw.uniform(0, 0.3))
        child.kill()
        child.wait()
    for tokenizer in ("word", "bpe", "character"):
        found = prepare(
            Node(
                "data",
                "CustomData",
                {
                    "path": str(path),
                    "tokenizer": tokenizer,
                },
            ),
            folder,
        )
        again = prepare(Node("data", "CustomData", {"path": str(path), "tokenizer": tokenizer}), tmp_path / "other")
        assert all((found.tokens(split) == again.tokens(split)).all() for split in SPLITS)
    prepare(Node("data", "CustomData", {"path": str(path), "tokenizer": "word", "min_frequency": 3}), folder)
    assert not list(folder.glob("*.tmp-*"))


def test_a_set_that_is_removed_is_gone_with_its_lock_and_can_be_made_again(text: Path, tmp_path: Path) -> None:
    node = Node("data", "CustomData", {"path": str(text)})
    found = prepare(node, tmp_path / "store")
    size = found.size()
    assert store.remove(found.fingerprint, tmp_path / "store") == size > 0
    assert list((tmp_path / "store").iterdir()) == [] and lookup(node, tmp_path / "store") is None
    assert prepare(node, tmp_path / "store").fingerprint == found.fingerprint


def test_a_set_that_another_process_is_at_work_on_is_not_removed(text: Path, tmp_path: Path) -> None:
    found = prepare(Node("data", "CustomData", {"path": str(text)}), tmp_path)
    with (
        store.locked(tmp_path / f"{found.fingerprint}.lock", lambda: None),
        pytest.raises(CorpusError, match="at work on this"),
    ):
        store.remove(found.fingerprint, tmp_path)
    assert find(found.fingerprint, tmp_path)


def test_the_list_says_what_there_is_what_it_takes_and_who_uses_it(say: Say, make_run: MakeRun, home: Places) -> None:
    run = make_run()
    status, out, _ = say("data", "list", "--json")
    (row,) = map(json.loads, out.splitlines())
    assert status == 0 and row["runs"] == [run.id] and row["source"] == "CustomData text.txt" and row["tokenizer"] == "word"
    assert row["bytes_on_disk"] == find(row["name"], home.store).size()
    assert say("data", "show", row["name"][:5])[1].count(run.id) == 1
    assert json.loads(say("data", "show", "CustomData", "--json")[1])["splits"]["train"]["tokens"] == row["tokens"]
    assert "text.txt" in say("data", "list")[1]


def test_a_set_that_a_run_is_going_on_with_is_not_removed(say: Say, make_run: MakeRun, home: Places) -> None:
    run = make_run()
    name = run.record()["data"]["fingerprint"]
    status = Status(run)
    assert say("data", "remove", name) == (2, "", f"{name[:12]}: run {run.id} is going on with it; stop it first\n")
    elsewhere = run.path.rename(home.runs.parent / "elsewhere")
    code, out, _ = say("data", "remove", name[:8])
    elsewhere.rename(run.path)
    status.end("stopped")
    assert code == 0 and out.startswith("removed CustomData text.txt, freed ")
    assert say("data", "remove", name[:8])[0] == 2 and "no prepared texts" in say("data", "list")[1]


def test_prepare_takes_a_document_or_a_preset_and_tells_how_far_it_is(say: Say, make_graph: MakeGraph, tmp_path: Path) -> None:
    graph: Graph = make_graph()
    (tmp_path / "graph.json").write_text(to_json(graph))
    status, out, err = say("data", "prepare", str(tmp_path / "graph.json"))
    assert status == 0 and out.startswith("CustomData text.txt: vocabulary ") and "tokenising train, 0 %" in err.splitlines()
    path = f"nodes.data.path={graph.node('data').params['path']}"
    options = ["--preset", "small", "--set", "nodes.data.kind=CustomData", "--set", path, "--json"]
    events = [json.loads(line) for line in say("data", "prepare", *options)[1].splitlines()]
    assert events[-1]["event"] == "prepared" and events[-1]["fingerprint"] == fingerprint(graph.node("data"))
    assert (
        say("data", "prepare", "--preset", "small", "--set", "nodes.data.kind=WikiText2", "--set", "nodes.data.seq_len=0")[0]
        == 2
    )


def test_what_was_read_of_a_long_text_does_not_stay_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    np.arange(2**22, dtype=np.uint32).tofile(path)
    tokens = np.memmap(path, dtype=np.uint32, mode="r")

    def held() -> int:
        return int(re.search(r"RssFile:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

    assert int(tokens.sum(dtype=np.int64)) == 2**21 * (2**22 - 1)
    before = held()
    store.let_go(tokens[5:])
    assert held() < before - path.stat().st_size * 3 // 4
    assert int(tokens[7]) == 7
    store.let_go(np.zeros(3))


@pytest.mark.parametrize(("kind", "needs"), [("WikiText2", True), ("HubDataset", True), ("Shakespeare", False)])
def test_a_script_needs_the_library_of_the_hub_only_where_its_text_is_there(
    make_graph: MakeGraph, kind: str, needs: bool
) -> None:
    params: dict[str, Any] = {"batch_size": 2, "seq_len": 8} | ({"id": "me/own"} if kind == "HubDataset" else {})
    graph = make_graph()
    graph = Graph("g", (Node("data", kind, params), *graph.nodes[1:]), graph.edges, graph.training)
    assert any(need.startswith("datasets==") for need in packages(graph)) == needs
    assert f"SOURCE = {kind}(" in script(graph) and "import cortex" not in script(graph)


@pytest.mark.skipif(not (SHARED / "ptb").is_dir(), reason="Penn Treebank is not beside this checkout")
def test_penn_treebank_has_its_published_counts_with_its_own_files(tmp_path: Path) -> None:
    files = dict(split="files", validation_file="ptb.valid.txt", test_file="ptb.test.txt", min_frequency=1)
    found = prepare(Node("data", "CustomData", {"path": str(SHARED / "ptb"), **files}), tmp_path)
    assert [found.count(split) for split in SPLITS] == [929_589, 73_760, 82_430] and found.vocab_size == 10_000


@pytest.mark.skipif(not (SHARED / "wikitext-2").is_dir(), reason="WikiText-2 is not beside this checkout")
def test_wikitext_2_has_its_published_counts(tmp_path: Path) -> None:
    files = dict(split="files", validation_file="valid.txt", min_frequency=1)
    found = prepare(Node("data", "CustomData", {"path": str(SHARED / "wikitext-2"), **files}), tmp_path)
    assert [found.count(split) for split in SPLITS] == [245_569, 217_646, 0]
