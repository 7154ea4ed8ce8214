"""Pages around the interactive figures alone, no book needed, and how their numbers are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from playwright.sync_api import Browser, Locator, Page

from cwn_lite import figures
from cwn_lite.figures import Choice, Question

ALT = "A sphere cut by a plane through its centre, and one projected step of a weight on their circle."
SLOW = 20_000  # milliseconds that a busy machine may take; nothing waits longer than it has to


def make_runs() -> list[dict[str, Any]]:
    """Return three seeds of each method over nine epochs; one of plain and one of WS are lost on the way."""
    rng = np.random.default_rng(3)
    results = []
    for k, method in enumerate(figures.LABELS):
        for seed in range(3):
            epochs = {("plain", 1): 4, ("ws", 0): 0}.get((method, seed), 9)
            errors = (8 + k + 60 * np.exp(-np.arange(1, epochs + 1) / (2 + k / 3)) + rng.normal(size=epochs)).tolist()
            curve = [{"test_error": v, "train_error": v / 2, "train_loss": v / 30, "lr": 0.1} for v in errors]
            status = "done" if epochs == 9 else "diverged"
            results.append(SimpleNamespace(method=method, seed=seed, status=status, curve=curve))
    return figures.curve_runs(results)


SPHERE = figures.explorable_html(
    "projection-sphere", {}, alt=ALT, caption="Drag the weight $w$.", static=figures.sphere()
)
CURVES = figures.explorable_html("learning-curves", {"runs": make_runs()}, alt=ALT, static=figures.curves(make_runs()))
QUIZ = figures.quiz_html(
    Question("Which sign has $\\beta$?", [Choice("either", True, "See the figure."), Choice("plus", False, "No.")]),
    Question("Is $c$ a norm?", [Choice("yes", False, "Its square."), Choice("no", True, "It is ‖w‖².")]),
)


Opener = Callable[..., Page]


@contextmanager
def opener(running: Browser, folder: Path) -> Iterator[Opener]:
    """Give a function that opens a page around fragments; at the end nothing was fetched and nothing complained of."""
    contexts, noise = [], []

    def open_page(
        *fragments: str, theme: str | None = "light", width: int = 1000, ready: bool = True, **options: Any
    ) -> Page:
        attribute = f' data-theme="{theme}"' if theme else ""
        path = folder / "page.html"
        path.write_text(
            f'<!doctype html><html lang="en"{attribute}><head><meta charset="utf-8"><title>Figures</title>'
            '<meta name="viewport" content="width=device-width"></head><body style="margin:0">'
            f'<main style="max-width:760px;margin:0 auto;padding:0 12px"><h1>Figures</h1>{"".join(fragments)}</main>',
            encoding="utf-8",
        )
        options = {"reduced_motion": "reduce", "viewport": {"width": width, "height": 900}, **options}
        context = running.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SLOW)
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else noise.append(r.url))
        page.goto(path.as_uri())
        if ready:
            for figure in page.locator("figure.explorable").all():
                figure.locator(".explorable-live").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not noise


def table(figure: Locator) -> dict[str, list[float]]:
    """Return the exact values behind the rounded numbers of all rows that can be seen."""
    rows = figure.locator("tr[data-row]:visible").evaluate_all(
        "all => all.map((row) => [row.dataset.row, [...row.querySelectorAll('data')].map((d) => d.value)])"
    )
    return {key: [float(x) for x in values] for key, values in rows}


def vector(figure: Locator, key: str) -> torch.Tensor:
    """Return the weight (``w``) or the gradient (``g``) of a sphere, exactly."""
    text = figure.locator(f".sphere-handle-{key}").get_attribute("data-at") or ""
    return torch.tensor([float(x) for x in text.split()], dtype=torch.float64)


def slider(figure: Locator, name: str) -> Locator:
    """Return the native input of that label."""
    return figure.get_by_role("slider", name=name, exact=True)


def middle(locator: Locator) -> tuple[float, float]:
    """Return the centre of an element on the screen."""
    box = locator.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
