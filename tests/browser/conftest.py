"""A real server on a folder of its own, and a real browser that drives it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, FrameLocator, Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from cortex.graph import Graph, from_json
from cortex.places import Places, places
from cortex.runs import Run, list_runs

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
HOW = "no Chromium found; install it (Debian: apt-get install chromium) or set CHROMIUM to its path"

# Long, because the first page of a cold server on a busy machine is slow; what comes sooner is not waited for.
PATIENCE = 60
expect.set_options(timeout=1000 * PATIENCE)

# Whether a script runs, and what the canvas shows, looked at until both have rested for so many looks. Between two looks the
# server answers, so on a slow machine they are further apart. A page that refreshes itself all the time is left after a while.
RESTS = """async looks => {
    const pause = () => new Promise(go => setTimeout(go, 100));
    const look = () => {
        const app = document.querySelector('[data-testid="stApp"]');
        const canvas = document.querySelector("iframe")?.contentDocument?.querySelector(".react-flow");
        return app?.dataset.testScriptState === "notRunning" ? canvas?.innerHTML ?? "none" : null;
    };
    const end = performance.now() + 20000;
    for (let rested = 0, before = null; rested < looks && performance.now() < end;) {
        await pause();
        await fetch("/_stcore/health").catch(() => null);
        const now = look();
        rested = now !== null && now === before ? rested + 1 : 0;
        before = now;
    }
}"""


@dataclass
class Server:
    """The app on a port and a home of its own."""

    home: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def places(self) -> Places:
        return places({"CORTEXNODUS_HOME": str(self.home)})

    def start(self) -> None:
        log = open(self.home / "server.log", "ab")  # noqa: SIM115  the server writes to it
        command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.headless", "true"]
        self.process = subprocess.Popen(
            [*command, "--server.port", str(self.port)],
            cwd=ROOT, env={**os.environ, "CORTEXNODUS_HOME": str(self.home)}, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        log.close()
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1):
                return
            time.sleep(0.1)
        raise AssertionError((self.home / "server.log").read_text())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)

    def runs(self) -> list[Run]:
        return list_runs(self.places.runs)

    def end_runs(self) -> None:
        for run in self.runs():
            pid = run.status().get("pid")
            if run.state() not in ("finished", "stopped", "failed") and pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def page_errors(self) -> str:
        """What the server logged of pages that failed; a connection cut off at its end is none."""
        log = (self.home / "server.log").read_text()
        return log[log.index("Uncaught app execution") :] if "Uncaught app execution" in log else ""

    def empty(self) -> None:
        """End what runs and forget all that was made, prepared texts aside, as if the app had never been used."""
        self.end_runs()
        time.sleep(1)  # what a page that has just been left was still writing
        work = self.places.store.parent
        kept = (work, self.places.store, self.home / "server.log")
        end = time.monotonic() + PATIENCE
        while left := [path for path in (*self.home.iterdir(), *work.glob("*")) if path not in kept]:
            assert time.monotonic() < end, f"cannot be removed: {left}"
            for path in left:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(HOW)
        pytest.skip(HOW)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def window(chromium: Browser) -> Iterator[BrowserContext]:
    """One window for all tests: a second one would fetch and compile the app's scripts anew."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(1000 * PATIENCE)
    yield context
    context.close()


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests: a second one would load torch and draw its first pages anew."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    made = Server(tmp_path_factory.mktemp("home"), port)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(started: Server) -> Iterator[Server]:
    """The app with nothing made in it yet."""
    yield started
    errors = started.page_errors()
    started.empty()
    assert not errors


@pytest.fixture
def tab(window: BrowserContext, server: Server) -> Iterator[Tab]:
    page = window.pages[0] if window.pages else window.new_page()
    yield Tab(page, server)
    for other in window.pages[1:]:
        other.close()
    with contextlib.suppress(Error):  # of a page without an address
        page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.mouse.move(0, 0)
    page.goto("about:blank")


@dataclass
class Tab:
    """A browser tab, with the things that a person does in the app."""

    page: Page
    server: Server

    def another(self) -> Tab:
        return Tab(self.page.context.new_page(), self.server)

    def open(self, path: str = "/") -> Tab:
        self.page.goto(self.server.url + path)
        return self

    def settle(self, seconds: float = 0.5) -> Tab:
        """Wait until no script has run and the canvas has not changed for so long."""
        self.page.evaluate(RESTS, round(10 * seconds))
        return self

    def until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> Tab:
        """Wait until the condition holds, for what is seen on disk or in the address."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"still not so after {seconds} s; the address is {self.page.url}"
            self.page.wait_for_timeout(50)
        return self

    def open_preset(self, name: str = "small") -> Tab:
        self.open()
        self.page.get_by_role("button", name=f"Open {name}").click()
        expect(self.node("data")).to_be_visible()
        return self.settle()

    def choose(self, box: Locator, option: Locator) -> Tab:
        """Open a list and click an option. A list closes when the page scrolls or grows under it, as a click can make it do."""
        box.scroll_into_view_if_needed()
        for _ in range(10):
            if not option.is_visible():
                box.click()
            with contextlib.suppress(PlaywrightTimeout):
                option.click(timeout=5000)
                return self
        raise AssertionError(f"{option} cannot be chosen")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    @property
    def canvas(self) -> FrameLocator:
        return self.page.frame_locator("iframe").first

    def node(self, node_id: str) -> Locator:
        return self.canvas.locator(f'.react-flow__node[data-id="{node_id}"]')

    def edge(self, source: str, target: str, port: str = "in") -> Locator:
        return self.canvas.locator(f'.react-flow__edge[data-testid="rf__edge-{source}>{target}.{port}"]')

    def drag(self, node_id: str, across: int, down: int) -> Tab:
        box = self.node(node_id).bounding_box()
        x, y = box["x"] + 70, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + across, y + down, steps=8)
        self.page.mouse.up()
        return self

    def draw_edge(self, source: str, target: str) -> Tab:
        start = self.node(source).locator(".react-flow__handle.source").bounding_box()
        end = self.node(target).locator(".react-flow__handle.target").bounding_box()
        self.page.mouse.move(start["x"] + 3, start["y"] + 3)
        self.page.mouse.down()
        self.page.mouse.move(end["x"] + 3, end["y"] + 3, steps=10)
        self.page.mouse.up()
        return self

    def zoom(self, chart: Locator) -> list[float]:
        """Drag over a part of a chart until it has zoomed, for the page may still be growing under the first try; what it then
        shows of its x axis."""
        chart.scroll_into_view_if_needed()
        for _ in range(5):
            area = chart.locator(".nsewdrag").first.bounding_box()
            self.page.mouse.move(area["x"] + 60, area["y"] + 20)
            self.page.mouse.down()
            self.page.mouse.move(area["x"] + area["width"] * 0.6, area["y"] + area["height"] - 20, steps=6)
            self.page.mouse.up()
            for _ in range(50):
                self.page.wait_for_timeout(100)
                if not chart.evaluate("chart => chart.layout.xaxis.autorange"):
                    self.page.wait_for_timeout(400)  # what is clicked next is no double click
                    return chart.evaluate("chart => chart.layout.xaxis.range")
        raise AssertionError("the drag did not zoom")

    def click_pane(self) -> Tab:
        box = self.page.locator("iframe").first.bounding_box()
        self.page.mouse.click(box["x"] + box["width"] - 25, box["y"] + box["height"] - 15)
        return self

    def fill(self, label: str, value: str) -> Tab:
        box = self.page.get_by_label(label, exact=True).first
        box.fill(value)
        box.press("Enter")
        return self.settle()

    def graph(self) -> Graph:
        """The document of this tab as it is on disk."""
        self.page.wait_for_url(re.compile("doc=[0-9a-f]{12}"), wait_until="commit")
        name = re.search(r"doc=([0-9a-f]{12})", self.page.url).group(1)
        return from_json((self.server.places.documents / f"{name}.json").read_text())

    def ids(self) -> list[str]:
        return [node.id for node in self.graph().nodes]

    def edges(self) -> set[tuple[str, str]]:
        return {(edge.source, edge.target) for edge in self.graph().edges}

    def events(self) -> list[dict]:
        return [json.loads(json.dumps(event)) for event in self.server.runs()[0].events()]
