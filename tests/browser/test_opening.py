"""A document of the older tool, uploaded: the report beside the button that opens it, and what cannot be opened."""

from __future__ import annotations

import json
from typing import Any

from browser.conftest import Tab
from original import block, chain, group, node, text
from playwright.sync_api import expect


def upload(tab: Tab, **files: str) -> None:
    expect(tab.button("Open small")).to_be_visible()  # the first page of a cold server
    tab.page.locator('input[type="file"][accept*="json"]').set_input_files(
        [{"name": f"{name}.json", "mimeType": "application/json", "buffer": source.encode()} for name, source in files.items()]
    )


def test_a_document_with_a_file_that_it_refers_to_is_reported_and_opened(tab: Tab) -> None:
    reference: dict[str, Any] = node(3, "graph/subgraph_ref", "Blocks", subgraph_name="blocks.json")
    tab.open()
    upload(tab, blocks=json.dumps(group()), older=text(chain(reference, block(4))))
    expect(tab.page.get_by_text("older.json: 8 nodes of the older tool translated.")).to_be_visible()
    expect(tab.page.get_by_text("num_embeddings=100 would have been enlarged to the vocabulary")).to_be_visible()
    tab.button("Open older").click()
    expect(tab.node("blocks")).to_be_visible()  # and its first canvas
    tab.settle()
    assert tab.ids() == ["wiki_text2", "embedding", "blocks", "gpt_block", "output", "goal"]


def test_hostile_titles_are_shown_and_pictures_refused(tab: Tab) -> None:
    title = '<img src=x onerror="window.top.hacked = 1">'
    tab.open()
    upload(tab, older=text(chain(block(3)), groups=[{"title": title}]))
    tab.page.get_by_text("What was changed in").click()
    expect(tab.page.get_by_text("1 frame left out, which only frame nodes: <img src=x")).to_be_visible()
    assert tab.page.evaluate("window.hacked") is None
    tab.open()
    upload(tab, pictures=text([node(1, "MNIST"), node(2, "Conv2D"), node(3, "Loss")]))
    expect(tab.page.get_by_text("for pictures, which have no place here: MNIST")).to_be_visible()
