"""Text from a trained run."""

from ui import generate_page

generate_page.show()
