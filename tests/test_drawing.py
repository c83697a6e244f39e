"""Charts and graphs as SVG: what is drawn is what the numbers say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from conftest import MakeGraph

from cortex.builder import plan
from cortex.drawing import HEIGHT, WIDTH, Axis, Line, chart, number, ticks
from cortex.graph import Edge, Graph, Node
from cortex.lines import Band
from cortex.picture import picture, picture_of
from cortex.presets import PRESETS, preset
from cortex.templates import group

TITLES = {"title": "Loss", "x_title": "step", "y_title": "nats"}


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.tag.endswith("text")]


def coordinates(svg: str) -> list[tuple[float, float]]:
    drawn = [path for path in re.findall(r'd="M([^"]+)"', svg) if "L" in path and "Z" not in path]
    return [tuple(map(float, point.split(","))) for path in drawn for point in path.split("L")]


def test_a_value_is_drawn_at_its_place_on_either_axis() -> None:
    linear, log = Axis(0, 10, 100, 200, False), Axis(1, 100, 100, 200, True)
    assert [linear.at(value) for value in (0, 5, 10)] == [100, 150, 200]
    assert [log.at(value) for value in (1, 10, 100)] == [100, 150, 200]


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (0, 10, False, [0, 2, 4, 6, 8, 10]),
        (0.93, 1.31, False, [1.0, 1.1, 1.2, 1.3]),
        (8, 1200, True, [10, 20, 50, 100, 200, 500, 1000]),
        (1, 1e9, True, [1, 100, 1e4, 1e6, 1e8]),
        (3.1, 3.9, True, [3.2, 3.4, 3.6, 3.8]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, log: bool, expected: list[float]) -> None:
    assert ticks(low, high, log) == pytest.approx(expected)


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (1200, "1,200"), (0.003, "0.003"), (1e-5, "1e-5"), (2.5e9, "2.5e9")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_the_lowest_point_of_a_bold_line_is_marked_with_its_value() -> None:
    svg = chart([Line("a", "#000", [1, 2, 3], [3.0, 2.0, 2.5], True, "2.000")], **TITLES)
    assert "2.000" in texts(svg)
    assert "a best 2.000 at 2" in svg


def test_no_spike_is_lost_by_thinning_and_all_stays_inside() -> None:
    y = np.ones(50_000)
    y[31_111] = 9.0
    svg = chart([Line("a", "#000", np.arange(50_000), y)], **TITLES)
    found = coordinates(svg)
    assert len(found) < 3000
    assert min(top for _, top in found) < 60  # the spike reaches the top
    assert all(0 <= left <= WIDTH and 0 <= top <= HEIGHT for left, top in found)


def test_what_cannot_be_drawn_is_left_out() -> None:
    svg = chart([Line("a", "#000", [1, 2, 3, np.nan], [0.0, np.inf, 5.0, 6.0])], log_y=True, **TITLES)
    assert "<circle" in svg  # the one point that is left
    assert chart([Line("a", "#000", [], [])], **TITLES) == ""


def test_a_band_and_levels_are_drawn() -> None:
    x = np.array([1.0, 2.0, 3.0])
    band = Band(x, np.ones(3), np.array([-1.0, 0.5, 0.9]), np.array([1.5, 1.5, 1.1]), 3)
    svg = chart([Line("a", "#000", x, np.ones(3) * 2, True, band=band)], levels={"unigram": 3.0}, **TITLES)
    assert "fill-opacity:0.15" in svg
    assert "unigram 3" in texts(svg)


def test_names_are_text_and_nothing_else() -> None:
    svg = chart([Line('<script>"&', "#000", [1, 2], [1, 2])], **TITLES)
    assert '<script>"&' in texts(svg)


def test_a_chart_of_many_runs_says_their_best_in_the_legend() -> None:
    svg = chart([Line(f"run {n}", "#000", [1, 2], [n + 1.0, n + 2.0], True, f"{n + 1}.0") for n in range(6)], **TITLES)
    assert "run 5 6.0" in texts(svg)


# Graphs


@pytest.mark.parametrize("name", PRESETS)
def test_every_node_and_edge_of_a_graph_is_in_its_picture(name: str) -> None:
    graph = preset(name)
    svg = picture_of(graph, 1000)
    assert {node.kind for node in graph.nodes} <= set(texts(svg))
    assert svg.count("<polygon") == len(graph.edges)
    assert "2,000" not in svg and "B×T×1,000" in texts(svg)


def test_a_graph_without_places_or_with_cards_on_each_other_is_laid_out(make_graph: MakeGraph) -> None:
    graph = make_graph()
    for places in ({}, {node.id: (0.0, 0.0) for node in graph.nodes}, {node.id: (float("nan"), 1.0) for node in graph.nodes}):
        svg = picture(replace(graph, layout=places))
        corners = {(rect.get("x"), rect.get("y")) for rect in ET.fromstring(svg).iter() if rect.tag.endswith("rect")}
        assert len(corners) == len(graph.nodes)


def test_a_picture_says_what_is_bypassed_and_what_a_card_stands_for(make_graph: MakeGraph) -> None:
    graph, card = group(make_graph(blocks=2), ["block_1", "block_2"], "layer")
    found = texts(picture(graph.with_param(card, "repeat", 3).with_bypass("norm", True)))
    assert "3 × layer" in found and found.count("bypassed") == 1


def test_two_edges_between_the_same_cards_share_one_label(make_graph: MakeGraph) -> None:
    graph = make_graph().add(Node("twice", "Add")).connect("norm", "twice").connect("norm", "twice", "in_2")
    assert texts(picture(graph)).count("in, in_2") == 1


def test_a_picture_that_stands_alone_names_its_letters(make_graph: MakeGraph) -> None:
    assert "font-family:sans-serif" in picture(make_graph(), font="sans-serif")
    assert "font-family:inherit" in picture(make_graph())


def test_shape_and_id_of_a_card_do_not_meet() -> None:
    graph = Graph("one").add(Node("a_rather_long_identifier", "Embedding"), (0.0, 0.0))
    graph = graph.add(Node("data", "Shakespeare"), (0.0, 200.0))
    planned = plan(graph.connect("data", "a_rather_long_identifier"))
    found = texts(picture(graph, planned))
    shape, name = (next(text for text in found if text.startswith(begin)) for begin in ("B×T×", "a_rather"))
    assert 7.2 * (len(shape) + len(name)) < 184 - 13 - 9  # pixels of an average letter of that size, and the card's room


def test_marks_are_signs_and_not_only_colours(make_graph: MakeGraph) -> None:
    found = texts(picture(make_graph(), marks={"norm": "added", "head": "changed", "loss": "removed"}))
    assert {"+", "≠", "−"} <= set(found)


def test_foreign_kinds_long_names_and_markup_are_drawn_as_text() -> None:
    nodes = (Node("a", "<b>Future</b>"), Node("b" * 300, "Linear"))
    svg = picture(Graph("<script>", nodes, (Edge("a", "b" * 300, "<port>"),)))
    assert "<b>Future</b>" in texts(svg)
    assert max(map(len, texts(svg))) < 40
    assert picture(Graph("empty")) == ""
