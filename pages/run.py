"""One run, whole."""

from ui import page

with page.loading("Run"):
    from ui import run_page

run_page.show()
