"""Sweeps: what was tried, what is best so far."""

from ui import page

with page.loading("Sweeps"):
    from ui import sweep_page

sweep_page.show()
