"""The machine's browser, which prints pages."""

from __future__ import annotations

import shutil

from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]


def executable() -> str | None:
    """Return the browser of this machine, if it has one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def printed(address: str) -> bytes:
    """Return a page as a PDF with an outline, tagged for screen readers, in the measures of its own style sheet.

    Raises:
        FileNotFoundError: the machine has no browser.
    """
    if executable() is None:
        raise FileNotFoundError(f"no browser on this machine to print with; looked for {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        try:
            page = browser.new_page()
            page.set_default_timeout(300_000)
            page.goto(address, wait_until="load")
            page.evaluate("async () => { await document.fonts.ready; }")
            return page.pdf(prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
        finally:
            browser.close()
