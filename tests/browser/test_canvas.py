"""The canvas in a real browser: every event that its component sends, in the orders that break naive code."""

from __future__ import annotations

import re

import pytest
from browser.conftest import Tab
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_a_dragged_node_stays_where_it_was_dropped_also_after_a_reload(tab: Tab) -> None:
    tab.open_preset()
    before = tab.graph().layout["loss"]
    tab.drag("loss", 150, 20).until(lambda: tab.graph().layout["loss"][0] - before[0] > 100)
    after = tab.graph().layout["loss"]
    tab.settle().page.reload()
    expect(tab.node("loss")).to_be_visible()
    tab.settle()
    assert tab.graph().layout["loss"] == after


def test_a_click_on_a_node_opens_its_form(tab: Tab) -> None:
    tab.open_preset()
    tab.node("block_2").click()
    expect(tab.page.get_by_text("GPTBlock · block_2")).to_be_visible()
    for label in ("d_model", "nhead", "dim_feedforward", "dropout"):
        expect(tab.page.get_by_label(label, exact=True).first).to_be_visible()
    tab.node("data").click()
    expect(tab.page.get_by_label("seq_len", exact=True)).to_have_value("64")


def test_cards_show_kind_shape_and_parameters(tab: Tab) -> None:
    tab.open_preset()
    card = tab.node("block_1")
    for text in ("GPTBlock", "B×T×128", "198 k parameters"):
        expect(card).to_contain_text(text)


def test_an_edge_is_removed_and_drawn_again(tab: Tab) -> None:
    tab.open_preset()
    tab.edge("head", "loss").click(force=True)
    tab.settle()
    tab.button("Delete").first.click()
    expect(tab.node("loss")).to_contain_text("nothing is connected to it")
    assert ("head", "loss") not in tab.edges()
    expect(tab.button("Train gpt-small")).to_be_disabled()
    tab.settle()
    tab.draw_edge("head", "loss")
    expect(tab.edge("head", "loss")).to_be_attached()
    expect(tab.button("Train gpt-small")).to_be_enabled()
    assert ("head", "loss") in tab.edges()


def test_a_second_source_for_one_port_is_a_fault_on_its_node(tab: Tab) -> None:
    tab.open_preset()
    tab.draw_edge("positions", "norm")
    expect(tab.node("norm")).to_contain_text("2 sources go into one port")
    expect(tab.button("Train gpt-small")).to_be_disabled()
    expect(tab.node("head")).to_contain_text("waits for norm")


@pytest.mark.parametrize("key", ["Backspace", "Delete"])
def test_a_key_deletes_the_selected_node_with_its_edges_and_ctrl_z_brings_it_back(key: str, tab: Tab) -> None:
    tab.open_preset()
    tab.node("block_2").click()
    tab.settle(1)
    tab.page.keyboard.press(key)
    expect(tab.node("block_3")).to_contain_text("nothing is connected to it")  # told at once, without another click
    assert "block_2" not in tab.ids()
    assert not any("block_2" in edge for edge in tab.edges())
    tab.page.keyboard.press("Control+z")
    expect(tab.node("block_2")).to_be_visible()
    expect(tab.node("block_3")).not_to_contain_text("nothing is connected to it")
    assert "block_2" in tab.ids()
    tab.settle()
    tab.node("loss").click()
    tab.page.keyboard.press("Control+Shift+z")
    expect(tab.node("block_2")).not_to_be_attached()
    assert "block_2" not in tab.ids()


def test_a_node_is_added_wired_and_deleted_with_buttons(tab: Tab) -> None:
    tab.open_preset()
    tab.button("Add a node").click()
    tab.page.get_by_role("searchbox").fill("variance")
    tab.page.get_by_role("button", name=re.compile("^LayerNorm")).click()
    expect(tab.page.get_by_role("status").get_by_text("Added layer_norm")).to_be_visible()
    tab.settle(1)
    tab.page.keyboard.press("Escape")
    tab.settle(0.5)
    assert "layer_norm" in tab.ids()
    expect(tab.node("layer_norm")).to_contain_text("nothing is connected to it")
    tab.button("Delete").first.click()
    expect(tab.node("layer_norm")).not_to_be_attached()
    assert "layer_norm" not in tab.ids()
    expect(tab.button("Train gpt-small")).to_be_enabled()


def test_tidy_lays_the_nodes_out_again(tab: Tab) -> None:
    tab.open_preset()
    before = dict(tab.graph().layout)
    tab.drag("loss", 200, 10).until(lambda: tab.graph().layout != before).settle()
    tab.button("Tidy").click()
    tab.until(lambda: tab.graph().layout == before)


def test_actions_in_quick_succession_are_all_kept(tab: Tab) -> None:
    """A drag that is made before the browser has taken the last push must not undo that push."""
    tab.open_preset()
    tab.node("block_1").click()
    tab.drag("loss", 120, 30)
    tab.drag("head", -20, 40)
    tab.node("block_3").click()
    tab.until(lambda: tab.graph().layout["loss"][0] > 80 and tab.graph().layout["head"][1] > 112 + 20).settle(1)
    layout = tab.graph().layout
    assert layout["loss"][0] > 80
    assert layout["head"][1] > 112 + 20
    assert len(tab.ids()) == 9 and len(tab.edges()) == 8
    tab.button("Tidy").click()
    tab.drag("norm", 0, 60)
    tab.settle(1)
    assert len(tab.ids()) == 9 and len(tab.edges()) == 8


def test_a_second_tab_on_the_same_document_loses_nothing(tab: Tab) -> None:
    tab.open_preset()
    other = tab.another()
    other.page.goto(tab.page.url)
    expect(other.node("data")).to_be_visible()
    other.settle()
    other.node("block_1").click()
    other.settle()
    other.fill("nhead", "8").until(lambda: tab.graph().node("block_1").params["nhead"] == 8)
    tab.page.bring_to_front()
    tab.drag("loss", 150, 20)  # this tab still shows the old graph
    tab.until(lambda: tab.graph().layout["loss"][0] > 100).settle(1)
    graph = tab.graph()
    assert graph.node("block_1").params["nhead"] == 8
    assert graph.layout["loss"][0] > 100
    assert len(graph.nodes) == 9 and len(graph.edges) == 8


def test_nothing_loops_when_nobody_does_anything(tab: Tab) -> None:
    tab.open_preset()
    name = tab.page.url.partition("doc=")[2][:12]
    file = tab.server.places.documents / f"{name}.json"
    before = file.stat().st_mtime_ns
    tab.page.evaluate("window.runs = 0")
    tab.page.evaluate(
        """new MutationObserver(() => { if (document.querySelector('[data-testid="stStatusWidget"]')) window.runs++ })
        .observe(document.body, {childList: true, subtree: true})"""
    )
    tab.page.wait_for_timeout(4000)
    assert tab.page.evaluate("window.runs") <= 1
    assert file.stat().st_mtime_ns == before


def test_text_of_a_document_is_shown_and_never_run(tab: Tab) -> None:
    tab.open()
    text = '<img src=x onerror="window.top.hacked = 1">'
    document = {
        "format": "cortexnodus/graph", "version": 1, "name": text,
        "nodes": [{"id": "evil", "kind": text, "params": {}}, {"id": text, "kind": "LayerNorm", "params": {text: text}}],
        "edges": [],
    }  # fmt: skip
    import json

    tab.page.locator('input[type="file"][accept*="json"]').set_input_files(
        {"name": "evil.json", "mimeType": "application/json", "buffer": json.dumps(document).encode()}
    )
    expect(tab.page.get_by_text("to mend before training")).to_be_visible()
    tab.settle(1)
    assert tab.page.evaluate("window.hacked") is None
    assert tab.canvas.locator("img").count() == 0
    assert tab.page.locator('img[src="x"]').count() == 0


def test_a_node_deleted_while_its_form_is_open_leaves_no_error(tab: Tab) -> None:
    tab.open_preset()
    tab.node("block_2").click()
    tab.settle()
    tab.page.get_by_label("nhead", exact=True).first.fill("2")  # typed, not yet entered
    tab.node("block_2").click()
    tab.settle()
    tab.page.keyboard.press("Backspace")
    tab.click_pane().until(lambda: "block_2" not in tab.ids()).settle()
    expect(tab.page.get_by_text("Traceback")).not_to_be_attached()


def test_a_document_deleted_while_open_goes_on_as_a_new_one(tab: Tab) -> None:
    tab.open_preset()
    name = tab.page.url.partition("doc=")[2][:12]
    (tab.server.places.documents / f"{name}.json").unlink()
    tab.button("Tidy").click()
    expect(tab.page.get_by_text("goes on as a new document")).to_be_visible()
    expect(tab.node("data")).to_be_visible()
    tab.until(lambda: name not in tab.page.url)
    assert len(tab.ids()) == 9


def test_a_document_damaged_while_open_is_told_and_left_as_it_is(tab: Tab) -> None:
    tab.open_preset()
    name = tab.page.url.partition("doc=")[2][:12]
    path = tab.server.places.documents / f"{name}.json"
    path.write_text('{"format": bro')
    tab.button("Tidy").click()
    expect(tab.page.get_by_text("damaged outside the app").or_(tab.page.get_by_text("not JSON")).first).to_be_visible()
    assert path.read_text() == '{"format": bro'


def test_an_emptied_field_keeps_its_value(tab: Tab) -> None:
    tab.open_preset()
    tab.node("data").click()
    tab.settle()
    tab.fill("batch_size", "")
    tab.settle()
    assert tab.graph().node("data").params["batch_size"] == 20
