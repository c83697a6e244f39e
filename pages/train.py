"""Watch a run, stop it, start another."""

from ui import page

with page.loading("Train"):
    from ui import train_page

train_page.show()
