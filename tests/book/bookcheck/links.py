"""Links: every target inside the book exists."""

import re
from functools import cache
from pathlib import Path

from bookcheck.equations import equations
from bookcheck.pages import BOOK, Page, all_paths, load
from bookcheck.prose import without_code

LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]*)\)|!\[[^\]]*\]\((?P<image>[^)\s]+)[^)]*\)")
ROLE = re.compile(r"\{(?P<role>ref|numref|eq|doc|cite(?::\w+)?)\}`(?P<content>[^`]+)`")
TARGET = re.compile(r"^\((?P<label>[^()\s]+)\)=\s*$|^[ \t]*:(?:name|label):[ \t]*(?P<name>\S+)", re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def labels(page: Page) -> set[str]:
    """Return the targets that a page defines: labels, names, headings as anchors, equations."""
    text = "\n\n".join(without_code(cell.source, keep=("math",)) for cell in page.markdown)
    named = {match["label"] or match["name"] for match in TARGET.finditer(text)}
    named |= {match["name"] for cell in page.markdown for match in TARGET.finditer(cell.source) if match["name"]}
    slugs = {_slug(heading) for heading in HEADING.findall(text)}
    return named | slugs | {equation.label for equation in equations(page) if equation.label}


@cache
def labels_of_book() -> frozenset[str]:
    """Return the targets of all pages."""
    return frozenset(label for path in all_paths() if path.is_file() for label in labels(load(path)))


@cache
def citation_keys() -> frozenset[str]:
    """Return the keys of `references.bib`."""
    return frozenset(
        re.findall(r"^@\w+\{([^,\s]+),", (BOOK / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)
    )


def check(page: Page, folder: Path = BOOK, known: frozenset[str] | None = None) -> list[str]:
    """Return the links, references and citations of a page that lead nowhere."""
    own = labels(page)
    known = (labels_of_book() if known is None else known) | own
    problems = []
    for cell in page.markdown:
        text = without_code(cell.source)
        targets = [match["target"] if match["image"] is None else match["image"] for match in LINK.finditer(text)]
        problems += [f"cell {cell.index}: link to {t!r}" for t in targets if not _link_exists(t, folder, own, known)]
        for match in ROLE.finditer(text):
            content = match["content"].strip()
            target = (re.search(r"<([^<>]+)>$", content) or ["", content])[1]
            if not _role_exists(match["role"], target, folder, known):
                problems.append(f"cell {cell.index}: {match.group()} leads nowhere")
    return problems


def _link_exists(target: str, folder: Path, own: set[str], known: frozenset[str] | set[str]) -> bool:
    if re.match(r"[a-z]+:", target):
        return True  # another host's
    path, _, anchor = target.partition("#")
    if not path:
        return anchor in own
    if path in known and not anchor:
        return True  # [text](label), as MyST allows
    file = folder / path
    if not file.is_file():
        return False
    return not anchor or file.suffix not in (".md", ".ipynb") or anchor in labels(load(file))


def _role_exists(role: str, target: str, folder: Path, known: frozenset[str] | set[str]) -> bool:
    if role.startswith("cite"):
        return {key.strip() for key in target.split(",")} <= citation_keys()
    if role == "doc":
        return any((folder / f"{target.removeprefix('/')}{suffix}").is_file() for suffix in ("", ".md", ".ipynb"))
    return target in known


def _slug(heading: str) -> str:
    """The anchor of a heading, as MyST makes it."""
    return re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-")
