"""Metrics as tables: what metrics.jsonl has, nothing else."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import MakeRun

from cortex.command import main
from cortex.runs import Run
from cortex.tables import metrics_table, to_csv, to_file, to_parquet


def lines(run: Run) -> list[dict[str, Any]]:
    """The points of metrics.jsonl, read here independently."""
    found = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    return [event for event in found if event["event"] in ("train", "validation")]


def test_a_csv_holds_every_value_of_every_point_with_all_its_digits(trained: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(to_file([trained], ".csv").decode())))
    events = lines(trained)
    assert len(rows) == len(events) > 3
    for row, event in zip(rows, events, strict=True):
        assert row["run"] == trained.id
        for name, value in event.items():
            assert row[name] == (value if name == "event" else str(value)), name
        assert {name for name, cell in row.items() if cell} == {"run", *event}


def test_a_parquet_file_holds_the_same_values_in_their_types(trained: Run) -> None:
    table = pq.read_table(io.BytesIO(to_file([trained], ".parquet")))
    assert str(table.schema.field("step").type) == "int64"
    assert str(table.schema.field("loss").type) == "double"
    assert str(table.schema.field("best").type) == "bool"
    assert table.column_names[:7] == ["run", "event", "step", "epoch", "tokens", "elapsed", "time"]
    for row, event in zip(table.to_pylist(), lines(trained), strict=True):
        assert {name: value for name, value in row.items() if value is not None} == {"run": trained.id, **event}


def test_runs_with_other_metrics_share_one_table(make_run: MakeRun) -> None:
    first, second = make_run(), make_run()
    point = {"event": "train", "step": 1, "tokens": 8, "loss": 2.5, "elapsed": 0.5, "time": 3.0}
    (first.path / "metrics.jsonl").write_text(json.dumps(point) + "\n")
    (second.path / "metrics.jsonl").write_text(json.dumps(point | {"accuracy": 0.25}) + "\n")
    table = metrics_table([first, second])
    assert table["run"] == [first.id, second.id]
    assert table["accuracy"] == [None, 0.25]


def test_what_is_no_number_is_an_empty_cell_and_breaks_no_column(make_run: MakeRun) -> None:
    run = make_run()
    point = {"event": "train", "step": 1, "tokens": 8, "loss": 2.5, "elapsed": 0.5, "time": 3.0, "run": "=1+1"}
    odd = [point | {"lr": "fast"}, point | {"lr": 0.1}, point | {"lr": None, "step": 10**30}, point | {"lr": [1], "note": "x"}]
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in odd) + '{"event": "tra')
    table = pq.read_table(io.BytesIO(to_parquet(metrics_table([run]))))
    assert "note" not in table.column_names
    assert [value for value in table.column("lr").to_pylist() if value is not None] == [0.1]
    assert set(table.column("run").to_pylist()) == {run.id}


def test_an_infinite_loss_is_never_a_number_that_was_made_up(make_run: MakeRun) -> None:
    run = make_run()
    (run.path / "metrics.jsonl").write_text(
        '{"event": "train", "step": 1, "tokens": 8, "loss": 2.5, "elapsed": 0.5, "grad_norm": NaN, "time": 1}\n'
    )
    (value,) = metrics_table([run]).get("grad_norm", [None])
    assert value is None or math.isnan(value)
    assert to_csv(metrics_table([run])).count("2.5") == 1


def test_a_run_without_points_is_a_table_without_rows(make_run: MakeRun) -> None:
    assert to_file([make_run()], ".csv") == b"run,event,step,epoch,tokens,elapsed,time\n"
    assert pq.read_table(io.BytesIO(to_file([make_run()], ".parquet"))).num_rows == 0


def test_the_terminal_writes_the_same_tables(trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics", trained.id, "-o", str(tmp_path / "m.csv")]) == 0
    assert (tmp_path / "m.csv").read_bytes() == to_file([trained], ".csv")
    assert main(["metrics", trained.id, "-o", str(tmp_path / "m.parquet")]) == 0
    assert pq.read_table(tmp_path / "m.parquet").num_rows == len(lines(trained))
    capsys.readouterr()
    assert main(["metrics", trained.id]) == 0
    assert capsys.readouterr().out.encode() == to_file([trained], ".csv")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "m.txt"], "m.txt: expected a name that ends in .csv or .parquet"),
        (["-o", "/no/such/folder/m.csv"], "/no/such/folder: there is no such folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_one_clear_line(
    arguments: list[str], said: str, trained: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["metrics", trained.id, *arguments]) == 2
    assert capsys.readouterr().err.startswith(said)
