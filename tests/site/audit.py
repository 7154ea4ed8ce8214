"""Accessibility by axe-core: every rule, no exceptions, and no work done twice."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Page

# Contrast depends on colours and size alone, so one element of each kind stands for all: a chapter has
# thousands of coloured words of code and some fifty kinds.
KINDS = """
() => {
  const clear = "rgba(0, 0, 0, 0)";
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const { backgroundColor, backgroundImage } = getComputedStyle(e);
      if (backgroundColor !== clear || backgroundImage !== "none") return backgroundColor + backgroundImage;
    }
  };
  const kinds = new Map();
  for (const e of document.querySelectorAll("body *")) {
    const speaks = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
    if (!speaks || !e.checkVisibility() || e.closest("math, script, style")) continue;
    const { color, fontSize, fontWeight, opacity } = getComputedStyle(e);
    const kind = [color, ground(e), fontSize, fontWeight, opacity].join();
    if (!kinds.has(kind)) kinds.set(kind, e);
  }
  window.cwnKinds = [...kinds.values()];
  return window.cwnKinds.length;
}
"""
# The insides of formulas and of code are thousands of elements without roles, names or focus. Those of formulas have
# the colour of their text, too, and to lay them out is much of the work on contrast.
THIN_FORMULAS = """() => { for (const e of document.querySelectorAll("math")) e.replaceChildren(); }"""
THIN_CODE = """
() => {
  for (const e of document.querySelectorAll("pre")) if (!e.querySelector("a, button")) e.textContent = e.textContent;
}
"""
OPTIONS = "preload: false, resultTypes: ['violations']"
STRUCTURE = f"axe.run(document, {{{OPTIONS}, rules: {{'color-contrast': {{enabled: false}}}}}})"
CONTRAST = f"axe.run({{include: cwnKinds}}, {{{OPTIONS}, runOnly: ['color-contrast']}})"


@cache
def axe() -> str:
    """Return the script of axe-core, which the Python package carries."""
    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf8")


def violations(page: Page, *, structure: bool = True) -> list[str]:
    """Return what axe-core finds; `structure=False` looks at contrast alone, all that a colour scheme changes.

    The page is not whole afterwards.
    """
    page.evaluate(axe())
    page.evaluate(THIN_FORMULAS)
    found = page.evaluate(CONTRAST)["violations"] if page.evaluate(KINDS) else []
    if structure:
        page.evaluate(THIN_CODE)
        found += page.evaluate(STRUCTURE)["violations"]
    return [f"{rule['id']}: {node['html'][:160]} {node['failureSummary']}" for rule in found for node in rule["nodes"]]
