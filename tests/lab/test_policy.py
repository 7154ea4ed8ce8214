"""Augmentation policies: the operations are torchvision's and Pillow's image by image, and each image has its own."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from cwn_lite.lab.augment import policy as module
from cwn_lite.lab.augment.image_ops import NAMES, operate
from cwn_lite.lab.augment.policy import Operation, Policy, PolicyPlan, apply_policy, autoaugment, fast_autoaugment
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.vision import import_torchvision

GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
# Lowest and highest magnitude of each operation in either policy; sharpness and its like meet both signs below.
RANGES = {
    "ShearX": (0.0, 0.3),
    "ShearY": (0.0, 0.3),
    "TranslateX": (0, 14),
    "TranslateY": (0, 14),
    "Rotate": (0.0, 30.0),
    "Brightness": (0.0, 0.9),
    "Color": (0.0, 0.9),
    "Contrast": (0.0, 0.9),
    "Sharpness": (0.0, 0.9),
    "Posterize": (4, 8),
    "Solarize": (0.0, 255.0),
    "AutoContrast": (0, 0),
    "Equalize": (0, 0),
    "Invert": (0, 0),
}
SIGNED = (*GEOMETRIC, "Brightness", "Color", "Contrast", "Sharpness")


def pictures(n: int, seed: int = 0) -> Tensor:
    """Noise within a random range of grey levels per channel, a constant image and one of two grey levels first."""
    generator = torch.Generator().manual_seed(seed)
    low = torch.randint(0, 200, (n, 3, 1, 1), generator=generator)
    high = low + torch.randint(1, 56, (n, 3, 1, 1), generator=generator)
    images = low + (high - low) * torch.rand(n, 3, 32, 32, generator=generator)
    images[2::2] = torch.randint(0, 256, images[2::2].shape, generator=generator).float()
    images[0] = 77
    images[1] = torch.rand(3, 32, 32, generator=generator).round() * 255
    return images.to(torch.uint8)


def reference(name: str, image: Tensor, magnitude: float) -> Tensor:
    transforms = import_torchvision().transforms
    nearest = transforms.InterpolationMode.NEAREST
    result: Tensor = transforms.autoaugment._apply_op(image, name, magnitude, nearest, None)
    return result


def draws(n: int, low: float, high: float, *, whole: bool, signed: bool) -> Tensor:
    """Return n magnitudes, of which the first are both ends of the range with both signs."""
    generator = torch.Generator().manual_seed(n)
    magnitude = low + (high - low) * torch.rand(n, generator=generator)
    magnitude[:2], magnitude[2:4] = low, high
    if whole:
        magnitude = magnitude.round()
    return magnitude * (1 - 2 * (torch.arange(n) % 2)) if signed else magnitude


def source(name: str, magnitude: float) -> Tensor:
    """Return (2, 32, 32) the column and row to sample from, in float64."""
    y, x = torch.meshgrid(
        torch.arange(32.0, dtype=torch.float64), torch.arange(32.0, dtype=torch.float64), indexing="ij"
    )
    sine, cosine = math.sin(math.radians(magnitude)), math.cos(math.radians(magnitude))
    return torch.stack(
        {
            "ShearX": (x + magnitude * (y + 0.5), y),
            "ShearY": (x, y + magnitude * (x + 0.5)),
            "TranslateX": (x - magnitude, y),
            "TranslateY": (x, y - magnitude),
            "Rotate": (
                cosine * (x - 15.5) - sine * (y - 15.5) + 15.5,
                sine * (x - 15.5) + cosine * (y - 15.5) + 15.5,
            ),
        }[name]
    )


def tied(name: str, magnitude: float) -> Tensor:
    """Return (32, 32) whether float32 cannot tell which pixel is the nearest."""
    return (source(name, magnitude).frac().abs() - 0.5).abs().amin(0) < 1e-5


# ---- Operations ----


@pytest.mark.parametrize("name", RANGES)
def test_operation_is_torchvisions(name: str) -> None:
    images = pictures(60)
    whole = name in ("TranslateX", "TranslateY", "Posterize")
    magnitude = draws(60, *RANGES[name], whole=whole, signed=name in SIGNED)
    got = operate(name, images, magnitude, torch.zeros(60, 2))
    assert got.dtype == torch.uint8 and got.shape == images.shape
    for i, m in enumerate(magnitude.tolist()):
        expected = reference(name, images[i], int(m) if name == "Posterize" else m)
        if name in GEOMETRIC:
            # torchvision multiplies matrices in float32: which of two equally near pixels it takes is chance.
            unlike = (got[i] != expected).any(0)
            assert not (unlike & ~tied(name, m)).any(), (i, m)
        else:
            assert torch.equal(got[i], expected), (i, m)


@pytest.mark.parametrize("name", GEOMETRIC)
def test_ties_are_rare(name: str) -> None:
    whole = name.startswith("Translate")
    magnitude = draws(400, *RANGES[name], whole=whole, signed=True)
    # Both ends of the range are round numbers; between them a tie is a coincidence of 1e-5 pixels.
    share = np.mean([tied(name, m).float().mean() for m in magnitude[4:].tolist()])
    assert share < 1e-4


def test_no_operation_of_autoaugment_meets_a_tie() -> None:
    for operation in {part for pair in autoaugment() for part in pair if part.name in GEOMETRIC}:
        for sign in (1, -1):
            assert not tied(operation.name, sign * operation.magnitude).any(), operation


def test_every_operation_of_autoaugment_is_torchvisions_exactly() -> None:
    images = pictures(4)
    operations = sorted({part for pair in autoaugment() for part in pair})
    assert {operation.name for operation in operations} < set(RANGES)
    for name, _, magnitude, signed in operations:
        signs = torch.tensor([1.0, -1.0, 1.0, -1.0]) if signed else torch.ones(4)
        got = operate(name, images, signs * magnitude, torch.zeros(4, 2))
        for i in range(4):
            m = signs[i].item() * magnitude
            assert torch.equal(got[i], reference(name, images[i], m)), (name, m)


def test_cutout_is_pillows_rectangle() -> None:
    images = pictures(80)
    generator = torch.Generator().manual_seed(5)
    side = 6.4 * torch.rand(80, generator=generator)
    side[:2] = torch.tensor([0.0, 4.0])
    place = torch.rand(80, 2, generator=generator)
    place[2:6] = torch.tensor([[0.0, 0.0], [0.0, 0.999], [0.999, 0.0], [0.999, 0.999]])
    got = operate("Cutout", images, side, place)
    for i, (v, (at_x, at_y)) in enumerate(zip(side.tolist(), place.tolist(), strict=True)):
        picture = Image.fromarray(images[i].permute(1, 2, 0).numpy())
        left, top = int(max(0, at_x * 32 - v / 2)), int(max(0, at_y * 32 - v / 2))
        if v > 0:
            corners = (left, top, min(32, left + v), min(32, top + v))
            ImageDraw.Draw(picture).rectangle(corners, (125, 123, 114))
        assert torch.equal(got[i], torch.tensor(np.array(picture)).permute(2, 0, 1)), (i, v)
    assert torch.equal(got[0], images[0])


def test_operations_hold_under_autocast() -> None:
    images, magnitude, place = pictures(8), torch.full((8,), 0.2), torch.full((8, 2), 0.5)
    for name in set(NAMES) - {"Posterize"}:
        plain = operate(name, images, magnitude, place)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(operate(name, images, magnitude, place), plain), name


# ---- Policies ----


def test_autoaugment_is_torchvisions_table() -> None:
    transforms = import_torchvision().transforms
    source_policy = transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10)
    space = source_policy._augmentation_space(10, (32, 32))
    policy = autoaugment()
    assert len(policy) == 25
    for pair, published in zip(policy, source_policy.policies, strict=True):
        for part, (name, probability, level) in zip(pair, published, strict=True):
            assert (part.name, part.probability, part.signed) == (name, probability, space[name][1])
            magnitude = float(space[name][0][level]) if level is not None else 0.0
            assert part.magnitude == (int(magnitude) if "Translate" in name else magnitude)


LEVELS = {
    "ShearX": (-0.3, 0.15, 0.3, True),
    "ShearY": (-0.3, 0.15, 0.3, True),
    "TranslateX": (-14, 7, 14, True),
    "TranslateY": (-14, 7, 14, True),
    "Rotate": (-30, 15, 30, True),
    "AutoContrast": (0, 0, 0, False),
    "Invert": (0, 0, 0, False),
    "Equalize": (0, 0, 0, False),
    "Solarize": (0, 192, 256, False),
    "Posterize": (4, 7, 8, False),
    "Contrast": (-0.9, 0.45, 0.9, False),
    "Color": (-0.9, 0.45, 0.9, False),
    "Brightness": (-0.9, 0.45, 0.9, False),
    "Sharpness": (-0.9, 0.45, 0.9, False),
    "Cutout": (0, 4.8, 6.4, False),
}


def archive(folder: Path, table: object) -> tuple[Path, str]:
    """Write a file in the syntax of the authors' and return it with the digest of its list."""
    path = folder / "archive.py"
    path.write_text(
        "from FastAutoAugment.augmentations import get_augment\n\n"
        "def other():\n    return [[('Invert', 0.5, 0.5)]]\n\n"
        f"def fa_reduced_cifar10():\n    p = {json.dumps(table)}\n    return p\n\n"
        "def later():\n    p = [[['Color', 1.0, 1.0]]]\n    return p\n"
    )
    return path, hashlib.sha256(json.dumps(table, separators=(",", ":")).encode()).hexdigest()


def test_fast_autoaugment_reads_levels_in_the_ranges_of_its_authors(tmp_path: Path) -> None:
    levels = (0.0, 0.75, 1.0)
    table = [[[name, 0.25, level], ["Invert", 1.0, 0.5]] for name in LEVELS for level in levels]
    path, digest = archive(tmp_path, table)
    policy = fast_autoaugment(path, expected_sha256=digest)
    assert len(policy) == 3 * len(LEVELS)
    wanted = [(name, magnitude, signed) for name, (*three, signed) in LEVELS.items() for magnitude in three]
    for (first, second), (name, magnitude, signed) in zip(policy, wanted, strict=True):
        assert (first.name, first.probability, first.signed) == (name, 0.25, signed)
        assert first.magnitude == pytest.approx(magnitude, abs=1e-12)
        assert second == Operation("Invert", 1.0, 0.0, False)


def test_fast_autoaugment_refuses_any_other_file(tmp_path: Path) -> None:
    pair = [["Color", 0.5, 0.25], ["Cutout", 0.5, 0.5]]
    path, digest = archive(tmp_path, [pair, pair])
    complete = path.read_text()
    assert len(fast_autoaugment(path, expected_sha256=digest)) == 2
    cases = {
        "altered": complete.replace("0.25", "0.26"),
        "truncated": complete[: complete.index("Cutout")],
        "no function fa_reduced_cifar10": complete[: complete.index("def fa_reduced")],
        "no list in fa_reduced_cifar10": "def fa_reduced_cifar10():\n    return None\n",
        "malformed node": "def fa_reduced_cifar10():\n    return [open('x')]\n",
    }
    for reason, text in cases.items():
        path.write_text(text)
        with pytest.raises(LabError, match=reason) as caught:
            fast_autoaugment(path, expected_sha256=digest)
        assert str(path) in str(caught.value) and "github.com/kakaobrain/fast-autoaugment" in str(caught.value)
    path.write_text(complete)
    with pytest.raises(LabError, match=r"altered.*published 317cd1501e"):
        fast_autoaugment(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(LabError, match="not readable"):
        fast_autoaugment(path)
    for table in ([[["Sepia", 0.5, 0.5], ["Color", 0.5, 0.5]]], [[["Color", 0.5, 0.5]]], [[["Color", 0.5], ["Color"]]]):
        path, digest = archive(tmp_path, table)
        with pytest.raises(LabError, match="no list of pairs"):
            fast_autoaugment(path, expected_sha256=digest)
    with pytest.raises(LabError, match=r"missing\.py: no such file; download .* and give its path"):
        fast_autoaugment(tmp_path / "missing.py")


# ---- Plans ----


@pytest.fixture(scope="module")
def policy() -> Policy:
    """AutoAugment's, and one sub-policy with Cutout."""
    return (*autoaugment(), (Operation("Cutout", 0.5, 6.0, False), Operation("ShearX", 0.75, -0.123, True)))


def drawn(policy: Policy, n: int, seed: int = 0) -> PolicyPlan:
    return PolicyPlan.draw(torch.Generator().manual_seed(seed), n, policy)


def tensors(plan: PolicyPlan) -> list[Tensor]:
    return [plan.choice, plan.operation, plan.magnitude, plan.place, plan.counted]


def test_plan_is_a_function_of_the_generator(policy: Policy) -> None:
    first, again, other = drawn(policy, 300), drawn(policy, 300), drawn(policy, 300, seed=1)
    for a, b, c in zip(tensors(first), tensors(again), tensors(other), strict=True):
        assert torch.equal(a, b) and not torch.equal(a, c)
    for part, whole in zip(tensors(first[100:150].to(torch.device("cpu"))), tensors(first), strict=True):
        assert torch.equal(part, whole[100:150])
    assert len(first[290:400]) == 10


def test_draws_follow_the_policy(policy: Policy) -> None:
    n = 52_000
    plan = drawn(policy, n)
    assert plan.choice.bincount().sub(2000).abs().max() < 5 * math.sqrt(2000)
    for i, pair in enumerate(policy):
        mine = plan.choice == i
        for j, part in enumerate(pair):
            operation, magnitude = plan.operation[mine, j], plan.magnitude[mine, j]
            applied = operation > 0
            assert (operation[applied] == 1 + NAMES.index(part.name)).all()
            deviation = math.sqrt(part.probability * (1 - part.probability) / mine.sum())
            assert abs(applied.float().mean() - part.probability) <= 5 * deviation
            assert torch.equal(magnitude.abs(), torch.full_like(magnitude, abs(part.magnitude)))
            turned = (magnitude * part.magnitude < 0).float().mean()
            assert abs(turned - (0.5 if part.signed and part.magnitude else 0.0)) < 0.06
    # The two operations of an image are drawn independently: applied together with the product of chances.
    both = (plan.operation[plan.choice == 25] > 0).all(1).float().mean()
    assert abs(both - 0.375) < 0.06
    assert abs(plan.place.mean() - 0.5) < 0.01 and plan.place.amin() >= 0 and plan.place.amax() < 1


# ---- Application ----


def test_each_image_gets_its_own_sub_policy(policy: Policy) -> None:
    images, plan = pictures(300), drawn(policy, 300)
    before = images.clone()
    got = apply_policy(images, plan)
    assert got.dtype == torch.uint8 and torch.equal(images, before)
    assert plan.choice.unique().numel() == len(policy)
    for i in range(300):
        expected = images[i]
        for j, part in enumerate(policy[plan.choice[i]]):
            if plan.operation[i, j]:
                m = plan.magnitude[i, j].item()
                if part.name == "Cutout":
                    expected = operate("Cutout", expected[None], torch.tensor([m]), plan.place[i, j][None])[0]
                else:
                    expected = reference(part.name, expected, m)
        assert torch.equal(got[i], expected), (i, policy[plan.choice[i]])


def test_an_image_does_not_depend_on_its_batch(policy: Policy) -> None:
    images, plan = pictures(40), drawn(policy, 40)
    whole = apply_policy(images, plan)
    for i in range(40):
        assert torch.equal(apply_policy(images[i : i + 1], plan[i : i + 1])[0], whole[i])


def test_one_call_per_position_and_name(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counting(name: str, images: Tensor, magnitude: Tensor, place: Tensor) -> Tensor:
        calls.append(name)
        return operate(name, images, magnitude, place)

    monkeypatch.setattr(module, "operate", counting)
    plan = drawn(policy, 256)
    apply_policy(pictures(256), plan)
    expected = [NAMES[code - 1] for j in range(2) for code in plan.operation[:, j].unique().tolist() if code]
    assert calls == expected and len(expected) < 2 * len(NAMES)


def test_nothing_is_read_back_from_the_device(policy: Policy) -> None:
    device = torch.device("meta")  # holds no values: reading one, or asking how many are true, is an error
    plan = drawn(policy, 256).to(device)
    assert plan.operation.device == device and plan.counted.device == torch.device("cpu")
    got = apply_policy(torch.empty(100, 3, 32, 32, dtype=torch.uint8, device=device), plan[50:150])
    assert got.shape == (100, 3, 32, 32) and got.device == device


def test_memory_format_is_kept_and_other_images_are_refused(policy: Policy) -> None:
    images, plan = pictures(8), drawn(policy, 8)
    last = images.contiguous(memory_format=torch.channels_last)
    got = apply_policy(last, plan)
    assert got.is_contiguous(memory_format=torch.channels_last) and torch.equal(got, apply_policy(images, plan))
    for wrong in (images.float(), images[:, :1], images[:7], images[0]):
        with pytest.raises(ValueError, match=r"8 images \(B, 3, H, W\) of uint8 expected"):
            apply_policy(wrong, plan)
