"""The command line: `python -m cortex VERB`. Exit status 0 on success, 2 for a mistake of the user's, said in one line."""

from __future__ import annotations

import os
import sys

from cortex.command import main
from cortex.machine import share_cores

# A terminal that knows no dash or accent shows a question mark; a closed output is no output.
sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
sys.stdout.reconfigure(errors="replace")
share_cores()
sys.exit(main(sys.argv[1:]))
