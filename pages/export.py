"""The model as a script of its own."""

from ui import page

with page.loading("Export"):
    from ui import export_page

export_page.show()
