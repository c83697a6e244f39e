"""Pick a preset, see it as a graph, change it, train it."""

from ui import page

with page.loading("Build"):
    from ui import build_page

build_page.show()
