"""A sweep in a real browser: begun on the Train page, stopped and resumed as a whole, its best graph built upon."""

from __future__ import annotations

import re

import pytest
from browser.conftest import Tab
from conftest import made_lines, tiny_graph
from playwright.sync_api import expect

from cortex import documents
from cortex.data import prepare
from cortex.sweep import find_sweep
from cortex.trials import sweep_state, trials

pytestmark = pytest.mark.browser


def test_a_sweep_is_begun_stopped_resumed_and_built_upon(tab: Tab) -> None:
    where = tab.server.places
    where.uploads.mkdir(parents=True, exist_ok=True)
    text = where.uploads / "0123-cats.txt"
    text.write_text("\n".join(made_lines()) + "\n")
    graph = tiny_graph(text, steps=1500, eval_every=500, sample_tokens=0)
    prepare(graph.node("data"), where.store)
    tab.open(f"/train?doc={documents.create(where.documents, graph)}").settle()
    page = tab.page
    page.get_by_text("Sweep: train tiny with other settings").click()
    settings = page.get_by_role("combobox", name="Settings to vary")
    tab.choose(settings, page.get_by_role("option", name=re.compile(r"^training\.lr ")))
    page.keyboard.press("Escape")
    tab.settle()
    tab.fill("training.lr", "0.001,0.003")
    expect(page.get_by_text("2 trials, one after the other")).to_be_visible()
    page.get_by_role("button", name="Start 2 trials").click()

    # The Sweeps page: one trains, the other waits in the queue; stopping is asked of both.
    expect(page.get_by_text("Trials over")).to_be_visible()
    sweep = find_sweep("tiny", where.runs)
    assert f"sweep={sweep.id}" in page.url
    metric = page.get_by_test_id("stMetricValue")
    expect(metric.get_by_text("running", exact=True)).to_be_visible()
    tab.button("Stop").click()
    expect(metric.get_by_text("stopped", exact=True)).to_be_visible(timeout=90_000)
    assert {trial.state for trial in trials(sweep)} <= {"paused", "finished", "waiting"}

    tab.settle()
    tab.button("Resume").click()
    expect(metric.get_by_text("finished", exact=True)).to_be_visible(timeout=180_000)
    assert sweep_state(sweep) == "finished" and {trial.state for trial in trials(sweep)} == {"finished"}
    expect(metric.get_by_text("2 of 2")).to_be_visible()
    tab.settle(1)
    assert page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]').scrollWidth") <= 1280
    box = page.get_by_test_id("stDataFrame").bounding_box()
    page.mouse.click(box["x"] + 16, box["y"] + 52)
    expect(page).to_have_url(re.compile(rf"/run\?run={trials(sweep)[0].run.id}"))
    tab.open(f"/sweeps?sweep={sweep.id}").settle(1)
    tab.button("Open the best graph").click()
    expect(tab.node("data")).to_be_visible()
    best = min(trials(sweep), key=lambda trial: trial.loss)
    assert tab.graph().training["lr"] == best.values["training.lr"]
