"""See what a text is made of, how it is tokenised, and what is prepared on disk."""

from ui import page

with page.loading("Data"):
    from ui import data_page

data_page.show()
