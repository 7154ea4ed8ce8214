"""The figure of point clouds in a real browser: its arithmetic, its hands and its looks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fragments import SLOW, Opener, middle, opener, slider
from looks import in_every_theme, stands_still
from playwright.sync_api import Browser, Locator, expect
from torch import Tensor

from cwn_lite import figures
from cwn_lite.figures.explorable import bundle
from cwn_lite.figures.point_cloud import POINTS
from cwn_lite.lab.augment.cloud_ops import jitter, turn
from cwn_lite.lab.data import surfaces
from cwn_lite.lab.nets.dgcnn import edges, neighbours

ALT = "A cloud of points in space, of one of twelve families, with one of its points and the nearest of it."
CLOUDS = {
    name: torch.from_numpy(surfaces.cloud(name, 256, np.random.default_rng(k)))
    for k, name in enumerate(surfaces.FAMILIES)
}
MOVES = jitter(torch.zeros(1, 256, 3), torch.randn(1, 256, 3, generator=torch.Generator().manual_seed(0)))[0]
DATA = figures.point_cloud_data(CLOUDS, MOVES)
STILL = figures.draw_point_cloud(CLOUDS["box"], neighbours(CLOUDS["box"].T[None], 10)[0, 0].tolist())
FIGURE = figures.explorable_html("point-cloud", DATA, alt=ALT, static=STILL)
START = {"family": 0, "points": 256, "k": 10, "chosen": 0, "jitter": False, "turn": 30, "tilt": 20}
pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def cloud(family: int, points: int, jittered: bool) -> Tensor:
    """The page's points (points, 3), as its data have them."""
    still = torch.tensor(DATA["clouds"][family], dtype=torch.float64).view(-1, 3)[:points] / 1000
    return still + torch.tensor(DATA["moves"], dtype=torch.float64).view(-1, 3)[:points] / 10_000 * jittered


def turned(points: Tensor, degrees: float) -> Tensor:
    angle = torch.tensor(math.radians(degrees), dtype=torch.float64)
    return turn(points[None], torch.stack([angle.cos(), angle.sin()])[None])[0]


def share(points: Tensor, near: Tensor) -> float:
    """What of the squared length of all edge features lies along (1, …, 1), by the lab's network."""
    features = edges(points.T[None], near[None])[0]
    return float((features.sum(0).square().sum() / 6) / features.square().sum())


def check(figure: Locator, **changed: Any) -> None:
    """Every number, point and neighbour in the figure is the lab's for this setting."""
    now = {**START, **changed}
    points = cloud(now["family"], now["points"], now["jitter"])
    near = neighbours(points.T[None], now["k"])[0]
    distance = torch.cdist(points, points)
    # Of points as near as another, which exist where coordinates are rounded, either may be taken.
    chosen = now["chosen"]
    assert figure.locator("[data-chosen]").get_attribute("data-chosen") == str(chosen)
    found = [int(j) for j in figure.locator("[data-near]").evaluate_all("all => all.map((n) => n.dataset.near)")]
    assert len({chosen, *found}) == now["k"]
    wanted = distance[chosen, near[chosen]]
    assert distance[chosen, [chosen, *found]].tolist() == pytest.approx(wanted.tolist(), abs=1e-9)
    cells = {
        row: float(figure.locator(f'tr[data-row="{row}"] data').get_attribute("value") or "nan")
        for row in ("reach", "kept", "share")
    }
    assert cells["reach"] == pytest.approx(float(wanted[-1]), abs=1e-9)
    assert cells["share"] / 100 == pytest.approx(share(turned(points, now["turn"]), near), abs=2e-4)
    graphs = [neighbours(cloud(now["family"], now["points"], on).T[None], now["k"])[0] for on in (False, True)]
    same = (graphs[0][:, :, None] == graphs[1][:, None, :]).sum() / graphs[0].numel()
    assert cells["kept"] / 100 == pytest.approx(float(same), abs=2e-3)
    # The drawing: turned about y, then seen from above; the picture's middle is the centre of the cloud.
    seen = turned(points, now["turn"])
    slope = math.radians(now["tilt"])
    up = math.cos(slope) * seen[:, 1] - math.sin(slope) * seen[:, 2]
    drawn = figure.locator("[data-point]").evaluate_all(
        "all => all.map((n) => [Number(n.dataset.point), n.cx.baseVal.value, n.cy.baseVal.value])"
    )
    places = torch.tensor([place[1:] for place in sorted(drawn)], dtype=torch.float64)
    assert len(places) == now["points"]
    box = figure.locator("svg.point-cloud").evaluate("n => [n.viewBox.baseVal.width, n.viewBox.baseVal.height]")
    zoom = box[1] / 2 - 12
    assert torch.allclose(places[:, 0], box[0] / 2 + zoom * seen[:, 0], atol=0.051)
    assert torch.allclose(places[:, 1], box[1] / 2 - zoom * up, atol=0.051)


def test_the_arithmetic_is_the_library_s(open_page: Opener) -> None:
    answer: dict[str, Any] = open_page().evaluate(
        """async ([code, data]) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            const cases = [];
            for (const family of [0, 5, 11]) for (const count of m.COUNTS) for (const jitter of [false, true])
                for (const k of [1, 7, m.MOST]) {
                    const points = m.pointsOf(data.clouds[family], data.moves, count, jitter);
                    const near = m.graph(points, k);
                    const turned = points.map((p) => m.turnedBy(p, 77));
                    const seen = turned.map((p) => Object.values(m.seenFrom(p, -35)));
                    const share = m.alongOnes(turned, near);
                    cases.push({ family, count, jitter, k, points, near, turned, seen, share });
                }
            return { counts: m.COUNTS, cases, kept: m.kept([[0, 1], [1, 2]], [[1, 0], [1, 0]]) };
        }""",
        [bundle("point-cloud"), DATA],
    )
    assert tuple(answer["counts"]) == POINTS and len(answer["cases"]) == 3 * 4 * 2 * 3
    assert answer["kept"] == 0.75
    for case in answer["cases"]:
        points = cloud(case["family"], case["count"], case["jitter"])
        assert torch.allclose(torch.tensor(case["points"], dtype=torch.float64), points, atol=1e-12)
        distance = torch.cdist(points, points)
        near, wanted = torch.tensor(case["near"]), neighbours(points.T[None], case["k"])[0]
        assert torch.equal(near[:, 0], torch.arange(case["count"]))
        assert torch.allclose(distance.gather(1, near), distance.gather(1, wanted), atol=1e-9)
        seen = turned(points, 77)
        assert torch.allclose(torch.tensor(case["turned"], dtype=torch.float64), seen, atol=1e-12)
        assert case["share"] == pytest.approx(share(seen, near), rel=1e-9)
        c, s = math.cos(math.radians(-35)), math.sin(math.radians(-35))
        x, y, z = seen.unbind(1)
        looks = torch.stack([x, c * y - s * z, s * y + c * z], 1)
        assert torch.allclose(torch.tensor(case["seen"], dtype=torch.float64), looks, atol=1e-12)


def test_every_input_answers_to_the_keyboard(open_page: Opener) -> None:
    page = open_page(FIGURE)
    figure = page.locator("figure.explorable")
    check(figure)
    now: dict[str, Any] = {}
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    check(figure, **(now := {**now, "family": 1}))
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    check(figure, **(now := {**now, "jitter": True}))
    page.keyboard.press("Tab")  # the drawing
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    check(figure, **(now := {**now, "turn": 35, "tilt": 35}))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    check(figure, **(now := {**now, "turn": 30, "tilt": 30}))
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    check(figure, **(now := {**now, "turn": -180}))
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    check(figure, **(now := {**now, "tilt": 90}))
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    check(figure, **(now := {**now, "points": 128}))
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    check(figure, **(now := {**now, "k": 20}))
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    check(figure, **{**now, "chosen": 127})
    # Fewer points than the chosen one's number: the last takes its place.
    slider(figure, "points").fill("0")
    check(figure, **{**now, "points": 32, "chosen": 31})


@pytest.mark.parametrize("touch", [False, True])
def test_a_drag_turns_and_a_tap_chooses(open_page: Opener, touch: bool) -> None:
    page = open_page(FIGURE, has_touch=touch)
    figure = page.locator("figure.explorable")
    svg = figure.locator("svg.point-cloud")
    svg.scroll_into_view_if_needed()
    front = int(
        svg.locator("[data-point]").evaluate_all("all => all.at(-1).dataset.point")
    )  # the nearest to the viewer
    x, y = middle(svg.locator(f'[data-point="{front}"]'))
    if touch:
        page.touchscreen.tap(x, y)
    else:
        page.mouse.click(x, y)
    check(figure, chosen=front)
    x, y = middle(svg)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 50, steps=4)
    page.mouse.up()
    check(figure, chosen=front, turn=50, tilt=40)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 100, y - 400, steps=4)
    page.mouse.up()
    check(figure, chosen=front, turn=0, tilt=-90)
    assert page.evaluate("getComputedStyle(document.querySelector('svg.point-cloud')).touchAction") == "pan-y"


def test_what_is_said(open_page: Opener) -> None:
    figure = open_page(FIGURE).locator("figure.explorable")
    status = figure.get_by_role("status")
    points = cloud(0, 256, False)
    near = neighbours(points.T[None], 10)[0]
    reach, along = float((points[near[0, -1]] - points[0]).norm()), 100 * share(turned(points, 30), near)
    expect(status).to_contain_text(f"box, 256 points: the 10 nearest of point 0 lie within {reach:.2f}.", timeout=SLOW)
    expect(status).to_contain_text(f"{along:.1f}\u00a0% lies along (1, …, 1), where no centred row looks.")
    figure.get_by_role("combobox", name="family").select_option("torus")
    figure.get_by_role("checkbox", name="jitter").check()
    expect(status).to_contain_text("torus, 256 points, jittered:", timeout=SLOW)
    label = figure.locator("svg.point-cloud").get_attribute("aria-label") or ""
    assert label.startswith("Point cloud in space, turned by 30°, seen from 20° above. Arrow keys turn it. torus")


def test_settings_from_the_page_and_two_of_a_kind(open_page: Opener) -> None:
    settings = {"family": 6, "points": 64, "k": 3, "chosen": 9, "jitter": True, "turn": -90, "tilt": 0}
    other = figures.explorable_html("point-cloud", figures.point_cloud_data(CLOUDS, MOVES, **settings), alt=ALT)
    one, two = open_page(other, FIGURE).locator("figure.explorable").all()
    check(one, **settings)
    slider(one, "neighbours k").fill("1")
    check(one, **{**settings, "k": 1})
    check(two)


@pytest.mark.parametrize(("name", "value"), [("points", 100), ("family", 12)])
def test_a_setting_that_the_figure_lacks_leaves_the_still_one(
    running: Browser, tmp_path: Path, name: str, value: int
) -> None:
    data = figures.point_cloud_data(CLOUDS, MOVES, **{name: value})
    path = tmp_path / "page.html"
    path.write_text(figures.explorable_html("point-cloud", data, alt=ALT), encoding="utf-8")
    page = running.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    assert page.locator(".explorable-static").is_visible()
    assert len(said) == 1 and f"{name} must be" in said[0] and str(value) in said[0]
    page.close()


def test_axe_finds_nothing_and_colours_can_be_read(open_page: Opener) -> None:
    page = open_page(FIGURE)
    for _, lines in in_every_theme(page, ".edge"):
        assert lines == 9
        for mark in (".chosen", ".near"):
            assert page.locator(f"svg.point-cloud {mark}").first.is_visible()


@pytest.mark.parametrize("width", [320, 360, 640, 800])
def test_nothing_sticks_out_or_moves_away(open_page: Opener, width: int) -> None:
    page = open_page(FIGURE, width=width)
    figure = page.locator("figure.explorable")
    tops = set()
    for family, points, chosen in (("box", "3", "0"), ("ellipsoid", "3", "255"), ("cone", "0", "1")):
        figure.get_by_role("combobox", name="family").select_option(family)
        slider(figure, "points").fill(points)
        slider(figure, "chosen point").fill(chosen)
        figure.get_by_role("checkbox", name="jitter").check()
        page.wait_for_timeout(250)  # until the summary has spoken
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        right = figure.locator(".explorable-live *").evaluate_all(
            "all => Math.max(...all.map((n) => n.getBoundingClientRect().right))"
        )
        assert right <= width
        tops.add(figure.locator("table").evaluate("n => Math.round(n.getBoundingClientRect().top + scrollY)"))
    assert len(tops) == 1  # the table stays in place while the text above it changes


def test_without_scripts_the_static_figure_stands(open_page: Opener) -> None:
    page = open_page(FIGURE, ready=False, java_script_enabled=False)
    stands_still(page, ALT)
