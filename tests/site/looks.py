"""What every interactive figure is held to: colours that can be read in all themes, and words that lie apart."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from audit import violations
from playwright.sync_api import Locator, Page

# Theme of the page, and of the system that it is read on.
THEMES = (("light", "dark"), ("dark", "light"), (None, "light"), (None, "dark"))
# Contrast of every colour in a figure with its ground: [name, ratio]; colours are painted once to be read as RGB.
CONTRASTS = """(figure, lines) => {
    const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const light = (color) => {
        pen.fillStyle = color;
        pen.fillRect(0, 0, 1, 1);
        const rgb = [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255);
        const linear = rgb.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return linear.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    };
    const background = getComputedStyle(figure).backgroundColor;
    const ground = light(background);
    const all = (selector, property) => [...figure.querySelectorAll(selector)].map((node) => {
        const own = light(getComputedStyle(node)[property]);
        return [node.getAttribute("class"), (Math.max(own, ground) + 0.05) / (Math.min(own, ground) + 0.05)];
    });
    return { background, text: all("svg text", "fill"), line: [...all(lines, "stroke"), ...all(".bead", "fill")] };
}"""
BOXES = "all => all.map((n) => n.getBBox()).map((b) => [b.x, b.y, b.x + b.width, b.y + b.height])"


def stands_still(page: Page, alt: str) -> None:
    """Hold a page without scripts to showing the static figure, and to saying what it could do."""
    assert page.get_by_role("img", name=alt).is_visible()
    assert "where scripts run" in page.locator("noscript p:visible").inner_text()


def dress(page: Page, theme: str | None) -> None:
    """Put the page into a theme as the site does, its own ground and ink included."""
    page.evaluate(
        """(theme) => {
            if (theme) document.documentElement.dataset.theme = theme;
            else delete document.documentElement.dataset.theme;
            document.body.style.cssText = theme === "dark" ? "background: #121212; color: #ced6dd" : "";
        }""",
        theme,
    )


def in_every_theme(page: Page, lines: str) -> Iterator[tuple[int, int]]:
    """Dress the page in each theme, hold it against axe and its figures' colours against their ground.

    Args:
        page: with figures on it.
        lines: CSS selector of what is drawn with a stroke and has to be seen.

    Yields:
        For each theme and figure the number of texts and of lines, so that a test can tell that they were looked at.
    """
    for theme, system in THEMES:
        page.emulate_media(color_scheme="dark" if system == "dark" else "light")
        dress(page, theme)
        assert violations(page) == []
        figures = page.locator("figure.explorable").all()
        assert figures
        for figure in figures:
            seen: dict[str, Any] = figure.evaluate(CONTRASTS, lines)
            assert seen["background"] == ("rgb(18, 18, 18)" if (theme or system) == "dark" else "rgb(255, 255, 255)")
            assert all(ratio >= 4.5 for _, ratio in seen["text"]), seen["text"]
            assert all(ratio >= 3 for _, ratio in seen["line"]), seen["line"]
            yield len(seen["text"]), len(seen["line"])


def boxes_apart(words: Locator, down: int = 3) -> list[list[float]]:
    """Return left, top, right and bottom of each word in a drawing, none of which lies on another.

    Args:
        words: texts in an SVG.
        down: pixels by which their lines may touch, since a box is higher than its letters.
    """
    boxes: list[list[float]] = words.evaluate_all(BOXES)
    for (ax, ay, bx, by), (cx, cy, dx, dy) in combinations(boxes, 2):
        assert min(bx, dx) - max(ax, cx) <= 1 or min(by, dy) - max(ay, cy) <= down
    return boxes
