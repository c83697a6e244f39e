"""Charts, comparer and views of the Runs page in a real browser."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path

import pytest
from browser.conftest import Server, Tab
from playwright.sync_api import Locator, TimeoutError, expect

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.made_runs import make

pytestmark = pytest.mark.browser

RANGE = "chart => chart.layout.xaxis.range"
RUNS = "chart => new Set(chart.data.map(line => line.legendgroup)).size"


@pytest.fixture(scope="module")
def made(server: Server) -> list[str]:
    """Made runs of one data set, newest first."""
    for run in make(server.places.runs, 24, 2500, seed=5):
        if run.graph().node("data").kind != "Shakespeare":
            shutil.rmtree(run.path)
    return [run.id for run in server.runs()]


def chart(tab: Tab, number: int = 0) -> Locator:
    found = tab.page.frame_locator('iframe[title="ui.plot.frame"]').nth(number).locator("#chart.js-plotly-plot")
    expect(found).to_be_visible()
    return found


def tick(tab: Tab, row: int) -> None:
    """Tick or untick a row of the table."""
    table = tab.page.locator('[data-testid="stDataFrame"]').first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    tab.page.mouse.click(box["x"] + 16, box["y"] + 36 + 35 * row + 17)


def test_a_zoom_and_a_hidden_run_stay_when_a_run_is_ticked_and_unticked(tab: Tab, made: list[str]) -> None:
    tab.open(f"/runs?runs={made[0]},{made[1]}")
    shown = chart(tab)
    tab.settle()
    tab.until(lambda: shown.evaluate(RUNS) == 2)
    before = tab.zoom(shown)
    shown.locator(".legendtoggle").first.click()
    hidden = "chart => [...new Set(chart._fullData.filter(line => line.visible !== true).map(line => line.legendgroup))]"
    tab.until(lambda: len(shown.evaluate(hidden)) == 1)
    off = shown.evaluate(hidden)
    drawn = "chart.data.filter(line => line.line).map(line => [line.legendgroup, line.line.color])"
    colours = f"chart => Object.fromEntries({drawn})"
    old = shown.evaluate(colours)
    tick(tab, 2)
    tab.page.wait_for_function("() => new URL(location).searchParams.get('runs').split(',').length === 3")
    tab.until(lambda: shown.evaluate(RUNS) == 3).settle()
    assert shown.evaluate(RANGE) == before
    assert shown.evaluate(hidden) == off
    new = shown.evaluate(colours)
    assert {run: new[run] for run in old} == old
    tick(tab, 2)
    tab.until(lambda: shown.evaluate(RUNS) == 2).settle()
    assert shown.evaluate(RANGE) == before


def test_hovering_shows_every_run_at_that_place(tab: Tab, made: list[str]) -> None:
    tab.open(f"/runs?runs={','.join(made[:3])}&smooth=0.9")
    shown = chart(tab)
    tab.settle()
    shown.scroll_into_view_if_needed()
    area = shown.locator(".nsewdrag").first.bounding_box()
    tab.page.mouse.move(area["x"] + area["width"] / 3, area["y"] + area["height"] / 2)
    tab.page.mouse.move(area["x"] + area["width"] / 3 + 3, area["y"] + area["height"] / 2)
    lines = shown.locator(".hoverlayer .legendtext")
    expect(lines.nth(5)).to_be_visible()  # training and validation of each


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_chart_is_saved_as_a_picture_with_its_names(tab: Tab, made: list[str], kind: str) -> None:
    tab.open(f"/runs?runs={made[0]},{made[1]}")
    shown = chart(tab)
    tab.settle()
    shown.scroll_into_view_if_needed()
    shown.hover()
    assert not shown.locator('.modebar-btn[data-title^="Share"]').count()  # plotly's own would send the chart away
    with tab.page.expect_download() as download:
        shown.locator(f'.modebar-btn[data-title="Save as {kind.upper()}"]').click()
    assert download.value.suggested_filename == f"loss-step.{kind}"
    content = download.value.path().read_bytes()
    if kind == "png":
        assert content.startswith(b"\x89PNG")
    else:
        assert b"nats per token" in content and content.count(b"legendtext") >= 2


def test_a_click_in_the_scatter_opens_the_run(tab: Tab, made: list[str]) -> None:
    tab.open("/runs?part=Many+runs")
    shown = chart(tab)
    tab.settle()
    shown.scroll_into_view_if_needed()
    where = shown.evaluate("""chart => {
        const runs = chart._fullData.find(line => line.uid === "runs"), { xaxis, yaxis } = chart._fullLayout;
        const box = chart.getBoundingClientRect();
        return { x: box.x + xaxis._offset + xaxis.d2p(runs.x[0]), y: box.y + yaxis._offset + yaxis.d2p(runs.y[0]) };
    }""")
    frame = tab.page.locator('iframe[title="ui.plot.frame"]').first.bounding_box()
    for _ in range(5):
        tab.page.mouse.move(frame["x"] + where["x"] - 2, frame["y"] + where["y"])
        tab.page.mouse.move(frame["x"] + where["x"], frame["y"] + where["y"])
        tab.page.wait_for_timeout(300)  # a click counts where the chart has seen that it hovers
        tab.page.mouse.down()
        tab.page.mouse.up()
        with contextlib.suppress(TimeoutError):
            tab.page.wait_for_url("**/run?*", timeout=12_000)
            break
    opened = tab.page.url.partition("run=")[2].partition("&")[0]
    assert opened in made  # points may lie on each other, so any of them may be on top


def test_what_was_chosen_is_there_again_after_a_reload(tab: Tab, made: list[str]) -> None:
    tab.open(f"/runs?runs={made[0]},{made[1]}")
    chart(tab)
    tab.settle()
    tab.page.get_by_text("tokens", exact=True).click()
    tab.until(lambda: "axis=tokens" in tab.page.url).settle()
    tab.page.get_by_text("Gradient norm", exact=True).click()
    tab.until(lambda: "axis=tokens" in tab.page.url and "Gradient+norm" in tab.page.url)
    tab.page.reload()
    expect(tab.page.locator('iframe[title="ui.plot.frame"]')).to_have_count(3)
    assert chart(tab).evaluate("chart => chart.layout.xaxis.title.text") == "tokens seen"
