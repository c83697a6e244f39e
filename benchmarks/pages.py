"""Time of a script run of each page, with the large preset on the canvas and a run of many logged points.

    python benchmarks/pages.py

Runs the pages through Streamlit's own script runner in this process (no browser), after a first run that warms caches.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        os.environ["CORTEXNODUS_HOME"] = home
        from streamlit.testing.v1 import AppTest

        from cortex import documents
        from cortex.creating import create_run
        from cortex.data import prepare
        from cortex.places import places, to_json
        from cortex.presets import preset

        where, graph = places(), preset("large")
        prepared = prepare(graph.node("data"), where.store)
        name = documents.create(where.documents, graph)
        run = create_run(where.runs, graph, fingerprint=prepared.fingerprint)
        (run.path / "status.json").write_text(to_json({"state": "finished"}))
        with open(run.path / "metrics.jsonl", "w") as file:
            for step in range(10_000):
                event = {
                    "event": "train",
                    "step": step,
                    "epoch": step / 500,
                    "tokens": step * 512,
                    "loss": 9 / (1 + step / 999),
                }
                event |= {"lr": 3e-4, "grad_norm": 1.0, "tokens_per_second": 800.0, "elapsed": step * 0.6}
                file.write(json.dumps(event) + "\n")
        for page in ("build", "train", "runs", "generate"):
            test = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=60)
            test.query_params["doc"], test.query_params["run"], test.query_params["runs"] = name, run.id, run.id
            test.run()
            seconds = []
            for _ in range(15):
                started = time.perf_counter()
                test.run()
                seconds.append(time.perf_counter() - started)
            assert not test.exception
            print(f"{page:9} median {1000 * statistics.median(seconds):4.0f} ms, largest {1000 * max(seconds):4.0f} ms")
    print(f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}")


if __name__ == "__main__":
    main()
