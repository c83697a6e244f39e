"""The guide in a real browser: a GPT is made by its buttons, in either language, and goes to the canvas."""

from __future__ import annotations

import re

import pytest
from browser.conftest import Tab
from playwright.sync_api import Locator, expect

from cortex.guide import read
from cortex.presets import preset

pytestmark = pytest.mark.browser


def test_every_step_by_hand_adds_its_node_and_none_of_its_buttons_is_cut_off(tab: Tab) -> None:
    buttons = tab.page.locator('[data-testid="stMain"] button')
    wide = "[each, ...each.querySelectorAll('*')].some(part => part.clientWidth > 0 && part.scrollWidth > part.clientWidth + 1)"
    cut_off = f"buttons => buttons.filter(each => {wide}).map(each => each.innerText)"
    tab.open("/guide")
    expect(tab.page.get_by_role("button", name="Two tokens ahead")).to_be_visible()
    assert buttons.count() > 30
    assert buttons.evaluate_all(cut_off) == []
    tab.page.get_by_text("中文", exact=True).click()
    expect(tab.page.get_by_role("heading", name="快速开始")).to_be_visible()

    def button(label: str) -> Locator:
        return tab.page.get_by_role("button", name=label, exact=True).first

    text = read("zh")
    chapter = [part.anchor for part in text.parts].index("by-hand")
    end = [part.anchor for part in text.parts].index("sizes")
    steps = [each for part in text.parts[chapter:end] for each in part.buttons if each.verb != "tie"]
    done = []
    for each in steps:
        if each.where == "page" or each.arguments[:1] in (("PennTreebank",), ("WikiText2",)) or "GPTBlock" in each.arguments:
            continue
        button(each.label).click()
        wanted = re.compile(r"已打开一张空图" if each.verb == "new" else r"已完成：\+ ")
        expect(tab.page.get_by_test_id("stToast").filter(has_text=wanted).last).to_be_visible()
        tab.settle(0.2)
        done.append(each.verb)
    assert done == ["new", "source", "add", "add", "blocks", "add", "add", "add"]
    assert [node.kind for node in tab.graph().nodes] == [node.kind for node in preset("small").nodes]
    expect(tab.page.get_by_test_id("stSidebar")).to_contain_text("没有错误")
    assert buttons.evaluate_all(cut_off) == []
    tab.button("去看画布").click()
    expect(tab.node("loss")).to_be_visible()
