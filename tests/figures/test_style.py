"""The palette: readable on both backgrounds, told apart by every kind of eye."""

from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from cwn_lite import figures

WHITE, DARK = "#FFFFFF", "#121212"
EXPLORABLES = Path(figures.__file__).parent / "explorables"
METHODS_IN = {
    "vermilion": {"batch-noise", "equilibrium", "explosion", "projection-sphere"},  # the sphere: CWO's step
    "blue": {"batch-noise"},
}

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB.
VISION = {
    "usual": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(color: str) -> np.ndarray:
    srgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    low, high = sorted(float(XYZ[1] @ linear(color)) for color in (a, b))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    white = np.array([0.95047, 1.0, 1.08883])
    x, y, z = np.cbrt(np.maximum(XYZ @ np.clip(rgb, 0, 1) / white, 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_contrast_knows_the_ends_of_the_scale() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("color", (figures.COLORS | figures.QUANTITIES).values())
@pytest.mark.parametrize("background", [WHITE, DARK])
def test_a_line_stands_out_on_white_and_on_black(color: str, background: str) -> None:
    assert contrast(color, background) >= 3


def test_an_ink_keeps_its_colour_and_stands_out_on_any_ground() -> None:
    for red in range(0, 256, 15):
        ground = f"#{red:02X}{(red * 7) % 256:02X}{(red * 3) % 256:02X}"
        ink = figures.ink_on(ground)
        assert contrast(ground, ink) > 4.5 and ink not in ("#000000", figures.INK)


@pytest.mark.parametrize("vision", VISION)
def test_no_two_methods_look_alike(vision: str) -> None:
    seen = {name: lab(np.array(VISION[vision]) @ linear(color)) for name, color in figures.COLORS.items()}
    least = min((float(np.linalg.norm(seen[a] - seen[b])), a, b) for a, b in combinations(seen, 2))
    assert least[0] > 9, least


@pytest.mark.parametrize("vision", VISION)
def test_no_quantity_looks_like_a_method_or_like_another(vision: str) -> None:
    seen, own = (
        {name: lab(np.array(VISION[vision]) @ linear(color)) for name, color in table.items()}
        for table in (figures.COLORS, figures.QUANTITIES)
    )
    apart = {(a, b): float(np.linalg.norm(own[a] - seen[b])) for a in own for b in seen}
    assert min(apart.values()) > 9, min(apart, key=apart.__getitem__)
    assert min(float(np.linalg.norm(own[a] - own[b])) for a, b in combinations(own, 2)) > 20


def test_orange_is_cwo_and_blue_is_batch_norm_in_every_interactive_figure() -> None:
    style = (EXPLORABLES / "shared.css").read_text(encoding="utf8")
    for name, color in figures.QUANTITIES.items():
        assert f"--{name}: {color}" in style
    for color, methods in METHODS_IN.items():
        found = {p.stem for p in EXPLORABLES.glob("*.css") if f"var(--{color})" in p.read_text(encoding="utf8")}
        assert found == methods, "a line that is no method takes a colour of figures.QUANTITIES"


def test_each_method_has_a_colour_a_dash_and_a_label_of_its_own() -> None:
    for table in (figures.COLORS, figures.DASHES, figures.LABELS):
        assert set(table) == {"ours", "bn", "gn", "ws", "ws+bn", "ws+gn", "plain", "wn", "cwn", "ws-scaled"}
        assert len(set(table.values())) == 10


def test_use_style_sets_the_ink_everywhere() -> None:
    with mpl.rc_context():
        figures.use_style()
        for key in ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"):
            assert mpl.rcParams[key] == figures.INK
