"""The length of a reparameterized row: the formulas against SGD on a real row, and against themselves."""

import math
import re
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from torch import Tensor, nn

import cwn_lite as cwn
from cwn_lite import figures
from cwn_lite.figures.equilibrium import (
    FADED,
    RANGES,
    draw_equilibrium,
    equilibrium,
    gradient_at,
    norm_path,
    step_angle,
    steps_until,
)
from cwn_lite.figures.explorable import MODULES, explorable_html

N = 24
SETTINGS = [
    {"r0": math.sqrt(2), "lr": 0.1, "weight_decay": 5e-4, "gradient": 1.0},
    {"r0": math.sqrt(2), "lr": 0.1, "weight_decay": 0.0, "gradient": 1.0},
    {"r0": 0.02, "lr": 0.1, "weight_decay": 5e-4, "gradient": 1.0},
    {"r0": 20.0, "lr": 0.5, "weight_decay": 0.05, "gradient": 0.05},
    {"r0": 0.01, "lr": 1.0, "weight_decay": 0.1, "gradient": 10.0},
]


def centred_rows(r0: float, lr: float, weight_decay: float, gradient: float, steps: int) -> Tensor:
    """Train one standardized row by SGD; return ``Pw`` before the first step and after each, ``(steps + 1, N)``."""
    noise = torch.Generator().manual_seed(0)
    linear = cwn.weight_standardization(nn.Linear(N, 1, bias=False, dtype=torch.float64), gain=1.0)
    behind = linear.parametrizations.weight.original

    def centred() -> Tensor:
        return (behind - behind.mean()).detach()[0].clone()

    with torch.no_grad():
        behind.copy_(torch.randn(1, N, dtype=torch.float64, generator=noise))
        mean = behind.mean()
        behind.copy_((behind - mean) * (r0 / (behind - mean).norm()) + mean)  # a mean too, which must not matter
    optimizer = torch.optim.SGD([behind], lr=lr, weight_decay=weight_decay)
    seen = [centred()]
    for _ in range(steps):
        unit = seen[-1] / seen[-1].norm()
        slope = torch.randn(N, dtype=torch.float64, generator=noise)
        for _ in range(2):  # the second time takes off what rounding left
            slope -= slope.mean()
            slope -= (slope @ unit) * unit
        optimizer.zero_grad()
        (linear.weight[0] @ slope * (gradient / slope.norm())).backward()
        optimizer.step()
        seen.append(centred())
    return torch.stack(seen)


@pytest.mark.parametrize("setting", SETTINGS, ids=["he", "no decay", "short", "long", "extreme"])
def test_a_real_row_follows_the_path_and_turns_by_the_angle(setting: dict[str, float]) -> None:
    rows = centred_rows(**setting, steps=400)
    rest = {key: setting[key] for key in ("lr", "weight_decay", "gradient")}
    path = norm_path(setting["r0"], **rest, steps=400)
    torch.testing.assert_close(rows.norm(dim=1), torch.tensor(path, dtype=torch.float64), rtol=1e-9, atol=0)

    units = rows / rows.norm(dim=1, keepdim=True)
    # Half the chord is the sine of half the angle; an arccosine would lose the digits of small ones.
    turned = 2 * torch.asin((units[1:] - units[:-1]).norm(dim=1) / 2)
    expected = torch.tensor([step_angle(r, **rest) for r in path[:-1]], dtype=torch.float64)
    torch.testing.assert_close(turned, expected, rtol=1e-9, atol=0)


def test_a_real_row_reaches_the_equilibrium_and_turns_there_whatever_its_gradient() -> None:
    for gradient in (0.05, 2.0):
        setting = {"lr": 0.5, "weight_decay": 0.05, "gradient": gradient}
        rows = centred_rows(1.0, **setting, steps=600)
        length, angle = equilibrium(**setting)
        assert float(rows[-1].norm()) == pytest.approx(length, rel=1e-9)
        chord = rows[-1] / rows[-1].norm() - rows[-2] / rows[-2].norm()
        assert 2 * math.asin(float(chord.norm()) / 2) == pytest.approx(angle, rel=1e-9)
        assert math.cos(angle) == pytest.approx(1 - 0.5 * 0.05, rel=1e-12)


@pytest.mark.parametrize(("lr", "weight_decay"), [(1.0, 0.1), (0.1, 5e-4), (1e-3, 1e-5)])
def test_the_equilibrium_stays_where_it_is_and_is_near_its_short_form(lr: float, weight_decay: float) -> None:
    setting = {"lr": lr, "weight_decay": weight_decay, "gradient": 3.0}
    length, angle = equilibrium(**setting)
    assert norm_path(length, **setting, steps=1)[1] == pytest.approx(length, rel=1e-14)
    # Their digits differ where αλ is small: the tangent of one is the quotient of the other.
    assert step_angle(length, **setting) == pytest.approx(angle, rel=1e-12)
    decay = lr * weight_decay
    assert length**4 == pytest.approx(lr * 9.0 / (2 * weight_decay), rel=decay)
    assert angle == pytest.approx(math.sqrt(2 * decay), rel=decay)


def test_without_decay_a_row_only_grows() -> None:
    path = norm_path(0.5, lr=0.1, weight_decay=0.0, gradient=1.0, steps=1000)
    assert all(after > before for before, after in pairwise(path))
    assert equilibrium(0.1, 0.0, 1.0) == (math.inf, 0.0)
    assert steps_until(path, math.inf) is None


def test_a_row_that_starts_too_short_is_thrown_out() -> None:
    setting = {"lr": 0.1, "weight_decay": 5e-4, "gradient": 1.0}
    path = norm_path(0.02, **setting, steps=1)
    assert math.degrees(step_angle(0.02, **setting)) > 89
    assert path[1] == pytest.approx(0.1 * 1.0 / 0.02, rel=1e-4) and path[1] > equilibrium(**setting)[0]
    assert math.degrees(step_angle(path[1], **setting)) < 1


def test_a_gradient_that_fades_and_returns_is_the_recursion_in_three_parts() -> None:
    setting = {"lr": 0.1, "weight_decay": 0.02, "gradient": 2.0}
    low = {**setting, "gradient": 0.02}
    whole = norm_path(1.0, **setting, steps=3100, fade=0.01)
    before = norm_path(1.0, **setting, steps=300)
    within = norm_path(before[-1], **low, steps=2700)
    after = norm_path(within[-1], **setting, steps=100)
    assert whole == before + within[1:] + after[1:]
    assert [gradient_at(t, 2.0, 0.01) for t in (FADED[0] - 1, FADED[0], FADED[-1], FADED[-1] + 1)] == [2, 0.02, 0.02, 2]


def test_what_the_chapter_suggests_to_try_is_so() -> None:
    """Each sentence of "Try this" below the figure, at the figure's settings."""
    he = {"lr": 0.1, "weight_decay": 5e-4, "gradient": 1.0}

    def turn(r: float, gradient: float = 1.0, **setting: float) -> float:
        return math.degrees(step_angle(r, **{**he, **setting, "gradient": gradient}))

    cwo = turn(math.sqrt(2), weight_decay=0.0)
    free = norm_path(math.sqrt(2), **{**he, "weight_decay": 0.0}, steps=10_000)
    assert free == sorted(free) and turn(free[-2], weight_decay=0.0) < cwo / 5

    small = norm_path(0.02, **he, steps=10_000)
    assert turn(small[0]) > 89 and turn(small[1]) < 1
    balance = equilibrium(**he)[0]
    assert small[-1] < small[1] and steps_until(small, balance) is None
    ten = {**he, "weight_decay": 5e-3}
    assert steps_until(norm_path(0.02, **ten, steps=10_000), equilibrium(**ten)[0]) is not None

    strong = {**he, "weight_decay": 0.05}
    path = norm_path(math.sqrt(2), **strong, steps=10_000, fade=0.01)
    steady, faded, back = (
        turn(path[t - 1], gradient_at(t, 1.0, 0.01), weight_decay=0.05) for t in (300, FADED[-1], FADED[-1] + 1)
    )
    assert path[FADED[-1]] < path[300] / 9 and faded == pytest.approx(steady, rel=0.02)  # follows, and turns as far
    assert turn(math.sqrt(2), 0.01, weight_decay=0.0) < cwo / 90  # CWO all but stands still
    assert back > 80

    path = norm_path(math.sqrt(2), **strong, steps=10_000, fade=1e-3)
    thrown, star = path[FADED[-1] + 1], equilibrium(**strong)[0]
    assert thrown > 2 * star and turn(thrown, weight_decay=0.05) < 1
    assert steps_until(path[FADED[-1] + 1 :], star) is not None

    free = norm_path(math.sqrt(2), **{**he, "weight_decay": 0.0}, steps=3001, fade=1e-3)
    assert turn(free[FADED[-1]], weight_decay=0.0) <= turn(free[299], weight_decay=0.0)


def test_the_steps_are_counted_from_the_start() -> None:
    assert steps_until([2.1, 2.0], 2.0) == 0
    assert steps_until([4.0, 3.0], 2.0) is None
    assert steps_until([4.0, 3.0, 2.5], 2.0, within=0.25) == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"r0": 0.0}, "r0 must be positive, got 0.0"),
        ({"lr": -1.0}, "lr must be positive, got -1.0"),
        ({"weight_decay": -0.1}, "weight_decay must not be negative, got -0.1"),
        ({"gradient": math.inf}, "gradient must be finite, got inf"),
        ({"fade": 0.0}, "fade must be positive, got 0.0"),
        ({"steps": -1}, "steps must be a whole number, 0 or more, got -1"),
        ({"steps": 1.5}, "steps must be a whole number, 0 or more, got 1.5"),
        ({"lr": 10.0, "weight_decay": 0.1}, r"lr \* weight_decay must be below 1, got 10.0 \* 0.1 = 1; lower either"),
    ],
)
def test_bad_input_is_named(changed: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"r0": 1.0, "lr": 0.1, "weight_decay": 0.0, "gradient": 1.0, "steps": 2}
    with pytest.raises(ValueError, match=message):
        norm_path(**{**good, **changed})


def test_other_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="length must be positive, got 0"):
        step_angle(0, lr=0.1, weight_decay=0.0, gradient=1.0)
    with pytest.raises(ValueError, match="gradient must be positive, got 0"):
        equilibrium(0.1, 0.1, 0)
    with pytest.raises(ValueError, match="within must not be negative"):
        steps_until([1.0], 1.0, -0.1)
    with pytest.raises(ValueError, match="steps must be at least 2 for a line, got 1"):
        draw_equilibrium(steps=1)
    with pytest.raises(ValueError, match="c must be positive, got 0"):
        draw_equilibrium(c=0)


def test_the_still_figure_draws_these_numbers() -> None:
    fig = figures.draw_equilibrium(r0=0.02, steps=50)
    path = norm_path(0.02, lr=0.1, weight_decay=5e-4, gradient=1.0, steps=49)
    length, angle = equilibrium(0.1, 5e-4, 1.0)
    colors = [figures.INK, figures.COLORS["ours"], figures.COLORS["ws-scaled"]]
    expected = [
        (length, math.sqrt(2), path),
        (1 / length, math.sqrt(0.5), [1 / r for r in path]),
        (
            math.degrees(angle),
            math.degrees(math.atan(0.1 / 2)),
            [math.degrees(step_angle(r, lr=0.1, weight_decay=5e-4, gradient=1.0)) for r in path],
        ),
    ]
    for ax, (settled, ours, row), limits in zip(fig.axes, expected, RANGES.values(), strict=True):
        assert [line.get_color() for line in ax.lines] == colors
        lines = [[float(y) for y in line.get_ydata()] for line in ax.lines]
        assert lines[0] == pytest.approx([settled] * 50) and lines[1] == pytest.approx([ours] * 50)
        assert lines[2] == pytest.approx(row)
        assert ax.get_ylim() == limits
        assert [text.get_text() for text in ax.texts if text.get_text() == "equilibrium"]
    plt.close(fig)
    fig = figures.draw_equilibrium(weight_decay=0.0, steps=50)
    assert all(len(ax.lines) == 2 and "equilibrium" not in [t.get_text() for t in ax.texts] for ax in fig.axes)
    plt.close(fig)


def test_the_fragment_is_whole_alone_and_asks_nothing_of_the_network() -> None:
    page = explorable_html("equilibrium", {"c": 2.0}, alt="Length, gradient and angle of a row, step by step.")
    assert page == explorable_html("equilibrium", {"c": 2.0}, alt="Length, gradient and angle of a row, step by step.")
    assert not re.search(r"""\sid=|\bsrc=|@import|\burl\(|\bfetch\(|\bimport\b[ (]|from ["']""", page)
    assert set(re.findall(r"https?://[^\"' ]+", page)) <= {"http://www.w3.org/2000/svg"}
    declared = re.findall(r"^(?:export )?(?:function|const|let) (\w+)", page, re.MULTILINE)
    assert len(declared) == len(set(declared))  # the modules share one scope there


def test_the_colours_and_dashes_of_the_methods_are_the_book_s() -> None:
    style = (MODULES / "equilibrium.css").read_text() + (MODULES / "shared.css").read_text()
    assert f"--eq-red: {figures.COLORS['ws-scaled']}" in style and f"--vermilion: {figures.COLORS['ours']}" in style
    (dash,) = re.findall(r'^const DASH = "(.*)";', (MODULES / "equilibrium-plot.js").read_text(), re.MULTILINE)
    assert [float(x) / 2 for x in dash.split()] == list(figures.DASHES["ws-scaled"])
