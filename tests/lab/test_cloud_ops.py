"""Augmentation of clouds: what each operation does to points, and that its numbers come from the CPU alone."""

import numpy as np
import pytest
import torch

from cwn_lite.lab.augment import cloud_ops
from cwn_lite.lab.seeding import generator

CLOUDS = torch.randn(4, 50, 3, generator=torch.Generator().manual_seed(0))


def draws(seed: int = 0) -> torch.Generator:
    return generator(seed, "clouds")


def gram(clouds: torch.Tensor) -> torch.Tensor:
    return clouds @ clouds.transpose(1, 2)


def test_a_turn_keeps_height_and_shape() -> None:
    turned = cloud_ops.turn(CLOUDS, cloud_ops.draw_turn(4, draws()))
    assert torch.equal(turned[..., 1], CLOUDS[..., 1])
    assert torch.allclose(gram(turned), gram(CLOUDS), atol=1e-4)
    assert (turned - CLOUDS).abs().amax((1, 2)).min() > 0.1
    # A rotation, no mirror: it keeps the sign of volumes.
    assert torch.allclose(torch.linalg.det(turned[:, :3]), torch.linalg.det(CLOUDS[:, :3]), atol=1e-4)


def test_angles_are_uniform_over_the_circle() -> None:
    cosine, sine = cloud_ops.draw_turn(40_000, draws()).unbind(1)
    assert torch.allclose(cosine**2 + sine**2, torch.ones(40_000), atol=1e-6)
    quarters = torch.bincount((cosine > 0).long() + 2 * (sine > 0))
    assert (quarters / 40_000 - 0.25).abs().max() < 0.01


def test_jitter_is_clipped_noise() -> None:
    noise = cloud_ops.draw_noise(4, 5000, draws())
    moved = cloud_ops.jitter(torch.zeros(4, 5000, 3), noise)
    assert moved.std().item() == pytest.approx(0.01, rel=0.02) and abs(moved.mean().item()) < 2e-4
    wide = cloud_ops.jitter(torch.ones(4, 5000, 3), noise, std=0.1) - 1
    assert wide.abs().max().item() == pytest.approx(0.05, abs=1e-6)
    assert (wide.abs() > 0.0499).float().mean().item() == pytest.approx(0.617, abs=0.01)  # P(|z| > 1/2)


def test_stretch_is_that_of_the_release() -> None:
    factor, shift = cloud_ops.draw_stretch(20_000, draws())
    assert factor.shape == shift.shape == (20_000, 3)
    assert 2 / 3 <= factor.min() < 0.67 and 1.49 < factor.max() <= 3 / 2
    assert -0.2 <= shift.min() < -0.199 and 0.199 < shift.max() <= 0.2
    assert np.abs(np.corrcoef(torch.cat([factor, shift], 1).T.numpy()) - np.eye(6)).max() < 0.05
    factor, shift = factor[:4], shift[:4]
    stretched = cloud_ops.stretch(CLOUDS, factor, shift)
    assert torch.allclose(stretched[2, 7], CLOUDS[2, 7] * factor[2] + shift[2])


def test_a_subset_has_no_point_twice() -> None:
    index = cloud_ops.draw_subset(4, 50, 20, draws())
    assert index.shape == (4, 20) and all(len(set(row)) == 20 for row in index.tolist())
    assert len({tuple(row) for row in index.tolist()}) == 4
    taken = cloud_ops.take(CLOUDS, index)
    assert all(torch.equal(taken[k], CLOUDS[k, index[k]]) for k in range(4))
    every = cloud_ops.draw_subset(2, 50, 50, draws())
    assert torch.equal(every.sort(1).values, torch.arange(50).expand(2, 50))
    counts = torch.bincount(cloud_ops.draw_subset(20_000, 8, 2, draws()).flatten()) / 40_000
    assert (counts - 1 / 8).abs().max() < 0.01


@pytest.mark.parametrize("kept", [0, 51, -1])
def test_a_subset_that_there_is_not(kept: int) -> None:
    with pytest.raises(ValueError, match=f"kept={kept}: 50 points per cloud; keep 1 to 50"):
        cloud_ops.draw_subset(4, 50, kept, draws())


def test_draws_repeat_and_stay_on_the_cpu() -> None:
    def everything(seed: int) -> list[torch.Tensor]:
        stream = draws(seed)
        return [
            cloud_ops.draw_turn(3, stream),
            cloud_ops.draw_noise(3, 9, stream),
            *cloud_ops.draw_stretch(3, stream),
            cloud_ops.draw_subset(3, 9, 4, stream),
        ]

    torch.manual_seed(1)
    first = everything(0)
    torch.manual_seed(2)
    assert all(torch.equal(a, b) and a.device.type == "cpu" for a, b in zip(first, everything(0), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, everything(1), strict=True))


def test_clouds_are_not_written_to() -> None:
    before = CLOUDS.clone()
    cloud_ops.turn(CLOUDS, cloud_ops.draw_turn(4, draws()))
    cloud_ops.jitter(CLOUDS, cloud_ops.draw_noise(4, 50, draws()))
    cloud_ops.stretch(CLOUDS, *cloud_ops.draw_stretch(4, draws()))
    assert torch.equal(CLOUDS, before)


def test_autocast_does_not_round_coordinates() -> None:
    cosine_sine = cloud_ops.draw_turn(4, draws())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        turned = cloud_ops.turn(CLOUDS, cosine_sine)
    assert torch.equal(turned, cloud_ops.turn(CLOUDS, cosine_sine))
