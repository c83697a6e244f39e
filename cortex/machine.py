"""What a process asks of the C libraries below torch before it trains. Importable alone: standard library.

Both settings change speed alone, never a result.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys

# Parameters of mallopt(3), from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_THRESHOLD = 32 * 2**20  # glibc refuses a larger M_MMAP_THRESHOLD on 64 bits
_NEVER = 2**31 - 1

_SPINS = "10000"


def keep_pages() -> bool:
    """Let the allocator keep freed memory, and say whether that was applied (Linux with glibc alone).

    A training step frees what the next one asks for again. By default glibc gives blocks from 128 KiB on back to the system,
    until their sizes have taught it not to, and the system clears every page that it hands out anew.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_THRESHOLD) and mallopt(_M_TRIM_THRESHOLD, _NEVER))


def share_cores() -> bool:
    """Let idle threads of OpenMP sleep soon, and say whether that was applied: before torch is loaded, where nobody chose.

    After each parallel part the threads of GNU's OpenMP, which torch comes with on Linux, spin about a millisecond before
    they sleep. With a core for each that saves waking them. As soon as two processes share the cores, threads that wait
    take the time slices of those that work, and a step takes tens of times as long. GOMP_SPINCOUNT between the two loses
    little in the first case and nothing in the second (docs/performance.md).
    """
    chosen = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys()
    if chosen or "torch" in sys.modules or sys.platform != "linux":
        return False
    os.environ["GOMP_SPINCOUNT"] = _SPINS
    return True
