"""The Data page in a real browser: own texts uploaded, tokens in colours, settings tried out and taken into a graph."""

from __future__ import annotations

import pytest
from browser.conftest import Tab
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

LINES = [f"the {colour} cat {verb} on the a .\n" for colour in ("red", "blue") for verb in ("sat", "slept")]


def test_two_uploaded_texts_are_split_by_file_measured_and_built_upon(tab: Tab) -> None:
    tab.open("/data")
    tab.settle()
    tab.choose(tab.page.get_by_role("combobox").first, tab.page.get_by_role("option", name="CustomData"))
    expect(tab.page.get_by_text("Choose one or several texts of your own")).to_be_visible()
    files = [("cats.txt", "".join(LINES) * 120), ("held <out>.txt", "the red zebra sat on the a .\n" * 40)]
    tab.page.locator('[data-testid="stSidebar"] input[type="file"]').first.set_input_files(
        [{"name": name, "mimeType": "text/plain", "buffer": text.encode()} for name, text in files]
    )
    expect(tab.page.get_by_text("Unknown in validation")).to_be_visible()
    expect(tab.page.get_by_text("Bigram", exact=True)).to_be_visible()

    # By file: the second one validates, and its zebra has no token.
    tab.settle()
    tab.choose(tab.page.get_by_role("combobox", name="split"), tab.page.get_by_role("option", name="files"))
    expect(tab.page.get_by_role("combobox", name="Validates")).to_be_visible()
    expect(tab.page.get_by_text("Choose at the left which of the files validates")).to_be_visible()
    tab.settle()
    tab.choose(tab.page.get_by_role("combobox", name="Validates"), tab.page.get_by_role("option", name="held--out-.txt"))
    expect(tab.page.get_by_text("11.1%")).to_be_visible()  # one of eight words and a line's end
    expect(tab.page.get_by_text("Measuring the text")).to_be_hidden()
    tab.settle()
    typed = tab.page.get_by_placeholder("Type something")
    typed.fill("the <b>cat</b> sat on the a .")
    typed.press("Control+Enter")
    unknown = tab.page.locator('.tokens span[title^="unknown"]')
    expect(unknown).to_have_count(1)
    expect(unknown).to_have_text("<b>cat</b>")

    # Nothing needs sideways scrolling.
    tab.settle(1)
    assert tab.page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]').scrollWidth") <= 1280
    tab.button("Build a model on this text").click()
    assert tab.graph().node("data").params["split"] == "files"
