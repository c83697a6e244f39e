"""Text from a trained run."""

from ui import page

with page.loading("Generate"):
    from ui import generate_page

generate_page.show()
