"""Documents of the original that are too large, too deep or hostile: one line each, at once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from original import block, chain, document, group, node, text

from cortex.command import main
from cortex.graph import MAX_NODES, from_json, to_json
from cortex.litegraph import is_litegraph
from cortex.litegraph_json import LARGEST
from cortex.litegraph_report import in_words
from cortex.translate import translate


@contextmanager
def at_once() -> Iterator[None]:
    """Fails where the block takes more than 5 s; on a quiet machine each takes a tenth of that at most."""
    begin = time.perf_counter()
    yield
    assert time.perf_counter() - begin < 5


def refusal(source: str, **more: Any) -> str:
    found = translate(source, name="a.json", **more)
    assert found.graph is None
    (line,) = found.report.refused
    assert line.isprintable()
    assert len(line) < 800
    return line


def test_the_longest_chain_is_translated_at_once() -> None:
    middle = [block(3 + at) if at % 2 else node(3 + at, "Dropout") for at in range(MAX_NODES - 4)]
    with at_once():
        found = translate(text(chain(*middle)))
    assert len(found.graph.nodes) == MAX_NODES


def test_a_web_of_links_is_translated_at_once() -> None:
    """Every dropout feeds every later one: the ways from the Linear to the Loss are beyond counting."""
    nodes = [node(1, "WikiText-2"), node(2, "Embedding"), node(3, "Linear", out_features=9)]
    nodes += [*(node(key, "Dropout") for key in range(4, 190)), node(200, "Loss", kind="MSE")]
    links = [(1, 0, 2, 0), (2, 0, 3, 0), (189, 0, 200, 0)]
    links += [(start, 0, end, 0) for start in range(3, 189) for end in range(start + 1, 190)]
    with at_once():
        assert len(translate(text(nodes, links)).graph.nodes) == len(nodes)


def test_more_links_than_any_model_has_are_refused() -> None:
    whole = document(chain(block(3)))
    whole["links"] *= 10_000
    with at_once():
        assert refusal(json.dumps(whole)) == "a.json.links: found 40,000, expected at most 20,000"


def test_a_text_that_is_too_large_is_not_read_at_all() -> None:
    with at_once():
        line = refusal("[" * (LARGEST + 1))
    assert line == "a.json: found 17 MiB, expected a LiteGraph document of at most 16 MiB"
    assert not is_litegraph(" " * LARGEST + text(chain(block(3))))


def test_a_file_that_is_too_large_is_not_read_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(200 * 2**20)
    assert main(["import", str(path)]) == 2
    assert capsys.readouterr().err.strip() == f"{path}: found 200 MiB, expected a LiteGraph document of at most 16 MiB"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
        ("9" * 100_000, "found a number of 100,000 digits"),
        ("1e999", "found 1e999"),
        ("-Infinity", "found -Infinity"),
        ('"\\ud800"', "found half of a surrogate pair"),
        ('{"a": 1, "a": 2}', 'the key "a" stands twice in one object'),
    ],
)
def test_values_that_no_document_can_hold_are_one_line(value: str, reason: str) -> None:
    source = text(chain(block(3), lr=12345)).replace("12345", value)
    with at_once():
        assert refusal(source) == f"a.json: not JSON: {reason}, expected a LiteGraph document"


HOSTILE = "\x1b]0;owned\x07\x1b[2J\n<script>alert(1)</script> **bold** \u202e\u0000\x9b31m" + "x" * 100_000


def test_hostile_texts_reach_the_report_short_and_on_one_line() -> None:
    nodes = chain(block(3, nhead=HOSTILE, **{HOSTILE: HOSTILE}), node(4, "LayerNorm", HOSTILE))
    nodes[0]["properties"]["seq_length"] = HOSTILE
    found = translate(text(nodes, optimizer="Adam", groups=[{"title": HOSTILE}], embedded_templates={HOSTILE: {}}))
    lines = in_words(found.report).split("\n")
    assert all(line.isprintable() and len(line) < 800 for line in lines)
    assert len(lines) == 1 + 1 + len(nodes) + 1 + len(found.report.wrong_there)
    assert from_json(to_json(found.graph)) == found.graph


@pytest.mark.parametrize(
    "nodes",
    [
        [node(1, HOSTILE)],
        [{**node(1, "Linear"), "id": HOSTILE}],
        [node(1, "graph/subgraph_ref", subgraph_name=HOSTILE)],
        [{**node(1, "Linear"), "properties": [HOSTILE]}],
        [HOSTILE],
        [node(1, "CustomData", type="csv", path=HOSTILE)],
    ],
)
def test_hostile_texts_reach_a_refusal_short_and_on_one_line(nodes: list[Any]) -> None:
    refusal(json.dumps({"nodes": nodes, "links": []}))


def test_a_thousand_unknown_types_are_a_short_refusal() -> None:
    lines = translate(text([node(key, f"t{key}") for key in range(1900)])).report.refused
    assert len(lines) == 41
    assert lines[-1] == "and 1,860 more"


@pytest.mark.parametrize("name", ["../b.json", "/etc/passwd", "..", "x" * 5000, "b\x00.json", "sub/../../b.json"])
def test_a_reference_leads_nowhere_but_beside_the_document(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "graphs" / "deep"
    folder.mkdir(parents=True)
    (tmp_path / "graphs" / "b.json").write_text(json.dumps(group()))
    (folder / "a.json").write_text(text(chain(node(3, "graph/subgraph_ref", subgraph_name=name))))
    assert main(["import", str(folder / "a.json")]) == 2
    assert len(capsys.readouterr().err.strip().split("\n")) == 1


def test_a_file_that_is_referred_to_often_is_read_once() -> None:
    class Counting(dict[str, str]):
        reads = 0

        def __getitem__(self, name: str) -> str:
            self.reads += 1
            return super().__getitem__(name)

    files = Counting({"b.json": json.dumps(group())})
    references = [node(3 + at, "graph/subgraph_ref", subgraph_name="b.json") for at in range(50)]
    assert translate(text(chain(*references)), beside=files).graph is not None
    assert files.reads == 1


def test_files_that_refer_to_each_other_in_a_ring_are_refused() -> None:
    def to(name: str) -> str:
        nodes = [node(1, "graph/input"), node(2, "graph/subgraph_ref", subgraph_name=name), node(3, "graph/output")]
        return json.dumps(document(nodes))

    files = {"b.json": to("c.json"), "c.json": to("b")}
    assert "is inside itself" in refusal(text(chain(node(3, "graph/subgraph_ref", subgraph_name="b.json"))), beside=files)
