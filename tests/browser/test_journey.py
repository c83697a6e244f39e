"""The journey of the README in a real browser: build, train, watch, reload, stop, compare, take away, generate."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from browser.conftest import Tab
from playwright.sync_api import expect
from safetensors.torch import load

from cortex.graph import from_json

pytestmark = pytest.mark.browser


def start_training(tab: Tab, *, width: str = "32") -> str:
    """Open small, make it narrow and validation frequent, press Train; the run's folder name comes out."""
    tab.open_preset()
    tab.fill("embedding_dim", width)
    tab.page.get_by_text("Training", exact=True).first.click()
    tab.settle()
    tab.page.get_by_text("All settings", exact=True).click()
    tab.settle()
    tab.fill("eval_every", "4")
    tab.fill("log_every", "1")
    tab.button("Train gpt-small").click()
    expect(tab.page.get_by_text("Best validation perplexity")).to_be_visible()
    return tab.server.runs()[0].id


def wait_for_steps(tab: Tab, steps: int, seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(event["event"] == "train" and event["step"] >= steps for event in tab.events()):
            return
        time.sleep(0.3)
    raise AssertionError(f"no {steps} steps within {seconds} s: {tab.server.runs()[0].log_tail()}")


def test_a_wrong_value_marks_its_node_and_training_waits_until_it_is_mended(tab: Tab) -> None:
    tab.open_preset()
    tab.node("block_2").click()
    tab.settle()
    tab.fill("nhead", "5")
    expect(tab.node("block_2")).to_contain_text("nhead=5 must divide d_model=128")
    expect(tab.page.get_by_text("block_2.nhead: nhead=5 must divide d_model=128; try 4 or 8")).to_be_visible()
    expect(tab.button("Train gpt-small")).to_be_disabled()
    tab.fill("nhead", "8")
    expect(tab.node("block_2")).to_contain_text("198 k parameters")
    expect(tab.button("Train gpt-small")).to_be_enabled(timeout=120_000)  # the text may still be being tokenised


def test_two_runs_from_the_first_page_to_generated_text(tab: Tab) -> None:
    first = start_training(tab, width="48")
    wait_for_steps(tab, 5)
    chart = tab.page.frame_locator('iframe[title="ui.plot.frame"]').first.locator(".js-plotly-plot")
    expect(chart).to_be_visible()
    seen = "chart => chart._fullData[0].x.length"
    zoom, points = tab.zoom(chart), chart.evaluate(seen)
    tab.until(lambda: chart.evaluate(seen) >= points + 3, seconds=180)
    assert chart.evaluate("chart => chart.layout.xaxis.range") == zoom, "a refresh has thrown the zoom away"
    expect(tab.page.get_by_text("Time left")).to_be_visible()
    tab.page.reload()
    expect(tab.page.get_by_text("Time left")).to_be_visible()
    assert f"run={first}" in tab.page.url

    # Stop keeps the best weights.
    tab.button("Stop").click()
    expect(tab.page.get_by_text("Time taken")).to_be_visible()
    run = tab.server.runs()[0]
    assert run.state() == "stopped"
    assert run.checkpoint("best").exists() and run.checkpoint("last").exists()

    second = start_training(tab)
    wait_for_steps(tab, 5)
    tab.button("Stop").click()
    expect(tab.page.get_by_text("Time taken")).to_be_visible()

    # Compare, from the URL, as a colleague would who was sent the link.
    tab.open(f"/runs?runs={first},{second}")
    expect(tab.page.locator('iframe[title="ui.plot.frame"]')).to_have_count(2)
    expect(tab.page.frame_locator('iframe[title="ui.plot.frame"]').last.locator(".js-plotly-plot")).to_be_visible()
    tab.settle(1)
    tab.page.get_by_text("Take away", exact=True).click()
    with tab.page.expect_download() as download:
        tab.button("Weights").first.click()
    weights = load(download.value.path().read_bytes())
    assert {"embedding.weight", "head.bias"} <= set(weights)
    with tab.page.expect_download() as download:
        tab.button("Document").first.click()
    assert from_json(download.value.path().read_text()).node("embedding").params["embedding_dim"] in (48, 32)
    with tab.page.expect_download() as download:
        tab.button("Tokenizer").first.click()
    assert "model" in json.loads(download.value.path().read_text())

    # Generate, with a word that no play has.
    tab.open("/generate")
    prompt = tab.page.get_by_label("Prompt")
    prompt.fill("O Romeo, Zorblax")
    prompt.press("Control+Enter")
    expect(tab.page.locator("mark")).to_have_text("Zorblax")
    tab.button("Write on").click()
    expect(tab.page.get_by_text("100 tokens in")).to_be_visible()


def test_a_killed_worker_is_shown_as_interrupted_within_ten_seconds_and_the_server_goes_on(tab: Tab) -> None:
    start_training(tab)
    wait_for_steps(tab, 5)
    run = tab.server.runs()[0]
    os.kill(run.status()["pid"], signal.SIGKILL)
    killed = time.monotonic()
    expect(tab.page.get_by_text("interrupted", exact=True)).to_be_visible(timeout=10_000)
    assert time.monotonic() - killed < 10
    assert run.state() == "interrupted"
    assert all(event["event"] in ("start", "train", "validation", "sample") for event in run.events())
    tab.open("/")
    expect(tab.page.get_by_text("Pick a size")).to_be_visible()


def test_a_run_goes_on_while_the_server_restarts_and_the_page_finds_it_again(tab: Tab) -> None:
    name = start_training(tab)
    wait_for_steps(tab, 3)
    tab.server.stop()
    before = tab.events()[-1]["step"]
    wait_for_steps(tab, before + 3)
    tab.server.start()
    tab.open("/train")
    expect(tab.page.get_by_text("Time left")).to_be_visible()
    expect(tab.page.get_by_text("running", exact=True)).to_be_visible()
    assert f"run={name}" in tab.page.url
    for title in ("Build", "Train", "Runs", "Generate"):
        expect(tab.page.get_by_role("link", name=title)).to_be_visible()
    assert tab.page.get_by_role("link", name="streamlit app").count() == 0
    tab.button("Stop").click()
    expect(tab.page.get_by_text("Time taken")).to_be_visible()


def test_an_uploaded_text_can_be_trained_on(tab: Tab) -> None:
    tab.open()
    tab.page.get_by_text("My own text").click()
    expect(tab.page.get_by_text("Choose a text of some thousand words")).to_be_visible()
    lines = [f"the {colour} cat sat on the {place}\n" for colour in ("red", "blue") for place in ("mat", "hat")] * 200
    upload = tab.page.locator('input[type="file"]').first
    upload.set_input_files({"name": "latin.txt", "mimeType": "text/plain", "buffer": "café\n".encode("latin-1") * 50})
    expect(tab.page.get_by_text("is not UTF-8 at byte 3 (line 1): 0xe9").first).to_be_visible()
    tab.page.reload()
    tab.page.get_by_text("My own text").click()
    expect(tab.page.get_by_text("Choose a text of some thousand words")).to_be_visible()
    upload.set_input_files({"name": "cats.txt", "mimeType": "text/plain", "buffer": "".join(lines).encode()})
    expect(tab.page.get_by_text("vocabulary 10")).to_be_visible()
    tab.button("Open small").click()
    expect(tab.node("data")).to_contain_text("CustomData")
    tab.settle(1)
    tab.button("Train gpt-small").click()
    expect(tab.page.get_by_text("Best validation perplexity")).to_be_visible()
    wait_for_steps(tab, 5)
    tab.button("Stop").click()
    expect(tab.page.get_by_text("Time taken")).to_be_visible()


def test_a_new_run_does_not_change_which_run_is_chosen_for_comparison(tab: Tab) -> None:
    first = start_training(tab)
    wait_for_steps(tab, 5)
    tab.button("Stop").click()
    expect(tab.page.get_by_text("Time taken")).to_be_visible()
    tab.open(f"/runs?runs={first}")
    expect(tab.page.get_by_text("Take away")).to_be_visible()
    other = tab.another()
    second = start_training(other)
    assert second != first
    tab.page.bring_to_front()
    tab.page.get_by_text("Take away", exact=True).click()
    tab.settle(3)
    assert f"runs={first}" in tab.page.url
    assert second not in tab.page.url
    other.button("Stop").click()
    expect(other.page.get_by_text("Time taken")).to_be_visible()
