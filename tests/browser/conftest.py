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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect, sync_playwright

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

expect.set_options(timeout=20_000)


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
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1):
                return
            time.sleep(0.1)
        raise AssertionError((self.home / "server.log").read_text())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    made = Server(tmp_path_factory.mktemp("home"), port)
    made.start()
    yield made
    made.end_runs()
    made.stop()
    assert not made.page_errors()


@pytest.fixture
def tab(chromium: Browser, server: Server) -> Iterator[Tab]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(20_000)
    yield Tab(context.new_page(), server)
    context.close()


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
        """Wait until no script runs and the canvas has taken what was sent."""
        self.page.wait_for_timeout(300)
        self.page.wait_for_function("() => !document.querySelector('[data-testid=\"stStatusWidget\"]')")
        self.page.wait_for_timeout(1000 * seconds)
        return self

    def open_preset(self, name: str = "small") -> Tab:
        self.open()
        self.page.get_by_role("button", name=f"Open {name}").click()
        expect(self.node("data")).to_be_visible()
        return self.settle(1.5)

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
        name = re.search(r"doc=([0-9a-f]{12})", self.page.url).group(1)
        return from_json((self.server.places.documents / f"{name}.json").read_text())

    def ids(self) -> list[str]:
        return [node.id for node in self.graph().nodes]

    def edges(self) -> set[tuple[str, str]]:
        return {(edge.source, edge.target) for edge in self.graph().edges}

    def events(self) -> list[dict]:
        return [json.loads(json.dumps(event)) for event in self.server.runs()[0].events()]
