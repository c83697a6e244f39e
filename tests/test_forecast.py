"""What training will take: counted without computing it, told before it is started."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import PROJECT, MakeGraph

from cortex.blocks import Blocks, real_tokens
from cortex.builder import build, plan, train_config
from cortex.command import main
from cortex.config import total_steps
from cortex.data import prepare
from cortex.feed import tokens_at_once
from cortex.flops import flops_per_token
from cortex.footprint import empty_batch, footprint
from cortex.forecast import AMBER, GREEN, RED, Forecast, forecast, verdict
from cortex.graph import Edge, Graph, Node, from_json, to_json
from cortex.optimize import make_optimizer
from cortex.places import Places
from cortex.presets import preset
from cortex.room import Room, room
from cortex.run_length import length_on, minutes, run_length
from cortex.store import Prepared
from cortex.sweep_check import Checker, trial_tokens
from cortex.templates import group

MIB = 2**20


def expected(graph: Graph, vocabulary: int = 50, tokens: int = 2_000) -> Forecast:
    found = forecast(plan(graph, vocabulary), tokens, 100)
    assert found is not None
    return found


# The footprint


def test_weights_and_gradients_are_those_of_the_model(make_graph: MakeGraph) -> None:
    planned = plan(make_graph(), 50)
    model = build(planned)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    buffers = sum(buffer.numel() for buffer in model.buffers())
    found = footprint(planned)
    assert found.gradients == 4 * parameters
    assert found.weights == 4 * (parameters + buffers)


@pytest.mark.parametrize("optimizer", ["Adam", "AdamW", "SGD", "Muon"])
def test_the_optimizer_keeps_what_it_keeps_in_truth(make_graph: MakeGraph, optimizer: str) -> None:
    planned = plan(make_graph(optimizer=optimizer), 50)
    model = build(planned)
    made = make_optimizer(model, train_config(planned.graph))
    losses = model(empty_batch(planned.calls))
    sum(value for value, _ in losses.values()).backward()
    made.step()
    states = [state for part in made.parts for states in part.state.values() for state in states.values()]
    kept = sum(state.numel() * 4 for state in states if torch.is_tensor(state) and state.numel() > 1)
    assert footprint(planned).optimizer == pytest.approx(kept, rel=0.02)


def test_a_moving_average_is_one_more_copy(make_graph: MakeGraph) -> None:
    plain, average = (footprint(plan(make_graph(ema=ema), 50)) for ema in (0.0, 0.99))
    assert average.optimizer - plain.optimizer == plain.gradients


def test_activations_are_what_autograd_keeps_in_truth() -> None:
    """Counted on tensors without content against the storages that a real forward pass leaves for the way back."""
    graph = preset("small").with_param("data", "batch_size", 2)
    planned = plan(graph, 1000)
    model = build(planned)
    kept: dict[int, int] = {}
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    held = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        losses = model(empty_batch(planned.calls))
    assert losses
    head = 4 * (1000 * 128 + 1000 + 2 * 64 * 128)  # the chunked loss keeps the gradients of the head and of its input
    told = sum(footprint(planned).nodes.values())
    assert told == pytest.approx(sum(kept.values()) + head, rel=0.05)  # and values that are given on and not kept


def test_an_evaluation_of_several_losses_has_the_scores_of_all_of_them_at_once(make_graph: MakeGraph) -> None:
    one = preset("small").with_param("data", "seq_len", 128)
    two = one.add(Node("head_2", "Linear", {})).connect("norm", "head_2")
    two = two.add(Node("second", "Loss", {"target": "Offset", "offset": 2})).connect("head_2", "second")
    first, both = (footprint(plan(graph, 17_741)).evaluation for graph in (one, two))
    rows = tokens_at_once(True, 128, 17_741) // 128
    scores = 4 * rows * 128 * 17_741
    assert 3 * scores <= both < 3.5 * scores  # of each loss, and their logarithms in the cross-entropy
    assert first < scores + 64 * MIB


def test_a_subgraph_takes_what_its_parts_take() -> None:
    graph = preset("small")
    card, name = group(graph, ["positions", "block_1", "block_2"], "blocks")
    apart, together = ({node.node: node for node in expected(one, 1_000).nodes} for one in (graph, card))
    parts = [apart[node] for node in ("positions", "block_1", "block_2")]
    assert together[name].activations == sum(part.activations for part in parts)
    assert together[name].parameters == sum(part.parameters for part in parts)
    assert expected(card, 1_000).flops == expected(graph, 1_000).flops


def test_a_longer_batch_takes_more_and_equal_blocks_take_the_same(make_graph: MakeGraph) -> None:
    short, long = (footprint(plan(make_graph({"seq_len": length}, blocks=2), 50)) for length in (8, 32))
    assert long.activations > short.activations
    assert short.nodes["block_1"] == short.nodes["block_2"] > 0


def test_a_name_or_a_rate_makes_no_new_footprint(make_graph: MakeGraph) -> None:
    graph = make_graph()
    assert footprint(plan(graph, 50)) is footprint(plan(graph.rename("other").with_training("lr", 0.5), 50))


def test_a_graph_with_faults_has_no_forecast(make_graph: MakeGraph) -> None:
    assert forecast(plan(make_graph().remove("head"), 50)) is None
    assert forecast(plan(make_graph())) is None


# The forecast


def test_the_peak_of_small_is_that_which_was_measured() -> None:
    assert expected(preset("small"), 10_000).peak / MIB == pytest.approx(490, rel=0.15)  # docs/performance.md


def test_tables_and_heavy_nodes_are_told() -> None:
    found = expected(preset("small"), 10_000)
    assert found.embedding == 1_280_000
    assert {node.node for node in found.nodes if node.heavy} == {"embedding", "block_1", "block_2", "block_3", "head"}


def test_the_length_is_that_of_the_run(make_graph: MakeGraph) -> None:
    graph = make_graph(steps=0, epochs=3, accumulate=2)
    found = expected(graph, tokens=2_001)
    assert found.length.steps_per_epoch == -(-(2_001 // 8) // 8)
    assert found.length.steps == total_steps(train_config(graph), found.length.steps_per_epoch)
    assert found.tokens_per_parameter == pytest.approx(2_001 / found.parameters)


def test_a_batch_larger_than_the_text_takes_what_the_text_takes(make_graph: MakeGraph) -> None:
    large, small = (expected(make_graph({"batch_size": rows, "seq_len": 8}), tokens=80) for rows in (4_000, 10))
    assert large.peak == small.peak and large.footprint.rows == 10
    assert large.footprint.activations > expected(make_graph({"batch_size": 9, "seq_len": 8}), tokens=80).footprint.activations


@pytest.mark.parametrize("steps", [1, 4, 5, 13])
def test_the_tokens_are_those_that_the_batches_have(make_graph: MakeGraph, steps: int) -> None:
    graph = make_graph({"batch_size": 4, "seq_len": 8}, steps=steps)
    blocks = Blocks(np.zeros(140, np.uint8), 8, 4, 1)  # 17 of 8 tokens: four batches of four, one of one
    length = run_length(graph, 139, 20)
    assert length.steps_per_epoch == blocks.steps_per_epoch == 5
    assert length.tokens == sum(real_tokens(blocks.batch(step)) for step in range(steps))
    assert run_length(graph, 139, 20, max_steps=2).tokens == min(2, steps) * 32


def test_rows_are_counted_as_rows(make_graph: MakeGraph) -> None:
    found = forecast(plan(make_graph({"batch_size": 4, "seq_len": 8}, steps=0, epochs=2), 50), 300, 60, 100, 20)
    assert (found.length.steps, found.length.steps_per_epoch, found.length.tokens) == (50, 25, 600)


def test_attention_is_counted_by_hand_in_kinds_of_all_sorts(make_graph: MakeGraph) -> None:
    graph = make_graph(blocks=1)
    attention = graph.disconnect(Edge("block_1", "norm")).add(Node("x", "MultiheadAttention", {"num_heads": 2}))
    attention = attention.connect("block_1", "x", "query").connect("x", "norm")
    width, length = 8, 8
    more = 6 * (4 * width * width + 4 * width) + 12 * width * length
    assert flops_per_token(attention, 50) - flops_per_token(graph, 50) == more
    pairs = from_json((Path(__file__).parents[1] / "examples" / "encoder-decoder.json").read_text())
    one, two = (flops_per_token(pairs.with_param("decoder", "num_layers", layers), 50) for layers in (1, 2))
    d, f, T = 64, 128, 16
    assert two - one == 6 * (2 * (4 * d * d + 4 * d) + 2 * d * f + f + d + 3 * 2 * d) + 2 * 12 * d * T


def test_rows_are_rows_to_a_sweep_too(home: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    graph = from_json((PROJECT / "examples" / "classifier.json").read_text())
    prepared = prepare(graph.node("data"), home.store)
    length = length_on(graph, prepared)
    assert length.steps == 220  # as README has it
    assert trial_tokens(Checker(graph, [], lambda node: prepared), None, {}) == [length.tokens]


def test_minutes_count_validations_and_checkpoints(make_graph: MakeGraph) -> None:
    length = replace(expected(make_graph()).length, steps=120, steps_per_epoch=60, validations=2)
    found = minutes(length, {"seconds_per_step": 1.0, "seconds_per_validation": 20.0, "seconds_per_checkpoint": 10.0})
    assert found == {"epoch": pytest.approx(1.5), "run": pytest.approx(3.0)}


def test_what_fits_is_green_what_is_tight_amber_and_what_does_not_red(make_graph: MakeGraph) -> None:
    graph = make_graph()
    found, planned = expected(graph), plan(graph, 50)
    levels = [verdict(found, Room(round(found.peak / share), None), planned).level for share in (0.5, 0.8, 1.2)]
    assert levels == [GREEN, AMBER, RED]


def test_a_smaller_batch_that_would_fit_is_named_with_what_keeps_the_step() -> None:
    graph = preset("small").with_param("data", "seq_len", 256)
    found, planned = expected(graph, 10_000, 200_000), plan(graph, 10_000)
    said = verdict(found, Room(found.peak, None), planned)
    (way,) = said.shrink
    rows = int(way.split("batch_size=")[1].split()[0])
    assert 1 <= rows < 20
    smaller = graph.with_param("data", "batch_size", rows).with_training(
        "accumulate", int(way.split("accumulate=")[1].split(":")[0])
    )
    assert verdict(expected(smaller, 10_000, 200_000), Room(found.peak, None), plan(smaller, 10_000)).level != RED


def test_a_model_whose_weights_do_not_fit_is_to_be_smaller_itself() -> None:
    found, planned = expected(preset("large"), 10_000), plan(preset("large"), 10_000)
    said = verdict(found, Room(600 * MIB, None), planned)
    assert said.level == RED
    assert "smaller embedding_dim" in said.shrink[0]


def test_a_full_disk_is_red(make_graph: MakeGraph) -> None:
    found = expected(make_graph())
    assert verdict(found, Room(2**40, 10), plan(make_graph(), 50)).level == RED


def test_a_model_too_large_for_disk_and_memory_is_told_both(make_graph: MakeGraph) -> None:
    graph = make_graph()
    said = verdict(expected(graph), Room(200 * MIB, 1000), plan(graph, 50))
    assert said.level == RED and "the disk has" in said.message and "of memory at its peak" in said.message
    assert len(said.shrink) > 1


# What the machine has


def test_free_memory_is_the_least_of_machine_and_limit(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2048 kB\n")
    for name, value in (
        ("memory.max", "1048576"),
        ("memory.current", "524288"),
        ("memory.stat", "anon 1\ninactive_file 1024\n"),
    ):
        (tmp_path / name).write_text(value)
    assert room(tmp_path / "not" / "there", tmp_path, tmp_path).memory == 1048576 - 524288 + 1024
    (tmp_path / "memory.max").write_text("max\n")
    assert room(tmp_path, tmp_path, tmp_path).memory == 2048 * 1024
    assert room(tmp_path, tmp_path / "none", tmp_path / "none").memory is None


def test_the_disk_of_a_folder_that_is_not_there_yet_is_known(tmp_path: Path) -> None:
    assert room(tmp_path / "a" / "b").disk > 0


# From a terminal


def test_check_has_the_forecast(
    make_graph: MakeGraph, prepared: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "graph.json"
    document.write_text(to_json(make_graph()))
    assert main(["check", str(document), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["forecast"]
    assert row["parameters"]["total"] == sum(node["parameters"] for node in row["nodes"])
    assert set(row["memory"]) == {"peak", "weights", "gradients", "optimizer", "activations", "evaluation", "runtime"}
    assert row["verdict"]["level"] in (GREEN, AMBER, RED)
    assert row["flops_per_token"] > 0
    assert main(["check", str(document)]) == 0
    assert "FLOPs a token" in capsys.readouterr().out


def test_the_probe_measures_at_least_three_steps_in_a_process_of_its_own(
    make_graph: MakeGraph, prepared: Prepared, home: Places, tmp_path: Path
) -> None:
    document = tmp_path / "graph.json"
    document.write_text(to_json(make_graph()))
    command = [sys.executable, "-m", "cortex", "probe", str(document), "--steps", "1", "--json"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=120)
    *steps, found = map(json.loads, done.stdout.splitlines())
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5]
    assert found["steps"] == 3
    assert found["tokens_per_second"] > 0
    assert found["minutes_per_run"] > 0
    assert 0.5 < found["forecast_memory"] / found["peak_memory"] < 1.5
    assert list(home.store.glob(".probe-*")) == []


def test_check_tells_what_a_sound_graph_lacks(
    make_graph: MakeGraph, home: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "graph.json"
    document.write_text(to_json(make_graph(steps=10, warmup_steps=10)))
    assert main(["check", str(document), "--json", "--no-honest"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["advice"]
    assert (found["node"], found["edit"]) == ("training", "Set warmup_steps to 1")
    assert main(["check", str(document), "--no-honest"]) == 0
    assert "training: warmup_steps=10 is not shorter than the run of 10 steps" in capsys.readouterr().out
