"""One picture: what its file holds, whatever its mode, or refused by name."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cwn_lite.lab import data
from cwn_lite.lab.data import picture
from cwn_lite.lab.errors import LabError

RAMP = np.arange(1024, dtype=np.uint16).reshape(32, 32)
GREY16 = (RAMP * 64 + RAMP // 16).astype(np.uint16)  # 0 to 65535
COLOURS = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def loaded(tree: Path, name: str) -> np.ndarray:
    """Return what the reader makes of ``train/class0/<name>``, which sorts behind the other images."""
    assert name > "1.png"
    return data.load("cifar10", tree).train_images[2].permute(1, 2, 0).numpy()


def place(tree: Path, name: str) -> Path:
    return tree / "train" / "class0" / name


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_modes_in_png(mode: str, tree: Path) -> None:
    image = Image.fromarray(GREY16) if mode == "I;16" else Image.fromarray(COLOURS).convert(mode)
    image.save(place(tree, "x.png"))
    expected = np.repeat(np.rint(GREY16 / 257)[..., None], 3, 2) if mode == "I;16" else np.array(image.convert("RGB"))
    assert np.array_equal(loaded(tree, "x.png"), expected)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_modes_in_tiff(mode: str, tree: Path) -> None:
    Image.fromarray(COLOURS).convert(mode).save(place(tree, "x.tif"))
    with Image.open(place(tree, "x.tif")) as stored:
        assert stored.mode == mode
        expected = np.array(stored.convert("RGB"))
    assert np.array_equal(loaded(tree, "x.tif"), expected)


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_grey_of_either_byte_order(order: str, tree: Path) -> None:
    place(tree, "x.tif").write_bytes(tiff(GREY16.astype(f"{order}u2"), order))
    assert np.array_equal(loaded(tree, "x.tif")[..., 1], np.rint(GREY16 / 257))


def tiff(values: np.ndarray, order: str, bits: int = 16, interpretation: int = 1) -> bytes:
    """Return a grey TIFF, written by hand: Pillow writes only one byte order."""
    tags = {256: 32, 257: 32, 258: bits, 259: 1, 262: interpretation, 273: 8, 277: 1, 278: 32, 279: values.nbytes}
    entries = b"".join(struct.pack(f"{order}HHIHxx", tag, 3, 1, value) for tag, value in tags.items())
    magic = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)
    return magic + struct.pack(f"{order}I", 8 + values.nbytes) + values.tobytes() + directory


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("white", [65535, 1023, 255, 100])
def test_grey_with_a_white_of_its_own(white: int, plain: bool, tree: Path) -> None:
    values = RAMP.astype(np.int64) * 64 % (white + 1)
    header = f"P{2 if plain else 5} 32 32 {white}\n".encode()
    raw = values.astype(">u2" if white > 255 else "u1").tobytes()
    body = " ".join(map(str, values.ravel())).encode() if plain else raw
    place(tree, "x.pgm").write_bytes(header + body)
    assert np.abs(loaded(tree, "x.pgm")[..., 0] - values * 255 / white).max() <= 0.51


def test_numbers_without_a_known_white_are_refused(tree: Path) -> None:
    unknown = {
        "I": Image.fromarray(RAMP.astype(np.int32)),
        "F": Image.fromarray(RAMP.astype(np.float32)),
    }
    for mode, image in unknown.items():
        image.save(place(tree, "x.tif"))
        with pytest.raises(LabError, match=rf"x\.tif: mode {mode}, and nobody knows .*save it with 8 bits"):
            data.load("cifar10", tree)
    twelve = np.zeros((32, 48), np.uint8)
    for content in (tiff(twelve, "<", bits=12), tiff(GREY16, "<", interpretation=0)):
        place(tree, "x.tif").write_bytes(content)
        with pytest.raises(LabError, match=r"x\.tif: mode I;16, and nobody knows"):
            data.load("cifar10", tree)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pictures_are_refused(mode: str, tree: Path) -> None:
    image = Image.fromarray(COLOURS).convert(mode)
    if mode == "P":
        image.save(place(tree, "x.png"), transparency=image.getpixel((3, 4)))
    else:
        image.putpixel((3, 4), (9,) * (len(mode) - 1) + (254,))
        image.save(place(tree, "x.png"))
    with pytest.raises(LabError, match=r"x\.png: transparent in places"):
        data.load("cifar10", tree)


@pytest.mark.parametrize("name", ["x.gif", "x.webp", "x.tif", "x.png"])
def test_several_pictures_in_one_file_are_refused(name: str, tree: Path) -> None:
    frames = [Image.fromarray(COLOURS), Image.fromarray(255 - COLOURS)]
    frames[0].save(place(tree, name), save_all=True, append_images=frames[1:])
    with pytest.raises(LabError, match=rf"{name}: 2 pictures in one file"):
        data.load("cifar10", tree)


def test_a_rotation_noted_in_the_file_is_left_to_the_viewer(tree: Path) -> None:
    tags = Image.Exif()
    tags[274] = 6
    Image.fromarray(COLOURS).save(place(tree, "x.png"), exif=tags)
    assert np.array_equal(loaded(tree, "x.png"), COLOURS)


def png(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" * 1000)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("side", [10_000, 60_000])  # of which Pillow warns, and which it refuses
def test_a_decompression_bomb(side: int, tree: Path) -> None:
    place(tree, "x.png").write_bytes(png(side, side))
    with pytest.raises(LabError, match=rf"x\.png: .*{side * side} pixels.*expects 32 x 32"):
        data.load("cifar10", tree)


def test_a_wrong_size_is_seen_before_the_pixels_are_read(tree: Path) -> None:
    place(tree, "x.png").write_bytes(png(5000, 1000))
    with pytest.raises(LabError, match=r"x\.png: 5000 x 1000 pixels where the recipe expects 32 x 32"):
        data.load("cifar10", tree)


DAMAGED = [
    b"", b"a text", b"\0" * 200, png(32, 32), png(32, 32)[:40], b"GIF89a", b"BM" + b"\xff" * 60,
    b"II*\0\xff\xff\xff\xff",
    b"\xff\xd8\xff\xe0" + b"\0" * 50, b"RIFF\xff\xff\xff\xffWEBPVP8 ", b"P6\n32 abc\n255\n", b"P6\n32 32\n",
    b"P6\n32 32\n99999999999999\n", b"P6\n32 32\n0\n", b"P6 99999 99999 255\n", b"P3 32 32 255 " + b"1 " * 99,
    b"P3 32 32 255 " + b"999 " * 3072,
]  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED)
@pytest.mark.parametrize("name", ["x.png", "x.ppm"])
def test_damaged_files_are_named(content: bytes, name: str, tree: Path) -> None:
    place(tree, name).write_bytes(content)
    with pytest.raises(LabError, match=rf"{name}: "):
        data.load("cifar10", tree)


@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "gif", "bmp", "tif", "webp", "ppm", "tga", "ico", "jp2", "pcx", "sgi"]
)
def test_truncated_and_scrambled_files(suffix: str, tree: Path) -> None:
    """Whatever a byte is changed to, the file is read or refused: nothing else is raised."""
    file, rng = place(tree, f"x.{suffix}"), np.random.default_rng(0)
    Image.fromarray(COLOURS).save(file)
    whole, refused = file.read_bytes(), 0
    for k in range(30):
        content = bytearray(whole)
        if k % 3 == 0:
            content = content[: rng.integers(len(content))]
        else:
            content[rng.integers(min(len(content), 120))] = rng.integers(256)
        file.write_bytes(content)
        try:
            picture.read(file, 32)
        except LabError as error:
            refused += 1
            assert str(error).startswith(str(file))
    assert refused >= 5
