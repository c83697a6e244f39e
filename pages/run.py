"""One run, whole."""

from ui import run_page

run_page.show()
