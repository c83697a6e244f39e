"""The model as a script of its own."""

from ui import export_page

export_page.show()
