"""How long an edit of a large graph takes: `plan()` alone, and until the canvas shows it in Chromium.

    python benchmarks/editing.py [--nodes 100] [--rounds 15]

The graph is a chain of GPTBlocks on Shakespeare. The browser part starts a server of its own on a folder of its own; an edit is
a block's `nhead` set to a number that does not divide its width, and back, timed from the key press until the card says so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import sync_playwright  # noqa: E402

from cortex import documents  # noqa: E402
from cortex.builder import plan  # noqa: E402
from cortex.graph import Graph  # noqa: E402
from cortex.places import places  # noqa: E402
from cortex.presets import preset, set_model  # noqa: E402

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def large(nodes: int) -> Graph:
    """A chain of that many nodes."""
    return set_model(preset("small"), "num_layers", nodes - len(preset("small").remove("block_1").nodes) + 2)


def plans(graph: Graph, rounds: int) -> list[float]:
    """Milliseconds of `plan()` after one node has changed, never the same edit twice."""
    plan(graph, 10_000)
    found = []
    for number in range(rounds):
        changed = graph.with_param("block_7", "dim_feedforward", 600 + number)
        begun = time.perf_counter()
        planned = plan(changed, 10_000)
        found.append(1000 * (time.perf_counter() - begun))
        assert not planned.issues
    return found


def shown(graph: Graph, rounds: int) -> list[float]:
    """Milliseconds from the key press to the canvas that shows the edit."""
    with tempfile.TemporaryDirectory() as home:
        where = places({"CORTEXNODUS_HOME": home})
        name = documents.create(where.documents, graph)
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.headless", "true"]
        server = subprocess.Popen(
            [*command, "--server.port", str(port)], cwd=ROOT, env={**os.environ, "CORTEXNODUS_HOME": home},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _wait(port)
            return _drive(f"http://localhost:{port}/?doc={name}", rounds)
        finally:
            server.terminate()
            server.wait()


def _wait(port: int) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=1)
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def _drive(url: str, rounds: int) -> list[float]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        card = page.frame_locator("iframe").first.locator('.react-flow__node[data-id="block_7"]')
        card.wait_for(timeout=60_000)
        page.wait_for_timeout(8000)  # the text is tokenised meanwhile
        card.dispatch_event("click")
        field = page.get_by_label("nhead", exact=True).first
        field.wait_for(timeout=60_000)
        page.wait_for_timeout(3000)
        for number in range(rounds):
            value, says = ("5", "must divide") if number % 2 == 0 else ("4", "198 k parameters")
            field.fill(value)
            begun = time.perf_counter()
            field.press("Enter")
            card.get_by_text(says).wait_for(timeout=20_000)
            found.append(1000 * (time.perf_counter() - begun))
            page.wait_for_timeout(1500)
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    graph = large(arguments.nodes)
    for name, times in (("plan", plans(graph, arguments.rounds)), ("edit to canvas", shown(graph, arguments.rounds))):
        print(
            f"{name}, {len(graph.nodes)} nodes: median {statistics.median(times):.0f} ms, "
            f"from {min(times):.0f} to {max(times):.0f}, {len(times)} rounds"
        )


if __name__ == "__main__":
    main()
