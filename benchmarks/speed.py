"""Training speed and memory beside the guide's loop and nanoGPT: same shapes, dropout 0.1, random tokens, one process a side.

    python benchmarks/speed.py --rounds 5 [--nanogpt PATH/model.py] [--sizes small,64,10000 small,256,10000 ...]

Sides take turns within each round, and a ratio compares two of the same round; medians over the rounds are printed.
Besides the seconds that passed it counts those that the processor spent: they tell more where other work shares the
machine, and less where a side leaves a core idle. Every process also times torch.mm, for the share of the peak.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from cortex import machine

SIZES = ["small,64,10000", "small,64,33278", "small,256,10000", "small,256,33278", "medium,64,10000", "medium,256,10000"]
WARM_UP = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="PRESET,T,V")
    parser.add_argument("--sides", nargs="+", default=None, choices=("ours", "guide", "nanogpt"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0, help="about how long a side trains in a round")
    parser.add_argument("--nanogpt", metavar="PATH", help="nanoGPT's model.py; left out without it")
    parser.add_argument("--child", metavar="SIDE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.child, arguments.sizes[0], arguments.seconds, arguments.nanogpt)))
        return
    machine.share_cores()  # all sides alike, so that the spinning of one beside other work does not decide
    sides = arguments.sides or ["ours", "guide", *(["nanogpt"] if arguments.nanogpt else [])]
    print("| shape | side | tokens/s | peak memory, MiB | of torch.mm's peak | ours, times as fast | by processor time |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for size in arguments.sizes:
        rounds = []
        for number in range(arguments.rounds):
            order = sides if number % 2 == 0 else sides[::-1]
            rounds.append({side: run(side, size, arguments.seconds, arguments.nanogpt) for side in order})
        for side in sides:
            print(row(size, side, rounds), flush=True)
    import torch

    load = "/".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{date.today()}, {os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}, load {load}")


def row(size: str, side: str, rounds: list[dict[str, dict[str, Any]]]) -> str:
    def median(value: str) -> float:
        return statistics.median(found[side][value] for found in rounds)

    def ratio(value: str) -> str:
        return f"{statistics.median(found[side][value] / found['ours'][value] for found in rounds):.2f}"

    name, time_steps, vocabulary = size.split(",")
    shape = f"{name}, T {time_steps}, V {int(vocabulary):,}"
    tokens, memory, share = median("tokens_per_second"), median("peak_mib"), median("share_of_peak")
    compared = "" if side == "ours" or "ours" not in rounds[0] else f"{ratio('seconds')} | {ratio('processor_seconds')}"
    return f"| {shape} | {side} | {tokens:,.0f} | {memory:,.0f} | {share:.0%} | {compared or ' | '} |"


def run(side: str, size: str, seconds: float, nanogpt: str | None) -> dict[str, Any]:
    """What `measure` finds in a process of its own."""
    command = [sys.executable, __file__, "--child", side, "--sizes", size, "--seconds", str(seconds)]
    done = subprocess.run(
        [*command, *(["--nanogpt", nanogpt] if nanogpt else [])], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(side: str, size_text: str, seconds: float, nanogpt: str | None) -> dict[str, Any]:
    """Train for a few steps to warm up, then for about `seconds`; all times are for one step."""
    from sides import SIDES, Size

    preset, length, vocabulary = size_text.split(",")
    size = Size(preset, int(length), int(vocabulary))
    marks: list[tuple[float, float]] = []

    class Enough(Exception):
        pass

    def mark() -> None:
        marks.append((time.perf_counter(), time.process_time()))
        if len(marks) > WARM_UP + 3 and marks[-1][0] - marks[WARM_UP][0] > seconds:
            raise Enough

    with contextlib.suppress(Enough):
        SIDES[side](size, 10_000, mark, nanogpt)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)
    steps = len(marks) - 1 - WARM_UP
    passed, spent = ((marks[-1][clock] - marks[WARM_UP][clock]) / steps for clock in (0, 1))
    return {
        "seconds": passed,
        "processor_seconds": spent,
        "tokens_per_second": size.tokens_per_step / passed,
        "peak_mib": peak_mib,
        "share_of_peak": size.flops_per_step / passed / matrix_peak(),
        "steps": steps,
    }


def matrix_peak(width: int = 2048, repeats: int = 15) -> float:
    """Operations a second of torch.mm in float32: the median over `repeats` products."""
    import torch

    a, b = torch.randn(width, width), torch.randn(width, width)
    torch.mm(a, b)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - started)
    return 2 * width**3 / statistics.median(times)


if __name__ == "__main__":
    main()
