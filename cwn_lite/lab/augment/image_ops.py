"""The image operations of augmentation policies, one call per batch with a magnitude per image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

CUTOUT_COLOUR = (125, 123, 114)


def operate(name: str, images: Tensor, magnitude: Tensor, place: Tensor) -> Tensor:
    """Apply one operation to every image of a batch, each with its own magnitude.

    The arithmetic is that of torchvision's ``autoaugment._apply_op`` on one uint8 image, with nearest
    sampling and zeros outside, in float32 whatever the autocast mode: grey levels agree exactly. So do the
    geometric operations, save where the place to sample from lies half-way between two pixels up to the
    rounding of float32 (some 1e-5 pixels): torchvision multiplies matrices there, whose rounding differs
    between devices; here each product and sum is rounded on its own.

    ================================== =====================================================================
    operation                          magnitude
    ================================== =====================================================================
    ShearX, ShearY                     slope, pixels per pixel, about the upper left corner
    TranslateX, TranslateY             whole pixels to the right, downwards
    Rotate                             degrees counter-clockwise about the centre
    Brightness, Color, Contrast        m in 1 + m, the weight of the image beside black, its grey version and
                                       its mean grey level
    Sharpness                          m in 1 + m, the weight of the image beside a smoothed one
    Posterize                          bits kept, 0 to 8
    Solarize                           grey level from which values are inverted
    AutoContrast, Equalize, Invert     none
    Cutout                             side in pixels of a square of one colour, cut off at the border
    ================================== =====================================================================

    Args:
        name: one of :data:`NAMES`.
        images: (B, 3, H, W) uint8.
        magnitude: (B,) float32, signed, in the unit of the operation.
        place: (B, 2) float32 in [0, 1): where the square of Cutout goes, as in Lim et al.'s code: the
            fractions of width and height at which its centre lies before it is cut off at the left or top.

    Returns:
        (B, 3, H, W) uint8.

    Raises:
        KeyError: no such operation.

    Example:
        >>> image = torch.tensor([0, 100, 200], dtype=torch.uint8).view(1, 3, 1, 1)
        >>> operate("Brightness", image, torch.tensor([0.5]), torch.zeros(1, 2)).flatten().tolist()
        [0, 150, 255]
    """
    return _OPERATIONS[name](images, magnitude, place)


def _shear_x(images: Tensor, magnitude: Tensor) -> Tensor:
    x, y = _grid(images)
    return _sample(images, x + _wide(magnitude) * (y + 0.5), y)


def _shear_y(images: Tensor, magnitude: Tensor) -> Tensor:
    x, y = _grid(images)
    return _sample(images, x, y + _wide(magnitude) * (x + 0.5))


def _translate_x(images: Tensor, magnitude: Tensor) -> Tensor:
    x, y = _grid(images)
    return _sample(images, x - _wide(magnitude), y)


def _translate_y(images: Tensor, magnitude: Tensor) -> Tensor:
    x, y = _grid(images)
    return _sample(images, x, y - _wide(magnitude))


def _rotate(images: Tensor, magnitude: Tensor) -> Tensor:
    x, y = _grid(images)
    centre_x, centre_y = (images.shape[-1] - 1) / 2, (images.shape[-2] - 1) / 2
    x, y = x - centre_x, y - centre_y
    angle = _wide(magnitude).deg2rad()
    sine, cosine = angle.sin(), angle.cos()
    return _sample(images, cosine * x - sine * y + centre_x, sine * x + cosine * y + centre_y)


def _grid(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the column (1, 1, W) and the row (1, H, 1) of each pixel."""
    height, width = images.shape[-2:]
    columns = torch.arange(width, device=images.device, dtype=torch.float32)
    rows = torch.arange(height, device=images.device, dtype=torch.float32)
    return columns.view(1, 1, -1), rows.view(1, -1, 1)


def _wide(magnitude: Tensor) -> Tensor:
    return magnitude.view(-1, 1, 1)


def _sample(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Take each pixel from the one nearest to column x and row y of its image, zero where that is outside."""
    height, width = images.shape[-2:]
    x, y = torch.broadcast_tensors(x.round().long(), y.round().long())
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    source = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    source = source.flatten(1)[:, None].expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, source).view(images.shape) * inside[:, None]


def _blend(images: Tensor, other: Tensor | int, magnitude: Tensor) -> Tensor:
    """Return (1 + m) images - m other, cut to 0..255 and truncated."""
    weight = magnitude.view(-1, 1, 1, 1)
    return ((1.0 + weight) * images + -weight * other).clamp(0, 255).to(torch.uint8)


def _grey(images: Tensor) -> Tensor:
    red, green, blue = images.unbind(1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).to(torch.uint8)[:, None]


def _contrast(images: Tensor, magnitude: Tensor) -> Tensor:
    return _blend(images, _grey(images).float().mean((1, 2, 3), keepdim=True), magnitude)


def _sharpness(images: Tensor, magnitude: Tensor) -> Tensor:
    # Whole numbers: a convolution would round its sums to bfloat16 under autocast.
    values = images.int()
    rows = values[:, :, :-2] + values[:, :, 1:-1] + values[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * values[:, :, 1:-1, 1:-1]
    smooth = values.clone()
    smooth[:, :, 1:-1, 1:-1] = (2 * total + 13) // 26  # total / 13 to the nearest; 13 is odd, so there are no ties
    return _blend(images, smooth, magnitude)


def _posterize(images: Tensor, magnitude: Tensor) -> Tensor:
    mask = torch.bitwise_left_shift(255, 8 - magnitude.int()) & 255
    return images & mask.to(torch.uint8).view(-1, 1, 1, 1)


def _solarize(images: Tensor, magnitude: Tensor) -> Tensor:
    return torch.where(images >= magnitude.view(-1, 1, 1, 1), 255 - images, images)


def _autocontrast(images: Tensor) -> Tensor:
    low = images.amin((2, 3), keepdim=True).float()
    high = images.amax((2, 3), keepdim=True).float()
    stretched = ((images - low) * (255 / (high - low))).clamp(0, 255)
    return torch.where(high > low, stretched, images).to(torch.uint8)


def _equalize(images: Tensor) -> Tensor:
    values = images.flatten(2).long()
    count = torch.zeros(*values.shape[:2], 256, dtype=torch.long, device=images.device)
    count.scatter_add_(2, values, torch.ones_like(values))
    brightest = count.gather(2, values.amax(2, keepdim=True))
    step = (values.shape[2] - brightest) // 255
    darker = F.pad(count.cumsum(2), (1, -1))  # number of pixels below each grey level
    table = ((darker + step // 2) // step.clamp(min=1)).clamp(max=255)
    return torch.where(step > 0, table.gather(2, values), values).to(torch.uint8).view(images.shape)


def _cutout(images: Tensor, magnitude: Tensor, place: Tensor) -> Tensor:
    # Pillow draws both corners of a rectangle, so a square of v pixels covers v + 1 rows where v is whole.
    covered = (magnitude > 0).view(-1, 1, 1)
    x, y = _grid(images)
    for at, centre in ((x, place[:, 0] * images.shape[-1]), (y, place[:, 1] * images.shape[-2])):
        start = (centre - magnitude / 2).clamp(min=0).floor()
        covered = covered & (at >= _wide(start)) & (at <= _wide(start + magnitude))
    # Not torch.tensor(CUTOUT_COLOUR, device=...): a copy from the host would wait for the device.
    colour = torch.stack([torch.full_like(images[:, 0], value) for value in CUTOUT_COLOUR], 1)
    return torch.where(covered[:, None], colour, images)


_OPERATIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "ShearX": lambda images, magnitude, place: _shear_x(images, magnitude),
    "ShearY": lambda images, magnitude, place: _shear_y(images, magnitude),
    "TranslateX": lambda images, magnitude, place: _translate_x(images, magnitude),
    "TranslateY": lambda images, magnitude, place: _translate_y(images, magnitude),
    "Rotate": lambda images, magnitude, place: _rotate(images, magnitude),
    "Brightness": lambda images, magnitude, place: _blend(images, 0, magnitude),
    "Color": lambda images, magnitude, place: _blend(images, _grey(images), magnitude),
    "Contrast": lambda images, magnitude, place: _contrast(images, magnitude),
    "Sharpness": lambda images, magnitude, place: _sharpness(images, magnitude),
    "Posterize": lambda images, magnitude, place: _posterize(images, magnitude),
    "Solarize": lambda images, magnitude, place: _solarize(images, magnitude),
    "AutoContrast": lambda images, magnitude, place: _autocontrast(images),
    "Equalize": lambda images, magnitude, place: _equalize(images),
    "Invert": lambda images, magnitude, place: 255 - images,
    "Cutout": lambda images, magnitude, place: _cutout(images, magnitude, place),
}

NAMES = tuple(_OPERATIONS)
