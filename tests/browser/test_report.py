"""A report and a run's page in a real browser: what the page offers, and that the file needs nothing but itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser.conftest import Server, Tab
from conftest import made_lines, tiny_graph
from playwright.sync_api import Browser, expect

from cortex import labels
from cortex.creating import create_run
from cortex.data import prepare
from cortex.runs import Run
from cortex.worker import work

pytestmark = pytest.mark.browser

NAMES = ("plain", '<script>document.title = "taken"</script><b>bold</b> $x$')


@pytest.fixture(scope="module")
def runs(server: Server) -> list[Run]:
    """Two finished runs, one of them with a name that would like to be a script."""
    path = server.home / "text.txt"
    path.write_text("\n".join(made_lines()) + "\n")
    made, store = [], server.places.store
    for place, name in enumerate(NAMES):
        graph = tiny_graph(path, blocks=1 + place, steps=20, eval_every=5, log_every=1, sample_tokens=5)
        run = create_run(server.places.runs, graph, fingerprint=prepare(graph.node("data"), store).fingerprint, name=name)
        assert work(run, store) == "finished", run.log_tail()
        made.append(run)
    labels.update(made[1], note="a <i>note</i>", tags=["tag"])
    return made


def test_a_report_is_made_on_the_page_and_opens_without_a_network(
    tab: Tab, runs: list[Run], chromium: Browser, tmp_path: Path
) -> None:
    tab.open(f"/runs?runs={','.join(run.id for run in runs)}&part=Take+away")
    make = tab.button("Make the report of 2 runs")
    expect(make).to_be_visible()
    make.click()
    offer = tab.page.get_by_role("button", name="Download, ")
    expect(offer).to_be_visible()
    with tab.page.expect_download() as waiting:
        offer.click()
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.suffix == ".html"

    context = chromium.new_context(viewport={"width": 1280, "height": 800}, offline=True)
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    for run, name in zip(runs, NAMES, strict=True):
        expect(page.get_by_text(run.id, exact=True).first).to_be_visible()
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    assert page.title() != "taken"
    assert page.locator("svg.chart").count() >= 5
    assert page.locator(".picture svg").count() == 2
    assert asked == [path.as_uri()] and said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    context.close()


def test_a_run_is_opened_from_its_row_among_the_files(tab: Tab, runs: list[Run]) -> None:
    tab.open(f"/runs?runs={','.join(run.id for run in runs)}&part=Take+away")
    rows = tab.page.get_by_role("button", name="Open", exact=True)
    expect(rows.last).to_be_visible()
    rows.last.click()
    expect(tab.page.get_by_role("heading", name=NAMES[1])).to_be_visible()
    assert f"run={runs[1].id}" in tab.page.url


def test_a_runs_page_is_found_by_its_address_and_shows_names_as_text(tab: Tab, runs: list[Run]) -> None:
    tab.open(f"/run?run={runs[1].id}&run.part=Graph")
    expect(tab.page.get_by_role("heading", name=NAMES[1])).to_be_visible()
    expect(tab.page.get_by_text("a <i>note</i>", exact=True)).to_be_visible()
    drawn = tab.page.locator('img[src^="data:image/svg"]').first
    expect(drawn).to_be_visible()
    assert drawn.evaluate("image => image.naturalWidth") > 100
    for part, seen in (("Started with", "To train the same again"), ("History", "Log"), ("Checkpoints and files", "Weights, ")):
        tab.page.get_by_role("radio", name=part).or_(tab.button(part)).first.click()
        expect(tab.page.get_by_text(seen).first).to_be_visible()
    assert "run.part=Checkpoints" in tab.page.url
    tab.page.reload()
    expect(tab.page.get_by_text("Weights, ").first).to_be_visible()


def test_weights_come_down_as_they_are_on_disk(tab: Tab, runs: list[Run], tmp_path: Path) -> None:
    tab.open(f"/run?run={runs[0].id}&run.part=Checkpoints+and+files")
    button = tab.page.get_by_role("button", name="Weights, ")
    expect(button).to_be_visible()
    with tab.page.expect_download() as waiting:
        button.click()
    waiting.value.save_as(tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == runs[0].checkpoint("best").read_bytes()


def test_the_runs_graph_opens_in_the_builder(tab: Tab, runs: list[Run]) -> None:
    tab.open(f"/run?run={runs[0].id}")
    button = tab.button("Open in Build")
    expect(button).to_be_visible()
    button.click()
    expect(tab.node("data")).to_be_visible()
    assert [node.kind for node in tab.graph().nodes] == [node.kind for node in runs[0].graph().nodes]
