"""The text layer of a PDF as Chromium writes it: glyphs back to letters by each font's own map."""

from __future__ import annotations

import re
import zlib

import pdf_pages

_SHOWN = re.compile(rb"/(F\d+) [\d.]+ Tf|<([0-9A-F]+)>")
_PAIRS = re.compile(rb"<([0-9A-F]+)> <([0-9A-F]+)>(?: <([0-9A-F]+)>)?")


def stream(body: bytes) -> bytes:
    """Return what a compressed stream holds."""
    return zlib.decompress(body.split(b"stream\n", 1)[1].rsplit(b"\nendstream", 1)[0])


def letters(cmap: bytes) -> dict[int, str]:
    """Return glyph -> letters of a font's map."""
    found: dict[int, str] = {}
    for kind, block in re.findall(rb"begin(bfchar|bfrange)\n(.*?)\nend", cmap, re.DOTALL):
        for first, second, third in _PAIRS.findall(block):
            low, high = int(first, 16), int(second if kind == b"bfrange" else first, 16)
            start = bytes.fromhex((third if kind == b"bfrange" else second).decode()).decode("utf-16-be")
            for glyph in range(low, high + 1):
                found[glyph] = start[:-1] + chr(ord(start[-1]) + glyph - low)
    return found


def texts(pdf: bytes) -> list[str]:
    """Return the text of each page."""
    found = pdf_pages.objects(pdf)
    fonts: dict[int, dict[int, str]] = {}

    def font(number: int) -> dict[int, str]:
        if number not in fonts:
            place = re.search(rb"/ToUnicode (\d+) 0 R", found[number])
            fonts[number] = letters(stream(found[int(place[1])])) if place else {}
        return fonts[number]

    pages = []
    for number in pdf_pages.pages(found):
        page = found[number]
        named = {name: int(target) for name, target in re.findall(rb"/(F\d+) (\d+) 0 R", page)}
        content = re.search(rb"/Contents (\d+) 0 R", page)
        text, current = "", {}
        for name, glyphs in _SHOWN.findall(stream(found[int(content[1])]) if content else b""):
            if name:
                current = font(named[name])
            else:
                codes = (int(glyphs[i : i + 4], 16) for i in range(0, len(glyphs), 4))
                text += "".join(current.get(code, "\ufffd") for code in codes)
        pages.append(text)
    return pages


def not_embedded(pdf: bytes) -> list[str]:
    """Return the fonts that a reader's machine would have to have."""
    found = pdf_pages.objects(pdf)
    descriptors = [body for body in found.values() if b"/Type /FontDescriptor" in body]
    lacking = [body for body in descriptors if not re.search(rb"/FontFile\d? \d+ 0 R", body)]
    return [name[1].decode() for body in lacking if (name := re.search(rb"/FontName /(\S+)", body))]
