"""Editing as a person does it: a fault and its button, undo and redo by keyboard, what survives a closed browser."""

from __future__ import annotations

import os
import signal
from urllib.parse import urlsplit

import pytest
from browser.conftest import Tab
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def nhead(tab: Tab) -> int:
    return tab.graph().node("block_2").params["nhead"]


def test_a_fault_is_mended_by_its_button_and_every_edit_can_be_undone(tab: Tab) -> None:
    tab.open_preset()
    tab.node("block_2").click()
    tab.settle(1)
    tab.fill("nhead", "5")
    expect(tab.node("block_2")).to_contain_text("must divide")
    tab.button("Set nhead of block_2 to 4").click()
    expect(tab.node("block_2")).not_to_contain_text("must divide")
    tab.settle(1)
    assert nhead(tab) == 4
    tab.page.keyboard.press("Control+z")
    expect(tab.node("block_2")).to_contain_text("must divide")
    assert nhead(tab) == 5
    tab.page.keyboard.press("Control+Shift+z")
    expect(tab.node("block_2")).not_to_contain_text("must divide")
    assert nhead(tab) == 4
    for keys, undone in (("Control+z", True), ("Control+Shift+z", False)):
        tab.page.keyboard.press(keys)
        tab.page.keyboard.press(keys)  # before the first has been answered: both count, and no more than both
        expect(tab.button("Redo")).to_be_enabled(enabled=undone)
        expect(tab.button("Undo")).to_be_enabled(enabled=not undone)
        tab.settle()

    # Another browser, the server as it was: the graph is offered again, and its edits can still be undone.
    other = tab.another().open("/")
    other.button("Go on with gpt-small").click()
    expect(other.node("block_2")).to_be_visible()
    other.settle(1)
    other.button("Undo").click()
    expect(other.node("block_2")).to_contain_text("must divide")
    other.page.get_by_role("button", name="New", exact=True).click()
    expect(other.button("Open small")).to_be_visible()
    expect(other.page.get_by_test_id("stHeaderLogo")).to_be_visible()
    other.button("Go on with gpt-small").click()
    expect(other.page.get_by_text("Changes the whole chain at once")).to_be_in_viewport()


def test_a_server_killed_while_a_graph_is_edited_goes_on_in_the_open_page(tab: Tab) -> None:
    tab.open_preset()
    first = tab.graph()
    tab.drag("loss", 150, 20).until(lambda: tab.graph() != first).settle()
    before = tab.graph()
    os.killpg(tab.server.process.pid, signal.SIGKILL)
    tab.server.process.wait()
    tab.drag("head", -10, 60)  # which nobody hears of any more
    tab.server.start()
    expect(tab.button("Undo")).to_be_enabled()
    tab.settle(1)
    assert tab.graph() == before
    tab.button("Undo").click()
    tab.until(lambda: tab.graph().layout["loss"] != before.layout["loss"]).settle()
    assert urlsplit(tab.page.url).path in ("", "/")  # what a reload asks for
    tab.page.reload()
    expect(tab.node("loss")).to_be_visible()
    expect(tab.page.get_by_text("Page not found")).not_to_be_attached()
    tab.button("Redo").click()
    tab.until(lambda: tab.graph() == before)


def test_the_keys_of_undo_are_the_fields_in_a_field_and_the_graphs_on_page_and_canvas(tab: Tab) -> None:
    tab.open_preset()
    tab.node("block_2").click()
    tab.settle(1)
    tab.fill("nhead", "8")
    field = tab.page.get_by_label("Name", exact=True)
    field.press_sequentially("ab")
    field.press("Control+z")
    expect(field).not_to_have_value("gpt-smallab")
    tab.settle(0.5)
    assert nhead(tab) == 8
    tab.node("block_3").click()
    tab.settle(1)
    tab.page.keyboard.press("Control+z")
    tab.until(lambda: nhead(tab) == 4).settle()
    tab.page.keyboard.press("Control+Shift+z")
    tab.until(lambda: nhead(tab) == 8)
