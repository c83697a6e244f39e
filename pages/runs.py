"""Every run, compared."""

from ui import runs_page

runs_page.show()
