"""Tokenising: words against a plain Python loop, byte pairs and characters beside them; a long text; what starts again.

    python benchmarks/tokenising.py --path DIR_OF_PENN_TREEBANK --megabytes 500

Without --path the text is made: sentences of words drawn by Zipf's law, as long as Penn Treebank's. Both sides of a pair do
the same work on the same file, in turns, in this process; read the ratio, not the seconds. The long text is Shakespeare or
Penn Treebank again and again; it is prepared, and then trained from, in processes of their own whose peak memory is read.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from cortex.data import prepare
from cortex.encode import encoded
from cortex.graph import Node
from cortex.graph_source import source_of
from cortex.machine import keep_pages
from cortex.tokenizer import EOS, UNK

ROOT = Path(__file__).parents[1]
MIB = 2**20

# In a process of its own: prepare, then open again and cut the first batch as the trainer does.
PREPARE = """
import json, re, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from cortex.data import prepare
from cortex.graph import Node
from cortex.machine import keep_pages
keep_pages()
node, store = Node("data", "CustomData", json.loads(sys.argv[2])), Path(sys.argv[3])
start = time.perf_counter()
found = prepare(node, store)
seconds = time.perf_counter() - start
if sys.argv[4] == "batch":
    from cortex.blocks import Blocks
    start = time.perf_counter()
    Blocks(prepare(node, store).tokens("train"), 64, 20, 1).batch(0)
    batch = time.perf_counter() - start
else:
    batch = None
# Not ru_maxrss, which also counts the process that started this one.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1)) / 1024
print(json.dumps({"seconds": seconds, "batch": batch, "peak": peak, "tokens": found.count("train")}))
"""


def made_text(path: Path, lines: int = 42_068, vocabulary: int = 10_000) -> None:
    """Sentences whose words are drawn by Zipf's law."""
    draw = np.random.default_rng(1)
    chances = 1 / np.arange(1, vocabulary + 1)
    words = draw.choice(vocabulary, size=(lines, 21), p=chances / chances.sum())
    path.write_text("".join(" ".join(f"w{word:x}" for word in line) + "\n" for line in words))


def plain_loop(path: Path, vocabulary: dict[str, int] | None) -> np.ndarray:
    """What a tutorial does: split() and a dict, word by word; the vocabulary first where none is given."""
    if vocabulary is None:
        vocabulary = {EOS: 0, UNK: 1}
        with open(path, encoding="utf-8") as file:
            for line in file:
                for word in line.split():
                    if word not in vocabulary:
                        vocabulary[word] = len(vocabulary)
    unknown, ids = vocabulary[UNK], []
    with open(path, encoding="utf-8") as file:
        for line in file:
            for word in line.split():
                ids.append(vocabulary.get(word, unknown))
            ids.append(vocabulary[EOS])
    return np.array(ids, np.uint16)


def in_turns(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median seconds of each, all of them called once a round after one call that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, work in sides.items():
            start = time.perf_counter()
            work()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in seconds.items()}


def compare(path: Path, rounds: int) -> None:
    """Words, byte pairs and characters over the training text, and the plain loop in the same rounds."""
    settings = {"path": str(path), "min_frequency": 1, "validation": 0.001, "test": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        nodes = {kind: Node("data", "CustomData", {**settings, "tokenizer": kind}) for kind in ("word", "bpe", "character")}
        found = {kind: prepare(node, Path(folder)) for kind, node in nodes.items()}
        tokenizers = {kind: each.tokenizer() for kind, each in found.items()}
        vocabulary = dict(tokenizers["word"].backend.get_vocab())

        def ours(kind: str) -> int:
            # Learned from the training split, so a few words of the tail may be unknown to both sides.
            tokenizers[kind]._words.forget()  # what it remembers of the round before
            source = source_of(nodes[kind])
            blocks = (block for split in ("train", "validation") for block in source.blocks(split))
            return sum(len(ids) for _, ids in encoded(blocks, tokenizers[kind]))

        tokens = len(plain_loop(path, vocabulary))
        counts = {kind: ours(kind) for kind in nodes}
        assert abs(counts["word"] - tokens) <= 2, (counts, tokens)  # each split begins with an <eos> of its own
        sides: dict[str, Callable[[], object]] = {"plain loop": lambda: plain_loop(path, vocabulary)}
        sides |= {kind: lambda kind=kind: ours(kind) for kind in nodes}
        seconds = in_turns(sides, rounds)
    size = path.stat().st_size
    print(f"tokenising {path.name}, {size:,} bytes, {tokens:,} words and line ends; medians of {rounds} rounds in turn")
    for name, took in seconds.items():
        count = counts.get(name, tokens)
        print(
            f"  {name:11} {1000 * took:8.0f} ms  {count / took / 1e6:6.2f} M tokens/s  {size / took / MIB:7.1f} MiB/s  "
            f"{seconds['plain loop'] / took:5.2f} times the plain loop"
        )
    sides = {"plain loop": lambda: plain_loop(path, None), "prepare": lambda: prepare_anew(nodes["word"])}
    seconds = in_turns(sides, max(2, rounds // 2))
    print(
        "from nothing, words: the vocabulary, the tokens; prepare also writes, checks, hashes and counts reference perplexities"
    )
    for name, took in seconds.items():
        print(f"  {name:11} {1000 * took:8.0f} ms  {seconds['plain loop'] / took:5.2f} times the plain loop")


def prepare_anew(node: Node) -> None:
    with tempfile.TemporaryDirectory() as folder:
        prepare(node, Path(folder))


def long_text(path: Path, megabytes: int, kinds: list[str]) -> None:
    """Preparation of a text made by repetition, its peak memory, and what a trainer waits for."""
    with tempfile.TemporaryDirectory() as folder:
        long, part = Path(folder) / "long.txt", path.read_bytes()
        with open(long, "wb") as file:
            for _ in range(megabytes * 10**6 // len(part)):
                file.write(part)
        size = long.stat().st_size
        print(f"a text of {size / 1e6:,.0f} MB, made by repetition")
        for kind in kinds:
            params = {"path": str(long), "min_frequency": 1, "tokenizer": kind}
            first = child(params, Path(folder) / kind, "")
            again = child(params, Path(folder) / kind, "batch")
            small = child({**params, "path": str(path)}, Path(folder) / f"{kind}-small", "")
            waits = child({**params, "path": str(path)}, Path(folder) / f"{kind}-small", "batch")
            print(
                f"  {kind:9} prepared in {first['seconds']:6.1f} s, {size / first['seconds'] / 1e6:5.1f} MB/s, "
                f"{first['tokens'] / first['seconds'] / 1e6:5.2f} M tokens/s, peak {first['peak']:,.0f} MiB "
                f"({small['peak']:,.0f} MiB for {path.stat().st_size / 1e6:.0f} MB); second time {again['seconds']:.2f} s; "
                f"first batch after {again['batch']:.2f} s more, peak {again['peak']:,.0f} MiB ({waits['peak']:,.0f} MiB)",
                flush=True,
            )


def child(params: dict[str, object], store: Path, what: str) -> dict[str, float]:
    command = [sys.executable, "-c", PREPARE, str(ROOT), json.dumps(params), str(store), what]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, help="a folder with ptb.train.txt")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=500, help="length of the long text; 0 leaves it out")
    parser.add_argument("--long", default="word,character,bpe", help="tokenizers of the long text")
    arguments = parser.parse_args()
    keep_pages()  # as the command line does before it prepares a text
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.path / "ptb.train.txt" if arguments.path else Path(folder) / "made.txt"
        if not arguments.path:
            made_text(path)
        compare(path, arguments.rounds)
        if arguments.megabytes:
            long_text(path, arguments.megabytes, arguments.long.split(","))
    print(f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}")


if __name__ == "__main__":
    main()
