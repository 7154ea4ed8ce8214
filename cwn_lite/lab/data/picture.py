"""One picture file as RGB bytes: the picture that its file holds, or a clear word why not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LabError

_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


def suffixes() -> frozenset[str]:
    """Return the endings, in lower case, of the files that the installed Pillow may read.

    Example:
        >>> {".png", ".gif", ".tif", ".webp"} <= suffixes(), ".txt" in suffixes()
        (True, False)
    """
    from PIL import Image

    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in Image.OPEN)


# Photographs larger than this on a side are refused before they are decoded.
LARGEST = 20_000


def read(file: Path, side: int, *, reduce: bool = False) -> NDArray[np.uint8]:
    """Return a picture as stored, (side, side, 3) uint8: grey in three equal channels, 16 bits scaled to 8.

    Like Pillow and torchvision, it leaves a rotation that the camera only noted in the file (EXIF) to the viewer.

    Args:
        file: one still picture, of any format that Pillow reads.
        side: height and width that it must have; a larger one is refused before it is decoded.
        reduce: take larger pictures, too: the square in the middle, each pixel the mean over its area.

    Raises:
        LabError: no file, not readable, damaged, of another size, several pictures in one file, transparent in
            places, or numbers of which nobody knows what is black and what white; the text names the file.
    """

    def check(size: tuple[int, int]) -> None:
        if not (reduce and side <= min(size) and max(size) <= LARGEST):
            _check_size(size, side)

    def finish(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        found = _reduced(pixels, side) if reduce else pixels
        _check_size((found.shape[1], found.shape[0]), side)  # an icon's header may lie
        return found

    return _open(file, check, finish, f" The recipe expects {side} x {side}")


def photograph(file: Path) -> NDArray[np.uint8]:
    """Return a picture of any size as stored, (height, width, 3) uint8; otherwise as :func:`read`.

    Args:
        file: one still picture, of any format that Pillow reads.

    Raises:
        LabError: as for :func:`read`, or more than ``LARGEST`` pixels on a side.
    """

    def check(size: tuple[int, int]) -> None:
        if max(size) > LARGEST:
            raise LabError(f"{size[0]} x {size[1]} pixels, and {LARGEST} on a side are the most")

    return _open(file, check, lambda pixels: pixels, "")


def _open(
    file: Path,
    check: Callable[[tuple[int, int]], None],
    finish: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    expected: str,
) -> NDArray[np.uint8]:
    """Decode a file whose size passes ``check`` and return what ``finish`` makes of it; each error names the file."""
    from PIL import Image

    if not file.is_file():
        raise LabError(f"{file}: no file (a folder, a device or a broken link); move it away")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                check(image.size)
                if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:  # MPO: a photograph and its previews
                    raise LabError(f"{image.n_frames} pictures in one file; keep one")
                return finish(_rgb(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise LabError(f"{file}: {error}{expected}") from None
    except LabError as error:
        raise LabError(f"{file}: {error}") from None
    except OSError as error:
        raise LabError(f"{file}: {error.strerror if error.errno else f'damaged image ({error})'}") from error
    except Exception as error:  # decoders of damaged files raise nearly anything
        raise LabError(f"{file}: damaged image ({type(error).__name__}: {error})") from error


def _check_size(size: tuple[int, int], side: int) -> None:
    if size != (side, side):
        raise LabError(f"{size[0]} x {size[1]} pixels where the recipe expects {side} x {side}")


def _reduced(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    from PIL import Image

    height, width = pixels.shape[:2]
    square = min(height, width)
    top, left = (height - square) // 2, (width - square) // 2
    middle = Image.fromarray(np.ascontiguousarray(pixels[top : top + square, left : left + square]))
    return np.asarray(middle.resize((side, side), Image.Resampling.BOX))


def _rgb(image: Any) -> NDArray[np.uint8]:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        if not _is_16_bit_grey(image):
            raise LabError(f"mode {image.mode}, and nobody knows which number is white; save it with 8 bits")
        grey = (np.asarray(image).astype(np.uint32) + 128) // 257  # 65535 = 257 · 255; Pillow would clip at 255
        return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA"))
        if rgba[..., 3].min() < 255:
            raise LabError("transparent in places, and nobody knows what lies behind; put it on a background")
        return rgba[..., :3]
    return np.asarray(image.convert("RGB"))


def _is_16_bit_grey(image: Any) -> bool:
    """Return whether 0 is black and 65535 white. Pillow gives mode ``I`` for some of them, scaled for PGM."""
    if image.format == "TIFF":
        bits, interpretation = image.tag_v2.get(258), image.tag_v2.get(262)
        return bool(image.mode != "I" and image.mode != "F" and bits == (16,) and interpretation == 1)
    return image.format in ("PNG", "PPM") and image.mode != "F"
