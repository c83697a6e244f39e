"""Runs for other people's dashboards: event files for TensorBoard, and a project in Trackio's local database.

Both packages are optional (requirements-optional.txt). Nothing is sent anywhere: files are written, a database is filled.
"""

from __future__ import annotations

import importlib.util
import io
import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cortex.evaluate import perplexity
from cortex.places import write_atomically
from cortex.runs import Run, RunError, summary_name
from cortex.tables import POINTS, as_double, told

PACKAGES = {"tensorboard": "TensorBoard", "trackio": "Trackio"}
_AXES = ("step", "epoch", "tokens", "time")  # said by the place of a point, not by a curve of its own


class MissingPackage(ValueError):
    """An optional package is not installed; the text says how to install it."""


def installed(package: str) -> bool:
    """Whether an optional package is there; it is not loaded for that."""
    return importlib.util.find_spec(package) is not None


def need(package: str) -> None:
    """MissingPackage where it is not installed."""
    if not installed(package):
        raise MissingPackage(
            f"{PACKAGES[package]} is not installed; install it with: pip install {package} (or -r requirements-optional.txt)"
        )


def points(run: Run) -> Iterator[tuple[float, int, dict[str, float]]]:
    """Time, step and the metrics of each point, named `train/loss`, `validation/loss`, `validation/perplexity` …

    A point whose time is not known has that of the one before.
    """
    last = 0.0
    for event in run.events():
        if event["event"] not in POINTS or not isinstance(event.get("step"), int):
            continue
        last = event["time"] if _is_number(event.get("time")) else last
        values = {key: as_double(value) for key, value in told(event) if key not in _AXES and _is_number(value)}
        if "loss" in values:
            values["perplexity"] = perplexity(values["loss"])
        yield last, event["step"], {f"{event['event']}/{key}": value for key, value in values.items() if math.isfinite(value)}


# TensorBoard


def event_file(run: Run) -> bytes:
    """The run's points as one event file of TensorBoard, each scalar with its step and time. MissingPackage without it."""
    need("tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    out = io.BytesIO()
    writer, begun = RecordWriter(out), False
    for when, step, values in points(run):
        if not begun:
            writer.write(Event(wall_time=when, file_version="brain.Event:2").SerializeToString())
            begun = True
        scalars = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        writer.write(Event(wall_time=when, step=step, summary=Summary(value=scalars)).SerializeToString())
    return out.getvalue()


def write_tensorboard(runs: Iterable[Run], folder: Path) -> list[Path]:
    """Event files below `folder`, in a folder of its own for each run with points; `tensorboard --logdir FOLDER` shows them."""
    need("tensorboard")
    written = []
    for run in runs:
        content = event_file(run)
        if content:
            path = folder / _event_path(run)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
            written.append(path)
    return written


def tensorboard_zip(runs: Iterable[Run]) -> bytes:
    """The same as one zip file."""
    need("tensorboard")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for run in runs:
            content = event_file(run)
            if content:
                archive.writestr(str(_event_path(run)), content)
    return out.getvalue()


def _event_path(run: Run) -> Path:
    """Always the same for a run, so that writing it again takes the place of the old file."""
    return Path(run.id) / "events.out.tfevents.0000000000.cortexnodus"


# Trackio


def import_into_trackio(runs: Sequence[Run], project: str) -> tuple[list[str], list[str]]:
    """Fill a project of Trackio's local database; ids of the runs that came in, and of those that were there already.

    Trackio's own `import_csv` takes one run a project, so the function below it is called, with the times of the points.

    Raises:
        MissingPackage: Trackio is not installed, or of a version that is filled otherwise.
        ValueError: it does not take this project name.
    """
    need("trackio")
    try:
        from trackio.sqlite_storage import SQLiteStorage

        there, fill = SQLiteStorage.get_runs, SQLiteStorage.bulk_log
    except (ImportError, AttributeError):
        raise MissingPackage(
            "this version of Trackio is filled in another way; pip install trackio==0.43.0 has the one"
        ) from None
    check = getattr(SQLiteStorage, "validate_project_name", None)
    if check:
        check(project)
    before, came, known = set(there(project)), [], []
    for run, name in zip(runs, _names(runs), strict=True):
        if name in before:
            known.append(run.id)
            continue
        found = list(points(run))
        if not found:
            continue
        fill(
            project=project,
            run=name,
            metrics_list=[values for _, _, values in found],
            steps=[step for _, step, _ in found],
            timestamps=[datetime.fromtimestamp(when, UTC).isoformat() for when, _, _ in found],
            config=_config(run),
        )
        came.append(run.id)
    return came, known


def _names(runs: Sequence[Run]) -> list[str]:
    """A name for each run that no later import can mistake for another run's: its own and its folder's."""
    return [f"{summary_name(run)} ({run.id})" for run in runs]


def _config(run: Run) -> Mapping[str, Any]:
    from cortex.graph_settings import settings

    try:
        return settings(run.graph())
    except RunError:
        return {}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
