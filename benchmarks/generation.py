"""Generation with the key/value cache beside the naive way, which reads the whole text again for every token.

    python benchmarks/generation.py --preset small --vocabulary 10000 --tokens 256 --rounds 5

Both ways draw with the same function, in turns; batch 1, a prompt of one token, random weights, which cost the same time.
Memory is that of the process after the cache has been in use, once for --tokens and once for four times as many.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from datetime import date
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from cortex.builder import Model, build, plan
from cortex.generate import generate, pick
from cortex.presets import preset


@torch.inference_mode()
def naive(model: Model, tokens: int) -> None:
    model.eval()
    seen, generator = [1], torch.Generator().manual_seed(1)
    for _ in range(tokens):
        logits = model.logits(torch.tensor([seen]))[0, -1]  # (V,)
        seen.append(pick(logits, temperature=0.8, top_k=0, top_p=1.0, generator=generator))


def cached(model: Model, tokens: int, context: int, vocabulary: int, **settings: float) -> None:
    for _ in generate(model, [1], context=context, vocab_size=vocabulary, max_tokens=tokens, **settings):
        pass


def resident_mib() -> float:
    """Memory that this process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="small")
    parser.add_argument("--vocabulary", type=int, default=10_000)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    vocabulary, tokens = arguments.vocabulary, arguments.tokens
    torch.manual_seed(1)
    model = build(plan(preset(arguments.preset), vocabulary))
    ways = {
        "cache": lambda: cached(model, tokens, tokens, vocabulary),
        "cache, top_k 50": lambda: cached(model, tokens, tokens, vocabulary, top_k=50),
        "cache, top_p 0.9": lambda: cached(model, tokens, tokens, vocabulary, top_p=0.9),
        "naive": lambda: naive(model, tokens),
    }
    for way in ways.values():  # warm up
        way()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            started, spent = time.perf_counter(), time.process_time()
            way()
            found[name].append((time.perf_counter() - started, time.process_time() - spent))
    print(f"{arguments.preset}, V = {vocabulary:,}, {tokens} tokens, batch 1")
    for name, times in found.items():
        speed = tokens / statistics.median(passed for passed, _ in times)
        passed, spent = (
            statistics.median(other[clock] / mine[clock] for mine, other in zip(times, found["naive"], strict=True))
            for clock in (0, 1)
        )
        print(f"{name:18}{speed:8,.0f} tokens/s, {passed:5.1f} times the naive way, {spent:5.1f} by processor time")
    before = resident_mib()
    cached(model, tokens, tokens, vocabulary)
    once = resident_mib()
    cached(model, 4 * tokens, tokens, vocabulary)
    print(f"memory: {before:,.0f} MiB, after {tokens} tokens {once:,.0f}, after {4 * tokens} more {resident_mib():,.0f}")
    load = "/".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}, load {load}")


if __name__ == "__main__":
    main()
