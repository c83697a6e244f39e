"""Every run, compared."""

from ui import page

with page.loading("Runs"):
    from ui import runs_page

runs_page.show()
