"""What a chart shows of runs, looked at in the figure that the browser gets."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cortex.curves import CurveReader
from cortex.lines import band, smoothed
from ui.charts import Group, figure
from ui.cursor import values_at
from ui.curve import Curve
from ui.overlay import as_csv
from ui.strokes import uid_of
from ui.theme import DARK, LIGHT

START = {"event": "start", "time": 1000.0, "steps_per_epoch": 10}


def events(count: int = 20, shift: float = 0.0, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [START]
    for step in range(1, count + 1):
        places = {"step": step, "tokens": 8 * step, "elapsed": 60.0 * step, "time": 1000.0 + step}
        loss = shift + 5 / step + 0.1 * math.sin(step)
        found.append({"event": "train", **places, "loss": loss, "lr": 0.1, **more})
        if step % 5 == 0:
            found.append({"event": "validation", **places, "loss": loss + 0.1})
    return found


def run(number: int = 0, **settings: Any) -> Curve:
    return Curve(f"r{number}", f"run {number}", number, events(**settings), flops=2.0)


def trace(chart: Any, uid: str) -> Any:
    return next(one for one in chart.data if one.uid == uid)


def test_a_runs_colour_is_its_own_whichever_runs_are_drawn_with_it() -> None:
    every = [run(number) for number in range(20)]
    alone = {one.run: figure([one], "loss", "step", LIGHT) for one in every}
    together = figure(every, "loss", "step", LIGHT)
    for one in every:
        for kind in ("raw", "validation"):
            uid = f"{one.run}-{kind}"
            assert trace(together, uid).line.color == trace(alone[one.run], uid).line.color
            assert trace(together, uid).line.dash == trace(alone[one.run], uid).line.dash
    looks = {(line.line.color, line.line.dash) for line in together.data if line.uid.endswith("raw")}
    assert len(looks) == 20


def test_a_smoothed_curve_is_computed_over_all_points_and_the_raw_one_stays_behind_it() -> None:
    one = run(count=9000)
    chart = figure([one], "loss", "step", LIGHT, smoothing=0.9)
    whole = smoothed(one.columns.train["loss"], 0.9)
    drawn = trace(chart, "r0-smooth")
    assert len(drawn.x) <= 1500
    assert np.allclose(drawn.y, whole[np.asarray(drawn.x) - 1], rtol=1e-6)
    assert 0 < trace(chart, "r0-raw").opacity < 0.5
    assert np.isin(np.asarray(trace(chart, "r0-raw").y), one.columns.train["loss"].astype(np.float32)).all()


def test_a_curve_that_has_grown_is_drawn_to_its_end(tmp_path: Path) -> None:
    path, found = tmp_path / "metrics.jsonl", events(6)
    path.write_text("".join(json.dumps(event) + "\n" for event in found[:4]))
    reader = CurveReader(path)
    before = Curve("r", "r", 0, reader.read()).points("train", "loss", "step")[0]
    with open(path, "a") as file:
        file.writelines(json.dumps(event) + "\n" for event in found[4:])
    after = Curve("r", "r", 0, reader.read()).points("train", "loss", "step")[0]
    assert (before.max(), after.max()) == (3, 6)


def test_validation_is_never_smoothed() -> None:
    plain, smooth = (figure([run()], "loss", "step", LIGHT, smoothing=weight) for weight in (0.0, 0.99))
    assert trace(plain, "r0-validation").y.tolist() == trace(smooth, "r0-validation").y.tolist()


def test_a_smoothed_perplexity_is_that_of_the_smoothed_loss() -> None:
    loss, perplexity = (run().line("train", metric, "step", 0.9)[1] for metric in ("loss", "perplexity"))
    assert perplexity.tolist() == pytest.approx(np.exp(loss).tolist())


@pytest.mark.parametrize(
    ("axis", "first"), [("step", 1), ("tokens", 8), ("epoch", 0.1), ("elapsed", 1.0), ("flops", 16.0), ("time", 1001.0)]
)
def test_every_axis_is_drawn(axis: str, first: float) -> None:
    assert run().points("train", "loss", axis)[0][0] == pytest.approx(first)
    chart = figure([run()], "loss", axis, LIGHT, log_x=True)
    assert chart.layout.xaxis.type == ("date" if axis == "time" else "log")


def test_what_a_logarithmic_axis_has_no_place_for_is_left_out() -> None:
    one = Curve(
        "r", "r", 0, [{"event": "train", "step": step, "tokens": 1, "loss": 1.0 - step, "elapsed": 0} for step in (0, 1, 2)]
    )
    assert one.points("train", "loss", "step", log_x=True)[0].tolist() == [1, 2]
    assert one.points("train", "loss", "step", log_y=True)[0].tolist() == [0]
    assert figure([one], "loss", "step", LIGHT, log_x=True, log_y=True).layout.yaxis.type == "log"


def test_a_metric_the_app_does_not_know_is_drawn_under_its_own_name() -> None:
    one = run(metrics={"main": {"accuracy": 0.5}})
    chart = figure([one], "metrics.main.accuracy", "step", DARK)
    assert "metrics.main.accuracy" in chart.layout.title.text
    assert set(np.asarray(trace(chart, "r0-raw").y).tolist()) == {0.5}


def test_names_are_shown_as_they_are_and_never_as_markup() -> None:
    odd = Curve("r1", '<b>bold</b> <a href="x">link</a> $x$ ' + "y" * 300, 1, events())
    names = [line.name for line in figure([run(), odd], "loss", "step", LIGHT).data if line.uid == "r1-validation"]
    assert names[0].startswith("&lt;b&gt;bold") and "<" not in names[0]
    assert len(names[0]) < 80


def test_perplexities_that_do_not_compare_say_so_in_the_picture_itself() -> None:
    chart = figure([run(), run(1)], "perplexity", "step", LIGHT, note="Not comparable: different tokens.")
    assert "Not comparable" in chart.layout.title.subtitle.text


def test_the_zoom_belongs_to_what_is_measured_and_not_to_which_runs_are_drawn() -> None:
    one, two = (figure([run(n) for n in range(count)], "loss", "step", LIGHT, revision="loss-step") for count in (2, 3))
    assert one.layout.uirevision == two.layout.uirevision == "loss-step"


def test_a_group_is_its_mean_and_a_band() -> None:
    members = [run(number, shift=float(number)) for number in range(3)]
    found = band([one.line("train", "loss", "step") for one in members])
    chart = figure([], "loss", "step", LIGHT, groups=[Group("g", 4, {"train": found})])
    middle, low, high = (np.asarray(trace(chart, f"g-train{part}").y) for part in ("", "-low", "-high"))
    assert middle == pytest.approx(low + 1, abs=1e-5)
    assert high == pytest.approx(low + 2, abs=1e-5)


def test_a_band_below_nothing_has_a_place_on_a_logarithmic_axis() -> None:
    found = band([(np.arange(3.0), np.array([1.0, 1, 1])), (np.arange(3.0), np.array([9.0, 9, 9]))], level=0.95)
    assert found.low.max() < 0
    low = trace(figure([], "perplexity", "step", LIGHT, groups=[Group("g", 0, {"train": found})]), "g-train-low")
    assert (np.asarray(low.y) > 0).all()


def test_values_at_a_place_are_of_the_last_point_not_after_it() -> None:
    rows = values_at([run(), run(1, count=4)], ["loss"], "step", 7.5)
    exact = run().columns.train["loss"][6]
    assert rows[0]["training at step"] == 7
    assert rows[0]["training loss"] == pytest.approx(exact)
    assert rows[0]["validation at step"] == 5
    assert rows[1]["training at step"] == 4
    assert rows[1]["validation loss"] is None


def test_a_place_before_the_first_point_has_no_values() -> None:
    assert values_at([run()], ["loss"], "step", 0.5) == [{"run": "run 0"}]


def test_the_csv_has_every_point_and_the_smoothed_value_beside_it() -> None:
    one = Curve("r", "=1+1", 0, events(3000))
    rows = list(csv.DictReader(io.StringIO(as_csv([one], ["loss", "lr"], "step", 0.9))))
    losses = [row for row in rows if row["kind"] == "train" and row["metric"] == "loss"]
    assert len(losses) == 3000
    assert [float(row["value"]) for row in losses] == one.columns.train["loss"].tolist()
    assert [float(row["smoothed"]) for row in losses] == smoothed(one.columns.train["loss"], 0.9).tolist()
    assert {row["smoothed"] for row in rows if row["kind"] == "validation"} == {""}
    assert {row["name"] for row in rows} == {"'=1+1"}


@pytest.mark.parametrize("count", [1, 2, 13, 40])
def test_any_number_of_runs_is_drawn(count: int) -> None:
    chart = figure([run(number) for number in range(count)], "loss", "step", LIGHT)
    assert {line.uid for line in chart.data} >= {f"r{number}-validation" for number in range(count)}


def test_a_trace_is_known_by_what_css_can_select() -> None:
    odd = Curve("20261122-lr-0.003", "x", 0, events())
    assert all(re.fullmatch(r"[\w-]+", line.uid, re.ASCII) for line in figure([odd], "loss", "step", LIGHT).data)
    assert uid_of("a.b", "raw") != uid_of("a_b", "raw")


def test_nothing_to_draw_is_an_empty_figure() -> None:
    assert not figure([Curve("r", "r", 0, [])], "loss", "step", LIGHT).data
    assert Curve("r", "r", 0, [START]).empty
