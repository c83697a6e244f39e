"""Makes run directories as a week of experiments leaves them: of the current format, without training anything.

    python benchmarks/made_runs.py HOME --runs 200 --points 10000

The curves are drawn by a formula with noise from a seed; they say nothing about any model. Used by many_runs.py.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from cortex import labels  # noqa: E402
from cortex.builder import TRAINING, plan, train_config  # noqa: E402
from cortex.creating import create_run  # noqa: E402
from cortex.edit import change_kind  # noqa: E402
from cortex.graph import Graph  # noqa: E402
from cortex.places import json_line, to_json, write_atomically  # noqa: E402
from cortex.presets import preset, set_model  # noqa: E402
from cortex.processes import process_started  # noqa: E402
from cortex.runs import Run  # noqa: E402

EVAL_EVERY = 100
SETS: tuple[dict[str, Any], ...] = (
    {
        "source": "WikiText2", "tokenizer": "word", "vocabulary": 33_278, "train_tokens": 2_088_628,
        "validation_tokens": 217_646, "validation_bytes": None, "why_not_bits": "3.2% of its tokens are <unk>",
        "validation_words": None, "validation_text": None, "why_not_words": "3.2% of its tokens are <unk>",
    },
    {
        "source": "Shakespeare", "tokenizer": "bpe", "vocabulary": 8_192, "train_tokens": 1_610_000,
        "validation_tokens": 178_000, "validation_bytes": 531_873, "why_not_bits": "",
        "validation_words": 90_331, "validation_text": "9f1c", "why_not_words": "",
    },
)  # fmt: skip
NOTES = ("", "", "", "", "warm-up too short?", "as in the paper", "rerun of Tuesday's, with the mended data", "baseline")
STATES = ("finished",) * 30 + ("stopped",) * 4 + ("failed",) * 3 + ("interrupted",) * 2 + ("paused",)


def make(root: Path, runs: int, points: int, seed: int = 1, live: int = 0) -> list[Run]:
    """So many runs below `root`, the oldest first; the last `live` of them are running as long as this process lives."""
    draw = np.random.default_rng(seed)
    made: list[Run] = []
    begin = datetime.now().astimezone() - timedelta(days=7)
    for index, (graph, kept, group, name) in enumerate(_designs(draw, runs)):
        created = begin + timedelta(days=7) * index / runs
        state = "running" if index >= runs - live else STATES[int(draw.integers(len(STATES)))]
        made.append(_one(root, graph, kept, group, name, created, state, points, draw))
    return made


def _designs(draw: np.random.Generator, runs: int) -> Iterator[tuple[Graph, dict[str, Any], str | None, str]]:
    """Graph, facts of the data, group and name of each run: configurations of one to five seeds."""
    made = 0
    while made < runs:
        kept = SETS[int(draw.integers(2))]
        graph = preset("medium" if draw.random() < 0.2 else "small")
        graph = change_kind(graph, "data", kept["source"]).with_param("data", "tokenizer", kept["tokenizer"])
        width = int(draw.choice([64, 128, 256]))
        graph = set_model(graph, "embedding_dim", width)
        graph = set_model(graph, "num_layers", int(draw.choice([2, 3, 4])))
        graph = set_model(graph, "dropout", float(draw.choice([0.0, 0.1, 0.2])))
        graph = graph.with_param("data", "seq_len", int(draw.choice([64, 128])))
        graph = graph.with_training("lr", float(draw.choice([3e-4, 1e-3, 3e-3])))
        graph = graph.with_training("optimizer", str(draw.choice(["Adam", "AdamW"])))
        seeds = int(draw.integers(1, 6))
        name = f"w{width} lr {graph.training['lr']:g}"
        group = f"{name} {made}" if seeds > 1 else None
        for seed in range(1, seeds + 1):
            if made < runs:
                made += 1
                yield graph.with_training("seed", seed), kept, group, f"{name}, seed {seed}" if seeds > 1 else name


def _one(
    root: Path,
    graph: Graph,
    kept: dict[str, Any],
    group: str | None,
    name: str,
    created: datetime,
    state: str,
    points: int,
    draw: np.random.Generator,
) -> Run:
    parameters = plan(graph, kept["vocabulary"]).total
    run = create_run(
        root, graph, fingerprint=f"made{kept['vocabulary']}", training=asdict(train_config(graph)), name=name, group=group
    )
    record = run.record() | {"created": created.isoformat(timespec="seconds"), "order": int(created.timestamp() * 1e9)}
    write_atomically(run.path / "run.json", to_json(record), durable=False)
    path = root / f"{created:%Y%m%d-%H%M%S}{run.id[15:]}"
    if not path.exists():
        run.path.rename(path)
        run = Run(path)
    reached = points if state == "finished" else int(points * (0.1 + 0.8 * draw.random()))
    with open(run.path / "metrics.jsonl", "w") as file:
        start = {"event": "start", "steps": points, "last_step": points, "steps_per_epoch": 1600, "eval_every": EVAL_EVERY}
        start |= {"parameters": parameters, **kept, "device": "cpu", "precision": "float32", "compiled": False, "threads": 2}
        file.write(json_line(start | {"processes": 1, "time": created.timestamp()}) + "\n")
        for lines in events(graph, parameters, reached, created.timestamp(), draw):
            file.write(lines)
        if state in ("finished", "stopped", "paused"):
            file.write(json_line({"event": "end", "state": state, "step": reached, "time": created.timestamp()}) + "\n")
    (run.path / "log.txt").write_text(f"made by a formula, {reached} steps\n")
    for checkpoint in ("best", "last"):
        (run.path / "checkpoints" / f"{checkpoint}.safetensors").write_bytes(bytes(50_000))
    facts: dict[str, Any] = {
        "state": state,
        "pid": 2**22 + 1,
        "pid_started": 1,
        "heartbeat": created.timestamp(),
        "step": reached,
    }
    if state == "interrupted":
        facts["state"] = "running"
    if state == "running":
        facts |= {"pid": os.getpid(), "pid_started": process_started(os.getpid()), "heartbeat": time.time()}
    facts["error"] = f"the loss is nan at step {reached:,}; try a lower lr" if state == "failed" else None
    write_atomically(run.path / "status.json", to_json(facts | {"message": ""}), durable=False)
    _label(run, draw)
    return run


def _label(run: Run, draw: np.random.Generator) -> None:
    note, tags = NOTES[int(draw.integers(len(NOTES)))], [tag for tag in ("baseline", "wide", "keep") if draw.random() < 0.08]
    if note or tags or draw.random() < 0.05:
        labels.update(run, note=note, tags=tags, starred=bool(draw.random() < 0.1), archived=bool(draw.random() < 0.05))


def events(
    graph: Graph, parameters: int, points: int, begin: float, draw: np.random.Generator, first: int = 1
) -> Iterator[str]:
    """Lines of metrics.jsonl, a step each from `first` on, and a validation every EVAL_EVERY steps that overfits in the end."""
    lr = float(graph.training.get("lr", TRAINING["lr"].default))
    rows = int(graph.node("data").params.get("batch_size", 20)) * int(graph.node("data").params.get("seq_len", 64))
    floor = 3.2 + 0.4 * math.exp(-parameters / 2e7) + 0.1 * abs(math.log(lr / 1e-3)) + 0.02 * float(draw.standard_normal())
    speed = 9e10 / parameters
    noise = (draw.standard_normal(points) * 0.05).tolist()
    best = math.inf
    for index in range(points):
        step = first + index
        fallen = 6.0 * (1 + step / 40) ** -0.6
        elapsed = step * rows / speed
        time_of = begin + elapsed
        text = (
            f'{{"event": "train", "step": {step}, "epoch": {step / 1600:.6f}, "tokens": {step * rows}, '
            f'"loss": {floor + fallen + noise[index] - step * 2e-5:.6f}, "lr": {lr:g}, "grad_norm": {0.8 + fallen / 6:.5f}, '
            f'"tokens_per_second": {speed * (1 + noise[index]):.2f}, "elapsed": {elapsed:.4f}, "time": {time_of:.4f}}}\n'
        )
        if step % EVAL_EVERY == 0:
            loss = floor + fallen + 0.1 + max(0.0, step - 6000) * 2e-5 + noise[index] / 10
            better, best = loss < best, min(loss, best)
            text += json_line(
                {"event": "validation", "step": step, "tokens": step * rows, "loss": loss, "best": better}
                | {"elapsed": elapsed, "time": time_of}
            ) + "\n"  # fmt: skip
        yield text


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--points", type=int, default=10_000)
    arguments = parser.parse_args()
    began = time.perf_counter()
    found = make(arguments.home / "runs", arguments.runs, arguments.points)
    print(f"{len(found)} runs of up to {arguments.points:,} points in {time.perf_counter() - began:.1f} s")
