"""A browser that is cut off from the network, on the built pages; one for all tests of this folder."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from chromium import BROWSERS as BROWSERS
from chromium import executable as executable
from playwright.sync_api import Browser, Page, Request, sync_playwright

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No name leads anywhere. Cheaper than asking Python about each request, as page.route does.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
TYPESET = "async () => { await document.fonts.ready; }"


def pages() -> list[str]:
    """Return every page of the table of contents, as a path below the site's root."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    entries = [chapter["file"] for part in toc.get("parts", [toc]) for chapter in part.get("chapters", [])]
    return [f"{name}.html" for name in [toc["root"], *entries]]


@dataclass
class Visit:
    """What went wrong while a page was open."""

    own: str  # where the site's own files come from
    asked: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def problems(self) -> list[str]:
        return [
            *(f"asked another host: {url}" for url in self.foreign),
            *(f"request failed: {url}" for url in self.failed),
            *(f"console: {text}" for text in self.console),
            *(f"page error: {text}" for text in self.errors),
        ]

    def watch(self, page: Page) -> None:
        page.on("request", self._asked)
        page.on("requestfailed", self._failed)
        page.on("response", lambda answer: answer.ok or self.failed.append(f"{answer.status} {answer.url}"))
        page.on("console", lambda said: said.type in ("error", "warning") and self.console.append(said.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")):
            self.asked.append(request.url)
        if not request.url.startswith((self.own, "data:", "blob:")):
            self.foreign.append(request.url)

    def _failed(self, request: Request) -> None:
        if request.url not in self.foreign:
            self.failed.append(f"{request.failure} {request.url}")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on 127.0.0.1 from a thread; yields the address."""
    with serving(Quiet, folder) as address:
        yield address


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, without a line for each."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: type[http.server.SimpleHTTPRequestHandler], folder: Path, base: str = "/") -> Iterator[str]:
    """Let a handler answer for a folder, from a thread; yields the address of `base`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{base}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def browser() -> Iterator[Browser]:
    """Start the machine's browser."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        try:
            yield running
        finally:
            running.close()


@contextmanager
def opened(
    running: Browser,
    url: str,
    own: str,
    *,
    width: int = 1280,
    scheme: str = "light",
    scripts: bool = True,
    typeset: bool = True,
) -> Iterator[tuple[Page, Visit]]:
    """Open a page in a fresh context and wait until its formulas have their font."""
    context = running.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=scripts,
        reduced_motion="reduce",
    )
    try:
        page = context.new_page()
        visit = Visit(own)
        visit.watch(page)
        page.goto(url, wait_until="load")
        if scripts and typeset:
            page.evaluate(TYPESET)
        yield page, visit
    finally:
        context.close()
