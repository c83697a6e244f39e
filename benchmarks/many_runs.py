"""The Runs page with many runs in Chromium: first paint, time of a tick, a filter and a sort, memory of the server.

    python benchmarks/many_runs.py --runs 200 --points 10000
    python benchmarks/many_runs.py --live 5 --minutes 30

The first makes the runs in a folder of its own (benchmarks/made_runs.py) and opens the page three times: with a server that has
just started and has never seen them, with one that has just started and finds what an earlier one kept, and with one that is
warm. The second lets so many made runs grow, leaves the page open over them, zoomed into a chart, and looks every ten seconds
at the server's memory, at the zoom and at what is ticked. Times are from the action to the change that a person sees.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
PORT = 8724
_CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
_TABLE = '[data-testid="stDataFrame"] canvas'
_CHART = 'iframe[title="ui.plot.frame"]'
_FILTERS = ("lr<1e-3", "data:WikiText2 state:finished", "best_perplexity <= 60 dropout=0.1", "seed")
_LAST = "chart => Math.max(...chart._fullData.filter(t => t.x && t.x.length).map(t => Number(t.x[t.x.length - 1])))"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--home", type=Path, help="a folder to keep, or one that was made before")
    parser.add_argument("--live", type=int, default=0, help="let so many runs grow under an open page")
    parser.add_argument("--minutes", type=float, default=30.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        home = arguments.home or Path(made)
        if arguments.live:
            live(home, arguments.live, arguments.minutes)
        else:
            measure(home, arguments.runs, arguments.points)
    print(f"{date.today()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.machine()}")


def measure(home: Path, runs: int, points: int) -> None:
    from made_runs import make

    if not (home / "runs").exists():
        make(home / "runs", runs, points)
    size = sum(path.stat().st_size for path in (home / "runs").glob("*/metrics.jsonl"))
    print(f"{runs} runs of up to {points:,} points, {size / 2**20:,.0f} MiB of metrics.jsonl")
    shutil.rmtree(home / "runs" / ".index", ignore_errors=True)
    with browser() as chromium:
        plain(chromium, home)
        for name in ("server just started, runs never seen", "server just started, runs kept in .index"):
            with serving(home) as server:
                page = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
                table = open_page(page)
                began = time.perf_counter()
                page.get_by_label("Filter", exact=True).wait_for()
                print(f"{name}: table after {table:.2f} s, the rest {time.perf_counter() - began:.2f} s later")
                settled(page)
                if "kept" in name:
                    warm(chromium, page, server)
                page.context.close()


def plain(chromium: Any, home: Path) -> None:
    """What Streamlit and the browser take by themselves: a page of one table that is made of nothing."""
    script = home / "plain.py"
    script.write_text(
        "import pandas as pd, streamlit as st\n"
        "frame = pd.DataFrame({f'c{n}': range(200) for n in range(20)})\n"
        "st.dataframe(frame, on_select='rerun', selection_mode='multi-row', key='k', height=318)\n"
    )
    with serving(home, str(script)):
        first = open_page(chromium.new_context(viewport={"width": 1280, "height": 800}).new_page(), "")
        pages = [open_page(chromium.new_context(viewport={"width": 1280, "height": 800}).new_page(), "") for _ in range(5)]
    print(f"for comparison, a page of one table and nothing else: at first {first:.2f} s, then {spread(pages)}")


def warm(chromium: Any, page: Any, server: int) -> None:
    first = [open_page(chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()) for _ in range(5)]
    print(f"server warm: table after {spread(first)}")
    settled(page)
    used = processor_seconds(server)
    ticks = [tick(page, row, row + 1) for row in range(5)]
    used = (processor_seconds(server) - used) / 5
    said = f"{spread(ticks)}; server {1000 * used:.0f} ms of processor time each, with charts"
    print(f"a tick, until the bar above says so: {said}")
    charts = [chart_after(page, lambda row=row: click(page, row)) for row in range(5, 8)]
    print(f"a tick, until the charts have the curve of 10,000 points: {spread(charts)}")
    used = processor_seconds(server)
    filters = [type_filter(page, text) for text in _FILTERS]
    used = (processor_seconds(server) - used) / len(filters)
    print(f"a filter, until the page says how many are shown: {spread(filters)}; server {1000 * used:.0f} ms of processor time")
    settled(page)
    print(f"memory of the server: {resident(server) / 2**20:,.0f} MiB")
    click_all(page)
    settled(page, 90)
    print(f"memory of the server with all runs ticked: {resident(server) / 2**20:,.0f} MiB")


def open_page(page: Any, path: str = "runs") -> float:
    """Seconds from asking for the page to a table with content on the screen."""
    page.set_default_timeout(120_000)
    began = time.perf_counter()
    page.goto(f"http://localhost:{PORT}/{path}")
    page.wait_for_selector(_TABLE)
    # The canvas is there before it is painted: wait until some of it is not of one colour.
    page.wait_for_function(
        """selector => { const canvas = document.querySelector(selector); if (!canvas || !canvas.width) return false;
        const at = canvas.getContext('2d').getImageData(0, 40, Math.min(canvas.width, 600), 120).data;
        const seen = new Set(); for (let i = 0; i < at.length; i += 4) seen.add(at[i]); return seen.size > 3; }""",
        arg=_TABLE,
    )
    return time.perf_counter() - began


def settled(page: Any, seconds: float = 60) -> float:
    """Seconds until no script has run for a while."""
    began = last = time.perf_counter()
    while time.perf_counter() - last < 0.5 and time.perf_counter() - began < seconds:
        if not page.locator('[data-test-script-state="notRunning"]').count():
            last = time.perf_counter()
        page.wait_for_timeout(50)
    return last - began


def click(page: Any, row: int) -> None:
    box = page.locator('[data-testid="stDataFrame"]').first.bounding_box()
    page.mouse.click(box["x"] + 18, box["y"] + 38 + 35 * row + 17)


def click_all(page: Any) -> None:
    box = page.locator('[data-testid="stDataFrame"]').first.bounding_box()
    page.mouse.click(box["x"] + 18, box["y"] + 18)


def tick(page: Any, row: int, expected: int) -> float:
    began = time.perf_counter()
    click(page, row)
    page.get_by_text(f"{expected} ticked", exact=True).wait_for()
    took = time.perf_counter() - began
    settled(page)
    return took


def chart_after(page: Any, action: Any) -> float:
    chart = page.frame_locator(_CHART).first.locator(".js-plotly-plot")
    before = chart.evaluate("chart => chart.data.length")
    began = time.perf_counter()
    action()
    while chart.evaluate("chart => chart.data.length") == before and time.perf_counter() - began < 30:
        page.wait_for_timeout(10)
    took = time.perf_counter() - began
    settled(page)
    return took


def type_filter(page: Any, text: str) -> float:
    box = page.get_by_label("Filter", exact=True)
    head = page.locator('[data-testid="stCaptionContainer"]').first
    before = head.inner_text()
    box.fill(text)
    began = time.perf_counter()
    box.press("Enter")
    while head.inner_text() == before and time.perf_counter() - began < 30:
        page.wait_for_timeout(10)
    took = time.perf_counter() - began
    assert " shown" in head.inner_text(), head.inner_text()
    settled(page)
    return took


def live(home: Path, count: int, minutes: float) -> None:
    """The page over growing runs: memory flat, zoom and ticks kept."""
    from made_runs import make

    runs = make(home / "runs", count + 20, 1000, live=count)[-count:]
    done = threading.Event()
    grower = threading.Thread(target=grow, args=(runs, done), daemon=True)
    grower.start()
    try:
        with browser() as chromium, serving(home) as server:
            page = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.set_default_timeout(60_000)
            page.goto(f"http://localhost:{PORT}/runs?runs={','.join(run.id for run in runs)}")
            page.wait_for_selector(_CHART)
            settled(page)
            watch(page, server, count, minutes)
    finally:
        done.set()
        grower.join()


def watch(page: Any, server: int, count: int, minutes: float) -> None:
    chart = page.frame_locator(_CHART).first.locator(".js-plotly-plot")
    chart.scroll_into_view_if_needed()
    page.wait_for_timeout(1500)
    area = chart.locator(".nsewdrag").first.bounding_box()
    page.mouse.move(area["x"] + 30, area["y"] + 20)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.6, area["y"] + area["height"] - 20, steps=6)
    page.mouse.up()
    page.wait_for_timeout(1500)
    zoom = chart.evaluate("chart => chart.layout.xaxis.range")
    typed = "typed, not sent"
    page.get_by_label("Filter", exact=True).press_sequentially(typed)
    rows: list[tuple[float, float]] = []
    began = time.monotonic()
    last = points = 0
    while time.monotonic() - began < 60 * minutes:
        page.wait_for_timeout(10_000)
        assert chart.evaluate("chart => chart.layout.xaxis.range") == zoom, "a refresh has thrown the zoom away"
        assert page.get_by_text(f"{count} ticked", exact=True).count(), "a refresh has thrown the ticks away"
        assert page.get_by_label("Filter", exact=True).input_value() == typed, "a refresh has thrown away what was typed"
        points = chart.evaluate(_LAST)
        assert points > last, "the chart does not grow"
        last = points
        rows.append((time.monotonic() - began, resident(server) / 2**20))
    third = max(1, len(rows) // 3)
    early, late = (statistics.median(memory for _, memory in part) for part in (rows[third : 2 * third] or rows, rows[-third:]))
    print(
        f"{count} growing runs watched for {rows[-1][0] / 60:.1f} min: zoom, ticks and typed text kept at {len(rows)} looks, "
        f"curves up to step {points:,.0f}; server {rows[0][1]:,.0f} MiB at first, {early:,.0f} in the middle third, "
        f"{late:,.0f} in the last"
    )


def grow(runs: list[Any], done: threading.Event) -> None:
    """Write to each run what a worker writes: ten points a second and a validation every hundred."""
    step = {run.id: max((event.get("step", 0) for event in run.events()), default=0) for run in runs}
    while not done.wait(1.0):
        for run in runs:
            lines = []
            for number in range(step[run.id] + 1, step[run.id] + 11):
                point = {"step": number, "tokens": number * 1280, "elapsed": number * 0.1, "time": time.time()}
                loss = 4 + 6 * (1 + number / 40) ** -0.6
                lines.append(
                    {"event": "train", **point, "loss": loss, "lr": 1e-3, "grad_norm": 1.0, "tokens_per_second": 12_800.0}
                )
                if number % 100 == 0:
                    lines.append({"event": "validation", **point, "loss": loss + 0.1, "best": True})
            step[run.id] += 10
            with open(run.path / "metrics.jsonl", "a") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)


@contextmanager
def serving(home: Path, script: str = "streamlit_app.py") -> Iterator[int]:
    """A server over this folder; its process number."""
    environment = {**os.environ, "CORTEXNODUS_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.headless", "true"]
    server = subprocess.Popen(
        [*command, "--server.port", str(PORT)],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):
            with suppress(OSError), urllib.request.urlopen(f"http://localhost:{PORT}/_stcore/health", timeout=1):
                break
            time.sleep(0.1)
        yield server.pid
    finally:
        server.terminate()
        server.wait()


@contextmanager
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_CHROMIUM)
        yield chromium
        chromium.close()


def resident(pid: int) -> float:
    """Bytes of memory that a process holds."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def processor_seconds(pid: int) -> float:
    """Processor time of a process and its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spread(seconds: list[float]) -> str:
    return f"median {1000 * statistics.median(seconds):,.0f} ms, largest {1000 * max(seconds):,.0f} ms of {len(seconds)}"


if __name__ == "__main__":
    main()
