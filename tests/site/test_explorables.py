"""The interactive figures in a real browser with the network cut: their numbers, their hands, their looks."""

import math
import shutil
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cwn_lite as cwn
from cwn_lite import figures
from cwn_lite.figures import Choice, Question
from cwn_lite.figures.explorable import bundle

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.site, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]

ALT = "A sphere cut by a plane through its centre, and one projected step of a weight on their circle."
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
E1 = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64) / math.sqrt(2)
E2 = torch.tensor([1.0, 1.0, -2.0], dtype=torch.float64) / math.sqrt(6)


def make_runs() -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    runs = []
    for k, method in enumerate(figures.LABELS):
        for seed in range(3):
            epochs = 4 if (method, seed) == ("plain", 1) else 0 if (method, seed) == ("ws", 0) else 9
            errors = (8 + k + 60 * np.exp(-np.arange(1, epochs + 1) / (2 + k / 3)) + rng.normal(size=epochs)).tolist()
            runs.append(
                {
                    "method": method,
                    "label": figures.LABELS[method],
                    "color": figures.COLORS[method],
                    "dash": list(figures.DASHES[method]),
                    "seed": seed,
                    "status": "done" if epochs == 9 else "diverged",
                    "curve": [
                        {"epoch": e, "test_error": v, "train_error": v / 2, "train_loss": v / 30}
                        for e, v in enumerate(errors, 1)
                    ],
                }
            )
    return runs


SPHERE = figures.explorable_html(
    "projection-sphere", {}, alt=ALT, caption="Drag the weight $w$.", static=figures.sphere()
)
CURVES = figures.explorable_html("learning-curves", {"runs": make_runs()}, alt=ALT, static=figures.curves(make_runs()))
QUIZ = figures.quiz_html(
    Question("Which sign has $\\beta$?", [Choice("either", True, "See the figure."), Choice("plus", False, "No.")]),
    Question("Is $c$ a norm?", [Choice("yes", False, "Its square."), Choice("no", True, "It is ‖w‖².")]),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open a page around some fragments; afterwards nothing was asked of the network, nothing was complained of."""
    contexts, noise = [], []

    def open_(
        *fragments: str, theme: str | None = "light", width: int = 1000, ready: bool = True, **options: Any
    ) -> Any:
        attribute = f' data-theme="{theme}"' if theme else ""
        html = (
            f'<!doctype html><html lang="en"{attribute}><head><meta charset="utf-8"><title>Figures</title>'
            '<meta name="viewport" content="width=device-width"></head><body style="margin:0">'
            f'<main style="max-width:760px;margin:0 auto;padding:0 12px"><h1>Figures</h1>{"".join(fragments)}</main>'
        )
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        options = {"reduced_motion": "reduce", "viewport": {"width": width, "height": 900}, **options}
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda r: noise.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
        page.goto(path.as_uri())
        if ready:
            for figure in page.locator("figure.explorable").all():
                figure.locator(".explorable-live").wait_for()
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not noise


def axe(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {n['html'][:120]} {n['failureSummary']}" for v in found for n in v["nodes"]]


def numbers(figure: Any, row: str) -> list[float]:
    """Return the exact values behind the rounded numbers of a table row."""
    return table(figure)[row]


def table(figure: Any) -> dict[str, list[float]]:
    """Return the exact values behind all rows that can be seen."""
    rows = figure.locator("tr[data-row]:visible").evaluate_all(
        "all => all.map((row) => [row.dataset.row, [...row.querySelectorAll('data')].map((d) => d.value)])"
    )
    return {key: [float(x) for x in values] for key, values in rows}


def vector(figure: Any, key: str) -> torch.Tensor:
    text = figure.locator(f".sphere-handle-{key}").get_attribute("data-at")
    return torch.tensor([float(x) for x in text.split()], dtype=torch.float64)


def slider(figure: Any, name: str) -> Any:
    return figure.get_by_role("slider", name=name, exact=True)


def check_against_library(figure: Any, w: torch.Tensor, g: torch.Tensor, lr: float, c: float) -> None:
    """Every number that the figure shows is the library's for this state."""
    plain = w - lr * g
    new = cwn.project_rows(plain, c)
    centred = plain - plain.mean()
    keep = math.sqrt(c) / float(centred.norm())
    angle = math.degrees(math.acos(min(1.0, float(w @ new) / float(w.norm() * new.norm()))))
    rows = {
        "w": [w @ w, w.sum()],
        "g": [g @ g, g.sum()],
        "plain": [plain @ plain, plain.sum()],
        "projected": [new @ new, new.sum()],
        "moved": [(new - w).norm()],
        "angle": [angle],
        "keep": [keep],
        "effective": [keep * lr],
        "beta": [1 - keep],
    }
    seen = table(figure)
    assert set(rows) <= set(seen)
    if "printed" in seen:
        printed = cwn.projected_step(w, g, lr, c)
        rows["printed"] = [printed @ printed, printed.sum()]
    for row, expected in rows.items():
        assert seen[row] == pytest.approx([float(x) for x in expected], abs=2e-7 if row == "angle" else 1e-12), row
    word = "shrinks" if keep < 1 else "grows"
    assert word in figure.locator('[data-row="beta"]').inner_text()
    playwright.expect(figure.get_by_role("status")).to_contain_text(f"the old weight {word}")


def test_the_arithmetic_is_the_library_s(open_page: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    cases = []
    for i in range(200):
        n = int(rng.integers(2, 12))
        w, g = rng.normal(size=n) * 10.0 ** rng.integers(-3, 4), rng.normal(size=n)
        w = np.full(n, float(rng.normal())) if i % 20 == 0 else w + (1e4 if i % 20 == 1 else 0)
        lr = 0.0 if i % 20 == 0 else float(rng.uniform(0, 2))  # equal entries have no direction: the fixed one
        cases.append({"w": w.tolist(), "g": g.tolist(), "lr": lr, "c": float(rng.uniform(0.1, 9))})
    page = open_page()
    answers = page.evaluate(
        """async ([code, cases]) => {
            const { project, step } = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            return cases.map((x) => ({ projected: project(x.w, x.c), ...step(x) , alone: project(x.w, x.c) }));
        }""",
        [bundle("projection-sphere"), cases],
    )
    worst = 0.0
    for case, got in zip(cases, answers, strict=True):
        w, g = (torch.tensor(case[k], dtype=torch.float64) for k in ("w", "g"))
        lr, c = case["lr"], case["c"]
        pairs = [
            (got["alone"], cwn.project_rows(w, c)),
            (got["projected"], cwn.project_rows(w - lr * g, c)),
            (got["printed"], cwn.projected_step(w, g, lr, c)),
        ]
        for ours, theirs in pairs:
            worst = max(worst, float((torch.tensor(ours, dtype=torch.float64) - theirs).abs().max()))
        assert got["degenerate"] == (lr == 0)
    assert worst < 1e-12


def test_the_summary_is_numpy_s(open_page: Callable[..., Any]) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(5, 7))
    values[2, 4:] = np.nan
    runs = [
        {"curve": [{"epoch": e + 1, "x": None if np.isnan(v) else v} for e, v in enumerate(row)]}
        for row in values.tolist()
    ]
    rows = open_page().evaluate(
        """async ([code, runs]) => {
            const m = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(code));
            return [m.summarise(runs, "x"), m.summarise(runs.slice(0, 1), "x")];
        }""",
        [bundle("learning-curves"), runs],
    )
    for row, column in zip(rows[0], values.T, strict=True):
        column = column[np.isfinite(column)]
        expected = [len(column), column.mean(), column.std(ddof=1), column.min(), column.max()]
        assert [row[k] for k in ("n", "mean", "std", "min", "max")] == pytest.approx(expected, abs=1e-14)
    assert all(row["n"] == 1 and math.isnan(row["std"]) for row in rows[1])


def test_the_start_is_the_static_figure_s(open_page: Callable[..., Any]) -> None:
    import inspect

    start = {k: p.default for k, p in inspect.signature(figures.sphere).parameters.items()}
    figure = open_page(SPHERE).locator("figure.explorable")
    angle = math.radians(start["angle"])
    w = math.sqrt(start["c"]) * (math.cos(angle) * E1 + math.sin(angle) * E2)
    assert torch.allclose(vector(figure, "w"), w, atol=1e-14)
    assert vector(figure, "g").tolist() == list(start["g"])
    for name in ("turn", "tilt"):
        assert slider(figure, name).input_value() == f"{start[name]:g}"
    assert not figure.locator(".explorable-static").is_visible()
    check_against_library(figure, w, vector(figure, "g"), start["lr"], start["c"])


def test_keys_move_what_they_should(open_page: Callable[..., Any]) -> None:
    page = open_page(SPHERE)
    figure = page.locator("figure.explorable")
    angle, lr, c = 290.0, 1.0, 2.0
    moves = [("angle", "ArrowRight"), ("g1", "End"), ("learning rate α", "ArrowLeft"), ("squared norm c", "ArrowRight")]
    for name, key in moves:
        before = numbers(figure, "moved")
        target = slider(figure, name.replace("g1", "g₁"))
        target.focus()
        page.keyboard.press(key)
        assert numbers(figure, "moved") != before
    angle, lr, c = angle + 1, lr - 0.01, c + 0.01
    w = math.sqrt(c) * (math.cos(math.radians(angle)) * E1 + math.sin(math.radians(angle)) * E2)
    check_against_library(figure, w, torch.tensor([2, 0.3, -0.1], dtype=torch.float64), lr, c)

    weight, gradient = figure.locator(".sphere-handle-w"), figure.locator(".sphere-handle-g")
    weight.focus()
    rings = page.locator(".sphere-focus").evaluate_all("all => all.map((n) => getComputedStyle(n).strokeWidth)")
    assert rings == ["1px", "3px"]  # the gradient's, the weight's
    page.keyboard.press("ArrowLeft")
    assert weight.get_attribute("aria-valuenow") == "288"
    gradient.focus()
    g = vector(figure, "g")
    page.keyboard.press("ArrowUp")
    # Upwards on the screen is towards 1 when seen from the side.
    assert float(vector(figure, "g").sum() - g.sum()) > 0.01
    check_against_library(figure, vector(figure, "w"), vector(figure, "g"), lr, c)


def test_stepping_and_starting_off_the_plane(open_page: Callable[..., Any]) -> None:
    page = open_page(SPHERE)
    figure = page.locator("figure.explorable")
    w, g = vector(figure, "w"), vector(figure, "g")
    assert not figure.locator('[data-row="printed"]').is_visible()
    figure.get_by_role("button", name="Take the step").click()
    after = cwn.project_rows(w - g, 2.0)
    assert torch.allclose(vector(figure, "w"), after, atol=1e-12)
    check_against_library(figure, after, g, 1.0, 2.0)

    figure.get_by_role("button", name="Reset").click()
    figure.get_by_label("start off-centre").check()
    w = vector(figure, "w")
    assert abs(float(w.sum())) > 0.5
    check_against_library(figure, w, g, 1.0, 2.0)  # Eq. 11 as printed keeps an offset, the projection does not
    assert abs(numbers(figure, "printed")[1]) > 0.1 and abs(numbers(figure, "projected")[1]) < 1e-12
    figure.get_by_label("step to").select_option("Eq. 11 as printed")
    figure.get_by_role("button", name="Take the step").click()
    assert torch.allclose(vector(figure, "w"), cwn.projected_step(w, g, 1.0, 2.0), atol=1e-12)
    figure.get_by_role("button", name="Reset").click()
    assert abs(float(vector(figure, "w").sum())) < 1e-12


def middle(locator: Any) -> tuple[float, float]:
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_mouse_drags_the_weight_the_gradient_and_the_view(open_page: Callable[..., Any]) -> None:
    page = open_page(SPHERE)
    figure = page.locator("figure.explorable")
    target = middle(figure.locator(".sphere .mark-projected"))
    wanted = cwn.project_rows(vector(figure, "w") - vector(figure, "g"), 2.0)
    page.mouse.move(*middle(figure.locator(".sphere-handle-w .mark")))
    page.mouse.down()
    page.mouse.move(*target, steps=8)
    page.mouse.up()
    assert float((vector(figure, "w") - wanted).norm()) < 0.05  # half a degree at a radius of 1.41, and a pixel
    check_against_library(figure, vector(figure, "w"), vector(figure, "g"), 1.0, 2.0)

    w, g = vector(figure, "w"), vector(figure, "g")
    tip = figure.locator(".sphere-handle-g .mark")
    x, y = middle(tip)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y - 30, steps=4)
    assert middle(tip) == pytest.approx((x + 40, y - 30), abs=1)
    page.mouse.up()
    assert not torch.equal(vector(figure, "g"), g) and torch.equal(vector(figure, "w"), w)
    check_against_library(figure, w, vector(figure, "g"), 1.0, 2.0)

    box = figure.locator("svg.sphere").bounding_box()
    page.mouse.move(box["x"] + 15, box["y"] + 15)
    page.mouse.down()
    page.mouse.move(box["x"] + 75, box["y"] + 35, steps=4)
    page.mouse.up()
    assert slider(figure, "turn").input_value() == "-78" and slider(figure, "tilt").input_value() == "36"
    assert torch.equal(vector(figure, "w"), w)


def test_a_finger_drags_too(open_page: Callable[..., Any]) -> None:
    page = open_page(SPHERE, CURVES, width=390, has_touch=True, is_mobile=True)
    touch = page.context.new_cdp_session(page)

    def drag(path: list[tuple[float, float]], follower: Any = None) -> None:
        for i, (x, y) in enumerate(path):
            kind = "touchStart" if i == 0 else "touchMove"
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        if follower:
            assert middle(follower) == pytest.approx(path[-1], abs=1)
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    figure = page.locator('[data-explorable="projection-sphere"]')
    figure.locator("svg.sphere").scroll_into_view_if_needed()
    w, g = vector(figure, "w"), vector(figure, "g")
    x, y = middle(figure.locator(".sphere-handle-w .mark"))
    drag([(x, y), (x + 15, y + 2), (x + 30, y + 2), (x + 45, y + 2)])
    assert not torch.equal(vector(figure, "w"), w)
    x, y = middle(figure.locator(".sphere-handle-g .mark"))
    scrolled = page.evaluate("scrollY")
    # Straight up, where a page would scroll under the finger instead.
    drag([(x, y), (x, y - 15), (x, y - 30), (x, y - 45)], figure.locator(".sphere-handle-g .mark"))
    assert page.evaluate("scrollY") == scrolled
    assert not torch.equal(vector(figure, "g"), g)
    check_against_library(figure, vector(figure, "w"), vector(figure, "g"), 1.0, 2.0)

    plot = page.locator("svg.curves")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    drag([(box["x"] + 250, box["y"] + 100), (box["x"] + 200, box["y"] + 100), (box["x"] + 45, box["y"] + 100)])
    assert slider(page, "epoch under the cursor").input_value() == "1"


def test_the_curves_answer(open_page: Callable[..., Any]) -> None:
    page = open_page(CURVES)
    figure, runs = page.locator("figure.explorable"), make_runs()

    def check(epoch: int, metric: str) -> None:
        for method in figures.LABELS:
            values = [p[metric] for r in runs if r["method"] == method for p in r["curve"] if p["epoch"] == epoch]
            got = figure.locator(f'tr[data-method="{method}"] data').evaluate_all("all => all.map(d => d.value)")
            expected = [np.mean(values), np.std(values, ddof=1), len(values)]
            assert [float(x) for x in got] == pytest.approx(expected, abs=1e-12)
        playwright.expect(figure.get_by_role("status")).to_contain_text(
            f"At epoch {epoch}, {metric.replace('_', ' ')}: ours"
        )

    check(9, "test_error")
    assert figure.locator(".lost").count() == 1  # plain, seed 1; the seed of WS was lost before it had a value
    assert "1 diverged in epoch 5" in figure.locator('tr[data-method="plain"]').inner_text()
    assert "1 diverged in epoch 1" in figure.locator('tr[data-method="ws"]').inner_text()
    cursor = slider(figure, "epoch under the cursor")
    cursor.focus()
    page.keyboard.press("ArrowLeft")
    check(8, "test_error")
    figure.get_by_role("radio", name="train loss").check()
    check(8, "train_loss")
    plain_ticks = figure.locator(".tick").all_inner_texts()
    figure.get_by_role("checkbox", name="log scale").check()
    assert figure.locator(".tick").all_inner_texts() != plain_ticks
    assert figure.locator("svg.curves").get_by_text("train loss, log scale").is_visible()

    box = figure.locator("svg.curves").bounding_box()
    page.mouse.move(box["x"] + 42, box["y"] + 150)
    check(1, "train_loss")
    lines = figure.locator(".mean").count()
    figure.get_by_role("checkbox", name="plain").uncheck()
    assert figure.locator(".mean").count() == lines - 1
    assert not figure.locator('tr[data-method="plain"]').is_visible()


def test_two_of_a_kind_do_not_meddle(open_page: Callable[..., Any]) -> None:
    page = open_page(SPHERE, SPHERE, CURVES, CURVES, QUIZ, QUIZ)
    assert page.locator(".explorable-live").count() == 4
    one, two = page.locator('[data-explorable="projection-sphere"]').all()
    w = vector(two, "w")
    slider(one, "angle").fill("10")
    assert torch.equal(vector(two, "w"), w) and not torch.equal(vector(one, "w"), w)
    first, second = page.locator('[data-explorable="learning-curves"]').all()
    first.get_by_role("radio", name="train loss").check()
    assert second.get_by_role("radio", name="test error").is_checked()
    quizzes = page.locator("form.quiz").all()
    for quiz, answer in zip(quizzes, ("either", "plus"), strict=True):
        quiz.get_by_role("radio", name=answer).check()
    assert [q.get_by_text("See the figure.").first.is_visible() for q in quizzes] == [True, False]


@pytest.mark.parametrize("scripts", [True, False])
def test_a_quiz_answers_with_and_without_scripts(open_page: Callable[..., Any], scripts: bool) -> None:
    page = open_page(QUIZ, java_script_enabled=scripts)
    feedback = page.locator(".quiz-feedback p:visible")
    assert feedback.count() == 0
    page.get_by_role("radio", name="plus").focus()
    page.keyboard.press("Space")
    assert feedback.all_inner_texts() == ["✗ Not this one. No."] or feedback.all_inner_texts() == ["Not this one. No."]
    page.keyboard.press("ArrowUp")
    assert [text.removeprefix("✓ ") for text in feedback.all_inner_texts()] == ["Right. See the figure."]
    page.keyboard.press("Enter")
    assert "?" not in page.url  # a form that is never sent
    page.locator("summary").last.click()
    assert page.get_by_text("no: It is ‖w‖².").is_visible()
    page.get_by_role("button", name="Clear my answers").click()
    assert feedback.count() == 0


def dress(page: Any, theme: str | None) -> None:
    """Put the page into a theme as the site does, its own ground and ink included."""
    page.evaluate(
        """(theme) => {
            if (theme) document.documentElement.dataset.theme = theme;
            else delete document.documentElement.dataset.theme;
            document.body.style.cssText = theme === "dark" ? "background: #121212; color: #ced6dd" : "";
        }""",
        theme,
    )


def test_axe_finds_nothing(open_page: Callable[..., Any]) -> None:
    page = open_page(SPHERE, CURVES, QUIZ)
    page.get_by_label("start off-centre").check()
    page.get_by_role("radio", name="either").check()
    assert axe(page) == []
    dress(page, "dark")
    assert axe(page) == []


# Contrast of every colour in a figure with its ground: [name, ratio]; colours are painted once to be read as RGB.
CONTRASTS = """(figure) => {
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
    const line = all(".arrow:not(.arrow-drop), .head, .mean, .feasible", "stroke");
    return { background, text: all("svg text", "fill"), line: [...line, ...all(".bead", "fill")] };
}"""


def test_colours_follow_the_theme_and_can_be_read(open_page: Callable[..., Any]) -> None:
    page = open_page(SPHERE, CURVES)
    page.get_by_label("start off-centre").check()
    for theme, system in (("light", "dark"), ("dark", "light"), (None, "light"), (None, "dark")):
        page.emulate_media(color_scheme=system)
        dress(page, theme)
        for figure in page.locator("figure.explorable").all():
            seen = figure.evaluate(CONTRASTS)
            assert seen["background"] == ("rgb(18, 18, 18)" if (theme or system) == "dark" else "rgb(255, 255, 255)")
            assert len(seen["text"]) >= 8 and len(seen["line"]) >= 6
            assert all(ratio >= 4.5 for _, ratio in seen["text"]), seen["text"]
            assert all(ratio >= 3 for _, ratio in seen["line"]), seen["line"]


@pytest.mark.parametrize("width", [360, 800])
def test_nothing_sticks_out_or_overlaps(open_page: Callable[..., Any], width: int) -> None:
    page = open_page(SPHERE, CURVES, QUIZ, width=width)
    page.get_by_label("start off-centre").check()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    right = page.locator(".explorable-live *:not(svg *):not(.explorable-unseen), .quiz *").evaluate_all(
        "all => Math.max(...all.map((n) => n.getBoundingClientRect().right))"
    )
    assert right <= width
    for svg in (".sphere .name", "svg.curves .end"):
        boxes = page.locator(svg).evaluate_all(
            "all => all.map((n) => n.getBBox()).map((b) => [b.x, b.y, b.x + b.width, b.y + b.height])"
        )
        assert len(boxes) == (10 if "sphere" in svg else 7)
        for (ax, ay, bx, by), (cx, cy, dx, dy) in combinations(boxes, 2):
            assert min(bx, dx) - max(ax, cx) <= 1 or min(by, dy) - max(ay, cy) <= 3


def test_without_scripts_the_static_figure_stands(open_page: Callable[..., Any]) -> None:
    page = open_page(SPHERE, ready=False, java_script_enabled=False)
    assert page.get_by_role("img", name=ALT).is_visible()
    assert "where scripts run" in page.locator("noscript p:visible").inner_text()


def test_a_figure_that_fails_keeps_its_static_form(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(figures.explorable_html("projection-sphere", {"g": 1}, alt=ALT, static=figures.sphere()))
    page = browser.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.goto(path.as_uri())
    page.locator("figure[data-failed]").wait_for()
    assert page.get_by_role("img", name=ALT).is_visible()
    assert page.locator(".explorable-live").count() == 0 and len(errors) == 1
    page.close()


def test_motion_is_shown_unless_the_reader_asks_for_less(open_page: Callable[..., Any]) -> None:
    page = open_page(SPHERE, reduced_motion="no-preference")
    figure = page.locator("figure.explorable")
    w, g = vector(figure, "w"), vector(figure, "g")
    figure.get_by_role("button", name="Take the step").click()
    figure.locator(".ghost").wait_for()
    figure.locator(".trail-dot").wait_for()
    w = cwn.project_rows(w - g, 2.0)
    assert torch.allclose(vector(figure, "w"), w, atol=1e-12)
    # What is asked for during a step comes after it.
    figure.get_by_role("button", name="Take the step").click()
    figure.get_by_label("start off-centre").check()
    w = cwn.project_rows(w - g, 2.0)
    assert torch.allclose(cwn.project_rows(vector(figure, "w"), 2.0), w, atol=1e-12)
    assert figure.locator(".ghost").count() == 0 and abs(float(vector(figure, "w").sum())) > 0.5
