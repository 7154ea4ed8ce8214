"""The interactive figures in a real browser with the network cut: their numbers and their hands."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fragments import ALT, CURVES, QUIZ, SLOW, SPHERE, Opener, make_runs, middle, opener, slider, table, vector
from playwright.sync_api import Browser, Locator, expect

import cwn_lite as cwn
from cwn_lite import figures
from cwn_lite.figures.curves import over_epochs
from cwn_lite.figures.explorable import bundle

E1 = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64) / math.sqrt(2)
E2 = torch.tensor([1.0, 1.0, -2.0], dtype=torch.float64) / math.sqrt(6)
pytestmark = pytest.mark.site


@pytest.fixture
def open_page(running: Browser, tmp_path: Path) -> Iterator[Opener]:
    with opener(running, tmp_path) as open_page:
        yield open_page


def check_against_library(figure: Locator, w: torch.Tensor, g: torch.Tensor, lr: float, c: float) -> None:
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
    expect(figure.get_by_role("status")).to_contain_text(f"the old weight {word}", timeout=SLOW)


def test_the_arithmetic_is_the_library_s(open_page: Opener) -> None:
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


def test_the_summary_is_numpy_s(open_page: Opener) -> None:
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
            return [m.overEpochs(runs, "x"), m.overEpochs(runs.slice(0, 1), "x")];
        }""",
        [bundle("learning-curves"), runs],
    )
    for row, column in zip(rows[0], values.T, strict=True):
        column = column[np.isfinite(column)]
        expected = [len(column), column.mean(), column.std(ddof=1), column.min(), column.max()]
        assert [row[k] for k in ("n", "mean", "std", "min", "max")] == pytest.approx(expected, abs=1e-14)
    assert all(row["n"] == 1 and math.isnan(row["std"]) for row in rows[1])


def test_the_start_is_the_static_figure_s(open_page: Opener) -> None:
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


def test_keys_move_what_they_should(open_page: Opener) -> None:
    page = open_page(SPHERE)
    figure = page.locator("figure.explorable")
    angle, lr, c = 290.0, 1.0, 2.0
    moves = [("angle", "ArrowRight"), ("g1", "End"), ("learning rate α", "ArrowLeft"), ("squared norm c", "ArrowRight")]
    for name, key in moves:
        before = table(figure)["moved"]
        target = slider(figure, name.replace("g1", "g₁"))
        target.focus()
        page.keyboard.press(key)
        assert table(figure)["moved"] != before
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


def test_stepping_and_starting_off_the_plane(open_page: Opener) -> None:
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
    assert abs(table(figure)["printed"][1]) > 0.1 and abs(table(figure)["projected"][1]) < 1e-12
    figure.get_by_label("step to").select_option("Eq. 11 as printed")
    figure.get_by_role("button", name="Take the step").click()
    assert torch.allclose(vector(figure, "w"), cwn.projected_step(w, g, 1.0, 2.0), atol=1e-12)
    figure.get_by_role("button", name="Reset").click()
    assert abs(float(vector(figure, "w").sum())) < 1e-12


def test_the_mouse_drags_the_weight_the_gradient_and_the_view(open_page: Opener) -> None:
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


def test_a_finger_drags_too(open_page: Opener) -> None:
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


def test_the_curves_answer(open_page: Opener) -> None:
    page = open_page(CURVES)
    figure, runs = page.locator("figure.explorable"), make_runs()

    def check(epoch: int, metric: str) -> None:
        for method in figures.LABELS:
            values = [p[metric] for r in runs if r["method"] == method for p in r["curve"] if p["epoch"] == epoch]
            got = figure.locator(f'tr[data-method="{method}"] data').evaluate_all("all => all.map(d => d.value)")
            expected = [np.mean(values), np.std(values, ddof=1), len(values)]
            assert [float(x) for x in got] == pytest.approx(expected, abs=1e-12)
        said = f"At epoch {epoch}, {metric.replace('_', ' ')}: CWO"
        expect(figure.get_by_role("status")).to_contain_text(said, timeout=SLOW)

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

    figure.get_by_role("checkbox", name="one plot").check()
    box = figure.locator("svg.curves").bounding_box()
    page.mouse.move(box["x"] + 42, box["y"] + 150)
    check(1, "train_loss")
    lines = figure.locator(".mean").count()
    figure.get_by_role("checkbox", name="plain").uncheck()
    assert figure.locator(".mean").count() == lines - 1
    assert not figure.locator('tr[data-method="plain"]').is_visible()


def test_many_methods_have_a_panel_each_and_few_share_one(open_page: Opener) -> None:
    def means(method: str) -> list[float]:
        return [row["mean"] for row in over_epochs([r for r in make_runs() if r["method"] == method], "test_error")]

    page = open_page(CURVES)
    figure, methods = page.locator("figure.explorable"), list(figures.LABELS)
    by_last = [figures.LABELS[m] for m in sorted(methods, key=lambda m: means(m)[-1])]
    assert figure.locator(".end").all_text_contents() == by_last
    assert figure.locator(".panel-note").all_text_contents() == ["1 of 3 diverged"] * 2
    counts = [figure.locator(f"svg.curves {part}").count() for part in (".mean", ".other", ".cursor", ".bead", ".lost")]
    assert counts == [10, 10, 10, 10, 1]

    # The cursor follows the pointer in each panel, and its line stands at the same epoch in all.
    frames = figure.locator(".frame").evaluate_all("all => all.map((n) => n.getBoundingClientRect().toJSON())")
    for frame in frames:
        page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] - 20)
        assert slider(figure, "epoch under the cursor").input_value() == "5"
        lines = figure.locator(".cursor").evaluate_all("all => all.map((n) => n.getBoundingClientRect().x)")
        assert lines == pytest.approx([each["x"] + each["width"] / 2 for each in frames], abs=1)
        page.mouse.move(frame["x"] + 1, frame["y"] - 20)
        assert slider(figure, "epoch under the cursor").input_value() == "1"

    figure.get_by_role("checkbox", name="one plot").check()
    assert figure.locator(".frame").count() == 1 and figure.locator(".mean").count() == 10
    few = [run for run in make_runs() if run["method"] in methods[:5]]
    page = open_page(figures.explorable_html("learning-curves", {"runs": few}, alt=ALT, static=figures.curves(few)))
    assert page.locator("svg.curves .frame").count() == 1
    assert page.get_by_role("checkbox", name="one plot").count() == 0


def test_a_method_that_was_lost_at_once_has_an_empty_panel(open_page: Opener) -> None:
    runs = [{**run, "status": "diverged", "curve": []} if run["method"] == "gn" else run for run in make_runs()]
    page = open_page(figures.explorable_html("learning-curves", {"runs": runs}, alt=ALT, static=figures.curves(runs)))
    assert page.locator("svg.curves .end").all_text_contents()[-1] == "GN"
    assert "3 of 3 diverged" in page.locator("svg.curves .panel-note").all_text_contents()[-1]
    for box in page.get_by_role("group", name="Methods").get_by_role("checkbox").all():
        box.uncheck()
    page.mouse.move(200, 300)
    assert page.locator("svg.curves .end").count() == 0


def test_two_of_a_kind_do_not_meddle(open_page: Opener) -> None:
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


def test_motion_is_shown_unless_the_reader_asks_for_less(open_page: Opener) -> None:
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
