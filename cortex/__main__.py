"""The command line: `python -m cortex VERB`. Exit status 0 on success, 2 for a mistake of the user's, said in one line."""

from __future__ import annotations

import sys

from cortex.command import main

sys.exit(main(sys.argv[1:]))
