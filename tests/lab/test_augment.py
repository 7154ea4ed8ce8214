"""Crops and mirror images: equal to a loop over images, and a pure function of seed and epoch."""

import torch
from torch.nn import functional as F

from cwn_lite.lab.augment.plan import EpochPlan, crop_flip


def test_crop_flip_equals_a_loop_over_images() -> None:
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (20, 3, 6, 5), generator=generator, dtype=torch.uint8)
    shift = torch.randint(0, 9, (20, 2), generator=generator)
    flip = torch.rand(20, generator=generator) < 0.5
    got = crop_flip(images, shift, flip)
    for i in range(20):
        row, column = shift[i].tolist()
        expected = F.pad(images[i], (4, 4, 4, 4))[:, row : row + 6, column : column + 5]
        assert torch.equal(got[i], expected.flip(-1) if flip[i] else expected)
    assert got.dtype == torch.uint8
    assert got.is_contiguous(memory_format=torch.channels_last)


def test_each_image_has_its_own_draw() -> None:
    plan = EpochPlan.draw(0, 0, 5000, reach=4)
    assert plan.shift is not None and plan.flip is not None
    assert sorted(plan.order.tolist()) == list(range(5000))
    # Uniform over 9 x 9 places and 2 sides: each place has 5000 / 9 images, with a deviation of 22.
    for axis in (0, 1):
        assert plan.shift[:, axis].bincount(minlength=9).sub(5000 / 9).abs().max() < 120
    assert abs(plan.flip.float().mean() - 0.5) < 0.04


def test_plan_depends_on_seed_and_epoch_only() -> None:
    first, again = (EpochPlan.draw(1, 4, 50, reach=4) for _ in range(2))
    assert torch.equal(first.order, again.order)
    assert first.shift is not None and again.shift is not None and torch.equal(first.shift, again.shift)
    for seed, epoch in ((1, 5), (2, 4)):
        other = EpochPlan.draw(seed, epoch, 50, reach=4)
        assert other.shift is not None
        assert not torch.equal(first.order, other.order) and not torch.equal(first.shift, other.shift)
    assert EpochPlan.draw(1, 4, 50, reach=None).shift is None


def test_steps_of_an_epoch_see_each_image_once() -> None:
    images = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1)
    plan = EpochPlan.draw(0, 0, 10, reach=None)
    seen = [plan.batch(images, step, 4) for step in range(3)]
    assert [len(index) for _, index in seen] == [4, 4, 2]
    assert torch.equal(torch.cat([index for _, index in seen]), plan.order)
    assert torch.equal(torch.cat([batch.flatten() for batch, _ in seen]).long(), plan.order)
