"""The documents in examples/ and the pages in docs/ are those that the code makes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cortex.builder import build, plan
from cortex.describe import reference
from cortex.graph import from_json, to_json
from cortex.presets import PRESETS, preset
from cortex.targets import Targets

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.json")), ids=lambda path: path.stem)
def test_an_example_opens_without_a_fault(path: Path) -> None:
    graph = from_json(path.read_text(), path.name)
    assert graph.name == path.stem
    assert not plan(graph).issues


def writing() -> list[Path]:
    """The examples whose main loss is of the next token, which are those that write text."""
    found = []
    for path in sorted((ROOT / "examples").glob("*.json")):
        graph = from_json(path.read_text())
        losses = [node.id for node in graph.nodes if node.kind == "Loss"]
        found += [path] if losses[0] in Targets(graph, None, None).of_next_token() else []
    return found


@pytest.mark.parametrize("path", writing(), ids=lambda path: path.stem)
def test_an_example_writes_the_same_with_its_cache_as_without(path: Path) -> None:
    graph, vocabulary = from_json(path.read_text()), 60
    for node in graph.nodes:  # a published vocabulary would only take time
        for name in ("num_embeddings", "out_features"):
            graph = graph.with_param(node.id, name, vocabulary) if node.params.get(name, 0) == 50_257 else graph
    torch.manual_seed(1)
    model = build(plan(graph, vocabulary)).eval()
    tokens, cache = torch.randint(vocabulary, (1, 24)), model.new_cache()
    batch = {"source": torch.randint(vocabulary, (1, 9))}
    with torch.inference_mode():
        whole = model.logits(tokens, batch=batch)
        pieces = [model.logits(part, cache, batch) for part in tokens.split([10, *[1] * 14], 1)]
    cached = torch.cat(pieces, 1)
    torch.testing.assert_close(cached, whole, atol=1e-4, rtol=0)
    top = whole.topk(2).values
    apart = top[..., 0] - top[..., 1] > 2e-4
    assert apart.any() and torch.equal(cached.argmax(-1)[apart], whole.argmax(-1)[apart])


@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_are_among_the_examples(name: str) -> None:
    assert (ROOT / "examples" / f"gpt-{name}.json").read_text() == to_json(preset(name))


def test_the_node_reference_is_up_to_date() -> None:
    assert (ROOT / "docs" / "nodes.md").read_text() == reference(), "run: make docs"
