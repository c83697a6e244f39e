"""What watching a run costs: processor time of the server while the Train page is open in a browser.

    python benchmarks/watching.py --seconds 60

Starts a server and a run of the small preset, opens the page in Chromium, and reads from the kernel how much processor time
the server took; the browser's own is not counted. The share is of all cores, since the training could have used them.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
PORT = 8723
_CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def processor_seconds(pid: int) -> float:
    """Processor time of a process and its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--points", type=int, default=0, help="log every step until there are so many points, then measure")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "CORTEXNODUS_HOME": home, "PYTHONPATH": str(ROOT)}
        serve = ["-m", "streamlit", "run", "streamlit_app.py", "--server.headless", "true", "--server.port", str(PORT)]
        train = ["-m", "cortex", "train", "--preset", "small", "--set", "training.log_every=1", "--name", "watched"]
        quiet = {"cwd": ROOT, "env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        server = subprocess.Popen([sys.executable, *serve], **quiet)
        worker = subprocess.Popen([sys.executable, *train], **quiet)
        try:
            watch(server.pid, worker.pid, Path(home), arguments.seconds, arguments.points)
        finally:
            for process in (worker, server):
                process.terminate()
                process.wait()


def watch(server: int, worker: int, home: Path, seconds: float, points: int) -> None:
    from playwright.sync_api import sync_playwright

    from cortex.runs import list_runs

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_CHROMIUM)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            runs = list_runs(home / "runs")
            if runs and sum(event["event"] == "train" for event in runs[0].events()) > points + 5:
                break
            time.sleep(1)
        page.goto(f"http://localhost:{PORT}/train")
        page.get_by_text("Best validation perplexity").wait_for(timeout=60_000)
        time.sleep(10)
        before, worked, started = processor_seconds(server), processor_seconds(worker), time.monotonic()
        time.sleep(seconds)
        wall = time.monotonic() - started
        used, trained = processor_seconds(server) - before, processor_seconds(worker) - worked
        count = sum(event["event"] == "train" for event in list_runs(home / "runs")[0].events())
        browser.close()
    cores = os.cpu_count() or 1
    print(
        f"server {used:.2f} s of processor time in {wall:.0f} s of watching a run of {count:,} points: "
        f"{used / wall / cores:.2%} of {cores} cores; worker {trained:.1f} s\n{date.today()}, {platform.machine()}"
    )


if __name__ == "__main__":
    main()
