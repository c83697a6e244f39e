"""Kinds with several ports and cards made of nodes, built in a browser."""

from __future__ import annotations

import re

import pytest
from browser.conftest import Tab
from playwright.sync_api import Locator, expect

from cortex.graph import Edge

pytestmark = pytest.mark.browser


def add(tab: Tab, kind: str) -> None:
    tab.button("Add a node").click()
    expect(tab.page.get_by_role("searchbox")).to_be_focused()
    tab.page.keyboard.type(kind)
    tab.page.keyboard.press("Enter")
    tab.settle(1)
    tab.page.keyboard.press("Escape")
    tab.settle(0.5)


def port(tab: Tab, label: str) -> Locator:
    return tab.page.get_by_role("combobox", name=re.compile(label.replace("_", r"\\?_")))  # its underscores are escaped


def choose(tab: Tab, label: str, option: str) -> None:
    tab.choose(port(tab, label), tab.page.get_by_role("option", name=option, exact=True)).settle(1)


def test_a_residual_connection_is_drawn_by_hand_and_its_ports_are_chosen(tab: Tab) -> None:
    tab.open_preset()
    tab.node("block_3").click()
    tab.settle(1)
    add(tab, "Multiply")
    expect(tab.node("multiply")).to_contain_text("nothing is connected to its port in_2")
    tab.button("Tidy").click()
    tab.settle(1)
    wanted = {Edge("block_3", "multiply", "in"), Edge("block_2", "multiply", "in_2")}
    tab.draw_edge("block_2", "multiply")
    tab.until(lambda: {edge for edge in tab.graph().edges if edge.target == "multiply"} == wanted).settle()
    tab.node("multiply").click()
    tab.settle(1)
    choose(tab, "in_3 from", "block_1")
    tab.until(lambda: Edge("block_1", "multiply", "in_3") in tab.graph().edges)
    expect(port(tab, "in_4 from")).to_be_visible()


def test_blocks_become_one_card_that_is_repeated_and_put_back(tab: Tab) -> None:
    tab.open_preset()
    tab.button("Group").first.click()
    box = tab.page.get_by_role("combobox", name="Nodes")
    for name in ("block_1", "block_2", "block_3"):
        tab.choose(box, tab.page.get_by_role("option", name=name, exact=True)).settle()
    tab.page.keyboard.press("Escape")
    tab.button("Group as template").click()
    tab.until(lambda: "block" in tab.ids() and "block_2" not in tab.ids()).settle()
    tab.page.keyboard.press("Escape")
    tab.fill("repeat", "4")
    expect(tab.node("block")).to_contain_text("4 × block")
    expect(tab.node("block")).to_contain_text("2.38 M parameters")
    expect(tab.button("Train gpt-small")).to_be_enabled()
    tab.fill("repeat", "1")
    tab.button("Expand").click()
    tab.until(lambda: {"block_1", "block_2", "block_3"} <= set(tab.ids()) and "block" not in tab.ids())
