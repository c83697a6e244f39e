"""Forecast beside measurement: peak memory and time of the presets at T 64 and 256, each run in a process of its own.

    python benchmarks/forecast.py [--sizes small,64 medium,256 …] [--minutes 1] [--memory-only]
    python benchmarks/forecast.py --extremes --memory-only [--sizes "small, batch 1" …]

Memory: the forecast of `check` against the peak of a worker that trains a few steps. Time: what `probe` promises for a run
against what such a run takes, one directly after the other; the machine has to be idle for that. The extremes are the graphs of
benchmarks/extremes.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
SIZES = ["small,64", "small,256", "medium,64", "medium,256", "large,64", "large,256"]
MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", metavar="PRESET,T", help="of these alone")
    parser.add_argument("--extremes", action="store_true", help="graphs at the edges instead of the presets")
    parser.add_argument("--steps", type=int, default=6, help="steps of the run whose memory is measured")
    parser.add_argument("--minutes", type=float, default=1.0, help="about how long the run takes whose time is measured")
    parser.add_argument("--memory-only", action="store_true", help="leave time out")
    parser.add_argument("--source", default="Shakespeare", help="the text")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "CORTEXNODUS_HOME": os.environ.get("CORTEXNODUS_HOME", home)}
        shapes = shapes_of(arguments, Path(home))
        print("| shape | forecast, MiB | measured, MiB | ratio | forecast, s | measured, s | ratio |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name, graph in shapes.items():
            run_verb(["data", "prepare", *graph], environment)
            print(row(name, graph, arguments, environment), flush=True)
    load = "/".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{date.today()}, {os.cpu_count()} cores, {platform.machine()}, load {load}")


def shapes_of(arguments: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    """What is measured, by its name: the arguments that name a graph."""
    if arguments.extremes:
        from extremes import write_all

        found = {path.stem: [str(path)] for path in write_all(folder)}
        return {name: graph for name, graph in found.items() if name in (arguments.sizes or found)}
    sizes = [size.split(",") for size in arguments.sizes or SIZES]
    return {f"{name}, T {length}": graph_of(name, length, arguments.source) for name, length in sizes}


def row(name: str, graph: list[str], arguments: argparse.Namespace, environment: dict[str, str]) -> str:
    """One line of the table."""
    told = last(run_verb(["check", *graph, "--no-honest", "--json"], environment))["forecast"]["memory"]["peak"] / MIB
    short = [*graph, "--set", "training.sample_tokens=0", "--max-steps", str(arguments.steps)]
    found = peak_of(["train", "--now", *short], environment) / MIB
    cells = [name, f"{told:,.0f}", f"{found:,.0f}", f"{told / found:.2f}"]
    if not arguments.memory_only:
        cells += times(graph, arguments.minutes, environment)
    return f"| {' | '.join([*cells, *[''] * (7 - len(cells))])} |"


def times(graph: list[str], minutes: float, environment: dict[str, str]) -> list[str]:
    """What the probe promises for so many steps, what they take, and the ratio."""
    probe = last(run_verb(["probe", *graph, "--json"], environment))
    steps = max(20, round(60 * minutes / probe["seconds_per_step"]))
    every = ["--set", f"training.eval_every={steps}", "--set", f"training.steps={steps}"]
    said = last(run_verb(["probe", *graph, *every, "--json"], environment))["minutes_per_run"] * 60
    events = run_verb(["train", "--now", *graph, *every, "--set", "training.sample_tokens=0", "--json"], environment)
    took = next(event["elapsed"] for event in map(json.loads, events.splitlines()) if event["event"] == "end")
    return [f"{said:,.1f}", f"{took:,.1f}", f"{said / took:.2f}"]


def graph_of(name: str, length: str, source: str) -> list[str]:
    """The arguments that name a preset at a length."""
    kind = [] if source == "Shakespeare" else ["--set", f"nodes.data.kind={source}"]
    return ["--preset", name, *kind, "--set", f"nodes.data.seq_len={length}"]


def run_verb(arguments: list[str], environment: dict[str, str]) -> str:
    """What a verb prints on standard output."""
    command = [sys.executable, "-m", "cortex", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def last(printed: str) -> dict[str, Any]:
    """The last JSON line of what was printed."""
    return json.loads(printed.splitlines()[-1])


def peak_of(arguments: list[str], environment: dict[str, str]) -> int:
    """Most memory that a verb's process holds while it trains, in bytes: VmHWM, read until its last step."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cortex", *arguments, "--json"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            try:
                lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
                peak = max([peak, *(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))])
            except (OSError, ValueError):
                return
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.communicate()
    watcher.join()
    return peak


if __name__ == "__main__":
    main()
