from ui import guide_page

guide_page.show()
