"""Sweeps: what was tried, what is best so far."""

from ui import sweep_page

sweep_page.show()
