"""The Runs page in a real browser: filter, tick, toggle and reload; rename; group; deleting asks."""

from __future__ import annotations

import json

import pytest
from browser.conftest import Server, Tab
from conftest import tiny_graph
from playwright.sync_api import expect

from cortex import labels
from cortex.creating import create_run
from cortex.places import to_json
from cortex.runs import Run

pytestmark = pytest.mark.browser
_HEAD, _ROW = 38, 35


@pytest.fixture(scope="module")
def runs(server: Server) -> dict[str, Run]:
    """Six finished runs of three learning rates and two seeds; the later the better."""
    made = {}
    for number in range(6):
        lr, seed = (0.1, 0.2, 0.3)[number // 2], number % 2 + 1
        graph = tiny_graph(server.home / "text.txt", lr=lr, seed=seed)
        name = f"lr {lr}, seed {seed}"
        run = create_run(server.places.runs, graph, fingerprint="f", name=name, group=f"lr {lr}")
        (run.path / "status.json").write_text(to_json({"state": "finished", "pid": 2**22 + 1, "pid_started": 1}))
        start = {"event": "start", "steps": 20, "last_step": 20, "source": "CustomData", "vocabulary": 18, "steps_per_epoch": 5}
        point = {"step": 20, "tokens": 640, "loss": 3.0 - number / 10, "elapsed": 2.0}
        events = [start, point | {"event": "train", "step": 1}, point | {"event": "train"}, point | {"event": "validation"}]
        (run.path / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
        made[name] = run
    return made


def tick(tab: Tab, row: int) -> None:
    box = tab.page.locator('[data-testid="stDataFrame"]').first.bounding_box()
    tab.page.mouse.click(box["x"] + 18, box["y"] + _HEAD + _ROW * row + _ROW / 2)


def ticked(tab: Tab, count: int) -> None:
    expect(tab.page.get_by_text(f"{count} ticked", exact=True)).to_be_visible()


def open_runs(tab: Tab, query: str = "") -> Tab:
    tab.open(f"/runs{query}")
    expect(tab.page.get_by_label("Filter", exact=True)).to_be_visible()
    expect(tab.page.locator('[data-testid="stDataFrame"] canvas').first).to_be_visible()
    return tab.settle()


def test_filter_ticks_order_and_part_outlive_a_reload_and_follow_the_run(tab: Tab, runs: dict[str, Run]) -> None:
    open_runs(tab)
    tab.fill("Filter", "lr<0.25")
    expect(tab.page.get_by_text("4 shown")).to_be_visible()
    tick(tab, 0)
    ticked(tab, 1)
    expect(tab.page.locator('iframe[title="ui.plot.frame"]').first).to_be_visible()
    tick(tab, 3)
    ticked(tab, 2)
    chosen = {runs["lr 0.2, seed 2"].id, runs["lr 0.1, seed 1"].id}
    tab.until(lambda: all(run in tab.page.url for run in chosen))
    tab.page.get_by_text("reverse", exact=True).click()  # what was first is now last; the ticks go along
    tab.settle()
    ticked(tab, 2)
    tick(tab, 3)
    ticked(tab, 1)
    tab.until(lambda: runs["lr 0.1, seed 1"].id in tab.page.url and runs["lr 0.2, seed 2"].id not in tab.page.url)
    tab.page.get_by_role("radio", name="Take away").or_(tab.button("Take away")).first.click()
    tab.settle()
    tab.page.reload()
    expect(tab.page.get_by_text("4 shown")).to_be_visible()
    ticked(tab, 1)
    expect(tab.page.get_by_label("Filter", exact=True)).to_have_value("lr<0.25")
    assert "part=Take" in tab.page.url and "reverse=true" in tab.page.url


def test_a_run_is_renamed_where_it_stands(tab: Tab, runs: dict[str, Run]) -> None:
    run = runs["lr 0.3, seed 1"]
    open_runs(tab, f"?runs={run.id}")
    tab.page.get_by_test_id("stPopoverButton").filter(has_text="Label").click()
    tab.page.get_by_label("Name", exact=True).fill("the <b>best</b>")
    tab.button("Save").click()
    tab.until(lambda: labels.read(run).name == "the <b>best</b>").settle()
    ticked(tab, 1)


def test_groups_are_rows_whose_tick_takes_all_their_runs(tab: Tab, runs: dict[str, Run]) -> None:
    open_runs(tab, "?by=started+together")
    tick(tab, 0)
    ticked(tab, 2)
    tab.until(lambda: all(runs[f"lr 0.3, seed {seed}"].id in tab.page.url for seed in (1, 2)))


def test_deleting_asks_and_only_then_deletes(tab: Tab, runs: dict[str, Run]) -> None:
    run = runs["lr 0.1, seed 2"]
    open_runs(tab, f"?runs={run.id}")
    tab.button("Delete").click()
    expect(tab.page.get_by_text("This frees")).to_be_visible()
    tab.page.get_by_role("button", name="Keep", exact=True).click()
    expect(tab.page.get_by_text("This frees")).to_be_hidden()
    assert run.path.is_dir()
    tab.button("Delete").click()
    tab.page.get_by_role("button", name="Delete this run").click()
    expect(tab.page.get_by_text("5 runs")).to_be_visible()
    tab.until(lambda: "runs=" not in tab.page.url)
    assert not run.path.exists()
