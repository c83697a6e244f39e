"""Watch a run, stop it, start another."""

from ui import train_page

train_page.show()
