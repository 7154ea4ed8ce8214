"""The API page lists every reason code that the library gives, and no other."""

import ast
import re

from bookcheck.pages import ROOT


def codes() -> set[str]:
    """Codes in the sources: last argument of a Source or of a note, first of a pair that selection returns."""
    found: set[str] = set()
    for path in (ROOT / "cwn_lite").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Source", "record"):
                last = node.args[-1]
                ends = [last.body, last.orelse] if isinstance(last, ast.IfExp) else [last]
                wanted = 3 if getattr(node.func, "id", "") == "Source" else 6
                found |= {end.value for end in ends if isinstance(end, ast.Constant) and len(node.args) == wanted}
    selection = (ROOT / "cwn_lite" / "selection.py").read_text()
    found |= set(re.findall(r'return "(\w+)", ', selection)) | set(re.findall(r'code, reason = "(\w+)", ', selection))
    return found | {"unconstrained"}  # surgery's own, given to many weights at once


def test_the_page_lists_them_all() -> None:
    page = (ROOT / "book" / "api.md").read_text()
    table = page.partition("| code | what it means")[2].partition("\n\n")[0]
    listed = {code for row in table.splitlines()[2:] for code in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert listed == codes() and len(listed) > 15
