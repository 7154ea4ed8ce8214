"""Draw `book/assets/hero.svg`, the picture of the README and the front page: `make readme`.

One update in three dimensions, computed by the library: a gradient step leaves the constraint set, taking the mean
off brings the row back to the plane, rescaling brings it back to the sphere.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

import cwn_lite as cwn

TARGET = Path(__file__).parents[1] / "assets" / "hero.svg"
C = 2.0
START, GRADIENT, LR = (-6.8, 11.5, -4.7), (-0.7, 1.6, -2.8), 1.0
WIDTH, HEIGHT, SCALE = 252, 252, 50  # of a panel, in pixels; pixels per unit
TILT, TURN = math.radians(24), math.radians(-52)
ALT = (
    "Three drawings of a sphere cut by a plane through its centre. First a step takes the weight off both, "
    "then its mean is removed and it lies in the plane, then it is rescaled and lies on the sphere again."
)
# Read on white and on black alike where no style sheet sets the names.
INK, LINE = "var(--cwn-ink, #6e7781)", "var(--cwn-edge, #8a939d)"
WEIGHT, STEPPED, CENTRED, PROJECTED = "#0072B2", "#8F6B4A", "#009E73", "#D55E00"


def camera() -> Tensor:
    """Return the (2, 3) map from space to the page; the plane's normal 1 points up."""
    normal = torch.ones(3, dtype=torch.float64) / math.sqrt(3)
    right = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64) / math.sqrt(2)
    deep = torch.linalg.cross(normal, right)
    turned = math.cos(TURN) * right + math.sin(TURN) * deep
    behind = -math.sin(TURN) * right + math.cos(TURN) * deep
    return torch.stack([turned, math.cos(TILT) * normal + math.sin(TILT) * behind])


def points() -> dict[str, Tensor]:
    """Return the four stations of one update: on the set, stepped, centred, projected."""
    w = cwn.project_rows(torch.tensor(START, dtype=torch.float64), C)
    v = w - LR * torch.tensor(GRADIENT, dtype=torch.float64)
    return {
        "w": w,
        "v": v,
        "centred": v - v.mean(),
        "projected": cwn.project_rows(v, C),
    }


def place(point: Tensor) -> tuple[float, float]:
    """Return where a point of space falls in a panel."""
    x, y = (camera() @ point).tolist()
    return WIDTH / 2 + SCALE * x, HEIGHT / 2 - 26 - SCALE * y


def stage() -> str:
    """Draw what the panels share: plane, sphere, and the circle where they meet."""
    x, y, r = WIDTH / 2, HEIGHT / 2 - 26, SCALE * math.sqrt(C)
    flat = math.sin(TILT)
    left, right = f"{x - r:.1f} {y:.1f}", f"{x + r:.1f} {y:.1f}"
    arc = f"A{r:.1f} {r * flat:.1f} 0 0"
    return (
        f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{1.62 * r:.1f}" ry="{1.62 * r * flat:.1f}" fill="{WEIGHT}" '
        f'fill-opacity=".1" stroke="{WEIGHT}" stroke-opacity=".5"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="{LINE}" fill-opacity=".12" stroke="{LINE}"/>'
        f'<path d="M{left}{arc} 1 {right}" fill="none" stroke="{INK}" stroke-dasharray="3 4"/>'
        f'<path d="M{left}{arc} 0 {right}" fill="none" stroke="{INK}" stroke-width="2"/>'
    )


def arrow(start: Tensor, end: Tensor, colour: str) -> str:
    """Draw a line with a head, ending just before the end point."""
    (x1, y1), (x2, y2) = place(start), place(end)
    length = math.hypot(x2 - x1, y2 - y1)
    dx, dy = (x2 - x1) / length, (y2 - y1) / length
    tip, base = (x2 - 7 * dx, y2 - 7 * dy), (x2 - 15 * dx, y2 - 15 * dy)
    head = [
        tip,
        (base[0] - 4 * dy, base[1] + 4 * dx),
        (base[0] + 4 * dy, base[1] - 4 * dx),
    ]
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in head)
    return (
        f'<path d="M{x1:.1f} {y1:.1f}L{base[0]:.1f} {base[1]:.1f}" stroke="{colour}" stroke-width="2.2"/>'
        f'<polygon points="{corners}" fill="{colour}"/>'
    )


def dot(point: Tensor, colour: str) -> str:
    """Draw one point."""
    x, y = place(point)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="{colour}" stroke="var(--cwn-paper, #fff)"/>'


def panel(index: int, title: str, start: tuple[Tensor, str], end: tuple[Tensor, str]) -> str:
    """Draw one stage of the update, with the two constrained quantities below."""
    row = end[0]
    size, total = row.square().sum().item(), round(row.sum().item(), 2) + 0.0
    numbers = f"squared norm {size:.2f}, sum {total:.2f}".replace("-", "\N{MINUS SIGN}")
    return (
        f'<g transform="translate({index * WIDTH} 0)">{stage()}{arrow(start[0], row, end[1])}'
        f"{dot(*start)}{dot(*end)}"
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 34}" font-weight="600">{title}</text>'
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 13}" class="cwn-hero-numbers" font-size="13">{numbers}</text></g>'
    )


def svg() -> str:
    """Return the whole picture."""
    at = points()
    panels = [
        panel(0, "1  step", (at["w"], WEIGHT), (at["v"], STEPPED)),
        panel(1, "2  centre", (at["v"], STEPPED), (at["centred"], CENTRED)),
        panel(2, "3  rescale", (at["centred"], CENTRED), (at["projected"], PROJECTED)),
    ]
    return (
        f'<svg class="cwn-hero" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {3 * WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{ALT}" '
        f'style="font: 15px var(--cwn-sans, system-ui, sans-serif); text-anchor: middle; fill: {INK}">\n'
        + "\n".join(panels)
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    TARGET.write_text(svg(), encoding="utf8")
    print(f"wrote {TARGET.name}")
