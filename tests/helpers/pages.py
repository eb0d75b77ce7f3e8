"""The page of the application in a browser."""


def on_page(browser, *pixels):
    """Where pixels of the video are in the page."""
    left, top, scale = browser.value(
        "(() => { const box = document.getElementById('picture').getBoundingClientRect();"
        " return [box.left, box.top, box.width / width]; })()"
    )
    return [(round(left + (x + 0.5) * scale), round(top + (y + 0.5) * scale)) for x, y in pixels]
