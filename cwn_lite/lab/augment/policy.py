"""AutoAugment and Fast AutoAugment: a sub-policy of two operations drawn per image, applied per batch on the device."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..disk.paths import expand
from ..errors import LabError
from ..vision import import_torchvision
from .image_ops import NAMES, operate

SIDE = 32
# SHA-256 of the 493 sub-policies in FastAutoAugment/archive.py as JSON without spaces.
FAST_AUTOAUGMENT_SHA256 = "317cd1501e0380d85a6d36a173a968499464c8eb4cf8c1aaac9b0478ad522311"
_SOURCE = "https://github.com/kakaobrain/fast-autoaugment"
_FUNCTION = "fa_reduced_cifar10"


class Operation(NamedTuple):
    """One half of a sub-policy.

    Attributes:
        name: one of :data:`cwn_lite.lab.image_ops.NAMES`.
        probability: with which it is applied.
        magnitude: in the unit that :func:`cwn_lite.lab.image_ops.operate` lists for it.
        signed: whether the sign of the magnitude is turned round with probability 1/2.
    """

    name: str
    probability: float
    magnitude: float
    signed: bool


Policy = tuple[tuple[Operation, Operation], ...]


def autoaugment() -> Policy:
    """Return the 25 sub-policies that AutoAugment found on CIFAR-10, as torchvision has them.

    Magnitudes are for images of 32 x 32 pixels.

    Raises:
        ImportError: torchvision is not installed.

    Example:
        >>> first, second = autoaugment()[3]
        >>> first.name, round(first.magnitude, 3), second.name, second.magnitude
        ('ShearY', 0.267, 'TranslateY', 14.0)

    Reference:
        Cubuk et al., "AutoAugment: Learning Augmentation Strategies from Data", CVPR 2019.
    """
    transforms = import_torchvision().transforms
    source = transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10)
    space = source._augmentation_space(10, (SIDE, SIDE))

    def operation(name: str, probability: float, level: int | None) -> Operation:
        magnitudes, signed = space[name]
        magnitude = 0.0 if level is None else float(magnitudes[level])
        if name.startswith("Translate"):
            magnitude = float(int(magnitude))  # torchvision moves by whole pixels and drops the rest
        return Operation(name, probability, magnitude, signed)

    return tuple((operation(*first), operation(*second)) for first, second in source.policies)


def load(name: str, path: Path | None = None) -> Policy | None:
    """Return the policy that a recipe names, ``None`` for ``none``.

    Args:
        name: ``none``, ``autoaugment`` or ``fastaa``.
        path: for ``fastaa``, the authors' file; see :func:`fast_autoaugment`.

    Raises:
        LabError: ``fastaa`` without a file, or with one that is not the authors'.
    """
    if name == "none":
        return None
    if name == "autoaugment":
        return autoaugment()
    if path is None:
        raise LabError(
            f"this recipe uses Fast AutoAugment: give --policies with FastAutoAugment/archive.py of {_SOURCE}"
        )
    return fast_autoaugment(path)


# What a level in [0, 1] means in FastAutoAugment/augmentations.py, in the units of `operate`, and whether the
# operation is mirrored at random. Pillow moves by the nearest whole number of pixels.
_LEVELS: dict[str, tuple[Callable[[float], float], bool]] = {
    "ShearX": (lambda level: 0.6 * level - 0.3, True),
    "ShearY": (lambda level: 0.6 * level - 0.3, True),
    "TranslateX": (lambda level: round((0.9 * level - 0.45) * SIDE), True),
    "TranslateY": (lambda level: round((0.9 * level - 0.45) * SIDE), True),
    "Rotate": (lambda level: 60 * level - 30, True),
    "AutoContrast": (lambda level: 0, False),
    "Invert": (lambda level: 0, False),
    "Equalize": (lambda level: 0, False),
    "Solarize": (lambda level: 256 * level, False),
    "Posterize": (lambda level: int(4 * level + 4), False),
    "Contrast": (lambda level: 1.8 * level - 0.9, False),
    "Color": (lambda level: 1.8 * level - 0.9, False),
    "Brightness": (lambda level: 1.8 * level - 0.9, False),
    "Sharpness": (lambda level: 1.8 * level - 0.9, False),
    "Cutout": (lambda level: 0.2 * level * SIDE, False),
}


def fast_autoaugment(path: Path, *, expected_sha256: str = FAST_AUTOAUGMENT_SHA256) -> Policy:
    """Return the 493 sub-policies that Fast AutoAugment found on reduced CIFAR-10, from its authors' own file.

    The file is parsed, never run. Magnitudes are for images of 32 x 32 pixels. The authors' operations are
    Pillow's; here they are torchvision's, as in :func:`autoaugment`.

    Args:
        path: ``FastAutoAugment/archive.py`` of https://github.com/kakaobrain/fast-autoaugment (MIT licence).
        expected_sha256: digest of the list in it as JSON without spaces.

    Raises:
        LabError: the file is missing, truncated or altered; the text names it.

    Reference:
        Lim et al., "Fast AutoAugment", NeurIPS 2019.
    """
    remedy = f"download FastAutoAugment/archive.py from {_SOURCE} again"
    path = expand(path, "--policies")
    try:
        text = path.read_text(encoding="utf8")
    except FileNotFoundError:
        raise LabError(f"{path}: no such file; {remedy.removesuffix(' again')} and give its path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path}: not readable ({error}); {remedy}") from error
    try:
        table = _literal(text)
        digest = hashlib.sha256(json.dumps(table, separators=(",", ":")).encode()).hexdigest()
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise LabError(f"{path}: damaged or truncated, or another file ({error}); {remedy}") from error
    if digest != expected_sha256:
        raise LabError(f"{path}: {_FUNCTION} is altered (SHA-256 {digest}, published {expected_sha256}); {remedy}")
    try:
        return tuple((_from_level(*first), _from_level(*second)) for first, second in table)
    except (KeyError, TypeError, ValueError) as error:
        raise LabError(f"{path}: {_FUNCTION} is no list of pairs of operations ({error!r}); {remedy}") from error


def _literal(text: str) -> list[list[tuple[str, float, float]]]:
    """Return the list that the function of the policy holds."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == _FUNCTION:
            for part in ast.walk(node):  # breadth first: the outermost list comes first
                if isinstance(part, ast.List):
                    table: list[list[tuple[str, float, float]]] = ast.literal_eval(part)
                    return table
            raise ValueError(f"no list in {_FUNCTION}")
    raise ValueError(f"no function {_FUNCTION}")


def _from_level(name: str, probability: float, level: float) -> Operation:
    magnitude, signed = _LEVELS[name]
    return Operation(name, probability, float(magnitude(level)), signed)


@dataclass(frozen=True)
class PolicyPlan:
    """What a policy does to each of n images: a pure function of the generator it is drawn from.

    Attributes:
        choice: (n,) index of the sub-policy.
        operation: (n, 2) index in :data:`cwn_lite.lab.image_ops.NAMES` plus 1 of its operations, 0 where one
            is not applied.
        magnitude: (n, 2) float32, with its sign, in the unit of the operation.
        place: (n, 2, 2) float32 in [0, 1): where Cutout goes, see :func:`cwn_lite.lab.image_ops.operate`.
        counted: ``operation`` once more, always on the CPU: sizes of groups are known there without waiting.
    """

    choice: Tensor
    operation: Tensor
    magnitude: Tensor
    place: Tensor
    counted: Tensor

    @classmethod
    def draw(cls, generator: torch.Generator, n: int, policy: Policy) -> PolicyPlan:
        """Draw a plan on the CPU: the same on every device.

        Args:
            generator: a CPU generator.
            n: number of images.
            policy: what :func:`autoaugment` or :func:`fast_autoaugment` returned.
        """
        choice = torch.randint(len(policy), (n,), generator=generator)
        chance = torch.rand(n, 2, generator=generator)
        turned = torch.randint(2, (n, 2), generator=generator).bool()
        place = torch.rand(n, 2, 2, generator=generator)
        code = torch.tensor([[NAMES.index(part.name) + 1 for part in pair] for pair in policy])[choice]
        probability = torch.tensor([[part.probability for part in pair] for pair in policy])[choice]
        signed = torch.tensor([[part.signed for part in pair] for pair in policy])[choice]
        magnitude = torch.tensor([[part.magnitude for part in pair] for pair in policy])[choice]
        operation = torch.where(chance < probability, code, 0)
        return cls(choice, operation, torch.where(signed & turned, -magnitude, magnitude), place, operation)

    def __len__(self) -> int:
        return len(self.choice)

    def __getitem__(self, where: slice) -> PolicyPlan:
        return PolicyPlan(*(getattr(self, field.name)[where] for field in fields(self)))

    def to(self, device: torch.device) -> PolicyPlan:
        """Return the plan on a device, ``counted`` excepted."""
        parts = (self.choice, self.operation, self.magnitude, self.place)
        choice, operation, magnitude, place = (part.to(device) for part in parts)
        return PolicyPlan(choice, operation, magnitude, place, self.counted)


def apply_policy(images: Tensor, plan: PolicyPlan) -> Tensor:
    """Do to each image what the plan says: one call per operation and position, no wait for the device.

    Args:
        images: (B, 3, H, W) uint8, on any device.
        plan: the plan of these B images, on the same device.

    Returns:
        (B, 3, H, W) uint8 in the memory format of ``images``, which are not changed.

    Raises:
        ValueError: the images are not uint8 of three channels, or the plan is for another number of them.

    Example:
        >>> images = torch.full((2, 3, 1, 1), 200, dtype=torch.uint8)
        >>> always, never = Operation("Invert", 1.0, 0.0, False), Operation("Equalize", 0.0, 0.0, False)
        >>> plan = PolicyPlan.draw(torch.Generator().manual_seed(0), 2, ((always, never),))
        >>> apply_policy(images, plan)[:, 0].flatten().tolist()
        [55, 55]
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or len(images) != len(plan):
        raise ValueError(f"{len(plan)} images (B, 3, H, W) of uint8 expected, not {tuple(images.shape)} {images.dtype}")
    changed = images.clone()
    order = plan.operation.argsort(0)
    for position in range(2):
        counts = plan.counted[:, position].bincount(minlength=len(NAMES) + 1).tolist()
        groups = order[:, position].split(counts)
        magnitude, place = plan.magnitude[:, position], plan.place[:, position]
        for name, index in zip(NAMES, groups[1:], strict=True):
            if len(index):
                changed.index_copy_(0, index, operate(name, changed[index], magnitude[index], place[index]))
    return changed
