"""Runs for TensorBoard and Trackio: their own readers find what metrics.jsonl has. Both packages are optional."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import PROJECT, MakeRun

from cortex import loggers
from cortex.command import main
from cortex.loggers import event_file, points, tensorboard_zip, write_tensorboard
from cortex.runs import Run

HOW = "is an optional package: pip install -r requirements-optional.txt"
needs_tensorboard = pytest.mark.skipif(not loggers.installed("tensorboard"), reason=f"tensorboard {HOW}")
needs_trackio = pytest.mark.skipif(not loggers.installed("trackio"), reason=f"trackio {HOW}")


def lines(run: Run, kind: str) -> list[dict]:
    found = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    return [event for event in found if event["event"] == kind]


def test_points_carry_every_metric_under_its_kind(trained: Run) -> None:
    found = list(points(trained))
    first = lines(trained, "train")[0]
    assert found[0][:2] == (first["time"], first["step"])
    assert found[0][2]["train/loss"] == first["loss"]
    assert found[0][2]["train/lr"] == first["lr"]
    last = lines(trained, "validation")[-1]
    assert found[-1][2]["validation/perplexity"] == math.exp(last["loss"])
    assert not [name for name in found[0][2] if name.endswith(("/step", "/tokens", "/time", "/best"))]


def test_without_the_package_a_clear_line_says_how_to_install_it(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loggers, "installed", lambda package: False)
    assert main(["metrics", trained.id, "--tensorboard", str(tmp_path / "tb")]) == 2
    assert "TensorBoard is not installed; install it with: pip install tensorboard" in capsys.readouterr().err
    assert main(["metrics", trained.id, "--trackio", "p"]) == 2
    assert "Trackio is not installed; install it with: pip install trackio" in capsys.readouterr().err
    assert not (tmp_path / "tb").exists()


@needs_tensorboard
def test_tensorboards_own_reader_finds_every_value(trained: Run, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (path,) = write_tensorboard([trained], tmp_path)
    reader = EventAccumulator(str(path.parent), size_guidance={"scalars": 0})
    reader.Reload()
    for kind in ("train", "validation"):
        read = reader.Scalars(f"{kind}/loss")
        told = lines(trained, kind)
        assert [scalar.step for scalar in read] == [event["step"] for event in told]
        assert [scalar.value for scalar in read] == pytest.approx([event["loss"] for event in told], rel=1e-6)
        assert [scalar.wall_time for scalar in read] == [event["time"] for event in told]
    assert {"train/lr", "train/grad_norm", "train/tokens_per_second", "validation/perplexity"} <= set(reader.Tags()["scalars"])
    assert write_tensorboard([trained], tmp_path) == [path]  # again: the same file anew
    assert len(list(tmp_path.rglob("*tfevents*"))) == 1


@needs_tensorboard
def test_a_zip_has_a_folder_for_each_run_with_points(trained: Run, make_run: MakeRun) -> None:
    with zipfile.ZipFile(io.BytesIO(tensorboard_zip([trained, make_run()]))) as archive:
        (name,) = archive.namelist()
        assert name.startswith(f"{trained.id}/") and archive.read(name) == event_file(trained)


@needs_trackio
def test_trackio_has_the_runs_points_with_their_steps_and_times(trained: Run, tmp_path: Path) -> None:
    program = f"""
import json
from pathlib import Path
from cortex.loggers import import_into_trackio
from cortex.runs import Run
run = Run(Path({str(trained.path)!r}))
first, again = import_into_trackio([run], "tiny"), import_into_trackio([run], "tiny")
from trackio.sqlite_storage import SQLiteStorage
(name,) = SQLiteStorage.get_runs("tiny")
logs = SQLiteStorage.get_logs("tiny", name)
print(json.dumps([first, again, name, [[row["step"], row.get("train/loss"), row["timestamp"]] for row in logs],
                  SQLiteStorage.get_run_config("tiny", name)["training.lr"]]))
"""  # in a process of its own: it reads its folder when it is loaded
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, again, name, rows, rate = json.loads(done.stdout.splitlines()[-1])
    assert (first, again) == ([[trained.id], []], [[], [trained.id]])
    assert name == f"tiny ({trained.id})"
    told = lines(trained, "train")
    assert [(step, loss) for step, loss, _ in rows if loss is not None] == [(event["step"], event["loss"]) for event in told]
    assert rows[0][2].startswith("20") and rate == 0.01
