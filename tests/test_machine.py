"""Settings of the C libraries: applied where they can be, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cortex import machine

PROJECT = Path(__file__).parents[1]


def said_by_a_new_process(program: str, **environment: str) -> str:
    plain = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run(
        [sys.executable, "-c", f"import os, sys\nfrom cortex import machine\n{program}"],
        cwd=PROJECT, env={**plain, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_freed_memory_stays_with_the_process() -> None:
    program = (
        "import ctypes, resource\n"
        "libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p; libc.free.argtypes = [ctypes.c_void_p]\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    block = libc.malloc(ctypes.c_size_t(16 * 2**20)); ctypes.memset(block, 1, 16 * 2**20); libc.free(block)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "applied = machine.keep_pages(); faults()\n"
        "print(applied, faults() < 100)"
    )
    assert said_by_a_new_process(program) in ("True True", "False True", "False False")


def test_nothing_is_asked_of_another_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.platform, "libc_ver", lambda: ("", ""))
    assert machine.keep_pages() is False


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP")
def test_idle_threads_sleep_soon_unless_someone_chose_or_torch_is_there() -> None:
    ask = "print(machine.share_cores(), os.environ.get('GOMP_SPINCOUNT'))"
    assert said_by_a_new_process(ask) == "True 10000"
    assert said_by_a_new_process(ask, GOMP_SPINCOUNT="5") == "False 5"
    assert said_by_a_new_process(ask, OMP_WAIT_POLICY="active") == "False None"
    assert said_by_a_new_process("import torch\n" + ask) == "False None"
