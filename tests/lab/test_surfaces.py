"""Generated surfaces: uniform over their area, the same everywhere, and not told apart by simple statistics."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cwn_lite.lab.data import area, surfaces
from cwn_lite.lab.data.clouds import Clouds, load_clouds
from cwn_lite.lab.data.surfaces import FAMILIES

CLOSED = [family for family in FAMILIES if family != "helix"]  # the tube of a helix has open ends
SHA256 = "6c8af8605d98dfac85da5e600b482d648be17ff4fab79abe7e153a0120be8980"


@pytest.fixture(scope="module")
def shapes() -> Clouds:
    return load_clouds("shapes")


def many(family: str, seed: int, scale: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> area.Sample:
    rng = np.random.default_rng(seed)
    surface = surfaces._FAMILIES[family](rng)
    return area.stretched(surface(400_000, rng), np.array(scale), rng)


@pytest.mark.parametrize("scale", [(1.0, 1.0, 1.0), (0.6, 1.4, 1.1)])
@pytest.mark.parametrize("family", CLOSED)
def test_points_are_uniform_over_the_area(family: str, scale: tuple[float, float, float]) -> None:
    """Gauss: over a closed surface the normal averages to 0, and ``n xᵀ`` to volume / area times the identity."""
    points, normals = many(family, 1, scale)
    assert len(points) > 50_000
    assert np.abs(area.norm(normals) - 1).max() < 1e-12
    assert np.abs(normals.mean(0)).max() < 0.01
    moments = normals.T @ points / len(points)
    volume = np.trace(moments) / 3
    assert volume > 0.04  # normals point outward
    assert np.abs(moments - volume * np.eye(3)).max() < 0.01


def test_a_torus_has_more_points_outside() -> None:
    points, normals = area.on_tube(
        lambda t: surfaces.winding(1, 0, t), 0.5, 2 * np.pi, 400_000, np.random.default_rng(0)
    )
    distance = np.hypot(points[:, 0], points[:, 2])
    assert np.hypot(distance - 1, points[:, 1]) == pytest.approx(0.5)
    # Outward angle φ with density (1 + r cos φ) / 2π: E[cos φ] = r / 2, so that E[1 + r cos φ] = 1 + r² / 2.
    assert distance.mean() == pytest.approx(1.125, abs=0.003)
    assert ((points / distance[:, None])[:, [0, 2]] * normals[:, [0, 2]]).sum(1).mean() == pytest.approx(
        0.25, abs=0.005
    )


def test_a_helix_has_fewer_points_inside() -> None:
    turns, rise, r = 2.0, 1.5, 0.3
    points, _ = area.on_tube(
        lambda t: surfaces.winding(turns, rise, t),
        r,
        float(np.hypot(4 * np.pi, rise)),
        400_000,
        np.random.default_rng(0),
    )
    curvature = 1 / (1 + (rise / (4 * np.pi)) ** 2)
    inward = (1 - np.hypot(points[:, 0], points[:, 2])) / r
    # To first order the distance from the axis is 1 - r cos θ, and E[cos θ] = -κ r / 2.
    assert inward.mean() == pytest.approx(-curvature * r / 2, abs=0.01)


def test_a_cone_by_its_parts() -> None:
    bands = [area.Band(0, 0, 1, 0), area.Band(1, 0, 0, 2)]
    points, normals = area.on_revolution(bands, 400_000, np.random.default_rng(0))
    base = points[:, 1] == 0
    assert base.mean() == pytest.approx(1 / (1 + 5**0.5), abs=0.003)
    assert points[~base, 1].mean() == pytest.approx(2 / 3, abs=0.005)  # a third of the height
    assert np.allclose(np.hypot(points[~base, 0], points[~base, 2]), 1 - points[~base, 1] / 2)
    assert np.allclose(normals[base], [0, -1, 0])


@pytest.mark.parametrize("swing", [0.35, 0.5])
def test_a_tube_keeps_with_a_probability_below_one(swing: float) -> None:
    t = np.linspace(0, 1, 10_001)
    point, velocity, acceleration = surfaces.trefoil(swing, t)
    assert np.allclose(np.gradient(point, t, axis=0)[1:-1], velocity[1:-1], atol=1e-3)
    assert np.allclose(np.gradient(velocity, t, axis=0)[1:-1], acceleration[1:-1], atol=0.05)
    curvature = area.norm(np.cross(velocity, acceleration)) / area.norm(velocity) ** 3
    assert curvature.max() * 0.2 < 1
    assert area.norm(velocity).max() <= 2 * np.pi * np.sqrt(9 * swing**2 + 4 * (1 + swing) ** 2)


def test_balls_meet_where_both_are_cut() -> None:
    """No point of the snowman lies inside one of its balls."""
    rng = np.random.default_rng(0)
    small, apart = np.random.default_rng(0).uniform(0.6, 0.9), None
    points, _ = surfaces._FAMILIES["snowman"](rng)(50_000, rng)
    apart = points[:, 1].max() - small
    low, high = area.norm(points), area.norm(points - [0, apart, 0])
    assert (low > 1 - 1e-4).all() and (high > small - 1e-3).all()
    assert (np.abs(low - 1) < 1e-3).mean() > 0.5


def test_clouds_are_in_the_unit_sphere(shapes: Clouds) -> None:
    for points in (shapes.train_points.numpy(), shapes.test_points.numpy()):
        assert points.dtype == np.float32 and np.isfinite(points).all()
        assert np.abs(points.mean(1)).max() < 1e-4
        assert np.linalg.norm(points, axis=2).max(1) == pytest.approx(1, abs=1e-4)
    assert len(shapes.train_points) == 1200 and len(shapes.test_points) == 396
    assert np.bincount(shapes.train_labels).tolist() == [100] * len(FAMILIES)
    assert np.bincount(shapes.test_labels).tolist() == [33] * len(FAMILIES)
    assert shapes.class_names == FAMILIES


def test_the_clouds_are_the_same_everywhere(shapes: Clouds) -> None:
    assert shapes.sha256 == SHA256
    assert shapes.record == {"name": "generated shapes", "sha256": SHA256, "train": 1200, "test": 396}
    (fewer, _), (tests, _) = surfaces.generate(train=13, test=5)
    assert np.array_equal(fewer, shapes.train_points[:13]) and np.array_equal(tests, shapes.test_points[:5])
    assert np.array_equal(fewer * 2**16, np.rint(fewer * 2**16))


def test_seeds_and_splits_differ() -> None:
    (a, _), (b, _) = surfaces.generate(train=12, test=12, points=64)
    (c, _), _ = surfaces.generate(train=12, test=0, points=64, seed=1)
    assert not (a == b).all((1, 2)).any() and not (a == c).all((1, 2)).any()


def test_half_of_the_surfaces_are_seen_in_part() -> None:
    """Of a ball, a viewer from afar sees half, and up to a quarter more at the rim; a plane cuts off 10 % to 45 %."""
    rng = np.random.default_rng(0)
    ball = area.on_revolution([area.zone(1, 0, -1, 1)], 4000, rng)
    shares: dict[str, list[float]] = {"whole": [], "flat": [], "rim": []}
    for seed in range(400):
        seen = surfaces._sight(ball[0], np.random.default_rng(seed))(*ball)
        # Of a second ball that lies elsewhere a plane shows another part; a viewer does not mind.
        moved = surfaces._sight(ball[0], np.random.default_rng(seed))(ball[0] + 9, ball[1])
        kind = "whole" if seen.all() else "rim" if (seen == moved).all() else "flat"
        shares[kind].append(seen.mean())
    assert len(shares["whole"]) == pytest.approx(200, abs=40)
    assert len(shares["flat"]) == pytest.approx(100, abs=35) and len(shares["rim"]) == pytest.approx(100, abs=35)
    assert 0.54 < min(shares["flat"]) < 0.58 and 0.87 < max(shares["flat"]) < 0.91
    assert 0.48 < min(shares["rim"]) < 0.54 and 0.70 < max(shares["rim"]) < 0.77


def test_clouds_are_cut_as_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surfaces, "_sight", lambda *_: lambda points, normals: normals[:, 1] > 0.9)
    lid = surfaces.cloud("cylinder", 512, np.random.default_rng(3))
    thin = np.ptp(lid, axis=0)
    assert thin[1] < 0.15 < thin[0]  # the upper lid alone, or what is up of one that lies


def test_simple_statistics_do_not_tell_the_families_apart(shapes: Clouds) -> None:
    train, test = statistics(shapes.train_points.numpy()), statistics(shapes.test_points.numpy())
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000, C=10.0))
    linear.fit(train, shapes.train_labels)
    assert 0.3 < linear.score(test, shapes.test_labels) < 0.7


def statistics(clouds: np.ndarray) -> np.ndarray:
    """Return quantiles of the distances from the centroid, eigenvalues of the covariance, extents, spreads."""
    quantiles = np.quantile(np.linalg.norm(clouds, axis=2), np.linspace(0, 1, 17), axis=1).T
    eigenvalues = np.linalg.eigvalsh(clouds.transpose(0, 2, 1) @ clouds / clouds.shape[1])
    return np.concatenate([quantiles, eigenvalues, clouds.mean(1), clouds.min(1), clouds.max(1), clouds.std(1)], 1)
