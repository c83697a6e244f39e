from ui import page

with page.loading("Guide"):
    from ui import guide_page

guide_page.show()
