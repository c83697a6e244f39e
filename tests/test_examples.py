"""The documents in examples/ and the pages in docs/ are those that the code makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortex.builder import plan
from cortex.describe import reference
from cortex.graph import from_json, to_json
from cortex.presets import PRESETS, preset

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.json")), ids=lambda path: path.stem)
def test_an_example_opens_without_a_fault(path: Path) -> None:
    graph = from_json(path.read_text(), path.name)
    assert graph.name == path.stem
    assert not plan(graph).issues


@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_are_among_the_examples(name: str) -> None:
    assert (ROOT / "examples" / f"gpt-{name}.json").read_text() == to_json(preset(name))


def test_the_node_reference_is_up_to_date() -> None:
    assert (ROOT / "docs" / "nodes.md").read_text() == reference(), "run: make docs"
