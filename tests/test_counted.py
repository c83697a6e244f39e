"""The first plan of a process is quick: parameters are counted without loading what only compiles models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import cortex.builder
from cortex.counted import parameter_count
from cortex.params import AUTO, complete
from cortex.registry import KINDS
for kind in KINDS.values():
    if kind.role in ("module", "merge", "loss"):
        values = {name: 8 if value == AUTO else value for name, value in complete(kind.params, {}).items()}
        parameter_count(kind, tuple(values.items()))
        assert "torch._dynamo" not in sys.modules, kind.name
"""


def test_counting_the_parameters_of_any_kind_does_not_load_the_compiler_of_torch() -> None:
    project = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
