"""One sitting of a training on disk: what settings of checkpoints, pieces and averages leave behind."""

from __future__ import annotations

import pytest
import torch
from conftest import MakeGraph, MakeRun

from cortex.builder import Model
from cortex.checkpoints import load_state, load_trained, saved_step
from cortex.evaluate import evaluate
from cortex.places import Places
from cortex.runs import Run
from cortex.status import Status
from cortex.store import find
from cortex.train import Event
from cortex.worker import work


def losses(run: Run) -> list[float]:
    return [event["loss"] for event in run.events() if "loss" in event]


@pytest.mark.parametrize("settings", [{"ema": 0.9}, {"ema": 0.9, "optimizer": "Muon"}], ids=str)
@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
def test_the_weights_that_are_saved_have_the_loss_that_the_curve_shows(
    settings: dict, tied: bool, make_run: MakeRun, make_graph: MakeGraph, home: Places
) -> None:
    graph = make_graph(lr=0.05, eval_every=4, **settings)
    graph = graph.with_param("head", "bias", False).with_param("head", "tie_to", "embedding") if tied else graph
    run = make_run(graph)
    assert work(run, home.store) == "finished", run.log_tail()
    tokens = find(run.record()["data"]["fingerprint"], home.store).tokens("validation")
    checks = [event for event in run.events() if event["event"] == "validation"]
    for name, wanted in (("last", checks[-1]["loss"]), ("best", min(event["loss"] for event in checks))):
        assert evaluate(load_trained(run, name).model, tokens, 8).loss == pytest.approx(wanted, rel=1e-6)


def test_a_small_batch_in_pieces_trains_as_a_large_one(make_run: MakeRun, make_graph: MakeGraph, home: Places) -> None:
    curves = []
    for batch_size, accumulate in ((6, 1), (2, 3)):
        graph = make_graph({"batch_size": batch_size}, accumulate=accumulate, log_every=1, lr=0.003)
        run = make_run(graph.with_param("block_1", "dropout", 0.0))
        assert work(run, home.store) == "finished"
        start, *events = run.events()
        assert start["steps_per_epoch"] == -(-(start["train_tokens"] // 8) // 6)
        curves.append({(event["event"], event["step"], event["tokens"]): event["loss"] for event in events if "loss" in event})
    assert curves[1] == pytest.approx(curves[0], abs=1e-5)


def test_weights_are_kept_for_good_every_so_often_besides_best_and_last(
    make_run: MakeRun, make_graph: MakeGraph, home: Places
) -> None:
    run = make_run(make_graph(keep_every=6, save_every=4, eval_every=10))
    seen: dict[int, int | None] = {}

    def note(event: Event) -> None:
        seen[event.get("step", 0)] = saved_step(run.checkpoint("last"))

    assert work(run, home.store, on_event=note) == "finished"
    assert run.kept() == ["best", "last", "step-6", "step-12", "step-18"]
    assert [saved_step(run.checkpoint(name)) for name in run.kept()[1:]] == [20, 6, 12, 18]
    assert seen[10] == 10 and load_state(run.path / "checkpoints")["step"] == 20
    assert len(list(run.path.glob("checkpoints/state-*.pt"))) == 1


def test_a_request_to_save_keeps_the_weights_of_that_moment(
    make_run: MakeRun, make_graph: MakeGraph, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex.asked._LOOK_SECONDS", -1.0)
    run, saved = make_run(make_graph(log_every=1, eval_every=20)), {}

    def ask(event: Event) -> None:
        saved[event.get("step", 0)] = saved_step(run.checkpoint("last"))
        if event.get("step") == 7:
            run.request("save")

    assert work(run, home.store, on_event=ask) == "finished"
    assert saved[7] is None and saved[8] == 7 and saved[19] == 7 and not run.requested("save")


def test_saving_and_samples_change_no_loss(make_run: MakeRun, make_graph: MakeGraph, home: Places) -> None:
    runs = [
        make_run(make_graph(sample_tokens=0, eval_every=5)),
        make_run(make_graph(sample_tokens=9, eval_every=5, save_every=1, keep_every=1)),
    ]
    for run in runs:
        work(run, home.store)
    assert losses(runs[0]) == losses(runs[1]) and losses(runs[0])


def test_a_run_that_diverges_fails_at_its_step_and_keeps_the_last_good_weights(
    make_run: MakeRun, make_graph: MakeGraph, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Model.forward

    def breaks(model: Model, batch: dict) -> dict:
        model.seen = getattr(model, "seen", 0) + model.training
        found = forward(model, batch)
        return {
            name: (total * float("nan"), count) if model.seen == 9 else (total, count) for name, (total, count) in found.items()
        }

    monkeypatch.setattr(Model, "forward", breaks)
    run = make_run(make_graph(log_every=1000, eval_every=4, steps=40))
    assert work(run, home.store) == "failed"
    error = run.status()["error"]
    assert error.startswith("loss is nan at step 9; try") and error.endswith("the weights of step 8 are kept")
    assert saved_step(run.checkpoint("last")) == 8
    assert all(value.isfinite().all() for value in load_trained(run, "last").model.state_dict().values())


def test_a_run_without_patience_left_finishes_and_says_why(make_run: MakeRun, make_graph: MakeGraph, home: Places) -> None:
    run = make_run(make_graph(steps=400, lr=3.0, eval_every=3, patience=2, max_rise=0.0))
    assert work(run, home.store) == "finished"
    end = run.events()[-1]
    assert end["why"] == "no better validation in 2 of them" and end["step"] < 400
    checks = [event["best"] for event in run.events() if event["event"] == "validation"]
    assert checks[-2:] == [False, False] and saved_step(run.checkpoint("last")) == end["step"]


def test_the_number_of_threads_is_set_and_recorded_and_a_resumed_run_has_the_same(
    make_run: MakeRun, make_graph: MakeGraph, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex.asked._LOOK_SECONDS", -1.0)
    before = torch.get_num_threads()
    try:
        run = make_run(make_graph(threads=2, steps=2, eval_every=2))  # two threads of a model this small mostly wait
        assert work(run, home.store) == "finished"
        assert run.events()[0]["threads"] == 2 == torch.get_num_threads()
        torch.set_num_threads(1)
        other = make_run(make_graph(eval_every=4))
        stop_at_4 = lambda event: other.request("stop") if event["event"] == "validation" else None  # noqa: E731
        assert work(other, home.store, on_event=stop_at_4) == "stopped"
        torch.set_num_threads(2)  # another machine, or another environment
        assert work(other, home.store, Status(other, again=True)) == "finished"
        assert other.events()[0]["threads"] == 1 == torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
